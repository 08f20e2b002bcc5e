"""Rows of a file as mappings: .jsonl, .csv, .tsv (each also .gz), .parquet."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.errors import DataError
from vecpress.lines import read_lines

Record = Mapping[str, Any]

READABLE = ".jsonl(.gz), .csv, .tsv or .parquet"


def read_records(path: Path) -> Iterator[Record]:
    """Give each row of a table under the names of its columns; empty lines do not count.

    Raises:
        DataError: the file is absent, empty, of another kind, or not what its name says.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    readers = {
        "jsonl": _json_lines,
        "csv": partial(_csv_rows, delimiter=","),
        "tsv": partial(_csv_rows, delimiter="\t"),
        "parquet": _parquet_rows,
    }
    if not path.is_file():
        raise DataError(f"{path} is not a file: give {READABLE}")
    if kind not in readers:
        raise DataError(f"cannot read rows from {path}: give {READABLE}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: it must hold at least one row")
    try:
        yield from readers[kind](path)
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not UTF-8 text ({error}): is it a binary file?") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a readable table ({error}): give .jsonl") from error


def text_lines(path: Path) -> Iterator[Record]:
    """Give each line of a file of texts; empty ones do not count.

    Raises:
        DataError: it is not UTF-8 text, or not packed as its name says.
    """
    return ({"text": line} for line in read_lines(path) if line.strip())


def lines_or_json(lines: Iterable[str]) -> Iterator[Record]:
    """Take each line from stdin as a JSON object if it begins like one, else as a text.

    Raises:
        DataError: it begins like one, and is none.
    """
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                where = f"line {number} of stdin"
                raise DataError(f"{where} is not JSON ({error}), got {line[:60]!r}") from error
        elif line.strip():
            yield {"text": line.rstrip("\r\n")}


def _opened(path: Path, newline: str | None = None) -> TextIOWrapper:
    """Open a text file, packed or not, with or without the mark that Windows puts first."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def _json_lines(path: Path) -> Iterator[Record]:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_object(line.rstrip("\r\n"), f"line {number} of {path}")


def _json_object(line: str, where: str) -> Record:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON ({error}), got {line[:60]!r}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where} must be a JSON object, got {line[:60]!r}")
    return record


def _csv_rows(path: Path, delimiter: str) -> Iterator[Record]:
    with _opened(path, newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        for row in reader:
            if None in row:
                raise DataError(
                    f"line {reader.line_num} of {path} has more fields than the header: put "
                    "quotes around texts with commas or tabs"
                )
            if delimiter == "\t" and any("\n" in (field or "") for field in row.values()):
                raise DataError(
                    f"line {reader.line_num} of {path} ends a field that a quotation mark opened "
                    "on an earlier line: take the mark out, or give .jsonl"
                )
            yield row


def _parquet_rows(path: Path) -> Iterator[Record]:
    parquet = registry.require("pyarrow.parquet", extra="parquet")
    arrow = registry.require("pyarrow", extra="parquet")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file: {error}") from error
