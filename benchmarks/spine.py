"""The spine's two tables, on real collections: what each byte budget keeps, and what heads keep.

    python benchmarks/spine.py [TABLE] [--data ../shared/data] [--cache DIR]

Writes benchmarks/results/spine-TABLE.jsonl, one table or all:

- budgets: methods x budgets, seeds 0-2, on four collections;
- heads: the paper's decoder beside PCA and power-PCA, trained on Wikipedia and SciFact, in float;
- losses: the paper's loss of those heads on unseen passages;
- weights: the float concatenation by WordLlama's weight;
- variants: the paper's decoder with more steps, and with a PCA start.

Encoding takes about 40 minutes on 2 cores the first time, and is cached.
"""

import argparse
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vecpress.compare import compare
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.corpus import Benchmark, read_benchmark, read_corpus
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import paired_p_value, score_floats
from vecpress.losses import similarity_matching
from vecpress.recipe import Recipe
from vecpress.report import render, write_results
from vecpress.sample import make_encoder
from vecpress.stages import Compressor, Encoder, TrainingSet

MODELS = ("minilm", "wordllama")
COLLECTIONS = ("scifact", "cranfield", "arguana", "squad11-dev")
BUDGETS = (16, 32, 64, 128)
DIMS = (64, 128, 256, 512)
SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results"


def budgets(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Compare methods at each budget; the choice never sees a judgement."""
    for name in COLLECTIONS:
        benchmark = read_benchmark(data / name)
        for seed in SEEDS:
            rows = compare(
                benchmark,
                Recipe(models=MODELS),
                BUDGETS,
                heads=("concat-decoder",),
                seed=seed,
                cache=cache,
            )
            kept = [row.to_dict() for row in rows]
            yield from (row for row in kept if seed == 0 or row["budget"] is not None)
            print(name, seed, *(f"{r['budget']}:{r['recovery']:.3f}" for r in kept
                                if r["group"] == "chosen"), flush=True)  # fmt: skip


def heads(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Score heads without codes, at each width, trained on Wikipedia and on SciFact itself."""
    scifact = read_benchmark(data / "scifact")
    made = make_encoder(Recipe(models=MODELS), scifact.corpus)
    assert made is not None
    encoder = with_cache(made, cache)
    wikipedia = read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")
    corpora = {"wikipedia-29k": wikipedia.texts, "scifact": scifact.corpus.texts}
    for trained_on, texts in corpora.items():
        training = TrainingSet(documents=encoder.encode(texts))
        for seed in SEEDS:
            for method, compressor in _compressors(seed):
                yield from _widths(trained_on, method, compressor, training, scifact, encoder, seed)


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
    scifact = read_benchmark(data / "scifact")
    made = make_encoder(Recipe(models=MODELS), scifact.corpus)
    assert made is not None
    encoder = with_cache(made, cache)
    wikipedia = read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")
    training = TrainingSet(documents=encoder.encode(wikipedia.texts))
    tried = {
        "paper, batch 128, 150 epochs": ConcatDecoder(
            dim=512, batch_size=128, epochs=150, patience=20
        ),
        "paper, PCA start": ConcatDecoder(dim=512, init="pca"),
    }
    for method, compressor in tried.items():
        yield from _widths("wikipedia-29k", method, compressor, training, scifact, encoder, 0)


def losses(data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Give the similarity-matching loss of each head at each width, on 2,048 unseen passages."""
    wikipedia = read_corpus(data / "wikipedia" / "passages-29k.jsonl.gz")
    made = make_encoder(Recipe(models=MODELS), wikipedia)
    assert made is not None
    rows = with_cache(made, cache).encode(wikipedia.texts)
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
    training: TrainingSet,
    benchmark: Benchmark,
    encoder: Encoder,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Fit one head at full width, and score its prefixes."""
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")
    raw = score_floats(documents, queries, benchmark).ndcg
    started = time.perf_counter()
    head = compressor.fit(training, seed=seed)
    seconds = time.perf_counter() - started
    for dim in DIMS:
        short = head.truncate(dim)
        scores = score_floats(short.compress(documents), short.compress(queries), benchmark)
        yield {
            "benchmark": benchmark.name,
            "trained_on": trained_on,
            "group": "trained" if "decoder" in method else "baseline",
            "method": method,
            "dim": dim,
            "bytes_per_vector": 4 * dim,
            **scores.means(),
            "recovery": float(scores.ndcg.mean() / raw.mean()),
            "p_value": paired_p_value(scores.ndcg, raw),
            "fit_seconds": round(seconds, 1),
            "seed": seed,
        }
    print(trained_on, method, seed, f"{seconds:.0f} s", flush=True)


TABLES = {
    "weights": weights,
    "losses": losses,
    "variants": variants,
    "heads": heads,
    "budgets": budgets,
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
            if name == "budgets":
                first = [row for row in rows if row["seed"] == 0]
                page = render(first, command="python benchmarks/spine.py")
                (RESULTS / "spine-budgets.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
