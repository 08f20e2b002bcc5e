"""Vectors that somebody else's model made: .npy (memory-mapped), .npz, .parquet."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vecpress import registry
from vecpress.arrays import Array
from vecpress.errors import DataError
from vecpress.strings import Numbers

SUFFIXES = (".npy", ".npz", ".parquet")


class Vectors(NamedTuple):
    """Vectors as they lie on disk, and the names of their rows.

    Attributes:
        array: Shape (n, d), any float type, not yet normalized; a memory map for .npy.
        ids: One per row.
    """

    array: Array
    ids: Sequence[str]


def open_vectors(path: str | Path) -> Vectors:
    """Open a file of vectors; an .npy file stays on disk until its rows are read.

    An .npz holds one matrix, or one called `embeddings`, and may hold `ids`. A .parquet has one
    column of lists of numbers and may have a column `id` or `_id`. Otherwise rows are numbered.

    Raises:
        DataError: the file is absent, damaged, or holds no matrix of numbers.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist: give vectors as .npy, .npz or .parquet")
    if path.suffix not in SUFFIXES:
        raise DataError(f"cannot read vectors from {path}: give .npy, .npz or .parquet")
    try:
        array, ids = {".npy": _npy, ".npz": _npz, ".parquet": _parquet}[path.suffix](path)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a readable {path.suffix} file: {error}") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise DataError(
            f"{path} must hold a matrix of numbers, one row per document, got {array.dtype} of "
            f"shape {array.shape}"
        )
    if ids is None:
        return Vectors(array, Numbers(len(array)))
    names = tuple(map(str, ids))
    if len(names) != len(array) or len(set(names)) != len(names):
        raise DataError(
            f"{path} must have one id of its own per row, got {len(set(names))} different ids "
            f"for {len(array)} rows"
        )
    return Vectors(array, names)


def _npy(path: Path) -> tuple[Array, None]:
    _check_start(path, b"\x93NUMPY")
    return np.load(path, mmap_mode="r", allow_pickle=False), None


def _npz(path: Path) -> tuple[Array, Any]:
    _check_start(path, b"PK")
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        others = [name for name in file.files if name != "ids"]
        name = "embeddings" if "embeddings" in others else others[0] if len(others) == 1 else None
        if name is None:
            raise DataError(f"{path} must hold one matrix called 'embeddings', got {others}")
        ids = file["ids"] if "ids" in file.files else None
        if ids is not None and ids.dtype.kind == "S":
            ids = np.char.decode(ids, "utf-8")
        return file[name], ids


def _check_start(path: Path, magic: bytes) -> None:
    """Refuse what NumPy would take for a pickle, and advise to trust."""
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise ValueError("it does not begin like one")


def _parquet(path: Path) -> tuple[Array, Any]:
    parquet = registry.require("pyarrow.parquet", extra="parquet")
    return from_table(parquet.read_table(path), path)


def from_table(table: Any, path: Path) -> tuple[Array, list[Any] | None]:
    """Take the one column of lists, and perhaps ids, from an Arrow table, or from a part of one.

    Raises:
        DataError: there is no such column, or it is no matrix.
    """
    lists = [field.name for field in table.schema if _is_list(field.type)]
    if len(lists) != 1:
        raise DataError(f"{path} must have one column of lists of numbers, got {lists or 'none'}")
    column = table[lists[0]]
    chunks = [chunk.flatten() for chunk in column.chunks]  # joined, their offsets may overflow
    nulls = column.null_count + sum(chunk.null_count for chunk in chunks)
    if nulls or len(lengths := _lengths(column)) > 1:
        raise DataError(f"the lists of {path} must all have the same length, without nulls")
    values = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    rows = np.concatenate(values or [np.empty(0, np.float32)])
    name = id_column(table.column_names)
    if name and table[name].null_count:
        raise DataError(f"the column {name!r} of {path} must name every row, got nulls")
    return rows.reshape(len(column), *lengths), table[name].to_pylist() if name else None


def id_column(names: Sequence[str]) -> str | None:
    """Find the column that names the rows."""
    return next((name for name in ("_id", "id", "ids") if name in names), None)


def _is_list(kind: Any) -> bool:
    types = registry.require("pyarrow.types", extra="parquet")
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return types.is_floating(kind.value_type) or types.is_integer(kind.value_type)


def _lengths(column: Any) -> list[int]:
    compute = registry.require("pyarrow.compute", extra="parquet")
    return compute.list_value_length(column).unique().to_pylist()


def check_target(path: Path) -> None:
    """Make sure that vectors can be written here, before anything is computed.

    Raises:
        DataError: the name has another ending, or its folder does not exist.
    """
    if path.suffix not in (".npy", ".parquet"):
        raise DataError(f"vectors are written as .npy or .parquet, got {path}")
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}: make it first")


def write_vectors(path: str | Path, rows: Array, ids: Sequence[str]) -> None:
    """Write embeddings or codes, whole or not at all: .npy, or .parquet with their ids.

    Raises:
        DataError: the name has another ending, or the file cannot be written.
    """
    path = Path(path)
    check_target(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix == ".npy":
            with draft.open("wb") as file:
                np.save(file, rows)
        else:
            arrow = registry.require("pyarrow", extra="parquet")
            parquet = registry.require("pyarrow.parquet", extra="parquet")
            flat = arrow.array(np.ascontiguousarray(rows).ravel())
            column = arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])
            parquet.write_table(arrow.table({"id": list(ids), "vector": column}), draft)
        draft.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
