"""Scalar quantizers: each dimension is coded on its own, by cutting its range into cells.

They differ only in where they cut; what they fit is always a `ScalarCodec`.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from vecpress.arrays import Array, blocks, normalize, pack, unpack
from vecpress.errors import ConfigError, ShapeError

_ROWS = 16384  # rows worked on at a time: bounds the temporaries


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
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dim:
            raise ShapeError(
                f"this codec takes {self.dim}-dimensional embeddings, got shape "
                f"{embeddings.shape}: was it calibrated on the same head, at the same width?"
            )
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
        self._check(codes)
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
        return replace(self, borders=borders, levels=_inside(levels, borders), bits=bits)

    def coarsen(self, codes: UInt8[Array, "n code_bytes"], bits: int) -> UInt8[Array, "n b"]:
        """Turn this codec's codes into codes of `coarser(bits)`, without the embeddings.

        Raises:
            ConfigError: `bits` is not between 1 and `self.bits`.
            ShapeError: the codes are not `code_bytes` wide.
        """
        self._check_bits(bits)
        self._check(codes)
        return pack(unpack(codes, self.bits, self.dim) >> np.uint8(self.bits - bits), bits)

    def _check(self, codes: Array) -> None:
        if codes.ndim != 2 or codes.shape[1] != self.code_bytes:
            raise ShapeError(
                f"this codec's codes are {self.code_bytes} bytes wide, got shape {codes.shape}: "
                "were they made by another artifact?"
            )

    def _check_bits(self, bits: int) -> None:
        if not 1 <= bits <= self.bits:
            raise ConfigError(f"bits must be between 1 and {self.bits}, got {bits}")

    def _cells(self, x: Float32[Array, "n d"]) -> UInt8[Array, "n d"]:
        """Count the borders at or below each value."""
        cells = np.zeros(x.shape, np.uint8)
        if self.bits <= 4:
            for border in self.borders.T:
                cells += x >= border
            return cells
        for j, column in enumerate(np.ascontiguousarray(x.T)):
            cells[:, j] = np.searchsorted(self.borders[j], column, side="right")
        return cells


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """Equal-mass cells: every code is used equally often, whatever the distribution.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        rotate: Whether to rotate at random first, which spreads rogue dimensions.

    Source: the percentile quantizer of arXiv:2510.04626; decoding to cell means is ours.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
        >>> Percentile(bits=4).fit(x).code_bytes  # 8 dimensions x 4 bits
        4
    """

    bits: int = 4
    rotate: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ConfigError(f"bits must be between 1 and 8, got {self.bits}")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Cut each dimension at its quantiles (linear interpolation between order statistics).

        Raises:
            ConfigError: there are fewer calibration embeddings than cells.
        """
        cells = 2**self.bits
        if len(calibration) < cells:
            raise ConfigError(
                f"{self.bits}-bit cells need at least {cells} calibration embeddings, "
                f"got {len(calibration)}: give more documents, or ask for fewer bits"
            )
        rotation = random_rotation(calibration.shape[1], seed) if self.rotate else None
        columns = _sorted_columns(calibration, rotation)
        cuts = np.arange(1, cells) / cells
        borders = np.quantile(columns, cuts, axis=1).T.astype(np.float32)
        return ScalarCodec(
            borders=np.ascontiguousarray(borders),
            levels=_cell_means(columns, borders),
            bits=self.bits,
            rotation=rotation,
        )


@dataclass(frozen=True, kw_only=True)
class Binary:
    """One bit per dimension, cut at zero (`Percentile(bits=1)` cuts at the median).

    Attributes:
        rotate: Whether to rotate at random first, as RaBitQ does (arXiv:2405.12497).
    """

    rotate: bool = False

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Each half's level is its mean, the least-squares estimate of what fell there.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        _need_some(calibration)
        rotation = random_rotation(calibration.shape[1], seed) if self.rotate else None
        columns = _sorted_columns(calibration, rotation)
        borders = np.zeros((len(columns), 1), np.float32)
        levels = _cell_means(columns, borders)
        return ScalarCodec(borders=borders, levels=levels, bits=1, rotation=rotation)


@dataclass(frozen=True, kw_only=True)
class Int8:
    """256 cells of equal width between the smallest and the largest calibration value."""

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """A cell's level is its middle; values outside the range go to the outermost cells.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        _need_some(calibration)
        low = calibration.min(axis=0).astype(np.float64)[:, None]
        step = (calibration.max(axis=0).astype(np.float64)[:, None] - low) / 256
        step = np.maximum(step, np.maximum(np.abs(low), 1e-6) * 1e-6)  # a constant dimension
        borders = (low + step * np.arange(1, 256)).astype(np.float32)
        levels = (low + step * (np.arange(256) + 0.5)).astype(np.float32)
        return ScalarCodec(borders=borders, levels=levels, bits=8)


def random_rotation(dim: int, seed: int) -> Float32[Array, "dim dim"]:
    """Draw an orthogonal matrix uniformly (Mezzadri 2007, arXiv:math-ph/0609050)."""
    gaussian = np.random.default_rng(seed).normal(size=(dim, dim))
    q, r = np.linalg.qr(gaussian)
    return np.ascontiguousarray(q * np.sign(np.diag(r)), dtype=np.float32)


def _need_some(calibration: Array) -> None:
    if not len(calibration):
        raise ConfigError("a quantizer needs at least 1 calibration embeddings, got 0")


def _sorted_columns(x: Float32[Array, "n d"], rotation: Array | None) -> Float32[Array, "d n"]:
    return np.sort(np.ascontiguousarray((x if rotation is None else x @ rotation).T), axis=1)


def _cell_means(
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
    return _inside(levels, borders)


def _inside(
    levels: Float32[Array, "d cells"], borders: Float32[Array, "d cuts"]
) -> Float32[Array, "d cells"]:
    """Undo what rounding pushed out of its cell: quantizing a level has to give that cell."""
    levels[:, 1:] = np.maximum(levels[:, 1:], borders)
    levels[:, :-1] = np.minimum(levels[:, :-1], np.nextafter(borders, np.float32(-np.inf)))
    return levels
