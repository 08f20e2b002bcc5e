"""From a corpus and a number of bytes to a press: which models, how much each, which head and code.

Everything is judged on the corpus itself (weighing.py, budget.py); nothing needs labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.budget import Choice, choose
from vecpress.corpus import Corpus
from vecpress.draws import Drawn
from vecpress.encoders.catalogue import combine, find
from vecpress.encoders.combine import Concat
from vecpress.errors import ConfigError, DataError
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.proxy import Judged
from vecpress.pseudo import Probes, draw_questions, make_probes
from vecpress.recipe import Documents, Recipe
from vecpress.sample import Sample, choose_rows, draw_sample
from vecpress.stages import Encoder, Item, Progress, silent
from vecpress.weighing import Step, Weights, pose, reweigh, select


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What the bytes are spent on: models that count, by their weights, and what to ask them.

    Attributes:
        recipe: With the models and weights chosen.
        sample: Its embeddings by these weights.
        probes: Sentences that stand for queries; None where there are no texts.
        steps: How the models were chosen; none where there was nothing to choose.
        models: Names of the models there were to choose from.
        note: Why models could not be weighed, if they should have been.
    """

    recipe: Recipe
    sample: Sample
    probes: Probes | None
    steps: tuple[Step, ...] = ()
    models: tuple[str, ...] = ()
    note: str = ""

    @property
    def weights(self) -> Weights | None:
        """Share of each model that counts, by its number; None where nothing was chosen."""
        return self.steps[-1].weights if self.steps else None

    def reweigh(self, embeddings: Float32[Array, "n d"], widths: Sequence[int]) -> Array:
        """Turn concatenations of all models, equal or not, into what was chosen."""
        return embeddings if self.weights is None else reweigh(embeddings, widths, self.weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """All that was chosen for a budget, and what it was chosen from.

    Attributes:
        prepared: Models and weights.
        choice: Head and quantizer.
    """

    prepared: Prepared
    choice: Choice

    @property
    def recipe(self) -> Recipe:
        """All of it, as `Pipeline.fit` takes it."""
        return self.choice.apply(self.prepared.recipe)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values: all that was tried."""
        names = self.prepared.models
        return {
            "models": [
                {
                    "weights": [[names[i], share] for i, share in step.weights.items()],
                    "quality": step.quality,
                    "p_value": step.p_value,
                }
                for step in self.prepared.steps
            ],
            "trials": [
                {
                    "method": str(trial),
                    "bytes_per_vector": trial.candidate.code_bytes,
                    "kept": dict(trial.kept),
                    "worth": trial.worth,
                    "seconds": trial.seconds,
                }
                for trial in self.choice.trials
            ],
        }


def prepare(
    recipe: Recipe, sample: Sample, texts: Sequence[Item], *, progress: Progress = silent
) -> Prepared:
    """Choose models and weights, if the recipe leaves them open, and make questions.

    Args:
        recipe: Models, and weights unless they are to be chosen.
        sample: Documents encoded by them.
        texts: The same documents; none for vectors.
        progress: Told about encoding.
    """
    encoder = sample.encoder
    if encoder is None or not texts:
        return Prepared(recipe=recipe, sample=sample, probes=None)
    questions = draw_questions(texts, seed=sample.seed)
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    names = recipe.model_names
    if len(parts) < 2 or recipe.weights is not None or not len(questions):
        return Prepared(
            recipe=recipe, sample=sample, probes=make_probes(questions, encoder), models=names
        )
    progress("weighing models", 0, len(parts))
    try:
        steps = select(pose([find(model) for model in recipe.models], parts, questions, texts))
    except DataError as error:  # a model of words that needs those of the sentences too
        note = f"All models count alike, for they cannot be weighed: {error}"
        probes = make_probes(questions, encoder)
        return Prepared(recipe=recipe, sample=sample, probes=probes, models=names, note=note)
    progress("weighing models", len(parts), len(parts))
    weights = steps[-1].weights
    chosen = _only(recipe, weights)
    encoder = combine([parts[i] for i in sorted(weights)], chosen.weights)
    return Prepared(
        recipe=chosen,
        sample=_reweighed(sample, weights, encoder),
        probes=make_probes(questions, encoder),
        steps=tuple(steps),
        models=names,
    )


def make_plan(
    recipe: Recipe,
    documents: Documents | Drawn,
    budget: int,
    *,
    pairs: Pairs | None = None,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Plan:
    """Choose all there is to choose for a corpus and a number of bytes.

    Args:
        recipe: Its models and sample are used, and its weights if there are any.
        documents: Texts if the recipe has models, else vectors, possibly a memory map.
        budget: Bytes per vector.
        pairs: Judgements, to judge by; nothing is trained on them.
        seed: Of everything random.
        cache: Folder in which encoders remember what they encode.
        progress: Told about encoding and trials.

    Raises:
        ConfigError: as `choose` and `draw_sample`.
        DataError: the documents or the judgements cannot be used.
    """
    sample = draw_sample(recipe, documents, pairs=pairs, seed=seed, cache=cache, progress=progress)
    if isinstance(documents, Drawn):
        documents = documents.documents
    rows, drawn = choose_rows(len(documents), recipe.sample, seed=seed, pairs=pairs)
    texts: list[Item] = []
    if isinstance(documents, Corpus):
        numbers = range(len(documents))[rows] if isinstance(rows, slice) else rows[:drawn]
        texts = [documents.texts[int(i)] for i in numbers]
    prepared = prepare(recipe, sample, texts, progress=progress)
    choice = choose(
        prepared.sample.embeddings,
        budget,
        probes=prepared.probes,
        judged=_judged(prepared.sample),
        is_unseen=sample.corpus["documents"] > recipe.sample,
        seed=seed,
        progress=progress,
    )
    return Plan(prepared=prepared, choice=choice)


def fit_to_budget(
    recipe: Recipe,
    documents: Documents | Drawn,
    budget: int,
    *,
    pairs: Pairs | None = None,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> tuple[Pipeline, Plan]:
    """Choose all there is to choose, and fit it: arguments and errors are those of `make_plan`."""
    if recipe.fine is not None:
        raise ConfigError("a budget is spent on one code: leave `fine` out of the recipe")
    plan = make_plan(
        recipe, documents, budget, pairs=pairs, seed=seed, cache=cache, progress=progress
    )
    return Pipeline.from_sample(plan.recipe, plan.prepared.sample, progress=progress), plan


def _judged(sample: Sample) -> Judged | None:
    if sample.queries is None or sample.positives is None or not len(sample.positives):
        return None
    return Judged(queries=sample.queries, positives=sample.positives, grades=sample.grades)


def _only(recipe: Recipe, weights: Mapping[int, float]) -> Recipe:
    """Leave the models that count."""
    kept = sorted(weights)
    shares = tuple(float(weights[i]) for i in kept) if len(kept) > 1 else None
    return replace(recipe, models=tuple(recipe.models[i] for i in kept), weights=shares)


def _reweighed(sample: Sample, weights: Mapping[int, float], encoder: Encoder) -> Sample:
    widths = [width for _, width in sample.models]
    queries = sample.queries
    return replace(
        sample,
        embeddings=reweigh(np.asarray(sample.embeddings), widths, weights),
        queries=None if queries is None else reweigh(queries, widths, weights),
        models=tuple(sample.models[i] for i in sorted(weights)),
        encoder=encoder,
    )
