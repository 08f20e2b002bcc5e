"""Differences resampled and tested: against counting every case, and against textbook formulas."""

import itertools

import numpy as np
import pytest

from vecpress.studies import scored
from vecpress.studies.claims import Contrast
from vecpress.studies.scored import RESAMPLES, ROUNDS, Scored, key_of, pooled, total

A, B, C, D = ({"arm": name} for name in "abcd")


def pair(rng, seeds=1, cases=8, gap=0.1):
    """Two sides on the same cases."""
    plus = rng.uniform(0.3, 1, (seeds, cases))
    return Scored(plus=plus, minus=plus - gap + rng.normal(0, 0.15, (seeds, cases)))


def with_shares(rng, seeds=1, cases=8):
    """Two sides, each divided by something greater."""
    parts = [rng.uniform(low, high, (seeds, cases)) for low, high in
             ((0.3, 0.6), (0.3, 0.6), (0.6, 0.9), (0.7, 1))]  # fmt: skip
    return Scored(plus=parts[0], minus=parts[1], plus_of=parts[2], minus_of=parts[3])


def p_of(drawn, estimate):
    return float((np.abs(drawn) >= abs(estimate) - 1e-12).mean())


def test_contrasts_are_gathered_from_the_table(rng):
    values = {key_of(arm): {"one": rng.uniform(size=(2, 5))} for arm in (A, B, C, D)}
    a, b, c, d = (values[key_of(arm)]["one"] for arm in (A, B, C, D))
    both = Scored.of(Contrast((A, D), (B, C)), values, "one")
    assert both.estimate() == pytest.approx((a.mean() - b.mean()) - (c.mean() - d.mean()))
    np.testing.assert_allclose(both.by_seed(), (a - b - c + d).mean(axis=1))
    kept = Scored.of(Contrast((A,), (), {"arm": "b"}), values, "one")
    assert kept.estimate() == pytest.approx(a.mean() / b.mean())
    np.testing.assert_allclose(kept.by_seed(), a.mean(axis=1) / b.mean(axis=1))
    np.testing.assert_array_equal(total(values, [], "one"), np.zeros((2, 5)))


def test_shares_are_divided_before_they_are_compared(rng):
    x = with_shares(rng, seeds=2)
    wanted = x.plus.mean() / x.plus_of.mean() - x.minus.mean() / x.minus_of.mean()
    assert x.estimate() == pytest.approx(wanted)


def test_a_share_of_nothing_is_no_share():
    nothing = np.zeros((1, 3))
    x = Scored(plus=nothing, minus=nothing, plus_of=nothing, minus_of=nothing)
    assert x.estimate() == 0


def test_labels_name_an_arm_in_any_order():
    assert (
        key_of({"x": "1", "y": "2"}) == key_of({"y": "2", "x": "1"}) != key_of({"x": "2", "y": "1"})
    )


def test_swaps_agree_with_all_swaps_there_are(rng):
    for gap in (0.05, 0.1, 0.15):
        x = pair(rng, seeds=3, gap=gap)
        one, other = x.plus.mean(axis=0), x.minus.mean(axis=0)
        signs = np.array(list(itertools.product((-1, 1), repeat=8)))
        exact = (np.abs(signs @ (one - other)) >= abs((one - other).sum()) - 1e-9).mean()
        drawn = x.swapped(0)
        assert len(drawn) == ROUNDS
        assert p_of(drawn, x.estimate()) == pytest.approx(exact, abs=0.02)
        assert len(np.unique(drawn.round(12))) <= 256


def test_swaps_of_shares_agree_with_all_swaps_there_are(rng):
    """Both what is kept and what it is kept of change sides together."""
    for _ in range(3):
        x = with_shares(rng, seeds=2)
        a, b, a_of, b_of = (p.mean(axis=0) for p in (x.plus, x.minus, x.plus_of, x.minus_of))
        found = []
        for keep in itertools.product((True, False), repeat=8):
            left, right = np.where(keep, a, b).sum(), np.where(keep, b, a).sum()
            left_of, right_of = np.where(keep, a_of, b_of).sum(), np.where(keep, b_of, a_of).sum()
            found.append(left / left_of - right / right_of)
        exact = np.array(found)
        drawn = x.swapped(1)
        assert p_of(drawn, x.estimate()) == pytest.approx(p_of(exact, x.estimate()), abs=0.02)
        np.testing.assert_allclose(np.unique(drawn.round(9)), np.unique(exact.round(9)), atol=1e-8)


def test_another_seed_swaps_other_cases(rng):
    x = pair(rng)
    np.testing.assert_array_equal(x.swapped(3), x.swapped(3))
    assert not np.array_equal(x.swapped(3), x.swapped(4))


def test_where_nothing_differs_swapping_changes_nothing(rng):
    same = rng.uniform(size=(1, 9))
    np.testing.assert_allclose(Scored(plus=same, minus=same).swapped(0), 0, atol=1e-12)


@pytest.mark.parametrize("make", [pair, with_shares])
def test_the_bootstrap_agrees_with_a_slow_one(make, rng, monkeypatch):
    """Draw cases and seeds as lists, and average what was drawn."""
    monkeypatch.setattr(scored, "RESAMPLES", 60)
    x = make(rng, seeds=3, cases=7)
    counts = np.random.default_rng(5).multinomial(7, np.full(7, 1 / 7), 60)
    runs = np.random.default_rng([0, 1]).multinomial(3, np.full(3, 1 / 3), 60)
    found = []
    for of_cases, of_seeds in zip(counts, runs, strict=True):
        cases, seeds = np.repeat(np.arange(7), of_cases), np.repeat(np.arange(3), of_seeds)
        parts = [p for p in (x.plus, x.minus, x.plus_of, x.minus_of) if p is not None]
        means = [part[np.ix_(seeds, cases)].mean() for part in parts]
        if len(means) == 4:
            found.append(means[0] / means[2] - means[1] / means[3])
        else:
            found.append(means[0] - means[1])
    np.testing.assert_allclose(x.resampled(5), found)


def test_the_interval_of_many_cases_is_the_normal_one(rng):
    x = pair(rng, cases=400)
    differences = (x.plus - x.minus)[0]
    error = differences.std() / 20
    low, high = np.quantile(x.resampled(0), [0.025, 0.975])
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.15 * error)
    assert len(x.resampled(0)) == RESAMPLES


def test_seeds_that_disagree_widen_the_interval(rng):
    """The variance of both draws is that of cases plus that of seeds (no interaction here)."""
    cases, seeds = rng.normal(0, 0.1, 300), np.array([-0.05, 0.0, 0.05])
    plus = 0.5 + cases + seeds[:, None]
    x = Scored(plus=plus, minus=np.full_like(plus, 0.4))
    wanted = cases.var() / 300 + seeds.var() / 3
    assert x.resampled(0).var() == pytest.approx(wanted, rel=0.1)
    assert x.resampled(0).var() > 10 * Scored(plus=plus[1:2], minus=x.minus[:1]).resampled(0).var()


def test_the_same_seeds_are_drawn_for_every_benchmark(rng):
    """One fit may serve several: what is drawn of it must not cancel out."""
    flat = np.repeat(rng.uniform(size=(3, 1)), 20, axis=1)
    x = Scored(plus=flat, minus=np.zeros_like(flat))
    np.testing.assert_allclose(x.resampled(0), x.resampled(1))


@pytest.mark.parametrize("n", [3, 6])
def test_seeds_are_not_drawn_as_the_cases_are(n, rng):
    """As many seeds as cases: from one stream the draws of both would be the same."""
    x = Scored(plus=np.eye(n), minus=np.zeros((n, n)))
    drawn = x.resampled(0)
    expected = 1 / n  # of the sum of products of two independent shares
    assert drawn.mean() == pytest.approx(expected, abs=0.02)


def test_the_effect_is_in_standard_deviations_over_cases():
    plus = np.array([[0.5, 0.7, 0.9], [0.7, 0.9, 1.1]])
    x = Scored(plus=plus, minus=np.array([[0.4, 0.4, 0.4], [0.4, 0.6, 0.8]]))
    differences = np.array([0.2, 0.3, 0.4])
    assert x.effect() == pytest.approx(differences.mean() / differences.std(ddof=1))


def test_where_nothing_varies_there_is_no_effect_size(rng):
    plus = rng.uniform(size=(1, 50))
    assert Scored(plus=plus, minus=plus - 0.1).effect() == 0
    assert Scored(plus=plus[:, :1], minus=plus[:, 1:2]).effect() == 0


def test_figures_of_training_become_cases_each_fit_once():
    one = Scored(plus=np.array([[1.0], [2.0], [3.0]]), minus=np.array([[0.5], [0.5], [0.7]]))
    other = Scored(plus=np.array([[1.0], [4.0], [3.0]]), minus=np.array([[0.5], [0.5], [0.1]]))
    both = pooled([one, other])
    cases = sorted(zip(both.plus[0], both.minus[0], strict=True))
    assert cases == [(1, 0.5), (2, 0.5), (3, 0.1), (3, 0.7), (4, 0.5)]
    assert pooled([one, one]).plus.shape == (1, 3)
