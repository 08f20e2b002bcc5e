"""Heads and codecs as ONNX nodes: rows of unit norm to shorter ones, and to codes."""

import numpy as np

from vecpress.exports.nodes import Nodes
from vecpress.head import Head
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.hashing import HashCodec
from vecpress.quantizers.product import ProductCodec
from vecpress.stages import Codec

_LAYER_NORM = 1e-5  # head.py's epsilon


def write_head(nodes: Nodes, head: Head, x: str) -> str:
    """Write `head.compress`."""
    n, h = nodes, x
    if head.layer_norm:
        ones = n.keep(np.ones(head.in_dim, np.float32))
        h = n("LayerNormalization", x, ones, epsilon=_LAYER_NORM)
    for i, (weight, bias) in enumerate(zip(head.weights, head.biases, strict=True)):
        h = n("Add", n("MatMul", h, n.keep(weight.T)), n.keep(bias))
        if i < len(head.weights) - 1 or head.activate_last:
            h = _activated(n, head, h)
    if head.residual:
        h = n("Add", h, n("Slice", x, n.ints(0), n.ints(head.dim), n.ints(1)))
    if head.skip is not None:
        h = n("Add", h, n("MatMul", x, n.keep(head.skip.T)))
    return n.unit(n("Mul", h, n.any(x)))


def _activated(n: Nodes, head: Head, h: str) -> str:
    if head.activation == "identity":
        return h
    if head.activation == "relu":
        return n("Relu", h)
    return n("LeakyRelu", h, alpha=float(head.slope))


def has_graph(codec: Codec) -> bool:
    """Say whether `write_codec` knows a codec."""
    return isinstance(codec, ScalarCodec | ProductCodec | HashCodec)


def write_codec(nodes: Nodes, codec: Codec, x: str) -> str:
    """Write `codec.quantize`, and give the codes (b, code_bytes), uint8.

    Raises:
        TypeError: the codec has no graph.
    """
    if isinstance(codec, ScalarCodec):
        return _scalar(nodes, codec, x)
    if isinstance(codec, ProductCodec):
        return _product(nodes, codec, x)
    if isinstance(codec, HashCodec):
        planes = nodes("MatMul", x, nodes.keep(codec.planes))
        bits = nodes("GreaterOrEqual", planes, nodes.keep(codec.cuts))
        return pack(nodes, nodes.cast(bits, "int32"), 1, len(codec.cuts))
    raise TypeError(f"a {type(codec).__name__} has no graph")


def pack(nodes: Nodes, cells: str, bits: int, dim: int) -> str:
    """Do as `arrays.pack`: cells (b, dim), int32, to bytes, the lowest bits first."""
    n = nodes
    planes = n(
        "Div", n("Unsqueeze", cells, n.ints(2)), n.keep(2 ** np.arange(bits, dtype=np.int32))
    )
    flat = n("Reshape", n("Mod", planes, n.number(2, "int32")), n.ints(0, dim * bits))
    size = -(-dim * bits // 8)
    if size * 8 > dim * bits:
        flat = n("Pad", flat, n.ints(0, 0, 0, size * 8 - dim * bits))
    places = n.keep(2 ** np.arange(8, dtype=np.int32))
    joined = n("Mul", n("Reshape", flat, n.ints(0, size, 8)), places)
    return n.cast(n.total(joined, 2, keepdims=False), "uint8")


def _rotated(n: Nodes, codec: ScalarCodec | ProductCodec, x: str) -> str:
    return x if codec.rotation is None else n("MatMul", x, n.keep(codec.rotation))


def _scalar(n: Nodes, codec: ScalarCodec, x: str) -> str:
    """Count the borders at or below each value."""
    x = n("Unsqueeze", _rotated(n, codec, x), n.ints(2))
    above = n.cast(n("GreaterOrEqual", x, n.keep(codec.borders)), "int32")
    return pack(n, n.total(above, 2, keepdims=False), codec.bits, codec.dim)


def _product(n: Nodes, codec: ProductCodec, x: str) -> str:
    """Find the nearest centroid of each group, of equals the first; in float64, as the codec."""
    groups, _, width = codec.centroids.shape
    placed = n("Gather", _rotated(n, codec, x), n.keep(np.maximum(codec.order, 0)), axis=1)
    placed = n("Mul", placed, n.keep((codec.order >= 0).astype(np.float32)))
    points = n("Reshape", n.cast(placed, "float64"), n.ints(0, groups, width))
    points = n("Transpose", points, perm=[1, 0, 2])
    centroids = codec.centroids.astype(np.float64)
    far = n("MatMul", points, n.keep(centroids.transpose(0, 2, 1)))
    halves = (centroids**2).sum(axis=2) / 2
    nearest = n("ArgMin", n("Sub", n.keep(halves[:, None]), far), axis=2, keepdims=0)
    numbers = n.cast(n("Transpose", nearest, perm=[1, 0]), "int32")
    return pack(n, numbers, codec.bits, groups)
