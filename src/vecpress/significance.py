"""Whether a difference is more than luck."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from vecpress.arrays import Array, blocks

SURE = 0.05
"""The p-value below which a difference counts as more than luck."""

FEWEST = 6
"""The fewest cases that `paired_p_value` can be sure of: five have 2 of 32 signs, p = 0.06."""


def paired_p_value(
    a: Float64[Array, " q"], b: Float64[Array, " q"], *, rounds: int = 10_000, seed: int = 0
) -> float:
    """Test whether two systems differ on the same queries: a randomization test, two-sided.

    Under the hypothesis of no difference the sign of each query's difference is arbitrary; the
    p-value is the share of random signs that give a mean at least as large (Smucker et al. 2007).
    """
    differences = a - b
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    rng = np.random.default_rng(seed)
    observed, extreme = abs(differences.sum()), 0
    for part in blocks(rounds, 1000):
        signs = rng.integers(0, 2, (part.stop - part.start, len(differences))) * 2 - 1
        extreme += int((np.abs(signs @ differences) >= observed - 1e-12).sum())
    return (extreme + 1) / (rounds + 1)


def student_p(t: float, freedom: int) -> float:
    """Give the two-sided p-value of Student's t.

    Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4, for whole degrees of freedom.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, squared = math.sin(angle), math.cos(angle) ** 2
    is_odd = freedom % 2 == 1
    term, total = (math.cos(angle), 0.0) if is_odd else (1.0, 0.0)
    for k in range(freedom // 2):
        total += term
        term *= squared * ((2 * k + 2) / (2 * k + 3) if is_odd else (2 * k + 1) / (2 * k + 2))
    within = 2 / math.pi * (angle + sine * total) if is_odd else sine * total
    return max(0.0, 1.0 - within)


def paired_t(differences: Float64[Array, " n"]) -> float:
    """Test whether few differences, taken to be normal, have the mean 0 (Student 1908)."""
    if len(differences) < 2 or not differences.any():
        return 1.0
    spread = float(differences.std(ddof=1))
    if not spread:
        return 0.0
    t = float(differences.mean()) / (spread / math.sqrt(len(differences)))
    return student_p(t, len(differences) - 1)


def student_interval(values: Float64[Array, " n"], *, level: float = SURE) -> tuple[float, float]:
    """Give the interval of the mean by Student's t; of one value it is all numbers."""
    if len(values) < 2:
        return -math.inf, math.inf
    low, high = 0.0, 1e6  # of t: bisected until p is the level
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, len(values) - 1) > level else (low, middle)
    reach = high * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - reach, float(values.mean()) + reach


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being many: the chance of any false one stays below the level.

    Source: Holm 1979. The smallest of n is multiplied by n, the next by n - 1, and so on; none
    becomes smaller than one before it.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = least
    return corrected
