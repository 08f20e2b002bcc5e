"""Judgements as files have them: a BEIR folder, or rows of query, document and score."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vecpress.errors import DataError
from vecpress.qrels import read_qrels
from vecpress.records import READABLE, Record, read_records


class Judgement(NamedTuple):
    """How well a document answers a query, both by the names they have in the file.

    Attributes:
        query: An id, or in rows of texts the text.
        document: An id, or a text.
        grade: 0 for not at all.
        where: It stands, for messages.
    """

    query: str
    document: str
    grade: float
    where: str


def read_judgements(path: Path, *, split: str) -> Sequence[Judgement]:
    """Read the judgements of a folder's split, or all of a file; scores below 0 count as 0.

    Raises:
        DataError: there are none, or one lacks a name, or a score that others have.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: give a BEIR folder, or a {READABLE} file")
    return list(_of_folder(path, split) if path.is_dir() else _of_rows(path))


def _of_folder(folder: Path, split: str) -> Iterator[Judgement]:
    for query, documents in read_qrels(folder, split=split).items():
        for document, score in documents.items():
            yield Judgement(query, document, float(max(score, 0)), f"{folder}/qrels/{split}.tsv")


def _of_rows(path: Path) -> Iterator[Judgement]:
    records = list(read_records(path))
    if not records:
        raise DataError(f"{path} holds no judgements")
    has_scores = any(_is_given(record.get("score")) for record in records)
    for number, record in enumerate(records, start=1):
        where = f"record {number} of {path}"
        query, document = (_word(record, field, where) for field in ("query", "document"))
        grade = _grade(record.get("score"), where) if has_scores else 1.0
        yield Judgement(query, document, max(grade, 0.0), where)


def _is_given(value: object) -> bool:
    return value is not None and value != ""


def _word(record: Record, field: str, where: str) -> str:
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(
            f"{where} needs the fields 'query' and 'document', and 'score' if they are graded; got "
            f"{value!r} as {field!r} among the fields {sorted(map(str, record))}"
        )
    if not str(value).strip():
        raise DataError(f"{where} has an empty {field}: fill it in, or remove the record")
    return str(value)


def _grade(score: Any, where: str) -> float:
    if not _is_given(score):
        raise DataError(f"{where} has no score, but others have: give one to all, or to none")
    try:
        grade = float(score)
    except (TypeError, ValueError):
        grade = math.nan
    if not math.isfinite(grade):
        raise DataError(f"the score of {where} must be a finite number, got {score!r}")
    return grade
