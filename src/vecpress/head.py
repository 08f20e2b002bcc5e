"""What every compressor ends as: a short stack of affine layers, saved and served alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ConfigError, ShapeError

LATER = {"later": True}
"""Marks a field that format 1 began without: it is stored only where it is not None."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A fitted compressor: affine layers, an activation after each, rows of unit norm out.

    Every method fits one of these, so saving, exporting and serving know only this form.
    `truncate(d)` gives the head for `d` dimensions. In a *nested* head that is the same as keeping
    the first `d` outputs and renormalizing; a *chained* head has maps of its own for some narrower
    widths, and there it is not.

    Attributes:
        weights: One matrix per layer, (out, in).
        biases: One vector per layer.
        activation: Applied after every layer but the last, and after the last if `activate_last`.
        slope: What negative values are multiplied with under "leaky_relu".
        activate_last: Whether the output passes through the activation too.
        layer_norm: Whether each input row is first centred and scaled to unit variance (LayerNorm
            without its affine part, which folds into the first layer).
        residual: Whether the first `dim` inputs are added to the output.
        skip: A linear map of the input that is added to the output.
        narrower: The head for the next width below that has a map of its own; None in a nested
            head.
    """

    weights: tuple[Float32[Array, "_ _"], ...]
    biases: tuple[Float32[Array, " _"], ...]
    activation: Literal["identity", "relu", "leaky_relu"] = "identity"
    slope: float = 0.2
    activate_last: bool = False
    layer_norm: bool = False
    residual: bool = False
    skip: Float32[Array, "_ _"] | None = field(default=None, metadata=LATER)
    narrower: "Head | None" = field(default=None, metadata=LATER)

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
        if self.skip is not None and self.skip.shape != (self.dim, self.in_dim):
            raise ShapeError(
                f"skip must have the shape {(self.dim, self.in_dim)}, got {self.skip.shape}"
            )
        below = self.narrower
        if below is not None and (below.in_dim != self.in_dim or below.dim >= self.dim):
            raise ShapeError(
                f"below a head from {self.in_dim} to {self.dim} dimensions stands one from "
                f"{self.in_dim} to fewer, got one from {below.in_dim} to {below.dim}"
            )

    @property
    def in_dim(self) -> int:
        """Width of the embeddings it takes."""
        return int(self.weights[0].shape[1])

    @property
    def dim(self) -> int:
        """Width of the embeddings it gives."""
        return int(self.weights[-1].shape[0])

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths that have a map of their own, widest first; only `dim` in a nested head."""
        return (self.dim, *(() if self.narrower is None else self.narrower.dims))

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
        if self.skip is not None:
            h = h + x @ self.skip.T
        h *= x.any(axis=1, keepdims=True)
        return normalize(h)

    def _activate(self, h: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
        if self.activation == "identity":
            return h
        slope = np.float32(self.slope if self.activation == "leaky_relu" else 0)
        return np.where(h > 0, h, slope * h)

    def affine(self) -> tuple[Float64[Array, "dim in_dim"], Float64[Array, " dim"]]:
        """Give weight and bias of the one affine map that this head is, before renormalizing.

        Raises:
            ConfigError: it is none: it has a LayerNorm, or an activation.
        """
        bends = self.activation != "identity" and (len(self.weights) > 1 or self.activate_last)
        if self.layer_norm or bends:
            raise ConfigError(
                "only a linear head can be continued, got one with "
                f"{'a LayerNorm' if self.layer_norm else f'the activation {self.activation}'}: "
                "fit the narrower width from the start instead"
            )
        weight, bias = np.eye(self.in_dim), np.zeros(self.in_dim)
        for layer, shift in zip(self.weights, self.biases, strict=True):
            weight, bias = layer.astype(np.float64) @ weight, layer @ bias + shift
        if self.residual:
            weight = weight + np.eye(self.dim, self.in_dim)
        if self.skip is not None:
            weight = weight + self.skip
        return weight, bias

    def truncate(self, dim: int) -> "Head":
        """Give the head for `dim` dimensions: the next map at least that wide, cut to them.

        Raises:
            ConfigError: `dim` is not between 1 and `self.dim`.
        """
        if not 1 <= dim <= self.dim:
            raise ConfigError(f"dim must be between 1 and {self.dim}, got {dim}")
        if self.narrower is not None and dim <= self.narrower.dim:
            return self.narrower.truncate(dim)
        return replace(
            self,
            weights=(*self.weights[:-1], self.weights[-1][:dim]),
            biases=(*self.biases[:-1], self.biases[-1][:dim]),
            skip=None if self.skip is None else self.skip[:dim],
        )


def _layer_norm(x: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
    """Centre and scale each row (Ba et al. 2016, arXiv:1607.06450); eps as in PyTorch."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-5))


def chain(heads: Sequence[Head]) -> Head:
    """Put maps of falling width together, each the next one's wider."""
    made = heads[-1]
    for head in reversed(heads[:-1]):
        made = replace(head, narrower=made)
    return made
