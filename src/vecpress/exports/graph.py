"""A press as one ONNX graph: token ids in; `sentence_embedding` and codes out.

It also cuts what is longer than a model reads, exactly as the press does: whoever feeds it gives
all ids, padded on the right, and a mask of ones.
"""

from typing import Literal

import onnx

from vecpress.errors import ConfigError
from vecpress.exports.branches import BertBranch, Branches
from vecpress.exports.nodes import Nodes
from vecpress.exports.stages_graph import has_graph, write_codec, write_head
from vecpress.exports.tables import write_table
from vecpress.exports.transformer import write_bert
from vecpress.head import Head
from vecpress.stages import Codec

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")

EMBEDDING = "sentence_embedding"


def input_names(number: int) -> tuple[str, str]:
    """Name the ids and the mask of an input, counted from 0."""
    end = "" if number == 0 else f"_{number + 1}"
    return f"input_ids{end}", f"attention_mask{end}"


def role_name(branches: Branches) -> str | None:
    """Name the input that tells queries from documents, if a model pools them differently."""
    berts = [part for part in branches.parts if isinstance(part, BertBranch)]
    return "role" if any(len(set(bert.poolings.values())) > 1 for bert in berts) else None


def codec_outputs(codec: Codec | None, fine: Codec | None) -> dict[str, Codec]:
    """Name the outputs of codes, and what makes them; a codec without a graph has none."""
    both = {"codes": codec, "fine_codes": fine}
    return {name: made for name, made in both.items() if made is not None and has_graph(made)}


def build_graph(
    branches: Branches,
    head: Head | None,
    codec: Codec | None,
    fine: Codec | None,
    *,
    precision: Precision = "float32",
) -> onnx.ModelProto:
    """Write a press as an ONNX model of standard operators.

    Inputs are int64: `input_ids` and `attention_mask` (batch, length), once more with `_2`, `_3`
    for every other tokenizer, and `role` (a scalar, 1 for queries), where a model asks for it.
    Outputs are `sentence_embedding`, float32 rows of unit norm, then `codes` and `fine_codes`,
    uint8, of the codecs that have a graph.

    Args:
        branches: The models: see `branches_of`.
        head: What compresses their concatenation.
        codec: What codes the result.
        fine: What codes it more finely.
        precision: How the weights of the models are stored, but of those that the press itself
            rounds: these stay as they are. All but models such as minilm:int8 is computed in
            floats. Head and codecs are always in float32.

    Raises:
        ConfigError: the precision is unknown, or the models are too large for one file.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    n, role = Nodes(), role_name(branches)
    for number in range(len(branches.inputs)):
        for name in input_names(number):
            n.input(name, "int64", ["batch", f"length_{number + 1}"])
    if role is not None:
        n.input(role, "int64", [])
    x = _concatenated(n, branches, role, precision)
    n.scope = "head/"
    x = x if head is None else write_head(n, head, x)
    n.output(x, EMBEDDING, "float32", branches.dim if head is None else head.dim)
    for name, made in codec_outputs(codec, fine).items():
        n.scope = f"{name}/"
        n.output(write_codec(n, made, x), name, "uint8", made.code_bytes)
    return n.model(doc=" + ".join(branches.names))


def _concatenated(n: Nodes, branches: Branches, role: str | None, precision: Precision) -> str:
    """Put the parts' unit rows side by side, each by its scale, and normalize."""
    rows = []
    for i, part in enumerate(branches.parts):
        n.scope = f"model_{i + 1}/"
        tokens = (*input_names(part.input), branches.inputs[part.input].ends)
        if isinstance(part, BertBranch):
            rows.append(write_bert(n, part, tokens, role=role, precision=precision))
        else:
            rows.append(write_table(n, part, tokens, precision=precision))
    if len(rows) == 1:
        return rows[0]
    n.scope = "concatenation/"
    scaled = [n("Mul", r, n.number(s)) for r, s in zip(rows, branches.scales, strict=True)]
    return n.unit(n("Concat", *scaled, axis=1))
