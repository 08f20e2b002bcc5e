"""Many strings in two arrays: ids and snippets that can stay on disk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from vecpress.arrays import Array


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
        encoded = [s.encode(errors="surrogatepass") for s in strings]
        ends = np.cumsum([len(e) for e in encoded], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> str:
        start = int(self.ends[i - 1]) if i else 0
        return self.data[start : int(self.ends[i])].tobytes().decode(errors="surrogatepass")
