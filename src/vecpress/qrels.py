"""Which documents answer which queries: the judgements of a BEIR folder."""

from pathlib import Path

from vecpress.errors import DataError
from vecpress.lines import read_lines

Qrels = dict[str, dict[str, int]]
"""Judgements: query id -> document id -> relevance; what is not listed is not relevant."""


def read_qrels(folder: str | Path, *, split: str = "test") -> Qrels:
    """Read the judgements of one split of a BEIR folder.

    Raises:
        DataError: there are none, a line does not have query id, document id and an integer, or
            two lines disagree.
    """
    path = Path(folder) / "qrels" / f"{split}.tsv"
    if not path.exists():
        splits = sorted(p.stem for p in path.parent.glob("*.tsv"))
        there = f"; there is {', '.join(splits)}" if splits else ""
        raise DataError(f"{folder} has no judgements qrels/{split}.tsv{there}")
    qrels: Qrels = {}
    for number, line in enumerate(read_lines(path), start=1):
        query, document, score = [*line.split("\t"), "", ""][:3]
        is_judgement = line.count("\t") == 2 and _is_integer(score)
        if is_judgement:
            grade = int(float(score))
            if qrels.setdefault(query, {}).setdefault(document, grade) != grade:
                raise DataError(
                    f"line {number} of {path} judges document {document!r} for query {query!r} "
                    f"again, {grade} after {qrels[query][document]}: keep one"
                )
        elif line.strip() and number > 1:  # the first is the header, if it is no judgement
            raise DataError(
                f"line {number} of {path} must be: query id, tab, document id, tab, whole score; "
                f"got {line!r}"
            )
    if not qrels:
        raise DataError(f"{path} holds no judgements")
    return qrels


def _is_integer(score: str) -> bool:
    try:
        return float(score).is_integer()
    except ValueError:
        return False
