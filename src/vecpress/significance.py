"""Whether a difference is more than luck."""

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
