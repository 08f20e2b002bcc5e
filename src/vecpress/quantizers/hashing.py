"""Hashes: signs of linear functions of an embedding, as many as one likes.

They differ in where the functions come from and in what a sign stands for; what they fit is always
a `HashCodec`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from vecpress.arrays import Array, blocks, normalize, pack, unpack
from vecpress.errors import ConfigError
from vecpress.quantizers.checks import check_codes, check_embeddings, check_range, need_some
from vecpress.quantizers.itq import learned_rotation

_ROWS = 4096  # rows worked on at a time: bounds the temporaries
_RIDGE = 1e-3  # of the mean variance of a bit: steadies bits that go together


@dataclass(frozen=True, kw_only=True, eq=False)
class HashCodec:
    """One bit per plane: on which side of it the embedding lies.

    Bits may be more than dimensions, and planes need not be orthogonal. So codes are decoded to
    embeddings, a linear function of the bits, and are not scanned by table; and what a code stands
    for need not have that code itself.

    Attributes:
        planes: One normal per column.
        cuts: Where each plane lies: a bit is 1 from there on.
        base: What the code of all 0 stands for.
        steps: What each bit that is 1 adds to it.
    """

    planes: Float32[Array, "d bits"]
    cuts: Float32[Array, " bits"]
    base: Float32[Array, " d"]
    steps: Float32[Array, "bits d"]

    @property
    def dim(self) -> int:
        """Width of the embeddings it takes."""
        return len(self.base)

    @property
    def code_bytes(self) -> int:
        """Bytes stored per vector: the packed bits, nothing else."""
        return -(-len(self.cuts) // 8)

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code: the packed signs.

        Raises:
            ShapeError: the rows are not `dim` wide.
        """
        check_embeddings(embeddings, dim=self.dim)
        codes = np.empty((len(embeddings), self.code_bytes), np.uint8)
        for rows in blocks(len(embeddings), _ROWS):
            bits = embeddings[rows] @ self.planes >= self.cuts
            codes[rows] = pack(bits.astype(np.uint8), 1)
        return codes

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        return normalize(self.decode(codes))

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q d"]:
        """Leave queries as they are."""
        return queries

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Add up what the bits stand for, not renormalized.

        Raises:
            ShapeError: the codes are not `code_bytes` wide.
        """
        check_codes(codes, code_bytes=self.code_bytes)
        decoded = np.empty((len(codes), self.dim), np.float32)
        for rows in blocks(len(codes), _ROWS):
            bits = unpack(codes[rows], 1, len(self.cuts))
            decoded[rows] = bits.astype(np.float32) @ self.steps + self.base
        return decoded

    def tables(self) -> None:
        """There are none: every bit moves every dimension."""
        return


@dataclass(frozen=True, kw_only=True)
class LSH:
    """Random hyperplanes through zero; a code stands for the sum of the normals it is in front of.

    Nothing is learned. The share of bits in which two codes differ is their angle over pi.

    Attributes:
        bits: Planes, as many as one likes; 8 take a byte.

    Source: Charikar 2002; the LSH1024 of arXiv:2510.04626 has `bits=1024`. Decoding is ours.
    """

    bits: int

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> HashCodec:
        """Draw the planes; the calibration only tells the width.

        Raises:
            ConfigError: there are no calibration embeddings.
        """
        need_some(calibration)
        normals = np.random.default_rng(seed).normal(size=(self.bits, calibration.shape[1]))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return HashCodec(
            planes=np.ascontiguousarray(normals.T, np.float32),
            cuts=np.zeros(self.bits, np.float32),
            base=-normals.sum(axis=0).astype(np.float32),
            steps=(2 * normals).astype(np.float32),
        )


@dataclass(frozen=True, kw_only=True)
class LearnedHash:
    """Principal directions, rotated towards their own signs, each bit cut at its median.

    So every bit is 1 for half of the calibration (bit balance). What a code stands for is the
    least-squares estimate of the embedding from its bits, all dimensions of it.

    Attributes:
        bits: Planes, at most one per dimension.
        iterations: Rounds of rotation, as in `ITQ`.

    Source: Gong and Lazebnik 2011 (iterative quantization), with balanced bits and a linear
    decoder as in the binary autoencoder of Carreira-Perpiñán and Raziperchikolaran 2015
    (arXiv:1501.00756).
    """

    bits: int
    iterations: int = 20

    def __post_init__(self) -> None:
        check_range(self.bits, name="bits")
        check_range(self.iterations, name="iterations")

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> HashCodec:
        """Learn directions, rotation, cuts, and what the bits stand for.

        Raises:
            ConfigError: there are fewer than 2 calibration embeddings, or fewer dimensions than
                bits.
        """
        n, dim = calibration.shape
        if n < 2:
            raise ConfigError(f"bits in balance need at least 2 calibration embeddings, got {n}")
        if self.bits > dim:
            raise ConfigError(
                f"bits must be at most the {dim} dimensions of the embeddings, got {self.bits}"
            )
        x = np.ascontiguousarray(calibration, np.float32)
        mean = x.mean(axis=0, dtype=np.float64)
        centred = (x - mean).astype(np.float32)
        _, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
        leading = vectors[:, ::-1][:, : self.bits].astype(np.float32)
        planes = leading @ learned_rotation(centred @ leading, 1, self.iterations)
        cuts = np.median(x @ planes, axis=0)
        base, steps = _least_squares((x @ planes >= cuts).astype(np.float64), centred)
        return HashCodec(
            planes=np.ascontiguousarray(planes),
            cuts=cuts,
            base=(mean + base).astype(np.float32),
            steps=steps.astype(np.float32),
        )


def _least_squares(
    bits: Float64[Array, "n bits"], centred: Float32[Array, "n d"]
) -> tuple[Float64[Array, " d"], Float64[Array, "bits d"]]:
    """Estimate rows of mean zero from bits: base and steps, with a little ridge."""
    share = bits.mean(axis=0)
    apart = bits - share
    moments = apart.T @ apart
    ridge = _RIDGE * np.trace(moments) / len(moments) + np.finfo(np.float64).tiny
    steps = np.linalg.solve(moments + ridge * np.eye(len(moments)), apart.T @ centred)
    return -share @ steps, steps
