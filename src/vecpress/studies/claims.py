"""What a study's arms are held to: claims, written as comparisons of arms."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecpress.errors import ConfigError
from vecpress.studies.arms import check_levels, matches

Part = Mapping[str, Any]
"""Some axes -> a label, or a list of them: all arms that agree with it."""

_WORDS = ("says", "source", "published", "finding", "measure")
_PARTS = ("higher", "than", "exceeds", "of", "same", "as", "keeps")
_NUMBERS = ("within", "at_least")
_SHAPES: dict[str, set[str]] = {
    "higher": {"than"},
    "same": {"as", "within"},
    "keeps": {"of", "at_least"},
    "untestable": set(),
}
_MAY_HAVE = {"higher": {"of", "exceeds"}, "same": {"of", "exceeds"}}


@dataclass(frozen=True)
class Contrast:
    """One comparison: the sum of some arms' scores minus that of others.

    Attributes:
        plus: Labels of the arms that count.
        minus: Labels of the arms that count against.
        of: Levels to replace in each arm for what its score is divided by; None divides by none.
    """

    plus: tuple[Mapping[str, str], ...]
    minus: tuple[Mapping[str, str], ...] = ()
    of: Mapping[str, str] | None = None

    @property
    def arms(self) -> list[Mapping[str, str]]:
        """All arms it needs."""
        named = [*self.plus, *self.minus]
        return named + ([{**arm, **self.of} for arm in named] if self.of else [])


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence, who says so, and the contrasts that decide it.

    Attributes:
        says: The claim.
        source: Who makes it; "vecpress" for ours.
        published: The figures published for it, in words.
        finding: What was found here, and the reason where it fails; in words.
        measure: "ndcg@10", or a figure of the training, such as "training.gap".
        shape: "higher", "same", "keeps" or "untestable".
        terms: The other keys as they stand in the file.
    """

    says: str
    source: str
    published: str
    finding: str
    measure: str
    shape: str
    terms: Mapping[str, Any]

    def contrasts(self, labels: Sequence[Mapping[str, str]]) -> Iterator[Contrast]:
        """Give a contrast for each arm that the claim is about, in the order of the arms."""
        terms = self.terms
        if self.shape == "untestable":
            return
        for arm in labels:
            if not matches(arm, terms[self.shape]):
                continue
            if self.shape == "keeps":
                yield Contrast(plus=(arm,), of=terms["of"])
                continue
            for part in _each(terms["than" if self.shape == "higher" else "as"]):
                other = {**arm, **part}
                if "exceeds" in terms:
                    more, less = terms["exceeds"]["higher"], terms["exceeds"]["than"]
                    yield Contrast(plus=(arm, {**arm, **less}), minus=(other, {**arm, **more}))
                else:
                    yield Contrast(plus=(arm,), minus=(other,), of=terms.get("of"))

    def check(self, labels: Sequence[Mapping[str, str]]) -> None:
        """Make sure that the study runs all arms the claim is about.

        Raises:
            ConfigError: it does not, or the claim is about none, or compares an arm with itself.
        """
        axes = {axis: [named[axis] for named in labels] for axis in labels[0]}
        levels = {axis: list(dict.fromkeys(names)) for axis, names in axes.items()}
        for key in _PARTS:
            part = self.terms.get(key, {})
            for choice in part.values() if key == "exceeds" else [part]:
                check_levels(choice, levels, where=f"the claim {self.says!r}")
        found = list(self.contrasts(labels))
        if not found and self.shape != "untestable":
            raise ConfigError(
                f"no arm of the study is what the claim {self.says!r} is about: "
                f"{self.terms[self.shape]}"
            )
        for contrast in found:
            other = contrast.minus or tuple({**arm, **(contrast.of or {})} for arm in contrast.plus)
            if contrast.plus == other:
                raise ConfigError(
                    f"the claim {self.says!r} compares the arm {contrast.plus[0]} with itself"
                )
            for arm in contrast.arms:
                if arm not in labels:
                    raise ConfigError(
                        f"the claim {self.says!r} needs the arm {arm}, which the study does not run"
                    )


def read_claims(found: Any) -> tuple[Claim, ...]:
    """Build claims from plain values.

    Raises:
        ConfigError: a key is unknown or missing, or of a wrong type.
    """
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise ConfigError(f"claims of a study must be tables, [[claims]], got {str(found)[:80]}")
    return tuple(_claim(values) for values in found)


def _claim(values: Mapping[str, Any]) -> Claim:
    says = values.get("says")
    if not isinstance(says, str):
        raise ConfigError(f"a claim needs a sentence in `says`, got {says!r}")
    if unknown := sorted(values.keys() - {*_WORDS, *_PARTS, *_NUMBERS, "untestable"}):
        raise ConfigError(f"the claim {says!r} has an unknown key {unknown[0]!r}")
    shapes = [shape for shape in _SHAPES if shape in values]
    if len(shapes) != 1:
        raise ConfigError(f"the claim {says!r} needs one of {', '.join(_SHAPES)}, got {shapes}")
    shape = shapes[0]
    if missing := sorted(_SHAPES[shape] - values.keys()):
        raise ConfigError(f"the claim {says!r} has {shape!r}, but no {missing[0]!r}")
    terms = {key: value for key, value in values.items() if key not in _WORDS}
    fitting = {shape} | _SHAPES[shape] | _MAY_HAVE.get(shape, set())
    if foreign := sorted(terms.keys() - fitting):
        raise ConfigError(f"the claim {says!r} has {shape!r}, which takes no {foreign[0]!r}")
    _check_terms(says, terms)
    measure = str(values.get("measure", "ndcg@10"))
    _check_measure(says, measure, terms)
    return Claim(
        says=says,
        source=str(values.get("source", "vecpress")),
        published=str(values.get("published", "")),
        finding=" ".join(str(values.get("finding", "")).split()),
        measure=measure,
        shape=shape,
        terms=terms,
    )


def _check_terms(says: str, terms: Mapping[str, Any]) -> None:
    """Refuse what is no choice of levels, no number above 0, or no reason."""
    for key in (key for key in _PARTS if key in terms):
        if not isinstance(terms[key], Mapping) or (key in ("than", "as", "of") and not terms[key]):
            raise ConfigError(
                f"{key} of the claim {says!r} must say which levels, such as "
                f'{{ head = "pca" }}, got {terms[key]!r}'
            )
    for key in (key for key in _NUMBERS if key in terms):
        number = terms[key]
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not 0 < number < math.inf:
            raise ConfigError(f"{key} of the claim {says!r} must be above 0, got {number!r}")
    if not isinstance(terms.get("untestable", ""), str):
        raise ConfigError(
            f"untestable of the claim {says!r} must say why, got {terms['untestable']!r}"
        )
    exceeds = terms.get("exceeds")
    if exceeds is None:
        return
    if exceeds.keys() != {"higher", "than"} or not all(map(_is_part, exceeds.values())):
        raise ConfigError(f"`exceeds` of the claim {says!r} needs `higher` and `than`")
    if "of" in terms:
        raise ConfigError(f"the claim {says!r} cannot have both `exceeds` and `of`")


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _check_measure(says: str, measure: str, terms: Mapping[str, Any]) -> None:
    """Refuse what no result has; a figure of the training has no unit, so it only compares."""
    if measure == "ndcg@10":
        return
    if not measure.startswith("training.") or measure == "training.":
        raise ConfigError(
            f"measure of the claim {says!r} must be ndcg@10, or training. and a figure, such as "
            f"training.gap, got {measure!r}"
        )
    if foreign := sorted({"same", "keeps", "of"} & terms.keys()):
        raise ConfigError(
            f"the claim {says!r} is about {measure}, which can be higher and takes no "
            f"{foreign[0]!r}"
        )


def _each(part: Part) -> Iterator[Mapping[str, str]]:
    """Give every choice that a partial one stands for: the product of its lists."""
    axes = [value if isinstance(value, list | tuple) else [value] for value in part.values()]
    for labels in itertools.product(*axes):
        yield dict(zip(part, labels, strict=True))
