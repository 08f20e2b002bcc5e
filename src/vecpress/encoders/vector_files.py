"""Vectors read in parts: .npy, .parquet, or a folder of shards, however much they hold.

Files are read, not mapped: pages of a map count as memory of the process for as long as the system
likes.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from vecpress import registry
from vecpress.arrays import Array
from vecpress.digests import file_digest
from vecpress.encoders import precomputed
from vecpress.encoders.precomputed import Vectors, from_table, id_column
from vecpress.errors import DataError
from vecpress.shards import Manifest, is_shards, read_manifest
from vecpress.strings import Numbers

Part = tuple[Array, Sequence[str] | None]
"""Consecutive rows as they lie on disk, and their ids, if they have any."""


@dataclass(frozen=True)
class NpyFile:
    """An .npy file.

    Attributes:
        path: Where it lies.
        shape: Rows and columns.
        dtype: Of its numbers.
        offset: Where they begin.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype
    offset: int

    @classmethod
    def open(cls, path: Path) -> "NpyFile":
        """Read the header.

        Raises:
            DataError: it holds no matrix of numbers, or one that is stored column by column.
            ValueError: it is no .npy file.
        """
        with path.open("rb") as file:
            versions = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            version = np.lib.format.read_magic(file)
            if version not in versions:
                raise ValueError(f"its version {version} is unknown")
            shape, by_columns, dtype = versions[version](file)
            offset = file.tell()
        if by_columns and min(shape, default=0) > 1:
            raise DataError(
                f"{path} is stored column by column, so its rows cannot be read one by one: save "
                "numpy.ascontiguousarray of it"
            )
        _check_matrix(path, shape, dtype)
        needed = offset + shape[0] * shape[1] * dtype.itemsize
        if path.stat().st_size < needed:
            raise ValueError(f"it ends after {path.stat().st_size} of {needed} bytes")
        return cls(path=path, shape=(int(shape[0]), int(shape[1])), dtype=dtype, offset=offset)

    def parts(self, rows: int, start: int = 0) -> Iterator[Part]:
        """Give all rows from `start` on."""
        with _damage_named(self.path), self.path.open("rb", buffering=0) as file:
            for first in range(start, self.shape[0], rows):
                yield self._read(file, first, min(rows, self.shape[0] - first)), None

    def names(self) -> Iterator[Sequence[str]]:
        """Give the ids of all rows: there are none."""
        return iter(())

    def take(self, numbers: Int64[Array, " k"]) -> Array:
        """Read some rows."""
        found = np.empty((len(numbers), self.shape[1]), self.dtype)
        with _damage_named(self.path), self.path.open("rb", buffering=0) as file:
            for place, number in enumerate(numbers):
                found[place] = self._read(file, int(number), 1)[0]
        return found

    def digest(self) -> str:
        """Give the digest of the file."""
        return file_digest(self.path)

    def _read(self, file: Any, first: int, count: int) -> Array:
        width = self.shape[1]
        file.seek(self.offset + first * width * self.dtype.itemsize)
        return np.fromfile(file, self.dtype, count * width).reshape(count, width)


@dataclass(frozen=True)
class ParquetFile:
    """A .parquet file with a column of lists, and perhaps one of ids.

    Attributes:
        path: Where it lies.
        shape: Rows and columns.
    """

    path: Path
    shape: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> "ParquetFile":
        """Read the first row.

        Raises:
            DataError: it holds no matrix of numbers.
            OSError: it is damaged.
        """
        first, _ = next(_batches(path, 1), (np.empty((0, 0), np.float32), None))
        with _opened(path) as file:
            shape = (file.metadata.num_rows, first.shape[1])
        _check_matrix(path, shape, first.dtype)
        return cls(path=path, shape=shape)

    def parts(self, rows: int, start: int = 0) -> Iterator[Part]:
        """Give all rows from `start` on, row group by row group."""
        with _damage_named(self.path):
            for array, ids in _batches(self.path, rows, start):
                if array.shape[1] != self.shape[1]:
                    raise DataError(
                        f"the lists of {self.path} must all have the same length, without nulls"
                    )
                yield array, ids

    def names(self) -> Iterator[Sequence[str]]:
        """Give the ids of all rows, if there is a column of them."""
        with _damage_named(self.path), _opened(self.path) as file:
            name = id_column(file.schema_arrow.names)
            for batch in file.iter_batches(columns=[name]) if name else ():
                yield [str(held) for held in batch.column(0).to_pylist()]

    def digest(self) -> str:
        """Give the digest of the file."""
        return file_digest(self.path)


@dataclass(frozen=True)
class Shards:
    """A folder of shards that hold embeddings.

    Attributes:
        path: Where it lies.
        shape: Rows and columns.
        manifest: What it holds.
    """

    path: Path
    shape: tuple[int, int]
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> "Shards":
        """Read the manifest.

        Raises:
            DataError: the shards hold codes.
            ArtifactError: they are damaged or unfinished.
        """
        manifest = read_manifest(path)
        if manifest.header.kind != "embeddings":
            raise DataError(
                f"{path} holds codes, which only the press that made them can read: write "
                "embeddings with `vecpress encode --float`"
            )
        return cls(path=path, shape=(manifest.documents, manifest.header.width), manifest=manifest)

    def parts(self, rows: int, start: int = 0) -> Iterator[Part]:
        """Give all rows from `start` on, shard by shard."""
        first = 0
        for shard in self.manifest.shards:
            if start < first + shard.rows:
                file = open_vector_file(self.path / shard.name)
                names = shard.read_ids(self.path)
                done = max(start - first, 0)
                for array, ids in file.parts(rows, done):
                    mine = None if names is None else names[done : done + len(array)]
                    done += len(array)
                    yield array, mine if ids is None else ids
            first += shard.rows

    def names(self) -> Iterator[Sequence[str]]:
        """Give the ids of all rows, if they have any."""
        for shard in self.manifest.shards:
            beside = shard.read_ids(self.path)
            yield from (
                open_vector_file(self.path / shard.name).names() if beside is None else [beside]
            )

    def digest(self) -> str:
        """Give the digest of the digests of the shards."""
        return self.manifest.digest


VectorFile = NpyFile | ParquetFile | Shards
"""A matrix on disk, read in parts."""


def open_vector_file(path: Path) -> VectorFile:
    """Open vectors to be read in parts.

    Raises:
        DataError: there are none, they cannot be read in parts, or are damaged.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: give vectors as .npy or .parquet, or as shards")
    if is_shards(path):
        return Shards.open(path)
    if path.suffix not in (".npy", ".parquet"):
        raise DataError(
            f"{path} cannot be read in parts, as a memory limit needs it: give vectors as .npy or "
            ".parquet, or as shards"
        )
    with _damage_named(path):
        return NpyFile.open(path) if path.suffix == ".npy" else ParquetFile.open(path)


def open_vectors(path: str | Path) -> Vectors:
    """Open a file of vectors, or read a folder of shards, as a whole: see `precomputed`.

    Raises:
        DataError: it is absent, damaged, or holds no matrix of numbers.
        ArtifactError: the shards are damaged or unfinished.
    """
    path = Path(path)
    if not is_shards(path):
        return precomputed.open_vectors(path)
    shards = Shards.open(path)
    arrays = [array for array, _ in shards.parts(shards.shape[0])]
    names = [name for part in shards.names() for name in part]
    return Vectors(np.concatenate(arrays), names or Numbers(shards.shape[0]))


def _batches(path: Path, rows: int, start: int = 0) -> Iterator[Part]:
    arrow = registry.require("pyarrow", extra="parquet")
    with _opened(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            held = file.metadata.row_group(group).num_rows
            if start < first + held:
                done = first
                for batch in file.iter_batches(rows, row_groups=[group]):
                    skipped = min(max(start - done, 0), len(batch))
                    done += len(batch)
                    if skipped < len(batch):
                        part = arrow.Table.from_batches([batch.slice(skipped)])
                        array, ids = from_table(part, path)
                        yield array, None if ids is None else [str(name) for name in ids]
            first += held


def _opened(path: Path) -> Any:
    parquet = registry.require("pyarrow.parquet", extra="parquet")
    return parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)


def _check_matrix(path: Path, shape: Sequence[int], dtype: np.dtype) -> None:
    if len(shape) != 2 or dtype.kind not in "fiu" or 0 in shape:
        raise DataError(
            f"{path} must hold a matrix of numbers, one row per document, got {dtype} of shape "
            f"{tuple(shape)}"
        )


@contextmanager
def _damage_named(path: Path) -> Generator[None]:
    try:
        yield
    except (ValueError, EOFError, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a readable {path.suffix} file: {error}") from error
