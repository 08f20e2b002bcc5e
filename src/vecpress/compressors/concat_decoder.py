"""Compressed Concatenation of Small Embedding Models (Ayad et al., CIKM 2025, arXiv:2510.04626).

A one-layer decoder of the concatenation, trained so that every nested prefix of its output keeps
the pairwise cosines of its input. The paper's own settings are only partly known; the defaults
follow the authors' last public code.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vecpress.arrays import Array
from vecpress.compressors.linear import Spectrum
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.losses import similarity_matching
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged
from vecpress.training import Schedule, Told, train


@dataclass(frozen=True, kw_only=True)
class ConcatDecoder:
    """LayerNorm - Linear - BatchNorm - LeakyReLU(0.2), or the linear layer alone.

    Attributes:
        dim: Width of the output.
        train_dim: Width trained, of which the first `dim` are kept; None takes `dim`. The paper
            trains wide, and truncates.
        nested_dims: Prefixes the loss sees; None takes 32, 64, 128, ... up to and with the width
            trained.
        form: "paper" as above, or "linear": no normalization, no activation.
        init: "random" (Kaiming, the paper's) or "pca" (the leading uncentred eigenvectors).
        epochs: Passes over the data, at most.
        batch_size: Rows per step.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        patience: Epochs without a better held-out loss after which to stop.
    """

    dim: int
    train_dim: int | None = None
    nested_dims: tuple[int, ...] | None = None
    form: Literal["paper", "linear"] = "paper"
    init: Literal["random", "pca"] = "random"
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 5

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ConfigError(f"dim must be at least 1, got {self.dim}")
        for name, allowed in [("form", ("paper", "linear")), ("init", ("random", "pca"))]:
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        if self._width < self.dim:
            raise ConfigError(f"train_dim must be at least dim={self.dim}, got {self._width}")
        stops = self.nested_dims or (self._width,)
        if min(stops) < 1 or max(stops) != self._width:
            raise ConfigError(
                "nested_dims must lie between 1 and the width trained, and end with "
                f"{self._width}, got {stops}"
            )
        self._schedule()

    @property
    def _width(self) -> int:
        return self.dim if self.train_dim is None else self.train_dim

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Train on the documents; BatchNorm and LayerNorm's affine parts fold into the layer.

        Raises:
            ConfigError: there are fewer than 4 documents, or `init="pca"` and `dim` is too wide.
        """
        documents = training.documents
        module = self._start(documents, seed)
        stops = self.nested_dims or _doubling(self._width)
        train(
            module,
            documents,
            loss=lambda outputs, batch: similarity_matching(outputs, batch, stops),
            schedule=self._schedule(),
            seed=seed,
            told=Told(
                stage=f"{documents.shape[1]} -> {self._width}",
                figure="held-out loss",
                sign=-1,
                progress=progress,
                log=log,
            ),
        )
        return module.head().truncate(self.dim)

    def _schedule(self) -> Schedule:
        return Schedule(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
        )

    def _start(self, documents: Array, seed: int) -> "_Decoder":
        module = _Decoder(documents.shape[1], self._width, paper=self.form == "paper")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            nn.init.kaiming_normal_(module.linear.weight, a=0.2, generator=generator)
            nn.init.zeros_(module.linear.bias)
            if self.init == "pca":
                if self._width > documents.shape[1]:
                    raise ConfigError(
                        f"init='pca' needs dim of at most {documents.shape[1]}, got {self._width}"
                    )
                start = Spectrum.of(TrainingSet(documents=documents)).head(self._width, gamma=0.0)
                module.linear.weight.copy_(torch.from_numpy(start.weights[0]))
        return module


class _Decoder(nn.Module):
    """The module while it learns."""

    def __init__(self, in_dim: int, dim: int, *, paper: bool) -> None:
        super().__init__()
        self.before = nn.LayerNorm(in_dim) if paper else None
        self.linear = nn.utils.skip_init(nn.Linear, in_dim, dim)  # leaves torch's global seed alone
        self.after = nn.BatchNorm1d(dim) if paper else None

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.before is None else self.before(x)
        h = self.linear(h)
        return h if self.after is None else nn.functional.leaky_relu(self.after(h), 0.2)

    def head(self) -> Head:
        """Fold everything affine into one layer."""
        weight = self.linear.weight.detach().double()
        bias = self.linear.bias.detach().double()
        if self.before is not None and self.after is not None:
            mean, variance = self.after.running_mean, self.after.running_var
            assert mean is not None
            assert variance is not None
            bias = bias + weight @ self.before.bias.detach().double()
            weight = weight * self.before.weight.detach().double()
            spread = (variance.double() + self.after.eps).sqrt()
            gain = self.after.weight.detach().double() / spread
            bias = (bias - mean.double()) * gain
            bias = bias + self.after.bias.detach().double()
            weight = weight * gain[:, None]
        paper = self.before is not None
        return Head(
            weights=(weight.float().numpy(),),
            biases=(bias.float().numpy(),),
            activation="leaky_relu" if paper else "identity",
            activate_last=paper,
            layer_norm=paper,
        )


def _doubling(dim: int) -> tuple[int, ...]:
    stops = [2**power for power in range(5, 20) if 2**power < dim]
    return (*stops, dim)
