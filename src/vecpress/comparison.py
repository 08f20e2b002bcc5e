"""What a comparison consists of: every method at every budget, as a list of jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vecpress import registry
from vecpress.corpus import Corpus
from vecpress.fitting import learns_from_pairs
from vecpress.lineup import lineup
from vecpress.pairs import Pairs
from vecpress.quantizers.scalar import Binary, Int8, Percentile
from vecpress.recipe import Recipe

CHOSEN = "vecpress --budget"
"""The method of every row that was chosen by budget; what was chosen stands in its recipe."""

RESCORED = 100
"""Hits of sign bits that are rescored with the floats."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """Heads to train and score too.

    Attributes:
        heads: Names of methods, such as `concat-decoder`.
        pairs: Judgements of the same corpus, of other queries than those that are scored; those
            heads that can learn from them do.
    """

    heads: Sequence[str] = ()
    pairs: Pairs | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What is compared.

    Attributes:
        recipe: Its models and weights are used; head and quantizer come from the budgets.
        budgets: Bytes per vector.
        trained: Heads to train too: as wide as twice the bytes, coded with four bits.
        fit_on: Texts that heads and codes are fitted on; None for the benchmark's own documents.
        seeds: Of everything random; what no seed changes, or is slow, runs with the first only.
        cache: Folder in which encoders remember what they encode.
        command: What a user typed, for the record.
    """

    recipe: Recipe
    budgets: Sequence[int]
    trained: Trained = field(default_factory=Trained)
    fit_on: Corpus | None = None
    seeds: Sequence[int] = (0,)
    cache: Path | None = None
    command: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One row still to be made.

    Attributes:
        group: As in `Row`.
        method: As in `Row`.
        recipe: What to fit; of a choice, only models and weights.
        budget: Bytes asked for; None where none were.
        is_rescored: Whether floats are kept beside the codes, to rescore the best hits.
    """

    group: str
    method: str
    recipe: Recipe
    budget: int | None = None
    is_rescored: bool = False

    @property
    def learns(self) -> bool:
        """Whether judgements teach the head."""
        return self.recipe.head is not None and learns_from_pairs(self.recipe.head)


def jobs(
    comparison: Comparison, *, widths: Sequence[int], best: int, documents: int, is_first: bool
) -> Iterator[Job]:
    """List all rows of one seed.

    Args:
        comparison: What is compared.
        widths: Of each model's embeddings.
        best: Number of the best single model.
        documents: How many there are to fit on.
        is_first: Whether this is the first seed: baselines marked so run with that only.
    """
    recipe = replace(comparison.recipe, head=None, quantizer=None)
    if is_first:
        yield from _without_budget(recipe)
    for budget in comparison.budgets:
        yield Job(group="chosen", method=CHOSEN, recipe=recipe, budget=budget)
        single = (best, widths[best])
        lines = lineup(recipe, budget, width=sum(widths), single=single, documents=documents)
        for line in lines:
            if is_first or line.is_seeded:
                job = Job(group="baseline", method=line.method, recipe=line.recipe, budget=budget)
                yield job
        for kind in comparison.trained.heads:
            width = min(2 * budget, sum(widths))
            head = registry.build(registry.COMPRESSORS, {"kind": kind, "dim": width})
            method = f"{kind}, 4 bit"
            if learns_from_pairs(head):
                method += (
                    f", {'without' if comparison.trained.pairs is None else 'with'} judgements"
                )
            coded = replace(recipe, head=head, quantizer=Percentile(bits=4))
            yield Job(group="trained", method=method, recipe=coded, budget=budget)


def _without_budget(recipe: Recipe) -> Iterator[Job]:
    """List floats, and codes whose size nobody chooses."""
    for model, name in zip(recipe.models, recipe.model_names, strict=True):
        if len(recipe.models) > 1:
            alone = replace(recipe, models=(model,), weights=None)
            yield Job(group="single model", method=name, recipe=alone)
    yield Job(group="concatenation", method=" + ".join(recipe.model_names), recipe=recipe)
    sign = replace(recipe, quantizer=Binary())
    yield Job(group="baseline", method="int8", recipe=replace(recipe, quantizer=Int8()))
    yield Job(group="baseline", method="sign bits", recipe=sign)
    rescored = f"sign bits, {RESCORED} rescored in float32"
    yield Job(group="baseline", method=rescored, recipe=sign, is_rescored=True)
