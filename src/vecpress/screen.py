"""What the command line shows: tables and progress, never on a pipe that somebody reads."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vecpress.card import judged, kept
from vecpress.pipeline import Pipeline
from vecpress.plan import Plan
from vecpress.row import Row
from vecpress.stages import Progress as Report

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)


@contextmanager
def progress() -> Generator[Report]:
    """Draw a bar for each thing reported, on stderr, and only if a person is watching."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            kind = what.partition(",")[0]
            if kind not in tasks or bars.tasks[tasks[kind]].finished:
                tasks[kind] = bars.add_task(what, total=total)
            bars.update(tasks[kind], description=what, completed=done, total=total)

        yield report


def say(text: str = "") -> None:
    """Print a line for people."""
    OUT.print(text, soft_wrap=True)


def dump(value: Any) -> None:
    """Print one JSON object and nothing else."""
    print(json.dumps(value, ensure_ascii=False))  # noqa: T201 - the one thing on stdout


def summary(
    pipeline: Pipeline, out: Path, *, plan: Plan | None = None, drawn: Path | None = None
) -> dict[str, Any]:
    """Give what `fit --json` prints; what could not be used is said on stderr too."""
    taught = pipeline.provenance.get("pairs")
    if taught and taught["skipped"]:
        ERR.print(f"{judged(taught)}.", markup=False, soft_wrap=True)
    return {
        "press": str(out),
        "recipe": pipeline.recipe.to_dict(),
        "bytes_per_vector": pipeline.bytes_per_vector,
        "table_bytes": pipeline.table_bytes,
        "compression_factor": 4 * pipeline.in_dim / pipeline.bytes_per_vector,
        "fingerprint": pipeline.fingerprint,
        "sample": pipeline.provenance["sample"],
        "pairs": taught,
        "continues": pipeline.provenance.get("continues"),
        "kept": [dict(row) for row in pipeline.log if row.get("event") == "kept"],
        "tensorboard": None if drawn is None else str(drawn),
        "plan": None if plan is None else plan.to_dict(),
    }


def fitted(pipeline: Pipeline, *, out: str, corpus: str, drawn: Path | None = None) -> None:
    """Say what was fitted, what training kept, and what to type next."""
    size, floats = pipeline.bytes_per_vector, 4 * pipeline.in_dim
    say(
        f"{out}: {size} bytes per vector instead of {floats} ({floats / size:.0f}x smaller), and "
        f"{pipeline.table_bytes:,} once; fitted on {pipeline.provenance['sample']} documents."
    )
    if "pairs" in pipeline.provenance:
        say(f"It was given {judged(pipeline.provenance['pairs'])}.")
    for line in kept(pipeline.log):
        say(line)
    if pipeline.log:
        say(f"How it went: vecpress report {out} --out training.html")
    if drawn is not None and pipeline.log:
        say(f"The training is drawn in {drawn}: tensorboard --logdir {drawn}")
    elif drawn is not None:
        say(f"This head is not trained, so {drawn} holds no curves.")
    if pipeline.codec is None:
        say("It keeps floats: add --bits 4, say, for codes that can be indexed.")
    else:
        say(f"Next: vecpress index {out} {corpus} --out INDEX")


def indexed(pipeline: Pipeline, *, out: str, documents: int) -> None:
    """Say what was indexed, and what to type next."""
    size = pipeline.bytes_per_vector
    say(f"{out}: {documents} documents at {size} bytes ({documents * size / 1e6:.2f} MB of codes)")
    asked = "queries.npy" if pipeline.encoder is None else '"your question"'
    say(f"Next: vecpress search {out} {asked}")


def answers(ranked: Sequence[Mapping[str, Any]]) -> None:
    """Print hits for people: score, id, and how the document begins."""
    for hit in ranked:
        OUT.print(f"{hit['score']:.4f}  {hit['id']}", markup=False)
        if hit["text"]:
            start = " ".join(str(hit["text"]).split())
            OUT.print(f"        {start}", markup=False, overflow="ellipsis", no_wrap=True)


def evaluation_table(result: Mapping[str, Any]) -> Table:
    """Show what an artifact scores."""
    counts = f"{result['n_queries']} queries, {result['n_documents']} documents"
    table = start_table(f"{result['benchmark']}: {counts}", "measure")
    table.add_column("value", justify="right")
    for name in ("ndcg@10", "recall@100", "mrr@10", "baseline_ndcg@10"):
        table.add_row(name, f"{result[name]:.4f}")
    table.add_row("recovery", f"{100 * result['recovery']:.1f} %")
    table.add_row("bytes per vector", f"{result['bytes_per_vector']:,}")
    table.add_row("bytes once (tables)", f"{result['table_bytes']:,}")
    table.add_row("compression factor", f"{result['compression_factor']:.1f}x")
    if result["n_unanswerable"]:
        label = "queries with no answer in the corpus (count as 0)"
        table.add_row(label, str(result["n_unanswerable"]))
    return table


def comparison_table(rows: Sequence[Row]) -> Table:
    """Show methods beside each other."""
    several = len({row.seed for row in rows}) > 1
    table = start_table(f"{rows[0].benchmark}: quality per byte", "method")
    table.columns[0].no_wrap = False  # figures are never cut; names may wrap
    for heading in ("nDCG@10", "recall@100", "bytes", "smaller", "kept"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda r: (r.budget or 0, r.seed)):
        style = {"chosen": "bold green", "concatenation": "bold"}.get(row.group)
        table.add_row(
            escape(row.method + (f", seed {row.seed}" if several else "")),
            f"{row.measures['ndcg@10']:.4f}",
            f"{row.measures['recall@100']:.4f}",
            f"{row.bytes_per_vector:,}",
            f"{row.compression_factor:.1f}x",
            f"{100 * row.recovery:.1f}%",
            style=style,
        )
    return table


def start_table(title: str, first: str) -> Table:
    """Start a table that fits 80 columns: no lines but the one under the headings."""
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column(first, no_wrap=True)
    return table
