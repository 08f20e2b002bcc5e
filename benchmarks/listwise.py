"""Is a head that is trained for its codes better than power-scaled PCA? What lost, kept on record.

    python benchmarks/listwise.py --data ../shared/data

Writes benchmarks/results/listwise.jsonl. A linear head starts from power-scaled PCA (gamma .25) and
learns for 300 steps that queries rank documents as the float concatenation does:

- listwise: softmax over the similarities to a pool of mined neighbours and random documents, at
  temperature .05, towards the softmax of the float similarities;
- neighbours: squared error of those similarities, weighted by the same softmax.

Queries are documents or their sentences. With "codes" the documents of the pool are what the codes
stand for (straight-through), the codec fitted anew every 25 steps. All is fitted on the collection.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from splits import MODELS, RESULTS, stamped
from torch.nn import functional

from vecpress.arrays import Array, normalize
from vecpress.compressors.linear import Spectrum
from vecpress.corpus import read_benchmark
from vecpress.encoders.combine import with_cache
from vecpress.evaluate import score_floats
from vecpress.pseudo import draw_questions, make_probes
from vecpress.quantizers.product import PQ
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import make_encoder
from vecpress.stages import Quantizer, TrainingSet

COLLECTIONS = ("cranfield", "scifact")
CODES: tuple[tuple[str, int, Quantizer], ...] = (
    ("16 B, 64 dims x 2 bit", 64, Percentile(bits=2)),
    ("16 B, 128 dims, PQ 16 x 8 bit", 128, PQ(m=16)),
    ("32 B, 256 dims, PQ 32 x 8 bit", 256, PQ(m=32)),
)
GAMMA, STEPS, RATE, TEMPERATURE = 0.25, 300, 1e-3, 0.05
ASKED, MINED, NEAR, RANDOM, REFIT = 64, 16, 32, 256, 25


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to train."""

    loss: str
    with_codes: bool
    asked: str

    def __str__(self) -> str:
        codes = "codes in the loop" if self.with_codes else "floats"
        return f"{self.loss}, {codes}, {self.asked} ask"


WAYS = (
    Way(loss="listwise", with_codes=False, asked="documents"),
    Way(loss="listwise", with_codes=True, asked="documents"),
    Way(loss="listwise", with_codes=True, asked="sentences"),
    Way(loss="neighbours", with_codes=True, asked="documents"),
)


def train(way: Way, start: Array, documents: Array, asking: Array, quantizer: Quantizer) -> Array:
    """Give the trained weight; `asking` rows are queries."""
    rng = np.random.default_rng(0)
    weight = torch.tensor(start, requires_grad=True)
    near = np.argpartition(-(asking @ documents.T), NEAR, axis=1)[:, :NEAR]
    optimizer = torch.optim.Adam([weight], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    codec: Any = None
    for step in range(STEPS):
        if way.with_codes and step % REFIT == 0:
            codec = quantizer.fit(normalize(documents @ weight.detach().numpy().T))
        asked = rng.integers(0, len(asking), ASKED)
        mined = rng.permuted(near[asked], axis=1)[:, :MINED].ravel()
        pool = np.unique(np.concatenate([mined, rng.integers(0, len(documents), RANDOM)]))
        wanted = torch.from_numpy(asking[asked] @ documents[pool].T)
        own = torch.zeros(wanted.shape, dtype=torch.bool)
        if way.asked == "documents":
            own = torch.from_numpy(asked[:, None] == pool[None, :])
        query = functional.normalize(torch.from_numpy(asking[asked]) @ weight.T, dim=1)
        short = functional.normalize(torch.from_numpy(documents[pool]) @ weight.T, dim=1)
        if codec is not None:
            with torch.no_grad():
                decoded = torch.from_numpy(codec.dequantize(codec.quantize(short.numpy())))
            short = functional.normalize(short + (decoded - short).detach(), dim=1)
        found = query @ short.T
        target = (wanted / TEMPERATURE).masked_fill(own, -1e9).softmax(dim=1)
        if way.loss == "listwise":
            ranked = (found / TEMPERATURE).masked_fill(own, -1e9).log_softmax(dim=1)
            loss = -(target * ranked).sum(dim=1).mean()
        else:
            loss = (target * (found - wanted) ** 2).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return weight.detach().numpy()


def study(name: str, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score the start and every way, for every code."""
    benchmark = read_benchmark(asked.data / name)
    made = make_encoder(Recipe(models=MODELS), benchmark.corpus)
    assert made is not None
    encoder = with_cache(made, asked.cache)
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")
    probes = make_probes(draw_questions(benchmark.corpus.texts), encoder)
    assert probes is not None
    spectrum = Spectrum.of(TrainingSet(documents=documents))
    raw = float(score_floats(documents, queries, benchmark).ndcg.mean())
    for label, dim, quantizer in CODES:
        start = (spectrum.axes[:dim] * spectrum.scale(dim, GAMMA)[:, None]).astype(np.float32)
        for way in (None, *WAYS):
            began, weight = time.perf_counter(), start
            if way is not None:
                asking = documents if way.asked == "documents" else probes.queries
                weight = train(way, start, documents, asking, quantizer)
            scores = []
            for seed in range(3 if isinstance(quantizer, PQ) else 1):
                codec: Any = quantizer.fit(normalize(documents @ weight.T), seed=seed)
                decoded = codec.dequantize(codec.quantize(normalize(documents @ weight.T)))
                found = score_floats(decoded, normalize(queries @ weight.T), benchmark)
                scores.append(float(found.ndcg.mean()) / raw)
            yield {
                "benchmark": name,
                "code": label,
                "way": "power-PCA .25, untrained" if way is None else str(way),
                "recovery": float(np.mean(scores)),
                "seconds": round(time.perf_counter() - began, 1),
            }
        print(name, label, flush=True)


def main() -> None:
    """Run all collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row | stamped() for name in COLLECTIONS for row in study(name, asked)]
    write_results(RESULTS / "listwise.jsonl", rows)


if __name__ == "__main__":
    main()
