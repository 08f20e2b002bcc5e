"""The frontier: every method at every budget, and whether the automatic choice is the best.

    python benchmarks/frontier.py --data ../shared/data --work FOLDER

Runs `vecpress compare` on four collections with two and with three models, heads and codes fitted
on each collection and on Wikipedia only, at 16, 32, 64 and 128 bytes, with three seeds. All rows,
with the score of every query, go to FOLDER/results.jsonl, to which an interrupted run is added;
what is committed is benchmarks/results/frontier.jsonl, without the queries. `--only` takes part of
it, so that several processes can share the work, each with a folder of its own; `--join` reads all.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from splits import RESULTS, stamped

from vecpress.bench import Fits
from vecpress.compare import compare
from vecpress.comparison import CHOSEN, Comparison
from vecpress.corpus import read_benchmark, read_corpus
from vecpress.recipe import Recipe
from vecpress.report import append_result, known_results, write_results
from vecpress.significance import paired_p_value

COLLECTIONS = ("scifact", "cranfield", "squad11-dev", "arguana")
MODELS = (("minilm", "wordllama"), ("minilm", "wordllama", "lexical"))
BUDGETS = (16, 32, 64, 128)
SEEDS = (0, 1, 2)
SAMPLE = 16_384  # documents fitted on


def run(asked: argparse.Namespace) -> None:
    """Compare, a collection at a time."""
    asked.work.mkdir(parents=True, exist_ok=True)
    path = asked.work / "results.jsonl"
    passages = read_corpus(asked.data / "wikipedia" / "passages-29k.jsonl.gz")
    passages = replace(passages, name="wikipedia-29k")
    for models in MODELS:
        for fit_on in (None, passages):
            fits: Fits = {}
            for name in COLLECTIONS:
                setting = f"{name}/{len(models)}/{'own' if fit_on is None else 'wikipedia'}"
                if asked.only and setting not in asked.only:
                    continue
                comparison = Comparison(
                    recipe=Recipe(models=models, sample=SAMPLE),
                    budgets=BUDGETS,
                    fit_on=fit_on,
                    seeds=asked.seeds,
                    cache=asked.cache,
                    command="python benchmarks/frontier.py --data ../shared/data",
                )
                began = time.perf_counter()
                compare(
                    read_benchmark(asked.data / name),
                    comparison,
                    known=known_results(path),
                    keep=lambda row: append_result(path, row.to_dict()),
                    fits=fits,
                )
                print(setting, f"{time.perf_counter() - began:.0f} s", flush=True)


def joined(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """Read all rows; in place of the queries give p of a baseline against the choice.

    Both are averaged over their seeds, query by query.
    """
    rows = [r for folder in folders for r in known_results(folder / "results.jsonl").values()]
    queries: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        queries[_cell(row), row["method"]].append(row["per_query"])
    for row in rows:
        kept = {key: value for key, value in row.items() if key not in ("per_query", "p_chosen")}
        if row["group"] == "baseline" and row["budget"] is not None:
            mine, theirs = (
                np.mean(queries[_cell(row), method], axis=0) for method in (row["method"], CHOSEN)
            )
            kept["p_choice"] = paired_p_value(mine, theirs)
        yield kept | stamped()


def _cell(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["benchmark"], tuple(row["models"]), row["fitted_on"], row["budget"])


def main() -> None:
    """Run, or join what was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    parser.add_argument("--work", type=Path, default=Path("frontier"))
    parser.add_argument("--only", nargs="*", help="such as scifact/2/own")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--join", nargs="*", type=Path, help="folders of finished parts")
    asked = parser.parse_args()
    if asked.join is None:
        run(asked)
    write_results(RESULTS / "frontier.jsonl", joined(asked.join or [asked.work]))


if __name__ == "__main__":
    main()
