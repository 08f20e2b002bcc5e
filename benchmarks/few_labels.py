"""What a head trained on few judgements is worth, and what the guard against luck keeps of it.

python benchmarks/few_labels.py --data ../shared/data

Only training judgements are used: some teach (and, held out among them, judge), the others probe.
On squad11-dev no paragraph is on both sides.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from splits import RESULTS, SETS, Split, stamped

from vecpress import training as trainer
from vecpress.arrays import Array
from vecpress.compressors.adaptors import SearchAdaptor
from vecpress.compressors.linear import PowerPCA
from vecpress.compressors.smec import SMEC
from vecpress.corpus import Benchmark, Corpus
from vecpress.evaluate import score_floats
from vecpress.qrels import Qrels
from vecpress.report import write_results
from vecpress.significance import SURE
from vecpress.stages import Compressor, TrainingSet

LABELS = (10, 40, 160, 640)
SEEDS = range(3)
DIM = 128
ALWAYS = 1.1  # a p-value that none reaches: without the guard


def cells(split: Split) -> Iterator[dict[str, Any]]:
    """Train on each number of queries, with and without the guard, and probe with the others."""
    by: Any = {"held_out_by": split.held_out_by}
    methods: dict[str, Compressor] = {
        "search-adaptor": SearchAdaptor(dim=DIM, **by),
        "SMEC": SMEC(dim=DIM, nested_dims=(DIM,), memory=0, **by),
    }
    for seed in SEEDS:
        pool, probes = _parts(split, seed)
        for labels in (n for n in LABELS if n <= len(pool)):
            given = _only(split.training, pool[:labels])
            start = _ndcg(PowerPCA(dim=DIM, gamma=0.25), given, probes, split, seed)
            for method, compressor in methods.items():
                for guard in (True, False):
                    trainer.SURE = SURE if guard else ALWAYS
                    log: list[Any] = []
                    began = time.perf_counter()
                    mine = _ndcg(compressor, given, probes, split, seed, log)
                    kept = [row for row in log if row["event"] == "kept"]
                    yield {
                        "benchmark": split.name,
                        "method": method,
                        "labels": labels,
                        "seed": seed,
                        "guard": guard,
                        "kept": [row["what"] for row in kept],
                        "p_values": [row["p_value"] for row in kept],
                        "held_out_gain": kept[-1]["held_out"] - kept[-1]["start"],
                        "probes": len(mine),
                        "start_ndcg@10": float(start.mean()),
                        "gain": float((mine - start).mean()),
                        "gain_error": float((mine - start).std() / len(mine) ** 0.5),
                        "fit_seconds": round(time.perf_counter() - began, 1),
                    }
            print(split.name, seed, labels, flush=True)


def _parts(split: Split, seed: int) -> tuple[Array, Array]:
    """Split the judged queries: 5/8 to learn from, the others to probe with."""
    training = split.training
    assert training.positives is not None
    rng = np.random.default_rng(seed)
    good = np.ones(len(training.positives), bool) if training.grades is None else (
        training.grades > 0)  # fmt: skip
    asked, answers = training.positives[good].T
    if split.held_out_by == "document":
        documents = rng.permutation(np.unique(answers))
        learned = np.isin(answers, documents[: len(documents) * 5 // 8])
        pool, probes = np.unique(asked[learned]), np.unique(asked[~learned])
        return rng.permutation(np.setdiff1d(pool, probes)), np.setdiff1d(probes, pool)
    queries = rng.permutation(np.unique(asked))
    return queries[: len(queries) * 5 // 8], queries[len(queries) * 5 // 8 :]


def _only(training: TrainingSet, queries: Array) -> TrainingSet:
    """Keep the judgements of some queries."""
    assert training.positives is not None
    kept = np.isin(training.positives[:, 0], queries)
    grades = None if training.grades is None else training.grades[kept]
    return replace(training, positives=training.positives[kept], grades=grades)


def _ndcg(
    compressor: Compressor,
    given: TrainingSet,
    probes: Array,
    split: Split,
    seed: int,
    log: list[Any] | None = None,
) -> Array:
    """Fit, and give nDCG@10 of each probe."""
    told = [] if log is None else log
    head = compressor.fit(given, seed=seed, log=told.append)
    whole = split.training
    assert whole.queries is not None
    short = head.compress(whole.documents), head.compress(whole.queries[probes])
    return score_floats(*short, _benchmark(split, probes)).ndcg


def _benchmark(split: Split, probes: Array) -> Benchmark:
    """Make a test of training queries."""
    training, ids = split.training, split.test.corpus.ids
    assert training.positives is not None
    grades = np.ones(len(training.positives)) if training.grades is None else training.grades
    qrels: Qrels = {f"probe-{q}": {} for q in probes}
    for (query, document), grade in zip(training.positives, grades, strict=True):
        if f"probe-{query}" in qrels:
            qrels[f"probe-{query}"][ids[document]] = int(grade)
    names = tuple(qrels)
    return Benchmark(
        name=split.name,
        corpus=split.test.corpus,
        queries=Corpus(ids=names, texts=names),
        qrels=qrels,
    )


def main() -> None:
    """Write benchmarks/results/few-labels.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["scifact", "squad11-dev"])
    parser.add_argument("--part", default="", help="suffix of the file, to run sets apart")
    asked = parser.parse_args()
    rows = [
        row | stamped() for name in asked.sets for row in cells(SETS[name](asked.data, asked.cache))
    ]
    write_results(RESULTS / f"few-labels{asked.part}.jsonl", rows)


if __name__ == "__main__":
    main()
