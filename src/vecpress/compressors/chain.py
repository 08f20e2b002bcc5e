"""A link of SMEC's chain while it learns: a square layer, and what it keeps for the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vecpress import losses
from vecpress.compressors.memory import Memory
from vecpress.compressors.task import Ranked, Step, Task, prefixes
from vecpress.compressors.watch import Gradients
from vecpress.head import Head
from vecpress.training import Lesson, Schedule, Told, descend

_SELECTION_SPEED = 10.0  # learning rate of the selection over that of the layer
_FIRST_TAU, _LAST_TAU = 1.0, 0.1  # annealed exponentially over the epochs


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What a layer minimizes, summed over its widths; fields as in `SMEC`."""

    memory: int
    neighbours: int
    alpha: float
    temperature: float


@dataclass(frozen=True, eq=False)
class Frozen:
    """The affine map of all layers that are done, in float64; rows in order of importance."""

    weight: Float[Tensor, "w d"]
    bias: Float[Tensor, " w"]

    @classmethod
    def nothing(cls, width: int) -> "Frozen":
        """Leave embeddings as they are."""
        return cls(torch.eye(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))

    @classmethod
    def of(cls, head: Head) -> "Frozen":
        """Take over a linear head."""
        weight, bias = head.affine()
        return cls(torch.from_numpy(weight), torch.from_numpy(bias))

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n w"]:
        """Map embeddings, without renormalizing."""
        return x @ self.weight.to(x.dtype).T + self.bias.to(x.dtype)

    def to(self, device: torch.device) -> "Frozen":
        """Move it."""
        return Frozen(self.weight.to(device), self.bias.to(device))

    def cut(self, width: int) -> "Frozen":
        """Keep the first rows."""
        return Frozen(self.weight[:width], self.bias[:width])

    def then(self, layer: "Layer") -> "Frozen":
        """Compose with a layer that is done, its rows in the order of its selection."""
        order = layer.order()
        weight = layer.weight.detach().double()[order]
        bias = layer.bias.detach().double()[order]
        return Frozen(weight @ self.weight, weight @ self.bias + bias)

    def head(self) -> Head:
        """Give it the form in which it is kept."""
        weight, bias = (part.float().cpu().numpy() for part in (self.weight, self.bias))
        return Head(weights=(weight,), biases=(bias,))


class Layer(nn.Module):
    """A square linear layer, and one logit per output that says how much it is worth keeping."""

    def __init__(
        self, start: Float[Tensor, "w w"], widths: Sequence[int], *, adaptive: bool, seed: int
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.weight = nn.Parameter(start.clone())
        self.bias = nn.Parameter(torch.zeros(len(start)))
        self.logits = nn.Parameter(torch.zeros(len(start))) if adaptive else None
        self.tau = _FIRST_TAU
        self._generator = torch.Generator().manual_seed(seed)

    def settle(self, inputs: Float[Tensor, "n w"]) -> None:
        """Start the selection from the energy of each output: the greatest are kept."""
        if self.logits is not None:
            with torch.no_grad():
                energy = self(inputs).square().mean(dim=0)
                self.logits.copy_((energy / energy.max().clamp_min(1e-12)).clamp_min(1e-6).log())

    def forward(self, x: Float[Tensor, "n w"]) -> Float[Tensor, "n w"]:
        """Map what the frozen layers give."""
        return x @ self.weight.T + self.bias

    def order(self) -> Tensor:
        """Rank the outputs: the first w of them are the selection for width w."""
        if self.logits is None:
            return torch.arange(len(self.bias), device=self.bias.device)
        return self.logits.detach().argsort(descending=True, stable=True)

    def kept(self, x: Float[Tensor, "n w"], widths: Sequence[int]) -> list[Tensor]:
        """Give what each width makes of the input, as it will be when training is over."""
        return prefixes(self(x)[:, self.order()], widths)

    def masks(self) -> list[Tensor]:
        """Draw which outputs each width sees, 1 or 0, with gradients to every logit.

        Gumbel-softmax over the logits; the greatest w of it are seen, straight through.

        Source: arXiv:2510.12474, ADS: w = softmax((z + g) / tau), g = -log(-log(u)).
        """
        size = len(self.bias)
        if self.logits is None:
            numbers = torch.arange(size, device=self.bias.device)
            return [(numbers < width).to(self.weight.dtype) for width in self.widths]
        uniform = torch.rand(size, generator=self._generator).clamp_min(1e-20)
        noise = -(-uniform.log()).clamp_min(1e-20).log()
        noisy = self.logits + noise.to(self.logits)
        soft, order = (noisy / self.tau).softmax(dim=0), noisy.argsort(descending=True)
        masks = []
        for width in self.widths:
            hard = torch.zeros_like(soft).index_fill(0, order[:width], 1.0)
            masks.append(hard + width * (soft - soft.detach()))
        return masks

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """List the parameters for the optimizer."""
        found: list[dict[str, Any]] = [{"params": [self.weight, self.bias]}]
        if self.logits is not None:
            found.append({"params": [self.logits], "lr": learning_rate * _SELECTION_SPEED})
        return found


def train_layer(
    layer: Layer,
    frozen: Frozen,
    task: Task,
    asked: Losses,
    schedule: Schedule,
    told: Told,
    judged: Sequence[int],
) -> None:
    """Train a layer on what the frozen ones make of the embeddings, judged at some widths."""
    documents = frozen(task.documents)
    queries = None if task.queries is None else frozen(task.queries)
    unsupervised = asked.alpha if task.supervised else 1.0
    memory = Memory(task.documents, asked.memory) if asked.memory and unsupervised else None

    def batches(epoch: int) -> Any:
        share = (epoch - 1) / max(schedule.epochs - 1, 1)
        layer.tau = _FIRST_TAU * (_LAST_TAU / _FIRST_TAU) ** share
        return task.batches(schedule.batch_size, documents=unsupervised > 0)

    def rank(ranked: Ranked, masks: list[Tensor]) -> Tensor:
        assert queries is not None
        asking, candidates = layer(queries[ranked.queries]), layer(documents[ranked.candidates])
        costs = [
            losses.ranking(
                losses.cosines(asking * mask, candidates * mask),
                ranked.grades,
                asked.temperature,
                ranked.drawn,
            )
            for mask in masks
        ]
        return torch.stack(costs).sum()

    def keep(rows: Tensor, masks: list[Tensor]) -> Tensor:
        """Keep the similarities of a batch: to its neighbours in the memory, or among itself."""
        raw, mapped = task.documents[rows], layer(documents[rows])
        if memory is None:
            return torch.stack([losses.pairs(mapped * mask, raw) for mask in masks]).sum()
        found, wanted = memory.nearest(raw, rows, asked.neighbours)
        others = layer(documents[found.flatten()]).view(*found.shape, -1)
        memory.push(raw, rows)
        costs = [losses.neighbours(mapped * mask, others * mask, wanted) for mask in masks]
        return torch.stack(costs).sum()

    def loss(step: Step) -> Tensor:
        masks = layer.masks()
        cost = layer.weight.new_zeros(())
        if step.ranked is not None:
            cost = cost + rank(step.ranked, masks)
        if unsupervised and len(step.documents) > 1:
            cost = cost + unsupervised * keep(step.documents, masks)
        return cost

    descend(
        layer,
        Lesson(
            batches=batches,
            loss=loss,
            judge=lambda: task.judge(lambda x: layer.kept(frozen(x), judged)),
            gradients=Gradients(layer.weight, layer.widths, layer.order),
            parameters=layer.groups(schedule.learning_rate),
        ),
        schedule=schedule,
        told=told,
    )
