"""A scalar quantizer that gives each dimension bits of its own: most where it varies most."""

import heapq
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from vecpress.arrays import Array
from vecpress.errors import ConfigError
from vecpress.quantizers.checks import check_range
from vecpress.quantizers.product import ProductCodec
from vecpress.quantizers.scalar import LloydMax

_ROOM = 8  # bits of a byte
_LEFT = np.array([1, 0.3634, 0.1175, 0.03454, 0.009497, 0.002499, 6.442e-4, 1.645e-4, 4.386e-5])
"""Squared error that 0 to 8 bits leave of a Gaussian's variance, at best (Max 1960)."""


@dataclass(frozen=True, kw_only=True)
class VariableBits:
    """Least-error cells, 0 to 8 bits for each dimension; none decodes to the dimension's mean.

    Every bit goes where it takes away most squared error: reverse water-filling, with whole bits
    and the error that cells really leave. A byte of the code then joins dimensions whose bits add
    up to 8, which costs nothing as long as some dimensions have 1 bit to fill up with.

    Attributes:
        code_bytes: Bytes of a code, at most one per dimension.

    Source: Cover and Thomas, Elements of Information Theory, 10.3.3 (reverse water-filling); Max
    1960 and Lloyd 1982 (cells).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 12)).astype(np.float32)
        >>> VariableBits(code_bytes=3).fit(x).code_bytes
        3
    """

    code_bytes: int

    def __post_init__(self) -> None:
        check_range(self.code_bytes, name="code_bytes")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ProductCodec:
        """Measure the variances, deal the bits, and cut each dimension into its cells.

        Raises:
            ConfigError: there are fewer calibration embeddings than cells of 8 bits, or fewer
                dimensions than bytes.
        """
        n, dim = calibration.shape
        if n < 2**_ROOM:
            raise ConfigError(
                f"cells of up to {_ROOM} bits need at least {2**_ROOM} calibration embeddings, got "
                f"{n}: give more documents, or a quantizer with a fixed number of bits"
            )
        if self.code_bytes > dim:
            raise ConfigError(
                f"code_bytes must be at most the {dim} dimensions of the embeddings, 8 bits for "
                f"each, got {self.code_bytes}"
            )
        x = np.ascontiguousarray(calibration, np.float32)
        bits, byte = packed(x.var(axis=0, dtype=np.float64), self.code_bytes)
        places = _places(byte, self.code_bytes)
        levels = _levels(x, bits)
        tables = np.zeros((self.code_bytes, 2**_ROOM, places.shape[1]), np.float32)
        numbers = np.arange(2**_ROOM)
        for group, dims in enumerate(places):
            shift = 0
            for place, j in enumerate(dims[dims >= 0]):
                tables[group, :, place] = levels[j][(numbers >> shift) % 2 ** bits[j]]
                shift += bits[j]
        return ProductCodec(centroids=tables, dim=dim, order=places.ravel())


def packed(variances: Array, code_bytes: int) -> tuple[Int64[Array, " d"], Int64[Array, " d"]]:
    """Give each dimension its bits, and the byte they stand in, or -1 if it has none.

    Bits are dealt greedily and packed first-fit, widest first. What fits nowhere is cut to the
    room there is, and bits that are still free are dealt again to whom they can reach.
    """
    bits = _dealt(variances, 8 * code_bytes)
    byte, room = np.full(len(bits), -1), np.full(code_bytes, _ROOM)
    for j in np.argsort(-bits, kind="stable"):
        fits = np.flatnonzero(room >= bits[j])
        home = int(fits[0]) if len(fits) else int(room.argmax())
        bits[j] = min(bits[j], room[home])
        if bits[j]:
            byte[j] = home
            room[home] -= bits[j]
    while room.any():
        reached = np.where(byte < 0, room.max(), room[byte]) > 0
        gains = np.where(reached, variances * (_LEFT[bits] - _LEFT[np.minimum(bits + 1, _ROOM)]), 0)
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        byte[best] = room.argmax() if byte[best] < 0 else byte[best]
        bits[best] += 1
        room[byte[best]] -= 1
    return bits, byte


def _dealt(variances: Array, total: int) -> Int64[Array, " d"]:
    """Give away bits one by one, each to the dimension whose error it takes most from."""
    gains = variances[:, None] * -np.diff(_LEFT)  # of each dimension's first bit, second, ...
    best = np.argsort(-gains, axis=None, kind="stable")[:total]
    best = best[gains.ravel()[best] > 0]
    return np.bincount(best // _ROOM, minlength=len(variances))


def _places(byte: Int64[Array, " d"], code_bytes: int) -> Int32[Array, "groups width"]:
    """List the dimensions of each byte; those without bits fill up the bytes that have fewest."""
    groups = [np.flatnonzero(byte == group).tolist() for group in range(code_bytes)]
    queue = [(len(dims), group) for group, dims in enumerate(groups)]
    heapq.heapify(queue)
    for j in np.flatnonzero(byte < 0):
        held, group = heapq.heappop(queue)
        groups[group].append(int(j))
        heapq.heappush(queue, (held + 1, group))
    width = max(len(dims) for dims in groups)
    return np.array([dims + [-1] * (width - len(dims)) for dims in groups], np.int32)


def _levels(x: Float32[Array, "n d"], bits: Int64[Array, " d"]) -> list[Float32[Array, " cells"]]:
    """Fit each dimension's levels; one level, the mean, where it has no bits.

    Levels too close for the nearest to be told apart are made equal, and the first one counts.
    """
    levels = list(x.mean(axis=0, dtype=np.float64).astype(np.float32)[:, None])
    finest = 1e-6 * float(np.abs(x).max(initial=0))
    for number in sorted(set(bits.tolist()) - {0}):
        dims = np.flatnonzero(bits == number)
        fitted = LloydMax(bits=number).fit(np.ascontiguousarray(x[:, dims])).levels
        for j, row in zip(dims, fitted, strict=True):
            for cell in range(1, len(row)):
                if row[cell] - row[cell - 1] <= finest:
                    row[cell] = row[cell - 1]
            levels[j] = row
    return levels
