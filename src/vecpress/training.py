"""The one training loop: batches of stored embeddings in, the best module on held-out rows out."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError
from vecpress.stages import Progress

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of a batch's outputs and the batch itself."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: Passes over the training rows, at most.
        batch_size: Rows per step; the loss sees pairs within a batch only.
        learning_rate: AdamW's (arXiv:1711.05101), at the start.
        weight_decay: AdamW's.
        decay_every: Epochs after which the learning rate is multiplied by `decay`.
        decay: See above.
        patience: Epochs without a better held-out loss after which to stop.
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


def train(
    module: nn.Module,
    embeddings: Float32[Array, "n d"],
    *,
    loss: Loss,
    schedule: Schedule,
    seed: int,
    progress: Progress,
) -> nn.Module:
    """Train in place, and return the module as it was at its best held-out loss.

    Args:
        module: Its parameters are the starting point, which is judged too: training never
            returns anything worse on the held-out rows.
        embeddings: An array or a memory map; only a batch at a time is read.
        loss: What to minimize.
        schedule: How long and how fast.
        seed: Of the split and of the order of batches.
        progress: Told about each epoch.

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
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    decay = torch.optim.lr_scheduler.StepLR(optimizer, schedule.decay_every, schedule.decay)
    best, best_state, best_epoch = math.inf, copy.deepcopy(module.state_dict()), 0
    for epoch in range(schedule.epochs + 1):
        if epoch > 0:  # the starting point is judged too
            module.train()
            for batch in _batches(embeddings, rng.permutation(learners), schedule.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss(module(batch), batch).backward()
                optimizer.step()
            decay.step()
        judged = _judge(module, embeddings, judges, loss)
        progress(f"training, held-out loss {judged:.2e}", epoch, schedule.epochs)
        if judged < best:
            best, best_state, best_epoch = judged, copy.deepcopy(module.state_dict()), epoch
        elif epoch - best_epoch >= schedule.patience:
            break
    progress(f"training, held-out loss {best:.2e}", schedule.epochs, schedule.epochs)
    module.load_state_dict(best_state)
    return module.eval()


def _judge(module: nn.Module, embeddings: Array, rows: Array, loss: Loss) -> float:
    """Average the loss over held-out batches of 512, the same ones each time."""
    module.eval()
    with torch.no_grad():
        losses = [float(loss(module(b), b)) for b in _batches(embeddings, rows, 512)]
    return float(np.mean(losses))


def _batches(embeddings: Array, rows: Array, size: int) -> Iterator[Tensor]:
    """Read rows in batches; a rest of one row is left out, since it makes no pair."""
    for batch in blocks(len(rows), size):
        if batch.stop - batch.start > 1:
            yield torch.from_numpy(np.ascontiguousarray(embeddings[rows[batch]], np.float32))
