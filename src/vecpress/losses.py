"""Losses on embeddings, as pure functions of tensors. One formula, one source each."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def similarity_matching(
    outputs: Float[Tensor, "n width"],
    targets: Float[Tensor, "n d"],
    nested_dims: Sequence[int],
) -> Float[Tensor, ""]:
    """Keep the pairwise cosines of a batch, at every nested width.

    Let S_ij be the cosine of rows i and j of `targets`, and T^m_ij that of the first m
    coordinates of rows i and j of `outputs`, both with a zero diagonal. The loss is the sum over
    m in `nested_dims` of the mean over all n x n entries of (T^m_ij - S_ij)^2. The target is the
    full concatenation's similarity at every width.

    Each width adds the product of its own new columns to the Gram matrix of the width before, so
    all widths together cost one product of the full width, and nothing is larger than n x n.

    Source: arXiv:2510.04626, similarity-matching loss with Matryoshka stops.
    """
    wanted = _cosines(targets @ targets.T)
    gram = outputs.new_zeros(len(outputs), len(outputs))
    loss = outputs.new_zeros(())
    start = 0
    for stop in sorted(nested_dims):
        columns = outputs[:, start:stop]
        gram = gram + columns @ columns.T
        loss = loss + (_cosines(gram) - wanted).square().mean()
        start = stop
    return loss


def _cosines(gram: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Divide a Gram matrix by its norms, and clear its diagonal; a zero row has cosine 0."""
    scale = gram.diagonal().clamp_min(1e-12).rsqrt()
    cosines = gram * scale[:, None] * scale[None, :]
    return cosines - torch.diag(cosines.diagonal())
