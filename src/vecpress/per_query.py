"""nDCG@10 query by query: who wins and who loses when embeddings become codes."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from vecpress.entries import Entry, Result, number

MOST = 1000
"""Queries drawn in one scatter; of more, as many evenly spaced ones."""


class Paired(NamedTuple):
    """nDCG@10 of the same queries with the raw concatenation and with codes."""

    raw: list[float]
    codes: list[float]

    @property
    def shares(self) -> tuple[float, float, float]:
        """Give the shares of queries that codes make better, leave equal, and make worse."""
        pairs = list(zip(self.raw, self.codes, strict=True))
        better = sum(code > raw for raw, code in pairs)
        equal = sum(code == raw for raw, code in pairs)
        worse = len(pairs) - better - equal
        return better / len(pairs), equal / len(pairs), worse / len(pairs)

    @property
    def worst_tenth(self) -> float:
        """Average the loss over the tenth of queries that lose most, at least one."""
        losses = sorted((raw - code for raw, code in zip(*self, strict=True)), reverse=True)
        return fmean(losses[: math.ceil(len(losses) / 10)])

    @property
    def drawn(self) -> list[tuple[float, float]]:
        """Draw at most `MOST` pairs, evenly."""
        pairs = list(zip(self.raw, self.codes, strict=True))
        if len(pairs) <= MOST:
            return pairs
        return [pairs[i * len(pairs) // MOST] for i in range(MOST)]


def has_queries(result: Result) -> bool:
    """Say whether a result tells of single queries."""
    return bool(result.get("per_query"))


def paired(entry: Entry, raw: Entry | None) -> list[Paired]:
    """Pair each run with the raw concatenation's, of its own seed if there is one.

    Runs are left out that have no such list, or one that does not fit: of another length, or
    with something else than numbers from 0 to 1.
    """
    floats = {} if raw is None else {str(run.get("seed")): _scores(run) for run in raw.runs}
    found = []
    for run in entry.runs:
        codes = _scores(run)
        same = floats.get(str(run.get("seed"))) or next(filter(None, floats.values()), None)
        if codes and same and len(codes) == len(same):
            found.append(Paired(same, codes))
    return found


def _scores(result: Result) -> list[float] | None:
    listed = result.get("per_query")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return None
    scores = [number({"": value}, "") for value in listed]
    kept = [score for score in scores if score is not None and 0 <= score <= 1]
    return kept if len(kept) == len(scores) else None
