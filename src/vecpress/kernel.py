"""The door to kernel.c, a scan of packed codes that is compiled when vecpress is installed.

Where it could not be compiled, or the processor lacks AVX2, `level()` is 0 and nothing here works:
scan.py then scans by other means, with the same answers.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt8, UInt16

from vecpress.arrays import Array
from vecpress.errors import ConfigError, ShapeError

LIBRARY = Path(__file__).with_name("_kernel.so")
_ABI = 7
POWERS = 7
"""Weights of tables: 1, 2, 4, ... 64."""
MOST_BYTES = 2048
"""Of a code."""


class _Scan(ctypes.Structure):
    """`Scan` of kernel.c."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("inverse", ctypes.c_void_p),
        ("n", ctypes.c_int64),
        ("first", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("cells", ctypes.c_int64),
        ("queries", ctypes.c_int64),
        ("k", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("level", ctypes.c_int64),
        ("tables", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("bounds", ctypes.c_void_p),
        ("exact", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("scores", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("ranges", ctypes.c_void_p),
        ("count", ctypes.c_int64),
    )


class _Ask(ctypes.Structure):
    """`Ask` of kernel.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("entries", "placed")),
        *((name, ctypes.c_int64) for name in ("bytes", "width", "cells", "queries")),
        *((name, ctypes.c_void_p) for name in ("tables", "weights", "order", "bounds")),
        *((name, ctypes.c_void_p) for name in ("exact", "scale")),
    )


class Asked(NamedTuple):
    """What some queries ask of codes: see kernel.c.

    Attributes:
        cells: 16 for a table per half byte, 256 for one per byte.
        tables: The exact ones, each divided by step and weight and rounded to 8 bits; groups padded
            to whole 16 bytes of a code; of half bytes in fours: the low halves of four bytes, then
            their high ones.
        weights: Of the tables, powers of two; laid out alike.
        order: The groups by weight, the lowest first.
        bounds: Where each weight begins in that order, and where the last one ends.
        exact: What each value of each group adds to the inner product, in the order of the code.
        scale: Per query: step of the rounded tables, their base, and the most they may be off.
    """

    cells: int
    tables: UInt8[Array, "q padded"]
    weights: UInt8[Array, "q groups"]
    order: UInt16[Array, "q g"]
    bounds: Int32[Array, "q powers"]
    exact: Float32[Array, "q entries"]
    scale: Float32[Array, "q 3"]


@cache
def _library() -> ctypes.CDLL | None:
    """Load what was compiled; None where there is nothing, or of another release."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        return library if library.vecpress_abi() == _ABI else None
    except (OSError, AttributeError):
        return None


@cache
def level() -> int:
    """Say what can be scanned here: 0 nothing, 1 half bytes (AVX2), 2 bytes too (AVX-512 VBMI)."""
    library = _library()
    return 0 if library is None else int(library.vecpress_level())


def ask(
    entries: Float32[Array, "code_bytes e w"], queries: Float32[Array, "q code_bytes w"]
) -> Asked:
    """Multiply queries with what the values of each byte (or its halves) stand for, and round."""
    size, per_byte, width = entries.shape
    cells, count = 16 if per_byte == 32 else 256, len(queries)
    groups, wide = size * per_byte // cells, -(-size // 16) * 16 * per_byte // cells
    asked = Asked(
        cells=cells,
        tables=np.zeros((count, wide * cells), np.uint8),
        weights=np.zeros((count, wide), np.uint8),
        order=np.empty((count, groups), np.uint16),
        bounds=np.empty((count, POWERS + 1), np.int32),
        exact=np.empty((count, groups * cells), np.float32),
        scale=np.empty((count, 3), np.float32),
    )
    given = np.ascontiguousarray(entries), np.ascontiguousarray(queries)
    made = {name: getattr(asked, name).ctypes.data for name in asked._fields if name != "cells"}
    places = {"entries": given[0].ctypes.data, "placed": given[1].ctypes.data} | made
    what = _Ask(bytes=size, width=width, cells=cells, queries=count, **places)
    library = _library()
    assert library is not None
    library.vecpress_ask(ctypes.byref(what))
    return asked


class Best(NamedTuple):
    """The best rows so far, of each thread and query, NOT in order.

    Attributes:
        rows: -1 where there are fewer.
        scores: Of them.
        first: What is added to rows that are found next.
    """

    rows: Int64[Array, "t q k"]
    scores: Float32[Array, "t q k"]
    first: int = 0

    @classmethod
    def empty(cls, threads: int, queries: int, k: int) -> "Best":
        """Begin without any."""
        shape = (threads, queries, k)
        return cls(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))

    def finish(self) -> tuple[Int64[Array, "q k"], Float32[Array, "q k"]]:
        """Join what the threads found, best first, -1 last; nothing may be looked for any more."""
        threads, queries, k = self.rows.shape
        what = _Scan(threads=threads, queries=queries, k=k)
        what.rows, what.scores = self.rows.ctypes.data, self.scores.ctypes.data
        library = _library()
        assert library is not None
        library.vecpress_finish(ctypes.byref(what))
        return self.rows[0], self.scores[0]

    def after(self, rows: int) -> "Best":
        """Number what is found next from `rows` further on."""
        return self._replace(first=self.first + rows)


def scan(
    codes: UInt8[Array, "n code_bytes"],
    inverse: Float32[Array, " n"],
    asked: Asked,
    ranges: Int64[Array, "r 2"],
    best: Best,
    *,
    level: int,
) -> None:
    """Look for better rows within ranges, and put them into `best`, with a thread for each of its.

    Args:
        codes: C-contiguous, possibly a memory map.
        inverse: 1 / norm of what each code stands for; NaN keeps a row out.
        asked: Tables of the queries.
        ranges: Start and end of each.
        best: Changed in place.
        level: As `level()` says, or less.

    Raises:
        ShapeError: codes and norms do not belong together, or the codes do not lie in one piece.
    """
    threads, queries, k = best.rows.shape
    _call(
        "vecpress_scan",
        codes,
        {"inverse": inverse, "ranges": ranges, "rows": best.rows, "scores": best.scores}
        | {name: getattr(asked, name) for name in asked._fields if name != "cells"},
        {"cells": asked.cells, "queries": queries, "k": k, "count": len(ranges)}
        | {"threads": threads, "level": level, "first": best.first},
    )


def scan_each(
    codes: UInt8[Array, "n code_bytes"],
    inverse: Float32[Array, " n"],
    asked: Asked,
    ranges: Int64[Array, "q r 2"],
    k: int,
    *,
    threads: int,
    level: int,
) -> tuple[Int64[Array, "q k"], Float32[Array, "q k"]]:
    """Find the best rows within each query's own ranges, best first; -1 where there are fewer.

    Raises:
        ShapeError: codes and norms do not belong together, or the codes do not lie in one piece.
    """
    best = Best.empty(1, len(ranges), k)
    _call(
        "vecpress_scan_each",
        codes,
        {"inverse": inverse, "ranges": ranges, "rows": best.rows, "scores": best.scores}
        | {name: getattr(asked, name) for name in asked._fields if name != "cells"},
        {"cells": asked.cells, "queries": len(ranges), "k": k, "count": ranges.shape[1]}
        | {"threads": threads, "level": level},
    )
    return best.finish()


def inverse_norms(
    codes: UInt8[Array, "n code_bytes"],
    squares: Float32[Array, " entries"],
    *,
    threads: int = 1,
    level: int,
) -> Float32[Array, " n"]:
    """Give 1 / norm of what each code stands for, from tables of squares laid out like `exact`.

    Raises:
        ShapeError: the codes do not lie in one piece.
    """
    out = np.empty(len(codes), np.float32)
    cells = 16 if len(squares) == 32 * codes.shape[1] else 256
    _call(
        "vecpress_inverse_norms",
        codes,
        {"exact": squares, "out": out, "ranges": np.array([[0, len(codes)]], np.int64)},
        {"cells": cells, "count": 1, "threads": threads, "level": level},
    )
    return out


def spread(
    codes: UInt8[Array, "n code_bytes"], bits: int, groups: int, *, wide: int
) -> UInt8[Array, "n wider"]:
    """Store numbers of `bits` bits each, of which a row has `groups`, in 4 or 8 bits each."""
    given = np.ascontiguousarray(codes)
    out = np.empty((len(codes), -(-groups * wide // 8)), np.uint8)
    library = _library()
    assert library is not None
    library.vecpress_spread(
        ctypes.c_void_p(given.ctypes.data),
        *map(ctypes.c_int64, (*given.shape, bits, groups, wide)),
        ctypes.c_void_p(out.ctypes.data),
    )
    return out


def _call(name: str, codes: Array, arrays: dict[str, Array], numbers: dict[str, int]) -> None:
    inverse = arrays.get("inverse")
    whole = all(array.flags.c_contiguous for array in (codes, *arrays.values()))
    if codes.ndim != 2 or not whole or (inverse is not None and len(inverse) != len(codes)):
        raise ShapeError(
            f"codes must lie in one piece and have a norm each, got shape {codes.shape}, strides "
            f"{codes.strides}, and {len(codes if inverse is None else inverse)} norms"
        )
    places = {key: array.ctypes.data for key, array in arrays.items()}
    what = _Scan(codes=codes.ctypes.data, n=len(codes), bytes=codes.shape[1], **places, **numbers)
    status = getattr(_library(), name)(ctypes.byref(what))
    if status:
        raise ConfigError(f"{name} cannot scan codes of {what.bytes} bytes (status {status})")
