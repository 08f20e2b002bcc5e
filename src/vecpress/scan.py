"""Three ways to scan codes exactly, with the same ranking.

The kernel looks codes up where they lie, many rows at once: best wherever it was compiled and the
codec has tables of half bytes or bytes. Without it, FAISS looks them up for a few queries at once;
for many, and where nothing else can, blocks of codes are decoded and multiplied, by numpy alone.
"""

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from vecpress import kernel
from vecpress.arrays import Array, blocks
from vecpress.cores import cores
from vecpress.decoded_scan import Ranking, decoded_norms, scan_blocks
from vecpress.errors import ConfigError
from vecpress.lookups import Lookups
from vecpress.stages import Codec
from vecpress.table_scan import TableScan

_TABLE_BYTES = 1 << 19  # of the queries that the kernel takes at once: they stay in cache
_ASKED = 256  # queries, with ranges of their own, whose tables are made at once
_BYTES_PER_THREAD = 1 << 23  # of codes times queries; less is not worth a thread
_FEW, _MANY_CODES = 32, 20_000  # at most so many queries, at least so many codes: FAISS is faster

Made = TypeVar("Made")
Engine = Literal["auto", "numpy", "faiss", "kernel"]


class Scanner:
    """Scans codes of one codec, by the fastest engine there is; it remembers their norms.

    Threads may share one. What it remembers of codes is dropped with them.
    """

    def __init__(self, codec: Codec, *, threads: int | None = None) -> None:
        """Prepare nothing yet.

        Args:
            codec: What the codes mean.
            threads: How many the kernel may use; None for what `vecpress.cores` says.
        """
        self._codec = codec
        self._threads = cores() if threads is None else threads
        self._copy = _PerArray(self._wider)
        self._inverse = _PerArray(self._inverse_norms)
        self._masked = _PerArray(self._without)
        self._table = _PerArray(lambda c: TableScan(codec, c, decoded_norms(codec, c)))

    def scan(
        self,
        codes: UInt8[Array, "n code_bytes"],
        queries: Float32[Array, "q e"],
        k: int,
        *,
        dead: Bool[Array, " n"] | None = None,
        engine: Engine = "auto",
        ranges: Int64[Array, "r 2"] | None = None,
    ) -> Ranking:
        """Rank the living codes for each query.

        Args:
            codes: Possibly memory-mapped; the same object each time, so that norms are known.
            queries: In the codec's own space (`codec.project`).
            k: How many; fewer are given where fewer live.
            dead: Rows that are no answer.
            engine: "auto" takes the kernel, else FAISS for a few queries on many codes, else numpy.
            ranges: Rows to look at, as starts and ends that do not overlap; None for all.

        Raises:
            ConfigError: the engine cannot scan these codes here.
            MissingExtraError: the engine is FAISS, and it is not installed.
        """
        return self.scan_parts([Part(codes, dead, ranges)], queries, k, engine=engine)

    def scan_parts(
        self,
        parts: "Sequence[Part]",
        queries: Float32[Array, "q e"],
        k: int,
        *,
        engine: Engine = "auto",
    ) -> Ranking:
        """Rank the living codes of several arrays, whose rows are numbered through.

        Raises:
            ConfigError: the engine cannot scan these codes here.
            MissingExtraError: the engine is FAISS, and it is not installed.
        """
        k = min(k, sum(part.living for part in parts))
        if k == 0 or not len(queries):
            return np.zeros((len(queries), k), np.int64), np.zeros((len(queries), k), np.float32)
        chosen = self._choose(engine, len(queries), sum(len(part.codes) for part in parts))
        if chosen == "kernel":
            return self._by_kernel(parts, queries, k)
        found, first = [], 0
        for part in parts:
            rows, scores = self._otherwise(part, queries, min(k, part.living), chosen)
            found.append((rows + first, scores))
            first += len(part.codes)
        rows, scores = (np.concatenate(pieces, axis=1) for pieces in zip(*found, strict=True))
        return best_of(rows, scores, k)

    def scan_each(
        self,
        codes: UInt8[Array, "n code_bytes"],
        queries: Float32[Array, "q e"],
        k: int,
        ranges: Int64[Array, "q r 2"],
        *,
        dead: Bool[Array, " n"] | None = None,
        engine: Engine = "auto",
    ) -> Ranking:
        """Rank for each query the living codes in ranges of its own.

        Where those hold fewer than `k`, the rest of the rows are -1 and of the scores -infinity.

        Raises:
            ConfigError: the engine cannot scan these codes here.
        """
        rows = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        if self._choose(engine, len(queries), len(codes)) != "kernel":
            for i, own in enumerate(ranges):
                found = self.scan(codes, queries[i : i + 1], k, dead=dead, ranges=own)
                rows[i, : found[0].shape[1]], scores[i, : found[1].shape[1]] = (
                    found[0][0],
                    found[1][0],
                )
            return rows, scores
        assert self._lookups is not None
        inverse = self._inverse(codes) if dead is None else self._masked(dead, codes)
        laid = self._laid_out(codes)
        for some in blocks(len(queries), _ASKED):
            own = np.ascontiguousarray(ranges[some])
            work = int((own[..., 1] - own[..., 0]).sum()) * codes.shape[1]
            threads, level = self._workers(work), kernel.level()
            asked = self._lookups.ask(queries[some])
            rows[some], scores[some] = kernel.scan_each(
                laid, inverse, asked, own, k, threads=threads, level=level
            )
        return rows, scores

    def _otherwise(self, part: "Part", queries: Array, k: int, engine: Engine) -> Ranking:
        """Scan without the kernel."""
        if part.ranges is None and part.dead is None:
            if engine == "faiss":
                return self._table(part.codes).search(part.codes, queries, k)
            return scan_blocks(self._codec, part.codes, queries, k)
        rows = part.rows()
        found, scores = scan_blocks(self._codec, part.codes[rows], queries, k)
        return rows[found], scores

    def _choose(self, engine: Engine, queries: int, codes: int) -> Engine:
        """Find the engine to use; FAISS is asked for by name only where all codes are scanned."""
        able = self._lookups is not None and self._lookups.level <= kernel.level()
        if engine == "auto":
            if able:
                return "kernel"
            few = queries <= _FEW and codes >= _MANY_CODES
            return "faiss" if few and find_spec("faiss") and self._has_tables else "numpy"
        if engine == "kernel" and not able:
            why = "it was not compiled, or lacks a processor for them"
            if self._lookups is None:
                why = "they are not numbers to be looked up"
            raise ConfigError(
                f"the kernel cannot scan the codes of this {type(self._codec).__name__} here: "
                f"{why}; use numpy or auto"
            )
        return engine

    @cached_property
    def _lookups(self) -> Lookups | None:
        return Lookups.of(self._codec)

    @cached_property
    def _has_tables(self) -> bool:
        return self._codec.tables() is not None

    def _by_kernel(self, parts: "Sequence[Part]", queries: Array, k: int) -> Ranking:
        assert self._lookups is not None
        inverse = [
            self._inverse(part.codes) if part.dead is None else self._masked(part.dead, part.codes)
            for part in parts
        ]
        ranges = [part.whole() for part in parts]
        size = sum(int((r[:, 1] - r[:, 0]).sum()) for r in ranges) * self._codec.code_bytes
        found = []
        for some in blocks(len(queries), max(1, _TABLE_BYTES // self._lookups.query_bytes)):
            asked = self._lookups.ask(queries[some])
            best = kernel.Best.empty(self._workers(size * len(asked.scale)), len(asked.scale), k)
            for part, norms, wanted in zip(parts, inverse, ranges, strict=True):
                laid = self._laid_out(part.codes)
                kernel.scan(laid, norms, asked, wanted, best, level=kernel.level())
                best = best.after(len(part.codes))
            found.append(best.finish())
        if len(found) == 1:
            return found[0]
        rows, scores = zip(*found, strict=True)
        return np.concatenate(rows), np.concatenate(scores)

    def _workers(self, work: int) -> int:
        return min(self._threads, 1 + work // _BYTES_PER_THREAD)

    def _laid_out(self, codes: UInt8[Array, "n code_bytes"]) -> UInt8[Array, "n b"]:
        """Give codes as the kernel looks them up: themselves, unless numbers lie across bytes."""
        assert self._lookups is not None
        return codes if self._lookups.wide == self._lookups.bits else self._copy(codes)

    def _wider(self, codes: UInt8[Array, "n code_bytes"]) -> UInt8[Array, "n b"]:
        assert self._lookups is not None
        return self._lookups.laid_out(codes)

    def _inverse_norms(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, " n"]:
        assert self._lookups is not None
        squares, threads = self._lookups.squares, self._workers(codes.nbytes)
        return kernel.inverse_norms(
            self._laid_out(codes), squares, threads=threads, level=kernel.level()
        )

    def _without(
        self, dead: Bool[Array, " n"], codes: UInt8[Array, "n code_bytes"]
    ) -> Float32[Array, " n"]:
        """Put NaN in the place of the norms of rows that are no answer."""
        return np.where(dead, np.float32(np.nan), self._inverse(codes))


class Part(NamedTuple):
    """Codes to scan.

    Attributes:
        codes: Possibly memory-mapped; the same object each time, so that norms are known.
        dead: Rows that are no answer; the same object each time.
        ranges: Rows to look at, as starts and ends that do not overlap; None for all.
    """

    codes: UInt8[Array, "n code_bytes"]
    dead: Bool[Array, " n"] | None = None
    ranges: Int64[Array, "r 2"] | None = None

    @property
    def living(self) -> int:
        """Count the rows that may be answers."""
        ranges = self.whole()
        gone = [] if self.dead is None else [self.dead[start:end] for start, end in ranges]
        return int((ranges[:, 1] - ranges[:, 0]).sum() - sum(map(np.count_nonzero, gone)))

    def rows(self) -> Int64[Array, " rows"]:
        """List the rows that may be answers, ascending."""
        may = np.zeros(len(self.codes), bool)
        for start, end in self.whole():
            may[start:end] = True
        return np.flatnonzero(may if self.dead is None else may & ~self.dead)

    def whole(self) -> Int64[Array, "r 2"]:
        """Give the ranges; one of all rows, if there are none."""
        return np.array([[0, len(self.codes)]], np.int64) if self.ranges is None else self.ranges


class _PerArray(Generic[Made]):
    """What is made of an array once, and forgotten with it; two threads may both make it."""

    def __init__(self, make: Callable[..., Made]) -> None:
        self._make = make
        self._known: dict[int, tuple[weakref.ref[Array], Made]] = {}

    def __call__(self, array: Array, *others: Array) -> Made:
        """Give what is made of an array; `others` are the same each time it comes."""
        known, place = self._known.get(id(array)), id(array)
        if known is not None and known[0]() is array:
            return known[1]
        made = self._make(array, *others)
        self._known[place] = weakref.ref(array, lambda _: self._known.pop(place, None)), made
        return made


def best_of(rows: Int64[Array, "q r"], scores: Float32[Array, "q r"], k: int) -> Ranking:
    """Keep the best, best first; of equal scores the lower row, and -1 last."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
