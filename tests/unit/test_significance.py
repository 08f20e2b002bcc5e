"""The paired randomization test, against counting and on clear cases."""

import numpy as np
import pytest

from vecpress.significance import paired_p_value


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
