"""Judged pairs that a head may learn from: what judgements name, as rows of the corpus."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, as_embeddings
from vecpress.corpus import Corpus, read_corpus
from vecpress.encoders.precomputed import Vectors
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.judgements import Judgement, read_judgements
from vecpress.stages import Item
from vecpress.strings import Numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Queries, and how well documents of the corpus answer them.

    Attributes:
        queries: Texts, or vectors of the model that made the documents' vectors.
        rows: Query and document of each judgement, as row numbers (p, 2); no pair twice.
        grades: How well the document answers, from 0 for not at all: float32, (p,).
        skipped: Judgements left out because their document is not in the corpus.
        shared: Queries left out by `without`.
        name: Where they came from, for messages.
    """

    queries: Corpus | Array
    rows: Array
    grades: Array
    skipped: int = 0
    shared: int = 0
    name: str = "the judgements"

    def __post_init__(self) -> None:
        if self.rows.shape != (len(self.grades), 2) or self.rows.dtype.kind != "i":
            raise ShapeError(
                f"{self.name} need one row of two whole numbers (query, document) per grade, got "
                f"{self.rows.dtype} of shape {self.rows.shape} and {len(self.grades)} grades"
            )
        if len(np.unique(self.rows, axis=0)) != len(self.rows):
            raise DataError(f"{self.name} hold a pair of query and document twice: keep one")
        if not (np.isfinite(self.grades) & (self.grades >= 0)).all():
            raise DataError(f"{self.name} must have finite grades of at least 0")
        if not (self.grades > 0).any():
            raise DataError(
                f"{self.name} hold no score above 0, so there is nothing to learn from them: give "
                "documents that answer the queries"
            )
        asked = self.rows[:, 0]
        if asked.min() < 0 or asked.max() >= len(self.queries):
            raise DataError(
                f"{self.name} ask with the queries {asked.min()} to {asked.max()}, but there are "
                f"{len(self.queries)}"
            )

    def __len__(self) -> int:
        return len(self.grades)

    @property
    def digest(self) -> str:
        """Changes whenever a query, a pair or a grade changes."""
        digest = hashlib.sha256()
        if isinstance(self.queries, Corpus):
            digest.update(self.queries.digest.encode())
        else:
            digest.update(np.ascontiguousarray(self.queries).tobytes())
        digest.update(self.rows.tobytes() + self.grades.tobytes())
        return digest.hexdigest()[:32]

    def record(self) -> dict[str, Any]:
        """Count them, as plain values."""
        return {
            "judgements": len(self),
            "queries": len(self.queries),
            "documents": len(np.unique(self.rows[:, 1])),
            "skipped": self.skipped,
            "shared": self.shared,
            "digest": self.digest,
        }

    def without(self, texts: Sequence[Item]) -> "Pairs":
        """Leave out the queries with one of these texts, such as those that will be scored.

        Raises:
            DataError: no query is left.
        """
        assert isinstance(self.queries, Corpus)
        scored = set(texts)
        kept = [row for row, text in enumerate(self.queries.texts) if text not in scored]
        if not kept:
            raise DataError(
                f"every query of {self.name} is among those that are scored: nothing may be "
                "learned from them"
            )
        old, ids = self.queries, self.queries.ids
        queries = replace(
            old, ids=tuple(ids[i] for i in kept), texts=tuple(old.texts[i] for i in kept)
        )
        chosen = np.isin(self.rows[:, 0], kept)
        rows = self.rows[chosen].copy()
        rows[:, 0] = np.searchsorted(kept, rows[:, 0])
        shared = self.shared + len(old) - len(kept)
        return replace(self, queries=queries, rows=rows, grades=self.grades[chosen], shared=shared)


def read_pairs(
    path: str | Path,
    documents: Corpus | Vectors | Array,
    *,
    split: str = "train",
    queries: Vectors | Array | None = None,
) -> Pairs:
    """Read judgements of a corpus.

    In a BEIR folder they are `qrels/SPLIT.tsv`, of queries in `queries.jsonl`. In a file each row
    has a `query` (the text), a `document` (its id, or its exact text, which judges every document
    that has this text) and perhaps a `score` (1 if no row has one). Scores are kept as grades;
    those below 0 count as 0. The same judgement twice counts once.

    Of vectors, a row names query and document by id, or by row number in a file without ids. A
    folder's judgements name the documents by id too, or, if the vectors have none, in the order of
    its corpus; query vectors without ids are those of the queries judged in the split, in the order
    of `queries.jsonl`.

    Judgements of documents that are not in the corpus are counted in `skipped`.

    Args:
        path: What to read.
        documents: What will be fitted on.
        split: Which judgements of a BEIR folder.
        queries: Vectors of the queries, if and only if the documents are vectors.

    Raises:
        ConfigError: vectors of queries are missing, or too many.
        DataError: the file is absent or damaged, contradicts itself, asks an unknown or an empty
            query, or judges no document of the corpus.
    """
    path = Path(path)
    if isinstance(documents, Corpus) and queries is not None:
        raise ConfigError(
            "the models that encode the documents encode the queries too: leave their vectors out"
        )
    if not isinstance(documents, Corpus) and queries is None:
        raise ConfigError(
            "documents given as vectors need their queries as vectors too: --queries queries.npy"
        )
    name = f"{path}/qrels/{split}.tsv" if path.is_dir() else str(path)
    judged = read_judgements(path, split=split)
    asked, grades, skipped = _resolve(judged, _document_finder(documents, path), name)
    if queries is None:
        found = _texts(path, asked)
    else:
        found = _vectors(path, asked, judged, _named(queries))
    with np.errstate(over="ignore"):  # what is infinite in float32 is refused with a sentence
        scores = np.array(list(grades.values())).astype(np.float32)
    return Pairs(
        queries=found,
        rows=np.array(list(grades), np.int64),
        grades=scores,
        skipped=skipped,
        name=name,
    )


def _named(vectors: Vectors | Array) -> Vectors:
    return vectors if isinstance(vectors, Vectors) else Vectors(vectors, Numbers(len(vectors)))


def _resolve(
    judged: Sequence[Judgement], find: Callable[[str], Sequence[int]], name: str
) -> tuple[list[str], dict[tuple[int, int], float], int]:
    """Give the queries asked, the grade of each pair of rows, and how many had no document."""
    asked: dict[str, int] = {}
    grades: dict[tuple[int, int], float] = {}
    skipped = 0
    for query, document, grade, where in judged:
        rows = find(document)
        skipped += not rows
        for row in rows:
            pair = (asked.setdefault(query, len(asked)), row)
            if grades.setdefault(pair, grade) != grade:
                raise DataError(
                    f"{where} grades the document {document[:60]!r} with {grade:g} for the query "
                    f"{query[:60]!r}, and an earlier record with {grades[pair]:g}: keep one of them"
                )
    if not grades:
        raise DataError(
            f"none of the {len(judged)} judgements in {name} is of a document in the corpus, such "
            f"as {judged[0].document[:60]!r}: give the corpus that was judged, under the same ids"
        )
    return list(asked), grades, skipped


def _document_finder(
    documents: Corpus | Vectors | Array, path: Path
) -> Callable[[str], Sequence[int]]:
    """Look documents up: by id; by text in rows of texts; by the folder's order in bare vectors."""
    if isinstance(documents, Corpus):
        by_text: dict[str, list[int]] = {}
        if not path.is_dir():
            for row, text in enumerate(documents.texts):
                by_text.setdefault(str(text), []).append(row)
        by_id = _finder(documents.ids)
        return lambda name: by_text.get(name, ()) if (row := by_id(name)) is None else (row,)
    array, ids = _named(documents)
    if path.is_dir() and isinstance(ids, Numbers):
        ids = read_corpus(path).ids
        if len(ids) != len(array):
            raise DataError(
                f"{path} has {len(ids)} documents, got {len(array)} vectors: give one per line of "
                "its corpus, in the same order"
            )
    by_id = _finder(ids)
    return lambda name: () if (row := by_id(name)) is None else (row,)


def _finder(ids: Sequence[str]) -> Callable[[str], int | None]:
    """Look rows up by id, or by number where they have none."""
    if not isinstance(ids, Numbers):
        return {name: row for row, name in enumerate(ids)}.get
    count = len(ids)

    def find(name: str) -> int | None:
        is_row = name.isascii() and name.isdecimal() and len(name) <= len(str(count))
        return int(name) if is_row and int(name) < count else None

    return find


def _texts(path: Path, asked: Sequence[str]) -> Corpus:
    """Give the texts of the queries: what the rows say, or what the folder's ids stand for."""
    if not path.is_dir():
        return Corpus(ids=tuple(map(str, range(len(asked)))), texts=tuple(asked), name=str(path))
    queries = _queries_of(path)
    texts = dict(zip(queries.ids, queries.texts, strict=True))
    for name in asked:
        if name not in texts:
            raise DataError(f"{path}/qrels judges the query {name!r}, which is not in its queries")
        if not str(texts[name]).strip():
            raise DataError(f"the query {name!r} of {path} is empty: fill it in, or remove it")
    return Corpus(ids=tuple(asked), texts=tuple(texts[name] for name in asked), name=queries.name)


def _vectors(
    path: Path, asked: Sequence[str], judged: Sequence[Judgement], queries: Vectors
) -> Float32[Array, "m d"]:
    """Give the unit vectors of the queries asked; only these rows are read."""
    array, ids = queries
    if path.is_dir() and isinstance(ids, Numbers):
        in_split = {judgement.query for judgement in judged}
        ids = [name for name in _queries_of(path).ids if name in in_split]
        if len(ids) != len(array):
            raise DataError(
                f"{path} has {len(ids)} judged queries, got {len(array)} vectors: give one per "
                "query judged in the split, in the order of its queries"
            )
    find = _finder(ids)
    rows = np.empty(len(asked), np.int64)
    for i, name in enumerate(asked):
        row = find(name)
        if row is None:
            raise DataError(
                f"{path} asks the query {name[:60]!r}, which is not among the {len(array)} query "
                "vectors: name queries by the ids of that file, or by row number if it has none"
            )
        rows[i] = row
    return as_embeddings(np.asarray(array[rows]), name="the query vectors", taken=rows)


def _queries_of(folder: Path) -> Corpus:
    kinds = (".jsonl", ".jsonl.gz", ".parquet")
    found = [p for kind in kinds if (p := folder / f"queries{kind}").exists()]
    return read_corpus(found[0] if found else folder / "queries.jsonl")
