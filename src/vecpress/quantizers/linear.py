"""Cells of equal width: what a code is without looking at how the values are distributed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.errors import ConfigError
from vecpress.quantizers.cells import ScalarCodec, cell_means, sorted_columns
from vecpress.quantizers.checks import check_range, need_some


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Cells of equal width between two percentiles of each dimension, levels their means.

    Values outside go to the outermost cells. The "equal distance" codes of CoRECT
    (arXiv:2510.19340) cut the same way, and compare cell numbers instead of levels.

    Attributes:
        bits: Bits per dimension, 1 to 8.
        clip: Percent of the values beyond the outermost borders, on either side.
    """

    bits: int = 4
    clip: float = 2.5

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits", most=8)
        if not 0 <= self.clip < 50:
            raise ConfigError(f"clip must be at least 0 and below 50 percent, got {self.clip}")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ScalarCodec:
        """Measure the percentiles of each dimension, and cut evenly between them.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        columns = sorted_columns(calibration, None)
        ends = np.percentile(columns, [self.clip, 100 - self.clip], axis=1).astype(np.float64)
        low, width = ends[0][:, None], (ends[1] - ends[0])[:, None]
        borders = low + width * np.arange(1, 2**self.bits) / 2**self.bits
        cut = borders.astype(np.float32)
        return ScalarCodec(borders=cut, levels=cell_means(columns, cut), bits=self.bits)
