import numpy as np
import pytest

from helpers import unit
from vecpress.budget import agreement, choose, fit_to_budget, parse_budget
from vecpress.errors import ConfigError
from vecpress.recipe import Recipe


def skewed(n=600, d=48, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(3, 0.05, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("text", "bytes_"), [("64B", 64), ("64", 64), (" 8 bytes", 8), ("1b", 1)])
def test_budgets_are_read(text, bytes_):
    assert parse_budget(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-3", "64KB", "many", "1.5"])
def test_what_is_no_budget_is_said(text):
    with pytest.raises(ConfigError, match=f"such as 64B, got {text!r}"):
        parse_budget(text)


@pytest.mark.parametrize("budget", [1, 7, 16, 48, 500])
def test_no_trial_exceeds_the_budget_and_the_best_is_first(budget):
    choice = choose(skewed(), budget)
    assert max(t.code_bytes for t in choice.trials) <= budget
    assert [t.agreement for t in choice.trials] == sorted(
        (t.agreement for t in choice.trials), reverse=True
    )
    assert 0 <= choice.trials[-1].agreement <= choice.best.agreement <= 1


def test_more_bytes_keep_more_neighbours():
    kept = [choose(skewed(), budget).best.agreement for budget in (4, 8, 16, 48)]
    assert kept == sorted(kept)
    assert kept[-1] > 0.95


def test_the_same_seed_chooses_the_same():
    one, other = choose(skewed(), 8, seed=3), choose(skewed(), 8, seed=3)
    assert one == other


def test_agreement_worked_by_hand():
    scores = np.array(
        [[9, 8, 7], [1, 5, 3], [2, 2, 0]], np.float32
    )  # the nearest is first, third, and tied
    nearest = np.array([0, 0, 1])
    assert agreement(scores, nearest) == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    below = np.arange(20, 0, -1, dtype=np.float32)[None]
    assert agreement(below, np.array([9])) == pytest.approx(1 / 10)
    assert agreement(below, np.array([10])) == 0


def test_codes_that_tell_nothing_apart_earn_nothing():
    assert agreement(np.zeros((5, 100), np.float32), np.zeros(5, np.int64)) == 0


def test_too_few_documents_and_no_bytes_are_said():
    with pytest.raises(
        ConfigError, match="at least 64 documents, got 10: give more, or give --dim"
    ):
        choose(unit(10, 8), 16)
    with pytest.raises(ConfigError, match="at least 1 byte per vector, got 0"):
        choose(unit(100, 8), 0)


def test_fitting_to_a_budget_fits_what_was_chosen():
    vectors = skewed().astype(np.float64) * 5
    pipeline, choice = fit_to_budget(Recipe(), vectors, 16)
    assert pipeline.recipe.head == choice.best.head
    assert pipeline.bytes_per_vector == choice.best.code_bytes <= 16
    index = pipeline.index(vectors)
    hits = pipeline.search(index, vectors[:50], 1)
    assert np.mean([ids[0] == str(i) for i, ids in enumerate(hits.ids)]) > 0.9
