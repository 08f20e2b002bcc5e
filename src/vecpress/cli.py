"""The command line: each verb is parse, one library call, print."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vecpress import (
    __version__,
    arguments,
    exporting,
    indexing,
    measuring,
    options,
    pushing,
    screen,
    serving,
    streaming,
    studying,
)
from vecpress.budget import parse_budget
from vecpress.demo.run import run as run_demo
from vecpress.encoders.precomputed import check_target, open_vectors, write_vectors
from vecpress.errors import VecpressError
from vecpress.explain import planned
from vecpress.extend import extend
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.plan import fit_to_budget

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Turn many small embedding models, or vectors you already have, into a few bytes per "
    "document that still retrieve.",
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything made.")] = Path(
        "vecpress-demo"
    ),
    cache: options.Cache = options.CACHE,
) -> None:
    """Show everything end to end, offline, on the standard library's own documentation."""
    run_demo(out, cache)


@app.command()
def fit(
    corpus: options.Corpus,
    out: options.Out,
    models: options.Models = "",
    weights: options.Weights = "",
    head: options.Head = "",
    dim: options.Dim = None,
    bits: options.Bits = None,
    budget: options.Budget = "",
    recipe: options.Recipe = None,
    pairs: options.Pairs = None,
    split: options.PairsSplit = "",
    queries: options.PairsQueries = None,
    continue_: options.Continue = None,
    report_to: options.ReportTo = "",
    seed: options.Seed = 0,
    memory: options.Memory = "",
    cache: options.Cache = options.CACHE,
    overwrite: options.Overwrite = False,
    explain: options.Explain = False,
    json: options.Json = False,
) -> None:
    """Fit head and quantizer on a corpus, and save them with the names of the models."""
    press = None if continue_ is None else Pipeline.load(continue_)
    asked = arguments.read_recipe(
        recipe,
        models=models,
        weights=weights,
        head=head,
        dim=dim,
        bits=bits,
        press=None if press is None else press.recipe,
    )
    arguments.check_fit(asked, budget=budget, continued=continue_, out=out, explain=explain)
    arguments.refuse_existing(out, overwrite=overwrite)
    takes_vectors = not asked.models if press is None else press.encoder is None
    if memory:
        whole = {"--pairs": pairs, "--queries": queries}
        asked, documents = streaming.draw_for_fit(
            asked, corpus, memory, press=press, whole=whole, seed=seed, by_budget=bool(budget)
        )
        taught = None
    else:
        documents, ids = arguments.open_documents(corpus, vectors=takes_vectors)
        taught = arguments.open_pairs(pairs, documents, ids, split=split, queries=queries)
    plan = None
    with screen.progress() as progress, arguments.open_log(report_to, out) as log:
        if budget:
            size = parse_budget(budget)
            pipeline, plan = fit_to_budget(
                asked, documents, size, pairs=taught, seed=seed, cache=cache, progress=progress
            )
        elif press is not None:
            above = press.cached(cache, progress=progress)
            pipeline = extend(
                above, asked, documents, pairs=taught, seed=seed, progress=progress, log=log
            )
        else:
            pipeline = Pipeline.fit(
                asked, documents, pairs=taught, seed=seed, cache=cache, progress=progress, log=log
            )
    pipeline.save(out, overwrite=overwrite)
    drawn = arguments.beside(out) if report_to else None
    if json:
        screen.dump(screen.summary(pipeline, out, plan=plan, drawn=drawn))
    else:
        planned(plan, explain=explain)
        screen.fitted(pipeline, out=str(out), corpus=corpus, drawn=drawn)


@app.command()
def encode(
    press: options.Press,
    corpus: options.Corpus,
    out: options.Out,
    float_: Annotated[bool, typer.Option("--float", help="Embeddings instead of codes.")] = False,
    format_: options.Format = None,
    memory: options.Memory = "",
    cache: options.Cache = options.CACHE,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a corpus's codes, or its compressed embeddings, as .npy or .parquet.

    To a folder they are written in shards: an interrupted run goes on where it was.
    """
    if streaming.takes_shards(out, memory=memory, format=format_):
        streaming.encode_shards(
            press,
            corpus,
            out,
            memory=memory,
            floats=float_,
            format=format_,
            overwrite=overwrite,
        )
        return
    check_target(out)
    arguments.refuse_existing(out, overwrite=overwrite, file=True)
    with screen.progress() as progress:
        pipeline = Pipeline.load(press).cached(cache, progress=progress)
        documents, ids = arguments.open_documents(corpus, vectors=pipeline.encoder is None)
        make = pipeline.embed_all if float_ else pipeline.quantize_all
        rows = make(documents, progress=progress)
    write_vectors(out, rows, ids)
    screen.say(f"{out}: {rows.shape[0]} x {rows.shape[1]} {rows.dtype}")


@app.command()
def index(
    press: options.Press,
    corpus: options.Corpus,
    out: options.Out,
    memory: options.Memory = "",
    cache: options.Cache = options.CACHE,
    add: Annotated[bool, typer.Option("--add", help="Add to the index that is there.")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Code a corpus and keep it searchable, together with the press that coded it.

    With --memory an interrupted run goes on where it was.
    """
    if add:
        indexing.check_add(memory=memory, overwrite=overwrite)
        indexing.add(press, corpus, out, cache=cache)
        return
    arguments.refuse_existing(out, overwrite=overwrite)
    if memory:
        streaming.index_stream(press, corpus, out, memory=memory, overwrite=overwrite)
        return
    with screen.progress() as progress:
        pipeline = Pipeline.load(press)
        documents, ids = arguments.open_documents(corpus, vectors=pipeline.encoder is None)
        cached = pipeline.cached(cache, progress=progress)
        made = cached.index(documents, ids=ids, progress=progress)
    pipeline.save_index(made, out, overwrite=overwrite)
    screen.indexed(pipeline, out=str(out), documents=len(made))


@app.command()
def search(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What `index` made.")],
    query: Annotated[
        str, typer.Argument(help="A text; - for stdin; an image, or a file of vectors.")
    ],
    k: Annotated[int | None, typer.Option("-k", help="Answers; 10 unless there are fewer.")] = None,
    rescore: Annotated[
        int | None,
        typer.Option(
            help="Order so many of the best hits anew by their finer codes.",
            show_default="10 times -k, if the index has them",
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            help="Share of the best to find on average, of an index in lists: see `partition`.",
            show_default="all",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Find the documents that answer a query best."""
    text = arguments.read_query(query)
    with screen.progress() as progress:
        progress("loading", 0, 1)
        opened, pipeline = Index.load(index), Pipeline.load(index / "press")
        asked = open_vectors(query).array if pipeline.encoder is None else arguments.as_item(text)
        k, given = min(10, len(opened)) if k is None else k, {"rescore": rescore, "recall": recall}
        chosen = {name: value for name, value in given.items() if value is not None}
        hits = pipeline.search(opened, asked, k, **chosen)
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


for verb in (
    measuring.evaluate,
    measuring.suggest,
    measuring.compare,
    measuring.report,
    studying.study,
    indexing.delete,
    indexing.compact,
    indexing.partition,
    indexing.check,
    exporting.export,
    pushing.push,
    serving.serve,
):
    app.command()(verb)


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
