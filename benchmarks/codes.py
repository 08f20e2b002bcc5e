"""Quantizers at equal bytes, behind the same head: which code keeps most of the float ranking?

    python benchmarks/codes.py --data ../shared/data

Writes benchmarks/results/codes.jsonl: collections x bytes x quantizers. The head is power-scaled
PCA (gamma .25), fitted like the quantizer on the collection's documents. All bytes per document
are counted, RaBitQ's factors too; tables are stored once and stand beside them. One seed.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splits import MODELS, RESULTS, stamped

from vecpress import artifact
from vecpress.compressors.linear import Spectrum
from vecpress.corpus import read_benchmark
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats
from vecpress.quantizers.hashing import LSH, LearnedHash
from vecpress.quantizers.itq import ITQ
from vecpress.quantizers.product import PQ
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Binary, Gaussian, LloydMax, Percentile
from vecpress.quantizers.variable import VariableBits
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.stages import Quantizer, TrainingSet

COLLECTIONS = ("cranfield", "scifact", "squad11-dev")
BUDGETS = (16, 32, 64, 128)
GAMMA = 0.25


def candidates(budget: int, width: int) -> Iterator[tuple[str, int, Quantizer]]:
    """Name quantizers that spend a budget, each with the dimensions it codes."""
    for bits in (1, 2, 3, 4):
        yield f"percentile, {bits} bit", min(8 * budget // bits, width), Percentile(bits=bits)
    yield "lloyd-max, 2 bit", min(4 * budget, width), LloydMax(bits=2)
    yield "gaussian (TurboQuant), 2 bit", min(4 * budget, width), Gaussian(bits=2)
    yield "variable bits", min(16 * budget, width), VariableBits(code_bytes=budget)
    yield "binary, rotated", min(8 * budget, width), Binary(rotate=True)
    yield "ITQ, 1 bit", min(8 * budget, width), ITQ(bits=1)
    for bits, factors in ((1, 8), (2, 20)):
        dim = min((budget - factors) * 8 // bits // 8 * 8, width)
        if dim >= 8:
            yield f"RaBitQ, {bits} bit", dim, RaBitQ(bits=bits)
    yield "LSH", width, LSH(bits=8 * budget)
    if 8 * budget <= width:
        yield "learned hash", width, LearnedHash(bits=8 * budget)
    yield "PQ, 4-bit groups", min(8 * budget, width), PQ(m=2 * budget, bits=4)
    if budget <= 64:
        yield "PQ, 8-bit groups", min(8 * budget, width), PQ(m=budget)


def study(name: str, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score every quantizer on one collection."""
    benchmark = read_benchmark(asked.data / name)
    made = make_encoder(Recipe(models=MODELS), benchmark.corpus)
    assert made is not None
    encoder = with_cache(made, asked.cache)
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")
    raw = float(score_floats(documents, queries, benchmark).ndcg.mean())
    spectrum = Spectrum.of(TrainingSet(documents=documents))
    for budget in BUDGETS:
        for label, dim, quantizer in candidates(budget, documents.shape[1]):
            head = spectrum.head(dim, gamma=GAMMA)
            short = head.compress(documents)
            began = time.perf_counter()
            codec: Any = quantizer.fit(short)
            seconds = time.perf_counter() - began
            decoded = codec.dequantize(codec.quantize(short))
            ndcg = float(score_floats(decoded, head.compress(queries), benchmark).ndcg.mean())
            yield {
                "benchmark": name,
                "budget": budget,
                "quantizer": label,
                "dim": dim,
                "bytes_per_vector": codec.code_bytes,
                "table_bytes": artifact.tensor_bytes({"head": head, "codec": codec}),
                "ndcg@10": ndcg,
                "recovery": ndcg / raw,
                "fit_seconds": round(seconds, 2),
            }
        print(name, budget, flush=True)


def main() -> None:
    """Run all collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    asked = parser.parse_args()
    rows = [row | stamped() for name in COLLECTIONS for row in study(name, asked)]
    write_results(RESULTS / "codes.jsonl", rows)


if __name__ == "__main__":
    main()
