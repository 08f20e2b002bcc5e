"""The scan that needs numpy alone: blocks of codes are decoded, renormalized and multiplied.

Slow for one query, fair for many; every faster scan is held to its answers.
"""

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress.arrays import Array, blocks, normalize
from vecpress.stages import Codec

_ROWS = 16384  # codes decoded at a time
_QUERIES = 512  # queries scored at a time

Ranking = tuple[Int64[Array, "q k"], Float32[Array, "q k"]]
"""Rows and scores, best first; of equal scores the lower row first."""


def scan_blocks(
    codec: Codec, codes: UInt8[Array, "n code_bytes"], queries: Float32[Array, "q e"], k: int
) -> Ranking:
    """Decode, renormalize and multiply, a block of codes at a time.

    Args:
        codec: What the codes mean.
        codes: Possibly memory-mapped.
        queries: In the codec's own space (`codec.project`).
        k: At most the number of codes.
    """
    rows = np.zeros((len(queries), k), np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for block in blocks(len(codes), _ROWS):
        decoded = normalize(codec.decode(np.asarray(codes[block])))
        for part in blocks(len(queries), _QUERIES):
            found = queries[part] @ decoded.T
            for i, new in enumerate(found, start=part.start):
                _merge(rows[i], scores[i], new, block.start)
    return rows, scores


def decoded_norms(codec: Codec, codes: UInt8[Array, "n code_bytes"]) -> tuple[float, float]:
    """Give the smallest and the largest norm of the decoded codes, not renormalized."""
    smallest, largest = np.inf, 0.0
    for block in blocks(len(codes), _ROWS):
        norms = np.linalg.norm(codec.decode(np.asarray(codes[block])), axis=1)
        smallest, largest = min(smallest, float(norms.min())), max(largest, float(norms.max()))
    return float(smallest), largest


def _merge(
    rows: Int64[Array, " k"], scores: Float32[Array, " k"], new: Float32[Array, " b"], start: int
) -> None:
    """Merge a block's scores into the best so far, in place; equal scores keep row order."""
    k = len(scores)
    if len(new) > k:
        floor = max(np.partition(new, -k)[-k], scores[-1])
        chosen = np.flatnonzero(new >= floor)
    else:
        chosen = np.arange(len(new))
    pooled_rows = np.concatenate([rows, chosen + start])
    pooled_scores = np.concatenate([scores, new[chosen]])
    best = np.argsort(-pooled_scores, kind="stable")[:k]
    rows[:], scores[:] = pooled_rows[best], pooled_scores[best]
