"""Static tables and lexical models as ONNX nodes: a text is a weighed sum of its tokens' rows."""

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, round_rows
from vecpress.exports.branches import TableBranch
from vecpress.exports.nodes import Nodes


def write_table(
    nodes: Nodes,
    branch: TableBranch,
    tokens: tuple[str, str, tuple[int, int]],
    *,
    precision: str,
) -> str:
    """Write a table's nodes, and give its unit rows.

    Args:
        nodes: Where they are written.
        branch: The table. One whose press computes with rounded rows is stored as those.
        tokens: Names of ids and mask, and how many end tokens stand before and after a text.
        precision: "float32", "float16" or "int8": how rows are stored.
    """
    n, (ids, mask, ends) = nodes, tokens
    weights = _read(n, branch, ids, mask, ends)
    ids = n("Where", n("Greater", weights, n.number(0)), ids, n.number(0, "int64"))
    if branch.sublinear:
        weights = _sublinear(n, ids, weights, len(branch.rows))
    rounded = branch.rounded
    if rounded is None and precision == "int8":
        rounded = round_rows(branch.rows, bits=8)
    if rounded is None:
        half = precision == "float16"
        rows = n.gathered(_levelled(branch.rows) if half else branch.rows, ids, half=half)
    else:
        rows = n.cast(n("Gather", n.keep(rounded.numbers), ids), "float32")
        weights = n("Mul", weights, n("Gather", n.keep(rounded.scales), ids))
    added = n("MatMul", n("Unsqueeze", weights, n.ints(1)), rows)
    return n.unit(n("Squeeze", added, n.ints(1)))


def _read(n: Nodes, branch: TableBranch, ids: str, mask: str, ends: tuple[int, int]) -> str:
    """Say with 1 or 0 which tokens (b, s) count: not the ends, nor the unknown, nor the last."""
    before, after = ends
    width = n("Squeeze", n("Shape", ids, start=1, end=2))
    place = n("Range", n.number(0, "int64"), width, n.number(1, "int64"))
    place = n("Unsqueeze", place, n.ints(0))
    last = n("Sub", n.total(mask, 1), n.number(after, "int64"))
    read = n("Less", place, last)
    if before:
        read = n("And", read, n("GreaterOrEqual", place, n.number(before, "int64")))
    if branch.unknown >= 0:
        known = n("Not", n("Equal", ids, n.number(branch.unknown, "int64")))
        read = n("And", read, known)
    if branch.max_tokens is not None:
        counted = n("CumSum", n.cast(read, "int32"), n.number(1, "int64"))
        read = n("And", read, n("LessOrEqual", counted, n.number(branch.max_tokens, "int32")))
    return n.cast(read, "float32")


def _sublinear(n: Nodes, ids: str, read: str, vocabulary: int) -> str:
    """Weigh each of a token's n occurrences by (1 + ln n) / n: together they count 1 + ln n.

    Occurrences are counted per token id, which takes one number per word of the vocabulary and
    text, and not one per pair of a text's tokens.
    """
    texts = n("Shape", ids, start=0, end=1)
    zeros = n("Expand", n.number(0), n("Concat", texts, n.ints(vocabulary), axis=0))
    counts = n("ScatterElements", zeros, ids, read, axis=1, reduction="add")
    count = n("Max", n.picked(counts, ids), n.number(1))
    return n("Mul", read, n("Div", n("Add", n("Log", count), n.number(1)), count))


def _levelled(rows: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
    """Scale all rows by one power of 2, so that 16 bits hold the small ones: no unit row shows."""
    _, exponent = np.frexp(np.abs(rows).max(initial=0))
    return np.ldexp(rows, 14 - int(exponent))
