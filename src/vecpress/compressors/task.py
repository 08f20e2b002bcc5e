"""What the adaptors learn from: stored embeddings on a device, their judgements, a held-out part.

Shared by every method that trains on documents, on judged queries, or on both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError
from vecpress.losses import normalize
from vecpress.stages import TrainingSet
from vecpress.training import as_tensor

Maps = Callable[[Tensor], Sequence[Tensor]]
"""Embeddings to what each width being trained makes of them."""

RANKS = 10
_SEARCHED = 8192  # documents that held-out queries search in, beside those judged for them
_MOST_QUERIES = 2000  # held-out queries
_MOST_CASES = 500  # held-out documents that play queries where there are none
_DRAWN = 4  # answers of each query that a step sees
_MINED = 50  # other documents nearest to a query, among which hard negatives are drawn


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranked:
    """Queries of a batch, candidates for them, and how well each answers.

    Attributes:
        queries: Rows of the training queries.
        candidates: Rows of the documents.
        grades: One row per query, one column per candidate.
        drawn: The candidates drawn as answers of that very query.
    """

    queries: Int64[Tensor, " q"]
    candidates: Int64[Tensor, " c"]
    grades: Float[Tensor, "q c"]
    drawn: Bool[Tensor, "q c"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A batch: rows of the documents to keep the shape of, and queries to rank for, or None."""

    documents: Int64[Tensor, " n"]
    ranked: Ranked | None


class Task:
    """Embeddings and judgements of a training set, split into what teaches and what judges.

    With judgements, `share` of the queries judge and all documents teach; queries are split whole,
    never their pairs. Under `held_out_by="document"` queries that share an answer stay together, so
    what judges are answers that no learning query has. Without judgements, documents that play
    queries judge.

    Attributes:
        documents: On the device.
        queries: On the device, or None.
        sample: Rows of documents that stand for all.
    """

    def __init__(
        self,
        training: TrainingSet,
        *,
        share: float,
        held_out_by: str,
        negatives: int,
        seed: int,
        device: torch.device,
    ) -> None:
        n = len(training.documents)
        if n < 4:
            raise ConfigError(f"a trained head needs at least 4 embeddings, got {n}")
        self.training, self.seed = training, seed
        self.rng = np.random.default_rng(seed)
        self.negatives = negatives
        self.device = device
        self.documents = as_tensor(training.documents, device)
        self.queries = None
        self.answers: dict[int, dict[int, float]] = {}
        self.supervised = training.is_supervised
        self.teachers = np.arange(n)
        self.sample = np.sort(np.random.default_rng(seed).permutation(n)[:_SEARCHED])
        if self.supervised:
            assert training.queries is not None
            self.queries = as_tensor(training.queries, device)
            self.answers = _answers(training)
            self.learners, held_out = self._split_queries(share, held_out_by)
            self._judge_by_queries(held_out)
            self._mine()
        else:
            self._judge_by_documents(share)

    def _split_queries(self, share: float, by: str) -> tuple[Array, Array]:
        """Give the queries that teach and those that judge."""
        asked = sorted(self.answers)
        if len(asked) < 2:
            raise ConfigError(
                "training on judgements needs at least 2 queries that a document answers, so that "
                f"one can judge, got {len(asked)}: give more, or train without them"
            )
        wanted = min(max(1, round(len(asked) * share)), len(asked) - 1, _MOST_QUERIES)
        groups = _together(self.answers) if by == "document" else [[query] for query in asked]
        held_out: list[int] = []
        for group in self.rng.permutation(len(groups)):
            if len(held_out) + len(groups[group]) <= wanted:
                held_out += groups[group]
        if not held_out and len(groups) > 1:
            held_out = min(groups, key=len)
        if not held_out:
            raise ConfigError(
                f"the {len(asked)} queries hang together by shared answers, so none can be held "
                "out by document: set held_out_by = 'query'"
            )
        return np.setdiff1d(asked, held_out), np.sort(held_out)

    def _judge_by_queries(self, held_out: Array) -> None:
        assert self.queries is not None
        judged = {document for query in held_out for document in self.answers[int(query)]}
        others = self.rng.permutation(len(self.documents))[:_SEARCHED]
        self.searched = np.union1d(others, list(judged))
        place = {int(row): i for i, row in enumerate(self.searched)}
        gains = np.zeros((len(held_out), len(self.searched)), np.float32)
        for i, query in enumerate(held_out):
            for document, grade in self.answers[int(query)].items():
                gains[i, place[document]] = max(grade, 0)
        self.figure = f"held-out nDCG@{RANKS}"
        self._gains = torch.from_numpy(gains).to(self.device)
        self._asking = self.queries[torch.from_numpy(held_out).to(self.device)]

    def _judge_by_documents(self, share: float) -> None:
        """Hold out documents; the ten nearest others are what they should find."""
        n = len(self.documents)
        order = self.rng.permutation(n)
        cases = min(max(1, round(n * share)), _MOST_CASES, n - 3)
        self.teachers = np.sort(order[cases:])
        self.searched = np.sort(order[cases:][:_SEARCHED])
        self._asking = self.documents[self._rows(order[:cases])]
        scores = self._asking @ self.documents[self._rows(self.searched)].T
        k = min(RANKS, len(self.searched))
        nearest = scores.topk(k).indices
        gains = torch.arange(k, 0, -1, dtype=torch.float32, device=self.device)
        self._gains = torch.zeros_like(scores).scatter_(1, nearest, gains.expand(cases, k))
        self.figure = f"held-out agreement@{RANKS}"

    def _mine(self) -> None:
        """Find the documents nearest to each learning query, in float, that do not answer it."""
        assert self.queries is not None
        most = max(len(_good(self.answers[int(query)])) for query in self.learners)
        k = min(_MINED + most, len(self.documents))
        self.hard: dict[int, Array] = {}
        for rows in blocks(len(self.learners), 512):
            asked = self.queries[self._rows(self.learners[rows])]
            nearest = (asked @ self.documents.T).topk(k).indices.cpu().numpy()
            for query, found in zip(self.learners[rows], nearest, strict=True):
                good = _good(self.answers[int(query)])
                self.hard[int(query)] = found[~np.isin(found, good)][:_MINED]

    def judge(self, maps: Maps) -> Float64[Array, " cases"]:
        """Give nDCG@10 for each held-out case, averaged over the widths of `maps`."""
        documents = maps(self.documents[self._rows(self.searched)])
        scores = [
            _ndcg(normalize(asked) @ normalize(kept).T, self._gains)
            for asked, kept in zip(maps(self._asking), documents, strict=True)
        ]
        return torch.stack(scores).mean(dim=0).double().cpu().numpy()

    def batches(self, size: int, *, documents: bool = True) -> Iterator[Step]:
        """Go once through the longer of documents and learning queries, and round the other."""
        shares: list[Array] = []
        if documents:
            order = self.rng.permutation(self.teachers)
            # A rest of one document makes no pair.
            shares = [
                order[rows] for rows in blocks(len(order), size) if rows.stop - rows.start > 1
            ]
        queries: list[Array] = []
        if self.supervised:
            order = self.rng.permutation(self.learners)
            queries = [order[rows] for rows in blocks(len(order), size)]
        steps = max(len(shares), len(queries))
        none = np.empty(0, np.int64)
        for rows, asked in zip(
            islice(cycle(shares or [none]), steps), islice(cycle(queries or [none]), steps),
            strict=True,
        ):  # fmt: skip
            ranked = self._ranked(asked) if len(asked) else None
            yield Step(documents=self._rows(rows), ranked=ranked)

    def _ranked(self, queries: Array) -> Ranked:
        """Put some answers and some hard negatives of every query of a batch side by side."""
        own, hard = [], []
        for query in map(int, queries):
            own.append(self.rng.permutation(_good(self.answers[query]))[:_DRAWN])
            hard.append(self.rng.permutation(self.hard[query])[: self.negatives])
        rows = np.unique(np.concatenate([*own, *hard]).astype(np.int64))
        place = {int(row): i for i, row in enumerate(rows)}
        grades = np.zeros((len(queries), len(rows)), np.float32)
        drawn = np.zeros((len(queries), len(rows)), bool)
        for i, (query, answers) in enumerate(zip(map(int, queries), own, strict=True)):
            drawn[i, [place[int(document)] for document in answers]] = True
            for document in self.answers[query].keys() & place.keys():
                grades[i, place[document]] = self.answers[query][document]
        return Ranked(
            queries=self._rows(queries),
            candidates=self._rows(rows),
            grades=torch.from_numpy(grades).to(self.device),
            drawn=torch.from_numpy(drawn).to(self.device),
        )

    def neighbours(self, k: int) -> tuple[Int64[Tensor, "n k"], Float[Tensor, "n k"]]:
        """Find each document's k nearest others among those that teach: rows and cosines.

        At most as many as there are teachers; where there are fewer, the row 0 and -inf.
        """
        teachers = self._rows(self.teachers)
        known = self.documents[teachers]
        found = []
        for rows in blocks(len(self.documents), 1024):
            scores = self.documents[rows] @ known.T
            own = torch.arange(rows.start, rows.stop, device=self.device)
            scores.masked_fill_(own[:, None] == teachers[None, :], -torch.inf)
            best = scores.topk(min(k, len(teachers)))
            rows_found = torch.where(best.values.isfinite(), teachers[best.indices], 0)
            found.append((rows_found, best.values))
        near, cosine = (torch.cat(parts) for parts in zip(*found, strict=True))
        return near, cosine

    def _rows(self, rows: Array) -> Int64[Tensor, " n"]:
        return torch.from_numpy(np.ascontiguousarray(rows, np.int64)).to(self.device)


def prefixes(outputs: Float[Tensor, "n w"], widths: Sequence[int]) -> list[Tensor]:
    """Cut outputs to each width."""
    return [outputs[:, :width] for width in widths]


def _answers(training: TrainingSet) -> dict[int, dict[int, float]]:
    """Give the grade of each judged document, for queries that at least one document answers."""
    assert training.positives is not None
    grades = np.ones(len(training.positives)) if training.grades is None else training.grades
    answers: dict[int, dict[int, float]] = {}
    for (query, document), grade in zip(training.positives, grades, strict=True):
        answers.setdefault(int(query), {})[int(document)] = max(float(grade), 0.0)
    return {query: judged for query, judged in answers.items() if max(judged.values()) > 0}


def _good(judged: dict[int, float]) -> list[int]:
    """List the documents that answer a query."""
    return [document for document, grade in judged.items() if grade > 0]


def _together(answers: dict[int, dict[int, float]]) -> list[list[int]]:
    """Group queries that share an answer, directly or through others."""
    leader: dict[int, int] = {}

    def find(document: int) -> int:
        while leader.setdefault(document, document) != document:
            leader[document] = leader[leader[document]]
            document = leader[document]
        return document

    first = {}
    for query, judged in answers.items():
        first[query], *rest = (document for document, grade in judged.items() if grade > 0)
        for document in rest:
            leader[find(document)] = find(first[query])
    groups: dict[int, list[int]] = {}
    for query, answer in first.items():
        groups.setdefault(find(answer), []).append(query)
    return list(groups.values())


def _ndcg(scores: Float[Tensor, "q n"], gains: Float[Tensor, "q n"]) -> Float[Tensor, " q"]:
    """Give nDCG@10 with linear gains, as `vecpress.evaluate` does; NaN where a score is none."""
    k = min(RANKS, scores.shape[1])
    discounts = 1 / torch.arange(2, k + 2, dtype=scores.dtype, device=scores.device).log2()
    found = gains.gather(1, scores.topk(k).indices) @ discounts
    ideal = gains.topk(k).values @ discounts
    return torch.where(scores.isfinite().all(dim=1), found / ideal, torch.nan)
