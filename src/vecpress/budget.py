"""The best use of N bytes per vector, chosen on the user's own embeddings, without labels.

Documents drawn at random play the queries. Every candidate codes the other documents, and is
judged by how high it ranks each query's nearest neighbour in float. Judgements of a test collection
are never looked at. What this rule is worth is measured in docs/experiments.md (2026-11-21).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array, normalize
from vecpress.compressors.linear import PowerPCA, Spectrum
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Documents, Recipe
from vecpress.sample import draw_sample
from vecpress.stages import Progress, TrainingSet, silent

BITS = (1, 2, 3, 4, 5, 8)
GAMMAS = (0.0, 0.125, 0.25, 0.5)
_DOCUMENTS = 8192  # documents ranked
_QUERIES = 1000  # documents that play queries
_DEPTH = 10  # ranks looked at
_FEWEST = 64


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to spend the budget, and how much of the float neighbourhood it kept.

    Attributes:
        head: Power-scaled PCA of some width and gamma.
        quantizer: Percentile cells of some bits, rotated or not.
        code_bytes: Bytes per vector; at most the budget.
        agreement: Mean over queries, from 0 to 1, of the reciprocal rank at which the codes find
            the nearest float neighbour; 0 for a query that has it below rank 10.
    """

    head: PowerPCA
    quantizer: Percentile
    code_bytes: int
    agreement: float

    def __str__(self) -> str:
        rotated = ", rotated" if self.quantizer.rotate else ""
        return f"{self.head.dim} x {self.quantizer.bits} bit, gamma {self.head.gamma:g}{rotated}"


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
    found = re.fullmatch(r"\s*(\d{1,18})\s*(b|bytes?)?\s*", text, re.IGNORECASE)
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
    if np.array_equal(embeddings[rows[:_FEWEST]], embeddings[rows[:1]].repeat(_FEWEST, axis=0)):
        raise ConfigError(
            f"there is nothing to choose by: {_FEWEST} embeddings drawn at random are all the same"
        )
    held_out = min(_QUERIES, len(rows) // 4)
    queries, documents = embeddings[rows[:held_out]], embeddings[rows[held_out:]]
    nearest = (queries @ documents.T).argmax(axis=1)
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
                agreement=agreement(asked @ decoded.T, nearest),
            )
        )
        progress(f"trying ways to spend {budget} bytes", done, len(candidates))
    best_first = sorted(trials, key=lambda t: (-t.agreement, t.code_bytes))
    return Choice(budget=budget, trials=tuple(best_first))


def fit_to_budget(
    recipe: Recipe,
    documents: Documents,
    budget: int,
    *,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> tuple[Pipeline, Choice]:
    """Choose head and quantizer for a corpus, then fit them on it.

    Args:
        recipe: Its models, weights and sample are used.
        documents: Texts if the recipe has models, else vectors, possibly a memory map.
        budget: Bytes per vector.
        seed: Of everything random.
        cache: Folder in which encoders remember what they encode.
        progress: Told about encoding and trials.

    Raises:
        ConfigError: as `choose` and `Pipeline.fit`.
    """
    sample = draw_sample(recipe, documents, seed=seed, cache=cache, progress=progress)
    choice = choose(sample.embeddings, budget, seed=seed, progress=progress)
    return Pipeline.from_sample(choice.apply(recipe), sample, progress=progress), choice


def agreement(scores: Float32[Array, "q n"], nearest: Int64[Array, " q"]) -> float:
    """Average the reciprocal rank of each query's nearest neighbour, 0 below rank 10.

    Among equal scores the neighbour counts as the last: a code that cannot tell documents apart
    earns nothing by it.
    """
    rows = np.arange(len(scores))
    ranks = (scores >= scores[rows, nearest][:, None]).sum(axis=1)
    return float(np.where(ranks <= _DEPTH, 1 / ranks, 0).mean())


def _candidates(width: int, budget: int, documents: int) -> Iterator[tuple[PowerPCA, Percentile]]:
    """List what fits the budget: for each number of bits, as many dimensions as it allows."""
    for bits in BITS:
        dim = min(width, 8 * budget // bits)
        if dim < 1 or 2**bits > documents:
            continue
        for gamma in GAMMAS:
            for rotate in (False, True):
                yield PowerPCA(dim=dim, gamma=gamma), Percentile(bits=bits, rotate=rotate)
