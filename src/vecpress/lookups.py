"""From a codec's tables to what kernel.c looks up: what each byte of a code adds to a score."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int32, Shaped, UInt8

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
    """

    tables: Float32[Array, "code_bytes e w"]
    squares: Float32[Array, " entries"]

    @classmethod
    def of(cls, codec: Codec) -> "Lookups | None":
        """Prepare a codec; None if its codes are no whole parts of bytes to be looked up."""
        tables = codec.tables()
        if tables is None or tables.shape[1] not in (2, 4, 16, 256):
            return None
        if codec.code_bytes > kernel.MOST_BYTES:
            return None
        joined = _join(tables)
        halves = _halves(joined)
        kept = np.ascontiguousarray(joined if halves is None else halves)
        squares = np.einsum("bew,bew->be", kept, kept).ravel()
        return cls(tables=kept, squares=squares)

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
        size, entries, width = self.tables.shape
        wide = np.zeros((len(queries), size * width), np.float32)
        wide[:, : queries.shape[1]] = queries
        placed = wide.reshape(-1, size, width).transpose(1, 2, 0)
        # The queries stand last until the end: what is done for each goes over many at once.
        exact = (self.tables @ placed).reshape(-1, self.cells, len(queries))
        low, high = exact.min(axis=1), exact.max(axis=1)
        widest = np.maximum((high - low).max(axis=0), np.float32(1e-30))
        step = widest / np.float32(255 * 2 ** (kernel.POWERS - 1))
        needed = np.maximum((high - low) / (255 * step), 1)
        power = np.clip(np.ceil(np.log2(needed) - 1e-6), 0, kernel.POWERS - 1).astype(np.int8)
        steps = (step * np.exp2(power.astype(np.float32)))[:, None]
        above = exact - low[:, None]
        rounded = np.minimum(np.rint(above / steps), 255)
        off = np.abs(above - rounded * steps).max(axis=1)
        largest = np.maximum(np.abs(low), np.abs(high)).sum(axis=0)
        error = off.sum(axis=0) + np.float32(1e-5) * largest  # and what float sums may be off
        weights = np.exp2(power).astype(np.uint8)
        halves = entries // self.cells
        return kernel.Asked(
            cells=self.cells,
            tables=_laid_out(rounded.astype(np.uint8), halves),
            weights=_laid_out(weights[:, None], halves),
            order=np.argsort(power.T, axis=1, kind="stable").astype(np.uint16),
            bounds=_bounds(power.T),
            exact=_by_query(exact),
            scale=np.stack([step, low.sum(axis=0), error], axis=1).astype(np.float32),
        )


def _by_query(values: Shaped[Array, "g c q"]) -> Shaped[Array, "q entries"]:
    return np.ascontiguousarray(values.reshape(-1, values.shape[2]).T)


def _laid_out(values: UInt8[Array, "g c q"], halves: int) -> UInt8[Array, "q padded"]:
    """Pad to whole 16 bytes of a code, and put the low halves of four bytes before the high."""
    groups, cells, count = values.shape
    padded = np.zeros((-(-groups // (16 * halves)) * 16 * halves, cells, count), np.uint8)
    padded[:groups] = values
    fours = padded.reshape(-1, 4, halves, cells, count).transpose(0, 2, 1, 3, 4)
    return _by_query(np.ascontiguousarray(fours).reshape(-1, cells, count))


def _bounds(power: Int8[Array, "q g"]) -> Int32[Array, "q powers"]:
    """Say where each power begins among a query's groups in order, and where the last one ends."""
    found = [np.zeros(len(power), np.int64)]
    found += [np.count_nonzero(power <= most, axis=1) for most in range(kernel.POWERS)]
    return np.ascontiguousarray(np.stack(found, axis=1).astype(np.int32))


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
