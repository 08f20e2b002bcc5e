"""Run every study of the recipes, and keep what the documents are made of.

    python benchmarks/studies.py [STUDY ...] [--data ../shared/data] [--work studies] [--cache DIR]

Each study goes on from WORK/STUDY/results.jsonl, which holds every query's score, as
`vecpress study` does. benchmarks/results/study-STUDY.jsonl gets its rows without them, then what
its claims come to.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import torch
from splits import RESULTS, stamped

from vecpress.report import Ledger, write_page
from vecpress.studies.outcomes import decide
from vecpress.studies.page import render_study
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.run import beside, run_study

RECIPES = Path(__file__).parents[1] / "recipes"
KEPT = (
    *("benchmark", "arm", "seed", "dim", "bytes_per_vector", "ndcg@10", "recall@100", "mrr@10"),
    *("recovery", "documents", "queries", "training", "fit_seconds"),
)


def studies() -> list[str]:
    """Name all recipes that are studies."""
    return sorted(path.stem for path in RECIPES.glob("*.toml") if "[axes." in path.read_text())


def run(name: str, *, data: Path, work: Path, cache: Path) -> None:
    """Run one study, or what is left of it."""
    began = time.perf_counter()
    path = RECIPES / f"{name}.toml"
    with beside(RECIPES):
        study = StudyRecipe.read(path)
        ledger = Ledger(work / name)
        results = run_study(study, data=data, cache=cache, known=ledger.known, keep=ledger.keep)
    decisions = decide(study, results)
    page = render_study(study, results, decisions, command=f"vecpress study recipes/{name}.toml")
    write_page(work / name / "report.html", page)
    seconds = sum(row["seconds"] for row in results)
    rows: list[dict[str, Any]] = [{"study": name, "seconds": round(seconds), **stamped()}]
    rows += [{key: _short(row[key]) for key in KEPT} for row in results]
    rows += [decision.to_dict() for decision in decisions]
    lines = [json.dumps(_short(row), sort_keys=True) + "\n" for row in rows]
    (RESULTS / f"study-{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{name}: {len(results)} rows, {time.perf_counter() - began:.0f} s now", flush=True)


def _short(value: Any) -> Any:
    """Round numbers: six digits that count."""
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    """Run the studies that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("studies", nargs="*", default=studies())
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("studies"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    given = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    for name in given.studies:
        run(name, data=given.data, work=given.work, cache=given.cache)


if __name__ == "__main__":
    main()
