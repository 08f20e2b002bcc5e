"""Vector quantizers: dimensions are coded in groups, each group by the nearest of a few centroids.

They differ in how they group and rotate, and where the centroids come from; what they fit is always
a `ProductCodec`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from vecpress import registry
from vecpress.arrays import Array, blocks, normalize, pack, unpack
from vecpress.errors import ConfigError
from vecpress.quantizers.checks import check_codes, check_embeddings, check_range

_ROWS = 1024  # rows worked on at a time: bounds the temporaries
_FIRST_ROUNDS = 25  # of k-means before the first rotation of OPQ
_ROUNDS = 4  # of k-means per round of OPQ


@dataclass(frozen=True, kw_only=True, eq=False)
class ProductCodec:
    """Centroids per group of dimensions; a code is the number of the nearest one in each group.

    Codes are decoded to centroids and renormalized, and meet a float query.

    Attributes:
        centroids: What a number stands for: `m` groups, `k = 2**bits` centroids, `w` coordinates.
        dim: Width of the embeddings.
        order: Which (rotated) dimension stands at each of the m x w places; -1 where none does.
        rotation: Orthogonal matrix applied (from the right) first, or None.
    """

    centroids: Float32[Array, "m k w"]
    dim: int
    order: Int32[Array, " places"]
    rotation: Float32[Array, "d d"] | None = None

    @property
    def bits(self) -> int:
        """Bits per group."""
        return int(self.centroids.shape[1]).bit_length() - 1

    @property
    def code_bytes(self) -> int:
        """Bytes stored per vector: the packed numbers, nothing else."""
        return -(-len(self.centroids) * self.bits // 8)

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code: in every group the nearest centroid, of equals the first.

        Raises:
            ShapeError: the rows are not `dim` wide.
        """
        check_embeddings(embeddings, dim=self.dim)
        groups, _, width = self.centroids.shape
        codes = np.empty((len(embeddings), self.code_bytes), np.uint8)
        # |x - c|^2 / 2 without |x|^2, which all centroids share; in float64, so that a centroid
        # is nearest to itself.
        centroids = self.centroids.astype(np.float64)
        halves = (centroids**2).sum(axis=2) / 2
        for rows in blocks(len(embeddings), _ROWS):
            placed = self.project(embeddings[rows]).reshape(-1, groups, width)
            points = np.ascontiguousarray(placed.transpose(1, 0, 2), np.float64)
            numbers = np.empty((len(placed), groups), np.uint8)
            far = np.empty((len(placed), centroids.shape[1]))
            for group in range(groups):
                np.matmul(points[group], centroids[group].T, out=far)
                np.subtract(halves[group], far, out=far)
                numbers[:, group] = far.argmin(axis=1)
            codes[rows] = pack(numbers, self.bits)
        return codes

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        back = self.turned(codes)
        return normalize(back if self.rotation is None else back @ self.rotation.T)

    def turned(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Decode and put the dimensions back in order, but do not turn the rotation back."""
        decoded, there = self.decode(codes), self.order >= 0
        back = np.empty((len(codes), self.dim), np.float32)
        back[:, self.order[there]] = decoded[:, there]
        return back

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q places"]:
        """Rotate, and put every dimension in its group's place."""
        turned = queries if self.rotation is None else queries @ self.rotation
        placed = turned[:, np.maximum(self.order, 0)]
        placed[:, self.order < 0] = 0
        return placed

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n places"]:
        """Give each group's centroid, neither put back in order nor renormalized.

        Raises:
            ShapeError: the codes are not `code_bytes` wide.
        """
        check_codes(codes, code_bytes=self.code_bytes)
        groups, cells, width = self.centroids.shape
        numbers = unpack(codes, self.bits, groups)
        offsets = np.arange(groups, dtype=np.int32) * cells
        flat = self.centroids.reshape(-1, width).take(numbers + offsets, axis=0)
        return flat.reshape(len(codes), groups * width)

    def tables(self) -> Float32[Array, "m k w"]:
        """Give the centroids."""
        return self.centroids


@dataclass(frozen=True, kw_only=True)
class PQ:
    """Product quantization: k-means in each of `m` groups of dimensions.

    Dimensions are dealt so that every group holds about the same share of the variance
    (eigenvalue allocation); after a PCA this is OPQ's parametric solution.

    Attributes:
        m: Groups; with 8 bits, also the bytes of a code.
        bits: Bits per group, 1 to 8.
        iterations: Rounds of k-means.

    Source: Jégou et al. 2011 (product quantization); Ge et al. 2013 (eigenvalue allocation).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1000, 12)).astype(np.float32)
        >>> PQ(m=3).fit(x).code_bytes
        3
    """

    m: int
    bits: int = 8
    iterations: int = 25

    def __post_init__(self) -> None:
        _check(self.m, self.bits, self.iterations)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ProductCodec:
        """Deal the dimensions, and find the centroids of every group.

        Raises:
            ConfigError: there are fewer calibration embeddings than centroids, or fewer dimensions
                than groups.
            MissingExtraError: FAISS is not installed.
        """
        x = _checked(calibration, self.m, self.bits)
        order = deal((x.astype(np.float64) ** 2).mean(axis=0), self.m)
        return _fitted(x, order, None, self, seed, rounds=self.iterations)


@dataclass(frozen=True, kw_only=True)
class OPQ:
    """Product quantization after a rotation that is learned together with it.

    Attributes:
        m: Groups; with 8 bits, also the bytes of a code.
        bits: Bits per group, 1 to 8.
        iterations: Rounds of rotation and quantizer in turn.

    Source: Ge et al. 2013: starts from the parametric solution (eigenvectors, dealt as in `PQ`);
    each round the rotation is the Procrustes solution towards what the codes stand for.
    """

    m: int
    bits: int = 8
    iterations: int = 20

    def __post_init__(self) -> None:
        _check(self.m, self.bits, self.iterations)

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> ProductCodec:
        """Learn rotation and centroids.

        Raises:
            ConfigError: as `PQ.fit`.
            MissingExtraError: FAISS is not installed.
        """
        x = _checked(calibration, self.m, self.bits)
        values, vectors = np.linalg.eigh(x.T.astype(np.float64) @ x)
        order, rotation = deal(values, self.m), vectors.astype(np.float32)
        codec = _fitted(x, order, rotation, self, seed, rounds=_FIRST_ROUNDS)
        for _ in range(self.iterations):
            wanted = codec.turned(codec.quantize(x))
            left, _, right = np.linalg.svd(x.T.astype(np.float64) @ wanted)
            rotation = np.ascontiguousarray(left @ right, np.float32)
            codec = _fitted(x, order, rotation, self, seed, rounds=_ROUNDS, start=codec)
        return codec


def deal(variances: Array, groups: int) -> Int32[Array, " places"]:
    """Deal dimensions to groups of equal size, so that products of variances are about equal.

    The greatest variance left goes to the group with the smallest product among those not full
    (eigenvalue allocation, Ge et al. 2013). Places left over are -1.
    """
    width = -(-len(variances) // groups)
    floor = max(float(variances.max()), 1e-30) * 1e-9
    logs = np.log(np.maximum(variances, floor) / floor)  # at least 0
    order = np.full((groups, width), -1, np.int32)
    filled, product = np.zeros(groups, int), np.zeros(groups)
    for dimension in np.argsort(-variances, kind="stable"):
        group = int(np.where(filled < width, product, np.inf).argmin())
        order[group, filled[group]] = dimension
        filled[group] += 1
        product[group] += logs[dimension]
    return order.ravel()


def _check(m: int, bits: int, iterations: int) -> None:
    check_range(m, name="m")
    check_range(iterations, name="iterations")
    check_range(bits, name="bits", most=8)


def _checked(calibration: Array, m: int, bits: int) -> Float32[Array, "n d"]:
    n, width = calibration.shape
    if n < 2**bits:
        raise ConfigError(
            f"{bits}-bit groups need at least {2**bits} calibration embeddings, got {n}: give more "
            "documents, or ask for fewer bits"
        )
    if m > width:
        raise ConfigError(f"m must be at most the {width} dimensions of the embeddings, got {m}")
    return np.ascontiguousarray(calibration, np.float32)


def _fitted(
    x: Float32[Array, "n d"],
    order: Int32[Array, " places"],
    rotation: Array | None,
    asked: PQ | OPQ,
    seed: int,
    *,
    rounds: int,
    start: ProductCodec | None = None,
) -> ProductCodec:
    """Run k-means in every group, from the centroids of a `start` if there is one."""
    faiss = registry.require("faiss", extra="search")
    m, width = asked.m, len(order) // asked.m
    empty = np.zeros((m, 2**asked.bits, width), np.float32)
    codec = ProductCodec(centroids=empty, dim=x.shape[1], order=order, rotation=rotation)
    placed = np.ascontiguousarray(codec.project(x))
    quantizer = faiss.ProductQuantizer(placed.shape[1], m, asked.bits)
    # Its advice against fewer than 39 rows per centroid goes to stderr, which is not ours to fill.
    quantizer.cp.min_points_per_centroid = 1
    quantizer.cp.seed, quantizer.cp.niter = seed % 2**31, rounds  # a C int
    if start is not None:
        faiss.copy_array_to_vector(start.centroids.ravel(), quantizer.centroids)
        quantizer.train_type = faiss.ProductQuantizer.Train_hot_start
    quantizer.train(placed)
    centroids = faiss.vector_to_array(quantizer.centroids).reshape(empty.shape)
    centroids[np.broadcast_to((order < 0).reshape(m, 1, width), empty.shape)] = 0
    return ProductCodec(centroids=centroids, dim=x.shape[1], order=order, rotation=rotation)
