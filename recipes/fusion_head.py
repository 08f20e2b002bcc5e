"""What `fusion:Attention` fits: weights of the models that depend on the text."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ConfigError, ShapeError


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionHead:
    """Give each text weights of its own: a softmax over the models of a linear map of the text.

    With a(x) = softmax(logits x + bias), block i of x is scaled by sqrt(a_i(x)), and the whole is
    normalized. That is no affine map, so it is no `Head`, and no runtime that knows only those
    (ONNX, the browser) can serve it.

    Attributes:
        logits: One row per model.
        bias: One value per model.
        widths: Of the blocks.
    """

    logits: Float32[Array, "k d"]
    bias: Float32[Array, " k"]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        wanted = (len(self.widths), sum(self.widths))
        if self.logits.shape != wanted or self.bias.shape != wanted[:1]:
            raise ShapeError(
                f"attention over blocks of {self.widths} dimensions needs logits of shape {wanted} "
                f"and a bias of {wanted[0]}, got {self.logits.shape} and {self.bias.shape}"
            )

    @property
    def in_dim(self) -> int:
        """Width of the embeddings it takes."""
        return sum(self.widths)

    @property
    def dim(self) -> int:
        """Width of the embeddings it gives: the same."""
        return self.in_dim

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths that have a map of their own."""
        return (self.dim,)

    def shares(self, embeddings: Float32[Array, "n d"]) -> Float32[Array, "n k"]:
        """Give each row's weight for each model; they sum to 1."""
        logits = embeddings @ self.logits.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def compress(self, embeddings: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
        """Weigh the blocks of each row, and normalize it; a zero row stays zero.

        Raises:
            ShapeError: the rows are not `in_dim` wide.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.in_dim:
            got = embeddings.shape[-1] if embeddings.ndim == 2 else f"shape {embeddings.shape}"
            raise ShapeError(
                f"this head takes {self.in_dim}-dimensional embeddings, got {got}: was it fitted "
                "on the same encoders, in the same order?"
            )
        out = np.empty((len(embeddings), self.dim), np.float32)
        for rows in blocks(len(embeddings), 16384):
            part = np.asarray(embeddings[rows])
            out[rows] = normalize(part * np.repeat(np.sqrt(self.shares(part)), self.widths, axis=1))
        return out

    def truncate(self, dim: int) -> "AttentionHead":
        """Give this head for its own width; there is no other.

        Raises:
            ConfigError: another width is asked for.
        """
        if dim != self.dim:
            raise ConfigError(
                f"attention weighs whole blocks, so it keeps all {self.dim} dimensions, got "
                f"dim={dim}: to shorten embeddings fit another head, such as power-pca"
            )
        return self
