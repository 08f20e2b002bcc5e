"""What the trained adaptors' configs have in common: checks, and the parts they are turned into."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from vecpress.compressors.linear import Spectrum
from vecpress.compressors.task import Task
from vecpress.errors import ConfigError
from vecpress.stages import TrainingSet
from vecpress.training import Schedule


@runtime_checkable
class Settings(Protocol):
    """Fields with one meaning in every adaptor; `SMEC` says which."""

    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def nested_dims(self) -> tuple[int, ...] | None: ...  # noqa: D102
    @property
    def temperature(self) -> float: ...  # noqa: D102
    @property
    def negatives(self) -> int: ...  # noqa: D102
    @property
    def init(self) -> Literal["pca", "identity"]: ...  # noqa: D102
    @property
    def gamma(self) -> float: ...  # noqa: D102
    @property
    def held_out(self) -> float: ...  # noqa: D102
    @property
    def held_out_by(self) -> Literal["query", "document"]: ...  # noqa: D102
    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def patience(self) -> int: ...  # noqa: D102


def check(settings: Settings, *, least: Mapping[str, int]) -> None:
    """Make sure that the fields make sense together.

    Raises:
        ConfigError: one is out of its range.
    """
    if settings.dim < 1:
        raise ConfigError(f"dim must be at least 1, got {settings.dim}")
    stops = stops_of(settings)
    if min(stops) < 1 or max(stops) != settings.dim or len(set(stops)) != len(stops):
        raise ConfigError(
            f"nested_dims must be different widths that end with dim={settings.dim}, got {stops}"
        )
    for name, allowed in [("init", ("pca", "identity")), ("held_out_by", ("query", "document"))]:
        if getattr(settings, name) not in allowed:
            raise ConfigError(f"{name} must be one of {allowed}, got {getattr(settings, name)!r}")
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            raise ConfigError(f"{name} must be at least {bound}, got {getattr(settings, name)}")
    if settings.temperature <= 0:
        raise ConfigError(f"temperature must be above 0, got {settings.temperature}")
    if not 0 <= settings.gamma <= 1:
        raise ConfigError(f"gamma must be between 0 and 1, got {settings.gamma}")
    schedule_of(settings)


def stops_of(settings: Settings) -> tuple[int, ...]:
    """Give the widths asked for; `dim` alone where none are."""
    return settings.nested_dims or (settings.dim,)


def schedule_of(settings: Settings) -> Schedule:
    """Give how long and how fast to learn; no weight decays, the start is a good map."""
    return Schedule(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=0.0,
        patience=settings.patience,
        held_out=settings.held_out,
    )


def task_of(settings: Settings, training: TrainingSet, *, seed: int, device: torch.device) -> Task:
    """Split what there is to learn from, with judgements if there are any.

    Raises:
        ConfigError: there is too little of it, or `dim` is wider than the input.
    """
    width = training.documents.shape[1]
    if settings.dim > width:
        raise ConfigError(
            f"dim must be at most the {width} dimensions of the input, got {settings.dim}"
        )
    return Task(
        training,
        share=settings.held_out,
        held_out_by=settings.held_out_by,
        negatives=settings.negatives,
        seed=seed,
        device=device,
    )


def start_of(settings: Settings, training: TrainingSet) -> Float[Tensor, "d d"]:
    """Give the map that training starts from, at the input's width."""
    width = training.documents.shape[1]
    if settings.init == "identity":
        return torch.eye(width)
    return torch.from_numpy(Spectrum.of(training).head(width, gamma=settings.gamma).weights[0])
