"""Many strings in two arrays: ids and snippets that can stay on disk.

Which of a million ids is among some others is found by 64-bit hashes, all made at once; what the
hashes say is then checked on the strings themselves.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import overload

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt64

from vecpress.arrays import Array, blocks

_ROWS = 65536  # strings looked at together; bounds what is there beside the arrays


class Numbers(Sequence[str]):
    """The ids of rows that have no name: "0", "1", ... without a list of them."""

    def __init__(self, count: int) -> None:
        """Count from 0 up to, not including, `count`."""
        self._range = range(count)

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[str]: ...
    def __getitem__(self, i: int | slice) -> str | Sequence[str]:
        chosen = self._range[i]
        return str(chosen) if isinstance(chosen, int) else [str(number) for number in chosen]


@dataclass(frozen=True, eq=False)
class Strings:
    """Many strings as two arrays, so that they can stay on disk.

    Attributes:
        data: All of them in UTF-8, one after the other.
        ends: Where each one ends.
    """

    data: UInt8[Array, " bytes"]
    ends: Int64[Array, " n"]

    @classmethod
    def of(cls, strings: Sequence[str]) -> "Strings":
        """Pack strings."""
        parts, lengths = [], np.empty(len(strings), np.int64)
        for rows in blocks(len(strings), _ROWS):
            some = [strings[i] for i in range(rows.start, rows.stop)]
            joined = "".join(some)
            if not joined.isascii():  # else a character is a byte
                some = [string.encode(errors="surrogatepass") for string in some]
            lengths[rows] = list(map(len, some))
            parts.append(joined.encode(errors="surrogatepass"))
        return cls(np.frombuffer(b"".join(parts), np.uint8), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> str:
        start = int(self.ends[i - 1]) if i else 0
        return self.data[start : int(self.ends[i])].tobytes().decode(errors="surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def pick(self, rows: Int64[Array, " m"]) -> list[str]:
        """Give the strings of some rows, in that order: faster than one after the other."""
        ends = self.ends[rows].tolist()
        starts = np.where(rows > 0, self.ends[rows - 1], 0).tolist()
        parts = (self.data[a:b].tobytes() for a, b in zip(starts, ends, strict=True))
        return [part.decode(errors="surrogatepass") for part in parts]

    @classmethod
    def join(cls, parts: "Sequence[Strings]") -> "Strings":
        """Put one after the other."""
        ends, start = [], 0
        for part in parts:
            ends.append(part.ends + start)
            start += len(part.data)
        return cls(np.concatenate([part.data for part in parts]), np.concatenate(ends))

    def cut(self, rows: slice) -> "Strings":
        """Give consecutive strings; nothing is copied but where they end."""
        start = int(self.ends[rows.start - 1]) if rows.start else 0
        ends = np.asarray(self.ends[rows]) - start
        return Strings(self.data[start : start + int(ends[-1]) if len(ends) else start], ends)

    def keep(self, kept: Bool[Array, " n"]) -> "Strings":
        """Give the strings that are to be kept, in their order."""
        lengths = np.diff(self.ends, prepend=0)
        return Strings(self.data[np.repeat(kept, lengths)], np.cumsum(lengths[kept]))

    def take(self, rows: Int64[Array, " m"]) -> "Strings":
        """Give some strings in the order in which their rows are named."""
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        lengths = self.ends[rows] - starts
        made = np.cumsum(lengths)
        places = np.arange(int(made[-1]) if len(rows) else 0)
        return Strings(self.data[places + np.repeat(starts - (made - lengths), lengths)], made)

    def size(self, dropped: Bool[Array, " n"] | None = None) -> int:
        """Count the bytes of all strings but those that are dropped."""
        if dropped is None:
            return int(self.ends[-1]) if len(self) else 0
        return int(np.diff(self.ends, prepend=0)[~dropped].sum())

    @cached_property
    def hashes(self) -> UInt64[Array, " n"]:
        """One number per string; equal strings have equal ones, others hardly ever."""
        made = np.empty(len(self), np.uint64)
        for rows in blocks(len(self), _ROWS):
            made[rows] = _hash(self.cut(rows))
        return made

    def repeated(self) -> list[str]:
        """Name the strings that occur more than once, in the order of their first occurrence."""
        order = np.argsort(self.hashes, kind="stable")
        same = self.hashes[order][1:] == self.hashes[order][:-1]
        rows = np.union1d(order[1:][same], order[:-1][same])
        return [
            name for name, count in Counter(self[i] for i in rows.tolist()).items() if count > 1
        ]

    def find(self, wanted: "Strings") -> Int64[Array, " found"]:
        """Say which rows hold one of the wanted strings."""
        rows = np.flatnonzero(among(self.hashes, np.sort(wanted.hashes)))
        asked = np.flatnonzero(among(wanted.hashes, np.sort(self.hashes[rows])))
        names = {wanted[i] for i in asked.tolist()}
        return np.array([i for i in rows.tolist() if self[i] in names], np.int64)


class Joined(Sequence[str]):
    """Strings that lie in several places, numbered through."""

    def __init__(self, parts: Sequence[Strings]) -> None:
        """Number through what the parts hold."""
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[str]: ...
    def __getitem__(self, i: int | slice) -> str | Sequence[str]:
        if isinstance(i, slice):
            return [self[row] for row in range(*i.indices(len(self)))]
        row = range(len(self))[i]
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._parts[part][row - int(self._starts[part])]

    def pick(self, rows: Int64[Array, " m"]) -> list[str]:
        """Give the strings of some rows, in that order: faster than one after the other."""
        places = np.searchsorted(self._starts, rows, side="right") - 1
        picked = [""] * len(rows)
        for place in np.unique(places).tolist():
            here = np.flatnonzero(places == place)
            found = self._parts[place].pick(rows[here] - self._starts[place])
            for i, name in zip(here.tolist(), found, strict=True):
                picked[i] = name
        return picked


def among(hashes: UInt64[Array, " n"], ascending: UInt64[Array, " m"]) -> Bool[Array, " n"]:
    """Say of each number whether it is one of those in ascending order."""
    if not len(ascending):
        return np.zeros(len(hashes), bool)
    places = np.searchsorted(ascending, hashes)
    return ascending[np.minimum(places, len(ascending) - 1)] == hashes


def _hash(strings: Strings) -> UInt64[Array, " n"]:
    """Sum a random number for each byte times one for its place, in 64 bits."""
    lengths = np.diff(strings.ends, prepend=0)
    starts = strings.ends - lengths
    places = np.arange(len(strings.data)) - np.repeat(starts, lengths)
    numbers, factor = _numbers()
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, factor), dtype=np.uint64)
    made = np.zeros(len(strings), np.uint64)
    full = np.flatnonzero(lengths)
    if len(full):
        made[full] += np.add.reduceat(numbers[strings.data] * powers[places], starts[full])
    return made


@cache
def _numbers() -> tuple[UInt64[Array, "256"], np.uint64]:
    drawn = np.random.default_rng(0).integers(2**64 - 1, size=257, dtype=np.uint64)
    return drawn[:256], drawn[256] | np.uint64(1)
