"""A part of an index that never changes: codes, ids and snippets of some documents.

Adding makes another segment, deleting marks rows as dead in a copy that shares all arrays. So who
still searches the index from before is not disturbed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from vecpress.arrays import Array, blocks
from vecpress.errors import DataError, ShapeError
from vecpress.partition import Partition
from vecpress.stages import Codec
from vecpress.strings import Strings

_ROWS = 65536  # looked at together
_SNIPPET = 200  # characters of a document kept for showing


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Some documents of an index.

    Attributes:
        codes: One row per document, possibly memory-mapped; the scan knows them by this object.
        ids: One per document.
        snippets: The beginning of each document, for showing; None if not kept.
        fine: Codes of the finer codec, for rescoring; None if there is none.
        dead: Documents that were deleted; None if none was.
        partition: The lists that the documents stand in, in this order; None if in none.
    """

    codes: UInt8[Array, "n code_bytes"]
    ids: Strings
    snippets: Strings | None = None
    fine: UInt8[Array, "n fine_bytes"] | None = None
    dead: Bool[Array, " n"] | None = None
    partition: Partition | None = None

    @classmethod
    def of(
        cls,
        codes: UInt8[Array, "n code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
        fine: UInt8[Array, "_ fine_bytes"] | None = None,
    ) -> "Segment":
        """Put documents together.

        Raises:
            DataError: there are none, or not one id, snippet and fine code for each.
        """
        others = [("snippets", snippets), ("fine codes", fine)]
        wrong = [f"{len(o)} {name}" for name, o in others if o is not None and len(o) != len(codes)]
        if len(codes) == 0 or len(ids) != len(codes) or wrong:
            raise DataError(
                "an index needs at least one code and an id of its own for each, got "
                + ", ".join([f"{len(codes)} codes", f"{len(ids)} ids", *wrong])
            )
        return cls(
            codes=np.ascontiguousarray(codes),
            ids=Strings.of(ids),
            snippets=None if snippets is None else Strings.of([s[:_SNIPPET] for s in snippets]),
            fine=None if fine is None else np.ascontiguousarray(fine),
        )

    @classmethod
    def join(cls, segments: "Sequence[Segment]") -> "Segment":
        """Make one of the living documents of several, copied together."""
        parts = [part for segment in segments for part in segment.living_parts()]
        snippets = [part.snippets for part in parts if part.snippets is not None]
        fine = [part.fine for part in parts if part.fine is not None]
        return cls(
            codes=np.concatenate([part.codes for part in parts]),
            ids=Strings.join([part.ids for part in parts]),
            snippets=Strings.join(snippets) if snippets else None,
            fine=np.concatenate(fine) if fine else None,
        )

    @classmethod
    def of_arrays(
        cls, arrays: Mapping[str, Array], *, dead: Bool[Array, " n"] | None = None
    ) -> "Segment":
        """Invert `arrays`."""
        snippets = None
        if "snippets.data" in arrays:
            snippets = Strings(arrays["snippets.data"], arrays["snippets.ends"])
        ids = Strings(arrays["ids.data"], arrays["ids.ends"])
        fine = arrays.get("fine")
        return cls(codes=arrays["codes"], ids=ids, snippets=snippets, fine=fine, dead=dead)

    def arrays(self) -> dict[str, Array]:
        """Give what it holds by name, as it is written to disk; not which documents are dead."""
        made: dict[str, Array] = {"codes": self.codes}
        made |= {"ids.data": self.ids.data, "ids.ends": self.ids.ends}
        if self.snippets is not None:
            made |= {"snippets.data": self.snippets.data, "snippets.ends": self.snippets.ends}
        return made if self.fine is None else made | {"fine": self.fine}

    def __len__(self) -> int:
        """Count all rows, also of documents that were deleted."""
        return len(self.codes)

    @cached_property
    def living(self) -> int:
        """How many documents were not deleted."""
        return len(self) - (0 if self.dead is None else int(np.count_nonzero(self.dead)))

    def cut(self, rows: slice) -> "Segment":
        """Give some consecutive rows, without copying them."""
        return Segment(
            codes=self.codes[rows],
            ids=self.ids.cut(rows),
            snippets=None if self.snippets is None else self.snippets.cut(rows),
            fine=None if self.fine is None else self.fine[rows],
            dead=None if self.dead is None else self.dead[rows],
        )

    def take(self, rows: Int64[Array, " m"]) -> "Segment":
        """Give some rows, dead or not, in the order in which they are named."""
        return Segment(
            codes=self.codes[rows],
            ids=self.ids.take(rows),
            snippets=None if self.snippets is None else self.snippets.take(rows),
            fine=None if self.fine is None else self.fine[rows],
            dead=None if self.dead is None else self.dead[rows],
        )

    def living_parts(self) -> "Iterator[Segment]":
        """Give the documents that were not deleted, some at a time."""
        for rows in blocks(len(self), _ROWS):
            part = self.cut(rows)
            if part.dead is None:
                yield part
            elif part.living:
                kept = ~part.dead
                yield Segment(
                    codes=part.codes[kept],
                    ids=part.ids.keep(kept),
                    snippets=None if part.snippets is None else part.snippets.keep(kept),
                    fine=None if part.fine is None else part.fine[kept],
                )

    def without(self, rows: Int64[Array, " m"]) -> "Segment":
        """Give the same segment with these rows dead too."""
        dead = np.zeros(len(self), bool) if self.dead is None else self.dead.copy()
        dead[rows] = True
        return replace(self, dead=dead)

    def find(self, ids: Strings) -> Int64[Array, " found"]:
        """Say in which rows the living documents of these ids stand."""
        rows = self.ids.find(ids)
        return rows if self.dead is None else rows[~self.dead[rows]]


def check_codes(codec: Codec, codes: Array, *, name: str = "codes") -> None:
    """Make sure that codes are as long as the codec's.

    Raises:
        ShapeError: they are not.
    """
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != codec.code_bytes:
        raise ShapeError(
            f"the {name} of this index are rows of {codec.code_bytes} bytes, got {codes.dtype} of "
            f"shape {codes.shape}: were they made by the same codec?"
        )


def check_living(segments: Sequence[Segment]) -> None:
    """Make sure that not all documents were deleted.

    Raises:
        DataError: they were.
    """
    if not any(segment.living for segment in segments):
        raise DataError("all documents of this index were deleted: add some first")


def check_different(ids: Strings) -> None:
    """Make sure that ids are all different.

    Raises:
        DataError: one stands for two documents.
    """
    if twice := ids.repeated():
        raise DataError(f"{named(twice)} stands for two documents: give each an id of its own")


def named(ids: Sequence[str]) -> str:
    """Name the first of some ids, for a sentence."""
    return f"the id {ids[0]!r}" + (f" (and {len(ids) - 1} more)" if len(ids) > 1 else "")


def taken(ids: Strings, segments: Sequence[Segment]) -> list[str]:
    """List those ids that living documents of some segments have."""
    return [segment.ids[int(row)] for segment in segments for row in segment.find(ids)]
