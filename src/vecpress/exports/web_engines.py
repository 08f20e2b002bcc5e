"""The two ways in which a page encodes: sums of table rows in plain script, or a graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from tokenizers import Tokenizer

from vecpress import registry
from vecpress.arrays import Array, normalize, round_rows
from vecpress.encoders.text_tokenizer import TextTokenizer
from vecpress.encoders.tokens import Ids
from vecpress.errors import ConfigError
from vecpress.exports.branches import BertBranch, Branches, TableBranch, TokenInput
from vecpress.exports.web_tensors import describe_head, describe_table
from vecpress.head import Head
from vecpress.stages import Role

Precision = Literal["int8", "float16", "float32"]

_SUMS_DIFFER = 1e-5  # in what order a browser adds up is its own affair
_OTHER_MACHINES = 1e-3  # a graphics card has functions of its own
_JUMPS = 0.03  # in 8 bits a difference in the seventh digit may round the other way, layer by layer
_TABLE_BITS = 8  # of rows that the press itself keeps in float

Encode = Callable[[Sequence[str], Role], Float32[Array, "n d"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Engine:
    """What turns token ids into an embedding, in the browser.

    Attributes:
        told: The manifest's entries `engine`, `branches`, `head` and `graph`.
        tensors: By name.
        encode: Does here, from texts, what the browser will do.
        margin: How far a cosine may be from that on another machine.
        graph: An ONNX model; empty if there is none.
    """

    told: dict[str, Any]
    tensors: dict[str, Array]
    encode: Encode
    margin: float
    graph: bytes = field(default=b"", repr=False)


def make_engine(branches: Branches, head: Head | None, *, precision: Precision) -> Engine:
    """Take tables where there is nothing else, and a graph otherwise.

    Raises:
        ConfigError: a page of tables is asked for another precision than int8.
        MissingExtraError: a graph needs onnx and onnxruntime, and they are not installed.
    """
    if not branches.are_tables:
        return _graph_engine(branches, head, precision)
    if precision != "int8":
        raise ConfigError(
            f"a page keeps tables in at most {_TABLE_BITS} bits a number, got the precision "
            f"{precision!r}: leave it out; the models here, {', '.join(branches.names)}, are all "
            "tables"
        )
    return _table_engine(branches, head)


def _table_engine(branches: Branches, head: Head | None) -> Engine:
    told, tensors, parts = [], {}, []
    pairs = zip(branches.parts, branches.scales, strict=True)
    for i, (part, scale) in enumerate(pairs):
        assert isinstance(part, TableBranch)
        rounded = part.rounded or round_rows(part.rows, bits=_TABLE_BITS)
        parts.append(replace(part, rows=rounded.rows))
        about, numbers = describe_table(rounded, name=f"branch.{i}")
        tensors |= numbers
        about |= {"input": part.input, "unknown": part.unknown, "max_tokens": part.max_tokens}
        told.append(about | {"sublinear": part.sublinear, "scale": scale})
    shown = None
    if head is not None:
        shown, numbers = describe_head(head)
        tensors |= numbers
    same = replace(branches, parts=tuple(parts))
    return Engine(
        told={
            "engine": "static",
            "branches": told,
            "head": shown,
            "graph": None,
            "role_input": None,
        },
        tensors=tensors,
        encode=lambda texts, role: encode_tables(same, head, texts, role=role),
        margin=_SUMS_DIFFER,
    )


def encode_tables(
    branches: Branches, head: Head | None, texts: Sequence[str], *, role: Role
) -> Float32[Array, "n d"]:
    """Encode texts with nothing but tables and a head, as a page does."""
    split = [_split(input_, texts, role=role) for input_ in branches.inputs]
    made = []
    for part, scale in zip(branches.parts, branches.scales, strict=True):
        assert isinstance(part, TableBranch)
        rows = np.stack([_sum(part, ids) for ids in split[part.input]])
        made.append(np.float32(scale) * normalize(rows))
    whole = normalize(np.concatenate(made, axis=1))
    return whole if head is None else head.compress(whole)


def _sum(part: TableBranch, ids: Ids) -> Float32[Array, " d"]:
    known, counts = np.unique(ids[ids != part.unknown][: part.max_tokens], return_counts=True)
    weights = 1 + np.log(counts) if part.sublinear else counts
    return weights.astype(np.float32) @ part.rows[known]


def _split(input_: TokenInput, texts: Sequence[str], *, role: Role) -> list[Ids]:
    return _tokenizer(input_).split([input_.prompts[role] + text for text in texts])


def _tokenizer(input_: TokenInput) -> TextTokenizer:
    return TextTokenizer(Tokenizer.from_str(input_.tokenizer))


def _graph_engine(branches: Branches, head: Head | None, precision: Precision) -> Engine:
    """Write the graph up to the embedding: a page scans codes, and makes none."""
    registry.require("onnx", extra="onnx")
    registry.require("onnxruntime", extra="onnx")
    from vecpress.exports.graph import EMBEDDING, build_graph, role_name  # not where all is tables
    from vecpress.exports.graph_run import GraphRun

    graph = build_graph(branches, head, None, None, precision=precision)
    packed = graph.SerializeToString(deterministic=True)
    runs = GraphRun(
        graph=packed,
        inputs=describe_inputs(branches),
        tokenizers=[_tokenizer(input_) for input_ in branches.inputs],
        role_input=role_name(branches),
    )
    in_8_bits = any(isinstance(part, BertBranch) and part.int8 for part in branches.parts)
    told = {"engine": "onnx", "branches": None, "head": None, "graph": "model.onnx.gz"}
    return Engine(
        told=told | {"role_input": runs.role_input},
        tensors={},
        encode=lambda texts, role: runs.run(EMBEDDING, texts, role=role),
        margin=_JUMPS if in_8_bits else _OTHER_MACHINES,
        graph=packed,
    )


def describe_inputs(branches: Branches) -> list[dict[str, Any]]:
    """Say for the manifest how each input's token ids are made, and what a graph calls them."""
    return [
        {
            "ids": f"input_ids{suffix(i)}",
            "mask": f"attention_mask{suffix(i)}",
            "tokenizer": f"tokenizer{suffix(i)}.json.gz",
            "special_tokens": input_.special_tokens,
            "ends": list(input_.ends),
            "prompts": dict(input_.prompts),
            "max_tokens": input_.max_tokens,
            "pad_id": input_.pad_id,
        }
        for i, input_ in enumerate(branches.inputs)
    ]


def suffix(i: int) -> str:
    """End the names of what belongs to input `i`: "", "_2", "_3" ..."""
    return f"_{i + 1}" if i else ""
