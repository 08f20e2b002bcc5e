"""How much of the float search a code keeps, judged without labels.

Sentences of the documents play the queries, being short as those of users are. Each should still
find the document that it finds in float, the ten that it finds in float, and the one that it was
taken from, where a code may even do better than the floats: the mean of the three is what counts.
Where there are no texts, documents play the queries, and there is no third. Where judged queries
are given, they count too, the more the more there are. How far this can be trusted, and what else
was tried, is measured in docs/experiments.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array
from vecpress.pseudo import Probes

DEPTH = 10
"""Ranks looked at."""

SEARCHED = 8192
"""Documents searched, at most."""

_ASKED = 1000  # documents that play queries
_PRIOR = 100  # judged queries that count as much as all that is asked without labels

Shorten = Callable[[Float32[Array, "n d"]], Float32[Array, "n e"]]
"""Turns embeddings into what queries are when they meet the codes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Queries of users, and which documents were judged to answer them.

    Attributes:
        queries: Unit rows.
        positives: Query and document of each judgement, as rows.
        grades: How well each answers; None means 1 for all.
    """

    queries: Float32[Array, "q d"]
    positives: Int64[Array, "p 2"]
    grades: Float32[Array, " p"] | None = None

    @property
    def number(self) -> int:
        """Queries that something answers."""
        query = self.positives[:, 0]
        return len(np.unique(query if self.grades is None else query[self.grades > 0]))

    def drawn(self, most: int, *, seed: int) -> "Judged":
        """Keep at most `most` queries, drawn at random."""
        kept = np.sort(np.random.default_rng(seed).permutation(len(self.queries))[:most])
        mine = np.isin(self.positives[:, 0], kept)
        rows = self.positives[mine].copy()
        rows[:, 0] = np.searchsorted(kept, rows[:, 0])
        grades = None if self.grades is None else self.grades[mine]
        return Judged(queries=self.queries[kept], positives=rows, grades=grades)

    def ndcg(self, scores: Float32[Array, "q n"]) -> float:
        """Average nDCG@10 with linear gains over the queries that have an answer."""
        query, document = self.positives.T
        grades = np.ones(len(query)) if self.grades is None else np.maximum(self.grades, 0)
        mine = scores[query, document]
        ranks = (_top(scores)[query] >= mine[:, None]).sum(axis=1)
        earned = np.bincount(
            query, np.where(ranks <= DEPTH, grades / np.log2(ranks + 1), 0), len(scores)
        )
        order = np.lexsort((-grades, query))
        starts = np.searchsorted(query[order], np.arange(len(scores)))
        place = np.arange(len(query)) - starts[query[order]]
        best = np.where(place < DEPTH, grades[order] / np.log2(place + 2), 0)
        ideal = np.bincount(query[order], best, len(scores))
        return float((earned[ideal > 0] / ideal[ideal > 0]).mean()) if (ideal > 0).any() else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Proxy:
    """What is searched, by whom, and what the floats find.

    Attributes:
        documents: Unit rows that are searched.
        asking: Which of them play queries.
        probes: Sentences of documents, and where they are from; None where there are no texts.
        found: The ten documents that each query finds in float, best first.
        judged: Queries of users; None where none were judged.
        floats: What the floats score where the answer is known: `source` and `judged`.
    """

    documents: Float32[Array, "n d"]
    asking: Int64[Array, " a"]
    probes: Probes | None
    found: Int64[Array, "q k"]
    judged: Judged | None
    floats: Mapping[str, float]

    @classmethod
    def of(
        cls,
        documents: Float32[Array, "n d"],
        *,
        probes: Probes | None = None,
        judged: Judged | None = None,
        seed: int = 0,
    ) -> "Proxy":
        """Search in float; probes and judgements name rows of `documents`."""
        asking = np.random.default_rng(seed).permutation(len(documents))[:_ASKED]
        floats: dict[str, float] = {}
        if probes is None:
            scores = _without_self(documents[asking] @ documents.T, asking)
        else:
            scores = probes.queries @ documents.T
            floats["source"] = reciprocal_rank(scores, probes.answers)
        if judged is not None:
            floats["judged"] = judged.ndcg(judged.queries @ documents.T)
        return cls(
            documents=documents,
            asking=asking,
            probes=probes,
            found=_best(scores, min(DEPTH, len(documents) - 1)),
            judged=judged,
            floats=floats,
        )

    def kept(self, decoded: Float32[Array, "n e"], shorten: Shorten) -> dict[str, float]:
        """Search decoded documents.

        Args:
            decoded: What the codes of `documents` stand for, unit rows.
            shorten: The head.

        Returns:
            `first`, `ten`, and perhaps `source` and `judged`; 1 is as good as the floats.
        """
        if self.probes is None:
            asked = shorten(self.documents[self.asking])
            scores = _without_self(asked @ decoded.T, self.asking)
        else:
            scores = shorten(self.probes.queries) @ decoded.T
        kept = {
            "first": reciprocal_rank(scores, self.found[:, 0]),
            "ten": agreement(scores, self.found),
        }
        if self.probes is not None:
            kept["source"] = reciprocal_rank(scores, self.probes.answers)
        if self.judged is not None:
            kept["judged"] = self.judged.ndcg(shorten(self.judged.queries) @ decoded.T)
        worth = {name: value for name, value in self.floats.items() if value > 0}
        return {name: value / worth.get(name, 1.0) for name, value in kept.items()}

    def mean(self, kept: Mapping[str, float]) -> float:
        """Weigh what was kept: judged queries by their number, against that of a fixed prior."""
        free = [value for name, value in kept.items() if name != "judged"]
        mean = sum(free) / len(free)
        if self.judged is None:
            return mean
        number = self.judged.number
        return (_PRIOR * mean + number * kept["judged"]) / (_PRIOR + number)


def reciprocal_rank(scores: Float32[Array, "q n"], answers: Int64[Array, " q"]) -> float:
    """Average the reciprocal rank of each query's answer, 0 below rank 10.

    Among equal scores the answer counts as the last: a code that cannot tell documents apart earns
    nothing by it.
    """
    ranks = _ranks(scores, answers[:, None])
    return float(np.where(ranks <= DEPTH, 1 / ranks, 0.0).mean())


def agreement(scores: Float32[Array, "q n"], wanted: Int64[Array, "q k"]) -> float:
    """Average nDCG@10, where the wanted have gains k, k - 1, ..., 1; of equal scores the last."""
    depth = wanted.shape[1]
    gains = np.arange(depth, 0, -1, dtype=np.float64)
    ranks = _ranks(scores, wanted)
    earned = np.where(ranks <= DEPTH, gains / np.log2(ranks + 1), 0).sum(axis=1)
    return float((earned / (gains / np.log2(np.arange(depth) + 2)).sum()).mean())


def _ranks(scores: Float32[Array, "q n"], wanted: Int64[Array, "q k"]) -> Int64[Array, "q k"]:
    """Rank the wanted, of equal scores as the last; whatever is below rank 10 gets 11."""
    mine = np.take_along_axis(scores, wanted, axis=1)
    return (_top(scores)[:, None, :] >= mine[:, :, None]).sum(axis=2)


def _top(scores: Float32[Array, "q n"]) -> Float32[Array, "q k"]:
    """Keep the eleven greatest scores of each query, in no order: enough to rank down to 10."""
    if scores.shape[1] <= DEPTH + 1:
        return scores
    return np.partition(scores, -(DEPTH + 1), axis=1)[:, -(DEPTH + 1) :]


def _best(scores: Float32[Array, "q n"], depth: int) -> Int64[Array, "q k"]:
    """Give the columns of the greatest scores, greatest first."""
    some = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _without_self(
    scores: Float32[Array, "a n"], asking: Int64[Array, " a"]
) -> Float32[Array, "a n"]:
    """Let no document find itself."""
    scores[np.arange(len(asking)), asking] = -np.inf
    return scores
