"""Are models and weights chosen well without labels? Every choice beside its real score.

    python benchmarks/weights.py --data ../shared/data

Writes benchmarks/results/weights.jsonl: four collections x two and three models x every set of
shares that the search knows: quality in the cloze task for three draws of sentences, real nDCG@10
of the float concatenation, and what was chosen.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from splits import RESULTS, stamped

from vecpress.arrays import Array
from vecpress.corpus import Benchmark, read_benchmark
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import Concat, concatenate, with_cache
from vecpress.evaluate import score_floats
from vecpress.pseudo import draw_questions
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.weighing import GRID, Weights, pose, select

COLLECTIONS = ("scifact", "cranfield", "squad11-dev", "arguana")
MODELS = (("minilm", "wordllama"), ("minilm", "wordllama", "lexical"))
SEEDS = (0, 1, 2)


def study(
    name: str, models: tuple[str, ...], asked: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Score all shares, and what was chosen with each seed."""
    benchmark = read_benchmark(asked.data / name)
    texts = benchmark.corpus.texts
    made = make_encoder(Recipe(models=models), benchmark.corpus)
    assert made is not None
    encoder = with_cache(made, asked.cache)
    assert isinstance(encoder, Concat)
    blocks = [(e.encode(texts), e.encode(benchmark.queries.texts, role="query"))
              for e in encoder.encoders]  # fmt: skip
    clozes = [
        pose([find(m) for m in models], encoder.encoders, draw_questions(texts, seed=s), texts)
        for s in SEEDS
    ]
    setting = {"benchmark": name, "models": list(models)}
    tried = [{0: 1.0} | {i: w for i, w in enumerate(shares, start=1) if w}
             for shares in product((0.0, *GRID), repeat=len(models) - 1)]  # fmt: skip
    for weights in tried:
        yield {
            **setting,
            "weights": _named(weights, models),
            "quality": [cloze.step(weights).quality for cloze in clozes],
            "ndcg@10": _score(blocks, weights, benchmark),
        }
    for seed, cloze in zip(SEEDS, clozes, strict=True):
        chosen = select(cloze)[-1]
        score = _score(blocks, chosen.weights, benchmark)
        chosen_names = _named(chosen.weights, models)
        yield {**setting, "seed": seed, "chosen": chosen_names, "ndcg@10": score}
    print(name, models, flush=True)


def _named(weights: Weights, models: tuple[str, ...]) -> dict[str, float]:
    return {models[i]: share for i, share in sorted(weights.items())}


def _score(blocks: list[tuple[Array, Array]], weights: Weights, benchmark: Benchmark) -> float:
    kept, shares = sorted(weights), [weights[i] for i in sorted(weights)]
    documents, queries = (concatenate([blocks[i][side] for i in kept], shares) for side in (0, 1))
    return float(score_floats(documents, queries, benchmark).ndcg.mean())


def main() -> None:
    """Run all collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    asked = parser.parse_args()
    rows = [row | stamped() for n in COLLECTIONS for m in MODELS for row in study(n, m, asked)]
    write_results(RESULTS / "weights.jsonl", rows)


if __name__ == "__main__":
    main()
