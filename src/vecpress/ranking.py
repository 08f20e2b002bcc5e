"""From the segments of an index to one ranking, perhaps in the order of finer codes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vecpress.arrays import Array, blocks, normalize
from vecpress.decoded_scan import Ranking
from vecpress.partition import check_recall, search_partitioned
from vecpress.scan import Engine, Part, Scanner, best_of
from vecpress.segments import Segment
from vecpress.stages import Codec

_ROWS = 16384  # documents rescored at a time
_NONE = np.empty((0, 2), np.int64)


def rank(
    scanner: Scanner,
    segments: Sequence[Segment],
    queries: Float32[Array, "q e"],
    k: int,
    *,
    engine: Engine,
    recall: float | None = None,
) -> Ranking:
    """Scan each segment for living documents, and merge; of equal scores the lower row first.

    Args:
        scanner: Of the codec.
        segments: Their rows are numbered through.
        queries: In the codec's own space (`codec.project`).
        k: At most the number of living documents.
        engine: One of scan.py's.
        recall: The share of them to find, on average, where there are lists to read; None for all.

    Raises:
        ConfigError: the engine cannot scan these codes, or the recall is out of range.
    """
    parts = [Part(segment.codes, segment.dead) for segment in segments]
    if recall is not None:
        check_recall(recall)
    lists = [(i, s.partition) for i, s in enumerate(segments) if s.partition is not None]
    if recall is None or len(lists) != 1:
        return scanner.scan_parts(parts, queries, k, engine=engine)
    (place, partition) = lists[0]

    listed, first = parts[place], sum(len(part.codes) for part in parts[:place])
    others = [*parts[:place], listed._replace(ranges=_NONE), *parts[place + 1 :]]

    def scan(ranges: Array | None, asked: Array, most: int) -> Ranking:
        if ranges is None:
            return scanner.scan_parts(parts, asked, most, engine=engine)
        rows, scores = scanner.scan_each(
            listed.codes, asked, most, ranges, dead=listed.dead, engine=engine
        )
        rows = np.where(rows < 0, rows, rows + first)
        if len(parts) == 1:
            return rows, scores
        more = scanner.scan_parts(others, asked, most, engine=engine)
        joined = (np.concatenate(pair, axis=1) for pair in zip((rows, scores), more, strict=True))
        return best_of(*joined, most)

    return search_partitioned(scan, partition, queries, k, recall=recall)


def rescore(
    fine: Codec,
    segments: Sequence[Segment],
    rows: Int64[Array, "q r"],
    queries: Float32[Array, "q d"],
    k: int,
) -> Ranking:
    """Order rows by the inner product of the query and what their finer code stands for."""
    rows = np.sort(rows, axis=1)  # of equal scores the lower row comes first
    projected, scores = fine.project(queries), np.empty(rows.shape, np.float32)
    for some in blocks(len(rows), max(1, _ROWS // rows.shape[1])):
        codes = _fine_codes(segments, rows[some].ravel(), fine.code_bytes)
        documents = normalize(fine.decode(codes)).reshape(*rows[some].shape, -1)
        scores[some] = np.einsum("qe,qre->qr", projected[some], documents)
    return _best(rows, scores, k)


def _best(rows: Int64[Array, "q r"], scores: Float32[Array, "q r"], k: int) -> Ranking:
    """Keep the `k` best; of equal scores those that stand first."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, best, axis=1), np.take_along_axis(scores, best, axis=1)


def _fine_codes(
    segments: Sequence[Segment], rows: Int64[Array, " n"], code_bytes: int
) -> UInt8[Array, "n fine_bytes"]:
    made, start = np.empty((len(rows), code_bytes), np.uint8), 0
    for segment in segments:
        here = (rows >= start) & (rows < start + len(segment))
        if segment.fine is not None and here.any():
            made[here] = segment.fine[rows[here] - start]
        start += len(segment)
    return made
