"""Scalar quantizers: each dimension is coded on its own, by cutting its range into cells.

They differ only in where they cut; what they fit is always a `ScalarCodec`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError
from vecpress.head import LATER
from vecpress.quantizers.cells import (
    ScalarCodec,
    cell_means,
    histogram_means,
    inside,
    sorted_columns,
)
from vecpress.quantizers.checks import check_block, check_range, need_some
from vecpress.sketches import Histogram


@dataclass(frozen=True, kw_only=True)
class Percentile:
    """Equal-mass cells: every code is used equally often, whatever the distribution.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        rotate: Whether to rotate at random first, which spreads rogue dimensions.
        rotate_block: Dimensions turned together, so that the code of a prefix of whole blocks is a
            prefix of the code; None turns all together.

    Source: the percentile quantizer of arXiv:2510.04626; decoding to cell means is ours.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
        >>> Percentile(bits=4).fit(x).code_bytes  # 8 dimensions x 4 bits
        4
    """

    bits: int = 4
    rotate: bool = False
    rotate_block: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits", most=8)
        check_block(self.rotate_block, rotate=self.rotate)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Cut each dimension at its quantiles (linear interpolation between order statistics).

        Raises:
            ConfigError: there are fewer calibration embeddings than cells.
        """
        return equal_mass(calibration, self.bits, _rotation(self, calibration.shape[1], seed))

    def fit_histogram(self, histogram: Histogram, *, seed: int = 0) -> ScalarCodec:
        """Cut at the quantiles of a stream: borders are within a step of those of its rows.

        Args:
            histogram: With `rotate`, of rows that `random_rotation` has turned by this seed.
            seed: As in `fit`.

        Raises:
            ConfigError: it has seen fewer rows than there are cells.
        """
        _check_rows(histogram.count, self.bits)
        cuts = np.arange(1, 2**self.bits) / 2**self.bits
        borders = histogram.quantiles(cuts).astype(np.float32)
        return ScalarCodec(
            borders=borders,
            levels=histogram_means(histogram, borders),
            bits=self.bits,
            rotation=_rotation(self, histogram.dim, seed),
        )


@dataclass(frozen=True, kw_only=True)
class LloydMax:
    """The cells of least squared error: 1-d k-means in every dimension.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        rotate: As in `Percentile`.
        rotate_block: As in `Percentile`.
        iterations: Rounds of k-means, at most; it starts from cells of equal mass.

    Source: Lloyd 1982, Max 1960.
    """

    bits: int = 4
    rotate: bool = False
    rotate_block: int | None = field(default=None, metadata=LATER)
    iterations: int = 50

    def __post_init__(self) -> None:
        self._start()
        check_range(self.iterations, name="iterations")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Move borders midway between levels and levels to the means of their cells, in turn.

        Raises:
            ConfigError: there are fewer calibration embeddings than cells.
        """
        codec = self._start().fit(calibration, seed=seed)
        columns = sorted_columns(calibration, codec.rotation)
        return self._settled(codec, lambda borders: cell_means(columns, borders))

    def fit_histogram(self, histogram: Histogram, *, seed: int = 0) -> ScalarCodec:
        """Do the same for a stream, as `Percentile.fit_histogram`.

        Raises:
            ConfigError: it has seen fewer rows than there are cells.
        """
        codec = self._start().fit_histogram(histogram, seed=seed)
        return self._settled(codec, lambda borders: histogram_means(histogram, borders))

    def _settled(self, codec: ScalarCodec, means: Callable[[Array], Array]) -> ScalarCodec:
        borders, levels = codec.borders, codec.levels
        for _ in range(self.iterations):
            middles = (levels[:, 1:] + levels[:, :-1]) / 2
            if np.array_equal(middles, borders):
                break
            borders = np.ascontiguousarray(middles)
            levels = means(borders)
        return replace(codec, borders=borders, levels=levels)

    def _start(self) -> Percentile:
        return Percentile(bits=self.bits, rotate=self.rotate, rotate_block=self.rotate_block)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """The Lloyd-Max cells of a Gaussian, scaled to the second moment of each dimension.

    After a random rotation coordinates are nearly Gaussian, so nothing but d moments is learned:
    little calibration is needed. The scalar quantizer of TurboQuant.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        rotate: Whether to rotate at random first, as the source does.
        rotate_block: As in `Percentile`.

    Source: arXiv:2504.19874, its mean-squared-error variant.
    """

    bits: int = 4
    rotate: bool = True
    rotate_block: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        Percentile(bits=self.bits, rotate=self.rotate, rotate_block=self.rotate_block)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Measure the moments, and scale the cells.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        rotation = _rotation(self, calibration.shape[1], seed)
        columns = sorted_columns(calibration, rotation)
        scale = np.sqrt((columns.astype(np.float64) ** 2).mean(axis=1))[:, None]
        scale = np.maximum(scale, np.finfo(np.float32).tiny * 1e6)
        borders, levels = gaussian_cells(self.bits)
        cut = (borders * scale).astype(np.float32)
        return ScalarCodec(
            borders=cut,
            levels=inside((levels * scale).astype(np.float32), cut),
            bits=self.bits,
            rotation=rotation,
        )


@dataclass(frozen=True, kw_only=True)
class Binary:
    """One bit per dimension, cut at zero (`Percentile(bits=1)` cuts at the median).

    Attributes:
        rotate: Whether to rotate at random first, as RaBitQ does (arXiv:2405.12497).
        rotate_block: As in `Percentile`.
    """

    rotate: bool = False
    rotate_block: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        check_block(self.rotate_block, rotate=self.rotate)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Each half's level is its mean, the least-squares estimate of what fell there.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        rotation = _rotation(self, calibration.shape[1], seed)
        columns = sorted_columns(calibration, rotation)
        borders = np.zeros((len(columns), 1), np.float32)
        levels = cell_means(columns, borders)
        return ScalarCodec(borders=borders, levels=levels, bits=1, rotation=rotation)


@dataclass(frozen=True, kw_only=True)
class Int8:
    """256 cells of equal width between the smallest and the largest calibration value."""

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """A cell's level is its middle; values outside the range go to the outermost cells.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        low = calibration.min(axis=0).astype(np.float64)[:, None]
        step = (calibration.max(axis=0).astype(np.float64)[:, None] - low) / 256
        step = np.maximum(step, np.maximum(np.abs(low), 1e-6) * 1e-6)  # a constant dimension
        borders = (low + step * np.arange(1, 256)).astype(np.float32)
        levels = (low + step * (np.arange(256) + 0.5)).astype(np.float32)
        return ScalarCodec(borders=borders, levels=levels, bits=8)


def gaussian_cells(bits: int) -> tuple[Float64[Array, " cuts"], Float64[Array, " cells"]]:
    """Solve for the cells of least squared error of N(0, 1): Lloyd's rounds on its density."""
    x = np.linspace(-8, 8, 200_001)
    mass = np.concatenate([[0.0], np.cumsum(np.exp(-(x**2) / 2))])
    moment = np.concatenate([[0.0], np.cumsum(x * np.exp(-(x**2) / 2))])
    # Many cells lie as the cube root of the density does (Panter and Dite 1951): a near start.
    spread = np.cumsum(np.exp(-(x**2) / 6))
    borders = x[np.searchsorted(spread, np.arange(1, 2**bits) / 2**bits * spread[-1])]
    for _ in range(1000):
        ends = np.concatenate([[0], np.searchsorted(x, borders), [len(x)]])
        levels = np.diff(moment[ends]) / np.maximum(np.diff(mass[ends]), 1e-300)
        middles = (levels[1:] + levels[:-1]) / 2
        if np.abs(middles - borders).max(initial=0) < 1e-7:
            break
        borders = middles
    return borders, levels


def equal_mass(
    calibration: Float32[Array, "n d"], bits: int, rotation: Float32[Array, "d d"] | None
) -> ScalarCodec:
    """Cut each dimension, of what a rotation makes of the rows if there is one, at its quantiles.

    Raises:
        ConfigError: there are fewer calibration embeddings than cells.
    """
    _check_rows(len(calibration), bits)
    columns = sorted_columns(calibration, rotation)
    cuts = np.arange(1, 2**bits) / 2**bits
    borders = np.quantile(columns, cuts, axis=1).T.astype(np.float32)
    return ScalarCodec(
        borders=np.ascontiguousarray(borders),
        levels=cell_means(columns, borders),
        bits=bits,
        rotation=rotation,
    )


def _check_rows(n: int, bits: int) -> None:
    if n < 2**bits:
        raise ConfigError(
            f"{bits}-bit cells need at least {2**bits} calibration embeddings, "
            f"got {n}: give more documents, or ask for fewer bits"
        )


def random_rotation(dim: int, seed: int, *, block: int | None = None) -> Float32[Array, "dim dim"]:
    """Draw an orthogonal matrix uniformly (Mezzadri 2007, arXiv:math-ph/0609050).

    Args:
        dim: Its width.
        seed: Of the draw.
        block: Dimensions turned together, the last block taking what is left; None for all. A
            prefix of whole blocks is drawn alike whatever follows.
    """
    rng, rotation = np.random.default_rng(seed), np.zeros((dim, dim), np.float32)
    for rows in blocks(dim, block or dim):
        width = rows.stop - rows.start
        q, r = np.linalg.qr(rng.normal(size=(width, width)))
        rotation[rows, rows] = q * np.sign(np.diag(r))
    return rotation


def _rotation(
    asked: Percentile | Gaussian | Binary, dim: int, seed: int
) -> Float32[Array, "dim dim"] | None:
    if not asked.rotate:
        return None
    return random_rotation(dim, seed, block=asked.rotate_block)
