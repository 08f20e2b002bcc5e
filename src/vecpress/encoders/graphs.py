"""Graphs of BERT-type models: made once for each model, precision and way of making, and kept."""

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import safetensors.numpy

from vecpress import registry
from vecpress.arrays import Array, round_rows
from vecpress.artifact import read_config, write_config
from vecpress.digests import file_digest
from vecpress.encoders.bert_folder import BertFolder, tensor_shapes
from vecpress.encoders.kept import cache_of, keep, make_room
from vecpress.errors import ArtifactError

Precision = Literal["int8", "w8"]
"""What a press may compute in, if not in float32: 8 bits, or floats with weights of 8 bits."""

_LAYOUT = 1
"""Of the config.json that is kept."""

_BUILD = 1
"""Another number here whenever the same model would give other vectors, or another graph."""

_GRAPH, _WEIGHTS = "model.onnx", "weights.bin"


def can_make(bert: BertFolder, *, precision: Precision | None) -> bool:
    """Say whether the graph is there, or could be made with what is installed."""
    return find_spec("onnx") is not None or _home(bert, precision=precision).is_dir()


def weights_of(bert: BertFolder) -> dict[str, Array]:
    """Read a model's tensors, by the names that transformers gives them, without a prefix."""
    tensors = safetensors.numpy.load_file(bert.weights)
    return {name: tensors[bert.prefix + name] for name in tensor_shapes(bert.config)}


def is_rounded(name: str) -> bool:
    """Say whether 8 bits are for this tensor: the words and the linear maps, nearly all of them."""
    whole = ("embeddings.word_embeddings.weight", ".query.weight", ".key.weight", ".value.weight")
    return name.endswith((*whole, ".dense.weight"))


def _rounded(weights: dict[str, Array]) -> dict[str, Array]:
    """Give the floats that weights of 8 bits stand for, a scale per word and per output."""
    return {
        name: round_rows(np.asarray(tensor, np.float32), bits=8).rows
        if is_rounded(name)
        else tensor
        for name, tensor in weights.items()
    }


def graph_version() -> int:
    """Give the number of the way in which graphs are made."""
    return _BUILD


@contextmanager
def graph_of(bert: BertFolder, *, precision: Precision | None) -> Generator[Path]:
    """Give the file of a model's graph: kept in `~/.cache/vecpress/graphs`, or made now.

    Where nothing can be written it is made for this once.

    Raises:
        ArtifactError: the graph kept is damaged.
        MissingExtraError: it must be made, and `onnx` is not installed.
    """
    home = _home(bert, precision=precision)
    if not home.is_dir():
        try:
            make_room(home.parent, what="graph")
        except ArtifactError:
            with TemporaryDirectory() as folder:
                _make(bert, Path(folder), precision=precision)
                yield Path(folder) / _GRAPH
            return
        with keep(home) as folder:
            _make(bert, folder, precision=precision)
    _check(home)
    yield home / _GRAPH


def _home(bert: BertFolder, *, precision: Precision | None) -> Path:
    shapes = ("model_type", "num_hidden_layers", "num_attention_heads", "layer_norm_eps")
    config = [bert.config.get(name) for name in (*shapes, "pad_token_id")]
    told = {None: False, "int8": True}.get(precision, precision)  # as it was when there were two
    parts = ["graph", _BUILD, told, file_digest(bert.weights), config]
    return cache_of("graphs") / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _make(bert: BertFolder, folder: Path, *, precision: Precision | None) -> None:
    onnx = registry.require("onnx", extra="onnx")
    from vecpress.encoders.bert_graph import bert_graph  # imports onnx, which few need

    weights = weights_of(bert)
    weights = _rounded(weights) if precision == "w8" else weights
    model = bert_graph(
        bert.config, weights, int8=precision == "int8", first_position=bert.first_position
    )
    path = folder / _GRAPH
    onnx.save(
        model, path, save_as_external_data=True, location=_WEIGHTS, size_threshold=1024
    )  # the engine then maps the weights instead of reading them
    config = {
        "format_version": _LAYOUT,
        "model": str(bert.folder),
        "precision": precision or "float32",
        "bytes": {name: (folder / name).stat().st_size for name in (_GRAPH, _WEIGHTS)},
    }
    write_config(folder / "config.json", config)


def _check(home: Path) -> None:
    """Compare sizes only: hashing the weights would take as long as loading them."""
    try:
        sizes = read_config(home / "config.json", known=_LAYOUT)["bytes"]
        wrong = [name for name, size in sizes.items() if (home / name).stat().st_size != size]
    except (OSError, KeyError) as error:
        raise ArtifactError(
            f"the graph kept in {home} is damaged: delete this folder, and it is made again "
            f"({error})"
        ) from error
    if wrong:
        raise ArtifactError(
            f"the graph kept in {home} is damaged: delete this folder, and it is made again "
            f"({', '.join(wrong)} has another size)"
        )
