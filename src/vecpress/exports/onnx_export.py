"""Writes a press as a folder of one ONNX graph and its tokenizers; `onnx_bundle.py` reads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from vecpress.artifact import write_config
from vecpress.digests import file_digest
from vecpress.errors import ArtifactError
from vecpress.exports.branches import BertBranch, Branches, branches_of
from vecpress.exports.golden import golden_cosines, make_golden, shorten
from vecpress.exports.graph import (
    EMBEDDING,
    Precision,
    build_graph,
    codec_outputs,
    input_names,
    role_name,
)
from vecpress.exports.onnx_bundle import FORMAT_VERSION, GOLDEN, GRAPH, MANIFEST, OnnxBundle
from vecpress.exports.onnx_card import describe_bundle
from vecpress.exports.tokenizer_config import tokenizer_config
from vecpress.folders import new_folder
from vecpress.pipeline import Pipeline
from vecpress.registry import FITTED, kind_of
from vecpress.stages import Codec

_LEAST: Mapping[Precision, float] = {"float32": 1 - 1e-5, "float16": 0.999, "int8": 0.99}
"""Least cosine to the press that an export may have."""

_LEAST_IN_8_BITS = 0.9  # where the press has a transformer compute so

_MARGIN, _MARGIN_IN_8_BITS = 1e-5, 0.03
"""What may be lost on another machine.

In 8 bits a difference in the seventh digit can round one activation the other way, and the next
layers' then too: two machines agree no better with each other than with the press.
"""


def export_onnx(
    pipeline: Pipeline,
    out: str | Path,
    *,
    precision: Precision = "float32",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write a press as one graph from token ids to embeddings and codes.

    Args:
        pipeline: The press.
        out: The folder to make.
        precision: How the models' weights are stored; head and codes stay exact. "int8" takes a
            quarter of the bytes and gives slightly other vectors, but if the press has rounded the
            weights already (`minilm:w8`, `wordllama:int8`): then they are its own.
        overwrite: Whether a folder of ours may be replaced.

    Returns:
        Sentences on what the graph leaves out, such as codes that only FAISS makes.

    Raises:
        ArtifactError: the folder exists and `overwrite` is false, or cannot be written; or the
            graph does not give the press's vectors.
        ConfigError: the press takes precomputed vectors, a model has no graph, or all of them are
            too large for one file.
        MismatchError: the models found here are not those it was fitted on.
    """
    with new_folder(out, overwrite=overwrite) as draft:
        about = _fill(draft, pipeline, precision)
    return tuple(about["without"].values())


def _fill(draft: Path, pipeline: Pipeline, precision: Precision) -> dict[str, Any]:
    """Write all files, and give what the manifest says."""
    branches = branches_of(pipeline)
    model = build_graph(branches, pipeline.head, pipeline.codec, pipeline.fine, precision=precision)
    onnx.save(model, draft / GRAPH)
    del model  # as large as the file
    for i, put in enumerate(branches.inputs):
        (draft / _tokenizer_file(i)).write_text(put.tokenizer, encoding="utf-8")
    about = _describe(pipeline, branches, precision)
    golden = _measured(pipeline, OnnxBundle(folder=draft, manifest=about), branches, precision)
    _write_json(draft / GOLDEN, golden)
    about["cosine"] = golden["cosine"]
    names = [GRAPH, GOLDEN, *(_tokenizer_file(i) for i in range(len(branches.inputs)))]
    about["files"] = {name: _file(draft / name) for name in names}
    write_config(draft / MANIFEST, about)
    if len(branches.inputs) == 1:  # then the folder is also a tokenizer for transformers
        _write_json(draft / "tokenizer_config.json", tokenizer_config(branches.inputs[0]))
    card = describe_bundle(about, graph_bytes=about["files"][GRAPH]["bytes"])
    (draft / "README.md").write_text(card, encoding="utf-8")
    return about


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _describe(pipeline: Pipeline, branches: Branches, precision: Precision) -> dict[str, Any]:
    """Write the manifest, but for what is measured."""
    made = codec_outputs(pipeline.codec, pipeline.fine)
    outputs: dict[str, str | None] = {"embedding": EMBEDDING, "codes": None}
    return {
        "format_version": FORMAT_VERSION,
        "kind": "onnx",
        "fingerprint": pipeline.fingerprint,
        "precision": precision,
        "models": list(branches.names),
        "dim": pipeline.dim,
        "in_dim": branches.dim,
        "code_bytes": made["codes"].code_bytes if "codes" in made else None,
        "inputs": [_input(branches, i) for i in range(len(branches.inputs))],
        "role_input": role_name(branches),
        "outputs": outputs | {name: name for name in made},
        "codec": None if pipeline.codec is None else _codec(pipeline.codec),
        "fine": None if pipeline.fine is None else _codec(pipeline.fine),
        "without": _without(pipeline),
    }


def _without(pipeline: Pipeline) -> dict[str, str]:
    made = codec_outputs(pipeline.codec, pipeline.fine)
    asked = {"codes": pipeline.codec, "fine_codes": pipeline.fine}
    return {
        name: f"{kind_of(FITTED, codec).removesuffix('-codec')} codes are made by FAISS and have "
        "no graph: code the embeddings with the press"
        for name, codec in asked.items()
        if codec is not None and name not in made
    }


def _codec(codec: Codec) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": kind_of(FITTED, codec).removesuffix("-codec"), "dim": codec.dim}
    told["code_bytes"] = codec.code_bytes
    if hasattr(codec, "bits"):
        told["bits"] = codec.bits
    if hasattr(codec, "rotation"):
        told["rotation"] = codec.rotation is not None
    return told


def _input(branches: Branches, number: int) -> dict[str, Any]:
    put, (ids, mask) = branches.inputs[number], input_names(number)
    return {
        "ids": ids,
        "mask": mask,
        "tokenizer": _tokenizer_file(number),
        "special_tokens": put.special_tokens,
        "ends": list(put.ends),
        "prompts": dict(put.prompts),
        "max_tokens": put.max_tokens,
        "pad_id": put.pad_id,
    }


def _tokenizer_file(number: int) -> str:
    return "tokenizer.json" if number == 0 else f"tokenizer_{number + 1}.json"


def _measured(
    pipeline: Pipeline, bundle: OnnxBundle, branches: Branches, precision: Precision
) -> dict[str, Any]:
    """Make the golden vectors, and refuse a graph that is far from them."""
    berts = [part for part in branches.parts if isinstance(part, BertBranch)]
    in_8_bits = any(bert.int8 for bert in berts)
    least = _LEAST_IN_8_BITS if in_8_bits else _LEAST[precision]
    golden = make_golden(pipeline)
    cosines = golden_cosines(golden, lambda texts, role: bundle.encode(texts, role=role))
    worst = int(cosines.argmin())
    if cosines[worst] < least:
        finer = "report it" if precision == "float32" else "export it in float32"
        raise ArtifactError(
            f"in {precision}, the graph gives {shorten(golden['texts'][worst])} a vector whose "
            f"cosine to the press's is {cosines[worst]:.6f}, expected at least {least:g}: {finer}"
        )
    margin = _MARGIN_IN_8_BITS if in_8_bits else _MARGIN
    return golden | {"cosine": min(1.0, float(cosines[worst])), "margin": margin}


def _file(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}
