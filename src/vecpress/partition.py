"""Codes in lists of what lies together, so that a search reads a few lists only (an inverted file).

A partition keeps nothing per document: the documents are put in the order of their lists, and a
list is a range of rows. What it keeps is each list's centroid, where the list ends, and how much a
search finds when it reads only the best lists. partitioning.py makes one.

Source: Jégou et al. 2011 (IVF). What is promised of the recall is ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array, blocks
from vecpress.decoded_scan import Ranking
from vecpress.errors import ConfigError, ShapeError

_QUERIES = 1024  # queries whose lists are chosen together

Scan = Callable[[Int64[Array, "q r 2"] | None, Float32[Array, "q e"], int], Ranking]
"""Ranks for each query the rows within its own ranges, or all rows where there are no ranges; where
they are fewer than asked for, the rest of the rows is -1, or is left out for all queries alike."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """Where the lists lie, and how many to read. `partition` makes one.

    What is promised: of the best `k` documents by exact search of the same codes, a search finds
    the share `recall` on average over queries like those that it was measured on. Where no queries
    were given, documents played them, with noise added that makes them harder to answer than
    documents are: that kept its promise for questions and claims about the documents (measured on
    three embeddings, docs/experiments.md), and did not for queries about something else.

    Attributes:
        centroids: The direction of each list, a unit row in the codec's own space.
        ends: The row behind each list's last; a list is never empty.
        depths: The numbers of hits at which recall was measured, ascending.
        recall: For each of them, what is found in the best list, in the best two, and so on.
    """

    centroids: Float32[Array, "lists e"]
    ends: Int64[Array, " lists"]
    depths: Int64[Array, " depths"]
    recall: Float32[Array, "depths lists"]

    def __len__(self) -> int:
        """Count the lists."""
        return len(self.ends)

    @property
    def sizes(self) -> Int64[Array, " lists"]:
        """How many documents are in each list."""
        return np.diff(self.ends, prepend=0)

    def nprobe_for(self, recall: float, *, k: int = 10) -> int:
        """Say how many lists must be read to find that share of the best `k`.

        Where `k` lies between two depths the deeper one counts, which is harder; beyond the
        deepest nothing was measured, and all lists are read.

        Raises:
            ConfigError: the recall is not above 0 and at most 1.
        """
        check_recall(recall)
        depth = int(np.searchsorted(self.depths, k))
        if recall == 1 or depth == len(self.depths):
            return len(self)
        return int(np.searchsorted(self.recall[depth], np.float32(recall))) + 1

    def probe(self, queries: Float32[Array, "q e"], *, nprobe: int) -> Int64[Array, "q nprobe 2"]:
        """Give the ranges of rows to read for each query, ascending: its `nprobe` best lists.

        Args:
            queries: In the codec's own space (`codec.project`).
            nprobe: How many lists.

        Raises:
            ConfigError: there are not so many lists.
            ShapeError: the queries are not as wide as the centroids.
        """
        self.check(queries, nprobe)
        near = -(queries @ self.centroids.T)
        lists = np.sort(np.argpartition(near, nprobe - 1, axis=1)[:, :nprobe], axis=1)
        return np.stack([(self.ends - self.sizes)[lists], self.ends[lists]], axis=2)

    def check(self, queries: Array, nprobe: int) -> None:
        """Refuse what `probe` cannot do.

        Raises:
            ConfigError: there are not so many lists.
            ShapeError: the queries are not as wide as the centroids.
        """
        if not 1 <= nprobe <= len(self):
            raise ConfigError(f"nprobe must be between 1 and the {len(self)} lists, got {nprobe}")
        if queries.ndim != 2 or queries.shape[1] != self.centroids.shape[1]:
            raise ShapeError(
                f"this partition takes projected queries of {self.centroids.shape[1]} dimensions, "
                f"got shape {queries.shape}: use codec.project"
            )


def search_partitioned(
    scan: Scan,
    partition: Partition,
    queries: Float32[Array, "q e"],
    k: int,
    *,
    recall: float | None = None,
    nprobe: int | None = None,
) -> Ranking:
    """Rank the documents in the lists that are best for each query.

    Where those hold fewer than `k` living documents, more lists are read.

    Args:
        scan: Reads the codes.
        partition: Of these codes.
        queries: In the codec's own space (`codec.project`).
        k: How many; fewer are given where fewer live.
        recall: The share of the true `k` best to find, on average; 1 is exact.
        nprobe: How many lists to read, instead of `recall`.

    Raises:
        ConfigError: not exactly one of `recall` and `nprobe` is given, or it is out of range.
        ShapeError: the queries are not as wide as the centroids.
    """
    if (recall is None) == (nprobe is None):
        raise ConfigError(f"give either recall or nprobe, got {recall} and {nprobe}")
    if nprobe is None:
        nprobe = partition.nprobe_for(1.0 if recall is None else recall, k=k)
    partition.check(queries, nprobe)
    if nprobe == len(partition) or not len(queries):
        return scan(None, queries, k)
    rows = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for some in blocks(len(queries), _QUERIES):
        ranges = partition.probe(queries[some], nprobe=nprobe)
        _put(rows[some], scores[some], scan(ranges, queries[some], k))
    short = np.flatnonzero(rows[:, -1] < 0)
    if len(short):
        more = min(2 * nprobe, len(partition))
        found = search_partitioned(scan, partition, queries[short], k, nprobe=more)
        rows[short], scores[short] = _widened(found, k)
    there = (rows >= 0).all(axis=0)  # as many for every query: who finds too few has read all
    return rows[:, there], scores[:, there]


def _put(rows: Array, scores: Array, found: Ranking) -> None:
    rows[:], scores[:] = _widened(found, rows.shape[1])


def _widened(found: Ranking, k: int) -> tuple[Array, Array]:
    """Add rows that are none, up to `k`."""
    rows, scores = found
    missing = ((0, 0), (0, k - rows.shape[1]))
    return (
        np.pad(rows, missing, constant_values=-1),
        np.pad(scores, missing, constant_values=-np.inf),
    )


def check_recall(recall: float) -> None:
    """Refuse a share that is none.

    Raises:
        ConfigError: it is not above 0 and at most 1.
    """
    if not 0 < recall <= 1:
        raise ConfigError(f"recall must be above 0 and at most 1 (exact), got {recall}")
