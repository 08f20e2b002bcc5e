"""Codes in, hits out: exact search over packed codes, on disk and in memory the same bytes.

A document's score is the inner product of the float query with the unit embedding its code stands
for. How codes are scanned is in scan.py.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress import artifact
from vecpress.arrays import Array
from vecpress.errors import ArtifactError, ConfigError, DataError, ShapeError
from vecpress.scan import TableScan, decoded_norms, scan_blocks
from vecpress.stages import Codec
from vecpress.strings import Numbers, Strings

FORMAT_VERSION = 1
_SNIPPET = 200  # characters of a document kept for showing

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
        different = len(ids) if isinstance(ids, Numbers) else len(set(ids))
        if len(codes) == 0 or len(ids) != len(codes) or different != len(ids):
            raise DataError(
                f"an index needs at least one code and an id of its own for each, got "
                f"{len(codes)} codes and {different} different ids"
            )
        return cls(
            codec=codec,
            codes=codes,
            ids=Strings.of(ids),
            snippets=None if snippets is None else Strings.of([s[:_SNIPPET] for s in snippets]),
            norms=decoded_norms(codec, codes),
            fingerprint=fingerprint,
        )

    def __len__(self) -> int:
        return len(self.codes)

    def snippet(self, row: int) -> str:
        """Give the beginning of a document; nothing if snippets were not kept."""
        return "" if self.snippets is None else self.snippets[row]

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
            engine: "auto" takes FAISS for a few queries on a large index, where it is installed
                and the codec has tables.

        Raises:
            ConfigError: `k` is out of range, an option is unknown, or FAISS is asked to scan codes
                that have no tables.
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
            engine = "faiss" if few and find_spec("faiss") and self._has_tables else "numpy"
        if engine == "faiss":
            rows, scores = self._tables.search(projected, k)
        else:
            rows, scores = scan_blocks(self.codec, self.codes, projected, k)
        ids = tuple(tuple(self.ids[int(r)] for r in ranked) for ranked in rows)
        return Hits(ids=ids, rows=rows, scores=scores)

    @cached_property
    def _has_tables(self) -> bool:
        return self.codec.tables() is not None

    @cached_property
    def _tables(self) -> TableScan:
        """The scan by table look-up; it holds a copy of the codes."""
        return TableScan(self.codec, self.codes, self.norms)

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


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            value = zlib.crc32(part, value)
    return value
