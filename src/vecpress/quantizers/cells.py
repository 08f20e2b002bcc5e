"""What every scalar quantizer fits: borders and levels per dimension, and how they are found."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from vecpress.arrays import Array, blocks, normalize, pack, unpack
from vecpress.errors import ConfigError
from vecpress.quantizers.checks import check_codes, check_embeddings
from vecpress.sketches import Histogram

_ROWS = 16384  # rows worked on at a time: bounds the temporaries
_VALUES = 2**16  # values compared at a time: they stay in a processor's own cache
_COLUMN = 2048  # values of a dimension looked up at a time
_GRID = 4096  # places of a dimension's range
_FEW = 1024  # rows for which no grid is worth making
_NARROW = np.float32(1e-30)  # borders this close have no grid


@dataclass(frozen=True, kw_only=True, eq=False)
class ScalarCodec:
    """Cell borders and the value each cell stands for, per dimension.

    A cell holds its lower border. Codes are decoded to levels and renormalized, and meet a float
    query. Comparing cell indices with each other, as the code behind arXiv:2510.04626 does, ranks
    worse at the same bytes.

    Attributes:
        borders: Where one cell ends and the next begins, ascending.
        levels: What a cell stands for.
        bits: Bits per dimension, 1 to 8; `2**bits` cells.
        rotation: Orthogonal matrix applied (from the right) before cutting, or None.
    """

    borders: Float32[Array, "d cuts"]
    levels: Float32[Array, "d cells"]
    bits: int
    rotation: Float32[Array, "d d"] | None = None

    @property
    def dim(self) -> int:
        """Width of the embeddings it takes."""
        return int(self.levels.shape[0])

    @property
    def code_bytes(self) -> int:
        """Bytes stored per vector: the packed cells, nothing else."""
        return -(-self.dim * self.bits // 8)

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code: the packed indices of its cells.

        Raises:
            ShapeError: the rows are not `dim` wide.
        """
        check_embeddings(embeddings, dim=self.dim)
        codes = np.empty((len(embeddings), self.code_bytes), np.uint8)
        for rows in blocks(len(embeddings), _ROWS):
            codes[rows] = pack(self._cells(self.project(embeddings[rows])), self.bits)
        return codes

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        decoded = self.decode(codes)
        return normalize(decoded if self.rotation is None else decoded @ self.rotation.T)

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q d"]:
        """Rotate, if the codec has a rotation."""
        return queries if self.rotation is None else queries @ self.rotation

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the level of each cell, neither rotated back nor renormalized.

        Raises:
            ShapeError: the codes are not `code_bytes` wide.
        """
        check_codes(codes, code_bytes=self.code_bytes)
        if 8 % self.bits == 0:  # a byte of the code is a row of a table
            numbers, tables = codes, self.tables()
        else:
            numbers, tables = unpack(codes, self.bits, self.dim), self.levels[:, :, None]
        groups, cells, width = tables.shape
        offsets = np.arange(groups, dtype=np.int32) * cells
        flat = tables.reshape(-1, width).take(numbers + offsets, axis=0)
        decoded = flat.reshape(len(codes), groups * width)
        return np.ascontiguousarray(decoded[:, : self.dim])

    def tables(self) -> Float32[Array, "m k w"]:
        """Join as many dimensions as fit into one byte: their levels' Cartesian product."""
        width = 8 // self.bits
        groups = -(-self.dim // width)
        levels = np.zeros((groups * width, 2**self.bits), np.float32)
        levels[: self.dim] = self.levels
        numbers = np.arange(2 ** (self.bits * width))
        tables = np.empty((groups, len(numbers), width), np.float32)
        for i in range(width):
            tables[:, :, i] = levels[i::width, (numbers >> (i * self.bits)) % 2**self.bits]
        return tables

    def coarser(self, bits: int) -> "ScalarCodec":
        """Read the same codes at fewer bits: the top bits of a cell index are the coarser cell.

        Exact for cells of equal mass, whose joint level is the mean of the levels.

        Raises:
            ConfigError: `bits` is not between 1 and `self.bits`.
        """
        self._check_bits(bits)
        step = 2 ** (self.bits - bits)
        borders = np.ascontiguousarray(self.borders[:, step - 1 :: step])
        levels = self.levels.reshape(self.dim, -1, step).mean(axis=2, dtype=np.float32)
        return replace(self, borders=borders, levels=inside(levels, borders), bits=bits)

    def coarsen(self, codes: UInt8[Array, "n code_bytes"], bits: int) -> UInt8[Array, "n b"]:
        """Turn this codec's codes into codes of `coarser(bits)`, without the embeddings.

        Raises:
            ConfigError: `bits` is not between 1 and `self.bits`.
            ShapeError: the codes are not `code_bytes` wide.
        """
        self._check_bits(bits)
        check_codes(codes, code_bytes=self.code_bytes)
        return pack(unpack(codes, self.bits, self.dim) >> np.uint8(self.bits - bits), bits)

    def _check_bits(self, bits: int) -> None:
        if not 1 <= bits <= self.bits:
            raise ConfigError(f"bits must be between 1 and {self.bits}, got {bits}")

    def _cells(self, x: Float32[Array, "n d"]) -> UInt8[Array, "n d"]:
        """Count the borders at or below each value."""
        cells = np.zeros(x.shape, np.uint8)
        if self.bits > 4:
            few = len(x) < _FEW
            counts = [_among(b) if few else _Places(b).count_below for b in self.borders]
            for rows in blocks(len(x), _COLUMN):
                for j, column in enumerate(np.ascontiguousarray(x[rows].T)):
                    cells[rows, j] = counts[j](column)
            return cells
        side = max(_VALUES // x.shape[1], 1)
        above = np.empty((min(side, len(x)), x.shape[1]), np.bool_)
        for rows in blocks(len(x), side):
            values, counted = x[rows], cells[rows]
            for border in self.borders.T:
                over = np.greater_equal(values, border, out=above[: len(values)])
                np.add(counted, over.view(np.uint8), out=counted)
        return cells


class _Places:
    """One dimension's borders by place: an even grid tells all but the last comparison.

    Rounding keeps order, so borders in places below a value's own are below it, and those above
    are above. What is left is to compare it with the border in its own place; where there are
    several, it is looked for among all.
    """

    def __init__(self, borders: Float32[Array, " cuts"]) -> None:
        self.borders = borders
        width = borders[-1] - borders[0]
        self.scale = np.float32(_GRID - 1) / width if width > _NARROW else np.float32(0)
        own = self._place(borders)
        there = np.bincount(own, minlength=_GRID)
        self.below = (np.cumsum(there) - there).astype(np.uint8)
        self.crowded = there > 1
        self.is_crowded = bool(self.crowded.any())
        self.first = np.full(_GRID, np.inf, np.float32)
        self.first[own[::-1]] = borders[::-1]

    def count_below(self, values: Float32[Array, " n"]) -> UInt8[Array, " n"]:
        """Count the borders at or below each value."""
        place = self._place(values)
        counted = self.below[place]
        counted += values >= self.first[place]
        if self.is_crowded:
            unsure = np.flatnonzero(self.crowded[place])
            counted[unsure] = np.searchsorted(self.borders, values[unsure], side="right")
        return counted

    def _place(self, values: Float32[Array, " n"]) -> Int64[Array, " n"]:
        place = (values - self.borders[0]) * self.scale
        return np.clip(place, 0, _GRID - 1, out=place).astype(np.intp)


def _among(borders: Float32[Array, " cuts"]) -> Callable[[Array], Array]:
    return lambda values: np.searchsorted(borders, values, side="right")


def sorted_columns(x: Float32[Array, "n d"], rotation: Array | None) -> Float32[Array, "d n"]:
    """Sort every dimension, of what a rotation makes of the rows if there is one."""
    return np.sort(np.ascontiguousarray((x if rotation is None else x @ rotation).T), axis=1)


def cell_means(
    columns: Float32[Array, "d n"], borders: Float32[Array, "d cuts"]
) -> Float32[Array, "d cells"]:
    """Average the sorted values of each cell; an empty cell gets its nearest border."""
    levels = np.empty((len(columns), borders.shape[1] + 1), np.float32)
    for j, (column, border) in enumerate(zip(columns, borders, strict=True)):
        ends = np.concatenate([[0], np.searchsorted(column, border, side="left"), [len(column)]])
        sums: Float64[Array, " ends"] = np.concatenate([[0.0], np.cumsum(column, dtype=float)])
        mass = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(mass, 1)
        lower = np.concatenate([border[:1], border])
        levels[j] = np.where(mass > 0, means, lower)
    return inside(levels, borders)


def histogram_means(
    histogram: Histogram, borders: Float32[Array, "d cuts"]
) -> Float32[Array, "d cells"]:
    """Do what `cell_means` does, for a stream; see `Histogram` for how near it comes."""
    means, masses = histogram.means(borders.astype(np.float64))
    lower = np.concatenate([borders[:, :1], borders], axis=1)
    return inside(np.where(masses > 0, means, lower).astype(np.float32), borders)


def inside(
    levels: Float32[Array, "d cells"], borders: Float32[Array, "d cuts"]
) -> Float32[Array, "d cells"]:
    """Undo what rounding pushed out of its cell: quantizing a level has to give that cell."""
    levels[:, 1:] = np.maximum(levels[:, 1:], borders)
    levels[:, :-1] = np.minimum(levels[:, :-1], np.nextafter(borders, np.float32(-np.inf)))
    return levels
