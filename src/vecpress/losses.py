"""Losses on embeddings, as pure functions of tensors. One formula, one source each."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
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


def cosines(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Give the cosine of every row of `a` with every row of `b`; a zero row has cosine 0."""
    return normalize(a) @ normalize(b).T


def pairs(outputs: Float[Tensor, "n w"], targets: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Keep the cosine of every pair of a batch: the mean over i != j of |cos_new - cos_old|.

    Source: arXiv:2407.20243, eq. 1 for one width, as a mean where the paper has a sum.
    """
    gap = (cosines(outputs, outputs) - cosines(targets, targets)).abs()
    n = len(outputs)
    return (gap.sum() - gap.diagonal().sum()) / max(n * (n - 1), 1)


def neighbours(
    anchors: Float[Tensor, "n w"],
    found: Float[Tensor, "n k w"],
    wanted: Float[Tensor, "n k"],
) -> Float[Tensor, ""]:
    """Keep the cosines of each anchor with its own k neighbours: mean |cos_new - wanted|.

    Args:
        anchors: Outputs for a batch.
        found: Outputs for the neighbours that each row of the batch has in the input space.
        wanted: Their cosines in the input space; not finite where there is no neighbour, which
            then does not count.

    Source: arXiv:2407.20243, eq. 2, and arXiv:2510.12474, eq. 7, for one width; a mean for a sum.
    """
    there = wanted.isfinite()
    new = torch.einsum("nw,nkw->nk", normalize(anchors), normalize(found))
    gap = torch.where(there, new - torch.where(there, wanted, 0), 0).abs()
    return gap.sum() / there.sum().clamp_min(1)


def ranking(
    scores: Float[Tensor, "q c"],
    grades: Float[Tensor, "q c"],
    temperature: float = 1.0,
    better: Bool[Tensor, "q c"] | None = None,
) -> Float[Tensor, ""]:
    """Rank what is judged better higher.

    For each query, the mean of log(1 + exp((s_k - s_j) / temperature)) over pairs of candidates
    with grades y_j > y_k, weighted by y_j - y_k; then the mean over the queries that have such a
    pair. Grades that are not finite take no part.

    Args:
        scores: Of each candidate for each query.
        grades: How well it answers.
        temperature: See above.
        better: The candidates that may stand for j, of those with a grade above 0; None means all
            of them. A sample keeps the cost bounded where a query has hundreds of answers.

    Source: arXiv:2310.08750, L_rank; arXiv:2407.20243, eq. 5; arXiv:2510.12474, eq. 8. They sum,
    and know no temperature (1 is theirs).
    """
    known = grades.isfinite()
    above = known & (grades > 0) if better is None else known & (grades > 0) & better
    query, first = torch.nonzero(above, as_tuple=True)
    gap = grades[query, first][:, None] - grades[query]
    weight = torch.where(known[query], gap, 0).clamp_min(0)
    lost = (scores[query] - scores[query, first][:, None]) / temperature
    # A query without a pair to rank has no rows here, or only weights of 0.
    total = scores.new_zeros(len(scores)).index_add(0, query, weight.sum(dim=1))
    cost = scores.new_zeros(len(scores)).index_add(
        0, query, (weight * torch.nn.functional.softplus(lost)).sum(dim=1)
    )
    ranked = total > 0
    return (cost[ranked] / total[ranked]).sum() / ranked.sum().clamp_min(1)


def recovery(outputs: Float[Tensor, "n d"], inputs: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Stay close to the input: the mean absolute difference of a coordinate.

    Source: arXiv:2310.08750, L_rec; arXiv:2407.20243, eq. 3: an L1 norm, which sums where this
    takes a mean. With the sum, at the weights they give, nothing leaves its start here.
    """
    return (outputs - inputs).abs().mean()


def prediction(
    predicted: Float[Tensor, "p d"], queries: Float[Tensor, "p d"], grades: Float[Tensor, " p"]
) -> Float[Tensor, ""]:
    """Predict each query from a document that answers it: mean absolute difference, by grade.

    Source: arXiv:2310.08750, L_pred; a mean over coordinates for their L1 norm, as in `recovery`.
    """
    distance = (predicted - queries).abs().mean(dim=1)
    return (grades * distance).sum() / grades.sum().clamp_min(1e-12)


def normalize(rows: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Scale rows to unit norm; a zero row stays zero."""
    return torch.nn.functional.normalize(rows, dim=-1, eps=1e-12)
