"""BERT's equations as an ONNX graph, written from its weights, in the operators that run fastest.

No model is traced and no torch is needed. The graph takes token ids of texts of ONE length and
gives the last layer's states: without padding it needs no mask. Add and LayerNormalization are
faster than onnxruntime's fused SkipLayerNormalization, and MultiHeadAttention without a mask works
block by block in cache: docs/experiments.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vecpress.arrays import Array, round_rows

_OURS = "com.microsoft"  # the domain of onnxruntime's own operators


def bert_graph(
    config: Mapping[str, Any], weights: Mapping[str, Array], *, int8: bool, first_position: int = 0
) -> onnx.ModelProto:
    """Write BERT (Devlin et al. 2019, arXiv:1810.04805): `ids` (b, s) to `states` (b, s, d).

    Args:
        config: Of config.json: layers, heads, epsilon.
        weights: Tensors by the names that transformers gives them, without a prefix.
        int8: Whether weights are stored in 8 bits, a scale per output (per row in the table of
            words), and each matrix of activations is rounded to 8 bits as it comes: all tokens of
            one call share that scale, so only texts encoded one by one are independent.
        first_position: Of the position table; above 0 in RoBERTa.
    """
    g = _Graph(weights, int8=int8, epsilon=config["layer_norm_eps"])
    x = g.norm("embeddings", g.embed(first_position))
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        parts = [g.linear(f"{layer}.attention.self.{n}", x) for n in ("query", "key", "value")]
        heads = config["num_attention_heads"]
        mixed = g("MultiHeadAttention", *parts, domain=_OURS, num_heads=heads)
        mixed = g.linear(f"{layer}.attention.output.dense", mixed)
        x = g.norm(f"{layer}.attention.output", g("Add", mixed, x))
        inner = g("Gelu", g.linear(f"{layer}.intermediate.dense", x))
        x = g.norm(f"{layer}.output", g("Add", g.linear(f"{layer}.output.dense", inner), x))
    return g.model(x, width=config["hidden_size"])


@dataclass
class _Graph:
    """Nodes written as calls: `graph("Add", a, b)` gives the name of the sum."""

    weights: Mapping[str, Array]
    int8: bool
    epsilon: float
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def __call__(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [output], output, domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def keep(self, values: Array) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str) -> Array:
        return np.asarray(self.weights[name], np.float32)

    def embed(self, first_position: int) -> str:
        words = self.weight("embeddings.word_embeddings.weight")
        if self.int8:
            rounded = round_rows(words, bits=8)
            found = self("Gather", self.keep(rounded.numbers), "ids")
            found = self("Cast", found, to=onnx.TensorProto.FLOAT)
            found = self("Mul", found, self("Gather", self.keep(rounded.scales[:, None]), "ids"))
        else:
            found = self("Gather", self.keep(words), "ids")
        places = self.weight("embeddings.position_embeddings.weight")[first_position:]
        places = places + self.weight("embeddings.token_type_embeddings.weight")[0]
        length = self("Shape", "ids", start=1, end=2)
        places = self("Slice", self.keep(places), self.keep(np.zeros(1, np.int64)), length)
        return self("Add", found, places)

    def norm(self, name: str, x: str) -> str:
        parts = [self.keep(self.weight(f"{name}.LayerNorm.{part}")) for part in ("weight", "bias")]
        return self("LayerNormalization", x, *parts, epsilon=self.epsilon)

    def linear(self, name: str, x: str) -> str:
        weight, bias = self.weight(f"{name}.weight"), self.keep(self.weight(f"{name}.bias"))
        if not self.int8:
            return self("Add", self("MatMul", x, self.keep(weight.T)), bias)
        rounded = round_rows(weight, bits=8)
        parts = (self.keep(rounded.numbers.T), self.keep(rounded.scales), "", bias)  # no zero point
        return self("DynamicQuantizeMatMul", x, *parts, domain=_OURS)

    def model(self, output: str, *, width: int) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["states"], "states"))
        ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT32, ["b", "s"])
        states = helper.make_tensor_value_info("states", onnx.TensorProto.FLOAT, ["b", "s", width])
        graph = helper.make_graph(self.nodes, "bert", [ids], [states], self.tensors)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_OURS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)
