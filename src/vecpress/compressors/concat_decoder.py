"""Compressed Concatenation of Small Embedding Models (Ayad et al., CIKM 2025, arXiv:2510.04626).

A decoder of the concatenation, of one layer unless asked for more, trained so that every nested
prefix of its output keeps the pairwise cosines of its input. The paper's own settings are only
partly known; the defaults follow the authors' last public code.
"""

import math
from dataclasses import dataclass
from typing import Literal

from vecpress.arrays import Array
from vecpress.compressors.decoder_module import Decoder
from vecpress.compressors.linear import Spectrum
from vecpress.compressors.row_training import train
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.losses import similarity_matching
from vecpress.stages import Log, Progress, TrainingSet, silent, unlogged
from vecpress.training import Schedule, Told


@dataclass(frozen=True, kw_only=True)
class ConcatDecoder:
    """LayerNorm - [Linear - BatchNorm - LeakyReLU(0.2)] x depth, or the linear layers alone.

    Attributes:
        dim: Width of the output.
        train_dim: Width trained, of which the first `dim` are kept; None takes `dim`. The paper
            trains wide, and truncates.
        nested_dims: Prefixes the loss sees; None takes 32, 64, 128, ... up to and with the width
            trained.
        form: "paper" as above, or "linear": no normalization, no activation.
        init: "random" (Kaiming, the paper's) or "pca" (the leading uncentred eigenvectors in the
            first layer, the identity in those after it).
        depth: Layers, 1 (the paper's) to 4.
        hidden: Width between layers; None takes the input's, or the width trained if that is
            greater: no layer between is a bottleneck.
        dropout: Share of the coordinates set to 0 before every layer, the first included.
        residual: Add a linear map of the input, trained too. It starts as the leading uncentred
            eigenvectors, and the layers' output at 0: so training starts from PCA.
        orthogonality: Weight in the loss of how far each layer is from orthogonal: the mean of
            (W W' - I)^2. No part of the held-out loss.
        epochs: Passes over the data, at most.
        batch_size: Rows per step.
        learning_rate: AdamW's.
        weight_decay: AdamW's.
        patience: Epochs without a better held-out loss after which to stop.
        keep: "best" for the state of the best held-out loss, or "last" for that after all epochs.
    """

    dim: int
    train_dim: int | None = None
    nested_dims: tuple[int, ...] | None = None
    form: Literal["paper", "linear"] = "paper"
    init: Literal["random", "pca"] = "random"
    depth: int = 1
    hidden: int | None = None
    dropout: float = 0.0
    residual: bool = False
    orthogonality: float = 0.0
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 5
    keep: Literal["best", "last"] = "best"

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
        self._check_layers()
        self._schedule()

    def _check_layers(self) -> None:
        if not 1 <= self.depth <= 4:
            raise ConfigError(f"depth must be between 1 and 4 layers, got {self.depth}")
        if self.hidden is not None and self.depth == 1:
            raise ConfigError(
                f"hidden is the width between layers, and depth=1 has none, got {self.hidden}: "
                "leave it out, or take depth=2"
            )
        if self.hidden is not None and self.hidden < 1:
            raise ConfigError(f"hidden must be at least 1, got {self.hidden}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if not 0 <= self.orthogonality < math.inf:
            raise ConfigError(
                f"orthogonality must be a finite number of at least 0, got {self.orthogonality}"
            )
        if self.residual and self.init == "pca":
            raise ConfigError(
                "residual=True starts from PCA by itself, with random layers beside it, got "
                "init='pca' too: leave init out"
            )

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
        """Train on the documents; BatchNorm and LayerNorm's affine parts fold into the layers.

        Raises:
            ConfigError: there are fewer than 4 documents; or the start is PCA and the width trained
                too wide for it; or `keep="last"`, and training ends in no finite number.
        """
        documents = training.documents
        module = self._start(documents, seed)
        stops = self.nested_dims or _doubling(self._width)
        train(
            module,
            documents,
            loss=lambda outputs, batch: similarity_matching(outputs, batch, stops),
            penalty=lambda: self.orthogonality and self.orthogonality * module.skew(),
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
            keep=self.keep,
        )

    def _start(self, documents: Array, seed: int) -> Decoder:
        in_dim, width = documents.shape[1], self._width
        hidden = max(in_dim, width) if self.hidden is None else self.hidden
        module = Decoder(
            (in_dim, *[hidden] * (self.depth - 1), width),
            paper=self.form == "paper",
            residual=self.residual,
            dropout=self.dropout,
            seed=seed,
        )
        if self.residual or self.init == "pca":
            if width > in_dim:
                asked = "residual=True" if self.residual else "init='pca'"
                name = "dim" if self.train_dim is None else "train_dim"
                raise ConfigError(f"{asked} needs {name} of at most {in_dim}, got {width}")
            start = Spectrum.of(TrainingSet(documents=documents)).head(in_dim, gamma=0.0)
            (module.start_skip if self.residual else module.start_layers)(start.weights[0])
        return module


def _doubling(dim: int) -> tuple[int, ...]:
    stops = [2**power for power in range(5, 20) if 2**power < dim]
    return (*stops, dim)
