"""Which label-free figure follows nDCG@10? Every trial of the budget search, scored for real.

    python benchmarks/proxies.py [--data ../shared/data] [--cache DIR]

Writes benchmarks/results/proxies.jsonl: one line per collection x budget x candidate, with its real
recovery and what each proxy thought of it; prints rank correlations and regret. The judgements
judge the proxies here, and are used nowhere else. About 15 minutes on 2 cores, embeddings cached.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from vecpress.arrays import Array
from vecpress.budget import agreement, choose
from vecpress.corpus import Benchmark, read_benchmark
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats, score_pipeline
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import Sample, make_encoder

COLLECTIONS = ("scifact", "cranfield", "arguana", "squad11-dev")
BUDGETS = (16, 32, 64, 128)
PROXIES = ("nearest, documents", "ten nearest, documents", "nearest, first sentences",
           "own document, first sentences")  # fmt: skip
RESULTS = Path(__file__).parent / "results"


def first_sentence(text: str) -> str:
    """Make a short pseudo-query of a document."""
    return " ".join(re.split(r"(?<=[.!?])\s+", text.strip())[0].split()[:40])


def graded(scores: Array, wanted: Array) -> float:
    """Score nDCG@10 of a ranking whose gains are 10 for the nearest float neighbour, ..., 1."""
    found = np.argsort(-scores, axis=1)[:, :10]
    gains, discounts = np.arange(10, 0, -1), 1 / np.log2(np.arange(2, 12))
    same = found[:, :, None] == wanted[:, None, :]
    return float(((same * gains).sum(axis=2) @ discounts).mean() / (gains @ discounts))


def study(name: str, data: Path, cache: Path) -> Iterator[dict[str, Any]]:
    """Fit every candidate on one collection; ask each proxy, then the judgements."""
    benchmark = read_benchmark(data / name)
    made = make_encoder(Recipe(models=("minilm", "wordllama")), benchmark.corpus)
    assert made is not None
    encoder = with_cache(made, cache)
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")[:: _thin(benchmark)]
    judged = _thinned(benchmark)
    raw = float(score_floats(documents, queries, judged).ndcg.mean())
    rows = np.random.default_rng(1).choice(len(documents), 400, replace=False)
    sentences = [first_sentence(benchmark.corpus.texts[i]) for i in rows]
    pseudo = {"documents": documents[rows], "sentences": encoder.encode(sentences, role="query")}
    wanted = {key: _without_own(x @ documents.T, rows) for key, x in pseudo.items()}
    wanted = {key: np.argsort(-scores, axis=1)[:, :10] for key, scores in wanted.items()}
    for budget in BUDGETS:
        for trial in choose(documents, budget).trials:
            recipe = Recipe(head=trial.head, quantizer=trial.quantizer)
            pipeline = Pipeline.from_sample(recipe, Sample(embeddings=documents))
            assert pipeline.head is not None
            assert pipeline.codec is not None
            decoded = pipeline.codec.dequantize(pipeline.quantize(pipeline.compress(documents)))
            full = {key: pipeline.head.compress(x) @ decoded.T for key, x in pseudo.items()}
            scores = {key: _without_own(s, rows) for key, s in full.items()}
            real = float(score_pipeline(pipeline, documents, queries, judged).ndcg.mean())
            yield {
                "benchmark": name,
                "budget": budget,
                "candidate": str(trial),
                "recovery": real / raw,
                "shipped rule": trial.agreement,
                PROXIES[0]: agreement(scores["documents"], wanted["documents"][:, 0]),
                PROXIES[1]: graded(scores["documents"], wanted["documents"]),
                PROXIES[2]: agreement(scores["sentences"], wanted["sentences"][:, 0]),
                PROXIES[3]: agreement(full["sentences"], rows),
            }
        print(name, budget, flush=True)


def _thin(benchmark: Benchmark) -> int:
    return max(1, len(benchmark.queries) // 1500)


def _thinned(benchmark: Benchmark) -> Benchmark:
    """Keep at most about 1,500 queries: 768 fits are scored."""
    queries, step = benchmark.queries, _thin(benchmark)
    ids, texts = queries.ids[::step], queries.texts[::step]
    kept = type(queries)(ids=ids, texts=texts, name=queries.name)
    qrels = {i: benchmark.qrels[i] for i in ids}
    return Benchmark(name=benchmark.name, corpus=benchmark.corpus, queries=kept, qrels=qrels)


def _without_own(scores: Array, rows: Array) -> Array:
    scores = scores.copy()
    scores[np.arange(len(rows)), rows] = -9
    return scores


def main() -> None:
    """Run all collections, and print how well each proxy chooses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    options = parser.parse_args()
    lines = [line for name in COLLECTIONS for line in study(name, options.data, options.cache)]
    write_results(RESULTS / "proxies.jsonl", lines)
    for proxy in ("shipped rule", *PROXIES):
        correlations, regrets = [], []
        for name in COLLECTIONS:
            for budget in BUDGETS:
                cell = [x for x in lines if (x["benchmark"], x["budget"]) == (name, budget)]
                real = np.array([x["recovery"] for x in cell])
                thought = np.array([x[proxy] for x in cell])
                correlations.append(float(spearmanr(thought, real).statistic))
                regrets.append(100 * float(real.max() - real[thought.argmax()]))
        print(f"{proxy}: mean rank correlation {np.mean(correlations):.2f}, regret mean "
              f"{np.mean(regrets):.1f}, worst {max(regrets):.1f} points of recovery")  # fmt: skip


if __name__ == "__main__":
    main()
