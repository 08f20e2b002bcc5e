"""Questions nobody asked: sentences of the documents, to judge by where there are no judgements."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array
from vecpress.stages import Encoder, Item

FEWEST = 64
"""Fewer sentences than these say nothing."""

_WORDS = 5  # of a sentence that can stand for a question
_CHARACTERS = 12  # of one in a script without spaces
_LONGEST = 60  # words of a sentence kept
# A full stop of any script, and what closes a quotation; or the end of a line.
_END = re.compile(
    "(?<=[.!?\u3002\uff01\uff1f\u061f\u0964])[\"'\u201d\u2019\u00bb)]*\\s+|(?<=[\u3002\uff01\uff1f])[\u300d\u300f\u201d\u2019]*|\n+"
)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Sentences, the documents they stood in, and what is left of those without them.

    Attributes:
        rows: Which document of the sample each sentence is from.
        texts: The sentences.
        remainders: The documents without them.
    """

    rows: tuple[int, ...]
    texts: tuple[str, ...]
    remainders: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, most: int) -> "Questions":
        """Keep at most the first of them, which are as good a draw as all."""
        return Questions(
            rows=self.rows[:most],
            texts=self.texts[:most],
            remainders=self.remainders[:most],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Probes:
    """Queries that stand for those of the users, and the documents that answer them.

    Attributes:
        queries: Unit rows.
        answers: One row of the sample's embeddings for each query.
    """

    queries: Float32[Array, "q d"]
    answers: Int64[Array, " q"]

    def first(self, most: int) -> "Probes":
        """Keep at most the first of them."""
        return Probes(queries=self.queries[:most], answers=self.answers[:most])


def draw_questions(documents: Sequence[Item], *, most: int = 2000, seed: int = 0) -> Questions:
    """Take a sentence from each of at most `most` documents that have several.

    There are none if fewer than `FEWEST` documents do: images, titles, keywords.
    """
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    texts: list[str] = []
    remainders: list[str] = []
    for row in rng.permutation(len(documents)):
        if len(rows) == most:
            break
        document = documents[row]
        parts = [] if not isinstance(document, str) else split_sentences(document)
        long = [i for i, part in enumerate(parts) if _asks_enough(part)]
        if len(parts) < 2 or not long:
            continue
        taken = int(rng.choice(long))
        rest = [part for part in parts if part != parts[taken]]  # a title may be a sentence too
        if not rest:
            continue
        rows.append(int(row))
        texts.append(" ".join(parts[taken].split()[:_LONGEST]))
        remainders.append(" ".join(rest))
    if len(rows) < FEWEST:
        return Questions(rows=(), texts=(), remainders=())
    return Questions(rows=tuple(rows), texts=tuple(texts), remainders=tuple(remainders))


def split_sentences(text: str) -> list[str]:
    """Cut a text after full stops, question and exclamation marks, and at line ends."""
    return [part.strip() for part in _END.split(text.strip()) if part and part.strip()]


def make_probes(questions: Questions, encoder: Encoder | None) -> Probes | None:
    """Encode questions as queries; None if there are none, or nothing to encode them with."""
    if encoder is None or not len(questions):
        return None
    queries = encoder.encode(questions.texts, role="query")
    return Probes(queries=queries, answers=np.array(questions.rows, np.int64))


def _asks_enough(sentence: str) -> bool:
    words = len(sentence.split())
    return words >= _WORDS or (words == 1 and len(sentence) >= _CHARACTERS)
