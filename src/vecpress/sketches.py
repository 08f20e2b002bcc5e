"""What a stream of rows leaves behind for fitting: moments and histograms that add up.

Each is filled block by block in one pass, and two of them merge into what one would have become
that saw both streams: so parts of a corpus can be read apart, and no sample need be held.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError, DataError, ShapeError

_ROWS = 8192  # rows worked on at a time: bounds the temporaries, and how long float32 sums get


class Moments:
    """Count, mean and second moment of rows: all that PCA needs.

    Takes 8 d (d + 1) bytes, and 4 d^2 while it adds. Products of up to 8,192 rows are float32, and
    summed in float64: the same blocks in any order, merged in any way, agree to 1e-12 of the
    trace; the same rows cut into other blocks agree to float32's rounding, 1e-6.

    Attributes:
        count: Rows seen.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._sum, self._products = np.zeros(dim), np.zeros((dim, dim))

    @property
    def dim(self) -> int:
        """Width of the rows."""
        return len(self._sum)

    def add(self, rows: Float32[Array, "n d"]) -> None:
        """Take in some rows.

        Raises:
            ShapeError: they are not `dim` wide.
            DataError: a value is NaN or infinite; whole blocks of 8,192 rows before it are counted.
        """
        for start, block in _read(rows, self.dim):
            total = block.sum(axis=0, dtype=np.float64)
            if not np.isfinite(total).all():
                raise _not_finite(block, start, len(rows))
            self._products += block.T @ block
            self._sum += total
            self.count += len(block)

    def merge(self, other: "Moments") -> None:
        """Take in what another one has seen.

        Raises:
            ShapeError: its rows have another width.
        """
        if other.dim != self.dim:
            raise ShapeError(f"moments of {self.dim} dimensions cannot take in {other.dim}")
        self.count += other.count
        self._sum += other._sum
        self._products += other._products

    def mean(self) -> Float64[Array, " d"]:
        """Average the rows.

        Raises:
            ConfigError: none were seen.
        """
        return self._sum / self._seen()

    def second(self, *, centre: bool = False) -> Float64[Array, "d d"]:
        """Average the outer products of the rows; less the mean's own if `centre`: a covariance.

        Raises:
            ConfigError: no rows were seen.
        """
        moment = self._products / self._seen()
        return moment - np.outer(self.mean(), self.mean()) if centre else moment

    def _seen(self) -> int:
        if self.count == 0:
            raise ConfigError("moments need at least one row, got none")
        return self.count


class Histogram:
    """How often each dimension's values fell into each of many narrow cells of equal width.

    Takes 8 bytes per dimension and cell: 64 MiB for 512 dimensions and the 2^14 cells of the
    default. Whole counts of a fixed grid, so that any order and any way of merging gives exactly
    the same. Within a cell values count as spread evenly: a quantile is off by less than a `step`;
    a mean too, but that a border among equal values shares them out.

    Attributes:
        low: Where each dimension's first cell begins.
        step: Width of each dimension's cells.
        counts: Of each dimension and cell. Values beyond the ends are in the outermost ones.
        outside: How many values of each dimension these were.
    """

    def __init__(
        self,
        dim: int,
        *,
        cells: int = 2**14,
        low: Float64[Array, " d"] | float = -1.0,
        high: Float64[Array, " d"] | float = 1.0,
    ) -> None:
        self.low = np.broadcast_to(np.asarray(low, np.float64), (dim,)).copy()
        self.step = (np.broadcast_to(high, (dim,)) - self.low) / max(cells, 1)
        if cells < 1 or not (np.isfinite(self.step) & (self.step > 0)).all():
            raise ConfigError(
                f"a histogram needs at least 1 cell and low < high, got {cells} cells from "
                f"{self.low.min(initial=np.inf):g} to {np.max(high, initial=-np.inf):g}"
            )
        self.counts = np.zeros((dim, cells), np.int64)
        self.outside = np.zeros(dim, np.int64)

    @classmethod
    def around(
        cls, rows: Float32[Array, "n d"], *, cells: int = 2**14, margin: float = 1.0
    ) -> "Histogram":
        """Make an empty one with finer cells, for values like those of some first rows.

        Args:
            rows: At least one.
            cells: As above.
            margin: How far to reach beyond the least and the greatest value of each dimension, as
                a multiple of what lies between them.

        Raises:
            ConfigError: there are no rows.
            DataError: a value is NaN or infinite.
        """
        if not len(rows):
            raise ConfigError("a histogram around rows needs at least one row, got none")
        low, high = np.full((2, rows.shape[1]), [[np.inf], [-np.inf]])
        for start, block in _read(rows, rows.shape[1]):
            if not np.isfinite(block).all():
                raise _not_finite(block, start, len(rows))
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        reach = np.maximum(margin * (high - low), 1e-4)  # of a constant dimension too
        return cls(rows.shape[1], cells=cells, low=low - reach, high=high + reach)

    @property
    def dim(self) -> int:
        """Width of the rows."""
        return len(self.counts)

    @property
    def count(self) -> int:
        """Rows seen."""
        return int(self.counts[0].sum()) if self.dim else 0

    def empty(self) -> "Histogram":
        """Make another one of the same grid that has seen nothing, to be merged later."""
        cells = self.counts.shape[1]
        high = self.low + self.step * cells
        made = Histogram(self.dim, cells=cells, low=self.low, high=high)
        made.step = self.step  # what rounding makes of it would be another grid
        return made

    def add(self, rows: Float32[Array, "n d"]) -> None:
        """Take in some rows.

        Raises:
            ShapeError: they are not `dim` wide.
            DataError: a value is NaN or infinite; whole blocks of 8,192 rows before it are counted.
        """
        cells = self.counts.shape[1]
        for start, block in _read(rows, self.dim):
            if not np.isfinite(block).all():
                raise _not_finite(block, start, len(rows))
            for j, column in enumerate(np.ascontiguousarray(block.T)):
                place = np.floor((column - self.low[j]) / self.step[j])
                within = np.clip(place, 0, cells - 1)
                self.outside[j] += np.count_nonzero((place < 0) | (place > cells))
                self.counts[j] += np.bincount(within.astype(np.intp), minlength=cells)

    def merge(self, other: "Histogram") -> None:
        """Take in what another one has seen.

        Raises:
            ShapeError: it has another grid.
        """
        if (
            other.counts.shape != self.counts.shape
            or (other.low != self.low).any()
            or (other.step != self.step).any()
        ):
            raise ShapeError(
                f"histograms merge only on the same grid, got {self._grid()} and {other._grid()}: "
                "begin each part with `empty()` of the first one"
            )
        self.counts += other.counts
        self.outside += other.outside

    def quantiles(self, shares: Sequence[float] | Array) -> Float64[Array, "d shares"]:
        """Give each dimension's quantiles, interpolated between ranks as `np.quantile` does.

        One beyond the grid, of which `outside` tells, is given as the end of the grid.

        Raises:
            ConfigError: no rows were seen.
        """
        n = self._seen()
        rank = np.asarray(shares, np.float64) * (n - 1)
        first = np.floor(rank).astype(np.int64)
        lower, upper = (self._ranked(np.minimum(r, n - 1)) for r in (first, first + 1))
        return lower + (upper - lower) * (rank - first)

    def means(
        self, borders: Float64[Array, "d cuts"]
    ) -> tuple[Float64[Array, "d cells"], Float64[Array, "d cells"]]:
        """Average the values between borders, which ascend, and count them.

        Returns:
            Means, 0 where there is no value; and how many values there are, as spread evenly.
        """
        cells = self.counts.shape[1]
        ends = np.clip((borders - self.low[:, None]) / self.step[:, None], 0, cells)
        means, masses = np.zeros((2, self.dim, borders.shape[1] + 1))
        middles = np.arange(cells) + 0.5
        for j, counts in enumerate(self.counts):
            whole = np.minimum(ends[j].astype(np.int64), cells - 1)
            part = ends[j] - whole
            mass = _below(counts, whole, part)
            moment = _below(counts * middles, whole, part)
            # What lies below a border within its cell is left of that cell's middle.
            moment[1:-1] -= counts[whole] * part * (1 - part) / 2
            masses[j] = np.diff(mass)
            steps = np.diff(moment) / np.where(masses[j] > 0, masses[j], 1)
            means[j] = np.where(masses[j] > 0, self.low[j] + self.step[j] * steps, 0)
        return means, masses

    def _ranked(self, ranks: Int64[Array, " shares"]) -> Float64[Array, "d shares"]:
        """Give the values of these ranks, from 0; those of a cell stand evenly in it."""
        found = np.empty((self.dim, len(ranks)))
        for j, counts in enumerate(self.counts):
            upto = np.cumsum(counts)
            cell = np.searchsorted(upto, ranks, side="right")
            before = upto[cell] - counts[cell]
            found[j] = cell + (ranks - before + 0.5) / counts[cell]
        return self.low[:, None] + self.step[:, None] * found

    def _seen(self) -> int:
        if self.count == 0:
            raise ConfigError("a histogram needs at least one row, got none")
        return self.count

    def _grid(self) -> str:
        dim, cells = self.counts.shape
        ends = self.low.min(initial=np.inf), (self.low + self.step * cells).max(initial=-np.inf)
        return f"{dim} dimensions of {cells} cells from {ends[0]:g} to {ends[1]:g}"


def _below(
    weights: Array, whole: Int64[Array, " cuts"], part: Float64[Array, " cuts"]
) -> Float64[Array, " ends"]:
    """Sum what lies below nothing, below each border, and below the end."""
    total = np.concatenate([[0.0], np.cumsum(weights)])
    return np.concatenate([[0.0], total[whole] + weights[whole] * part, total[-1:]])


def _read(rows: Float32[Array, "n d"], dim: int) -> Iterator[tuple[int, Float32[Array, "b d"]]]:
    """Give rows in blocks, each with the number of its first one; refuse those of another width."""
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ShapeError(f"this sketch takes rows of {dim} dimensions, got shape {rows.shape}")
    for part in blocks(len(rows), _ROWS):
        yield part.start, np.asarray(rows[part], np.float32)


def _not_finite(block: Float32[Array, "b d"], start: int, n: int) -> DataError:
    row = start + int(np.isfinite(block).all(axis=1).argmin())
    return DataError(
        f"the rows of a sketch must be finite, got NaN or infinity in row {row} of {n}: "
        "remove or re-encode it"
    )
