"""A press as a folder that sentence-transformers loads: its own modules, or one of ours.

A press of one model is written in modules of sentence-transformers, so that who loads it needs
nothing of ours. What those cannot say (several models, computing in 8 bits, roles pooled
differently) becomes one module of ours around the ONNX graph of the press.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from vecpress import registry
from vecpress.artifact import write_config
from vecpress.corpus import Benchmark
from vecpress.digests import file_digest
from vecpress.encoders.combine import Concat, without_cache
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ConfigError
from vecpress.exports.bases import bases, public_recipe
from vecpress.exports.dims_bits import dims_bits_table, sizes
from vecpress.exports.model_card import Facts, model_card
from vecpress.exports.st_dense import NotStock
from vecpress.folders import new_folder
from vecpress.pipeline import Pipeline
from vecpress.stages import Progress, silent

if TYPE_CHECKING:  # it loads torch
    from sentence_transformers import SentenceTransformer

FORMAT_VERSION = 1
MANIFEST = "vecpress.json"
CODEC = "vecpress"
"""Folder of the codec, a press that takes this folder's embeddings."""

_CLOSE = 1e-5
_CLOSE_8_BITS = 0.1
"""In 8 bits a difference in the seventh digit may round one activation the other way."""

_ROUNDED = (
    "A model of it computes in 8 bits: embeddings are the press's up to rounding, not to 1e-5."
)
_TEXTS = (
    "How do I open a file and read it line by line?",
    "The quick brown fox jumps over the lazy dog.",
    "Zürich — 東京, and 3.14159 is π; emoji \N{SNOWMAN}",
    "",
    "word " * 700,
    "unaffable naïve coöperation in the pre-2019 e-mail thread! " * 60,
)
"""What a folder must encode as the press does before it gets its name."""


def export_sentence_transformers(
    pipeline: Pipeline,
    out: str | Path,
    *,
    scores: Benchmark | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> list[str]:
    """Write a folder that `SentenceTransformer(out)` loads, with the press's own embeddings.

    Args:
        pipeline: That encodes texts.
        out: Made, whole or not at all.
        scores: Where widths and bits are measured for the model card; None leaves scores out.
        overwrite: Whether a folder of ours may be replaced.
        progress: Told about what is measured.

    Returns:
        Sentences for people: how to load it, and what to know.

    Raises:
        ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
        ConfigError: the press takes vectors, or a model of it has no form that could be exported.
        MissingExtraError: torch or sentence-transformers is not installed.
    """
    if pipeline.encoder is None:
        raise ConfigError(
            "this press was fitted on precomputed vectors, so there is no model to export: fit it "
            "with --models, or push the press itself"
        )
    for package in ("torch", "sentence_transformers"):
        registry.require(package, extra="encode")
    with new_folder(out, overwrite=overwrite) as draft:
        module = _write_model(pipeline, draft)
        if scores is None:
            table = sizes(pipeline)
        else:
            table = dims_bits_table(pipeline, scores, progress=progress)
        has_codec = pipeline.codec is not None
        if has_codec:
            _codec_press(pipeline).save(draft / CODEC)
        facts = Facts(bases=bases(pipeline), table=table, module=module, has_codec=has_codec)
        (draft / "README.md").write_text(model_card(pipeline, facts), encoding="utf-8")
        _open_to_others(draft)
        _write_manifest(pipeline, draft, form="module" if module else "stock")
    trust = ", trust_remote_code=True" if module else ""
    why = [f"It needs the package vecpress, because {module}."] if module else []
    why += [_ROUNDED] if _in_8_bits(pipeline) else []
    return [f'Load it: SentenceTransformer("{out}"{trust})', *why, f"Next: vecpress push {out} ID"]


def _write_model(pipeline: Pipeline, draft: Path) -> str:
    """Write modules of the one or the other kind; say why they are ours, if they are."""
    from vecpress.exports import st_stock  # it loads torch

    try:
        st_stock.assemble(pipeline).save(str(draft), create_model_card=False)
    except NotStock as reason:
        return _write_module(pipeline, draft, reason)
    _check(pipeline, st_stock.load(draft), close=_CLOSE)
    return ""


def _write_module(pipeline: Pipeline, draft: Path, reason: NotStock) -> str:
    for package in ("onnx", "onnxruntime"):
        registry.require(package, extra="onnx")
    from vecpress.exports.onnx_export import export_onnx
    from vecpress.exports.st_module import Press, as_model, open_press

    with TemporaryDirectory() as place:
        graph = Path(place) / "graph"
        try:
            export_onnx(replace(pipeline, recipe=public_recipe(pipeline.recipe)), graph)
        except ConfigError as error:
            raise ConfigError(
                f"sentence-transformers has no modules for this press, because {reason}; and as a "
                f"module of vecpress it would need a graph: {error}"
            ) from error
        nested = pipeline.head is not None and pipeline.head.narrower is None
        as_model(Press(graph, nested=nested)).save(str(draft), create_model_card=False)
    close = _CLOSE_8_BITS if _in_8_bits(pipeline) else _CLOSE
    _check(pipeline, open_press(draft, device="cpu"), close=close)
    return str(reason)


def _in_8_bits(pipeline: Pipeline) -> bool:
    encoder = without_cache(pipeline.same_encoder())
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    return any(isinstance(e, SentenceTransformerEncoder) and e.precision == "int8" for e in parts)


def _check(pipeline: Pipeline, model: "SentenceTransformer", *, close: float) -> None:
    """Hold what was written against the press, text by text and role by role.

    Raises:
        ConfigError: they give other embeddings.
    """
    texts = list(_TEXTS)
    documents, queries = pipeline.encode(texts), pipeline.encode(texts, role="query")
    for name, wanted in [
        ("encode", documents),
        ("encode_document", documents),
        ("encode_query", queries),
    ]:
        found = getattr(model, name)(texts, show_progress_bar=False)
        off = np.abs(np.asarray(found) - wanted).max(axis=1)
        if not (off <= close).all():
            worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
            raise ConfigError(
                f"in sentence-transformers this press would give other embeddings: {name} is off "
                f"by {off[worst]:.1e} for {texts[worst]!r:.40}. Models in 16 bits do that, and "
                "tokenizers that it makes anew: fit the press with "
                '{ kind = "sentence-transformer", model = ..., engine = "onnx" }'
            )


def _codec_press(pipeline: Pipeline) -> Pipeline:
    """Give a press of the codec alone: it takes this folder's embeddings for vectors."""
    told = {"in_dim": pipeline.dim, "encoder": "precomputed", "codes_of": pipeline.fingerprint}
    return replace(
        pipeline,
        recipe=replace(pipeline.recipe, models=(), weights=None, head=None),
        encoder=None,
        head=None,
        provenance={**pipeline.provenance, **told},
        log=(),
    )


def _open_to_others(draft: Path) -> None:
    """Give every file the rights of one that was simply written; some libraries keep theirs."""
    rights = (draft / "README.md").stat().st_mode
    for path in draft.rglob("*"):
        if path.is_file():
            path.chmod(rights)


def _write_manifest(pipeline: Pipeline, draft: Path, *, form: str) -> None:
    """Name every file, so that a folder can be known for ours, and for whole."""
    files = {
        path.relative_to(draft).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in sorted(draft.rglob("*"))
        if path.is_file() and path.name != "README.md"  # it may be written on
    }
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": "sentence-transformers",
        "form": form,
        "fingerprint": pipeline.fingerprint,
        "models": [base.name for base in bases(pipeline)],
        "dim": pipeline.dim,
        "files": files,
    }
    write_config(draft / MANIFEST, manifest)
