"""The residual adaptors: Search-Adaptor and Matryoshka-Adaptor (Yoon et al., 2024).

Both add to an embedding what a small network makes of it. Depth, width and activation of that
network are not published; ours has one hidden layer with ReLU, and a last layer that starts at
zero, so that training starts from the embedding itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vecpress import losses
from vecpress.compressors.residual import Residual
from vecpress.compressors.settings import check, schedule_of, start_of, stops_of, task_of
from vecpress.compressors.task import Ranked, Step, Task, prefixes
from vecpress.errors import ConfigError
from vecpress.head import Head, chain
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged
from vecpress.training import Lesson, Told, descend, fast_products, open_device


@dataclass(frozen=True, kw_only=True)
class SearchAdaptor:
    """Learn to rank: L_rank + alpha L_rec + beta L_pred, one map for queries and documents.

    A second network, which predicts a query from a document that answers it, is dropped after
    training.

    Attributes:
        dim: Width of the output.
        nested_dims: Widths with a map of their own, up to and with `dim`; None means `dim` alone.
        shared: Train one map at the input's width instead, and cut its output.
        hidden: Width of the hidden layer.
        alpha: Weight of recovery; the authors search 0, .1 and 1.
        beta: Weight of prediction; the authors search 0, .01 and .1.
        temperature: As in `SMEC`.
        negatives: As in `SMEC`.
        init: As in `SMEC`; "identity" is the paper's.
        gamma: As in `SMEC`.
        held_out: Share of the queries that judges.
        held_out_by: As in `SMEC`.
        epochs: Passes over the queries per map, at most.
        batch_size: Queries per step.
        learning_rate: AdamW's.
        patience: Epochs without a better held-out figure after which to stop.
        device: "cpu", "cuda" or "auto".

    Source: arXiv:2310.08750.
    """

    dim: int
    nested_dims: tuple[int, ...] | None = None
    shared: bool = False
    hidden: int = 512
    alpha: float = 0.1
    beta: float = 0.01
    temperature: float = 1.0
    negatives: int = 4
    init: Literal["pca", "identity"] = "pca"
    gamma: float = 0.25
    held_out: float = 0.2
    held_out_by: Literal["query", "document"] = "query"
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    patience: int = 4
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    learns_from_pairs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self, least={"hidden": 1, "alpha": 0, "beta": 0, "negatives": 0})

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Train one map per width, or one for all; the head is *chained* if there are several.

        Raises:
            ConfigError: there are no judged pairs, fewer than 4 documents, or `dim` is wider than
                the input.
        """
        if not training.is_supervised:
            raise ConfigError(
                "search-adaptor learns from judged pairs, got none: give --pairs, or take "
                "matryoshka-adaptor or smec, which need none"
            )
        device = open_device(self.device)
        task = task_of(self, training, seed=seed, device=device)
        base = start_of(self, training).to(device)
        width = training.documents.shape[1]
        heads = []
        for dim in (width,) if self.shared else sorted(stops_of(self), reverse=True):
            module = Residual(base[:dim], base, self.hidden, seed=seed).to(device)
            told = Told(stage=f"{width} -> {dim}", figure=task.figure, progress=progress, log=log)
            with fast_products(device):
                self._train(module, task, told)
            heads.append(module.head())
        return chain(heads).truncate(self.dim)

    def _train(self, module: Residual, task: Task, told: Told) -> None:
        predictor = Residual.predictor(module.dim, self.hidden, seed=task.seed).to(task.device)

        def loss(step: Step) -> Tensor:
            assert step.ranked is not None
            return self._loss(module, predictor, task, step.ranked)

        descend(
            module,
            Lesson(
                batches=lambda _: task.batches(self.batch_size, documents=False),
                loss=loss,
                judge=lambda: task.judge(lambda x: [module(x)[:, : self.dim]]),
                parameters=[{"params": [*module.parameters(), *predictor.parameters()]}],
            ),
            schedule=schedule_of(self),
            told=told,
        )

    def _loss(
        self, module: Residual, predictor: Callable[[Tensor], Tensor], task: Task, ranked: Ranked
    ) -> Tensor:
        assert task.queries is not None
        queries, documents = task.queries[ranked.queries], task.documents[ranked.candidates]
        asked, found = module(queries), module(documents)
        scores = losses.cosines(asked, found)
        cost = losses.ranking(scores, ranked.grades, self.temperature, ranked.drawn)
        if self.alpha:
            moved = losses.recovery(asked, module.base(queries))
            cost = cost + self.alpha * (moved + losses.recovery(found, module.base(documents)))
        if self.beta:
            query, answer = torch.nonzero(ranked.grades > 0, as_tuple=True)
            guess = predictor(found)[answer]
            grades = ranked.grades[query, answer]
            cost = cost + self.beta * losses.prediction(guess, asked[query], grades)
        return cost


@dataclass(frozen=True, kw_only=True)
class MatryoshkaAdaptor:
    """One residual map whose every prefix keeps similarities: L_topk + alpha L_pair + beta L_rec.

    With judged pairs a second stage adds gamma L_rank, here `ranking`.

    Attributes:
        dim: Width of the output.
        nested_dims: Prefixes the losses see, besides the input's full width; None means the
            doublings of 32 up to `dim`, and `dim`.
        hidden: Width of the hidden layer.
        neighbours: L_topk's k: how many nearest documents, in the input space, of all documents.
        alpha: Weight of the pairs of a batch.
        beta: Weight of recovery.
        ranking: Weight of ranking, in the second stage.
        slower: The second stage's learning rate over the first's.
        temperature: As in `SMEC`.
        negatives: As in `SMEC`.
        init: As in `SMEC`; "identity" is the paper's.
        gamma: As in `SMEC`; not the paper's gamma.
        held_out: Share of the queries, or of the documents where there are none, that judges.
        held_out_by: As in `SMEC`.
        epochs: Passes over the data per stage, at most.
        batch_size: Documents, and queries, per step.
        learning_rate: AdamW's.
        patience: Epochs without a better held-out figure after which to stop.
        device: "cpu", "cuda" or "auto".

    Source: arXiv:2407.20243, eq. 1-6.
    """

    dim: int
    nested_dims: tuple[int, ...] | None = None
    hidden: int = 512
    neighbours: int = 10
    alpha: float = 1.0
    beta: float = 1.0
    ranking: float = 1.0
    slower: float = 0.1
    temperature: float = 1.0
    negatives: int = 4
    init: Literal["pca", "identity"] = "pca"
    gamma: float = 0.25
    held_out: float = 0.2
    held_out_by: Literal["query", "document"] = "query"
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    patience: int = 4
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    learns_from_pairs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = {"hidden": 1, "alpha": 0, "beta": 0, "ranking": 0, "negatives": 0, "neighbours": 1}
        check(self, least=least)
        if self.slower <= 0:
            raise ConfigError(f"slower must be above 0, got {self.slower}")

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Train the unsupervised stage, then, with judged pairs, the supervised one.

        Raises:
            ConfigError: there are fewer than 4 documents or 2 queries with an answer, or `dim` is
                wider than the input.
        """
        device = open_device(self.device)
        task = task_of(self, training, seed=seed, device=device)
        base = start_of(self, training).to(device)
        width = len(base)
        doublings = [32 * 2**power for power in range(20) if 32 * 2**power < self.dim]
        stops = {*(self.nested_dims or doublings), self.dim, width}
        module = Residual(base, base, self.hidden, seed=seed).to(device)
        nearest = task.neighbours(self.neighbours)
        for ranked in (False, True) if task.supervised else (False,):
            stage = f"{width} -> {self.dim}, {'supervised' if ranked else 'unsupervised'}"
            told = Told(stage=stage, figure=task.figure, progress=progress, log=log)
            self._train(module, task, nearest, sorted(stops), told, ranked=ranked)
        return module.head().truncate(self.dim)

    def _train(
        self,
        module: Residual,
        task: Task,
        nearest: tuple[Tensor, Tensor],
        stops: Sequence[int],
        told: Told,
        *,
        ranked: bool,
    ) -> None:
        speed = self.learning_rate * (self.slower if ranked else 1)
        served = [stop for stop in stops if stop <= self.dim]
        lesson = Lesson(
            batches=lambda _: task.batches(self.batch_size),
            loss=lambda step: self._loss(module, task, step, nearest, stops, ranked=ranked),
            judge=lambda: task.judge(lambda x: prefixes(module(x), served)),
        )
        with fast_products(task.device):
            descend(
                module,
                lesson,
                schedule=replace(schedule_of(self), learning_rate=speed),
                told=told,
            )

    def _loss(
        self,
        module: Residual,
        task: Task,
        step: Step,
        nearest: tuple[Tensor, Tensor],
        stops: Sequence[int],
        *,
        ranked: bool,
    ) -> Tensor:
        rows, wanted = (part[step.documents] for part in nearest)
        raw = task.documents[step.documents]
        mapped = module(raw)
        others = module(task.documents[rows.flatten()]).view(*rows.shape, -1)
        cost = self.beta * losses.recovery(mapped, module.base(raw))
        for stop in stops:
            cost = cost + losses.neighbours(mapped[:, :stop], others[..., :stop], wanted)
            cost = cost + self.alpha * losses.pairs(mapped[:, :stop], raw)
        if ranked and step.ranked is not None:
            assert task.queries is not None
            asked = module(task.queries[step.ranked.queries])
            found = module(task.documents[step.ranked.candidates])
            for stop in stops:
                scores = losses.cosines(asked[:, :stop], found[:, :stop])
                grades, drawn = step.ranked.grades, step.ranked.drawn
                rank = losses.ranking(scores, grades, self.temperature, drawn)
                cost = cost + self.ranking * rank
        return cost
