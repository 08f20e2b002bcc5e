"""Array types, and the row-wise operations that every stage shares."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int8, UInt8

from vecpress.errors import ConfigError, DataError, ShapeError

Array = np.ndarray


def normalize(embeddings: Float32[Array, "n d"]) -> Float32[Array, "n d"]:
    """Scale each row to unit L2 norm; a zero row stays zero."""
    squares = np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float32)
    unit = embeddings / np.sqrt(np.where(squares == 0, np.float32(1), squares))[:, None]
    extreme = ~((squares > 1e-30) & (squares < 1e30))  # squares that leave float32, zero rows
    if extreme.any():
        rows = embeddings[extreme]
        peaks = np.abs(rows).max(axis=1, initial=0, keepdims=True)
        rows = rows / np.where(peaks == 0, np.float32(1), peaks)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        unit[extreme] = rows / np.where(norms == 0, np.float32(1), norms)
    return unit


def truncate(embeddings: Float32[Array, "n d"], dim: int) -> Float32[Array, "n {dim}"]:
    """Keep the first `dim` dimensions, renormalized (Kusupati et al. 2022, arXiv:2205.13147).

    Raises:
        ConfigError: `dim` is not between 1 and the width of the rows.
    """
    if not 1 <= dim <= embeddings.shape[1]:
        raise ConfigError(f"dim must be between 1 and {embeddings.shape[1]}, got {dim}")
    return normalize(np.ascontiguousarray(embeddings[:, :dim]))


def as_embeddings(
    vectors: Array, *, name: str = "these vectors", taken: Array | slice | None = None
) -> Float32[Array, "n d"]:
    """Bring vectors of any float type to the form every stage takes: float32, unit rows.

    Args:
        vectors: Shape (n, d), float or integer, any memory layout; not modified.
        name: What to call them in an error.
        taken: Which rows of a larger whole they are, so that an error can name the row there.

    Raises:
        ShapeError: they are not a matrix of numbers.
        DataError: a value is NaN or infinite.
    """
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise ShapeError(
            f"{name} must be a matrix of numbers, one row per document, got "
            f"{vectors.dtype} of shape {vectors.shape}"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is named
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        if taken is not None:
            first = taken.start + first if isinstance(taken, slice) else int(taken[first])
        raise DataError(
            f"{name} must be finite in float32, got NaN or infinity in {int((~finite).sum())} of "
            f"{len(rows)} rows, the first is row {first}: remove or re-encode them"
        )
    return normalize(rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rounded:
    """A matrix as small whole numbers, with a scale for each row.

    Attributes:
        numbers: From -(2**(bits - 1) - 1) to its opposite.
        scales: What a row's numbers are multiplied by.
        bits: How many a number needs, 2 to 8.
    """

    numbers: Int8[Array, "n d"]
    scales: Float32[Array, " n"]
    bits: int

    @property
    def rows(self) -> Float32[Array, "n d"]:
        """The matrix that this stands for."""
        return self.numbers * self.scales[:, None]


def round_rows(matrix: Float32[Array, "n d"], *, bits: int) -> Rounded:
    """Round each row to whole numbers times a scale of its own; its largest value stays."""
    most = 2 ** (bits - 1) - 1
    scales = np.abs(matrix).max(axis=1) / np.float32(most)
    scales[scales == 0] = 1
    numbers = np.round(matrix / scales[:, None]).astype(np.int8)
    return Rounded(numbers=numbers, scales=scales, bits=bits)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut `range(n)` into consecutive slices of at most `size`."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def pack(cells: UInt8[Array, "n d"], bits: int) -> UInt8[Array, "n code_bytes"]:
    """Store `bits` bits per cell, dimension 0 in the lowest bits, rows padded to whole bytes.

    This is the bit order of FAISS product codes, so packed rows can be scanned as they stand.
    """
    if bits == 8:
        return np.ascontiguousarray(cells)
    if 8 % bits == 0:
        per_byte = 8 // bits
        padded = np.zeros((len(cells), -(-cells.shape[1] // per_byte) * per_byte), np.uint8)
        padded[:, : cells.shape[1]] = cells
        packed = padded[:, ::per_byte].copy()
        for i in range(1, per_byte):
            packed |= padded[:, i::per_byte] << np.uint8(i * bits)
        return packed
    planes = (cells[:, :, None] >> np.arange(bits, dtype=np.uint8)) & np.uint8(1)
    flat = planes.reshape(len(cells), cells.shape[1] * bits)
    return np.packbits(flat, axis=1, bitorder="little")


def unpack(codes: UInt8[Array, "n code_bytes"], bits: int, dim: int) -> UInt8[Array, "n {dim}"]:
    """Invert `pack`."""
    if 8 % bits == 0:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        cells = (codes[:, :, None] >> shifts) & np.uint8(2**bits - 1)
        flat = cells.reshape(len(codes), codes.shape[1] * len(shifts))
        return np.ascontiguousarray(flat[:, :dim])
    planes = np.unpackbits(codes, axis=1, count=bits * dim, bitorder="little")
    weights = np.uint8(1) << np.arange(bits, dtype=np.uint8)
    return (planes.reshape(len(codes), dim, bits) * weights).sum(axis=2, dtype=np.uint8)
