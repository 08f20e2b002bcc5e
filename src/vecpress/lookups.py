"""From a codec's tables to what kernel.c looks up: what each byte of a code adds to a score."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from vecpress import kernel
from vecpress.arrays import Array
from vecpress.stages import Codec


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookups:
    """Tables per byte of a code, or per half byte where every coordinate depends on one half only.

    Attributes:
        tables: What each value of a byte, or of its low half and then of its high one, stands for:
            coordinates whose sum over a code's bytes is the decoded code. `e` is 256, or 2 x 16.
        squares: Their squared norms; a decoded code's is the sum over its bytes.
        groups: Numbers in a code.
        bits: Of a number, as it is stored.
        wide: Of a number, as it is looked up: more where it would lie across bytes.
    """

    tables: Float32[Array, "code_bytes e w"]
    squares: Float32[Array, " entries"]
    groups: int
    bits: int
    wide: int

    @classmethod
    def of(cls, codec: Codec) -> "Lookups | None":
        """Prepare a codec; None if its codes are no numbers to be looked up."""
        tables = codec.tables()
        if tables is None or tables.shape[1] > 256:
            return None
        groups, cells, width = tables.shape
        bits = cells.bit_length() - 1
        wide = bits if 8 % bits == 0 else 4 if bits < 4 else 8
        if -(-groups * wide // 8) > kernel.MOST_BYTES:
            return None
        padded = np.zeros((groups, 2**wide, width), np.float32)
        padded[:, :cells] = tables
        joined = _join(padded)
        halves = _halves(joined)
        kept = np.ascontiguousarray(joined if halves is None else halves)
        squares = np.einsum("bew,bew->be", kept, kept).ravel()
        return cls(tables=kept, squares=squares, groups=groups, bits=bits, wide=wide)

    def laid_out(self, codes: UInt8[Array, "n code_bytes"]) -> UInt8[Array, "n wider"]:
        """Give codes as they are looked up: these, or a wider copy."""
        if self.wide == self.bits:
            return codes
        return kernel.spread(codes, self.bits, self.groups, wide=self.wide)

    @property
    def level(self) -> int:
        """What `kernel.level()` must be for these."""
        return 1 if self.cells == 16 else 2

    @property
    def cells(self) -> int:
        """Entries of a table: 16 for half bytes, 256 for bytes."""
        return 16 if self.tables.shape[1] == 32 else 256

    @property
    def query_bytes(self) -> int:
        """Bytes of one query's rounded tables."""
        return self.tables.shape[0] * self.tables.shape[1]

    def ask(self, queries: Float32[Array, "q e"]) -> kernel.Asked:
        """Multiply queries, in the codec's space, with the tables, and round to 8 bits."""
        size, _, width = self.tables.shape
        placed = np.zeros((len(queries), size * width), np.float32)
        placed[:, : queries.shape[1]] = queries
        return kernel.ask(self.tables, placed.reshape(-1, size, width))


def _join(tables: Float32[Array, "m k w"]) -> Float32[Array, "code_bytes 256 v"]:
    """Join as many groups as fit into one byte: the Cartesian product of their entries."""
    groups, cells, width = tables.shape
    bits = cells.bit_length() - 1
    per_byte = 8 // bits
    padded = np.zeros((-(-groups // per_byte) * per_byte, cells, width), np.float32)
    padded[:groups] = tables
    numbers = np.arange(256)
    parts = [padded[i::per_byte][:, (numbers >> (i * bits)) % cells] for i in range(per_byte)]
    return np.concatenate(parts, axis=2)


def _halves(joined: Float32[Array, "b 256 v"]) -> Float32[Array, "b 32 v"] | None:
    """Split bytes in halves, if every coordinate depends on one of them only."""
    numbers = np.arange(256)
    of_low: Bool[Array, "b v"] = (joined == joined[:, numbers & 15]).all(axis=1)
    of_high = (joined == joined[:, numbers & 240]).all(axis=1)
    if not (of_low | of_high).all():
        return None
    low = np.where(of_low[:, None], joined[:, :16], np.float32(0))
    high = np.where(of_low[:, None], np.float32(0), joined[:, ::16])
    return np.concatenate([low, high], axis=1)
