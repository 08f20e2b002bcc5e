"""How fast heads and quantizers are fitted and applied, against peers in the same run.

    python benchmarks/fit.py [PART ...] [--vectors FILE] [--turns 5]

Writes benchmarks/results/bench-fit.json, unless only some parts are named:

- training: samples/s of a step of the paper's decoder with eight nested dims, against the loop as
  its authors wrote it: for each width `F.cosine_similarity` of unsqueezed tensors, of outputs and
  of targets, batch 128. `hoisted` is the same loop with the targets' similarity taken out of it;
- quality: the held-out loss of both ways after each epoch, over three seeds; batch 1024 takes four
  times the epochs. The authors' loss is ours to rounding (checked), so their epochs run with ours;
- pca: seconds to fit, against covariance and `eigh` in numpy, scikit-learn and FAISS;
- codes: vectors/s to codes, and how much of the vectors they keep, against FAISS;
- head: vectors/s through a head, against one matrix product.

Vectors are synthetic, unless `--vectors` names a .npy of unit rows for `quality`.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from timing import THREADS, take_turns, write  # first: it pins the threads

# isort: split
import faiss
import numpy as np
import torch
from sklearn.decomposition import PCA as SklearnPCA
from torch import Tensor
from torch.nn import functional

from vecpress.arrays import Array, normalize
from vecpress.compressors.decoder_module import Decoder
from vecpress.compressors.linear import PCA, PowerPCA
from vecpress.losses import similarity_matching
from vecpress.quantizers.product import PQ
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Percentile
from vecpress.stages import Codec, TrainingSet

STOPS = (4, 8, 16, 32, 64, 128, 256, 512)
BATCHES = (128, 256, 1024)
SEEDS = (0, 1, 2)
Row = dict[str, Any]
Loss = Callable[[Tensor, Tensor], Tensor]


def synthetic(n: int, dim: int, *, seed: int = 0) -> Array:
    """Draw unit rows whose spectrum falls off, like that of a concatenation of models."""
    rng = np.random.default_rng(seed)
    spread = (np.arange(1, 257) ** -0.5).astype(np.float32)
    axes = np.random.default_rng(42).normal(size=(256, dim)).astype(np.float32)
    x = (rng.normal(size=(n, 256)).astype(np.float32) * spread) @ axes
    x += np.float32(0.3) * rng.normal(size=(n, dim)).astype(np.float32)
    return normalize(x)


def similarities(rows: Tensor) -> Tensor:
    """Give all cosines of a batch as the authors do, with a zero diagonal."""
    found = functional.cosine_similarity(rows.unsqueeze(1), rows.unsqueeze(0), dim=-1)
    return found.masked_fill(torch.eye(len(rows), dtype=torch.bool), 0)


def straightforward(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum the mean squared error over the widths, as the authors' loop does."""
    loss = outputs.new_zeros(())
    for width in STOPS:
        kept = functional.normalize(outputs[:, :width], dim=1)
        loss = loss + (similarities(kept) - similarities(targets)).square().mean()
    return loss


def hoisted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Do the same, with the targets' similarity computed once."""
    wanted = similarities(targets)
    kept = [similarities(functional.normalize(outputs[:, :w], dim=1)) for w in STOPS]
    return torch.stack([(found - wanted).square().mean() for found in kept]).sum()


def ours(outputs: Tensor, targets: Tensor) -> Tensor:
    """Call the library's loss."""
    return similarity_matching(outputs, targets, STOPS)


class Learner:
    """A decoder and its optimizer, with the authors' settings unless told otherwise."""

    def __init__(self, in_dim: int, loss: Loss, *, seed: int = 0, rate: float = 1e-3) -> None:
        self.module, self.loss = Decoder((in_dim, STOPS[-1]), paper=True, seed=seed), loss
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=rate, weight_decay=1e-4)

    def step(self, batch: Tensor) -> None:
        """Learn from a batch."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.module(batch), batch).backward()
        self.optimizer.step()

    def epoch(self, rows: Tensor, size: int, generator: torch.Generator) -> None:
        """Learn from all rows, in random order."""
        self.module.train()
        for picked in torch.randperm(len(rows), generator=generator).split(size):
            self.step(rows[picked])

    @torch.no_grad()
    def lost(self, rows: Tensor) -> float:
        """Measure the loss on rows held out, 512 at a time."""
        self.module.eval()
        return float(np.mean([float(self.loss(self.module(b), b)) for b in rows.split(512)]))


def training(asked: argparse.Namespace) -> Iterator[Row]:
    """Time a training step per sample, from 1,536 dimensions to 512."""
    x = torch.from_numpy(synthetic(max(BATCHES), 1536))
    check_same(x[:64])
    loops = {"straightforward": (straightforward, 128), "hoisted": (hoisted, 128)}
    ways = loops | {f"vecpress, batch {size}": (ours, size) for size in BATCHES}
    steps = {
        name: partial(Learner(1536, loss).step, x[:size]) for name, (loss, size) in ways.items()
    }
    taken = take_turns(steps, turns=asked.turns)
    rates = {name: ways[name][1] / time.best for name, time in taken.items()}
    for name, rate in rates.items():
        yield {
            "part": "training",
            "way": name,
            "batch": ways[name][1],
            "samples_per_s": round(rate, 1),
            "ratio": round(rate / rates["straightforward"], 2),
            "ratio_to_hoisted": round(rate / rates["hoisted"], 2),
        }


def check_same(batch: Tensor) -> None:
    """Refuse to go on unless all three losses and their gradients are the same."""
    outputs = Decoder((batch.shape[1], STOPS[-1]), paper=True)(batch).detach().requires_grad_()
    found = []
    for loss in (straightforward, hoisted, ours):
        cost = loss(outputs, batch)
        found.append((float(cost.detach()), torch.autograd.grad(cost, outputs)[0]))
    for cost, slope in found[1:]:
        np.testing.assert_allclose(cost, found[0][0], rtol=1e-5)
        torch.testing.assert_close(
            slope, found[0][1], rtol=1e-3, atol=1e-4 * float(slope.abs().max())
        )


def quality(asked: argparse.Namespace) -> Iterator[Row]:
    """Train both ways; what epochs of the straightforward one take follows from `training`."""
    x = synthetic(20_000, 768) if asked.vectors is None else np.load(asked.vectors, mmap_mode="r")
    order = np.random.default_rng(9).permutation(len(x))[: asked.rows + 2048]
    rows = torch.from_numpy(np.array(x[np.sort(order)], np.float32))
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(9))]
    held_out, learned = rows[:2048], rows[2048:]
    for seed in SEEDS:
        for size, rate, epochs in ((128, 1e-3, 1), (1024, 4e-3, 4)):
            learner = Learner(rows.shape[1], ours, seed=seed, rate=rate)
            generator, losses = torch.Generator().manual_seed(seed), []
            for _ in range(epochs * asked.epochs):
                learner.epoch(learned, size, generator)
                losses.append(round(learner.lost(held_out), 6))
            yield {
                "part": "quality",
                "vectors": "synthetic" if asked.vectors is None else asked.vectors.stem,
                "in_dim": int(rows.shape[1]),
                "rows": len(learned),
                "batch": size,
                "learning_rate": rate,
                "seed": seed,
                "held_out_loss_by_epoch": losses,
            }


def pca(asked: argparse.Namespace) -> Iterator[Row]:
    """Time the fit of a linear head to 256 dimensions."""
    for n, dim in ((20_000, 640), (50_000, 1536)):
        x = synthetic(n, dim)
        documents = TrainingSet(documents=x)
        candidates = {
            "numpy, eigh float64": lambda x=x: np.linalg.eigh(
                (x.T @ x).astype(np.float64) / len(x)
            ),
            "numpy, eigh float32": lambda x=x: np.linalg.eigh(x.T @ x / np.float32(len(x))),
            "vecpress pca": partial(PCA(dim=256).fit, documents),
            "vecpress power-pca": partial(PowerPCA(dim=256).fit, documents),
            "sklearn, covariance_eigh": partial(
                SklearnPCA(256, svd_solver="covariance_eigh").fit, x
            ),
            "faiss": lambda x=x, dim=dim: faiss.PCAMatrix(dim, 256).train(x),
        }
        taken = take_turns(candidates, turns=min(asked.turns, 3))
        base = taken["numpy, eigh float64"].best
        for name, time in taken.items():
            row = {"part": "pca", "way": name, "n": n, "dim": dim}
            yield row | {"seconds": round(time.best, 3), "ratio": round(time.best / base, 2)}


class FaissCodec:
    """A FAISS index as a maker of codes."""

    def __init__(self, index: Any, calibration: Array) -> None:
        index.train(calibration)
        self.index, self.code_bytes = index, int(index.sa_code_size())

    def quantize(self, x: Array) -> Array:
        """Give codes."""
        return self.index.sa_encode(x)

    def dequantize(self, codes: Array) -> Array:
        """Give what they stand for, as unit rows."""
        return normalize(np.ascontiguousarray(self.index.sa_decode(codes)))


def codes(asked: argparse.Namespace) -> Iterator[Row]:
    """Time codes of 512 dimensions, in the order of their bytes."""
    x = np.ascontiguousarray(normalize(synthetic(20_000, 1536)[:, :512].copy()))
    calibration = x[:10_000]
    fitted: dict[str, Codec | FaissCodec] = {
        f"vecpress percentile, {bits} bits": Percentile(bits=bits).fit(calibration)
        for bits in (1, 2, 4, 8)
    }
    fitted["vecpress percentile, 1 bit, rotated"] = Percentile(bits=1, rotate=True).fit(calibration)
    fitted["vecpress rabitq"] = RaBitQ().fit(calibration)
    for m, bits in ((64, 8), (128, 4)):
        fitted[f"vecpress pq, {m} x {bits}"] = PQ(m=m, bits=bits, iterations=10).fit(calibration)
    fitted |= {f"faiss {name}": FaissCodec(index, calibration) for name, index in faiss_indexes()}
    runs = {name: partial(codec.quantize, x) for name, codec in fitted.items()}
    taken = take_turns(runs, turns=asked.turns)
    for name, time in sorted(taken.items(), key=lambda item: fitted[item[0]].code_bytes):
        codec = fitted[name]
        kept = (codec.dequantize(codec.quantize(x[-2000:])) * x[-2000:]).sum(axis=1)
        yield {
            "part": "codes",
            "way": name,
            "code_bytes": codec.code_bytes,
            "vectors_per_s": round(len(x) / time.best),
            "cosine_kept": round(float(kept.mean()), 4),
        }


def faiss_indexes() -> Iterator[tuple[str, Any]]:
    """Make the peers; their advice on the number of training rows stays off stderr."""
    yield "SQ8", faiss.index_factory(512, "SQ8")
    yield "SQ4", faiss.index_factory(512, "SQ4")
    yield "RaBitQ", faiss.index_factory(512, "RaBitQ")
    for m, bits in ((64, 8), (128, 4)):
        index = faiss.IndexPQ(512, m, bits)
        index.pq.cp.niter, index.pq.cp.min_points_per_centroid = 10, 1
        yield f"PQ, {m} x {bits}", index


def head(asked: argparse.Namespace) -> Iterator[Row]:
    """Time heads from 1,536 dimensions to 256 against their matrix product."""
    x = synthetic(20_000, 1536)
    linear = PCA(dim=256).fit(TrainingSet(documents=x[:5000]))
    paper = Decoder((1536, 256), paper=True).eval().head()
    weight = np.ascontiguousarray(linear.weights[0].T)
    candidates = {
        "x @ W": lambda: x @ weight,
        "vecpress linear head": partial(linear.compress, x),
        "vecpress paper head": partial(paper.compress, x),
    }
    taken = take_turns(candidates, turns=asked.turns)
    for name, time in taken.items():
        ratio = round(time.best / taken["x @ W"].best, 2)
        rate = round(len(x) / time.best)
        yield {"part": "head", "way": name, "vectors_per_s": rate, "ratio": ratio}


PARTS = {run.__name__: run for run in (training, quality, pca, codes, head)}


def main() -> None:
    """Run the parts, and write what they measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--vectors", type=Path, help=".npy of unit rows to train on")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8192, help="that `quality` learns from")
    parser.add_argument("--epochs", type=int, default=2, help="of batch 128, in `quality`")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    rows: list[Row] = []
    for name in asked.parts or PARTS:
        for row in PARTS[name](asked):
            rows.append(row)
            print(row, flush=True)
    if not asked.parts:
        write("bench-fit", rows, command="make bench-fit")


if __name__ == "__main__":
    main()
