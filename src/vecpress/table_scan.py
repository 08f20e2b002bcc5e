"""The scan by FAISS, for codecs with tables, where the kernel was not compiled."""

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress import registry
from vecpress.arrays import Array, normalize
from vecpress.decoded_scan import Ranking, scan_blocks
from vecpress.errors import ConfigError
from vecpress.stages import Codec

_ROUNDING = 1e-5  # by which FAISS's sums of table entries may be off


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
        self._faiss, self._codec, self._norms = index, codec, norms

    def search(
        self, codes: UInt8[Array, "n code_bytes"], queries: Float32[Array, "q e"], k: int
    ) -> Ranking:
        """Rank like `scan_blocks`; the codes are those it was made of, which it does not hold."""
        n = len(codes)
        rows = np.zeros((len(queries), k), np.int64)
        scores = np.zeros((len(queries), k), np.float32)
        padded = np.zeros((len(queries), self._faiss.d), np.float32)
        padded[:, : queries.shape[1]] = queries
        pending, wide = np.arange(len(queries)), max(4 * k, 64)
        while len(pending) and wide <= max(n // 16, 64) and wide < n:
            products, candidates = self._faiss.search(padded[pending], wide)
            proven = np.zeros(len(pending), bool)
            for j, i in enumerate(pending):
                rows[i], scores[i] = self._rescore(codes, queries[i], np.sort(candidates[j]), k)
                last = float(products[j, -1])
                extreme = self._norms[0] if last >= 0 else self._norms[1]
                proven[j] = scores[i, -1] > last / max(extreme, 1e-12) + _ROUNDING
            pending, wide = pending[~proven], 4 * wide
        if len(pending):
            rows[pending], scores[pending] = scan_blocks(self._codec, codes, queries[pending], k)
        return rows, scores

    def _rescore(
        self, codes: Array, query: Float32[Array, " e"], rows: Int64[Array, " c"], k: int
    ) -> tuple[Int64[Array, " k"], Float32[Array, " k"]]:
        scores = normalize(self._codec.decode(np.asarray(codes[rows]))) @ query
        best = np.argsort(-scores, kind="stable")[:k]
        return rows[best], scores[best]
