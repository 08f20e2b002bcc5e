"""Documents read in parts, however many there are, as often as needed: texts or vectors.

A stream gives what a `Corpus`, or a matrix, of the same file would hold, with the same checks.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vecpress.corpus import Corpus, corpus_file, text_records
from vecpress.encoders.vector_files import VectorFile, open_vector_file
from vecpress.errors import ConfigError, DataError
from vecpress.limits import block_rows
from vecpress.recipe import Documents
from vecpress.records import Record
from vecpress.unique import Unique, first_repeated

_ROWS = 4096
_CHARACTERS = 1 << 23  # of a block of texts, about


class Block(NamedTuple):
    """Consecutive documents.

    Attributes:
        rows: Which ones they are.
        documents: Texts or images, or vectors as they lie on disk.
        ids: Their names; None if rows are only numbered.
    """

    rows: slice
    documents: Documents
    ids: Sequence[str] | None


class Source(NamedTuple):
    """What a stream holds: the number of documents, and a digest of all of them."""

    documents: int
    digest: str


@dataclass(frozen=True)
class TextStream:
    """The texts of a file, or images that it names.

    Attributes:
        path: The file.
    """

    path: Path

    def blocks(self, rows: int = _ROWS, start: int = 0) -> Iterator[Block]:
        """Give all texts from number `start` on.

        A block ends at every multiple of `rows`, and earlier where texts are long.

        Raises:
            DataError: a record cannot be used.
        """
        records = text_records(self.path)
        number = sum(1 for _ in islice(records, start))
        for record in records:
            part = chain([record], _more(records, rows - number % rows - 1, _size(record)))
            texts = Corpus.from_records(
                part, name=str(self.path), folder=self.path.parent, start=number
            )
            yield Block(slice(number, number + len(texts)), texts, texts.ids)
            number += len(texts)

    @cached_property
    def source(self) -> Source:
        """What there is: everything is read and checked once.

        Raises:
            DataError: there are no texts, one cannot be used, or an id is used twice.
        """
        reading = Reading(self)
        for block in self.blocks():
            reading.add(block)
        return reading.source()


@dataclass(frozen=True)
class VectorStream:
    """The vectors of a file, or of a folder of shards.

    Attributes:
        file: Where they lie.
    """

    file: VectorFile

    @property
    def path(self) -> Path:
        """Where they lie."""
        return self.file.path

    @property
    def width(self) -> int:
        """Dimensions of a vector."""
        return self.file.shape[1]

    def __len__(self) -> int:
        return self.file.shape[0]

    def blocks(self, rows: int | None = None, start: int = 0) -> Iterator[Block]:
        """Give all vectors from number `start` on; a block ends at every multiple of `rows`.

        Raises:
            DataError: the file is damaged.
        """
        rows = rows or block_rows(self.width)
        held: list[tuple[np.ndarray, Sequence[str] | None]] = []
        number, missing = start, rows - start % rows
        for array, ids in self.file.parts(rows, start):
            while len(array):
                held.append((array[:missing], None if ids is None else ids[:missing]))
                array, ids = array[missing:], None if ids is None else ids[missing:]
                missing -= len(held[-1][0])
                if not missing:
                    yield _joined(held, number)
                    number, missing, held = number + sum(len(p) for p, _ in held), rows, []
        if held:
            yield _joined(held, number)

    def check_names(self) -> None:
        """Make sure that all ids are different.

        Raises:
            DataError: one is used twice.
        """
        names = Unique()
        for part in self.file.names():
            names.add(part)
        _check_unique(self.path, chain.from_iterable(self.file.names()), names)

    @cached_property
    def source(self) -> Source:
        """What there is: everything is read once.

        Raises:
            DataError: an id is used twice.
        """
        self.check_names()
        return Source(len(self), self.file.digest())


Stream = TextStream | VectorStream


def open_stream(path: str, *, vectors: bool) -> Stream:
    """Open documents to be read in parts.

    Args:
        path: A file of texts or of vectors, a BEIR folder, or a folder of shards.
        vectors: Whether there is no model that could encode texts.

    Raises:
        ConfigError: it cannot be read twice, or in parts.
        DataError: it is absent, empty, or of another kind.
    """
    if path == "-":
        raise ConfigError(
            "stdin can be read only once, and work in parts reads it twice: give a file instead"
        )
    if vectors:
        return VectorStream(open_vector_file(Path(path)))
    return TextStream(corpus_file(Path(path)))


class Reading:
    """What is learned of texts while all of them are read, once: their number, digest, and ids."""

    def __init__(self, stream: TextStream) -> None:
        """Begin to read a stream."""
        self._stream = stream
        self._digest = hashlib.sha256()
        self._names = Unique()
        self._documents = 0

    def add(self, block: Block) -> None:
        """Take the next block in."""
        assert isinstance(block.documents, Corpus)
        block.documents.add_to(self._digest)
        self._names.add(block.documents.ids)
        self._documents += len(block.documents)

    def source(self) -> Source:
        """Say what was read.

        Raises:
            DataError: there were no texts, or an id is used twice.
        """
        path = self._stream.path
        if not self._documents:
            raise DataError(f"{path} is empty: it must hold at least one text")
        again = (name for block in self._stream.blocks() for name in block.ids or ())
        _check_unique(path, again, self._names)
        return Source(self._documents, self._digest.hexdigest()[:32])


def _check_unique(path: Path, names: Iterator[str], seen: Unique) -> None:
    """Look again at names whose hashes occur twice."""
    repeated = seen.repeated()
    twice = first_repeated(names, repeated) if repeated else None
    if twice is not None:
        raise DataError(f"{path} uses the id {twice!r} twice: ids must be unique")


def _more(records: Iterator[Record], most: int, size: int) -> Iterator[Record]:
    """Go on with a block, unless it is full."""
    while most > 0 and size < _CHARACTERS and (record := next(records, None)) is not None:
        yield record
        most -= 1
        size += _size(record)


def _size(record: Record) -> int:
    return sum(len(value) for value in record.values() if isinstance(value, str))


def _joined(parts: list[tuple[np.ndarray, Sequence[str] | None]], number: int) -> Block:
    """Make one block of what lay apart."""
    arrays = [array for array, _ in parts]
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    ids = None if parts[0][1] is None else [name for _, names in parts for name in names or ()]
    return Block(slice(number, number + len(whole)), whole, ids)
