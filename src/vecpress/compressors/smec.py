"""SMEC: Sequential Matryoshka Embedding Compression (Zhang et al., EMNLP 2025, arXiv:2510.12474).

Three parts, each switched by one field: SMRL trains a chain of layers, one width after another
(`sequential`); ADS learns which coordinates the next width keeps (`adaptive`); S-XBM compares each
document with its neighbours in a memory of frozen embeddings (`memory`). No author code is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vecpress.compressors.chain import Frozen, Layer, Losses, train_layer
from vecpress.compressors.settings import check, schedule_of, start_of, stops_of, task_of
from vecpress.compressors.task import Task
from vecpress.compressors.watch import describe_selection
from vecpress.errors import ConfigError
from vecpress.head import Head, chain
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged
from vecpress.training import Told, fast_products, open_device


@dataclass(frozen=True, kw_only=True)
class SMEC:
    """A chain of linear layers N -> N/2 -> N/4 ..., each trained to convergence and then frozen.

    With judged pairs the loss is the ranking loss plus `alpha` times the pair loss; without them,
    the pair loss alone. What the paper leaves unknown is an option here, at our best guess.

    Attributes:
        dim: Width of the output.
        nested_dims: Widths from `dim` down that get a layer of their own; None means `dim` alone.
            Above `dim` the chain doubles until it meets the input.
        sequential: SMRL. False trains one layer on all widths at once (MRL, arXiv:2205.13147).
        adaptive: ADS. False keeps the first coordinates.
        memory: S-XBM's places. 0 compares the pairs of a batch instead.
        neighbours: S-XBM's k.
        alpha: Weight of the pair loss beside the ranking loss.
        temperature: Of the ranking loss; the paper has none, which is 1.
        negatives: Hard negatives per query and step, drawn among the documents nearest to it
            that do not answer it; the other queries' candidates are negatives too.
        init: The first layer's start: "pca" (power-scaled, see `gamma`) or "identity", which cuts
            the input.
        gamma: Of the PCA start; coordinate i is scaled by lambda_i ** (-gamma / 2).
        held_out: Share of the queries, or of the documents where there are none, that judges.
        held_out_by: "query", or "document" to judge by answers that no learning query has.
        epochs: Passes over the data per layer, at most.
        batch_size: Documents, and queries, per step.
        learning_rate: AdamW's; the selection learns ten times as fast.
        patience: Epochs without a better held-out figure after which a layer is done.
        device: "cpu", "cuda" or "auto".
    """

    dim: int
    nested_dims: tuple[int, ...] | None = None
    sequential: bool = True
    adaptive: bool = True
    memory: int = 5000
    neighbours: int = 10
    alpha: float = 1.0
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
        least = {"memory": 0, "neighbours": 1, "alpha": 0, "negatives": 0}
        check(self, least=least)

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Train the chain; the head is *chained* if `nested_dims` asks for more than one map.

        Raises:
            ConfigError: there are fewer than 4 documents or 2 queries with an answer, `dim` is
                wider than the input, or there is no such device.
        """
        in_dim = int(training.documents.shape[1])
        task = task_of(self, training, seed=seed, device=open_device(self.device))
        start = start_of(self, training)
        stops = tuple(dict.fromkeys([in_dim, *self._stops(in_dim)]))
        told = Told(stage="", figure=task.figure, progress=progress, log=log)
        links = list(self._links(task, Frozen.nothing(in_dim), start, stops, told))
        if not self.sequential:
            return links[0].truncate(self.dim)
        return chain([link for link in links if link.dim <= self.dim])

    def extend(
        self,
        head: Head,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Continue below the last width of a head, down to `dim`; what it had stays bit for bit.

        Raises:
            ConfigError: the head is not linear, or `dim` is not below its last width; and as `fit`.
        """
        last = head.dims[-1]
        if self.dim >= last:
            raise ConfigError(f"a head of {last} dimensions is continued to fewer, got {self.dim}")
        frozen = Frozen.of(head.truncate(last))
        task = task_of(self, training, seed=seed, device=open_device(self.device))
        stops = self._stops(last)
        told = Told(stage="", figure=task.figure, progress=progress, log=log)
        return chain([*_apart(head), *self._links(task, frozen, torch.eye(stops[0]), stops, told)])

    def _stops(self, wide: int) -> tuple[int, ...]:
        """List the widths below `wide`: doublings of `dim`, and what `nested_dims` says."""
        doublings = [self.dim * 2**power for power in range(1, 32)]
        above = [width for width in doublings if width <= 0.75 * wide]  # a step must be worth it
        return tuple(sorted({*above, *stops_of(self)}, reverse=True))

    def _links(
        self, task: Task, frozen: Frozen, start: Tensor, stops: Sequence[int], told: Told
    ) -> Iterator[Head]:
        """Train one layer after another, and give the composed map of each."""
        frozen = frozen.to(task.device)
        for place, width in enumerate(stops if self.sequential else stops[:1]):
            below = stops[place + 1] if place + 1 < len(stops) else max(width // 2, 1)
            widths = (width, below) if self.sequential else (*stops, max(stops[-1] // 2, 1))
            frozen = frozen.cut(width)
            layer = Layer(start, widths, adaptive=self.adaptive, seed=task.seed).to(task.device)
            layer.settle(frozen(task.documents[task.sample]))
            served = [w for w in widths if w in stops_of(self)] or [self.dim]
            told = replace(told, stage=" -> ".join(map(str, widths)))
            with fast_products(task.device):
                train_layer(layer, frozen, task, self._losses(), schedule_of(self), told, served)
            frozen = frozen.then(layer)
            told.log(
                describe_selection(
                    task.documents[task.sample].cpu().numpy(),
                    task.training.models,
                    frozen.weight.cpu().numpy(),
                    frozen.bias.cpu().numpy(),
                    order=layer.order().cpu().numpy(),
                    below=widths[1],
                    stage=told.stage,
                )
            )
            yield frozen.head()
            start = torch.eye(below)

    def _losses(self) -> Losses:
        return Losses(
            memory=self.memory,
            neighbours=self.neighbours,
            alpha=self.alpha,
            temperature=self.temperature,
        )


def _apart(head: Head) -> list[Head]:
    """Take a chained head apart."""
    below = [] if head.narrower is None else _apart(head.narrower)
    return [replace(head, narrower=None), *below]
