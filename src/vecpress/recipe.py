"""What you ask for: which encoders, head and quantizer, as plain values in a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.arrays import Array
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.stages import Compressor, Quantizer

_CODES = ("quantizer", "fine")

Documents = Corpus | Array
"""Texts, or vectors somebody already has."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything a fit depends on besides the documents and the seed.

    Attributes:
        models: Names of encoders, or mappings of a kind and its options, as
            `vecpress.encoders.catalogue.find` knows them; none for precomputed vectors.
        weights: Each model's share of the cosine; None means equal.
        head: What shortens the embeddings; None leaves them as they are.
        quantizer: What codes them; None leaves them in float32.
        fine: What codes them a second time, finer, to rescore hits by; None keeps one code.
        sample: Most documents that head and quantizer are fitted on, drawn at random.
    """

    models: tuple[str | Mapping[str, Any], ...] = ()
    weights: tuple[float, ...] | None = None
    head: Compressor | None = None
    quantizer: Quantizer | None = None
    fine: Quantizer | None = None
    sample: int = 50_000

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.models):
            raise ConfigError(
                f"give one weight per model: got {len(self.weights)} weights for "
                f"{len(self.models)} models"
            )
        if self.fine is not None and self.quantizer is None:
            raise ConfigError("a `fine` quantizer rescores what a `quantizer` finds: give both")
        if self.sample < 1:
            raise ConfigError(f"sample must be at least 1, got {self.sample}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """Build from plain values, as they stand in a TOML file.

        Raises:
            ConfigError: a key, method or option is unknown, or out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ConfigError(f"a recipe has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        made: dict[str, Any] = {k: v for k, v in values.items() if v is not None}
        kinds = [("models", str | Mapping, "names"), ("weights", int | float, "numbers")]
        for name, kind, wanted in kinds:
            items = made.get(name, ())
            if not isinstance(items, list | tuple) or not all(isinstance(i, kind) for i in items):
                raise ConfigError(f"{name} must be a list of {wanted}, got {items!r}")
            if name in made:
                made[name] = tuple(float(i) if name == "weights" else i for i in items)
        if not isinstance(made.get("sample", 1), int):
            raise ConfigError(f"sample must be a whole number, got {made['sample']!r}")
        kinds_of = {"head": registry.COMPRESSORS} | dict.fromkeys(_CODES, registry.QUANTIZERS)
        for name, table in kinds_of.items():
            if name in made:
                made[name] = registry.build(table, made[name])
        return cls(**made)

    @classmethod
    def from_toml(cls, path: str | Path) -> "Recipe":
        """Read a recipe file.

        Raises:
            ConfigError: it is absent, not TOML, or not a recipe.
        """
        try:
            with Path(path).open("rb") as file:
                return cls.from_dict(tomllib.load(file))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the recipe {path}: {error}") from error

    @property
    def model_names(self) -> tuple[str, ...]:
        """Name each model for people."""
        return tuple(
            model if isinstance(model, str) else f"{model.get('kind')}:{model.get('model', '')}"
            for model in self.models
        )

    def to_dict(self) -> dict[str, Any]:
        """Invert `from_dict`; what is None is left out."""
        values: dict[str, Any] = {"models": self.models, "sample": self.sample}
        if self.weights is not None:
            values["weights"] = self.weights
        if self.head is not None:
            values["head"] = registry.describe(registry.COMPRESSORS, self.head)
        for name in _CODES:
            if (quantizer := getattr(self, name)) is not None:
                values[name] = registry.describe(registry.QUANTIZERS, quantizer)
        return values
