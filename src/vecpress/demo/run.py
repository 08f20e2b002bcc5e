"""What `vecpress demo` does, in the order a user would."""

from pathlib import Path
from typing import Literal

from vecpress import screen
from vecpress.compare import compare
from vecpress.comparison import Comparison
from vecpress.corpus import write_benchmark
from vecpress.demo import BUDGETS, MODELS, QUESTIONS, WEIGHTS, standard_library
from vecpress.errors import ArtifactError
from vecpress.explain import planned
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.plan import fit_to_budget
from vecpress.recipe import Recipe
from vecpress.report import render, write_results

_PRECISION: Literal["float16", "int8"] = "float16"
"""Of the page's models: small enough, and the answers are those of the command line."""


def run(out: Path, cache: Path) -> None:
    """Harvest, encode, compare, fit, index, ask, report and export; leave everything in `out`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"cannot write {out}: {error}") from error
    benchmark = standard_library()
    folder = out / benchmark.name
    folder.mkdir(exist_ok=True)
    write_benchmark(folder, benchmark)
    screen.say(
        f"{len(benchmark.corpus):,} documents: the docstrings of this Python's standard library. "
        f"{len(benchmark.queries)} questions, judged by hand."
    )
    recipe = Recipe(models=MODELS, weights=WEIGHTS)
    with screen.progress() as progress:
        comparison = Comparison(
            recipe=recipe, budgets=BUDGETS, cache=cache, command=f"vecpress demo --out {out}"
        )
        rows = compare(benchmark, comparison, progress=progress)
        pipeline, plan = fit_to_budget(
            recipe, benchmark.corpus, BUDGETS[1], cache=cache, progress=progress
        )
        index = pipeline.index(benchmark.corpus, progress=progress)
    pipeline.save(out / "press", overwrite=True)
    pipeline.save_index(index, out / "index", overwrite=True)
    results = [row.to_dict() for row in rows]
    write_results(out / "results.jsonl", results)
    page = render(results, command=f"vecpress demo --out {out}")
    (out / "report.html").write_text(page, encoding="utf-8")

    planned(plan, explain=False)
    screen.OUT.print(screen.comparison_table(rows))
    for question in QUESTIONS:
        hits = pipeline.search(index, [question], 3)
        screen.OUT.print(f"\n[bold]{question}[/bold]")
        screen.answers(
            [
                {"id": id_, "score": float(score), "text": index.snippet(int(row))}
                for id_, score, row in zip(hits.ids[0], hits.scores[0], hits.rows[0], strict=True)
            ]
        )
    _offer_page(out, pipeline, index)
    _say_next(out, folder)


def _offer_page(out: Path, pipeline: Pipeline, index: Index) -> None:
    """Export the search page where it was built, and say how to look at it."""
    from vecpress.exports.web import export_web, has_page  # it loads a tokenizer

    if not has_page():
        screen.say("\nThere is no search page: `make web` builds it, and needs npm.")
        return
    page = out / "page"
    with screen.progress() as progress:
        progress("exporting the page", 0, 1)
        export_web(
            pipeline, index, page, precision=_PRECISION, title="Python's standard library",
            questions=QUESTIONS, overwrite=True,
        )  # fmt: skip
        progress("exporting the page", 1, 1)
    screen.say("\nThe same in your browser, which then needs no server and no network:")
    screen.say(f"  python3 -m http.server --directory {page} 8000     # http://localhost:8000")


def _say_next(out: Path, folder: Path) -> None:
    screen.say(f"\nThe report: {out}/report.html")
    screen.say("What to type next:")
    screen.say(f'  vecpress search {out}/index "your own question"')
    screen.say(f"  vecpress evaluate {out}/press {folder}")
    screen.say(f"  vecpress fit vectors.npy --budget 64B --out {out}/mine     # your own vectors")
    screen.say(f"  vecpress compare BEIR_FOLDER --models {','.join(MODELS)} --out {out}/compared")
