"""The paired randomization test and Holm's correction, against counting and on clear cases."""

import numpy as np
import pytest
from scipy import stats

from vecpress.significance import (
    holm,
    paired_p_value,
    paired_t,
    student_interval,
    student_p,
)


def test_the_randomization_test_agrees_with_counting_all_signs():
    a, b = np.array([0.9, 0.5, 0.7, 0.2, 0.8]), np.array([0.4, 0.6, 0.2, 0.2, 0.3])
    differences = (a - b)[a != b]
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1).T
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12)
    assert paired_p_value(a, b) == pytest.approx(exact, abs=0.02)
    assert paired_p_value(a, a) == 1


def test_a_clear_difference_is_significant_and_noise_is_not(rng):
    a = rng.uniform(size=200)
    assert paired_p_value(a, a - 0.05) < 0.001
    assert paired_p_value(a, rng.permutation(a)) > 0.05


def test_five_cases_are_too_few_to_be_sure():
    assert paired_p_value(np.ones(5), np.zeros(5)) > 0.05
    assert paired_p_value(np.ones(6), np.zeros(6)) < 0.05


def test_holm_by_hand():
    """Sorted .005, .01, .03, .04 times 4, 3, 2, 1 is .02, .03, .06, .04; the last is lifted."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5, 0.9]) == [1, 1, 1]
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@pytest.mark.parametrize("n", [2, 5, 40])
def test_holm_agrees_with_its_formula(n, rng):
    """The corrected k-th smallest is the greatest of (n - j) p_j over all j up to k, at most 1."""
    p = np.round(rng.uniform(0, 3 / n, n), 3)  # some of them equal
    ordered = np.sort(p)
    wanted = [max(min(1, (n - j) * ordered[j]) for j in range(k + 1)) for k in range(n)]
    np.testing.assert_allclose(np.sort(holm(list(p))), wanted)
    ranks = np.argsort(np.argsort(p, kind="stable"), kind="stable")
    np.testing.assert_allclose(holm(list(p)), np.array(wanted)[ranks])


def test_holm_keeps_the_chance_of_any_false_one_below_the_level(rng):
    families = rng.uniform(size=(4000, 10))
    assert np.mean(families.min(axis=1) < 0.05) > 0.35
    any_false = np.mean([min(holm(list(p))) < 0.05 for p in families])
    assert any_false == pytest.approx(1 - (1 - 0.05 / 10) ** 10, abs=0.012)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 11, 40])
def test_student_p_is_scipys(freedom):
    for t in (-3.0, 0.0, 0.3, 2.0, 4.3, 35.0):
        assert student_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-12)


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [0.5, 0.6], [-1.0, 0.0, 1.0, 5.0, 2.0]])
def test_paired_t_and_its_interval_are_scipys(values):
    theirs = stats.ttest_1samp(values, 0)
    assert paired_t(np.array(values)) == pytest.approx(theirs.pvalue)
    ours = student_interval(np.array(values))
    assert ours == pytest.approx(tuple(theirs.confidence_interval()))


def test_few_or_equal_differences_are_told_as_they_are():
    assert paired_t(np.array([0.3])) == 1.0
    assert paired_t(np.zeros(3)) == 1.0
    assert paired_t(np.full(3, 0.2)) == 0.0
    assert student_interval(np.array([0.3])) == (-np.inf, np.inf)
