"""A BERT-type model in the standard's operators: padded batches of token ids to unit rows.

Padding becomes copies of a text's first token, which is computed like any other and then not
looked at. So no range of activations, from which 8 bits take their scale, knows of padding, and a
text's vector does not depend on its neighbours. (encoders/bert_graph.py writes the same equations
for onnxruntime alone and for texts of one length, where it is faster.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vecpress.arrays import Array, round_rows
from vecpress.encoders.graphs import weights_of
from vecpress.exports.branches import BertBranch
from vecpress.exports.nodes import Nodes

_FAR = -1e9  # added to the score of padding: its weight is then exactly 0


class _Ids(NamedTuple):
    """A batch of texts, cut to what the model reads. All names of values."""

    ids: str  # (b, s), padding replaced by the first token
    places: str  # (b, s) or (1, s): the position of each
    is_text: str  # (b, s), bool
    length: str  # (b, 1), int64: tokens of each text


class _Rounded(NamedTuple):
    """Activations in 8 bits."""

    numbers: str  # (b, s, d), uint8
    zero: str  # (b, 1, 1), int32
    scale: str  # (b, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Writes one model's nodes.

    Attributes:
        nodes: Where they are written.
        weights: Tensors by the names that transformers gives them, without a prefix.
        branch: The model, and how it is read.
        precision: "float32"; "float16" and "w8" store weights in 16 and in 8 bits; "int8" also
            computes in 8 bits.
    """

    nodes: Nodes
    weights: Mapping[str, Array]
    branch: BertBranch
    precision: str

    def write(self, ids: str, mask: str, ends: tuple[int, int], role: str | None) -> str:
        """Give the unit rows of texts, as `role` (a scalar, 1 for queries) has them pooled."""
        n, config = self.nodes, self.branch.bert.config
        text = self._cut(ids, mask, ends)
        far = n("Where", text.is_text, n.number(0), n.number(_FAR))
        far = n("Unsqueeze", far, n.ints(1, 2))
        x = self._norm("embeddings", self._embed(text))
        for i in range(config["num_hidden_layers"]):
            layer = f"encoder.layer.{i}"
            mixed = self._attend(f"{layer}.attention.self", x, far)
            (mixed,) = self._linear([f"{layer}.attention.output.dense"], mixed)
            x = self._norm(f"{layer}.attention.output", n("Add", mixed, x))
            (inner,) = self._linear([f"{layer}.intermediate.dense"], x)
            (inner,) = self._linear([f"{layer}.output.dense"], n("Gelu", inner))
            x = self._norm(f"{layer}.output", n("Add", inner, x))
        return n.unit(self._pool(x, text, role))

    def _cut(self, ids: str, mask: str, ends: tuple[int, int]) -> _Ids:
        """Keep what the model reads of each text: its first tokens, and the ends behind them."""
        n, most = self.nodes, self.branch.max_length
        whole = n.total(mask, 1)
        length = n("Min", whole, n.number(most, "int64"))
        width = n("Min", n("Shape", ids, start=1, end=2), n.ints(most))
        place = n("Range", n.number(0, "int64"), n("Squeeze", width), n.number(1, "int64"))
        place = n("Unsqueeze", place, n.ints(0))
        is_text = n("Less", place, length)
        is_end = n("GreaterOrEqual", place, n("Sub", length, n.number(ends[1], "int64")))
        zero = n.number(0, "int64")
        source = n("Add", place, n("Where", is_end, n("Sub", whole, length), zero))
        source = n("Where", is_text, source, zero)
        return _Ids(n.picked(ids, source), n("Where", is_text, place, zero), is_text, length)

    def _weight(self, name: str) -> Array:
        return np.asarray(self.weights[name], np.float32)

    def _matrix(self, values: Array) -> str:
        return self.nodes.matrix(values, half=self.precision == "float16")

    def _embed(self, text: _Ids) -> str:
        n, words = self.nodes, self._weight("embeddings.word_embeddings.weight")
        if self.precision in ("int8", "w8"):
            rounded = round_rows(words, bits=8)
            found = n.cast(n("Gather", n.keep(rounded.numbers), text.ids), "float32")
            found = n("Mul", found, n("Gather", n.keep(rounded.scales[:, None]), text.ids))
        else:
            found = n.gathered(words, text.ids, half=self.precision == "float16")
        first = self.branch.bert.first_position
        places = self._weight("embeddings.position_embeddings.weight")[first:]
        places = places[: self.branch.max_length]
        places = places + self._weight("embeddings.token_type_embeddings.weight")[0]
        return n("Add", found, n("Gather", self._matrix(places), text.places))

    def _norm(self, name: str, x: str) -> str:
        n = self.nodes
        parts = [n.keep(self._weight(f"{name}.LayerNorm.{part}")) for part in ("weight", "bias")]
        epsilon = float(self.branch.bert.config["layer_norm_eps"])
        return n("LayerNormalization", x, *parts, epsilon=epsilon)

    def _attend(self, name: str, x: str, far: str) -> str:
        n, config = self.nodes, self.branch.bert.config
        heads, wide = int(config["num_attention_heads"]), int(config["hidden_size"])
        query, key, value = self._linear(
            [f"{name}.{part}" for part in ("query", "key", "value")], x
        )
        query = n("Mul", query, n.number((wide // heads) ** -0.5))
        shape = n.ints(0, 0, heads, wide // heads)

        def split(part: str, *order: int) -> str:
            return n("Transpose", n("Reshape", part, shape), perm=list(order))

        scores = n("MatMul", split(query, 0, 2, 1, 3), split(key, 0, 2, 3, 1))
        shares = n("Softmax", n("Add", scores, far), axis=-1)
        mixed = n("MatMul", shares, split(value, 0, 2, 1, 3))
        return n("Reshape", n("Transpose", mixed, perm=[0, 2, 1, 3]), n.ints(0, 0, wide))

    def _linear(self, names: Sequence[str], x: str) -> list[str]:
        """Apply affine maps to the same input, which is rounded once for all of them."""
        if self.precision == "int8":
            rounded = self._round(x)
            return [self._linear_int8(name, rounded) for name in names]
        return [self._linear_float(name, x) for name in names]

    def _linear_float(self, name: str, x: str) -> str:
        n = self.nodes
        product = n("MatMul", x, self._columns(self._weight(f"{name}.weight")))
        return n("Add", product, n.keep(self._weight(f"{name}.bias")))

    def _columns(self, weight: Array) -> str:
        """Store a map's weights, and give them as floats with a column for each output."""
        if self.precision != "w8":
            return self._matrix(weight.T)
        n, rounded = self.nodes, round_rows(weight, bits=8)
        numbers = n.cast(n.keep(rounded.numbers.T), "float32")
        return n("Mul", numbers, n.keep(rounded.scales))  # constants: runtimes do it once

    def _round(self, x: str) -> _Rounded:
        """Round a text's activations (b, s, d) to 0..255, a scale and a zero for each text.

        As the standard's DynamicQuantizeLinear does with a whole tensor: the range takes in 0.
        """
        n = self.nodes
        zero, axes = n.number(0), n.ints(1, 2)
        low = n("Min", n("ReduceMin", x, axes, keepdims=0), zero)
        high = n("Max", n("ReduceMax", x, axes, keepdims=0), zero)
        scale = n("Div", n("Sub", high, low), n.number(255))
        scale = n("Where", n("Equal", high, low), n.number(1), scale)
        point = n("Round", n("Clip", n("Neg", n("Div", low, scale)), zero, n.number(255)))
        point = n.cast(point, "uint8")
        numbers = n("QuantizeLinear", x, scale, point, axis=0)
        wide = n.ints(1, 2)
        return _Rounded(
            numbers, n("Unsqueeze", n.cast(point, "int32"), wide), n("Unsqueeze", scale, wide)
        )

    def _linear_int8(self, name: str, x: _Rounded) -> str:
        n, weight = self.nodes, round_rows(self._weight(f"{name}.weight"), bits=8)
        product = n("MatMulInteger", x.numbers, n.keep(weight.numbers.T))
        columns = n.keep(weight.numbers.sum(axis=1, dtype=np.int32))
        product = n.cast(n("Sub", product, n("Mul", x.zero, columns)), "float32")
        product = n("Mul", product, n("Mul", x.scale, n.keep(weight.scales)))
        return n("Add", product, n.keep(self._weight(f"{name}.bias")))

    def _pool(self, x: str, text: _Ids, role: str | None) -> str:
        n, poolings = self.nodes, self.branch.poolings
        if role is None or len(set(poolings.values())) == 1:
            return self._pooled(x, text, poolings["document"])
        query, document = (self._pooled(x, text, poolings[r]) for r in ("query", "document"))
        return n("Where", n("Equal", role, n.number(1, "int64")), query, document)

    def _pooled(self, x: str, text: _Ids, pooling: str) -> str:
        """Take the first token, or the sum, which points as the mean does; zero without tokens."""
        n = self.nodes
        if pooling == "cls":
            first = n("Squeeze", n("Slice", x, n.ints(0), n.ints(1), n.ints(1)), n.ints(1))
            return n("Mul", first, n.cast(n("Min", text.length, n.number(1, "int64")), "float32"))
        shown = n("Unsqueeze", n.cast(text.is_text, "float32"), n.ints(2))
        return n.total(n("Mul", x, shown), 1, keepdims=False)


def write_bert(
    nodes: Nodes,
    branch: BertBranch,
    tokens: tuple[str, str, tuple[int, int]],
    *,
    role: str | None,
    precision: str,
) -> str:
    """Write a model's nodes, and give its unit rows.

    Args:
        nodes: Where they are written.
        branch: The model. What the press itself rounds to 8 bits is so at any precision.
        tokens: Names of ids and mask, and how many end tokens stand before and after a text.
        role: Name of the input that tells queries from documents, if there is one.
        precision: "float32", "float16" or "int8": how weights are stored.
    """
    stored = "w8" if precision == "int8" else precision
    ids, mask, ends = tokens
    weights = weights_of(branch.bert)
    made = Transformer(
        nodes=nodes, weights=weights, branch=branch, precision=branch.precision or stored
    )
    return made.write(ids, mask, ends, role)
