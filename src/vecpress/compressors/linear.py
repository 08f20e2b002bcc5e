"""Heads that need no training loop: truncation, random projection, PCA, power-scaled PCA."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vecpress.arrays import Array
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.sketches import Moments
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Keep the first `dim` dimensions: what Matryoshka models are made for."""

    dim: int

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Learn nothing."""
        return _linear(np.eye(_width(training, self.dim)), self.dim)


@dataclass(frozen=True, kw_only=True)
class RandomProjection:
    """Project on random orthogonal directions: the floor that any learned head must beat."""

    dim: int

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Draw the directions; the documents only tell the width."""
        width = _width(training, self.dim)
        gaussian = np.random.default_rng(seed).normal(size=(width, self.dim))
        return _linear(np.linalg.qr(gaussian)[0].T, self.dim)


@dataclass(frozen=True, kw_only=True)
class PCA:
    """Keep the `dim` leading eigenvectors of the documents' second moment, greatest first.

    On unit vectors this is, without a mean, the optimum of the similarity-matching loss of
    arXiv:2510.04626 for one width and a linear decoder.

    Attributes:
        dim: Directions kept.
        centre: Subtract the documents' mean, in the second moment and in the head. The textbook's
            choice, and a poor one where queries and documents have different means.
    """

    dim: int
    centre: bool = False

    def __post_init__(self) -> None:
        _check_dim(self.dim)

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Diagonalize the second moment, or the covariance."""
        _width(training, self.dim)
        spectrum = Spectrum.of(training, centre=self.centre)
        return spectrum.head(self.dim, gamma=0.0)


@dataclass(frozen=True, kw_only=True)
class PowerPCA:
    """PCA whose coordinate i is scaled by `lambda_i ** (-gamma / 2)`.

    Gamma 0 is PCA, 1 is whitening; between them, directions that all documents share count less.

    Attributes:
        dim: Directions kept.
        gamma: From 0 to 1.

    Source: spectral tempering, arXiv:2603.19339 (the power form; gamma is chosen elsewhere).
    """

    dim: int
    gamma: float = 0.25

    def __post_init__(self) -> None:
        _check_dim(self.dim)
        if not 0 <= self.gamma <= 1:
            raise ConfigError(f"gamma must be between 0 and 1, got {self.gamma}")

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Diagonalize the uncentred second moment and scale."""
        _width(training, self.dim)
        return Spectrum.of(training).head(self.dim, gamma=self.gamma)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Eigenvalues and eigenvectors of the documents' second moment, greatest first.

    One decomposition serves every width and every gamma.

    Attributes:
        values: Mean squared coordinate along each direction; at least 0.
        axes: One direction per row; signs fixed so that the same data give the same head.
        mean: What is subtracted first; zero if uncentred.
    """

    values: Float64[Array, " d"]
    axes: Float64[Array, "d d"]
    mean: Float64[Array, " d"]

    @classmethod
    def of(cls, training: TrainingSet, *, centre: bool = False) -> "Spectrum":
        """Decompose, reading the documents in blocks.

        Raises:
            ConfigError: there are no documents.
        """
        documents = training.documents
        if len(documents) == 0:
            raise ConfigError("PCA needs at least one document, got none")
        moments = Moments(documents.shape[1])
        moments.add(documents)
        return cls.of_moments(moments, centre=centre)

    @classmethod
    def of_moments(cls, moments: Moments, *, centre: bool = False) -> "Spectrum":
        """Decompose what a stream of documents left behind.

        Raises:
            ConfigError: it saw none.
        """
        mean = moments.mean() if centre else np.zeros(moments.dim)
        values, vectors = np.linalg.eigh(moments.second(centre=centre))
        axes = vectors[:, ::-1].T
        largest = np.abs(axes).argmax(axis=1)
        axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
        return cls(values=np.maximum(values[::-1], 0), axes=axes, mean=mean)

    def scale(self, dim: int, gamma: float) -> Float64[Array, " {dim}"]:
        """Give `lambda_i ** (-gamma / 2)` for the first `dim` directions, 1 for the greatest.

        Eigenvalues below a billionth of the greatest are noise, and count as that much.
        """
        floor = max(self.values[0] * 1e-9, np.finfo(np.float64).tiny)
        relative = np.maximum(self.values[:dim], floor) / max(self.values[0], floor)
        return relative ** (-gamma / 2)

    def head(self, dim: int, *, gamma: float) -> Head:
        """Keep `dim` directions, coordinate i scaled by `lambda_i ** (-gamma / 2)`."""
        weight = self.axes[:dim] * self.scale(dim, gamma)[:, None]
        return _linear(weight, dim, bias=-weight @ self.mean)


def _linear(weight: Array, dim: int, bias: Array | None = None) -> Head:
    bias = np.zeros(dim) if bias is None else bias
    return Head(
        weights=(np.ascontiguousarray(weight[:dim], np.float32),),
        biases=(bias[:dim].astype(np.float32),),
    )


def _check_dim(dim: int) -> None:
    if dim < 1:
        raise ConfigError(f"dim must be at least 1, got {dim}")


def _width(training: TrainingSet, dim: int) -> int:
    """Give the width of the documents, which a linear head cannot exceed."""
    width = int(training.documents.shape[1])
    if dim > width:
        raise ConfigError(f"dim must be at most the {width} dimensions of the input, got {dim}")
    return width
