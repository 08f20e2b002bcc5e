"""A head as layers that every library has: affine ones, each with a common activation or none.

What a head does beyond that is written in more columns. A leaky ReLU is the difference of two
ReLUs. Columns that the activation must not change pass it as their positive and negative parts. A
zero row, which must stay zero whatever the biases, is told by a column that is 1 for every other
row; then the biases are the weights of that column.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array
from vecpress.errors import ConfigError
from vecpress.head import Head


class NotStock(ConfigError):
    """What the modules of other libraries cannot say, in words that follow "because"."""


Bend = Literal["identity", "relu", "clip"]
"""What follows a layer: nothing, max(x, 0), or the nearest number between -1 and 1."""


class Layer(NamedTuple):
    """y = bend(weight x + bias)."""

    weight: Float32[Array, "out inner"]
    bias: Float32[Array, " out"]
    bend: Bend


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """Which columns of the last layer make up what the head has at this point.

    Attributes:
        hidden: Columns to the head's own hidden row.
        start: Columns to the row that went into the head.
        one: Columns to 1, or 0 for a zero row; None where no row is zero.
    """

    hidden: Float64[Array, "d m"]
    start: Float64[Array, "w m"]
    one: Float64[Array, "1 m"] | None


def unfold(head: Head, *, zero_rows: bool) -> tuple[Layer, ...]:
    """Write a head as layers; before them stands its LayerNorm, behind them a normalization.

    Args:
        head: Of it `layer_norm` is not looked at, but to refuse what cannot be written.
        zero_rows: Whether a zero row may come in; it then stays one.

    Raises:
        NotStock: its LayerNorm stands between the input and what is added to the output.
    """
    adds = head.residual or head.skip is not None
    if head.layer_norm and adds:
        raise NotStock("its head adds to its output what went in before a LayerNorm")
    bends = head.activation != "identity" and (len(head.weights) > 1 or head.activate_last)
    if not bends:
        weight, bias = replace(head, layer_norm=False).affine()
        head = replace(
            head,
            weights=(weight.astype(np.float32),),
            biases=(bias.astype(np.float32),),
            activate_last=False,
            residual=False,
            skip=None,
        )
    eye = np.eye(head.in_dim)
    state, layers = _State(hidden=eye, start=eye, one=None), []
    if zero_rows and any(bias.any() for bias in head.biases):
        state, layers = _flagged(head)
    for i, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
        if bends and (i < len(head.weights) - 1 or head.activate_last):
            state = _bent(state, layers, (weight, bias), slope=_slope(head), keeps=adds)
        else:
            layers.append(_affine(state, weight, bias, added=_added(head)))
    if bends and head.activate_last:
        same, nothing = np.eye(head.dim, dtype=np.float32), np.zeros(head.dim, np.float32)
        layers.append(_affine(state, same, nothing, added=_added(head)))
    return tuple(layers)


def _slope(head: Head) -> float:
    return head.slope if head.activation == "leaky_relu" else 0.0


def _added(head: Head) -> Float64[Array, "dim in_dim"]:
    """Give the map of the input that is added to the output."""
    added = np.zeros((head.dim, head.in_dim)) if head.skip is None else head.skip.astype(np.float64)
    return added + np.eye(head.dim, head.in_dim) if head.residual else added


def _flagged(head: Head) -> tuple[_State, list[Layer]]:
    """Add the column that tells a zero row: the sum of absolute values, at least 1 in a unit row.

    A LayerNorm makes rows whose squares sum to the width: they are shrunk to be cut off nowhere.
    """
    width = head.in_dim
    eye, none = np.eye(width), np.zeros((width, 1))
    scale = float(np.sqrt(width)) if head.layer_norm else 1.0
    parts = np.concatenate([eye, -eye])
    joined = np.concatenate([np.concatenate([eye, -eye], axis=1) / scale, np.ones((1, 2 * width))])
    back = np.concatenate([scale * eye, none], axis=1)
    layers = [_layer(parts, None, "relu"), _layer(joined, None, "clip")]
    return _State(hidden=back, start=back, one=np.eye(1, width + 1, width)), layers


def _bent(
    state: _State,
    layers: list[Layer],
    affine: tuple[Float32[Array, "out d"], Float32[Array, " out"]],
    *,
    slope: float,
    keeps: bool,
) -> _State:
    """Append a layer with a ReLU, and the columns that are to pass it; say where they are then."""
    weight, bias = _on(state, *affine)
    made = [(weight, bias), (-weight, -bias)] if slope else [(weight, bias)]
    kept = [state.start, -state.start] if keeps else []
    kept += [] if state.one is None else [state.one]
    made += [(rows, np.zeros(len(rows))) for rows in kept]
    weights, biases = zip(*made, strict=True)
    layers.append(_layer(np.concatenate(weights), np.concatenate(biases), "relu"))
    sizes = [len(rows) for rows in weights]
    columns = np.split(np.eye(sum(sizes)), np.cumsum(sizes)[:-1])
    hidden = columns.pop(0)
    hidden = hidden - slope * columns.pop(0) if slope else hidden
    start = columns.pop(0) - columns.pop(0) if keeps else np.zeros((len(state.start), sum(sizes)))
    return _State(hidden=hidden, start=start, one=None if state.one is None else columns.pop())


def _affine(
    state: _State,
    weight: Float32[Array, "out d"],
    bias: Float32[Array, " out"],
    *,
    added: Float64[Array, "out w"],
) -> Layer:
    folded, shift = _on(state, weight, bias)
    return _layer(folded + added @ state.start, shift, "identity")


def _on(
    state: _State, weight: Float32[Array, "out d"], bias: Float32[Array, " out"]
) -> tuple[Float64[Array, "out m"], Float64[Array, " out"]]:
    """Let an affine map of the hidden row take the columns that there are."""
    folded = weight.astype(np.float64) @ state.hidden
    if state.one is None:
        return folded, bias.astype(np.float64)
    return folded + np.outer(bias, state.one), np.zeros(len(bias))


def _layer(weight: Array, bias: Array | None, bend: Bend) -> Layer:
    shift = np.zeros(len(weight)) if bias is None else bias
    return Layer(np.ascontiguousarray(weight, np.float32), shift.astype(np.float32), bend)
