"""Training without judgements: a map learns from batches of rows, judged on rows held out."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError
from vecpress.training import Lesson, Schedule, Told, descend

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of a batch's outputs and the batch itself."""


def train(
    module: nn.Module,
    embeddings: Float32[Array, "n d"],
    *,
    loss: Loss,
    penalty: Callable[[], Tensor | float] = lambda: 0.0,
    schedule: Schedule,
    seed: int,
    told: Told,
) -> nn.Module:
    """Train a map on batches of rows, judged by the same loss on rows held out.

    Each epoch's log row also has `fitted`: the loss on as many of the rows trained on, measured as
    on those held out, so that the gap between the two is over-fitting and nothing else.

    Args:
        module: As for `descend`.
        embeddings: An array or a memory map; only a batch at a time is read.
        loss: What to minimize.
        penalty: What to minimize besides; takes no part in `held_out` and `fitted`.
        schedule: How long and how fast.
        seed: Of the split and of the order of batches.
        told: Who hears of it.

    Raises:
        ConfigError: there are fewer rows than two batches of two, or the last state is to be kept
            and is not finite.
    """
    rng = np.random.default_rng(seed)
    judges, learners = _split(len(embeddings), schedule.held_out, rng)
    sample = np.sort(learners[: len(judges)])  # in random order: the first are any

    def loss_on(rows: Array) -> Float64[Array, " one"]:
        losses = [float(loss(module(b), b)) for b in _batches(embeddings, rows, 512)]
        return np.array([np.mean(losses)])  # the same batches of 512 each time

    descend(
        module,
        Lesson(
            batches=lambda _: _batches(embeddings, rng.permutation(learners), schedule.batch_size),
            loss=lambda batch: loss(module(batch), batch) + penalty(),
            judge=lambda: loss_on(judges),
            fitted=lambda: float(loss_on(sample)[0]),
            guarded=False,
        ),
        schedule=schedule,
        told=told,
    )
    return module


def _split(
    n: int, share: float, rng: np.random.Generator
) -> tuple[Int64[Array, " judges"], Int64[Array, " learners"]]:
    """Hold out a share of the rows, in order; the others come in random order."""
    if n < 4:
        raise ConfigError(f"a trained head needs at least 4 embeddings, got {n}")
    order = rng.permutation(n)
    judges = np.sort(order[: min(max(2, round(n * share)), n - 2)])
    return judges, order[len(judges) :]


def _batches(embeddings: Array, rows: Array, size: int) -> Iterator[Tensor]:
    """Read rows in batches; a rest of one row is left out, since it makes no pair."""
    for batch in blocks(len(rows), size):
        if batch.stop - batch.start > 1:
            yield torch.from_numpy(np.ascontiguousarray(embeddings[rows[batch]], np.float32))
