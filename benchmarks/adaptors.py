"""Trained heads beside untrained ones, at equal dimensions, on text and on images.

    python benchmarks/adaptors.py [TABLE ...] [--data ../shared/data] [--cache DIR] [--sets A,B]

Writes benchmarks/results/adaptors-TABLE.jsonl:

- tuning: learning rate and temperature by held-out training queries; no test judgement is read;
- scores: every method x 32, 64, 128, 256 dimensions x seeds 0-2, float output;
- gradients: size and variance of the first layer's gradients, one width after another or at once;
- speed: one pass over 29,494 x 640 embeddings with six widths and a memory of 5,000.

Data: SciFact (train judgements -> test), squad11-dev (questions of one half of the paragraphs ->
questions of the other half, searched among all), CIFAR-10 images (see images.py).
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from splits import MODELS, RESULTS, SETS, Split, stamped

from vecpress.arrays import Array
from vecpress.compressors.adaptors import MatryoshkaAdaptor, SearchAdaptor
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.compressors.smec import SMEC
from vecpress.corpus import read_corpus
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.significance import paired_p_value
from vecpress.stages import Compressor, TrainingSet

DIMS = (32, 64, 128, 256)
SEEDS = (0, 1, 2)
TOP, STOPS = DIMS[-1], DIMS


def methods(split: Split) -> Iterator[tuple[str, str, Compressor, bool]]:
    """Name every row: its group, its method, and whether it sees judgements."""
    by: Any = {"held_out_by": split.held_out_by}
    smec: Any = {"dim": TOP, "nested_dims": STOPS, **by}
    paper: Any = {"init": "identity"}
    yield "untrained", "truncation", Truncation(dim=TOP), False
    yield "untrained", "PCA", PCA(dim=TOP), False
    yield "untrained", "power-PCA .25", PowerPCA(dim=TOP, gamma=0.25), False
    yield "untrained", "power-PCA .5", PowerPCA(dim=TOP, gamma=0.5), False
    yield "unsupervised", "concat-decoder", ConcatDecoder(dim=TOP), False
    yield "unsupervised", "matryoshka-adaptor", MatryoshkaAdaptor(dim=TOP, nested_dims=STOPS), False
    yield "unsupervised", "SMEC", SMEC(dim=TOP, nested_dims=STOPS), False
    yield "supervised", "search-adaptor", SearchAdaptor(**smec), True
    yield "supervised", "matryoshka-adaptor", MatryoshkaAdaptor(**smec), True
    yield "supervised", "SMEC", SMEC(**smec), True
    yield "supervised", "SMEC - SMRL", SMEC(**smec, sequential=False), True
    yield "supervised", "SMEC - ADS", SMEC(**smec, adaptive=False), True
    yield "supervised", "SMEC - S-XBM", SMEC(**smec, memory=0), True
    yield "as published", "search-adaptor", SearchAdaptor(**smec, **paper), True
    yield "as published", "matryoshka-adaptor", MatryoshkaAdaptor(**smec, **paper), True
    yield "as published", "SMEC", SMEC(**smec, **paper), True


def scores(splits: list[Split]) -> Iterator[dict[str, Any]]:
    """Score every method, width and seed."""
    for split in splits:
        raw = score_floats(split.documents, split.queries, split.test).ndcg
        yield _row(split, "raw", "concatenation", split.documents.shape[1], 0, raw)
        best: dict[int, Array] = {}
        for group, method, compressor, judged in methods(split):
            for seed in SEEDS if group in ("unsupervised", "supervised") else SEEDS[:1]:
                log: list[Any] = []
                started = time.perf_counter()
                training = split.training if judged else split.unsupervised
                head = compressor.fit(training, seed=seed, log=log.append)
                seconds = time.perf_counter() - started
                kept = {r["stage"]: r["what"] for r in log if r["event"] == "kept"}
                for dim in DIMS:
                    short = head.truncate(dim)
                    asked = short.compress(split.queries)
                    ndcg = score_floats(short.compress(split.documents), asked, split.test).ndcg
                    if group == "untrained" and ndcg.mean() > best.get(dim, np.zeros(1)).mean():
                        best[dim] = ndcg
                    yield _row(split, group, method, dim, seed, ndcg) | {
                        "p_value": paired_p_value(ndcg, best[dim]),
                        "better": bool(ndcg.mean() > best[dim].mean()),
                        "kept": kept,
                        "fit_seconds": round(seconds, 1),
                    }
                print(split.name, group, method, seed, f"{seconds:.0f} s", flush=True)


def _row(split: Split, group: str, method: str, dim: int, seed: int, ndcg: Array) -> dict[str, Any]:
    fresh = ndcg[split.fresh]
    return {
        "benchmark": split.name,
        "group": group,
        "method": method,
        "dim": dim,
        "bytes_per_vector": 4 * dim,
        "seed": seed,
        "ndcg@10": float(ndcg.mean()),
        "fresh_ndcg@10": float(fresh.mean()) if len(fresh) else None,
        "queries": len(ndcg),
        "fresh_queries": len(fresh),
    }


def tuning(splits: list[Split]) -> Iterator[dict[str, Any]]:
    """Try SMEC's learning rate and temperature; only held-out training queries judge."""
    for split in splits:
        for temperature in (0.05, 1.0):
            for rate in (1e-4, 3e-4, 1e-3):
                log: list[Any] = []
                SMEC(
                    dim=TOP,
                    nested_dims=STOPS,
                    memory=0,
                    adaptive=False,
                    temperature=temperature,
                    learning_rate=rate,
                    held_out_by=split.held_out_by,  # ty: ignore[invalid-argument-type]
                ).fit(split.training, log=log.append)
                for row in log:
                    if row["event"] == "kept":
                        yield {"benchmark": split.name, "temperature": temperature,
                               "learning_rate": rate, **row}  # fmt: skip
                print("tuning", split.name, temperature, rate, flush=True)


def gradients(splits: list[Split]) -> Iterator[dict[str, Any]]:
    """Watch the first layer, whose rows all widths share if they are trained at once."""
    for split in splits:
        for method, sequential in [("SMRL", True), ("MRL", False)]:
            log: list[Any] = []
            SMEC(
                dim=TOP,
                nested_dims=STOPS,
                sequential=sequential,
                adaptive=False,
                epochs=10,
                patience=10,
            ).fit(split.training, log=log.append)
            first = log[0]["stage"]
            for row in log:
                if row["event"] == "epoch" and row["stage"] == first and row["epoch"] > 0:
                    yield {"benchmark": split.name, "method": method, **row}
            print("gradients", split.name, method, flush=True)


def speed(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Time one pass of each of six widths, and the same with one layer for all six."""
    made = make_encoder(
        Recipe(models=MODELS), read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")
    )
    assert made is not None
    corpus = read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")
    documents = with_cache(made, cache).encode(corpus.texts)
    for sequential in (True, False):
        smec = SMEC(
            dim=512,
            nested_dims=(16, 32, 64, 128, 256, 512),
            epochs=1,
            sequential=sequential,
        )
        log: list[Any] = []
        started = time.perf_counter()
        smec.fit(TrainingSet(documents=documents), log=log.append)
        yield {
            "documents": len(documents),
            "in_dim": documents.shape[1],
            "sequential": sequential,
            "layers": sum(row["event"] == "kept" for row in log),
            "memory": smec.memory,
            "neighbours": smec.neighbours,
            "threads": torch.get_num_threads(),
            "seconds": round(time.perf_counter() - started, 1),
        }


def main() -> None:
    """Run tables, and stamp every line with machine, versions and date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["tuning", "scores", "gradients", "speed"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--part", default="", help="suffix of the file, to run sets side by side")
    options = parser.parse_args()
    stamp = stamped()
    RESULTS.mkdir(exist_ok=True)
    tables = [name for name in options.tables if name != "speed"]
    names = options.sets.split(",") if tables else []
    splits = [SETS[name](options.data, options.cache) for name in names]
    made: dict[str, Any] = {"tuning": tuning, "scores": scores, "gradients": gradients}
    for name in options.tables:
        found = speed(options.data, options.cache) if name == "speed" else made[name](splits)
        write_results(RESULTS / f"adaptors-{name}{options.part}.jsonl", [r | stamp for r in found])


if __name__ == "__main__":
    main()
