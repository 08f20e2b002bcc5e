"""Codes in, hits out: exact search over packed codes, on disk and in memory the same bytes.

A document's score is the inner product of the float query with the unit embedding its code stands
for. How codes are scanned is in scan.py, what an index consists of in segments.py, how it lies on
disk in manifest.py, and how a saved one is changed in upkeep.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress import artifact, manifest, ranking
from vecpress.arrays import Array
from vecpress.errors import ArtifactError, ConfigError, DataError, ShapeError
from vecpress.scan import Engine, Scanner
from vecpress.segments import Segment, check_codes, check_different, check_living, named, taken
from vecpress.stages import Codec
from vecpress.strings import Joined, Strings

_ATTEMPTS = 20  # to open an index that others change meanwhile

Scoring = Literal["asymmetric", "symmetric"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """The best documents of each query, best first; of equal scores the earlier document.

    Attributes:
        ids: One tuple of `k` document ids per query.
        rows: Where they stand in the index; deleted documents keep their rows until it is
            compacted.
        scores: Inner products; higher is better.
    """

    ids: tuple[tuple[str, ...], ...]
    rows: Int64[Array, "q k"]
    scores: Float32[Array, "q k"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """The codes of a corpus. `build` it, or `load` it; `add` and `delete` give a new one.

    Attributes:
        codec: What the codes mean.
        fine: What the finer codes mean that hits can be rescored by; None if there are none.
        segments: The documents; their rows are numbered through.
        fingerprint: Of the pipeline that made the codes; a query must come from the same.
        scanner: Remembers what it has to know of the codes to scan them.
    """

    codec: Codec
    fine: Codec | None = None
    segments: tuple[Segment, ...]
    fingerprint: str
    scanner: Scanner

    @classmethod
    def build(
        cls,
        codec: Codec,
        codes: UInt8[Array, "n code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
        fingerprint: str = "",
        fine: tuple[Codec, UInt8[Array, "_ fine_bytes"]] | None = None,
    ) -> "Index":
        """Index codes made by `codec.quantize`; `fine` are a second codec and its codes.

        Raises:
            DataError: there are no codes, not one id per code, or an id twice.
            ShapeError: the codes are not as long as the codec's.
        """
        finer, fine_codes = (None, None) if fine is None else fine
        scanner = Scanner(codec)
        empty = cls(codec=codec, fine=finer, segments=(), fingerprint=fingerprint, scanner=scanner)
        return empty.add(codes, ids, snippets=snippets, fine=fine_codes)

    def __len__(self) -> int:
        return sum(segment.living for segment in self.segments)

    @property
    def ids(self) -> Joined:
        """The id of each row, also of documents that were deleted."""
        return Joined([segment.ids for segment in self.segments])

    @property
    def codes(self) -> UInt8[Array, "rows code_bytes"]:
        """The code of each row; a copy, if there is more than one segment."""
        parts = [segment.codes for segment in self.segments]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def bytes_per_vector(self) -> int:
        """Everything stored per document but its id and snippet: the code, and the finer one."""
        return self.codec.code_bytes + (0 if self.fine is None else self.fine.code_bytes)

    @property
    def has_snippets(self) -> bool:
        """Whether the beginning of each document is kept."""
        return any(segment.snippets is not None for segment in self.segments)

    def snippet(self, row: int) -> str:
        """Give the beginning of a document; nothing if snippets were not kept."""
        if not self.has_snippets:
            return ""
        return Joined([s.snippets for s in self.segments if s.snippets is not None])[row]

    def add(
        self,
        codes: UInt8[Array, "m code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
        fine: UInt8[Array, "_ fine_bytes"] | None = None,
    ) -> "Index":
        """Give an index that holds these documents too; this one stays as it is.

        Raises:
            DataError: an id is already in the index, or stands for two documents; or snippets or
                fine codes are given to an index without them, or the other way round.
            ShapeError: the codes are not as long as the codec's.
        """
        return self.with_segment(Segment.of(codes, ids, snippets=snippets, fine=fine))

    def with_segment(self, made: Segment) -> "Index":
        """Give an index that holds this segment too; fails as `add` does."""
        if self.segments and (made.snippets is not None) != self.has_snippets:
            raise DataError("snippets must be given for all documents of an index, or for none")
        if (made.fine is not None) != (self.fine is not None):
            raise DataError("fine codes must be given for all documents of an index, or for none")
        check_codes(self.codec, made.codes)
        if self.fine is not None and made.fine is not None:
            check_codes(self.fine, made.fine, name="fine codes")
        self.check_new(made.ids)
        return replace(self, segments=(*self.segments, made))

    def check_new(self, ids: Sequence[str] | Strings) -> None:
        """Make sure that ids are all different, and none of them is in the index.

        Raises:
            DataError: one is not.
        """
        packed = ids if isinstance(ids, Strings) else Strings.of(ids)
        check_different(packed)
        if there := taken(packed, self.segments):
            raise DataError(
                f"{named(there)} is already in the index: delete what it stands for first, or give "
                "another id"
            )

    def delete(self, ids: Sequence[str]) -> "Index":
        """Give an index without these documents; this one stays as it is.

        Raises:
            ConfigError: `ids` is one id, not a list.
            DataError: an id is not in the index; then none is deleted.
        """
        if isinstance(ids, str):
            raise ConfigError(f"delete takes a list of ids, got one: write [{ids!r}]")
        asked, found, made = Strings.of(ids), set(), []
        for segment in self.segments:
            rows = segment.find(asked)
            found |= {segment.ids[int(row)] for row in rows}
            made.append(segment.without(rows) if len(rows) else segment)
        if unknown := [name for name in dict.fromkeys(ids) if name not in found]:
            raise DataError(f"{named(unknown)} is not in the index: nothing was deleted")
        return replace(self, segments=tuple(made))

    def compact(self) -> "Index":
        """Give an index of the same documents in one piece, without rows of deleted ones.

        Raises:
            DataError: all documents were deleted.
        """
        check_living(self.segments)
        return replace(self, segments=(Segment.join(self.segments),))

    def search(
        self,
        queries: Float32[Array, "q d"],
        k: int = 10,
        *,
        scoring: Scoring = "asymmetric",
        engine: Engine = "auto",
        rescore: int | None = None,
        recall: float | None = None,
    ) -> Hits:
        """Find the `k` best documents of each query, exactly unless `recall` is given.

        Args:
            queries: Unit rows, compressed by the same head as the documents.
            k: How many, at most the size of the index.
            scoring: "asymmetric" keeps the query in float; "symmetric" codes it first, as some
                papers do, at a loss.
            engine: "auto" takes the fastest that there is: see scan.py.
            rescore: How many of the best documents are ordered anew, and scored, by their finer
                codes; all, if there are not as many.
            recall: The share of them to find on average, where upkeep.py has made lists to read.

        Raises:
            ConfigError: `k`, `rescore` or `recall` is out of range, an option is unknown, there
                are no finer codes, or the engine cannot scan these codes.
            ShapeError: the queries are not as wide as the codec takes.
            MissingExtraError: `engine="faiss"` without FAISS.
        """
        self._check_search(queries, k, rescore)
        if scoring not in ("asymmetric", "symmetric") or engine not in get_args(Engine):
            raise ConfigError(
                f"scoring must be asymmetric or symmetric and engine one of "
                f"{', '.join(get_args(Engine))}, got {scoring!r} and {engine!r}"
            )
        first = queries
        if scoring == "symmetric":
            first = self.codec.dequantize(self.codec.quantize(queries))
        depth = k if rescore is None else min(rescore, len(self))
        projected = self.codec.project(first)
        rows, scores = ranking.rank(
            self.scanner, self.segments, projected, depth, engine=engine, recall=recall
        )
        if rescore is not None and self.fine is not None:
            rows, scores = ranking.rescore(self.fine, self.segments, rows, queries, k)
        ids = iter(self.ids.pick(rows.ravel()))
        return Hits(ids=tuple(tuple(islice(ids, len(r))) for r in rows), rows=rows, scores=scores)

    def _check_search(self, queries: Array, k: int, rescore: int | None) -> None:
        if not 1 <= k <= len(self):
            raise ConfigError(f"k must be between 1 and the {len(self)} documents, got {k}")
        if queries.ndim != 2 or queries.shape[1] != self.codec.dim:
            raise ShapeError(
                f"this index takes queries of {self.codec.dim} dimensions, got shape "
                f"{queries.shape}: were they compressed by the pipeline that built it?"
            )
        if rescore is not None and self.fine is None:
            raise ConfigError(
                f"this index keeps no finer codes to rescore {rescore} hits by: make it with a "
                "press whose recipe has a `fine` quantizer"
            )
        if rescore is not None and rescore < k:
            raise ConfigError(f"rescore must be at least k, which is {k}, got {rescore}")

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write codes, ids, snippets and codec to a folder, whole or not at all.

        Raises:
            ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
        """
        with artifact.new_folder(folder, overwrite=overwrite) as draft:
            self.write(draft)

    def write(self, draft: Path) -> None:
        """Write into an existing, empty folder, such as a draft that is to hold more."""
        manifest.write_codec(draft, self.codec, self.fine)
        manifest.write_all(draft, self.segments, fingerprint=self.fingerprint)

    @classmethod
    def load(cls, folder: str | Path, *, verify: bool = False) -> "Index":
        """Open what `save` wrote; codes, ids and snippets stay on disk until they are read.

        Others may change the saved index meanwhile and later: what is opened is one state of it,
        and stays that.

        Args:
            folder: An index.
            verify: Whether to read every byte once and compare checksums; otherwise only the
                files' lengths and beginnings are checked.

        Raises:
            ArtifactError: it is not an index, is damaged, or is newer than this release.
        """
        folder = Path(folder)
        for _ in range(_ATTEMPTS):
            listed = manifest.read(folder)
            try:
                made = cls._open(folder, listed, verify=verify)
            except ArtifactError:
                if manifest.read(folder) == listed:
                    raise
                continue
            if manifest.read(folder) == listed:
                return made
        raise ArtifactError(f"{folder} is changed faster than it can be opened: try again")

    @classmethod
    def _open(cls, folder: Path, listed: manifest.Manifest, *, verify: bool) -> "Index":
        content = artifact.load(folder / "codec")
        codec, fine = content["codec"], content.get("fine")
        segments = tuple(
            manifest.open_segment(folder, segment, codec=codec, fine=fine, verify=verify)
            for segment in listed["segments"]
        )
        made_by, scanner = listed["fingerprint"], Scanner(codec)
        return cls(codec=codec, fine=fine, segments=segments, fingerprint=made_by, scanner=scanner)
