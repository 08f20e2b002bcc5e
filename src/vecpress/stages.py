"""READ FIRST. The stages of the pipeline, as the promises they make to each other.

    texts --Encoder.encode--> embeddings --Head.compress--> embeddings --Codec.quantize--> codes
                              Compressor.fit -> Head                     Quantizer.fit -> Codec

What you ask for is a frozen config (`Compressor`, `Quantizer`); `fit` turns it into what you
keep (`Head`, `Codec`). So nothing here is ever half-fitted.

The invariant at every border: **float32, C-contiguous, shape (n, d), rows of unit L2 norm; a zero
row stays zero.** Hence similarity is the inner product, higher is better, and the cosine of a
concatenation is the (weighted) mean of its blocks' cosines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ConfigError, ShapeError

Role = Literal["query", "document"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing: the `Progress` of a library."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into embeddings. Frozen: no stage ever trains it."""

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text could get another embedding; the cache key."""
        ...

    def encode(self, texts: Sequence[str], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order."""
        ...


@runtime_checkable
class FittedOnTexts(Protocol):
    """An encoder still to be fitted on the corpus it will encode (TF-IDF)."""

    def fit(self, texts: Sequence[str]) -> Encoder:
        """Learn the vocabulary of the texts."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """What a compressor may learn from; only `documents` is always there.

    Attributes:
        documents: Embeddings, possibly a memory map larger than memory.
        queries: Embeddings of training queries.
        positives: Rows (query index, document index): this document answers this query.
    """

    documents: Float32[Array, "n d"]
    queries: Float32[Array, "m d"] | None = None
    positives: Int64[Array, "p 2"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A fitted compressor: affine layers, an activation after each, rows of unit norm out.

    Every method fits one of these, so saving, exporting and serving know only this form. It is
    *nested*: its first `d` outputs, renormalized, are what `truncate(d)` gives.

    Attributes:
        weights: One matrix per layer, (out, in).
        biases: One vector per layer.
        activation: Applied after every layer but the last, and after the last if `activate_last`.
        slope: What negative values are multiplied with under "leaky_relu".
        activate_last: Whether the output passes through the activation too.
        layer_norm: Whether each input row is first centred and scaled to unit variance (LayerNorm
            without its affine part, which folds into the first layer).
        residual: Whether the first `dim` inputs are added to the output.
    """

    weights: tuple[Float32[Array, "_ _"], ...]
    biases: tuple[Float32[Array, " _"], ...]
    activation: Literal["identity", "relu", "leaky_relu"] = "identity"
    slope: float = 0.2
    activate_last: bool = False
    layer_norm: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        if not self.weights or len(self.weights) != len(self.biases):
            raise ConfigError(
                f"a head needs one bias per weight and at least one of each, got "
                f"{len(self.weights)} weights and {len(self.biases)} biases"
            )
        width = self.in_dim
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if weight.shape != (len(bias), width):
                raise ShapeError(
                    f"a layer that takes {width} dimensions and has a bias of {len(bias)} needs a "
                    f"weight of shape {(len(bias), width)}, got {weight.shape}"
                )
            width = len(bias)
        if self.activation not in ("identity", "relu", "leaky_relu"):
            raise ConfigError(
                f"activation must be identity, relu or leaky_relu, got {self.activation!r}"
            )
        if self.residual and self.dim > self.in_dim:
            raise ConfigError(
                f"a residual head cannot be wider than the {self.in_dim} dimensions it takes, "
                f"got {self.dim}"
            )

    @property
    def in_dim(self) -> int:
        """Width of the embeddings it takes."""
        return int(self.weights[0].shape[1])

    @property
    def dim(self) -> int:
        """Width of the embeddings it gives."""
        return int(self.weights[-1].shape[0])

    def compress(self, embeddings: Float32[Array, "n in_dim"]) -> Float32[Array, "n dim"]:
        """Map each row to `dim` dimensions of unit norm; a zero row stays zero.

        Raises:
            ShapeError: the rows are not `in_dim` wide.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.in_dim:
            got = embeddings.shape[-1] if embeddings.ndim == 2 else f"shape {embeddings.shape}"
            raise ShapeError(
                f"this head takes {self.in_dim}-dimensional embeddings, got {got}: was it fitted "
                "on the same encoders, in the same order?"
            )
        out = np.empty((len(embeddings), self.dim), np.float32)
        for rows in blocks(len(embeddings), 16384):
            out[rows] = self._map(np.asarray(embeddings[rows]))
        return out

    def _map(self, x: Float32[Array, "n in_dim"]) -> Float32[Array, "n dim"]:
        h = _layer_norm(x) if self.layer_norm else x
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = h @ weight.T + bias
            if i < len(self.weights) - 1 or self.activate_last:
                h = self._activate(h)
        if self.residual:
            h = h + x[:, : self.dim]
        h *= x.any(axis=1, keepdims=True)
        return normalize(h)

    def _activate(self, h: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
        if self.activation == "identity":
            return h
        slope = np.float32(self.slope if self.activation == "leaky_relu" else 0)
        return np.where(h > 0, h, slope * h)

    def truncate(self, dim: int) -> "Head":
        """Keep the first `dim` output dimensions.

        Raises:
            ConfigError: `dim` is not between 1 and `self.dim`.
        """
        if not 1 <= dim <= self.dim:
            raise ConfigError(f"dim must be between 1 and {self.dim}, got {dim}")
        return replace(
            self,
            weights=(*self.weights[:-1], self.weights[-1][:dim]),
            biases=(*self.biases[:-1], self.biases[-1][:dim]),
        )


def _layer_norm(x: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
    """Centre and scale each row (Ba et al. 2016, arXiv:1607.06450); eps as in PyTorch."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-5))


@runtime_checkable
class Compressor(Protocol):
    """A config that learns a `Head`."""

    @property
    def dim(self) -> int:
        """Width of the embeddings its head will give."""
        ...

    def fit(self, training: TrainingSet, *, seed: int = 0, progress: Progress = silent) -> Head:
        """Learn a head; the same seed and data give the same head."""
        ...


@runtime_checkable
class Codec(Protocol):
    """A fitted quantizer: embeddings to codes and back.

    A codec may code in a space of its own (a rotation of the embeddings). An index works there:
    `project(query) . decode(code)` is `query . dequantize(code)`, without turning every document
    back.
    """

    @property
    def dim(self) -> int:
        """Width of the embeddings it takes."""
        ...

    @property
    def code_bytes(self) -> int:
        """ALL bytes stored per vector: codes, norms, factors."""
        ...

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code."""
        ...

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        ...

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q e"]:
        """Turn float queries into the space the codes live in; inner products are kept."""
        ...

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n e"]:
        """Give what each code stands for in that space, NOT renormalized."""
        ...

    def tables(self) -> Float32[Array, "m k w"]:
        """Describe `decode` as table look-ups, the form in which codes are scanned fast.

        A code is `m` numbers of `log2(k)` bits each, lowest bits first; number `i` stands for the
        `w` coordinates `tables[i, number]`. Bits past the end of a code are 0, and so are
        coordinates past the last.
        """
        ...


@runtime_checkable
class Quantizer(Protocol):
    """A config that calibrates a `Codec`."""

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> Codec:
        """Calibrate a codec on embeddings like those it will see."""
        ...
