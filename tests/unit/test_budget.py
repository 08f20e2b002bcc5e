"""The best use of a number of bytes: what is tried, on what, and what is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest

from helpers import unit
from vecpress import budget
from vecpress.budget import choose, parse_budget
from vecpress.errors import ConfigError
from vecpress.plan import fit_to_budget
from vecpress.proxy import Judged, Proxy
from vecpress.pseudo import Probes
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.stages import TrainingSet


def skewed(n=600, d=48, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(3, 0.05, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def probes_of(x, rows):
    """Queries that are the documents themselves: in float each finds its own."""
    return Probes(queries=x[rows], answers=np.array(rows))


def judged_of(x, rows):
    positives = np.stack([np.arange(len(rows)), rows], axis=1)
    return Judged(queries=x[rows], positives=positives)


def timeless(choice):
    return [replace(trial, seconds=0.0) for trial in choice.trials]


@pytest.mark.parametrize("text", ["64B", "64", " 64 bytes", "64b", "64 Byte "])
def test_budgets_are_read(text):
    assert parse_budget(text) == 64


@pytest.mark.parametrize("text", ["", "0", "-3", "64KB", "many", "1.5", "1" * 19])
def test_what_is_no_budget_is_said(text):
    with pytest.raises(ConfigError, match=f"such as 64B, got {re.escape(repr(text))}$"):
        parse_budget(text)


@pytest.mark.parametrize("bytes_", [1, 7, 16, 48, 500])
def test_no_trial_exceeds_the_budget_and_the_best_is_first(bytes_):
    choice = choose(skewed(300), bytes_)
    assert choice.budget == bytes_
    assert max(t.candidate.code_bytes for t in choice.trials) <= bytes_
    worths = [t.worth for t in choice.trials]
    assert worths == sorted(worths, reverse=True)
    assert 0 <= worths[-1] < worths[0] <= 1
    assert choice.best == choice.trials[0].candidate
    assert all(t.seconds > 0 for t in choice.trials)
    assert len({str(t) for t in choice.trials}) == len(choice.trials)


def test_of_equal_worth_the_smaller_code_is_first(monkeypatch):
    monkeypatch.setattr(Proxy, "mean", lambda self, kept: 0.5)
    sizes = [t.candidate.code_bytes for t in choose(skewed(200), 48).trials]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3


def test_more_bytes_keep_more_neighbours():
    kept = [choose(skewed(200), bytes_).trials[0].worth for bytes_ in (2, 8, 48)]
    assert kept == sorted(kept)
    assert kept[-1] > 0.95


def test_the_same_seed_chooses_the_same():
    one, other = choose(skewed(200), 8, seed=3), choose(skewed(200), 8, seed=3)
    assert timeless(one) == timeless(other)
    assert timeless(one) != timeless(choose(skewed(200), 8, seed=4))


def test_scalar_trials_are_worth_what_head_and_codec_keep():
    """Trials share one spectrum; what is fitted in the end has its own."""
    x = skewed(300)
    choice = choose(x, 8, seed=2)
    proxy = Proxy.of(x, seed=2)
    checked = [t for t in choice.trials if isinstance(t.candidate.quantizer, Percentile)]
    assert len(checked) >= 7
    for trial in checked:
        head = trial.candidate.head.fit(TrainingSet(documents=x))
        short = head.compress(x)
        codec = trial.candidate.quantizer.fit(short, seed=2)
        kept = proxy.kept(codec.dequantize(codec.quantize(short)), head.compress)
        assert trial.kept == pytest.approx(kept, abs=0.005)
        assert trial.worth == pytest.approx(sum(trial.kept.values()) / 2)


def test_trials_are_reported_as_they_end():
    told = []
    choice = choose(skewed(200), 4, progress=lambda *event: told.append(event))
    assert {what for what, _, _ in told} == {"trying ways to spend 4 bytes"}
    done = [done for _, done, _ in told]
    assert done == [*range(1, len(choice.trials) + 1), len(choice.trials)]
    assert all(done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]


def test_too_few_documents_and_no_bytes_are_said():
    with pytest.raises(
        ConfigError,
        match="choosing by budget needs at least 64 documents, got 63: give more, or give --dim",
    ):
        choose(unit(63, 8), 16)
    assert choose(unit(64, 8), 16).fitted_on == 64
    with pytest.raises(ConfigError, match="at least 1 byte per vector, got 0"):
        choose(unit(100, 8), 0)


def test_documents_that_are_all_the_same_are_nothing_to_choose_by():
    with pytest.raises(
        ConfigError,
        match="nothing to choose by: 64 embeddings drawn at random are all the same",
    ):
        choose(np.tile(unit(1, 8), (100, 1)), 16)
    two = np.repeat(unit(2, 8), 50, axis=0)
    assert choose(two, 16).trials


def split(n, *, answers=None, judged=None, is_unseen=False, seed=0):
    probes = None if answers is None else Probes(queries=unit(len(answers), 2), answers=answers)
    if judged is not None:
        positives = np.stack([np.arange(len(judged)), judged], axis=1)
        judged = Judged(queries=unit(len(judged), 2), positives=positives)
    fitted, searched = budget._split(n, probes, judged, is_unseen, seed)
    assert len(np.unique(fitted)) == len(fitted)
    assert (np.diff(searched) > 0).all()
    return set(fitted.tolist()), set(searched.tolist())


@pytest.mark.parametrize("answers", [None, np.array([5, 3, 60])])
def test_small_corpora_are_fitted_on_and_searched_whole(answers):
    everything = set(range(100))
    assert split(100, answers=answers) == (everything, everything)


def test_what_will_be_unseen_is_searched_and_not_fitted_on():
    fitted, searched = split(101, is_unseen=True)
    assert len(searched) == 50
    assert fitted == set(range(101)) - searched
    fitted, searched = split(100, answers=np.arange(60), is_unseen=True)
    assert (fitted, searched) == (set(range(60, 100)), set(range(60)))
    fitted, searched = split(20_000, answers=np.arange(500), is_unseen=True)
    assert len(fitted) == len(searched) == 8192
    assert not fitted & searched


def test_a_quarter_is_fitted_on_even_if_nearly_all_answer_something():
    fitted, searched = split(100, answers=np.arange(90), is_unseen=True)
    assert searched == set(range(90))
    assert len(fitted) == 25
    assert fitted > set(range(90, 100))


def test_large_corpora_are_searched_with_all_that_answers():
    answers, judged = np.arange(0, 4000, 2), np.arange(10_000, 11_000)
    fitted, searched = split(20_000, answers=answers, judged=judged)
    assert len(fitted) == len(searched) == 8192
    assert searched >= set(answers.tolist()) | set(judged.tolist())
    many = np.arange(9000)
    assert split(12_000, answers=many)[1] == set(many.tolist())


def test_the_seed_draws_the_split():
    one, same, other = (split(200, is_unseen=True, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_probes_and_judgements_keep_their_documents_among_those_searched():
    """Each query is its document, so in float it finds it: unless rows were mixed up."""
    x = skewed(400)
    searched = np.arange(7, 400, 3)
    probes, judged = probes_of(x, [10, 7, 397]), judged_of(x, [13, 16, 10])
    proxy = budget._proxy(x, searched, probes, judged, 0)
    np.testing.assert_array_equal(proxy.documents, x[searched])
    assert proxy.probes.answers.tolist() == [1, 0, 130]
    assert proxy.judged.positives.tolist() == [[0, 2], [1, 3], [2, 1]]
    assert proxy.floats == {"source": 1, "judged": 1}
    assert probes.answers.tolist() == [10, 7, 397]  # the caller's stay


def test_probes_and_judged_queries_are_what_counts():
    x = skewed(300)
    rows = list(range(0, 300, 3))
    choice = choose(x, 8, probes=probes_of(x, rows), judged=judged_of(x, rows), is_unseen=True)
    assert (choice.fitted_on, choice.searched) == (150, 150)
    for trial in choice.trials:
        assert set(trial.kept) == {"first", "ten", "source", "judged"}
        # Every document asked for itself in float: first, source and judged are about the same.
        assert trial.kept["first"] == trial.kept["source"]
        free = (trial.kept["first"] + trial.kept["ten"] + trial.kept["source"]) / 3
        assert trial.worth == pytest.approx((free + trial.kept["judged"]) / 2)
    assert choice.trials[0].kept["source"] > 0.9


def test_a_choice_goes_into_a_recipe():
    choice = choose(skewed(200), 4)
    recipe = choice.apply(Recipe(sample=77))
    assert recipe.head == choice.best.head
    assert recipe.quantizer == choice.best.quantizer
    assert recipe.sample == 77


def test_fitting_to_a_budget_fits_what_was_chosen():
    vectors = skewed(300).astype(np.float64) * 5
    pipeline, plan = fit_to_budget(Recipe(), vectors, 16)
    best = plan.choice.best
    assert pipeline.recipe.head == best.head
    assert pipeline.recipe.quantizer == best.quantizer
    assert pipeline.bytes_per_vector == best.code_bytes <= 16
    index = pipeline.index(vectors)
    hits = pipeline.search(index, vectors[:50], 1)
    assert np.mean([ids[0] == str(i) for i, ids in enumerate(hits.ids)]) > 0.9
