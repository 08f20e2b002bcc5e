"""What a page downloads: tensors, tokenizers, codes, texts, and the manifest that names them."""

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import safetensors.numpy

from vecpress.arrays import Array
from vecpress.errors import ArtifactError, ConfigError
from vecpress.exports.branches import Branches, branches_of
from vecpress.exports.golden import golden_cosines, make_golden, shorten
from vecpress.exports.web_engines import (
    Engine,
    Precision,
    describe_inputs,
    make_engine,
    suffix,
)
from vecpress.exports.web_tensors import Described, describe_codec
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.segments import Segment, check_living
from vecpress.upkeep import check_press

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
GRAPH = "model.onnx.gz"

_DEEPER = 10  # times the hits asked for are rescored, as `Pipeline.search` does
_NEAR = 0.9  # least cosine to the press that a page may have
_SURROGATES = re.compile("[\ud800-\udfff]")

Files = dict[str, bytes]
"""Content by name."""


def web_files(
    pipeline: Pipeline,
    index: Index,
    *,
    precision: Precision = "int8",
    title: str = "",
    questions: Sequence[str] = (),
) -> Files:
    """Make all files that a page reads, the manifest among them: the same bytes each time.

    Raises:
        ArtifactError: in this precision a page would give other vectors than the press.
        ConfigError: the press has no models, or some that no page can run; its codes cannot be
            scanned there; the precision cannot be had; or a question is no text.
        DataError: all documents of the index were deleted.
        MismatchError: the index was made by another press, or the models found here are others.
        MissingExtraError: a transformer's graph needs onnx, and it is not installed.
    """
    _check(pipeline, index, questions)
    branches = branches_of(pipeline)
    codes, tensors = _codes(index)
    engine = make_engine(branches, pipeline.head, precision=precision)
    content = _documents(Segment.join(index.segments))
    for i, input_ in enumerate(branches.inputs):
        content[f"tokenizer{suffix(i)}.json"] = input_.tokenizer.encode()
    content["tensors.safetensors"] = _tensors(engine.tensors | tensors)
    if engine.graph:
        content["model.onnx"] = engine.graph
    packed = {f"{name}.gz": gzip.compress(data, 9, mtime=0) for name, data in content.items()}
    sizes = {f"{name}.gz": len(data) for name, data in content.items()}
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": "web",
        "title": title or f"{len(index):,} documents",
        "questions": list(questions),
        "precision": precision,
        "press": _press(pipeline, index, branches),
        "inputs": describe_inputs(branches),
        **engine.told,
        **codes,
        "tensors": "tensors.safetensors.gz",
        "golden": _golden(pipeline, engine, precision),
        "files": {name: _file(data, sizes[name]) for name, data in packed.items()},
    }
    return packed | {MANIFEST: _json(manifest, indent=2)}


def _codes(index: Index) -> Described:
    """Say what there is to search, and how its codes are read."""
    codec, tensors = describe_codec(index.codec, name="codec")
    fine, finer = (None, {}) if index.fine is None else describe_codec(index.fine, name="fine")
    documents = {
        "count": len(index),
        "codes": "codes.bin.gz",
        "fine": None if fine is None else "fine.bin.gz",
        "texts": "documents.json.gz",
    }
    told = {"codec": codec, "fine": fine, "rescore": _DEEPER, "documents": documents}
    return told, tensors | finer


def _check(pipeline: Pipeline, index: Index, questions: Sequence[str]) -> None:
    if pipeline.encoder is None:
        raise ConfigError(
            "this press was fitted on precomputed vectors, so a page of it has no model to encode "
            "what is typed: fit a press on texts, with models such as wordllama"
        )
    check_press(index, pipeline.fingerprint, advice="export it with the press that made it")
    check_living(index.segments)
    if isinstance(questions, str):
        raise ConfigError(f"questions are a list of texts, got one: write [{questions!r}]")
    if other := [q for q in questions if not isinstance(q, str) or not q.strip()]:
        raise ConfigError(f"questions are texts to choose from, got {other[0]!r}: leave it out")


def _documents(documents: Segment) -> Files:
    """Give codes, ids and texts, in the order of the index."""
    kept = documents.snippets
    texts = [""] * len(documents) if kept is None else list(kept)
    about = _json({"ids": list(documents.ids), "texts": texts})
    made = {"codes.bin": documents.codes.tobytes(), "documents.json": about}
    return made if documents.fine is None else made | {"fine.bin": documents.fine.tobytes()}


def _tensors(tensors: Mapping[str, Array]) -> bytes:
    # safetensors stores a strided array's raw memory: other numbers, and no error.
    return safetensors.numpy.save({name: np.asarray(t, order="C") for name, t in tensors.items()})


def _press(pipeline: Pipeline, index: Index, branches: Branches) -> dict[str, Any]:
    return {
        "fingerprint": pipeline.fingerprint,
        "models": list(branches.names),
        "dim": pipeline.dim,
        "in_dim": pipeline.in_dim,
        "code_bytes": index.codec.code_bytes,
        "vecpress": version("vecpress"),
    }


def _golden(pipeline: Pipeline, engine: Engine, precision: Precision) -> dict[str, Any]:
    """Say what some queries are encoded to by the press, and how near a page comes."""
    golden = make_golden(pipeline, few=True)
    cosines = golden_cosines(golden, engine.encode)
    worst = int(cosines.argmin())
    if cosines[worst] < _NEAR:
        finer = "export it in float32" if engine.graph and precision != "float32" else "report it"
        raise ArtifactError(
            f"in {precision}, the page would give {shorten(golden['texts'][worst])} a vector whose "
            f"cosine to the press's is {cosines[worst]:.6f}, expected at least {_NEAR}: {finer}"
        )
    measured = {"cosine": min(1.0, float(cosines[worst])), "margin": engine.margin}
    return golden | measured | {"codes": None}  # a page codes nothing


def _file(packed: bytes, unpacked: int) -> dict[str, Any]:
    digest = hashlib.sha256(packed).hexdigest()
    return {"bytes": len(packed), "sha256": digest, "unpacked": unpacked}


def _json(value: Any, *, indent: int | None = None) -> bytes:
    """Write JSON in UTF-8, keys sorted; what UTF-8 cannot hold of a string is escaped."""
    separators = (",", ":") if indent is None else None
    made = json.dumps(
        value, sort_keys=True, ensure_ascii=False, indent=indent, separators=separators
    )
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", made).encode()
