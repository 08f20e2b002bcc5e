"""The scores of two sides on one benchmark: their difference, resampled and tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from vecpress.arrays import Array
from vecpress.studies.claims import Contrast

ROUNDS, RESAMPLES = 10_000, 2_000
Labels = frozenset[tuple[str, str]]
Table = Mapping[Labels, Mapping[str, Array]]
"""Labels of an arm -> benchmark -> scores (seeds, cases)."""


def key_of(labels: Mapping[str, str]) -> Labels:
    """Name an arm by its labels, in any order."""
    return frozenset(labels.items())


def total(table: Table, arms: Sequence[Mapping[str, str]], name: str) -> Array:
    """Add the scores of some arms on a benchmark; zeros for none."""
    some = next(iter(table.values()))[name]
    return np.sum([table[key_of(arm)][name] for arm in arms] or [np.zeros_like(some)], axis=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The scores of one contrast on one benchmark.

    Attributes:
        plus: Sum of the arms that count, (seeds, cases).
        minus: Sum of those that count against.
        plus_of: What `plus` is divided by; None for nothing.
        minus_of: What `minus` is divided by.
    """

    plus: Array
    minus: Array
    plus_of: Array | None = None
    minus_of: Array | None = None

    @classmethod
    def of(cls, contrast: Contrast, table: Table, name: str) -> "Scored":
        """Gather what a contrast is about on the benchmark of this name."""
        plus, minus = (total(table, arms, name) for arms in (contrast.plus, contrast.minus))
        if contrast.of is None:
            return cls(plus=plus, minus=minus)
        below = [
            total(table, [{**arm, **contrast.of} for arm in arms], name)
            for arms in (contrast.plus, contrast.minus)
        ]
        return cls(plus=plus, minus=minus, plus_of=below[0], minus_of=below[1])

    def _parts(self) -> list[Array]:
        """List the arrays that a statistic is made of, in the order `_statistic` takes them."""
        if self.plus_of is None or self.minus_of is None:
            return [self.plus, self.minus]
        return [self.plus, self.minus, self.plus_of, self.minus_of]

    @staticmethod
    def _statistic(*means: Any) -> Any:
        if len(means) == 2:
            return means[0] - means[1]
        plus, minus, plus_of, minus_of = means
        kept = plus / np.where(plus_of == 0, 1, plus_of)
        return kept - minus / np.where(minus_of == 0, 1, minus_of)

    def estimate(self) -> float:
        """Give the difference of the means over seeds and cases."""
        return float(self._statistic(*(part.mean() for part in self._parts())))

    def by_seed(self) -> Array:
        """Give it for each seed alone."""
        return self._statistic(*(part.mean(axis=1) for part in self._parts()))

    def effect(self) -> float:
        """Divide the mean difference by its standard deviation over the cases (Cohen's d_z)."""
        differences = (self.plus - self.minus).mean(axis=0)
        spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
        return float(differences.mean() / spread) if spread > 1e-12 else 0.0

    def resampled(self, seed: int) -> Float64[Array, " resamples"]:
        """Draw cases and seeds anew, with replacement (Efron 1979).

        Which cases are drawn depends on `seed`; which seeds does not, since one fit may serve
        several benchmarks.
        """
        seeds, cases = self.plus.shape
        counts = _drawn((seed,), cases, RESAMPLES)
        runs = _drawn((0, 1), seeds, RESAMPLES)  # not the stream that any cases are drawn from
        means = [((counts @ part.T) * runs).sum(axis=1) for part in self._parts()]
        return self._statistic(*means)

    def swapped(self, seed: int) -> Float64[Array, " rounds"]:
        """Exchange the two sides of random cases (Smucker et al. 2007)."""
        cases = self.plus.shape[1]
        kept = _kept(seed, cases, ROUNDS)
        halves = [part.mean(axis=0) for part in self._parts()]
        means = []
        for one, other in zip(halves[0::2], halves[1::2], strict=True):
            means.append((kept @ (one - other) + other.sum()) / cases)
            means.append((kept @ (other - one) + one.sum()) / cases)
        return self._statistic(*means)


@lru_cache(maxsize=16)
def _drawn(seed: tuple[int, ...], cases: int, times: int) -> Float64[Array, "times cases"]:
    """Draw cases with replacement: the share that each has; the same for every contrast."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(cases, np.full(cases, 1 / cases), times) / cases


@lru_cache(maxsize=8)
def _kept(seed: int, cases: int, times: int) -> Float64[Array, "times cases"]:
    """Toss a coin for each case: 1 where it is not exchanged; the same for every contrast."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (times, cases), dtype=np.uint8).astype(np.float64)


def pooled(parts: Sequence[Scored]) -> Scored:
    """Make the figures of all benchmarks and seeds the cases of one.

    Fits that serve several benchmarks have the same figures on each; they are one case, not many.
    """
    sides = [np.concatenate([getattr(p, s).ravel() for p in parts]) for s in ("plus", "minus")]
    cases = np.unique(np.stack(sides, axis=1), axis=0)
    return Scored(plus=cases[:, 0][None], minus=cases[:, 1][None])
