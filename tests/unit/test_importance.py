"""What a coordinate is worth, against the formula followed pair by pair."""

import numpy as np

from helpers import unit
from vecpress.importance import importance, shares


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def slowly(x):
    """Leave each coordinate out, for each row and its ten nearest others."""
    d, total, weights = x.shape[1], np.zeros(x.shape[1]), 0.0
    for i in range(len(x)):
        others = sorted((j for j in range(len(x)) if j != i), key=lambda j: -cosine(x[i], x[j]))
        for j in others[:10]:
            before = cosine(x[i], x[j])
            weight = max(before, 0)
            weights += weight
            for left in range(d):
                keep = np.arange(d) != left
                total[left] += weight * abs(cosine(x[i, keep], x[j, keep]) - before)
    return total / weights


def test_it_is_the_formula_of_its_docstring():
    x = 3 * unit(25, 5)
    np.testing.assert_allclose(importance(x), slowly(x), rtol=1e-4)


def test_a_coordinate_that_is_always_zero_is_worth_nothing():
    x = unit(40, 6)
    x[:, 2] = 0
    worth = importance(x)
    np.testing.assert_allclose(worth[2], 0, atol=1e-7)
    assert (np.delete(worth, 2) > 1e-3).all()


def test_few_rows_and_zero_rows_are_no_trouble():
    assert np.isfinite(importance(unit(2, 3))).all()
    assert np.isfinite(importance(np.zeros((5, 3), np.float32))).all()


def test_shares_are_the_energy_of_each_block():
    x = np.array([[1, 0, 2], [0, 1, 2]], np.float32)
    # Outputs of the first block 1, 1 (energy 2), of the second 3 * 2 twice (energy 72)
    found = shares(np.array([[1.0, 1.0, 3.0]]), x, [("a", 2), ("b", 1)])
    np.testing.assert_allclose([found["a"], found["b"]], [2 / 74, 72 / 74])
    assert shares(np.eye(3), x, []) == {}
    assert shares(np.zeros((1, 3)), x, [("a", 3)]) == {"a": 0.0}
    assert list(shares(np.eye(3), x, [("a", 2), ("a", 1)])) == ["a", "a at 2"]
