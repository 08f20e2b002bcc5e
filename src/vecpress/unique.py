"""Whether many names are all different, in memory that does not grow with their number."""

import tempfile
import weakref
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from vecpress.arrays import Array

_ROOM = 1 << 20  # hashes looked at together: 8 MiB, and as much again a few times
_TOLD = 1000  # of the hashes that occur twice


class Unique:
    """Names that were seen, as 8 bytes each in a temporary file.

    Two names may have one hash: what `repeated` gives is to be looked at again.
    """

    def __init__(self, *, room: int = _ROOM) -> None:
        """Look at most at about `room` names together."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        self._room = room
        self._number = 0

    def add(self, names: Sequence[str]) -> None:
        """Take more names in."""
        self._file.write(_hashes(names).tobytes())
        self._number += len(names)

    def repeated(self) -> frozenset[int]:
        """Give hashes that occur twice, a thousand at most; none if all names are different."""
        found: list[int] = []
        parts = -(-self._number // self._room)
        for part in range(parts):
            hashes = np.sort(np.concatenate([c[c % parts == part] for c in self._chunks()]))
            found += hashes[1:][hashes[1:] == hashes[:-1]][:_TOLD].tolist()
            if len(found) >= _TOLD:
                break
        return frozenset(found[:_TOLD])

    def _chunks(self) -> Iterable[Int64[Array, " n"]]:
        self._file.seek(0)
        while part := self._file.read(8 * self._room):
            yield np.frombuffer(part, np.int64)


def first_repeated(names: Iterable[str], among: frozenset[int]) -> str | None:
    """Give the first name that stands twice, looking only at those with one of these hashes."""
    seen = set()
    for name in names:
        if hash(name) in among:
            if name in seen:
                return name
            seen.add(name)
    return None


def _hashes(names: Sequence[str]) -> Int64[Array, " n"]:
    return np.fromiter(map(hash, names), np.int64, len(names))
