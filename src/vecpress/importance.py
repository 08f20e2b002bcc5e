"""How much each coordinate of an embedding matters: the damage done by leaving it out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, normalize

_ANCHORS, _NEIGHBOURS = 500, 10


def importance(embeddings: Float32[Array, "n d"], *, seed: int = 0) -> Float64[Array, " d"]:
    """Give the weighted average reconstruction error (WARE) of leaving each coordinate out.

    For pairs of a random row and its ten nearest others, the mean of |cos - cos without i|,
    weighted by the pair's cosine. A pair of opposite rows weighs nothing.

    Args:
        embeddings: At least two rows, of any norm.
        seed: Of the rows drawn, 500 at most, among 8,192 at most.

    Source: arXiv:2510.12474 names WARE and what it is for; the weights and the choice of pairs are
    ours.
    """
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:8192]
    unit = normalize(np.ascontiguousarray(embeddings[rows]))
    anchors = unit[:_ANCHORS]
    scores = anchors @ unit.T
    scores[np.arange(len(anchors)), np.arange(len(anchors))] = -np.inf
    k = min(_NEIGHBOURS, len(unit) - 1)
    nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    total = np.zeros(embeddings.shape[1])
    weights = 0.0
    for anchor, found in zip(anchors, nearest, strict=True):
        others = unit[found].astype(np.float64)
        cosine = others @ anchor
        left = np.sqrt(np.maximum((1 - anchor**2) * (1 - others**2), 1e-12))
        without = (cosine[:, None] - anchor * others) / left
        weight = np.maximum(cosine, 0)
        total += weight @ np.abs(without - cosine[:, None])
        weights += weight.sum()
    return total / max(weights, 1e-12)


def shares(
    weight: Float64[Array, "kept d"],
    embeddings: Float32[Array, "n d"],
    models: Sequence[tuple[str, int]],
) -> dict[str, float]:
    """Give each model's part in the energy of what is kept; the parts add up to 1.

    Args:
        weight: The linear map whose outputs are kept.
        embeddings: Concatenations, such as a sample of the documents.
        models: Name and width of each block; none gives no parts.
    """
    energy: dict[str, float] = {}
    start = 0
    for name, width in models:
        block = slice(start, start + width)
        part = embeddings[:, block].astype(np.float64) @ weight[:, block].T
        label = name if name not in energy else f"{name} at {start}"
        energy[label] = float((part**2).sum())
        start += width
    total = sum(energy.values())
    return {name: part / total if total else 0.0 for name, part in energy.items()}
