"""A graph of a few nodes, with the inputs and outputs that exported ones have."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vecpress.arrays import Array


def tiny_graph(table: Array) -> onnx.ModelProto:
    """Sum the rows of all tokens that are not masked; a query's ends up negated. Then unit rows."""
    ints = (TensorProto.INT64, ["batch", "length"])
    inputs = [helper.make_tensor_value_info(n, *ints) for n in ("input_ids", "attention_mask")]
    inputs.append(helper.make_tensor_value_info("role", TensorProto.INT64, []))
    out = helper.make_tensor_value_info(
        "sentence_embedding", TensorProto.FLOAT, ["batch", table.shape[1]]
    )
    constants = {"table": table, "last": np.array([-1]), "middle": np.array([1])}
    constants |= {"one": np.array(1, np.float32), "two": np.array(2, np.float32)}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["role"], ["asked"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["asked", "two"], ["twice"]),
        helper.make_node("Sub", ["one", "twice"], ["sign"]),
        helper.make_node("Mul", ["sum", "sign"], ["signed"]),
        helper.make_node("LpNormalization", ["signed"], ["sentence_embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, [out])
    graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants.items())
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], producer_name="vecpress", ir_version=9
    )
    onnx.checker.check_model(model)
    return model
