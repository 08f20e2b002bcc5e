"""The one training loop: batches in, the best state on held-out cases out, or the last."""

import copy
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from vecpress.arrays import Array
from vecpress.errors import ConfigError
from vecpress.significance import SURE, paired_p_value
from vecpress.stages import Log, Progress, silent, unlogged

Batch = TypeVar("Batch")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: Passes over the training rows, at most.
        batch_size: Rows per step; the loss sees pairs within a batch only.
        learning_rate: AdamW's (arXiv:1711.05101), at the start.
        weight_decay: AdamW's.
        decay_every: Epochs after which the learning rate is multiplied by `decay`.
        decay: Of the learning rate.
        patience: Epochs without a better held-out figure after which to stop.
        held_out: Share of the rows that judge, and are never trained on.
        keep: "best" for the state at the best held-out figure; "last" for the state after all
            epochs, however it is judged: no patience, and no way back to the start.
    """

    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    decay_every: int = 10
    decay: float = 0.8
    patience: int = 5
    held_out: float = 0.1
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ConfigError(
                f"training needs at least 1 epoch and 2 rows per batch, got {self.epochs} epochs "
                f"and {self.batch_size} rows"
            )
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out must be between 0 and 1, got {self.held_out}")
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.patience < 1:
            raise ConfigError(
                "learning_rate must be above 0, weight_decay at least 0 and patience at least 1, "
                f"got {self.learning_rate}, {self.weight_decay} and {self.patience}"
            )
        if self.keep not in ("best", "last"):
            raise ConfigError(f"keep must be one of ('best', 'last'), got {self.keep!r}")


@dataclass(frozen=True, kw_only=True)
class Told:
    """Who hears of a training, and under which name.

    Attributes:
        stage: What is being trained.
        figure: What the held-out rows measure.
        sign: 1 if more of it is better, -1 if less.
        progress: Told about each epoch.
        log: Given a row for each epoch, and one for what was kept.
    """

    stage: str
    figure: str
    sign: int = 1
    progress: Progress = silent
    log: Log = unlogged


@dataclass(frozen=True, kw_only=True)
class Lesson(Generic[Batch]):
    """What a module learns, and how it is judged.

    Attributes:
        batches: Give the batches of an epoch, numbered from 1.
        loss: What to minimize.
        judge: Measure every held-out case.
        gradients: Called after each backward pass with False, and after each epoch with True for
            rows about that epoch.
        fitted: Measure what `judge` does on cases that are trained on, in the same mode; only told.
        parameters: Groups of them, as for `torch.optim.AdamW`; None means all of the module's.
        guarded: Whether a gain must be significant (p < 0.05) to be kept; if not, any gain is.
    """

    batches: Callable[[int], Iterable[Batch]]
    loss: Callable[[Batch], Tensor]
    judge: Callable[[], Float64[Array, " cases"]]
    gradients: Callable[[bool], list[dict[str, Any]]] | None = None
    fitted: Callable[[], float] | None = None
    parameters: list[dict[str, Any]] | None = None
    guarded: bool = True


def descend(module: nn.Module, lesson: Lesson[Any], *, schedule: Schedule, told: Told) -> bool:
    """Train in place, and leave the module as it was at its best held-out figure, or as it ends.

    The starting point is judged too. Of a guarded lesson it stands unless training betters the
    held-out cases by more than luck would: some epoch always looks better on a few labels.

    With `schedule.keep="last"` every epoch counts as the best so far, so the last one stands.

    Returns:
        Whether the module is now anything but its starting point.

    Raises:
        ConfigError: the last state is to be kept, and its figure is not a finite number.
    """
    optimizer = torch.optim.AdamW(
        lesson.parameters or module.parameters(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
    )
    decay = torch.optim.lr_scheduler.StepLR(optimizer, schedule.decay_every, schedule.decay)
    start = best = _judged(module, lesson, told)
    start_state = best_state = copy.deepcopy(module.state_dict())
    best_epoch, last = 0, schedule.keep == "last"
    _tell(told, schedule, 0, None, start, _watched(lesson, 0))
    for epoch in range(1, schedule.epochs + 1):
        mean = _pass_over(module, lesson, epoch, optimizer)
        decay.step()
        judged = _judged(module, lesson, told)
        _tell(told, schedule, epoch, mean, judged, _watched(lesson, epoch))
        if last or told.sign * judged.mean() > told.sign * best.mean():
            best, best_state, best_epoch = judged, copy.deepcopy(module.state_dict()), epoch
        elif epoch - best_epoch >= schedule.patience:
            break
    if last and not np.isfinite(best).all():
        raise ConfigError(
            f"after {best_epoch} epochs the {told.figure} is not a finite number: take a lower "
            f"learning_rate than {schedule.learning_rate}, or keep='best'"
        )
    p_value = paired_p_value(best, start) if lesson.guarded and not last else None
    better = best_epoch > 0 and (p_value is None or p_value < SURE)
    module.load_state_dict(best_state if better else start_state)
    module.eval()
    kept, epoch = (best, best_epoch) if better else (start, 0)
    _tell_kept(told, epoch, kept, start, p_value)
    _progress(told, kept, schedule.epochs, schedule)
    return better


def _pass_over(
    module: nn.Module, lesson: Lesson[Any], epoch: int, optimizer: torch.optim.Optimizer
) -> float | None:
    """Learn from every batch of an epoch, and give the mean loss."""
    module.train()
    costs = []
    for batch in lesson.batches(epoch):
        optimizer.zero_grad(set_to_none=True)
        cost = lesson.loss(batch)
        cost.backward()
        if lesson.gradients is not None:
            lesson.gradients(False)
        optimizer.step()
        costs.append(cost.detach())  # read once per epoch: a GPU need not wait at every step
    return float(torch.stack(costs).mean()) if costs else None


def _judged(module: nn.Module, lesson: Lesson[Any], told: Told) -> Float64[Array, " n"]:
    """Measure the held-out cases; what is not a number is worse than anything."""
    module.eval()
    with torch.no_grad():
        judged = lesson.judge()
    return np.where(np.isnan(judged), -told.sign * np.inf, judged)


def _watched(lesson: Lesson[Any], epoch: int) -> dict[str, Any]:
    """Gather what else is told of an epoch; the module is in the mode it is judged in."""
    told: dict[str, Any] = {
        "gradients": lesson.gradients(True) if lesson.gradients and epoch else []
    }
    if lesson.fitted is not None:
        with torch.no_grad():
            told["fitted"] = lesson.fitted()
    return told


def _tell(
    told: Told,
    schedule: Schedule,
    epoch: int,
    loss: float | None,
    judged: Float64[Array, " n"],
    watched: Mapping[str, Any],
) -> None:
    _progress(told, judged, epoch, schedule, loss)
    told.log(
        {
            "event": "epoch",
            "stage": told.stage,
            "epoch": epoch,
            "loss": loss,
            "held_out": float(judged.mean()),
            "figure": told.figure,
            **watched,
        }
    )


def _tell_kept(
    told: Told,
    epoch: int,
    kept: Float64[Array, " n"],
    start: Float64[Array, " n"],
    p_value: float | None,
) -> None:
    told.log(
        {
            "event": "kept",
            "stage": told.stage,
            "what": "trained" if epoch else "start",
            "epoch": epoch,
            "held_out": float(kept.mean()),
            "start": float(start.mean()),
            "p_value": p_value,
            "cases": len(start),
            "figure": told.figure,
        }
    )


def _progress(
    told: Told,
    judged: Float64[Array, " n"],
    epoch: int,
    schedule: Schedule,
    loss: float | None = None,
) -> None:
    cost = "" if loss is None else f", loss {loss:.2e}"
    value = f"{judged.mean():.2e}" if told.sign < 0 else f"{judged.mean():.4f}"
    told.progress(f"{told.stage}, {told.figure} {value}{cost}", epoch, schedule.epochs)


def open_device(name: str) -> torch.device:
    """Find the device to train on: "cpu", "cuda", or "auto" for a GPU if there is one.

    Raises:
        ConfigError: it is none of these, or there is no such device.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise ConfigError(f"device must be cpu, cuda or auto, got {name!r}")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ConfigError("device 'cuda' asks for a GPU, and PyTorch finds none: take 'auto'")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextmanager
def fast_products(device: torch.device) -> Generator[None]:
    """Let a GPU multiply in TF32 meanwhile, whose 10 bits suffice for losses of similarities."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def as_tensor(rows: Array, device: torch.device) -> Tensor:
    """Move rows to a device; on the CPU they are shared, unless they are a memory map."""
    plain = np.ascontiguousarray(rows, np.float32)
    return torch.from_numpy(plain if plain.flags.writeable else plain.copy()).to(device)
