"""Which small models to put side by side for a corpus: what each adds, and what it costs to ask."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from vecpress.corpus import Corpus
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import Concat, with_cache, without_cache
from vecpress.errors import ConfigError, DataError
from vecpress.pseudo import FEWEST, Questions, draw_questions
from vecpress.recipe import Recipe
from vecpress.sample import make_encoder
from vecpress.stages import Encoder, Item, Progress, silent
from vecpress.weighing import Cloze, Step, pose, select

BY = ("quality", "ms", "byte")
"""What a model's gain may be divided by: nothing, milliseconds per query, bytes of its floats."""

_TIMED = 20  # queries encoded one at a time
_BATCH = 64  # documents encoded at once


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a model costs.

    Attributes:
        model: Its name.
        dim: Width of its block.
        query_ms: Median milliseconds to encode one query, alone.
        documents_per_second: Encoded in batches.
    """

    model: str
    dim: int
    query_ms: float
    documents_per_second: float


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What was found, on how much.

    Attributes:
        costs: Of every model, in the order they were given.
        alone: How well each does alone, in the same order.
        steps: The models added one after another; the last is what is suggested.
        rejected: For each model left out, the best step that would have added it to the last.
        questions: Sentences asked, and documents searched.
        by: What gains were divided by.
    """

    costs: tuple[Cost, ...]
    alone: tuple[Step, ...]
    steps: tuple[Step, ...]
    rejected: tuple[Step, ...]
    questions: int
    by: str

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models suggested."""
        return tuple(self.costs[i].model for i in sorted(self.steps[-1].weights))

    @property
    def weights(self) -> tuple[float, ...]:
        """Their shares of the cosine."""
        last = self.steps[-1].weights
        return tuple(last[i] for i in sorted(last))

    def query_ms(self, step: Step) -> float:
        """Milliseconds to encode a query with all models of a step."""
        return sum(self.costs[i].query_ms for i in step.weights)

    def float_bytes(self, step: Step) -> int:
        """Bytes of a document's concatenation in float32, before anything is pressed."""
        return 4 * sum(self.costs[i].dim for i in step.weights)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, as `suggest --json` prints them."""
        return {
            "models": list(self.models),
            "weights": list(self.weights),
            "by": self.by,
            "questions": self.questions,
            "costs": [dict(vars(cost)) for cost in self.costs],
            "alone": [self._plain(step) for step in self.alone],
            "steps": [self._plain(step) for step in self.steps],
            "rejected": [self._plain(step) for step in self.rejected],
        }

    def _plain(self, step: Step) -> dict[str, Any]:
        return {
            "weights": [[self.costs[i].model, share] for i, share in step.weights.items()],
            "quality": step.quality,
            "p_value": step.p_value,
            "query_ms": self.query_ms(step),
            "float_bytes": self.float_bytes(step),
        }


def suggest(
    models: Sequence[str | Mapping[str, Any]],
    corpus: Corpus,
    *,
    by: str = "quality",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Suggestion:
    """Choose among models by what they find in the corpus: greedy forward selection, no labels.

    Args:
        models: Names, as in a recipe.
        corpus: Texts.
        by: What gains are divided by when one model is preferred to another. Whether a model is
            added at all is decided by a paired test of its gain.
        seed: Of the draw, and of the sentences that play queries.
        cache: Folder in which encoders remember what they encode.
        progress: Told about encoding.

    Raises:
        ConfigError: fewer than two models, or an unknown one.
        DataError: too few documents have two sentences.
    """
    if len(models) < 2:
        raise ConfigError(
            f"there is nothing to suggest from: give at least two models, got {len(models)}"
        )
    if by not in BY:
        raise ConfigError(f"by must be quality, ms or byte, got {by!r}")
    recipe = Recipe(models=tuple(models))
    questions = draw_questions(corpus.texts, seed=seed)
    if not len(questions):
        raise DataError(
            f"models are chosen by sentences that find their documents: {corpus.name} needs at "
            f"least {FEWEST} documents of two sentences or more"
        )
    encoder = make_encoder(recipe, corpus, progress=progress)
    if encoder is not None and cache is not None:
        encoder = with_cache(encoder, cache, progress=progress)
    assert isinstance(encoder, Concat)
    parts = encoder.encoders
    progress("weighing models", 0, len(models))
    cloze = pose([find(model) for model in models], parts, questions, corpus.texts)
    widths = [part.dim for part in parts]
    costs = tuple(
        _cost(name, width, without_cache(part), questions, corpus.texts)
        for name, width, part in zip(recipe.model_names, widths, parts, strict=True)
    )
    progress("weighing models", len(models), len(models))
    price = {"quality": None, "ms": [c.query_ms for c in costs], "byte": [4.0 * w for w in widths]}
    steps = select(cloze, costs=price[by])
    return Suggestion(
        costs=costs,
        alone=tuple(cloze.step({i: 1.0}) for i in range(len(models))),
        steps=tuple(steps),
        rejected=_rejected(cloze, steps[-1]),
        questions=cloze.questions,
        by=by,
    )


def _rejected(cloze: Cloze, last: Step) -> tuple[Step, ...]:
    """Say what each model that was left out would have made of the last step."""
    tried = [cloze.added(last, i) for i in range(len(cloze)) if i not in last.weights]
    return tuple(max(steps, key=lambda s: s.quality) for steps in tried)


def _cost(
    name: str, dim: int, encoder: Encoder, questions: Questions, texts: Sequence[Item]
) -> Cost:
    """Time a model, once it is loaded."""
    milliseconds = time_query(encoder, questions.texts)
    batch = list(texts[:_BATCH])
    began = time.perf_counter()
    encoder.encode(batch)
    rate = len(batch) / max(time.perf_counter() - began, 1e-9)
    return Cost(model=name, dim=dim, query_ms=milliseconds, documents_per_second=rate)


def time_query(encoder: Encoder, queries: Sequence[Item]) -> float:
    """Give the median milliseconds to encode one query, alone, once the model is loaded."""
    encoder.encode(queries[:1], role="query")
    times = []
    for query in queries[:_TIMED]:
        began = time.perf_counter()
        encoder.encode([query], role="query")
        times.append(time.perf_counter() - began)
    return 1000 * median(times)
