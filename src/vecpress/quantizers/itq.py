"""A learned rotation before scalar cells: the one that brings embeddings nearest to their codes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, blocks
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.checks import check_block, check_range
from vecpress.quantizers.scalar import equal_mass, gaussian_cells


@dataclass(frozen=True, kw_only=True)
class ITQ:
    """Cells of equal mass after a rotation that is learned in turn with cells.

    Each round turns the embeddings as near as a rotation can to what their cells stand for
    (orthogonal Procrustes). Meanwhile cells are those of a Gaussian: with 1 bit that is iterative
    quantization, about the mean, with halves as far apart as the dimension is wide.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        rotate_block: Dimensions turned together, so that the code of a prefix of whole blocks is a
            prefix of the code; None turns all together.
        iterations: Rounds. It starts from the dimensions as they come, so few rounds stay near.

    Source: Gong and Lazebnik 2011 (iterative quantization); more than 1 bit is ours.
    """

    bits: int = 1
    rotate_block: int | None = None
    iterations: int = 20

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits", most=8)
        check_range(self.iterations, name="iterations")
        check_block(self.rotate_block)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Learn the rotation block by block, then cut at the quantiles.

        Raises:
            ConfigError: there are fewer calibration embeddings than cells.
        """
        x = np.ascontiguousarray(calibration, np.float32)
        dim = x.shape[1]
        rotation = np.eye(dim, dtype=np.float32)
        for rows in blocks(dim, self.rotate_block or dim):
            rotation[rows, rows] = learned_rotation(x[:, rows], self.bits, self.iterations)
        return equal_mass(x, self.bits, rotation)


def learned_rotation(x: Float32[Array, "n d"], bits: int, iterations: int) -> Float32[Array, "d d"]:
    """Alternate between cells and the rotation that brings the rows nearest to their levels."""
    borders, levels = (values.astype(np.float32) for values in gaussian_cells(bits))
    rotation: Float64[Array, "d d"] = np.eye(x.shape[1])
    for _ in range(iterations):
        turned = x @ rotation.astype(np.float32)
        mean = turned.mean(axis=0)
        wide = np.maximum(turned.std(axis=0), np.finfo(np.float32).tiny)
        cells = np.searchsorted(borders, ((turned - mean) / wide).ravel(), side="right")
        wanted = levels[cells].reshape(turned.shape) * wide + mean
        left, _, right = np.linalg.svd(x.T.astype(np.float64) @ wanted)
        rotation = left @ right
    return rotation.astype(np.float32)
