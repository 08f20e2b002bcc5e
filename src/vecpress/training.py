"""The one training loop: batches of stored embeddings in, the best state on held-out rows out."""

import copy
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor, nn

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError
from vecpress.significance import SURE, paired_p_value
from vecpress.stages import Log, Progress, silent, unlogged

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of a batch's outputs and the batch itself."""

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
    """

    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    decay_every: int = 10
    decay: float = 0.8
    patience: int = 5
    held_out: float = 0.1

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
        parameters: Groups of them, as for `torch.optim.AdamW`; None means all of the module's.
        guarded: Whether a gain must be significant (p < 0.05) to be kept; if not, any gain is.
    """

    batches: Callable[[int], Iterable[Batch]]
    loss: Callable[[Batch], Tensor]
    judge: Callable[[], Float64[Array, " cases"]]
    gradients: Callable[[bool], list[dict[str, Any]]] | None = None
    parameters: list[dict[str, Any]] | None = None
    guarded: bool = True


def descend(module: nn.Module, lesson: Lesson[Any], *, schedule: Schedule, told: Told) -> bool:
    """Train in place, and leave the module as it was at its best held-out figure.

    The starting point is judged too. Of a guarded lesson it stands unless training betters the
    held-out cases by more than luck would: some epoch always looks better on a few labels.

    Returns:
        Whether the module is now anything but its starting point.
    """
    optimizer = torch.optim.AdamW(
        lesson.parameters or module.parameters(),
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
    )
    decay = torch.optim.lr_scheduler.StepLR(optimizer, schedule.decay_every, schedule.decay)
    start = best = _judged(module, lesson, told)
    start_state = best_state = copy.deepcopy(module.state_dict())
    best_epoch = 0
    _tell(told, schedule, 0, None, start, [])
    for epoch in range(1, schedule.epochs + 1):
        mean = _pass_over(module, lesson, epoch, optimizer)
        decay.step()
        judged = _judged(module, lesson, told)
        watched = lesson.gradients(True) if lesson.gradients else []
        _tell(told, schedule, epoch, mean, judged, watched)
        if told.sign * judged.mean() > told.sign * best.mean():
            best, best_state, best_epoch = judged, copy.deepcopy(module.state_dict()), epoch
        elif epoch - best_epoch >= schedule.patience:
            break
    p_value = paired_p_value(best, start) if lesson.guarded else None
    better = best_epoch > 0 and (p_value is None or p_value < SURE)
    module.load_state_dict(best_state if better else start_state)
    module.eval()
    told.log(
        {
            "event": "kept",
            "stage": told.stage,
            "what": "trained" if better else "start",
            "epoch": best_epoch if better else 0,
            "held_out": float(best.mean() if better else start.mean()),
            "start": float(start.mean()),
            "p_value": p_value,
            "cases": len(start),
            "figure": told.figure,
        }
    )
    _progress(told, best if better else start, schedule.epochs, schedule)
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


def _tell(
    told: Told,
    schedule: Schedule,
    epoch: int,
    loss: float | None,
    judged: Float64[Array, " n"],
    gradients: list[dict[str, Any]],
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
            "gradients": gradients,
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


def train(
    module: nn.Module,
    embeddings: Float32[Array, "n d"],
    *,
    loss: Loss,
    schedule: Schedule,
    seed: int,
    told: Told,
) -> nn.Module:
    """Train a map on batches of rows, judged by the same loss on rows held out.

    Args:
        module: As for `descend`.
        embeddings: An array or a memory map; only a batch at a time is read.
        loss: What to minimize.
        schedule: How long and how fast.
        seed: Of the split and of the order of batches.
        told: Who hears of it.

    Raises:
        ConfigError: there are fewer rows than two batches of two.
    """
    n = len(embeddings)
    if n < 4:
        raise ConfigError(f"a trained head needs at least 4 embeddings, got {n}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    judges = np.sort(order[: min(max(2, round(n * schedule.held_out)), n - 2)])
    learners = order[len(judges) :]

    def judge() -> Float64[Array, " one"]:
        losses = [float(loss(module(b), b)) for b in _batches(embeddings, judges, 512)]
        return np.array([np.mean(losses)])  # the same batches of 512 each time

    descend(
        module,
        Lesson(
            batches=lambda _: _batches(embeddings, rng.permutation(learners), schedule.batch_size),
            loss=lambda batch: loss(module(batch), batch),
            judge=judge,
            guarded=False,
        ),
        schedule=schedule,
        told=told,
    )
    return module


def _batches(embeddings: Array, rows: Array, size: int) -> Iterator[Tensor]:
    """Read rows in batches; a rest of one row is left out, since it makes no pair."""
    for batch in blocks(len(rows), size):
        if batch.stop - batch.start > 1:
            yield torch.from_numpy(np.ascontiguousarray(embeddings[rows[batch]], np.float32))


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
