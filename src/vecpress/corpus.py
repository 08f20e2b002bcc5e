"""Texts and judgements from files: BEIR folders, .jsonl(.gz), .csv, .parquet, .txt."""

import csv
import gzip
import hashlib
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.errors import DataError

Qrels = dict[str, dict[str, int]]
"""Judgements: query id -> document id -> relevance; what is not listed is not relevant."""

_READABLE = "a BEIR folder, or a .jsonl, .jsonl.gz, .csv, .parquet or .txt file"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts and their ids, in one order: documents or queries.

    Attributes:
        ids: Unique names.
        texts: What is encoded; a document's title comes first.
        name: Where they came from, for messages.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    name: str = field(default="the corpus", compare=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.texts):
            counts = f"{len(self.ids)} ids and {len(self.texts)} texts"
            raise DataError(f"{self.name} needs one id per text, got {counts}")
        if not self.ids:
            raise DataError(f"{self.name} is empty: it must hold at least one text")
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i, count in Counter(self.ids).items() if count > 1)
            raise DataError(f"{self.name} uses the id {twice!r} twice: ids must be unique")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """Changes whenever an id or a text changes."""
        digest = hashlib.sha256()
        for pair in zip(self.ids, self.texts, strict=True):
            digest.update(json.dumps(pair).encode())
        return digest.hexdigest()[:32]

    @classmethod
    def from_records(
        cls, records: Iterable[Mapping[str, Any]], *, name: str = "the corpus"
    ) -> "Corpus":
        """Take `_id` (or `id`), `title` and `text` from mappings, such as the rows of a HF dataset.

        Records without an id are numbered from 0.

        Raises:
            DataError: a record has no text, or one that is not Unicode, or there are no records.
        """
        ids, texts = [], []
        for number, record in enumerate(records):
            text = record.get("text")
            if not isinstance(text, str):
                raise DataError(
                    f"record {number + 1} of {name} needs a string in the field 'text', got "
                    f"{text!r} among the fields {sorted(map(str, record))}"
                )
            title = record.get("title") or ""
            given = (record.get(key) for key in ("_id", "id"))
            ids.append(str(next((id_ for id_ in given if id_ is not None), number)))
            texts.append(f"{title} {text}".strip())
            if not _is_unicode(texts[-1]):
                raise DataError(
                    f"record {number + 1} of {name} holds half of a surrogate pair, which no model "
                    f"reads: remove it, got {texts[-1][:60]!r}"
                )
        return cls(ids=tuple(ids), texts=tuple(texts), name=name)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A corpus, queries, and judgements of which documents answer them."""

    name: str
    corpus: Corpus
    queries: Corpus
    qrels: Qrels

    def own_documents(self) -> frozenset[str]:
        """Find the queries that are documents of the corpus (ArguAna): same id and same text.

        Such a query's own document is no answer to it and must not be ranked. The document's
        title, which its text here begins with, may be missing from the query.
        """
        texts = dict(zip(self.corpus.ids, self.corpus.texts, strict=True))
        pairs = zip(self.queries.ids, self.queries.texts, strict=True)
        return frozenset(
            i for i, text in pairs if text and f" {texts.get(i, '')}".endswith(f" {text}")
        )


def read_corpus(path: str | Path) -> Corpus:
    """Read documents from a file, the corpus of a BEIR folder, or stdin (`-`).

    Raises:
        DataError: it is absent, empty, of another kind, or not what its name says.
    """
    if str(path) == "-":
        try:
            return Corpus.from_records(_lines_or_json(sys.stdin), name="stdin")
        except UnicodeDecodeError as error:
            raise DataError(f"stdin is not UTF-8 text ({error}): is it binary?") from error
    path = Path(path)
    if path.is_dir():
        return read_corpus(_inside(path, "corpus"))
    if not path.exists():
        raise DataError(f"{path} does not exist: give {_READABLE}")
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    readers = {"jsonl": _json_lines, "csv": _csv_rows, "parquet": _parquet_rows, "txt": _text_lines}
    if kind not in readers:
        raise DataError(f"cannot read texts from {path}: give {_READABLE}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: it must hold at least one text")
    try:
        return Corpus.from_records(readers[kind](path), name=str(path))
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not UTF-8 text ({error}): is it a binary file?") from error
    except csv.Error as error:
        raise DataError(f"{path} is not readable CSV ({error}): give .jsonl") from error


def read_benchmark(folder: str | Path, *, split: str = "test") -> Benchmark:
    """Read a BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.

    Only queries judged in the split are kept.

    Raises:
        DataError: a part is missing or damaged, or a judged query is not among the queries.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a BEIR folder (corpus.jsonl, queries.jsonl, qrels/)")
    qrels = read_qrels(folder, split=split)
    queries = read_corpus(_inside(folder, "queries"))
    unknown = qrels.keys() - set(queries.ids)
    if unknown:
        raise DataError(
            f"{folder}/qrels judges {len(unknown)} queries that are not among its queries, "
            f"such as {min(unknown)!r}"
        )
    kept = [(i, t) for i, t in zip(queries.ids, queries.texts, strict=True) if i in qrels]
    ids, texts = zip(*kept, strict=True)
    return Benchmark(
        name=folder.resolve().name,
        corpus=read_corpus(folder),
        queries=Corpus(ids=ids, texts=texts, name=queries.name),
        qrels=qrels,
    )


def read_qrels(folder: str | Path, *, split: str = "test") -> Qrels:
    """Read the judgements of one split of a BEIR folder.

    Raises:
        DataError: there are none, or a line does not have query id, document id and an integer.
    """
    path = Path(folder) / "qrels" / f"{split}.tsv"
    if not path.exists():
        splits = sorted(p.stem for p in path.parent.glob("*.tsv"))
        there = f"; there is {', '.join(splits)}" if splits else ""
        raise DataError(f"{folder} has no judgements qrels/{split}.tsv{there}")
    qrels: Qrels = {}
    try:
        lines = list(_lines(path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error}): is it a binary file?") from error
    for number, line in enumerate(lines, start=1):
        query, document, score = [*line.split("\t"), "", ""][:3]
        is_judgement = line.count("\t") == 2 and _is_integer(score)
        if is_judgement:
            qrels.setdefault(query, {})[document] = int(float(score))
        elif line.strip() and number > 1:  # the first is the header, if it is no judgement
            raise DataError(
                f"line {number} of {path} must be: query id, tab, document id, tab, whole score; "
                f"got {line!r}"
            )
    if not qrels:
        raise DataError(f"{path} holds no judgements")
    return qrels


def write_benchmark(folder: Path, benchmark: Benchmark, *, split: str = "test") -> None:
    """Write a BEIR folder into an existing folder."""
    for name, part in [("corpus", benchmark.corpus), ("queries", benchmark.queries)]:
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for id_, text in zip(part.ids, part.texts, strict=True):
                file.write(json.dumps({"_id": id_, "text": text}, ensure_ascii=False) + "\n")
    (folder / "qrels").mkdir(exist_ok=True)
    rows = [(q, d, s) for q, judged in benchmark.qrels.items() for d, s in judged.items()]
    with (folder / "qrels" / f"{split}.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"{q}\t{d}\t{s}\n" for q, d, s in rows)


def _inside(folder: Path, name: str) -> Path:
    for kind in (".jsonl", ".jsonl.gz", ".parquet"):
        if (folder / f"{name}{kind}").exists():
            return folder / f"{name}{kind}"
    raise DataError(f"{folder} has no {name}.jsonl: a BEIR folder holds corpus, queries and qrels/")


def _lines(path: Path) -> Iterator[str]:
    with _opened(path) as file:
        for line in file:
            yield line.rstrip("\r\n")


def _opened(path: Path, newline: str | None = None) -> TextIOWrapper:
    """Open a text file, packed or not, with or without the mark that Windows puts first."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_integer(score: str) -> bool:
    try:
        return float(score).is_integer()
    except ValueError:
        return False


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield _record(line, f"line {number} of {path}")


def _record(line: str, where: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON ({error}), got {line[:60]!r}") from error
    if not isinstance(record, dict):
        raise DataError(f"{where} must be a JSON object with a field 'text', got {line[:60]!r}")
    return record


def _text_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    return ({"text": line} for line in _lines(path) if line.strip())


def _csv_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with _opened(path, newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if None in row:
                raise DataError(
                    f"line {reader.line_num} of {path} has more fields than the header: put "
                    "quotes around texts with commas"
                )
            yield row


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    parquet = registry.require("pyarrow.parquet", extra="parquet")
    arrow = registry.require("pyarrow", extra="parquet")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file: {error}") from error


def _lines_or_json(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("{"):
            yield _record(line, f"line {number} of stdin")
        elif line.strip():
            yield {"text": line.rstrip("\r\n")}
