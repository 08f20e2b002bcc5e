"""Which models should count, and how much: judged on the user's own documents, without labels.

A sentence taken out of a document has to find what is left of it among what is left of the others
(the inverse cloze task, arXiv:1906.00300): hardly a word is shared, as between a question and its
answer. The mean reciprocal rank is a model's quality here. What this rule is worth, and what else
was tried, is measured in docs/experiments.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, normalize
from vecpress.errors import ConfigError
from vecpress.pseudo import Questions
from vecpress.significance import paired_p_value
from vecpress.stages import Encoder, FittedOnTexts, Item

GRID = (1.0, 0.5, 0.25)
"""Shares of the cosine tried for a model, against 1 for the first."""

_DEPTH = 10  # ranks looked at
_ASKED = 1000  # sentences
_LIKELY = 0.2  # two-sided p of a gain below which a model is added: nine to one that it helps
_FEW = 400  # sentences below which the test tells nothing, and every model is kept
_WEIGHED = 4  # models whose shares are searched all together

Weights = Mapping[int, float]
"""Share of the cosine by number of model; those that are not named do not count."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A set of models and weights, and how well sentences find their documents by it.

    Attributes:
        weights: Share of the cosine of each model that counts.
        quality: Mean reciprocal rank of what is left of the document, 0 below rank 10.
        p_value: Of the gain over the step before, in a paired test; 1 for the first.
    """

    weights: Weights
    quality: float
    p_value: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloze:
    """What each model says of sentences and of what is left of their documents.

    Attributes:
        scores: Of each model the cosine of sentence i with document j; it is from document i.
        exists: Of each model whether it knows anything of a document: not a zero row.
    """

    scores: tuple[Float32[Array, "q q"], ...]
    exists: tuple[Float32[Array, " q"], ...]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def questions(self) -> int:
        """Number of sentences, and of documents."""
        return len(self.exists[0])

    def ranks(self, weights: Weights) -> Float64[Array, " q"]:
        """Give the reciprocal rank of each sentence's document, 0 below rank 10."""
        scores = np.zeros_like(self.scores[0])
        norms = np.zeros_like(self.exists[0])
        for i, share in weights.items():
            scores += np.float32(share) * self.scores[i]
            norms += np.float32(share) * self.exists[i]
        scores /= np.sqrt(np.maximum(norms, 1e-12))
        ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)  # of equal scores the last
        return np.where(ranks <= _DEPTH, 1 / ranks, 0.0)

    def step(self, weights: Weights, before: Step | None = None) -> Step:
        """Judge weights, also against those of a step before."""
        ranks = self.ranks(weights)
        p_value = 1.0 if before is None else paired_p_value(ranks, self.ranks(before.weights))
        return Step(weights=weights, quality=float(ranks.mean()), p_value=p_value)

    def added(self, before: Step, model: int) -> list[Step]:
        """Judge a model added to a step, with every share of `GRID`."""
        return [self.step({**before.weights, model: share}, before) for share in GRID]


def pose(
    models: Sequence[Encoder | FittedOnTexts],
    encoders: Sequence[Encoder],
    questions: Questions,
    texts: Sequence[Item],
) -> Cloze:
    """Let every model search for the documents of at most 1,000 questions.

    Args:
        models: Not yet fitted: one that is fitted on texts is fitted again, without the sentences,
            or it would know which document they are from.
        encoders: The same models, fitted on all texts.
        questions: Sentences and what is left of their documents.
        texts: Documents that the questions were drawn from.
    """
    questions = questions.first(_ASKED)
    without = list(texts)
    for row, remainder in zip(questions.rows, questions.remainders, strict=True):
        without[row] = remainder
    scores, exists = [], []
    for model, encoder in zip(models, encoders, strict=True):
        blind = model.fit(without) if isinstance(model, FittedOnTexts) else encoder
        left = blind.encode(questions.remainders)
        scores.append(blind.encode(questions.texts, role="query") @ left.T)
        exists.append((np.abs(left).max(axis=1) > 0).astype(np.float32))
    return Cloze(scores=tuple(scores), exists=tuple(exists))


def select(cloze: Cloze, *, costs: Sequence[float] | None = None) -> list[Step]:
    """Add the model that helps most, while one does: a gain that is nine to one not luck.

    Args:
        cloze: What each model says.
        costs: Of each model, such as milliseconds: gains are divided by them. None for no matter.

    Returns:
        Every step, the best single model first; the last is the recommendation. Its weights are
        the best of `GRID` for all models it holds. With few sentences it holds all models.
    """
    number = len(cloze)
    price = [1.0] * number if costs is None else [max(cost, 1e-9) for cost in costs]
    alone = [cloze.step({i: 1.0}) for i in range(number)]
    steps = [max(alone, key=lambda s: s.quality / price[next(iter(s.weights))])]
    if cloze.questions < _FEW and number > 1:
        return [*steps, cloze.step(weigh(cloze, range(number)).weights, steps[0])]
    while len(steps) < number:
        last = steps[-1]
        rest = [i for i in range(number) if i not in last.weights]
        longer = [(step, price[i]) for i in rest for step in cloze.added(last, i)]
        likely = [(s, p) for s, p in longer if s.quality > last.quality and s.p_value < _LIKELY]
        if not likely:
            break
        steps.append(max(likely, key=lambda found: (found[0].quality - last.quality) / found[1])[0])
    steps[-1] = _refined(cloze, steps)
    return steps


def weigh(cloze: Cloze, models: Sequence[int]) -> Step:
    """Find the best shares of `GRID` for models that all count; the best of them has 1."""
    first = max(models, key=lambda i: cloze.step({i: 1.0}).quality)
    rest = [i for i in models if i != first]
    tried = [
        {first: 1.0, **dict(zip(rest, shares, strict=True))}
        for shares in product(GRID, repeat=len(rest))
    ]
    return max((cloze.step(weights) for weights in tried), key=lambda step: step.quality)


def reweigh(
    embeddings: Float32[Array, "n d"], widths: Sequence[int], weights: Weights
) -> Float32[Array, "n e"]:
    """Give each block of a concatenation another share; blocks without one are left out.

    Raises:
        ConfigError: the blocks are not as wide as the embeddings.
    """
    blocks = split(embeddings, widths)
    kept = [blocks[i] * np.float32(weights[i] ** 0.5) for i in sorted(weights)]
    return normalize(np.concatenate(kept, axis=1))


def split(embeddings: Float32[Array, "n d"], widths: Sequence[int]) -> list[Float32[Array, "n _"]]:
    """Take a concatenation apart: each model's unit rows.

    Raises:
        ConfigError: the blocks are not as wide as the embeddings.
    """
    if sum(widths) != embeddings.shape[1]:
        raise ConfigError(
            f"blocks of {', '.join(map(str, widths))} dimensions do not make up embeddings of "
            f"{embeddings.shape[1]}"
        )
    parts = np.split(embeddings, np.cumsum(widths)[:-1], axis=1)
    return [normalize(np.ascontiguousarray(part)) for part in parts]


def _refined(cloze: Cloze, steps: Sequence[Step]) -> Step:
    """Weigh the models of the last step anew, all together, if they are few enough to try all."""
    last = steps[-1]
    if not 2 <= len(last.weights) <= _WEIGHED:
        return last
    again = cloze.step(weigh(cloze, list(last.weights)).weights, steps[-2])
    return max(last, again, key=lambda step: step.quality)
