"""How far the label-free choice can be trusted: every candidate's proxy beside its real score.

    python benchmarks/proxies.py --data ../shared/data

Writes benchmarks/results/proxies.jsonl: four collections x budgets x every shape that the search
knows x three gammas, fitted on the collection: the parts of the proxy, other figures that were
thought of, and the real nDCG@10. `regret` in the summary rows is what the best candidate scores
more than the chosen one, in points of nDCG@10. The best of many is partly luck on the test queries,
so `fair_regret` lets one half of the queries name the best and scores both on the other half, over
50 random halves.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from splits import MODELS, RESULTS, stamped

from vecpress.arrays import Array, normalize
from vecpress.candidates import shapes
from vecpress.compressors.linear import Spectrum
from vecpress.corpus import Benchmark, Corpus, read_benchmark
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats
from vecpress.proxy import Proxy
from vecpress.pseudo import draw_questions, make_probes
from vecpress.quantizers.product import PQ
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.stages import TrainingSet

COLLECTIONS = ("cranfield", "squad11-dev", "scifact", "arguana")
BUDGETS = (16, 64)
ROUNDS = 10  # of k-means, as in the search
GAMMAS = (0.125, 0.25, 0.375)
RULES = {
    "shipped: first, ten, source": ("first", "ten", "source"),
    "first": ("first",),
    "ten": ("ten",),
    "source": ("source",),
    "first, ten": ("first", "ten"),
    "documents' first": ("documents' first",),
    "documents' ten": ("documents' ten",),
    "all": ("first", "ten", "source", "documents' first", "documents' ten"),
}


def study(name: str, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score every candidate on one collection, by proxies and by judgements."""
    benchmark = _thinned(read_benchmark(asked.data / name))
    made = make_encoder(Recipe(models=MODELS), benchmark.corpus)
    assert made is not None
    encoder = with_cache(made, asked.cache)
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")
    sentences = Proxy.of(
        documents, probes=make_probes(draw_questions(benchmark.corpus.texts), encoder)
    )
    neighbours = Proxy.of(documents)
    spectrum = Spectrum.of(TrainingSet(documents=documents))
    axes = spectrum.axes.T.astype(np.float32)
    raw = score_floats(documents, queries, benchmark).ndcg
    for budget in BUDGETS:
        cell = []
        for shape in shapes(documents.shape[1], budget, len(documents)):
            for gamma in GAMMAS:
                candidate = shape.with_gamma(gamma)
                dim = candidate.head.dim
                scale = spectrum.scale(dim, gamma).astype(np.float32)

                def shorten(x: Array, dim: int = dim, scale: Array = scale) -> Array:
                    return normalize((x @ axes[:, :dim]) * scale)

                quantizer: Any = candidate.quantizer
                if isinstance(quantizer, PQ):
                    quantizer = replace(quantizer, iterations=ROUNDS)
                codec = quantizer.fit(shorten(documents))
                decoded = codec.dequantize(codec.quantize(shorten(documents)))
                kept = sentences.kept(decoded, shorten)
                kept |= {
                    f"documents' {key}": v for key, v in neighbours.kept(decoded, shorten).items()
                }
                ndcg = score_floats(decoded, shorten(queries), benchmark).ndcg
                cell.append((str(candidate), kept, ndcg))
        yield from _rows(name, budget, cell, raw)
        print(name, budget, len(cell), flush=True)


def _thinned(benchmark: Benchmark) -> Benchmark:
    """Keep at most about 1,500 queries: hundreds of codes are scored."""
    queries, step = benchmark.queries, max(1, len(benchmark.queries) // 1500)
    ids, texts = queries.ids[::step], queries.texts[::step]
    kept = Corpus(ids=ids, texts=texts, name=queries.name)
    qrels = {i: benchmark.qrels[i] for i in ids}
    return replace(benchmark, queries=kept, qrels=qrels)


def _rows(
    name: str, budget: int, cell: list[tuple[str, dict[str, float], Array]], raw: Array
) -> Iterator[dict[str, Any]]:
    """Give each candidate, and then how each rule chose among them."""
    setting = {"benchmark": name, "budget": budget}
    for candidate, kept, ndcg in cell:
        yield {**setting, "candidate": candidate, **kept, "ndcg@10": float(ndcg.mean())}
    real = np.array([ndcg for _, _, ndcg in cell])
    rng, means = np.random.default_rng(0), real.mean(axis=1)
    halves = [rng.permutation(real.shape[1]) for _ in range(50)]
    for rule, parts in RULES.items():
        worth = np.array([np.mean([kept[p] for p in parts]) for _, kept, _ in cell])
        chosen = int(worth.argmax())
        fair = []
        for order in halves:
            one, other = np.array_split(order, 2)
            best = int(real[:, one].mean(axis=1).argmax())
            fair.append(real[best, other].mean() - real[chosen, other].mean())
        yield {
            **setting,
            "rule": rule,
            "chosen": cell[chosen][0],
            "best": cell[int(means.argmax())][0],
            "regret": 100 * float(means.max() - means[chosen]),
            "fair_regret": 100 * float(np.mean(fair)),
            "rank_correlation": float(spearmanr(worth, means).statistic),
            "raw": float(raw.mean()),
        }


def main() -> None:
    """Run all collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    asked = parser.parse_args()
    lines = [row | stamped() for name in COLLECTIONS for row in study(name, asked)]
    write_results(RESULTS / "proxies.jsonl", lines)


if __name__ == "__main__":
    main()
