"""The best use of N bytes per vector, chosen on the user's own embeddings, without labels.

Documents drawn at random play the queries. Every candidate codes the other documents, and is
judged by how well its ranking keeps each query's ten nearest neighbours in float. Judgements of a
test collection are never looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64

from vecpress.arrays import Array, normalize
from vecpress.compressors.linear import PowerPCA, Spectrum
from vecpress.errors import ConfigError
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.stages import Progress, TrainingSet, silent

BITS = (1, 2, 3, 4, 5, 8)
GAMMAS = (0.0, 0.125, 0.25, 0.5)
_DOCUMENTS = 8192  # documents ranked
_QUERIES = 400  # documents that play queries
_NEIGHBOURS = 10
_FEWEST = 64


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to spend the budget, and how much of the float neighbourhood it kept.

    Attributes:
        head: Power-scaled PCA of some width and gamma.
        quantizer: Percentile cells of some bits, rotated or not.
        code_bytes: Bytes per vector; at most the budget.
        agreement: Mean over queries, from 0 to 1: nDCG@10 of the codes' ranking, where a
            document's gain is 10 for the nearest float neighbour, 9 for the next, ..., 1.
    """

    head: PowerPCA
    quantizer: Percentile
    code_bytes: int
    agreement: float

    def __str__(self) -> str:
        rotated = ", rotated" if self.quantizer.rotate else ""
        return (
            f"{self.head.dim} dims x {self.quantizer.bits} bits, gamma {self.head.gamma:g}{rotated}"
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was tried, best first, and so what is recommended.

    Attributes:
        budget: Bytes per vector allowed.
        trials: All candidates by falling agreement.
    """

    budget: int
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial that kept most."""
        return self.trials[0]

    def apply(self, recipe: Recipe) -> Recipe:
        """Put the best head and quantizer into a recipe."""
        return replace(recipe, head=self.best.head, quantizer=self.best.quantizer)


def parse_budget(text: str) -> int:
    """Read "64", "64B" or "64 bytes" as a number of bytes.

    Raises:
        ConfigError: it is not a whole number of bytes, at least 1.
    """
    found = re.fullmatch(r"\s*(\d+)\s*(b|bytes?)?\s*", text, re.IGNORECASE)
    if found is None or int(found[1]) < 1:
        raise ConfigError(f"a budget is a number of bytes per vector such as 64B, got {text!r}")
    return int(found[1])


def choose(
    embeddings: Float32[Array, "n d"],
    budget: int,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Choice:
    """Try power-scaled PCA x percentile codes of at most `budget` bytes on the embeddings.

    Args:
        embeddings: Unit rows, such as the sample a pipeline is fitted on.
        budget: Bytes per vector.
        seed: Of the sample, the held-out queries and the rotations.
        progress: Told about each trial.

    Raises:
        ConfigError: the budget is below 1 byte, or there are too few embeddings to hold any out.
    """
    if budget < 1:
        raise ConfigError(f"a budget must be at least 1 byte per vector, got {budget}")
    if len(embeddings) < _FEWEST:
        raise ConfigError(
            f"choosing by budget needs at least {_FEWEST} documents, got {len(embeddings)}: give "
            "more, or give --dim and --bits yourself"
        )
    rows = np.random.default_rng(seed).permutation(len(embeddings))[: _DOCUMENTS + _QUERIES]
    held_out = min(_QUERIES, len(rows) // 4)
    queries, documents = embeddings[rows[:held_out]], embeddings[rows[held_out:]]
    neighbours = _nearest(queries @ documents.T)
    spectrum = Spectrum.of(TrainingSet(documents=documents))
    moved = [(x @ spectrum.axes.T).astype(np.float32) for x in (documents, queries)]
    candidates = list(_candidates(embeddings.shape[1], budget, len(documents)))
    trials = []
    for done, (head, quantizer) in enumerate(candidates, start=1):
        scale = spectrum.scale(head.dim, head.gamma).astype(np.float32)
        short, asked = (normalize(x[:, : head.dim] * scale) for x in moved)
        codec = quantizer.fit(short, seed=seed)
        decoded = codec.dequantize(codec.quantize(short))
        trials.append(
            Trial(
                head=head,
                quantizer=quantizer,
                code_bytes=codec.code_bytes,
                agreement=agreement(_nearest(asked @ decoded.T), neighbours),
            )
        )
        progress(f"trying ways to spend {budget} bytes", done, len(candidates))
    best_first = sorted(trials, key=lambda t: (-t.agreement, t.code_bytes))
    return Choice(budget=budget, trials=tuple(best_first))


def agreement(found: Int64[Array, "q k"], wanted: Int64[Array, "q k"]) -> float:
    """Compare rankings: nDCG of `found`, where the best in `wanted` gains k, the last 1."""
    k = wanted.shape[1]
    gains: Float64[Array, " k"] = np.arange(k, 0, -1, dtype=np.float64)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    same = found[:, :, None] == wanted[:, None, :]
    return float(((same * gains).sum(axis=2) @ discounts).mean() / (gains @ discounts))


def _nearest(scores: Float32[Array, "q n"]) -> Int64[Array, "q k"]:
    """Give the rows of the highest scores, best first."""
    best = np.argpartition(-scores, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def _candidates(width: int, budget: int, documents: int) -> Iterator[tuple[PowerPCA, Percentile]]:
    """List what fits the budget: for each number of bits, as many dimensions as it allows."""
    for bits in BITS:
        dim = min(width, 8 * budget // bits)
        if dim < 1 or 2**bits > documents:
            continue
        for gamma in GAMMAS:
            for rotate in (False, True):
                yield PowerPCA(dim=dim, gamma=gamma), Percentile(bits=bits, rotate=rotate)
