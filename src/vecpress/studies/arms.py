"""The arms of a study: every combination of one level per axis, as settings for a run."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecpress import registry
from vecpress.errors import ConfigError
from vecpress.stages import Compressor, Quantizer

Level = Mapping[str, Any]
Model = str | Mapping[str, Any]
Axes = Mapping[str, Mapping[str, Level]]
"""Name of an axis -> label of a level -> the settings that stand for it."""

SCORINGS = ("asymmetric", "symmetric", "cells")
"""Float query against decoded codes; decoded codes against each other; cell numbers as numbers."""

_WANTED = {
    "models": "a list of at least one model",
    "weights": "a list of numbers above 0, one per model",
    "head": "a table",
    "truncate": "a whole number above 0, or a share below 1",
    "quantizer": "a table",
    "scoring": f"one of {', '.join(SCORINGS)}",
    "fit_on": "a list of at least one name",
    "sample": "a whole number above 0",
    "judgements": "true or false",
}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to store documents.

    Attributes:
        labels: Which level of each axis it is.
        models: Names of encoders, or mappings, as in a recipe.
        weights: Each model's share of the cosine; None means equal.
        head: What shortens the concatenation, as plain values; None leaves it.
        truncate: Dimensions kept of the head's output, or of the concatenation: a number of them,
            or a share of the concatenation's; None keeps all.
        quantizer: What codes them, as plain values; None leaves float32.
        scoring: How codes are compared: one of `SCORINGS`.
        fit_on: What head and codes are fitted on: "documents" for those searched, the name of
            another benchmark for its documents, or a file of texts; several are mixed evenly.
        sample: Most texts to fit on; a head that learns from judgements gets all documents.
        judgements: Whether the head learns from judged queries.
    """

    labels: Mapping[str, str]
    models: tuple[Model, ...]
    weights: tuple[float, ...] | None = None
    head: Mapping[str, Any] | None = None
    truncate: int | float | None = None
    quantizer: Mapping[str, Any] | None = None
    scoring: str = "asymmetric"
    fit_on: tuple[str, ...] = ("documents",)
    sample: int = 20_000
    judgements: bool = False

    @property
    def name(self) -> str:
        """The levels, for people."""
        return ", ".join(self.labels.values())

    def compressor(self) -> Compressor | None:
        """Build the head's method.

        Raises:
            ConfigError: it is unknown, or one of its options.
        """
        return None if self.head is None else registry.build(registry.COMPRESSORS, self.head)

    def codes(self) -> Quantizer | None:
        """Build the quantizer.

        Raises:
            ConfigError: it is unknown, or one of its options.
        """
        return (
            None if self.quantizer is None else registry.build(registry.QUANTIZERS, self.quantizer)
        )

    def settings(self) -> dict[str, Any]:
        """Give all that its outcome depends on, as plain values."""
        values = {key: value for key, value in vars(self).items() if key != "labels"}
        return {key: value for key, value in values.items() if value is not None}


def make_arms(
    base: Level, axes: Axes, *, pool: Sequence[Model], leave_out: Sequence[Mapping[str, Any]]
) -> Iterator[Arm]:
    """Combine one level of each axis, in the order of the file, laid over what all arms share.

    Args:
        base: What all arms share.
        axes: What differs.
        pool: Names of models; the `models` of a level count from 1 into it.
        leave_out: Combinations that are not run: axis -> label, or a list of them.

    Raises:
        ConfigError: a setting is unknown or of a wrong type, or counts past the end of the pool;
            or what is left out is no level of the study.
    """
    for part in leave_out:
        check_levels(part, axes, where="leave_out")
    for labels in itertools.product(*axes.values()):
        named = dict(zip(axes, labels, strict=True))
        if any(matches(named, part) for part in leave_out):
            continue
        values = dict(base)
        for axis, label in named.items():
            values = _laid_over(values, axes[axis][label])
        yield _arm(named, values, pool)


def matches(labels: Mapping[str, str], part: Mapping[str, Any]) -> bool:
    """Say whether an arm is among those that a partial choice of levels describes."""
    return all(
        labels.get(axis) in (wanted if isinstance(wanted, list | tuple) else (wanted,))
        for axis, wanted in part.items()
    )


def check_levels(part: Mapping[str, Any], axes: Mapping[str, Iterable[str]], *, where: str) -> None:
    """Make sure that a partial choice names levels that there are.

    Raises:
        ConfigError: an axis or a label is not among those of the study.
    """
    for axis, wanted in part.items():
        for label in wanted if isinstance(wanted, list | tuple) else (wanted,):
            if label not in list(axes.get(axis, ())):
                known = axes.get(axis, axes)
                raise ConfigError(
                    f"{where} speaks of {axis} = {label!r}, which the study has not; it has "
                    f"{', '.join(known)}"
                )


def _laid_over(below: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """Replace settings; of a head or quantizer only the options given, if there is no kind.

    An empty table is no head, or no quantizer.
    """
    values = dict(below)
    for key, value in level.items():
        under = values.get(key)
        is_partial = isinstance(value, Mapping) and bool(value) and "kind" not in value
        if is_partial and isinstance(under, Mapping):
            values[key] = {**under, **value}
        else:
            values[key] = value
    return values


def _arm(labels: Mapping[str, str], values: Mapping[str, Any], pool: Sequence[Model]) -> Arm:
    name = ", ".join(labels.values())
    for key, value in values.items():
        if key not in _WANTED:
            raise ConfigError(f"arm {name!r} has no setting {key!r}; it has {', '.join(_WANTED)}")
        if not _is_possible(key, value, models=values.get("models", [1])):
            raise ConfigError(f"{key} of arm {name!r} must be {_WANTED[key]}, got {value!r}")
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    made["models"] = tuple(_model(m, pool, name) for m in values.get("models", [1]))
    if "weights" in made:
        made["weights"] = tuple(map(float, made["weights"]))
    for key in ("head", "quantizer"):
        if made.get(key) == {}:
            made.pop(key)
    arm = Arm(labels=labels, **made)
    if arm.scoring != "asymmetric" and arm.quantizer is None:
        raise ConfigError(f"scoring {arm.scoring!r} of arm {name!r} needs a quantizer")
    arm.compressor()
    arm.codes()
    return arm


def _is_possible(key: str, value: Any, *, models: Any) -> bool:
    """Say whether a setting can have a value, in an arm of these models."""
    is_list = isinstance(value, list) and bool(value)
    if key == "weights":
        has_all = is_list and isinstance(models, list) and len(value) == len(models)
        return has_all and all(map(_is_share, value))
    if key in ("models", "fit_on"):
        return is_list and (key == "models" or all(isinstance(name, str) for name in value))
    if key == "truncate" and isinstance(value, float):
        return 0 < value < 1
    if key in ("truncate", "sample"):
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    if key in ("head", "quantizer"):
        return isinstance(value, Mapping)
    return value in SCORINGS if key == "scoring" else isinstance(value, bool)


def _is_share(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value < math.inf


def _model(given: Any, pool: Sequence[Model], name: str) -> Model:
    if isinstance(given, bool) or not isinstance(given, int | str | Mapping):
        raise ConfigError(
            f"a model of arm {name!r} must be a number, a name or a table, got {given!r}"
        )
    if not isinstance(given, int):
        return given
    if not 1 <= given <= len(pool):
        raise ConfigError(f"arm {name!r} takes model {given}, but the study has {len(pool)}")
    return pool[given - 1]
