from collections import Counter
from dataclasses import replace

import pytest

from vecpress import lineup
from vecpress.comparison import CHOSEN, Comparison, Trained, jobs
from vecpress.errors import ConfigError
from vecpress.pairs import Pairs
from vecpress.quantizers.scalar import Binary, Int8, Percentile
from vecpress.recipe import Recipe

RECIPE = Recipe(models=("one", "two"), weights=(1.0, 0.5), quantizer=Int8())
COMPARISON = Comparison(recipe=RECIPE, budgets=(4, 16))


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """Without what is optional."""
    monkeypatch.setattr(lineup, "find_spec", lambda name: None)


def listed(comparison=COMPARISON, *, is_first=True, widths=(8, 24), best=1):
    return list(jobs(comparison, widths=widths, best=best, documents=90, is_first=is_first))


def test_floats_and_fixed_codes_come_once_and_first():
    first = listed()[:6]
    assert [(job.group, job.method) for job in first] == [
        ("single model", "one"),
        ("single model", "two"),
        ("concatenation", "one + two"),
        ("baseline", "int8"),
        ("baseline", "sign bits"),
        ("baseline", "sign bits, 100 rescored in float32"),
    ]
    assert all(job.budget is None for job in first)
    assert [job.recipe.quantizer for job in first] == [None, None, None, Int8(), Binary(), Binary()]
    assert [job.recipe.models for job in first[:3]] == [("one",), ("two",), ("one", "two")]
    assert [job.recipe.weights for job in first[1:3]] == [None, (1.0, 0.5)]
    assert [job.is_rescored for job in first] == [False] * 5 + [True]
    assert not any(job.is_rescored for job in listed()[6:])


def test_one_model_is_its_own_concatenation():
    comparison = replace(COMPARISON, recipe=Recipe(models=("one",)))
    groups = Counter(job.group for job in listed(comparison, widths=(8,), best=0))
    assert groups["concatenation"] == 1
    assert "single model" not in groups


def test_each_budget_begins_with_the_choice():
    after = listed()[6:]
    places = [i for i, job in enumerate(after) if job.group == "chosen"]
    assert [after[i].budget for i in places] == [4, 16]
    assert places == [0, next(i for i, job in enumerate(after) if job.budget == 16)]
    assert {after[i].method for i in places} == {CHOSEN}
    chosen = after[0].recipe
    assert (chosen.models, chosen.head, chosen.quantizer) == (("one", "two"), None, None)
    cut = [job for job in after if "cut" in job.method]
    assert {job.recipe.models for job in cut} == {("two",)}


def test_further_seeds_run_only_what_they_change(monkeypatch):
    comparison = replace(COMPARISON, trained=Trained(heads=("random",)))
    assert [(job.group, job.budget) for job in listed(comparison, is_first=False)] == [
        ("chosen", 4),
        ("trained", 4),
        ("chosen", 16),
        ("trained", 16),
    ]
    monkeypatch.setattr(lineup, "find_spec", lambda name: name == "faiss" or None)
    pytest.importorskip("faiss")
    seeded = [j.method for j in listed(is_first=False) if j.group == "baseline"]
    assert seeded == ["PCA, RaBitQ 1 bit"]


def test_trained_heads_are_twice_as_wide_as_the_bytes_and_say_what_taught_them():
    trained = Trained(heads=("pca", "recording:Recording"))
    found = [job for job in listed(replace(COMPARISON, trained=trained)) if job.group == "trained"]
    assert [job.recipe.head.dim for job in found] == [8, 8, 32, 32]
    assert {job.recipe.quantizer for job in found} == {Percentile(bits=4)}
    without = "recording:Recording, 4 bit, without judgements"
    assert [job.method for job in found[:2]] == ["pca, 4 bit", without]
    assert [job.learns for job in found[:2]] == [False, True]
    assert not listed()[0].learns
    taught = replace(trained, pairs=object.__new__(Pairs))
    names = [job.method for job in listed(replace(COMPARISON, trained=taught))]
    assert without not in names
    assert names.count("recording:Recording, 4 bit, with judgements") == 2
    assert names.count("pca, 4 bit") == 2


def test_an_unknown_head_is_refused():
    with pytest.raises(ConfigError, match="unknown method 'nope'"):
        listed(replace(COMPARISON, trained=Trained(heads=("nope",))))
