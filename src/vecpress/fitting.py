"""From a sample to head and codec: fitted from the start, or below the widths of a head."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vecpress import registry
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.pairs import Pairs
from vecpress.recipe import Recipe
from vecpress.sample import Sample
from vecpress.stages import Codec, Compressor, Extending, Log, Progress


class Fitted(NamedTuple):
    """Head and codecs, and what was told while the head was trained."""

    head: Head | None
    codec: Codec | None
    fine: Codec | None
    log: tuple[Mapping[str, Any], ...]


def fit_stages(
    recipe: Recipe,
    sample: Sample,
    *,
    above: Head | None = None,
    progress: Progress,
    log: Log,
) -> Fitted:
    """Fit the head on all of a sample, and the codecs on the part of it that was drawn at random.

    With a head `above`, the recipe's continues it, and only the map for its own width is kept: the
    wider ones stay where they are.
    """
    rows: list[Mapping[str, Any]] = []

    def keep(row: Mapping[str, Any]) -> None:
        rows.append(dict(row))
        log(row)

    head = codec = fine = None
    training, seed = sample.training(), sample.seed
    if above is not None and isinstance(recipe.head, Extending):
        longer = recipe.head.extend(above, training, seed=seed, progress=progress, log=keep)
        head = longer.truncate(recipe.head.dim)
    elif recipe.head is not None:
        head = recipe.head.fit(training, seed=seed, progress=progress, log=keep)
    if recipe.quantizer is not None:
        drawn = sample.calibration() if head is None else head.compress(sample.calibration())
        codec = recipe.quantizer.fit(drawn, seed=seed)
        fine = None if recipe.fine is None else recipe.fine.fit(drawn, seed=seed)
    return Fitted(head, codec, fine, tuple(rows))


def learns_from_pairs(method: Compressor | type[Any]) -> bool:
    """Say whether a compressor, or its class, has use for judgements: those that do say so."""
    return bool(getattr(method, "learns_from_pairs", False))


def refuse_unused(recipe: Recipe, pairs: Pairs | None) -> None:
    """Make sure that judgements, if given, will be learned from.

    Raises:
        ConfigError: the recipe has no head, or one that cannot learn from them.
    """
    if pairs is None or (recipe.head is not None and learns_from_pairs(recipe.head)):
        return
    advice = "take a head that learns from them, such as smec, or leave the judgements out"
    if recipe.head is None:
        raise ConfigError(f"judgements train a head, and this recipe has none: {advice}")
    raise ConfigError(
        f"the head {registry.kind_of(registry.COMPRESSORS, recipe.head)!r} learns nothing from "
        f"judgements: {advice}; a head of your own says `learns_from_pairs = True`"
    )
