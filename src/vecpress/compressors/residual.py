"""The map that both adaptors train: an embedding, plus what a small network makes of it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vecpress.head import Head


class Residual(nn.Module):
    """base x + W2 relu(W1 rotation x + b1) + b2."""

    skip: Tensor
    rotation: Tensor

    def __init__(
        self,
        base: Float[Tensor, "w d"],
        rotation: Float[Tensor, "d d"],
        hidden: int,
        *,
        seed: int,
    ) -> None:
        super().__init__()
        self.register_buffer("skip", base.clone())
        self.register_buffer("rotation", rotation.clone())
        generator = torch.Generator().manual_seed(seed)
        bound = len(rotation) ** -0.5
        first = torch.empty(hidden, len(rotation)).uniform_(-bound, bound, generator=generator)
        self.first, self.first_bias = nn.Parameter(first), nn.Parameter(torch.zeros(hidden))
        self.last = nn.Parameter(torch.zeros(len(base), hidden))
        self.last_bias = nn.Parameter(torch.zeros(len(base)))

    @classmethod
    def predictor(cls, dim: int, hidden: int, *, seed: int) -> "Residual":
        """Start from "the query is the document": the network p of Search-Adaptor."""
        return cls(torch.eye(dim), torch.eye(dim), hidden, seed=seed)

    @property
    def dim(self) -> int:
        """Width of the output."""
        return len(self.last_bias)

    def base(self, x: Tensor) -> Tensor:
        """Give the output before training."""
        return x @ self.skip.T

    def forward(self, x: Tensor) -> Tensor:
        """Add to the base what the network makes of the input."""
        hidden = torch.relu((x @ self.rotation.T) @ self.first.T + self.first_bias)
        return self.base(x) + hidden @ self.last.T + self.last_bias

    def head(self) -> Head:
        """Fold the rotation into the first layer."""
        first = self.first.detach().double() @ self.rotation.double()
        parts = (first, self.last, self.first_bias, self.last_bias, self.skip)
        kept = [part.detach().float().cpu().numpy() for part in parts]
        return Head(
            weights=tuple(kept[:2]), biases=tuple(kept[2:4]), activation="relu", skip=kept[4]
        )
