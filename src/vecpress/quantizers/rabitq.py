"""RaBitQ: grid codes of a rotated, centred embedding, and factors that make its estimate unbiased.

FAISS makes the codes; reading them needs numpy only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from vecpress import registry
from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import MismatchError
from vecpress.quantizers.checks import check_codes, check_embeddings, check_range, need_some
from vecpress.quantizers.scalar import random_rotation

_ROWS = 4096  # rows worked on at a time: bounds the temporaries
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, kw_only=True, eq=False)
class RaBitQCodec:
    """What RaBitQ keeps once: a rotation, and the centre that codes are about.

    A code decodes to the centre plus its own direction times its own factor; the inner product
    with that is RaBitQ's estimate, but for a term of its IP form that no vector stands for: the
    exact product with the centre in place of the estimated one.

    Attributes:
        bits: Bits per dimension, 1 to 9; per-vector factors come on top.
        centre: Mean of the calibration, rotated.
        rotation: Orthogonal matrix applied (from the right) first.
    """

    bits: int
    centre: Float32[Array, " d"]
    rotation: Float32[Array, "d d"]

    @property
    def dim(self) -> int:
        """Width of the embeddings it takes."""
        return len(self.centre)

    @property
    def code_bytes(self) -> int:
        """Bytes stored per vector: signs, the other bits, and the factors of both."""
        return sum(self._parts())

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code, as FAISS lays it out.

        Raises:
            ShapeError: the rows are not `dim` wide.
            MissingExtraError: FAISS is not installed.
            MismatchError: the FAISS that is installed makes codes of another length.
        """
        check_embeddings(embeddings, dim=self.dim)
        faiss = registry.require("faiss", extra="search")
        quantizer = faiss.RaBitQuantizer(self.dim, faiss.METRIC_INNER_PRODUCT, self.bits)
        if quantizer.code_size != self.code_bytes:  # it would write past the end of ours
            raise MismatchError(
                f"FAISS {faiss.__version__} makes RaBitQ codes of {quantizer.code_size} bytes, "
                f"this codec reads {self.code_bytes}: install FAISS 1.15"
            )
        codes = np.empty((len(embeddings), self.code_bytes), np.uint8)
        for rows in blocks(len(embeddings), _ROWS):
            turned = np.ascontiguousarray(self.project(embeddings[rows]), np.float32)
            part = codes[rows]
            quantizer.compute_codes_core(
                faiss.swig_ptr(turned),
                faiss.swig_ptr(part),
                len(turned),
                faiss.swig_ptr(np.ascontiguousarray(self.centre)),
            )
        return codes

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        return normalize(self.decode(codes) @ self.rotation.T)

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q d"]:
        """Rotate."""
        return queries @ self.rotation

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give centre + factor * grid point, neither rotated back nor renormalized.

        Raises:
            ShapeError: the codes are not `code_bytes` wide.
        """
        check_codes(codes, code_bytes=self.code_bytes)
        decoded = np.empty((len(codes), self.dim), np.float32)
        for rows in blocks(len(codes), _ROWS):
            decoded[rows] = self.centre + self._grid(np.ascontiguousarray(codes[rows]))
        return decoded

    def _grid(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Read the grid points, each times its factor: the last four bytes of its code."""
        dim, extra = self.dim, self.bits - 1
        factor = np.abs(codes[:, -4:].copy().view(_FLOAT))  # FAISS before 1.14 stores it negative
        points = np.unpackbits(codes, axis=1, count=dim, bitorder="little").astype(np.float32)
        if not extra:
            return (2 * points - 1) * (factor / np.float32(np.sqrt(dim)))
        points *= 2**extra
        rest = codes[:, sum(self._parts()[:2]) :]
        planes = np.unpackbits(rest, axis=1, count=dim * extra, bitorder="little")
        for i in range(extra):
            points += planes[:, i::extra] * np.float32(2**i)
        return (points - np.float32(2**extra - 0.5)) * factor

    def tables(self) -> None:
        """There are none: every vector has a factor of its own."""
        return

    def _parts(self) -> tuple[int, int, int, int]:
        """Bytes of the signs, their factors, the other bits, and their factors."""
        if self.bits == 1:
            return -(-self.dim // 8), 8, 0, 0
        return -(-self.dim // 8), 12, -(-self.dim * (self.bits - 1) // 8), 8


@dataclass(frozen=True, kw_only=True)
class RaBitQ:
    """Grid codes after a random rotation, about the mean, with factors stored per vector.

    Attributes:
        bits: Bits per dimension, 1 to 9. Factors take 8 bytes more at 1 bit, else 20.

    Source: arXiv:2405.12497 (1 bit), arXiv:2409.09913 (more), as FAISS has them.
    """

    bits: int = 1

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits", most=9)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> RaBitQCodec:
        """Draw the rotation, and take the mean.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        rotation = random_rotation(calibration.shape[1], seed)
        mean = calibration.mean(axis=0, dtype=np.float64).astype(np.float32)
        return RaBitQCodec(bits=self.bits, centre=mean @ rotation, rotation=rotation)
