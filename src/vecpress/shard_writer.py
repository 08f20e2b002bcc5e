"""Rows written to a folder shard by shard, so that a killed run goes on where it was.

A shard takes its name only when it is whole and on disk; then a line of the journal vouches for it.
The manifest takes the place of the journal when all is there, and says the same however often the
run was killed.
"""

import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

from vecpress import artifact, registry
from vecpress.arrays import Array
from vecpress.digests import file_digest
from vecpress.errors import ArtifactError, MismatchError, VecpressError
from vecpress.folders import check_replaceable, locked, put_file, sync
from vecpress.shards import JOURNAL, MANIFEST, Header, Manifest, Shard, ids_name, read_manifest

_LABELS = {
    "kind": "kind",
    "format": "format",
    "press": "press",
    "width": "width",
    "source": "corpus",
    "documents": "number of documents",
    "shard_rows": "number of rows per shard",
}


@contextmanager
def open_writer(
    folder: Path, header: Header, *, overwrite: bool = False
) -> Generator["ShardWriter"]:
    """Open a folder that is new, empty, or holds a part of the same; nobody else writes meanwhile.

    Raises:
        ArtifactError: it holds something else or a damaged shard, is being written by another
            process, or cannot be written.
        MismatchError: it holds shards of another press, corpus or kind, and `overwrite` is false.
    """
    check_replaceable(folder)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        with _writing(folder):
            for name in ("part-*", MANIFEST, JOURNAL):
                for pattern in (f".{name}.*", name) if overwrite else (f".{name}.*",):
                    for old in folder.glob(pattern):
                        old.unlink()
            writer = ShardWriter(folder, header)
        try:
            yield writer
        finally:
            writer.discard()


class ShardWriter:
    """Writes shards, after those that are there already: see `open_writer`.

    Attributes:
        header: What is written.
        rows: How many rows are there, in finished shards.
        is_complete: Whether nothing is left to write.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.header = header
        self._folder = folder
        self._draft: _Draft | None = None
        self._shards = self._resume()
        self.is_complete = (folder / MANIFEST).is_file()

    @property
    def rows(self) -> int:
        """How many rows are there, in finished shards."""
        return sum(shard.rows for shard in self._shards)

    def append(self, rows: Array, ids: Sequence[str] | None) -> None:
        """Write the next rows; they must not go over the end of a shard.

        Args:
            rows: Codes or embeddings.
            ids: Their names; None if they are numbered through.

        Raises:
            ArtifactError: the disk is full, or the folder cannot be written.
        """
        with _writing(self._folder):
            if self._draft is None:
                left = self.header.documents - self.rows
                count = min(self.header.shard_rows, left)
                self._draft = _Draft(self._folder, len(self._shards), count, self.header)
            self._draft.append(rows, ids)
            if self._draft.is_full:
                self._keep(self._draft.close())
                self._draft = None

    def finish(self) -> Manifest:
        """Write the manifest.

        Raises:
            ArtifactError: rows are missing, or the folder cannot be written.
        """
        if self.rows != self.header.documents:
            raise ArtifactError(
                f"{self._folder} holds {self.rows} of {self.header.documents} rows: did the corpus "
                "change while it was read? Run the command again"
            )
        manifest = Manifest(header=self.header, shards=tuple(self._shards))
        if not self.is_complete:
            draft = self._folder / f".{MANIFEST}.{os.getpid()}"
            with _writing(self._folder):
                artifact.write_config(draft, manifest.to_dict())
                put_file(draft, self._folder / MANIFEST)
                (self._folder / JOURNAL).unlink()
                sync(self._folder)
            self.is_complete = True
        return manifest

    def discard(self) -> None:
        """Throw away a shard that is not whole."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    def _resume(self) -> list[Shard]:
        """Read and check what is there."""
        if (self._folder / MANIFEST).is_file():
            manifest = read_manifest(self._folder)
            self._compare(asdict(manifest.header))
            if all([shard.check(self._folder) for shard in manifest.shards]):
                (self._folder / JOURNAL).unlink(missing_ok=True)
                return list(manifest.shards)
            self._begin(manifest.shards)  # a shard was deleted: make it again
            (self._folder / MANIFEST).unlink()
        lines = list(_whole_lines(self._folder / JOURNAL))
        if not lines:
            self._begin(())
            return []
        self._compare(lines[0])
        kept = []
        for shard in (Shard(**line) for line in lines[1:]):
            if not shard.check(self._folder):
                break
            kept.append(shard)
        self._begin(kept)
        return kept

    def _compare(self, there: Mapping[str, Any]) -> None:
        wanted = asdict(self.header)
        for name, label in _LABELS.items():
            if there.get(name) != wanted[name]:
                raise MismatchError(
                    f"{self._folder} was begun with the {label} {there.get(name)}, not "
                    f"{wanted[name]}: choose another name, or add --overwrite"
                )

    def _begin(self, shards: Sequence[Shard]) -> None:
        """Write the journal anew, whole or not at all."""
        draft = self._folder / f".{JOURNAL}.{os.getpid()}"
        lines = [asdict(self.header), *map(asdict, shards)]
        draft.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        put_file(draft, self._folder / JOURNAL)

    def _keep(self, shard: Shard) -> None:
        self._shards.append(shard)
        with (self._folder / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(shard)) + "\n")
            file.flush()
            os.fsync(file.fileno())


class _Draft:
    """A shard that is being written, under another name."""

    def __init__(self, folder: Path, number: int, rows: int, header: Header) -> None:
        self._folder, self._rows, self._header = folder, rows, header
        self._name = f"part-{number:05d}.{header.format}"
        self._path = self._beside(self._name)
        self._ids: TextIO | None = None
        self._done = 0
        if header.format == "npy":
            self._file: BinaryIO = self._path.open("wb")
            described = {
                "descr": np.lib.format.dtype_to_descr(header.dtype),
                "fortran_order": False,
                "shape": (rows, header.width),
            }
            np.lib.format.write_array_header_1_0(self._file, described)
        else:
            self._table: Any = None

    @property
    def is_full(self) -> bool:
        return self._done == self._rows

    def append(self, rows: Array, ids: Sequence[str] | None) -> None:
        rows = np.ascontiguousarray(rows, self._header.dtype)
        self._done += len(rows)
        assert rows.shape[1] == self._header.width
        assert self._done <= self._rows
        if self._header.format == "parquet":
            self._append_table(rows, ids)
            return
        self._file.write(rows.data)
        if ids is not None:
            if self._ids is None:
                self._ids = self._beside(ids_name(self._name)).open("w", encoding="utf-8")
            self._ids.writelines(json.dumps(name, ensure_ascii=False) + "\n" for name in ids)

    def close(self) -> Shard:
        """Put it on disk, then under its own name."""
        ids = None
        if self._ids is not None:
            self._ids.close()
            ids = self._settle(ids_name(self._name))
        self._close_file()
        return Shard(name=self._name, rows=self._rows, sha256=self._settle(self._name), ids=ids)

    def discard(self) -> None:
        with suppress(OSError):  # a disk that is full is so when a file is closed, too
            self._close_file()
        with suppress(OSError):
            if self._ids is not None:
                self._ids.close()
        for name in (self._name, ids_name(self._name)):
            self._beside(name).unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._header.format == "npy":
            self._file.close()
        elif self._table is not None:
            self._table.close()

    def _append_table(self, rows: Array, ids: Sequence[str] | None) -> None:
        arrow = registry.require("pyarrow", extra="parquet")
        parquet = registry.require("pyarrow.parquet", extra="parquet")
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
        named = {} if ids is None else {"id": list(ids)}
        table = arrow.table({**named, "vector": vectors})
        if self._table is None:
            self._table = parquet.ParquetWriter(self._path, table.schema)
        self._table.write_table(table)

    def _beside(self, name: str) -> Path:
        return self._folder / f".{name}.{os.getpid()}"

    def _settle(self, name: str) -> str:
        sha256 = file_digest(self._beside(name))
        put_file(self._beside(name), self._folder / name)
        return sha256


def _whole_lines(journal: Path) -> Iterator[dict[str, Any]]:
    """Give the lines of a journal; the last one may have been cut off."""
    if not journal.is_file():
        return
    for line in journal.read_bytes().split(b"\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ArtifactError(
                f"{journal} is damaged ({error}): add --overwrite to start anew"
            ) from error


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    try:
        yield
    except VecpressError:
        raise
    except OSError as error:
        raise ArtifactError(
            f"cannot write {folder}: {error}; finished shards are kept: the same command goes on"
        ) from error
