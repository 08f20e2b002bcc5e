"""The verbs that measure: evaluate, suggest, compare, report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vecpress import arguments, options, screen
from vecpress.bench import Fits
from vecpress.card import judged
from vecpress.compare import compare as compare_methods
from vecpress.comparison import Comparison
from vecpress.corpus import read_benchmark
from vecpress.encoders.precomputed import open_vectors
from vecpress.errors import ConfigError
from vecpress.evaluate import evaluate as evaluate_pipeline
from vecpress.explain import suggestion
from vecpress.official.run import open_door, plain, run_tasks
from vecpress.pipeline import Pipeline
from vecpress.report import Ledger, read_results, render, write_page
from vecpress.suggest import suggest as suggest_models
from vecpress.training_log import is_training, read_training
from vecpress.training_page import render_log


def evaluate(
    press: options.Press,
    folder: Annotated[
        Path | None, typer.Argument(metavar="BEIR_FOLDER", help="With judgements.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the judgements.")] = "test",
    documents: Annotated[
        Path | None, typer.Option(help="Vectors of the documents, for a press of vectors.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Vectors of the judged queries, in their order.")
    ] = None,
    mteb: options.Mteb = "",
    door: options.Door = "search",
    dim: options.DoorDim = None,
    rescore: options.Rescore = None,
    out: options.MtebOut = None,
    cache: options.Cache = options.CACHE,
    json: options.Json = False,
) -> None:
    """Score codes against judgements, beside the raw float concatenation; or on MTEB's tasks."""
    _check_target(folder, mteb, vectors=(documents, queries), settings=(door, dim, rescore, out))
    with screen.progress() as progress:
        pipeline = Pipeline.load(press).cached(cache, progress=progress)
        if folder is None:
            opened = open_door(pipeline, door, dim=dim, rescore=rescore, progress=progress)
            tasks = arguments.words(mteb)
            found = run_tasks(opened, tasks, split=split, out=out, progress=progress)
            result, table = plain(found), _task_table
        else:
            benchmark = read_benchmark(folder, split=split)
            table = screen.evaluation_table
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
        screen.OUT.print(table(result))


def _check_target(
    folder: Path | None,
    mteb: str,
    *,
    vectors: tuple[Path | None, Path | None],
    settings: tuple[str, int | None, int | None, Path | None],
) -> None:
    """Let a press be evaluated on one thing, with the options that go with it."""
    if folder is None and not mteb:
        raise ConfigError(
            "say what to evaluate on: a BEIR_FOLDER, or tasks such as --mteb SciFact,NFCorpus"
        )
    if folder is not None and mteb:
        raise ConfigError(
            f"evaluate on the BEIR_FOLDER {folder} or with --mteb {mteb}, not both: --mteb takes "
            "folders too"
        )
    if mteb and vectors != (None, None):
        raise ConfigError(
            "--documents and --queries go with a BEIR_FOLDER: with --mteb a press encodes texts"
        )
    if folder is not None and settings != ("search", None, None, None):
        raise ConfigError(
            "--door, --dim, --rescore and --out go with --mteb, not with a BEIR_FOLDER alone"
        )


def _task_table(result: Mapping[str, Any]) -> Any:
    """Show the main score of each of MTEB's tasks, split by split."""
    table = screen.start_table(f"{result['model_name']} on MTEB", "task")
    for heading in ("split", "subset"):
        table.add_column(heading)
    table.add_column("main score", justify="right")
    for task in result["task_results"]:
        for split, rows in task["scores"].items():
            for row in rows:
                score = f"{row['main_score']:.4f}"
                table.add_row(task["task_name"], split, row["hf_subset"], score)
    return table


def suggest(
    corpus: options.Corpus,
    models: options.Models,
    by: options.By = "quality",
    seed: options.Seed = 0,
    cache: options.Cache = options.CACHE,
    json: options.Json = False,
) -> None:
    """Say which of some models to put side by side for a corpus, and how much each should count."""
    documents, names = arguments.open_texts(corpus), arguments.words(models)
    with screen.progress() as progress:
        found = suggest_models(names, documents, by=by, seed=seed, cache=cache, progress=progress)
    if json:
        screen.dump(found.to_dict())
    else:
        suggestion(found, corpus)


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="BEIR_FOLDER...", help="With judgements.")
    ],
    models: options.Models,
    out: options.Out,
    weights: options.Weights = "",
    budgets: Annotated[str, typer.Option(help="Bytes per vector.")] = "32,64,128",
    heads: Annotated[str, typer.Option(help="Train these too, such as smec.")] = "",
    fit_on: options.FitOn = "",
    split: Annotated[str, typer.Option(help="Of the judgements that score.")] = "test",
    pairs_split: options.OtherSplit = "",
    seeds: Annotated[str, typer.Option(help="Of everything random, such as 0,1,2.")] = "0",
    cache: options.Cache = options.CACHE,
    overwrite: options.Overwrite = False,
) -> None:
    """Score methods x budgets on benchmarks: results.jsonl and report.html.

    What results.jsonl in --out holds already is not run again: an interrupted comparison goes on.
    """
    arguments.check_results(out, overwrite=overwrite)
    ledger = Ledger(out, anew=overwrite)
    given = {"models": models, "weights": weights, "budgets": budgets, "heads": heads}
    given |= {"fit-on": fit_on, "split": split, "pairs-split": pairs_split, "seeds": seeds}
    command = arguments.typed("compare", *map(str, folders), **given, out=str(out))
    comparison = Comparison(
        recipe=arguments.read_recipe(None, models=models, weights=weights),
        budgets=arguments.read_budgets(budgets),
        fit_on=arguments.open_texts(fit_on) if fit_on else None,
        seeds=arguments.read_seeds(seeds),
        cache=cache,
        command=command,
    )
    fits: Fits = {}
    for folder in folders:
        benchmark = read_benchmark(folder, split=split)
        trained = arguments.read_trained(
            heads, folder, benchmark, scored=split, split=pairs_split, elsewhere=bool(fit_on)
        )
        with screen.progress() as progress:
            rows = compare_methods(
                benchmark,
                replace(comparison, trained=trained),
                known=ledger.known,
                keep=lambda row: ledger.keep(row.to_dict()),
                fits=fits,
                progress=progress,
            )
        screen.OUT.print(screen.comparison_table(rows))
        if trained.pairs is not None:
            screen.say(f"Judgements: {judged(trained.pairs.record())}.")
    write_page(out / "report.html", render(read_results(ledger.path), command=command))
    screen.say(f"{ledger.path}, {out}/report.html")


def report(
    results: options.Results,
    out: options.Out,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw results, or how a press was trained, as one HTML file."""
    arguments.refuse_existing(out, overwrite=overwrite, file=True)
    command = f"vecpress report {results}"
    if is_training(results):
        page = render_log(read_training(results), title=str(results), command=command)
    else:
        page = render(read_results(results), command=command)
    write_page(out, page)
    screen.say(str(out))
