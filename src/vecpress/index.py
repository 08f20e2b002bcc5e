"""Codes in, hits out: exact search over packed codes, on disk and in memory the same bytes.

A document's score is the inner product of the float query with the unit embedding its code stands
for. Two engines give the same ranking: numpy decodes blocks of codes and multiplies, which is
best for many queries at once; FAISS scans the codes by table look-up, best for a few.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress import artifact, registry
from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ArtifactError, ConfigError, DataError, ShapeError
from vecpress.stages import Codec
from vecpress.strings import Strings

FORMAT_VERSION = 1
_ROWS = 16384  # codes decoded at a time
_QUERIES = 512  # queries scored at a time

Scoring = Literal["asymmetric", "symmetric"]
Engine = Literal["auto", "numpy", "faiss"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """The best documents of each query, best first; of equal scores the earlier document.

    Attributes:
        ids: One tuple of `k` document ids per query.
        rows: Where they stand in the index.
        scores: Inner products; higher is better.
    """

    ids: tuple[tuple[str, ...], ...]
    rows: Int64[Array, "q k"]
    scores: Float32[Array, "q k"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """The codes of a corpus. `build` it, or `load` it; `add` gives a new one.

    Attributes:
        codec: What the codes mean.
        codes: One row per document, possibly memory-mapped.
        ids: One per document.
        snippets: The beginning of each document, for showing; None if not kept.
        norms: Smallest and largest norm of the decoded codes, before they are renormalized.
        fingerprint: Of the pipeline that made the codes; a query must come from the same.
    """

    codec: Codec
    codes: UInt8[Array, "n code_bytes"]
    ids: Strings
    snippets: Strings | None
    norms: tuple[float, float]
    fingerprint: str

    @classmethod
    def build(
        cls,
        codec: Codec,
        codes: UInt8[Array, "n code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
        fingerprint: str = "",
    ) -> "Index":
        """Index codes made by `codec.quantize`.

        Raises:
            DataError: there are no codes, not one id per code, or an id twice.
        """
        if len(codes) == 0 or len(ids) != len(codes) or len(set(ids)) != len(ids):
            raise DataError(
                f"an index needs at least one code and an id of its own for each, got "
                f"{len(codes)} codes and {len(set(ids))} different ids"
            )
        return cls(
            codec=codec,
            codes=codes,
            ids=Strings.of(ids),
            snippets=None if snippets is None else Strings.of(snippets),
            norms=_norms(codec, codes),
            fingerprint=fingerprint,
        )

    def __len__(self) -> int:
        return len(self.codes)

    def add(
        self,
        codes: UInt8[Array, "m code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
    ) -> "Index":
        """Give an index that holds these documents too; this one stays as it is.

        Raises:
            DataError: an id is already in the index, or snippets are given to an index without
                them, or the other way round.
        """
        if (snippets is None) != (self.snippets is None):
            raise DataError("snippets must be given for all documents of an index, or for none")
        all_snippets = None
        if self.snippets is not None and snippets is not None:
            all_snippets = [self.snippets[i] for i in range(len(self))] + list(snippets)
        return Index.build(
            self.codec,
            np.concatenate([self.codes, codes]),
            [self.ids[i] for i in range(len(self))] + list(ids),
            snippets=all_snippets,
            fingerprint=self.fingerprint,
        )

    def search(
        self,
        queries: Float32[Array, "q d"],
        k: int = 10,
        *,
        scoring: Scoring = "asymmetric",
        engine: Engine = "auto",
    ) -> Hits:
        """Find the `k` best documents of each query, exactly.

        Args:
            queries: Unit rows, compressed by the same head as the documents.
            k: How many, at most the size of the index.
            scoring: "asymmetric" keeps the query in float; "symmetric" codes it first, as some
                papers do, at a loss.
            engine: "auto" takes FAISS for a few queries on a large index, where it is installed.

        Raises:
            ConfigError: `k` is out of range, or an option is unknown.
            ShapeError: the queries are not as wide as the codec takes.
            MissingExtraError: `engine="faiss"` without FAISS.
        """
        if not 1 <= k <= len(self):
            raise ConfigError(f"k must be between 1 and the {len(self)} documents, got {k}")
        if queries.ndim != 2 or queries.shape[1] != self.codec.dim:
            raise ShapeError(
                f"this index takes queries of {self.codec.dim} dimensions, got shape "
                f"{queries.shape}: were they compressed by the pipeline that built it?"
            )
        if scoring not in ("asymmetric", "symmetric") or engine not in ("auto", "numpy", "faiss"):
            raise ConfigError(
                "scoring must be asymmetric or symmetric and engine auto, numpy or faiss, got "
                f"{scoring!r} and {engine!r}"
            )
        if scoring == "symmetric":
            queries = self.codec.dequantize(self.codec.quantize(queries))
        projected = self.codec.project(queries)
        if engine == "auto":
            few = len(queries) <= 32 and len(self) >= 20_000
            engine = "faiss" if few and find_spec("faiss") else "numpy"
        scan = self._scan_tables if engine == "faiss" else self._scan_blocks
        rows, scores = scan(projected, k)
        ids = tuple(tuple(self.ids[int(r)] for r in ranked) for ranked in rows)
        return Hits(ids=ids, rows=rows, scores=scores)

    def _scan_blocks(self, queries: Float32[Array, "q e"], k: int) -> tuple[Array, Array]:
        """Decode, renormalize and multiply, a block of codes at a time."""
        rows = np.zeros((len(queries), k), np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for block in blocks(len(self), _ROWS):
            decoded = normalize(self.codec.decode(np.asarray(self.codes[block])))
            for part in blocks(len(queries), _QUERIES):
                found = queries[part] @ decoded.T
                for i, new in enumerate(found, start=part.start):
                    _merge(rows[i], scores[i], new, block.start)
        return rows, scores

    @cached_property
    def _faiss(self) -> Any:
        """The same codes as a FAISS product quantizer, whose centroids are the codec's tables."""
        faiss = registry.require("faiss", extra="search")
        tables = self.codec.tables()
        groups, cells, width = tables.shape
        bits = cells.bit_length() - 1
        index = faiss.IndexPQ(groups * width, groups, bits, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(np.ascontiguousarray(tables).ravel(), index.pq.centroids)
        index.is_trained = True
        codes = np.zeros((len(self), index.sa_code_size()), np.uint8)
        codes[:, : self.codes.shape[1]] = self.codes
        index.add_sa_codes(codes)
        return index

    def _scan_tables(self, queries: Float32[Array, "q e"], k: int) -> tuple[Array, Array]:
        """Let FAISS rank by inner product, then prove that renormalizing changes no answer.

        FAISS does not renormalize. So its best `wide` documents are rescored exactly; no other
        document can score above the last inner product divided by the extreme norm of the index.
        While that bound reaches the k-th score, look wider; in the end, scan everything.
        """
        rows = np.zeros((len(queries), k), np.int64)
        scores = np.zeros((len(queries), k), np.float32)
        width = self._faiss.d
        padded = np.zeros((len(queries), width), np.float32)
        padded[:, : queries.shape[1]] = queries
        open_ = np.arange(len(queries))
        wide = max(4 * k, 64)
        while len(open_) and wide <= max(len(self) // 16, 64) and wide < len(self):
            products, candidates = self._faiss.search(padded[open_], wide)
            proven = np.zeros(len(open_), bool)
            for j, i in enumerate(open_):
                found = self._rescore(queries[i], np.sort(candidates[j]))
                rows[i], scores[i] = _best(np.sort(candidates[j]), found, k)
                last = float(products[j, -1])
                bound = last / max(self.norms[0] if last >= 0 else self.norms[1], 1e-12)
                proven[j] = scores[i, -1] > bound + 1e-5
            open_, wide = open_[~proven], 4 * wide
        if len(open_):
            rows[open_], scores[open_] = self._scan_blocks(queries[open_], k)
        return rows, scores

    def _rescore(self, query: Float32[Array, " e"], rows: Array) -> Float32[Array, " c"]:
        return normalize(self.codec.decode(np.asarray(self.codes[rows]))) @ query

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write codes, ids, snippets and codec to a folder, whole or not at all.

        Raises:
            ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
        """
        with artifact.new_folder(folder, overwrite=overwrite) as draft:
            self.write(draft)

    def write(self, draft: Path) -> None:
        """Write into an existing, empty folder, such as a draft that is to hold more."""
        arrays: dict[str, Array] = {"codes": self.codes}
        arrays |= {"ids.data": self.ids.data, "ids.ends": self.ids.ends}
        if self.snippets is not None:
            arrays |= {"snippets.data": self.snippets.data, "snippets.ends": self.snippets.ends}
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", np.ascontiguousarray(array))
        artifact.save(draft / "codec", {"codec": self.codec}, card="The codec of an index.\n")
        config = {
            "format_version": FORMAT_VERSION,
            "documents": len(self),
            "norms": list(self.norms),
            "fingerprint": self.fingerprint,
            "crc32": {name: _crc32(draft / f"{name}.npy") for name in arrays},
        }
        artifact.write_config(draft / "index.json", config)

    @classmethod
    def load(cls, folder: str | Path, *, verify: bool = True) -> "Index":
        """Open what `save` wrote; codes, ids and snippets stay on disk until they are read.

        Args:
            folder: An index.
            verify: Whether to read every byte once and compare checksums.

        Raises:
            ArtifactError: it is not an index, is damaged, or is newer than this release.
        """
        folder = Path(folder)
        config = artifact.read_config(folder / "index.json", known=FORMAT_VERSION)
        arrays = {}
        for name, crc32 in config["crc32"].items():
            path = folder / f"{name}.npy"
            try:
                if verify and _crc32(path) != crc32:
                    raise ArtifactError(f"{path} is damaged: make the index again")
                arrays[name] = np.load(path, mmap_mode="r" if path.stat().st_size > 128 else None)
            except (OSError, ValueError, EOFError) as error:
                if isinstance(error, ArtifactError):
                    raise
                raise ArtifactError(f"{path} is damaged or missing: {error}") from error
        snippets = None
        if "snippets.data" in arrays:
            snippets = Strings(arrays["snippets.data"], arrays["snippets.ends"])
        return cls(
            codec=artifact.load(folder / "codec")["codec"],
            codes=arrays["codes"],
            ids=Strings(arrays["ids.data"], arrays["ids.ends"]),
            snippets=snippets,
            norms=(config["norms"][0], config["norms"][1]),
            fingerprint=config["fingerprint"],
        )


def _best(
    rows: Int64[Array, " c"], scores: Float32[Array, " c"], k: int
) -> tuple[Int64[Array, " k"], Float32[Array, " k"]]:
    """Keep the k best of candidates given in ascending order of rows."""
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


def _norms(codec: Codec, codes: UInt8[Array, "n code_bytes"]) -> tuple[float, float]:
    smallest, largest = np.inf, 0.0
    for block in blocks(len(codes), _ROWS):
        norms = np.linalg.norm(codec.decode(np.asarray(codes[block])), axis=1)
        smallest, largest = min(smallest, float(norms.min())), max(largest, float(norms.max()))
    return smallest, largest


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            value = zlib.crc32(part, value)
    return value
