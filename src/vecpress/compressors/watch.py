"""Instruments: what the gradients do while a layer learns, and what its selection keeps."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from vecpress.arrays import Array
from vecpress.importance import importance, shares


class Gradients:
    """Watches the gradient of a weight, in bands of its rows: those of each width.

    After an epoch it gives, per band, the mean absolute gradient (`size`) and the variance of each
    weight's gradient over the steps, averaged over the band's weights (`variance`): the figures of
    arXiv:2510.12474's argument for training one width after another.
    """

    def __init__(
        self, weight: nn.Parameter, widths: Sequence[int], order: Callable[[], Tensor]
    ) -> None:
        self._weight, self._order = weight, order
        self._borders = [0, *sorted(set(widths))]
        self._clear()

    def _clear(self) -> None:
        self._steps = 0
        self._size, self._sum, self._squares = (
            torch.zeros_like(self._weight, requires_grad=False) for _ in range(3)
        )

    def __call__(self, done: bool) -> list[dict[str, Any]]:
        """Take the gradient in, or, when an epoch is done, tell what it was like."""
        if not done:
            gradient = self._weight.grad
            if gradient is not None:
                self._steps += 1
                self._size += gradient.abs()
                self._sum += gradient
                self._squares += gradient.square()
            return []
        steps = max(self._steps, 1)
        order = self._order()
        size = (self._size / steps).mean(dim=1)[order]
        spread = (self._squares / steps - (self._sum / steps).square()).mean(dim=1)[order]
        self._clear()
        return [
            {
                "rows": f"{first}-{last}",
                "size": float(size[first:last].mean()),
                "variance": float(spread[first:last].mean()),
            }
            for first, last in zip(self._borders, self._borders[1:], strict=False)
        ]


def describe_selection(
    sample: Float32[Array, "n d"],
    models: tuple[tuple[str, int], ...],
    weight: Float64[Array, "w d"],
    bias: Float64[Array, " w"],
    *,
    order: Int64[Array, " w"],
    below: int,
    stage: str,
) -> dict[str, Any]:
    """Say which outputs of a layer survive, how much each matters, and whose they are.

    Args:
        sample: Documents that stand for all.
        models: Names and widths, as in `TrainingSet`.
        weight: The whole map down to the layer, its outputs in the order of the selection.
        bias: Its bias.
        order: Which output of the layer each of them is.
        below: How many of them the next width keeps.
        stage: Name of the layer.
    """
    outputs = (sample @ weight.T + bias).astype(np.float32)
    worth = np.empty(len(order))
    worth[order] = importance(outputs) if len(outputs) > 1 else np.zeros(len(order))
    best = np.argsort(-worth, kind="stable")[:below]
    return {
        "event": "coordinates",
        "stage": stage,
        "kept": sorted(order[:below].tolist()),
        "importance": worth.tolist(),
        "models": shares(weight[:below], sample, models),
        "kept_of_important": float(np.isin(best, order[:below]).mean()),
        "prefix_of_important": float((best < below).mean()),
    }
