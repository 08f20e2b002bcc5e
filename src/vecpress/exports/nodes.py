"""ONNX nodes written as calls: `nodes("Add", a, b)` gives the name of the sum.

Only operators of the ONNX standard, so that every runtime knows them; at opset 20, the first that
has GELU.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vecpress.arrays import Array
from vecpress.errors import ConfigError

OPSET = 20
_IR_VERSION = 9
_MOST_BYTES = 2**31 - 2**20  # of a protobuf file, less what is not weights
_SMALL = 4096  # bytes of a constant that is looked for among those there

TYPES: Mapping[str, int] = {
    "float32": onnx.TensorProto.FLOAT,
    "float64": onnx.TensorProto.DOUBLE,
    "int64": onnx.TensorProto.INT64,
    "int32": onnx.TensorProto.INT32,
    "uint8": onnx.TensorProto.UINT8,
}


class Nodes:
    """A graph while it is written: nodes, constants, inputs and outputs."""

    def __init__(self) -> None:
        self.scope = ""
        """What the names of nodes begin with, for people who look at the graph."""
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one output, and give that output's name."""
        output = f"{self.scope}{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [output], output, **attributes))
        return output

    def keep(self, values: Array) -> str:
        """Store a constant array; a small one that is there already is not stored again."""
        name = f"constant_{len(self._tensors)}"
        if values.nbytes <= _SMALL:
            key = (str(values.dtype), values.shape, values.tobytes())
            known = self._known.setdefault(key, name)
            if known != name:
                return known
        self._tensors.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def number(self, value: float | int, kind: str = "float32") -> str:
        """Store a single number."""
        return self.keep(np.array(value, np.dtype(kind)))

    def ints(self, *values: int) -> str:
        """Store whole numbers: axes, a shape, an index."""
        return self.keep(np.array(values, np.int64))

    def cast(self, x: str, kind: str) -> str:
        """Turn numbers into another type."""
        return self("Cast", x, to=TYPES[kind])

    def matrix(self, values: Array, *, half: bool) -> str:
        """Store float32 numbers, perhaps in 16 bits, and give them in 32."""
        if not half or not _fits_half(values):
            return self.keep(values)
        return self.cast(self.keep(values.astype(np.float16)), "float32")

    def gathered(self, rows: Array, ids: str, *, half: bool) -> str:
        """Look rows up in a table stored as `matrix` does; only what is found is widened."""
        if not half or not _fits_half(rows):
            return self("Gather", self.keep(rows), ids)
        return self.cast(self("Gather", self.keep(rows.astype(np.float16)), ids), "float32")

    def picked(self, rows: str, places: str) -> str:
        """Take of each row (b, n) the numbers at its places (b, m)."""
        return self("GatherND", rows, self("Unsqueeze", places, self.ints(2)), batch_dims=1)

    def total(self, x: str, *axes: int, keepdims: bool = True) -> str:
        """Add up along axes."""
        return self("ReduceSum", x, self.ints(*axes), keepdims=int(keepdims))

    def any(self, x: str) -> str:
        """Say of each row (n, d) whether it is not all zero, as 1 or 0 of shape (n, 1)."""
        return self.cast(self("Greater", self._peak(x), self.number(0)), "float32")

    def _peak(self, x: str) -> str:
        return self("ReduceMax", self("Abs", x), self.ints(1), keepdims=1)

    def unit(self, x: str) -> str:
        """Scale each row (n, d) to unit L2 norm; a zero row stays zero.

        Rows are first divided by their largest value, so that no square leaves float32; what they
        add up to is then at least 1, but for zero rows.
        """
        peak = self._peak(x)
        is_zero = self("Equal", peak, self.number(0))
        x = self("Div", x, self("Where", is_zero, self.number(1), peak))
        squares = self.total(self("Mul", x, x), 1)
        return self("Div", x, self("Sqrt", self("Max", squares, self.number(1))))

    def input(self, name: str, kind: str, shape: list[str | int]) -> str:
        """Declare what is fed in."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[kind], shape))
        return name

    def output(self, x: str, name: str, kind: str, width: int) -> None:
        """Declare what is given out: `width` numbers for each text."""
        self._nodes.append(helper.make_node("Identity", [x], [name], name))
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[kind], ["batch", width]))

    def model(self, *, doc: str = "") -> onnx.ModelProto:
        """Give the graph.

        Raises:
            ConfigError: it is too large for one file.
        """
        size = sum(len(tensor.raw_data) for tensor in self._tensors)
        if size > _MOST_BYTES:
            raise ConfigError(
                f"an ONNX file holds at most 2 GB, and these models take {size / 1e9:.1f} GB: "
                "export with precision int8 or float16, or fit a press of smaller models"
            )
        graph = helper.make_graph(
            self._nodes, "vecpress", self._inputs, self._outputs, self._tensors, doc_string=doc
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="vecpress",
        )


def _fits_half(values: Array) -> bool:
    return bool(np.abs(values).max(initial=0) < float(np.finfo(np.float16).max))
