"""The decoder while it learns: its layers, what checks them, and the head they fold into."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from vecpress.arrays import Array
from vecpress.head import Head

SLOPE = 0.2


class Layer(nn.Module):
    """Linear, and in the paper's form BatchNorm and LeakyReLU(0.2) after it."""

    def __init__(self, in_dim: int, dim: int, *, paper: bool) -> None:
        super().__init__()
        self.linear = nn.utils.skip_init(nn.Linear, in_dim, dim)  # leaves torch's global seed alone
        self.norm = nn.BatchNorm1d(dim) if paper else None

    def forward(self, x: Tensor, before: nn.LayerNorm | None = None) -> Tensor:
        """Give what the next layer takes.

        Args:
            x: What it takes, centred and scaled already if there is a LayerNorm before.
            before: LayerNorm whose gain and shift are still to be applied. They go into the weight,
                so that no gradient has to be multiplied back to the input.
        """
        weight, bias = self.linear.weight, self.linear.bias
        if before is not None:
            weight, bias = weight * before.weight, bias + weight @ before.bias
        h = nn.functional.linear(x, weight, bias)
        return h if self.norm is None else nn.functional.leaky_relu(self.norm(h), SLOPE)

    def silence(self) -> None:
        """Start at an output of 0, from which the first step leads away.

        Source: the zero gain of a residual block's last BatchNorm, arXiv:1706.02677, section 5.1.
        """
        nn.init.zeros_(self.linear.weight if self.norm is None else self.norm.weight)

    def affine(self, before: nn.LayerNorm | None) -> tuple[Tensor, Tensor]:
        """Fold what is affine into one weight and bias: LayerNorm's gain, linear, BatchNorm."""
        weight = self.linear.weight.detach().double()
        bias = self.linear.bias.detach().double()
        if before is not None:
            bias = bias + weight @ before.bias.detach().double()
            weight = weight * before.weight.detach().double()
        if self.norm is not None:
            mean, variance = self.norm.running_mean, self.norm.running_var
            assert mean is not None
            assert variance is not None
            gain = self.norm.weight.detach().double() / (variance.double() + self.norm.eps).sqrt()
            bias = (bias - mean.double()) * gain + self.norm.bias.detach().double()
            weight = weight * gain[:, None]
        return weight, bias


class Decoder(nn.Module):
    """LayerNorm and `Layer`s, or the linear layers alone; plus a linear map of the input, if asked.

    Dropout stands before every layer: on the input after LayerNorm, and on what lies between. The
    linear map that is added sees all of the input.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        paper: bool,
        residual: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.before = nn.LayerNorm(widths[0]) if paper else None
        layers = nn.ModuleList(Layer(*ends, paper=paper) for ends in pairwise(widths))
        self.layers = cast("Sequence[Layer]", layers)
        self.skip = None
        if residual:
            self.skip = nn.utils.skip_init(nn.Linear, widths[0], widths[-1], bias=False)
        self.dropout = dropout
        self.generator = torch.Generator().manual_seed(seed)  # of its own: torch's is not ours
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.linear.weight, a=SLOPE, generator=self.generator)
            nn.init.zeros_(layer.linear.bias)

    @torch.no_grad()
    def start_layers(self, axes: Float32[Array, "d d"]) -> None:
        """Start with the leading `axes` in the first layer, and the identity in those after it."""
        first = self.layers[0].linear.weight
        count = min(len(first), len(axes))
        first[:count] = torch.from_numpy(axes[:count])
        for layer in self.layers[1:]:
            nn.init.eye_(layer.linear.weight)

    @torch.no_grad()
    def start_skip(self, axes: Float32[Array, "d d"]) -> None:
        """Start with the leading `axes` in the map that is added, and nothing from the layers."""
        assert self.skip is not None
        self.skip.weight.copy_(torch.from_numpy(axes[: len(self.skip.weight)]))
        self.layers[-1].silence()

    def forward(self, x: Tensor) -> Tensor:
        """Give the output, not renormalized."""
        first, *others = self.layers
        if self.before is None or (self.training and self.dropout):
            h = first(self._drop(x if self.before is None else self.before(x)))
        else:
            plain = nn.functional.layer_norm(x, self.before.normalized_shape, eps=self.before.eps)
            h = first(plain, self.before)
        for layer in others:
            h = layer(self._drop(h))
        return h if self.skip is None else h + self.skip(x)

    def _drop(self, h: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return h
        kept = torch.empty_like(h).bernoulli_(1 - self.dropout, generator=self.generator)
        return h * kept / (1 - self.dropout)

    def skew(self) -> Float[Tensor, ""]:
        """Sum over the layers how far each is from orthogonal: mean of (W W' - I)^2.

        W' W stands for W W' where a layer widens, since it has more rows than can be orthogonal.

        Source: soft orthogonality, arXiv:1810.09102, section 3.1; a mean for a sum.
        """
        total = torch.zeros(())
        for layer in self.layers:
            weight = layer.linear.weight
            gram = weight.T @ weight if len(weight) > weight.shape[1] else weight @ weight.T
            total = total + (gram - torch.eye(len(gram))).square().mean()
        return total

    def head(self) -> Head:
        """Fold what is affine: a layer each in the paper's form, one in all where none bends."""
        firsts = [self.before, *[None] * (len(self.layers) - 1)]
        parts = [layer.affine(b) for layer, b in zip(self.layers, firsts, strict=True)]
        skip = None if self.skip is None else self.skip.weight.detach().double()
        paper = self.before is not None
        if not paper:
            parts, skip = [_one(parts, skip)], None
        return Head(
            weights=tuple(_plain(weight) for weight, _ in parts),
            biases=tuple(_plain(bias) for _, bias in parts),
            activation="leaky_relu" if paper else "identity",
            slope=SLOPE,
            activate_last=paper,
            layer_norm=paper,
            skip=None if skip is None else _plain(skip),
        )


def _one(parts: Sequence[tuple[Tensor, Tensor]], skip: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compose affine maps, the first first, and add a linear one."""
    weight, bias = parts[0]
    for after, shift in parts[1:]:
        weight, bias = after @ weight, after @ bias + shift
    return weight if skip is None else weight + skip, bias


def _plain(tensor: Tensor) -> Float32[Array, "..."]:
    return tensor.float().contiguous().numpy()
