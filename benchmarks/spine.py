"""The spine's tables, on real collections: what heads keep, and what weights do.

    python benchmarks/spine.py [TABLE] [--data ../shared/data] [--cache DIR]

Writes benchmarks/results/spine-TABLE.jsonl, one table or all:

- heads: the paper's decoder beside PCA and power-PCA, trained on Wikipedia and on the collection;
- losses: the paper's loss of those heads on unseen passages;
- weights: the float concatenation by WordLlama's weight;
- variants: the paper's decoder with more steps, and with a PCA start.

Encoding takes about 40 minutes on 2 cores the first time, and is cached.
"""

import argparse
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vecpress.arrays import Array
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.corpus import Benchmark, Corpus, read_benchmark, read_corpus
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats
from vecpress.losses import similarity_matching
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.significance import paired_p_value
from vecpress.stages import Compressor, Encoder, TrainingSet

MODELS = ("minilm", "wordllama")
COLLECTIONS = ("scifact", "cranfield", "arguana", "squad11-dev")
DIMS = (64, 128, 256, 512)
SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results"


def heads(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Score heads without codes, at each width, trained on Wikipedia and on the collection."""
    encoder = _encoder(data, cache)
    collections = [Floats.of(read_benchmark(data / name), encoder) for name in COLLECTIONS]
    wikipedia = encoder.encode(_wikipedia(data).texts)
    yield from _heads("wikipedia-29k", wikipedia, collections)
    for floats in collections:
        yield from _heads(floats.benchmark.name, floats.documents, [floats])


def _heads(
    trained_on: str, documents: Array, collections: Sequence["Floats"]
) -> Iterator[dict[str, Any]]:
    for seed in SEEDS:
        for method, compressor in _compressors(seed):
            yield from _widths(trained_on, method, compressor, documents, collections, seed)


def weights(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Score the float concatenation for several weights of the weaker model."""
    for name in COLLECTIONS:
        benchmark = read_benchmark(data / name)
        for weight in (1.0, 0.5, 0.25):
            made = make_encoder(Recipe(models=MODELS, weights=(1.0, weight)), benchmark.corpus)
            assert made is not None
            encoder = with_cache(made, cache)
            documents = encoder.encode(benchmark.corpus.texts)
            queries = encoder.encode(benchmark.queries.texts, role="query")
            scores = score_floats(documents, queries, benchmark)
            yield {"benchmark": name, "weight": weight, **scores.means()}
        print("weights", name, flush=True)


def variants(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Give the paper's decoder more steps, and a better start."""
    encoder = _encoder(data, cache)
    scifact = Floats.of(read_benchmark(data / "scifact"), encoder)
    documents = encoder.encode(_wikipedia(data).texts)
    tried = {
        "paper, batch 128, 150 epochs": ConcatDecoder(
            dim=512, batch_size=128, epochs=150, patience=20
        ),
        "paper, PCA start": ConcatDecoder(dim=512, init="pca"),
    }
    for method, compressor in tried.items():
        yield from _widths("wikipedia-29k", method, compressor, documents, [scifact], 0)


def losses(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Give the similarity-matching loss of each head at each width, on 2,048 unseen passages."""
    rows = _encoder(data, cache).encode(_wikipedia(data).texts)
    rows = rows[np.random.default_rng(9).permutation(len(rows))]
    unseen, training = torch.from_numpy(rows[:2048]), TrainingSet(documents=rows[2048:])
    cosines = (rows[:2048] @ rows[:2048].T)[np.triu_indices(2048, 1)]
    for method, compressor in _compressors(0):
        outputs = torch.from_numpy(compressor.fit(training).compress(rows[:2048]))
        for dim in DIMS:
            yield {
                "trained_on": "wikipedia-29k",
                "method": method,
                "dim": dim,
                "loss": float(similarity_matching(outputs, unseen, (dim,))),
                "cosine_mean": float(cosines.mean()),
                "cosine_sd": float(cosines.std()),
                "seed": 0,
            }
        print("loss", method, flush=True)


def _compressors(seed: int) -> Iterator[tuple[str, Compressor]]:
    if seed == 0:  # these draw nothing at random
        yield "truncation", Truncation(dim=512)
        yield "PCA", PCA(dim=512)
        yield "PCA, centred", PCA(dim=512, centre=True)
        yield "power-PCA .25", PowerPCA(dim=512, gamma=0.25)
        yield "power-PCA .5", PowerPCA(dim=512, gamma=0.5)
    yield "concat-decoder (paper)", ConcatDecoder(dim=512)
    yield "concat-decoder, linear, PCA start", ConcatDecoder(dim=512, form="linear", init="pca")


def _widths(
    trained_on: str,
    method: str,
    compressor: Compressor,
    documents: Array,
    collections: Sequence["Floats"],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Fit one head at full width, and score its prefixes."""
    started = time.perf_counter()
    head = compressor.fit(TrainingSet(documents=documents), seed=seed)
    seconds = time.perf_counter() - started
    for floats in collections:
        for dim in DIMS:
            short = head.truncate(dim)
            scores = score_floats(
                short.compress(floats.documents), short.compress(floats.queries), floats.benchmark
            )
            yield {
                "benchmark": floats.benchmark.name,
                "trained_on": trained_on,
                "group": "trained" if "decoder" in method or "paper" in method else "baseline",
                "method": method,
                "dim": dim,
                "bytes_per_vector": 4 * dim,
                **scores.means(),
                "recovery": float(scores.ndcg.mean() / floats.raw.mean()),
                "p_value": paired_p_value(scores.ndcg, floats.raw),
                "fit_seconds": round(seconds, 1),
                "seed": seed,
            }
    print(trained_on, method, seed, f"{seconds:.0f} s", flush=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class Floats:
    """A benchmark with its raw embeddings, and their nDCG@10 per query."""

    benchmark: Benchmark
    documents: Array
    queries: Array
    raw: Array

    @classmethod
    def of(cls, benchmark: Benchmark, encoder: Encoder) -> "Floats":
        """Encode a benchmark."""
        documents = encoder.encode(benchmark.corpus.texts)
        queries = encoder.encode(benchmark.queries.texts, role="query")
        raw = score_floats(documents, queries, benchmark).ndcg
        return cls(benchmark=benchmark, documents=documents, queries=queries, raw=raw)


def _encoder(data: Path, cache: Path) -> Encoder:
    made = make_encoder(Recipe(models=MODELS), _wikipedia(data))
    assert made is not None
    return with_cache(made, cache)


def _wikipedia(data: Path) -> Corpus:
    return read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")


TABLES = {
    "weights": weights,
    "losses": losses,
    "variants": variants,
    "heads": heads,
}


def main() -> None:
    """Run them, and stamp every line with machine, versions and date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?", choices=tuple(TABLES))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    options = parser.parse_args()
    stamp = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {p: version(p) for p in ("vecpress", "numpy", "torch", "faiss-cpu")},
    }
    RESULTS.mkdir(exist_ok=True)
    for name, table in TABLES.items():
        if options.table in (None, name):
            rows = [row | stamp for row in table(options.data, options.cache)]
            write_results(RESULTS / f"spine-{name}.jsonl", rows)
            print(f"wrote {RESULTS}/spine-{name}.jsonl", flush=True)


if __name__ == "__main__":
    main()
