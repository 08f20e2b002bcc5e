"""The verb `export`: a press as an ONNX graph, a page for the browser, or a folder of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from vecpress import arguments, options, registry, screen
from vecpress.corpus import read_benchmark, read_corpus
from vecpress.errors import ConfigError
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.stages import Progress

Form = Literal["onnx", "web", "sentence-transformers"]
Precision = Literal["float32", "float16", "int8"]

_TAKES: Mapping[str, tuple[str, ...]] = {
    "onnx": ("--precision",),
    "web": ("--index", "--precision", "--title", "--questions"),
    "sentence-transformers": ("--evaluate",),
}
"""Which options mean something for which form."""

_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime", "tokenizers"),
    "static": ("tokenizers",),
}
"""What must be there, by the extra that brings it."""


def export(
    press: options.Press,
    to: Annotated[Form, typer.Option(help="What to make of it.")],
    out: options.Out,
    index: Annotated[
        Path | None, typer.Option(metavar="INDEX", help="What the page searches; with --to web.")
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="Of the models' weights; head and codes stay exact.",
            show_default="float32, and int8 with --to web",
        ),
    ] = None,
    title: Annotated[
        str, typer.Option(help="Of the page.", show_default="the number of documents")
    ] = "",
    questions: Annotated[
        str, typer.Option(metavar="FILE", help="Examples that the page offers: .txt or .jsonl.")
    ] = "",
    evaluate: Annotated[
        Path | None,
        typer.Option(
            metavar="BEIR_FOLDER", help="Measure widths and bits on it, for the model card."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write a press as an ONNX graph, as a search page, or for sentence-transformers."""
    given = {
        "--index": index,
        "--precision": precision,
        "--title": title,
        "--questions": questions,
        "--evaluate": evaluate,
    }
    _check(to, given)
    arguments.refuse_existing(out, overwrite=overwrite)
    pipeline = Pipeline.load(press)
    with screen.progress() as progress:
        progress("exporting", 0, 1)
        if to == "onnx":
            told = _onnx(pipeline, out, precision=precision or "float32", overwrite=overwrite)
        elif to == "web":
            asked = _questions(questions)
            told = _web(
                pipeline, out, index=index, precision=precision or "int8", title=title,
                questions=asked, overwrite=overwrite,
            )  # fmt: skip
        else:
            told = _sentence_transformers(
                pipeline, out, scored_on=evaluate, overwrite=overwrite, progress=progress
            )
        progress("exporting", 1, 1)
    sizes = {str(p.relative_to(out)): p.stat().st_size for p in out.rglob("*") if p.is_file()}
    if json:
        screen.dump({"out": str(out), "to": to, "bytes": sum(sizes.values()), "files": sizes})
        return
    screen.say(f"{out}: {sum(sizes.values()) / 1e6:.1f} MB in {len(sizes)} files")
    for line in told:
        screen.say(line)


def _check(to: Form, given: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing for this form."""
    for option, value in given.items():
        if value and option not in _TAKES[to]:
            forms = [form for form in get_args(Form) if option in _TAKES[form]]
            raise ConfigError(
                f"{option} goes with --to {' or '.join(forms)}, got --to {to}: leave it out"
            )
    if to == "web" and given["--index"] is None:
        raise ConfigError("a page searches an index: give --index, what `vecpress index` made")


def _questions(path: str) -> list[str]:
    return [] if not path else [str(text) for text in read_corpus(path).texts]


def _onnx(pipeline: Pipeline, out: Path, *, precision: Precision, overwrite: bool) -> list[str]:
    _need("onnx")
    from vecpress.exports.onnx_export import export_onnx  # each form loads what it needs

    left_out = export_onnx(pipeline, out, precision=precision, overwrite=overwrite)
    return [*left_out, f"How to run it, in ten lines: {out}/README.md"]


def _web(
    pipeline: Pipeline, out: Path, *, index: Path | None, precision: Precision, title: str,
    questions: list[str], overwrite: bool,
) -> list[str]:  # fmt: skip
    _need("onnx")
    from vecpress.exports.web import export_web

    assert index is not None
    export_web(
        pipeline, Index.load(index), out, precision=precision, title=title, questions=questions,
        overwrite=overwrite,
    )  # fmt: skip
    return [f"Look at it: python3 -m http.server --directory {out} 8000, http://localhost:8000"]


def _sentence_transformers(
    pipeline: Pipeline, out: Path, *, scored_on: Path | None, overwrite: bool, progress: Progress
) -> list[str]:
    _need("static")
    from vecpress.exports.st_folder import export_sentence_transformers

    benchmark = None if scored_on is None else read_benchmark(scored_on)
    return export_sentence_transformers(
        pipeline, out, scores=benchmark, overwrite=overwrite, progress=progress
    )


def _need(extra: str) -> None:
    for package in _PACKAGES[extra]:
        registry.require(package, extra=extra)
