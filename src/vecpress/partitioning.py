"""Find the lists of a partition, and measure on them what a search finds that reads only some."""

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8

from vecpress import registry
from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.partition import Partition
from vecpress.scan import Scanner
from vecpress.stages import Codec, Progress, silent

_ROWS = 16384  # codes decoded at a time
_QUERIES = 64  # queries whose lists are ranked together
_PER_ROOT = 4  # lists; twice as many: a third fewer rows are read, found in four times as long
_PER_LIST = 64  # documents that a centroid is learned from; with fewer, more rows are read
_SAMPLE = 1 << 26  # numbers (256 MiB) that all centroids together are learned from, at most
_ROUNDS = 10
_FEWEST = 16  # documents per list, on average, where the number of lists is not given
_DEPTHS = (10, 100, 1000)
_ASKED = 1000  # documents that play queries
_NOISE = (0.5, 1, 1.5, 2, 4)  # what is added to them, as a multiple of their own length


def partition(
    codec: Codec,
    codes: UInt8[Array, "n code_bytes"],
    *,
    lists: int | None = None,
    queries: Float32[Array, "q d"] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Partition, Int64[Array, " n"]]:
    """Find lists for codes; the partition is of the codes in the order that comes with it.

    Seeded; the number of threads does not change the result beyond what FAISS's rounding does.
    Memory: 256 MiB for what centroids are learned from, and 16 bytes per document.

    Args:
        codec: What the codes mean.
        codes: Possibly memory-mapped.
        lists: How many to look for; None for four times the root of the number of documents, but
            at most one per 16 documents. Those that stay empty are dropped.
        queries: Unit rows like those that will be asked, to measure recall on; the more the
            better, say 1,000. None to let documents play them.
        seed: Of the sample, of the centroids, and of the noise.
        progress: Told of every step.

    Returns:
        The partition, and the old row of each new one: within a list rows keep their order.

    Raises:
        ConfigError: `lists` is not between 1 and the number of documents.
        DataError: there are no codes, or no queries among those given.
        ShapeError: the queries are not as wide as the codec takes.
        MissingExtraError: FAISS is not installed.
    """
    _check(codec, codes, lists, queries)
    n, rng = len(codes), np.random.default_rng(seed)
    if lists is None:
        lists = max(1, min(int(_PER_ROOT * n**0.5), n // _FEWEST))
    progress("finding lists", 0, 1)
    centroids = _centroids(_sample(codec, codes, lists, rng), lists, seed)
    progress("finding lists", 1, 1)
    assigned = _assign(codec, codes, centroids, progress)
    used = np.bincount(assigned, minlength=lists) > 0
    centroids = np.ascontiguousarray(centroids[used])
    assigned = (np.cumsum(used, dtype=np.int32) - 1)[assigned]
    progress("measuring recall", 0, 1)
    depths = np.unique([depth for depth in (*_DEPTHS, n - 1) if depth < n and depth <= _DEPTHS[-1]])
    depths = np.maximum(depths, 1).astype(np.int64)
    asked, found = _exact(codec, codes, queries, int(depths[-1]), rng)
    recall = _measure(centroids, asked, assigned[found], depths)
    progress("measuring recall", 1, 1)
    ends = np.cumsum(np.bincount(assigned), dtype=np.int64)
    made = Partition(centroids=centroids, ends=ends, depths=depths, recall=recall)
    return made, np.argsort(assigned, kind="stable")


def _check(codec: Codec, codes: Array, lists: int | None, queries: Array | None) -> None:
    if not len(codes):
        raise DataError("a partition needs at least one code, got none")
    check_lists(lists, len(codes))
    if queries is None:
        return
    if queries.ndim != 2 or queries.shape[1] != codec.dim:
        raise ShapeError(
            f"the queries to measure recall on must have {codec.dim} dimensions, got shape "
            f"{queries.shape}: were they compressed by the pipeline that made the codes?"
        )
    if not len(queries):
        raise DataError("recall cannot be measured on 0 queries: give some, or None")


def check_lists(lists: int | None, documents: int) -> None:
    """Refuse a number of lists.

    Raises:
        ConfigError: it is not between 1 and the number of documents.
    """
    if lists is not None and not 1 <= lists <= documents:
        raise ConfigError(f"lists must be between 1 and the {documents} documents, got {lists}")


def _decoded(codec: Codec, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n e"]:
    return normalize(codec.decode(np.ascontiguousarray(codes)))


def _sample(
    codec: Codec, codes: Array, lists: int, rng: np.random.Generator
) -> Float32[Array, "m e"]:
    """Decode documents drawn at random, enough to learn that many centroids."""
    width = _decoded(codec, codes[:1]).shape[1]
    most = min(_PER_LIST * lists, max(_SAMPLE // width, lists))
    if most >= len(codes):
        drawn = np.arange(len(codes))
    else:
        drawn = np.sort(rng.choice(len(codes), most, replace=False))
    sample = np.empty((len(drawn), width), np.float32)
    for rows in blocks(len(drawn), _ROWS):
        sample[rows] = _decoded(codec, codes[drawn[rows]])
    return sample


def _centroids(sample: Float32[Array, "m e"], lists: int, seed: int) -> Float32[Array, "lists e"]:
    """Learn directions by k-means on the sphere."""
    faiss = registry.require("faiss", extra="search")
    means = faiss.Kmeans(
        sample.shape[1],
        lists,
        niter=_ROUNDS,
        spherical=True,
        seed=seed + 1,  # FAISS takes 0 for no seed of its own
        min_points_per_centroid=1,
        max_points_per_centroid=len(sample),
    )
    means.train(sample)
    return means.centroids


def _assign(
    codec: Codec, codes: Array, centroids: Float32[Array, "lists e"], progress: Progress
) -> Int32[Array, " n"]:
    """Say which centroid each document is nearest to."""
    faiss = registry.require("faiss", extra="search")
    nearest = faiss.IndexFlatIP(centroids.shape[1])
    nearest.add(centroids)
    assigned = np.empty(len(codes), np.int32)
    for rows in blocks(len(codes), _ROWS):
        progress("assigning documents", rows.start, len(codes))
        assigned[rows] = nearest.search(_decoded(codec, codes[rows]), 1)[1][:, 0]
    progress("assigning documents", len(codes), len(codes))
    return assigned


def _exact(
    codec: Codec, codes: Array, queries: Array | None, depth: int, rng: np.random.Generator
) -> tuple[Float32[Array, "q e"], Int64[Array, "q depth"]]:
    """Give projected queries and their true answers, a document's own self left out."""
    scanner = Scanner(codec)
    if queries is not None:
        asked = codec.project(np.ascontiguousarray(queries, np.float32))
        return asked, scanner.scan(codes, asked, depth)[0]
    own = np.sort(rng.permutation(len(codes))[:_ASKED])
    asked = _harder(_decoded(codec, codes[own]), rng)
    if len(codes) == 1:
        return asked, np.zeros((1, 1), np.int64)
    found = scanner.scan(codes, asked, depth + 1)[0]
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False
    return asked, found[others].reshape(len(own), depth)


def _harder(documents: Float32[Array, "q e"], rng: np.random.Generator) -> Float32[Array, "q e"]:
    """Add noise of several strengths: queries are mostly near to documents, and some far off."""
    noise = rng.standard_normal(documents.shape, np.float32)
    noise /= np.float32(np.sqrt(documents.shape[1]))
    strengths = np.resize(np.array(_NOISE, np.float32), len(documents))
    return normalize(documents + strengths[:, None] * noise)


def _measure(
    centroids: Float32[Array, "lists e"],
    queries: Float32[Array, "q e"],
    answers: Int32[Array, "q depth"],
    depths: Int64[Array, " depths"],
) -> Float32[Array, "depths lists"]:
    """Count how many lists have to be read, best first, until the answers' lists were read."""
    needed = np.empty(answers.shape, np.int64)
    for rows in blocks(len(queries), _QUERIES):
        order = np.argsort(-(queries[rows] @ centroids.T), axis=1)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(centroids))[None], axis=1)
        needed[rows] = np.take_along_axis(rank, answers[rows], axis=1)
    counts = [np.bincount(needed[:, :k].ravel(), minlength=len(centroids)) for k in depths]
    return (np.cumsum(counts, axis=1) / (len(queries) * depths[:, None])).astype(np.float32)
