"""Weigh the models of a concatenation by judgements: three plug-ins for the recipes beside them.

    [head]
    kind = "fusion:Attention"     # or "fusion:BlockWeights", "fusion:CoordinateWeights"

The concatenation paper (arXiv:2510.04626) gives every model the same weight. Whether learned ones
are better it does not say, and no paper gives a number for any of these three forms: their shape,
loss, rates and temperature are our guesses. All start at equal weights, and minimize the ranking
loss of Search-Adaptor.

They need PyTorch, and keep the width: put a head that compresses elsewhere.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from fusion_head import AttentionHead
from jaxtyping import Float
from torch import Tensor, nn

from vecpress import losses
from vecpress.compressors.task import Step, Task
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged
from vecpress.training import Lesson, Schedule, Told, descend

_LOOKED_AT = 4096  # documents on which the learned shares are measured


class _Scaling(nn.Module, ABC):
    """A map that scales coordinates; where it starts, it changes nothing."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Scale each row; the result need not have unit norm."""

    @abstractmethod
    def head(self) -> Head:
        """Give what was learned."""


@dataclass(frozen=True, kw_only=True)
class _Weights(ABC):
    """Learn from judgements how to scale the coordinates of a concatenation.

    The weights multiply those that the concatenation has: they are the models' shares of the
    cosine where it gives all the same.

    Attributes:
        dim: The concatenation's width, which stays; None takes what comes.
        temperature: Of the ranking loss.
        negatives: Hard negatives per query and step, drawn among the documents nearest to it that
            do not answer it; the other queries' candidates are negatives too.
        held_out: Share of the queries that judges.
        held_out_by: "query", or "document" to judge by answers that no learning query has.
        epochs: Passes over the queries, at most.
        batch_size: Queries per step.
        learning_rate: AdamW's.
        weight_decay: AdamW's; it pulls to equal weights.
        patience: Epochs without a better held-out figure after which to stop.
        guarded: Whether weights are kept only where held-out queries gain more than luck would
            give them; if not, any gain is.
    """

    dim: int | None = None
    temperature: float = 0.05
    negatives: int = 4
    held_out: float = 0.2
    held_out_by: Literal["query", "document"] = "query"
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    patience: int = 4
    guarded: bool = True
    learns_from_pairs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.dim is not None and self.dim < 1:
            raise ConfigError(f"dim must be at least 1, got {self.dim}")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, got {self.temperature}")
        if self.negatives < 0:
            raise ConfigError(f"negatives must be at least 0, got {self.negatives}")
        if self.held_out_by not in ("query", "document"):
            raise ConfigError(
                f"held_out_by must be 'query' or 'document', got {self.held_out_by!r}"
            )
        self._schedule()

    @abstractmethod
    def _start(self, widths: Sequence[int]) -> _Scaling:
        """Make the map to train, at equal weights."""

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Learn the weights; the log's last row says which share each model got.

        Raises:
            ConfigError: there are no judged pairs, fewer than 4 documents or 2 queries, or not two
                named models; or `dim` is not the concatenation's.
        """
        self._check(training)
        widths = [width for _, width in training.models]
        task = Task(
            training,
            share=self.held_out,
            held_out_by=self.held_out_by,
            negatives=self.negatives,
            seed=seed,
            device=torch.device("cpu"),
        )
        module = self._start(widths)
        stage = f"weights of {len(widths)} models"
        lesson = Lesson[Step](
            batches=lambda _: task.batches(self.batch_size, documents=False),
            loss=lambda step: self._loss(module, task, step),
            judge=lambda: task.judge(lambda x: [module(x)]),
            guarded=self.guarded,
        )
        told = Told(stage=stage, figure=task.figure, progress=progress, log=log)
        descend(module, lesson, schedule=self._schedule(), told=told)
        head = module.head()
        log({"event": "weights", "stage": stage, "shares": _shares(head, training)})
        return head

    def _loss(self, module: _Scaling, task: Task, step: Step) -> Float[Tensor, ""]:
        ranked = step.ranked
        assert ranked is not None
        assert task.queries is not None
        asked, found = module(task.queries[ranked.queries]), task.documents[ranked.candidates]
        scores = losses.cosines(asked, module(found))
        return losses.ranking(scores, ranked.grades, self.temperature, ranked.drawn)

    def _schedule(self) -> Schedule:
        return Schedule(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            held_out=self.held_out,
        )

    def _check(self, training: TrainingSet) -> None:
        name, width = type(self).__name__, training.documents.shape[1]
        if not training.is_supervised:
            raise ConfigError(
                f"{name} learns from judged pairs, got none: give judgements, or take equal "
                "weights, which need none"
            )
        if len(training.models) < 2 or sum(w for _, w in training.models) != width:
            blocks_ = ", ".join(f"{model} ({w})" for model, w in training.models) or "no names"
            raise ConfigError(
                f"{name} weighs the models of a concatenation, so it needs the names and widths of "
                f"at least two that make up its {width} dimensions, got {blocks_}: give texts and "
                "two models or more"
            )
        if self.dim not in (None, width):
            raise ConfigError(
                f"{name} keeps all {width} dimensions of the concatenation, got dim={self.dim}: "
                "leave dim out"
            )


@dataclass(frozen=True, kw_only=True)
class BlockWeights(_Weights):
    """Learn one weight per model: block i is scaled by sqrt(w_i), w a softmax of logits.

    Attributes are those of every form: see `recipes/fusion.py`. No published number.
    """

    learning_rate: float = 2e-2

    def _start(self, widths: Sequence[int]) -> _Scaling:
        return _Blocks(widths)


@dataclass(frozen=True, kw_only=True)
class CoordinateWeights(_Weights):
    """Learn one weight per coordinate, which is never negative: the square of its scale.

    Attributes are those of every form: see `recipes/fusion.py`. No published number.
    """

    def _start(self, widths: Sequence[int]) -> _Scaling:
        return _Coordinates(sum(widths))


@dataclass(frozen=True, kw_only=True)
class Attention(_Weights):
    """Learn weights that depend on the text, the same way for queries and documents.

    It fits an `AttentionHead`. Attributes are those of every form: see `recipes/fusion.py`. No
    published number.
    """

    learning_rate: float = 3e-3

    def _start(self, widths: Sequence[int]) -> _Scaling:
        return _Attentive(widths)


def _roots(logits: Float[Tensor, "*n k"]) -> Float[Tensor, "*n k"]:
    """Give sqrt(k softmax), 1 at the start; through logarithms, for a root has no slope at 0."""
    return (0.5 * (logits.log_softmax(dim=-1) + math.log(logits.shape[-1]))).exp()


class _Blocks(_Scaling):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = torch.tensor(widths)
        self.logits = nn.Parameter(torch.zeros(len(widths)))

    def _scales(self) -> Float[Tensor, " d"]:
        return _roots(self.logits).repeat_interleave(self.widths)

    def forward(self, x: Tensor) -> Tensor:
        return x * self._scales()

    def head(self) -> Head:
        return _diagonal(self._scales())


class _Coordinates(_Scaling):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.change)

    def head(self) -> Head:
        return _diagonal((1 + self.change).abs())


class _Attentive(_Scaling):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = torch.tensor(widths)
        self.map = nn.Linear(sum(widths), len(widths))
        for parameter in self.map.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x * _roots(self.map(x)).repeat_interleave(self.widths, dim=1)

    def head(self) -> Head:
        made = AttentionHead(
            logits=self.map.weight.detach().numpy().copy(),
            bias=self.map.bias.detach().numpy().copy(),
            widths=tuple(self.widths.tolist()),
        )
        return cast("Head", made)  # whatever compresses will do; the protocol knows only this name


def _diagonal(scales: Float[Tensor, " d"]) -> Head:
    plain = scales.detach().numpy()
    return Head(weights=(np.diag(plain),), biases=(np.zeros_like(plain),))


def _shares(head: Any, training: TrainingSet) -> dict[str, float]:
    """Measure each block's part of the squared norm, over the first documents."""
    squares = head.compress(np.asarray(training.documents[:_LOOKED_AT])) ** 2
    ends = np.cumsum([width for _, width in training.models])
    parts = np.split(squares.sum(axis=0, dtype=np.float64) / squares.sum(), ends[:-1])
    names = [f"{number}: {name}" for number, (name, _) in enumerate(training.models, start=1)]
    return {name: round(float(part.sum()), 4) for name, part in zip(names, parts, strict=True)}
