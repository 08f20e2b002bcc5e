"""Two ways to scan codes exactly, with the same ranking.

Decoding blocks of codes and multiplying is best for many queries at once, and needs numpy only.
Looking codes up in a table per query is best for a few, and is done by FAISS, where the codec has
tables.
"""

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress import registry
from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ConfigError
from vecpress.stages import Codec

_ROWS = 16384  # codes decoded at a time
_QUERIES = 512  # queries scored at a time
_ROUNDING = 1e-5  # by which FAISS's sums of table entries may be off

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


class TableScan:
    """The codes as a FAISS product quantizer whose centroids are the codec's tables.

    FAISS ranks by the inner product with the decoded code, NOT renormalized. So its best
    documents are rescored exactly, and the answer is proven: no other document can score above
    the last inner product divided by the extreme norm. While that bound reaches the k-th score,
    look wider; if it still does with a sixteenth of the documents, scan everything.
    """

    def __init__(
        self, codec: Codec, codes: UInt8[Array, "n code_bytes"], norms: tuple[float, float]
    ) -> None:
        """Copy the codes into FAISS.

        Args:
            codec: What the codes mean.
            codes: One row per document.
            norms: What `decoded_norms` gives for them.

        Raises:
            ConfigError: the codec has no tables.
            MissingExtraError: FAISS is not installed.
        """
        faiss = registry.require("faiss", extra="search")
        tables = codec.tables()
        if tables is None:
            raise ConfigError(
                f"the codes of a {type(codec).__name__} cannot be looked up in tables, so not by "
                "the engine faiss: use numpy or auto"
            )
        groups, cells, width = tables.shape
        index = faiss.IndexPQ(
            groups * width, groups, cells.bit_length() - 1, faiss.METRIC_INNER_PRODUCT
        )
        faiss.copy_array_to_vector(np.ascontiguousarray(tables).ravel(), index.pq.centroids)
        index.is_trained = True
        padded = np.zeros((len(codes), index.sa_code_size()), np.uint8)
        padded[:, : codes.shape[1]] = codes
        index.add_sa_codes(padded)
        self._faiss, self._codec, self._codes, self._norms = index, codec, codes, norms

    def search(self, queries: Float32[Array, "q e"], k: int) -> Ranking:
        """Rank like `scan_blocks`."""
        n = len(self._codes)
        rows = np.zeros((len(queries), k), np.int64)
        scores = np.zeros((len(queries), k), np.float32)
        padded = np.zeros((len(queries), self._faiss.d), np.float32)
        padded[:, : queries.shape[1]] = queries
        pending, wide = np.arange(len(queries)), max(4 * k, 64)
        while len(pending) and wide <= max(n // 16, 64) and wide < n:
            products, candidates = self._faiss.search(padded[pending], wide)
            proven = np.zeros(len(pending), bool)
            for j, i in enumerate(pending):
                rows[i], scores[i] = self._rescore(queries[i], np.sort(candidates[j]), k)
                last = float(products[j, -1])
                extreme = self._norms[0] if last >= 0 else self._norms[1]
                proven[j] = scores[i, -1] > last / max(extreme, 1e-12) + _ROUNDING
            pending, wide = pending[~proven], 4 * wide
        if len(pending):
            rows[pending], scores[pending] = scan_blocks(
                self._codec, self._codes, queries[pending], k
            )
        return rows, scores

    def _rescore(
        self, query: Float32[Array, " e"], rows: Int64[Array, " c"], k: int
    ) -> tuple[Int64[Array, " k"], Float32[Array, " k"]]:
        scores = normalize(self._codec.decode(np.asarray(self._codes[rows]))) @ query
        best = np.argsort(-scores, kind="stable")[:k]
        return rows[best], scores[best]


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
