"""What a study asks: the question, the arms that answer it, and the claims they are held to."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vecpress.errors import ConfigError
from vecpress.studies.arms import Arm, Axes, make_arms
from vecpress.studies.claims import Claim, read_claims

_KNOWN = {
    *("title", "question", "source", "models", "benchmarks", "seeds", "queries", "arms"),
    *("axes", "claims", "leave_out", "notes"),
}


@dataclass(frozen=True, kw_only=True)
class StudyRecipe:
    """A study, as it stands in its TOML file.

    Attributes:
        name: Of the file.
        title: A few words.
        question: What is to be found out.
        source: Who raised it.
        pool: Names of models, which arms count into from 1.
        benchmarks: Folders in BEIR layout, by name under the data folder.
        seeds: Of everything random.
        queries: Most queries scored of a benchmark, drawn once; None for all.
        base: Settings that all arms share.
        axes: In which they differ.
        leave_out: Combinations that are not run.
        claims: What the arms are held to.
        notes: What a reader should know, such as what stands in for what.
    """

    name: str
    title: str
    question: str
    source: str
    pool: tuple[str | Mapping[str, Any], ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    queries: int | None
    base: Mapping[str, Any]
    axes: Axes
    leave_out: Sequence[Mapping[str, Any]]
    claims: tuple[Claim, ...]
    notes: str

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Every combination that is run, in the order of the file."""
        arms = make_arms(self.base, self.axes, pool=self.pool, leave_out=self.leave_out)
        return tuple(arms)

    @classmethod
    def read(cls, path: str | Path, *, models: Sequence[str] = ()) -> "StudyRecipe":
        """Read a study's file.

        Args:
            path: TOML.
            models: Take the place of the file's first models.

        Raises:
            ConfigError: it is absent, not TOML, or not a study.
        """
        try:
            with Path(path).open("rb") as file:
                values = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the study {path}: {error}") from error
        if "axes" not in values:
            raise ConfigError(
                f"{path} has no [axes], so it is no study: is it a recipe for `vecpress fit`?"
            )
        return cls.from_dict(values, name=Path(path).stem, models=models)

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, name: str, models: Sequence[str] = ()
    ) -> "StudyRecipe":
        """Build from plain values.

        Raises:
            ConfigError: a key is unknown or of a wrong type, or an arm or a claim is not possible.
        """
        if unknown := sorted(values.keys() - _KNOWN):
            raise ConfigError(f"a study has no {unknown[0]!r}; it has {', '.join(sorted(_KNOWN))}")
        pool = list(_list(values, "models", (str, Mapping)))
        if len(models) > len(pool):
            raise ConfigError(
                f"the study {name} has {len(pool)} models, so it takes no {len(models)}: "
                f"{', '.join(models)}"
            )
        study = cls(
            name=name,
            title=str(values.get("title", name)),
            question=str(values.get("question", "")).strip(),
            source=str(values.get("source", "")),
            pool=(*models, *pool[len(models) :]),
            benchmarks=tuple(_list(values, "benchmarks", str)),
            seeds=_seeds(values),
            queries=_queries(values.get("queries")),
            base=_base(values.get("arms", {})),
            axes=_axes(values.get("axes")),
            leave_out=_list(values, "leave_out", Mapping, may_lack=True),
            claims=read_claims(values.get("claims", [])),
            notes=str(values.get("notes", "")).strip(),
        )
        labels = [arm.labels for arm in study.arms]
        if not labels:
            raise ConfigError(f"leave_out of the study {name} leaves no arm to run")
        for claim in study.claims:
            claim.check(labels)
        return study


def _list(
    values: Mapping[str, Any],
    key: str,
    kind: type | tuple[type, ...],
    *,
    may_lack: bool = False,
) -> Sequence[Any]:
    found = values.get(key, [] if may_lack else None)
    is_list = isinstance(found, list) and all(isinstance(item, kind) for item in found)
    if not is_list or not (found or may_lack):
        words = {str: "names", int: "whole numbers", Mapping: "tables"}.get(kind, "models")
        raise ConfigError(f"{key} of a study must be a list of {words}, got {found!r}")
    if key in ("benchmarks", "seeds") and len(set(found)) < len(found):
        twice = next(item for item in found if found.count(item) > 1)
        raise ConfigError(f"{key} of a study has {twice!r} twice: name each once")
    return found


def _seeds(values: Mapping[str, Any]) -> tuple[int, ...]:
    seeds = _list(values, "seeds", int)
    for seed in seeds:
        if isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise ConfigError(f"seeds are whole numbers from 0 to {2**32 - 1}, got {seed!r}")
    return tuple(seeds)


def _queries(found: Any) -> int | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f"queries must be a whole number above 0, got {found!r}")
    return found


def _base(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise ConfigError(f"arms of a study must be one table, [arms], got {str(found)[:80]}")
    return found


def _axes(found: Any) -> Axes:
    tables = found.values() if isinstance(found, Mapping) else []
    if not tables or not all(_is_levels(table) for table in tables):
        raise ConfigError(
            "axes of a study must be tables of levels, such as [axes.head.pca], got "
            f"{str(found)[:80]}"
        )
    return found


def _is_levels(table: Any) -> bool:
    is_table = isinstance(table, Mapping) and bool(table)
    return is_table and all(isinstance(level, Mapping) for level in table.values())
