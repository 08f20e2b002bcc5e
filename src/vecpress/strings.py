"""Many strings in two arrays: ids and snippets that can stay on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Int64, UInt8

from vecpress.arrays import Array, blocks


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
        for rows in blocks(len(strings), 65536):  # bounds what is there as Python objects
            encoded = [
                strings[i].encode(errors="surrogatepass") for i in range(rows.start, rows.stop)
            ]
            lengths[rows] = [len(e) for e in encoded]
            parts.append(b"".join(encoded))
        return cls(np.frombuffer(b"".join(parts), np.uint8), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> str:
        start = int(self.ends[i - 1]) if i else 0
        return self.data[start : int(self.ends[i])].tobytes().decode(errors="surrogatepass")
