"""docs/method_tables.py: what the tables of the methods say of results, worked out by hand."""

import importlib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def tables(monkeypatch):
    """Give the module, and a way to put results in place of the committed ones."""
    monkeypatch.syspath_prepend(str(DOCS))
    module = importlib.import_module("method_tables")

    def instead(**files):
        monkeypatch.setattr(
            module, "read", lambda name: files[name.split(".")[0].replace("-", "_")]
        )
        return module

    return instead


def lines(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def code(benchmark, quantizer, budget, recovery, **more):
    row = {"benchmark": benchmark, "quantizer": quantizer, "budget": budget, "recovery": recovery}
    return row | {"table_bytes": 2500, "fit_seconds": 0.04} | more


def test_codes_are_averaged_over_collections_and_the_best_is_named(tables):
    rows = [
        code("one", "a", 16, 0.5), code("two", "a", 16, 0.7),
        code("one", "b", 16, 0.9), code("two", "b", 16, 0.1),
        code("one", "a", 64, 0.8, fit_seconds=3.0), code("two", "a", 64, 0.9, fit_seconds=20.0),
        code("one", "b", 64, 0.99),  # not on all collections: no mean
    ]  # fmt: skip
    rows += [code(name, "c", budget, 0.2) for name in ("one", "two") for budget in (32, 128)]
    shown = lines(tables(codes=rows).by_code("a", "b"))
    assert shown[0][0] == "code behind power-PCA .25; nDCG@10 kept, %, mean of 2 collections"
    assert shown[2] == ["a", "60.0", "-", "85.0", "-", "2", "12"]
    assert shown[3] == ["b", "50.0", "-", "-", "-", "-", "-"]
    assert shown[4] == ["the best of all", "60.0 (a)", "20.0 (c)", "85.0 (a)", "20.0 (c)", "", ""]


def recipe(benchmark, method, recovery, *, budget=64, fitted_on=None, models=2, seed=0):
    return {
        "benchmark": benchmark, "method": method, "recovery": recovery, "budget": budget,
        "fitted_on": fitted_on or benchmark, "models": ["m"] * models, "seed": seed,
        "table_bytes": 7_654_321, "fit_seconds": 0.5, "bytes_per_vector": 80, "group": "baseline",
    }  # fmt: skip


def test_recipes_count_seeds_of_a_collection_once_and_other_settings_not_at_all(tables):
    rows = [
        recipe("one", "x", 0.4), recipe("one", "x", 0.6, seed=1), recipe("two", "x", 1.0),
        recipe("one", "x", 0.0, fitted_on="elsewhere"), recipe("one", "x", 0.0, models=3),
        recipe("one", "vecpress --budget", 0.9), recipe("two", "vecpress --budget", 1.1),
    ]  # fmt: skip
    shown = lines(tables(frontier=rows).by_bytes("x"))
    assert shown[2] == ["x", "-", "-", "75.0", "-", "7,654", "0.5"]
    assert shown[3] == ["vecpress --budget", "-", "-", "100.0", "-", "7,654", "0.5"]


def test_codes_of_the_whole_are_those_without_a_budget(tables):
    rows = [recipe("one", "sign bits", 0.9, budget=None), recipe("one", "sign bits", 0.1)]
    shown = lines(tables(frontier=rows).at_full_width("sign bits"))
    assert shown[2] == ["sign bits", "80", "90.0", "7,654"]


def head_row(benchmark, method, trained_on, dim, recovery):
    return {
        "benchmark": benchmark, "method": method, "trained_on": trained_on, "dim": dim,
        "recovery": recovery, "fit_seconds": 0.02,
    }  # fmt: skip


def test_heads_are_shown_beside_power_pca_from_both_corpora(tables):
    rows = [
        head_row(name, method, corpus, dim, base + dim / 1000)
        for name in ("one", "two")
        for method, base in (("h", 0.5), ("power-PCA .25", 0.7))
        for corpus in (name, "wikipedia-29k")
        for dim in (100, 200)
    ]
    shown = lines(tables(spine_heads=rows).by_dims("h"))
    assert shown[0][1:] == ["100 dims", "200 dims", "fit, s"]
    assert shown[2] == ["h, fitted on the collection", "60.0", "70.0", "below .1"]
    assert shown[5] == ["power-PCA .25, fitted on Wikipedia", "80.0", "90.0", "below .1"]


def trained(group, method, dim, ndcg):
    row = {"benchmark": "one", "group": group, "method": method, "dim": dim, "ndcg@10": ndcg}
    return row if group == "raw" else row | {"fit_seconds": 123.4}


def test_trained_heads_are_shown_beside_the_raw_floats(tables):
    rows = [trained("raw", "concatenation", 640, 0.66), trained("supervised", "t", 32, 0.5)]
    rows += [trained("supervised", "t", 32, 0.6), trained("untrained", "power-PCA .25", 32, 0.4)]
    shown = lines(tables(adaptors_scores=rows).by_labels(("supervised", "t")))
    assert shown[2] == ["one: t, supervised", "55.0", "66.0", "123"]
    assert shown[3] == ["one: power-PCA .25, untrained", "40.0", "66.0", "123"]


def test_gains_have_signs_and_no_negative_zero(tables):
    rows = [
        {"benchmark": "one", "method": "t", "guard": guard, "labels": labels, "gain": gain}
        for guard, labels, gain in ((True, 10, 0.0), (False, 10, -0.0003), (False, 40, -0.012))
    ]
    shown = lines(tables(few_labels=rows).few_labels("t"))
    assert shown[2:] == [["one, guarded", "+0.0", "-"], ["one, best epoch", "+0.0", "-1.2"]]


def test_single_models_have_their_own_width_and_times(tables):
    def single(benchmark, ndcg, ms):
        row = recipe(benchmark, "m", 1.0, budget=None, models=3) | {"group": "single model"}
        return row | {"ndcg@10": ndcg, "encode_ms": ms}

    rows = [single("one", 0.5, 0.123), single("two", 0.25, 45.6)]
    shown = lines(tables(frontier=rows).floats("m"))
    assert shown[0][1:3] == ["one", "two"]
    assert shown[2] == ["m", "50.0", "25.0", "80", "0.12 to 46"]


def test_shares_are_means_of_the_best_the_equal_and_the_chosen(tables):
    def tried(benchmark, ndcg, **weights):
        return {"benchmark": benchmark, "models": ["a", "b"], "ndcg@10": ndcg, "weights": weights}

    def chosen(benchmark, ndcg):
        return {"benchmark": benchmark, "models": ["a", "b"], "ndcg@10": ndcg, "chosen": {}}

    rows = [
        tried("one", 0.3, a=1.0), tried("one", 0.2, b=1.0), tried("one", 0.4, a=1.0, b=1.0),
        tried("one", 0.5, a=1.0, b=0.5), chosen("one", 0.5), chosen("one", 0.4),
        tried("two", 0.5, a=1.0), tried("two", 0.1, b=1.0), tried("two", 0.4, a=1.0, b=1.0),
        tried("two", 0.3, a=1.0, b=0.5), chosen("two", 0.5),
    ]  # fmt: skip
    shown = lines(tables(weights=rows).shares())
    assert shown[2] == ["2 models", "40.0", "40.0", "47.5", "50.0"]


def test_a_time_is_as_exact_as_it_is_sure(tables):
    seconds = tables().seconds
    told = [seconds(s) for s in (None, 0.0, 0.09, 0.1, 9.44, 9.6, 311.2)]
    assert told == ["-", "below .1", "below .1", "0.1", "9.4", "10", "311"]
