"""The command line: each verb is parse, one library call, print."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vecpress import __version__, arguments, screen
from vecpress.artifact import new_folder
from vecpress.budget import fit_to_budget, parse_budget
from vecpress.compare import compare as compare_methods
from vecpress.corpus import read_benchmark
from vecpress.demo.run import run as run_demo
from vecpress.encoders.precomputed import check_target, open_vectors, write_vectors
from vecpress.errors import ConfigError, VecpressError
from vecpress.evaluate import evaluate as evaluate_pipeline
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.report import read_results, render, write_page, write_results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn many small embedding models, or vectors you already have, into a few bytes per "
    "document that still retrieve.",
)

# The cache of encoders is only looked for here: nothing in the library reads the environment.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "vecpress"
_CORPUS_HELP = (
    "BEIR folder; .jsonl(.gz), .csv, .parquet or .txt of texts; - for stdin; or .npy, .npz or "
    ".parquet of vectors (then without --models)."
)
CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help=_CORPUS_HELP)]
PressArgument = Annotated[Path, typer.Argument(metavar="PRESS", help="What `fit` made.")]
OutOption = Annotated[Path, typer.Option("--out", help="What to write.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
SeedOption = Annotated[int, typer.Option(help="Of everything random.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
CacheOption = Annotated[
    Path, typer.Option(help="Folder in which encoders remember.", show_default="~/.cache/vecpress")
]
ModelsOption = Annotated[
    str, typer.Option(help="Models to put side by side, such as minilm,wordllama,lexical:256.")
]
WeightsOption = Annotated[str, typer.Option(help="Each model's share of the cosine: 1,0.5.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything made.")] = Path(
        "vecpress-demo"
    ),
    cache: CacheOption = _CACHE,
) -> None:
    """Show everything end to end, offline, on the standard library's own documentation."""
    run_demo(out, cache)


@app.command()
def fit(
    corpus: CorpusArgument,
    out: OutOption,
    models: ModelsOption = "",
    weights: WeightsOption = "",
    head: Annotated[
        str, typer.Option(help="power-pca, pca, truncation, random, concat-decoder.")
    ] = "",
    dim: Annotated[int | None, typer.Option(help="Dimensions kept.")] = None,
    bits: Annotated[int | None, typer.Option(help="Bits per dimension, 1 to 8.")] = None,
    budget: Annotated[str, typer.Option(help="Bytes per vector, such as 64B.")] = "",
    recipe: Annotated[Path | None, typer.Option(help="TOML file with all of these.")] = None,
    seed: SeedOption = 0,
    cache: CacheOption = _CACHE,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Fit head and quantizer on a corpus, and save them with the names of the models."""
    asked = arguments.read_recipe(
        recipe, models=models, weights=weights, head=head, dim=dim, bits=bits
    )
    if bool(budget) == (asked.quantizer is not None or asked.head is not None):
        raise ConfigError("give either --budget, or --dim and --bits, or a --recipe with both")
    arguments.refuse_existing(out, overwrite=overwrite)
    documents, _ = arguments.open_documents(corpus, vectors=not asked.models)
    with screen.progress() as progress:
        if budget:
            pipeline, choice = fit_to_budget(
                asked, documents, parse_budget(budget), seed=seed, cache=cache, progress=progress
            )
        else:
            choice = None
            pipeline = Pipeline.fit(asked, documents, seed=seed, cache=cache, progress=progress)
    pipeline.save(out, overwrite=overwrite)
    if json:
        screen.dump(_summary(pipeline, out))
        return
    screen.fitted(pipeline, choice, out=str(out), corpus=corpus)


@app.command()
def encode(
    press: PressArgument,
    corpus: CorpusArgument,
    out: OutOption,
    float_: Annotated[bool, typer.Option("--float", help="Embeddings instead of codes.")] = False,
    cache: CacheOption = _CACHE,
) -> None:
    """Write a corpus's codes, or its compressed embeddings, as .npy or .parquet."""
    check_target(out)
    with screen.progress() as progress:
        pipeline = Pipeline.load(press).cached(cache, progress=progress)
        documents, ids = arguments.open_documents(corpus, vectors=pipeline.encoder is None)
        if float_:
            rows = pipeline.embed_all(documents, progress=progress)
        else:
            rows = pipeline.quantize_all(documents, progress=progress)
    write_vectors(out, rows, ids)
    screen.say(f"{out}: {rows.shape[0]} x {rows.shape[1]} {rows.dtype}")


@app.command()
def index(
    press: PressArgument,
    corpus: CorpusArgument,
    out: OutOption,
    cache: CacheOption = _CACHE,
    overwrite: OverwriteOption = False,
) -> None:
    """Code a corpus and keep it searchable, together with the press that coded it."""
    arguments.refuse_existing(out, overwrite=overwrite)
    with screen.progress() as progress:
        pipeline = Pipeline.load(press)
        documents, ids = arguments.open_documents(corpus, vectors=pipeline.encoder is None)
        cached = pipeline.cached(cache, progress=progress)
        made = cached.index(documents, ids=ids, progress=progress)
    pipeline.save_index(made, out, overwrite=overwrite)
    screen.say(
        f"{out}: {len(made)} documents at {pipeline.bytes_per_vector} bytes "
        f"({made.codes.nbytes / 1e6:.2f} MB of codes)"
    )
    asked = "queries.npy" if pipeline.encoder is None else '"your question"'
    screen.say(f"Next: vecpress search {out} {asked}")


@app.command()
def search(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What `index` made.")],
    query: Annotated[str, typer.Argument(help="A text; - for stdin; or a file of vectors.")],
    k: Annotated[int | None, typer.Option("-k", help="Answers; 10 unless there are fewer.")] = None,
    json: JsonOption = False,
) -> None:
    """Find the documents that answer a query best."""
    text = arguments.read_query(query)
    with screen.progress() as progress:
        progress("loading", 0, 1)
        opened, pipeline = Index.load(index), Pipeline.load(index / "press")
        asked = [text] if pipeline.encoder is not None else open_vectors(query).array
        hits = pipeline.search(opened, asked, min(10, len(opened)) if k is None else k)
        progress("loading", 1, 1)
    answers = [
        [
            {"id": i, "score": round(float(s), 6), "text": opened.snippet(int(r))}
            for i, s, r in zip(ids, scores, rows, strict=True)
        ]
        for ids, scores, rows in zip(hits.ids, hits.scores, hits.rows, strict=True)
    ]
    if json:
        one = pipeline.encoder is not None  # a file of vectors gives a list of hits for each
        screen.dump({"query": text, "hits": answers[0] if one else answers})
    else:
        for ranked in answers:
            screen.answers(ranked)


@app.command()
def evaluate(
    press: PressArgument,
    folder: Annotated[Path, typer.Argument(metavar="BEIR_FOLDER", help="With judgements.")],
    split: Annotated[str, typer.Option(help="Of the judgements.")] = "test",
    documents: Annotated[
        Path | None, typer.Option(help="Vectors of the documents, for a press of vectors.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Vectors of the judged queries, in their order.")
    ] = None,
    cache: CacheOption = _CACHE,
    json: JsonOption = False,
) -> None:
    """Score codes against judgements, beside the raw float concatenation."""
    benchmark = read_benchmark(folder, split=split)
    with screen.progress() as progress:
        pipeline = Pipeline.load(press).cached(cache, progress=progress)
        result = evaluate_pipeline(
            pipeline,
            benchmark,
            documents=None if documents is None else open_vectors(documents).array,
            queries=None if queries is None else open_vectors(queries).array,
            progress=progress,
        ).to_dict()
    if json:
        screen.dump(result)
    else:
        screen.OUT.print(screen.evaluation_table(result))


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(metavar="BEIR_FOLDER", help="With judgements.")],
    models: ModelsOption,
    out: OutOption,
    weights: WeightsOption = "",
    budgets: Annotated[str, typer.Option(help="Bytes per vector.")] = "32,64,128",
    heads: Annotated[str, typer.Option(help="Train these too, such as concat-decoder.")] = "",
    split: Annotated[str, typer.Option(help="Of the judgements.")] = "test",
    seed: SeedOption = 0,
    cache: CacheOption = _CACHE,
    overwrite: OverwriteOption = False,
) -> None:
    """Score methods x budgets on a benchmark: results.jsonl and report.html."""
    arguments.refuse_existing(out, overwrite=overwrite)
    with screen.progress() as progress:
        rows = compare_methods(
            read_benchmark(folder, split=split),
            arguments.read_recipe(None, models=models, weights=weights),
            arguments.read_budgets(budgets),
            heads=arguments.words(heads),
            seed=seed,
            cache=cache,
            progress=progress,
        )
    with new_folder(out, overwrite=overwrite) as draft:
        results = [row.to_dict() for row in rows]
        write_results(draft / "results.jsonl", results)
        page = render(results, command=f"vecpress compare {folder} --models {models}")
        (draft / "report.html").write_text(page, encoding="utf-8")
    screen.OUT.print(screen.comparison_table(rows))
    screen.say(f"{out}/results.jsonl, {out}/report.html")


@app.command()
def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A results.jsonl.")],
    out: OutOption,
) -> None:
    """Draw results.jsonl as one HTML file."""
    page = render(read_results(results), command=f"vecpress report {results}")
    write_page(out, page)
    screen.say(str(out))


def _summary(pipeline: Pipeline, out: Path) -> dict[str, Any]:
    return {
        "press": str(out),
        "recipe": pipeline.recipe.to_dict(),
        "bytes_per_vector": pipeline.bytes_per_vector,
        "table_bytes": pipeline.table_bytes,
        "compression_factor": 4 * pipeline.in_dim / pipeline.bytes_per_vector,
        "fingerprint": pipeline.fingerprint,
        "sample": pipeline.provenance["sample"],
    }


def _version(asked: bool | None) -> None:
    if asked:
        screen.say(f"vecpress {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = None,
) -> None:
    """Set what holds for every verb: third parties keep quiet."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "TRANSFORMERS_NO_ADVISORY_WARNINGS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def main() -> None:
    """Run a verb; what a user can mend is one sentence and exit code 2."""
    try:
        app()
    except VecpressError as error:
        screen.ERR.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        screen.ERR.print("interrupted; what was encoded so far is kept")
        sys.exit(130)
