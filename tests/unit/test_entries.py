"""Results are put together that differ in their seed alone, and apart where anything else does."""

import pytest

from vecpress.entries import Setting, Verdict, choices, entries_of, judge, number


def result(**changes):
    return {
        "benchmark": "toy",
        "group": "baseline",
        "method": "PCA 256 x 2 bit",
        "budget": 64,
        "bytes_per_vector": 64,
        "ndcg@10": 0.5,
        "recall@100": 0.9,
        "recovery": 0.9,
        "seed": 0,
    } | changes


def names(results):
    return [
        (entry.group, entry.name, entry.budget, len(entry.runs)) for entry in entries_of(results)
    ]


def test_seeds_give_a_mean_and_a_spread():
    runs = [
        result(seed=s, recovery=r, bytes_per_vector=b) for s, r, b in ((0, 0.8, 60), (1, 1, 64))
    ]
    (entry,) = entries_of(runs)
    assert (entry.recovery, entry.size, entry.sizes) == (pytest.approx(0.9), 64, [60, 64])
    assert entry.spread("recovery") == pytest.approx(0.1414, abs=1e-4)
    assert entry.mean("encode_ms") is None
    (alone,) = entries_of(runs[:1])
    assert alone.spread("recovery") is None


def test_shapes_that_follow_the_budget_are_one_method():
    results = [
        result(),
        result(budget=16, method="PCA 128 x 1 bit"),
        result(budget=16, method="PCA 64 x 2 bit", seed=1),
        result(group="trained", method="concat-decoder 256 x 2 bit, with judgements"),
        result(group="trained", method="concat-decoder 128 x 1 bit, with judgements", budget=16),
        result(group="chosen", method="256 x 2 bit, gamma 0.5, rotated"),
        result(group="chosen", method="lloyd-max", budget=16),
    ]
    assert names(results) == [
        ("baseline", "PCA", 64, 1),
        ("baseline", "PCA", 16, 2),
        ("trained", "concat-decoder, with judgements", 64, 1),
        ("trained", "concat-decoder, with judgements", 16, 1),
        ("chosen", "the choice", 64, 1),
        ("chosen", "the choice", 16, 1),
    ]
    assert entries_of(results)[1].method == "PCA 128 x 1 bit; PCA 64 x 2 bit"


def test_methods_of_one_budget_never_become_one():
    rabitq = [
        result(method=f"PCAR{dim} {dim} + RaBitQ {bits} bit", budget=budget)
        for budget, dim in ((16, 128), (32, 256))
        for bits in (1, 2)
    ]
    assert names(rabitq) == [
        ("baseline", f"PCAR{dim} {dim} + RaBitQ {bits} bit", budget, 1)
        for budget, dim in ((16, 128), (32, 256))
        for bits in (1, 2)
    ]
    assert {
        name
        for _, name, _, _ in names(
            [r | {"method": r["method"][r["method"].index(" ") :]} for r in rabitq]
        )
    } == {
        "n + RaBitQ 1 bit",
        "n + RaBitQ 2 bit",
    }
    shapes = [result(), result(method="PCA 128 x 4 bit")]
    assert [name for _, name, _, _ in names(shapes)] == ["PCA 256 x 2 bit", "PCA 128 x 4 bit"]


def test_a_method_of_one_shape_keeps_its_name():
    assert names([result()]) == [("baseline", "PCA 256 x 2 bit", 64, 1)]
    assert names([result(method="int8", budget=None)]) == [("baseline", "int8", None, 1)]


def test_without_a_budget_bytes_tell_rows_apart():
    results = [result(budget=None, bytes_per_vector=size) for size in (64, 32)]
    assert [entry.size for entry in entries_of(results)] == [64, 32]


def test_settings_are_kept_apart_and_floats_stand_in_each():
    two, three = ["a", "b"], ["a", "b", "c"]
    floats = [
        result(group="single model", method="a", budget=None, models=["a"]),
        result(group="single model", method="c", budget=None, models=["c"]),
        result(group="concatenation", method="a + b", budget=None, models=two),
        result(group="concatenation", method="a + b + c", budget=None, models=three),
    ]
    fitted = [
        result(models=models, fitted_on=data)
        for models, data in ((two, "toy"), (two, "Wikipedia"), (three, "toy"))
    ]
    entries = entries_of([*floats, *fitted])
    found = {}
    for entry in entries:
        found.setdefault(entry.setting, []).append(entry.method)
    pca = "PCA 256 x 2 bit"
    assert found == {
        Setting("toy", ("a", "b"), "toy"): ["a", "a + b", pca],
        Setting("toy", ("a", "b"), "Wikipedia"): ["a", "a + b", pca],
        Setting("toy", ("a", "b", "c"), "toy"): ["a", "c", "a + b + c", pca],
    }
    told = [setting.conditions for setting in found]
    assert told == [
        "a + b, fitted on itself",
        "a + b, fitted on Wikipedia",
        "a + b + c, fitted on itself",
    ]


def test_floats_that_several_settings_have_are_lent_once():
    alone = [
        result(group="single model", method="a", budget=None, models=["a", "b"], fitted_on=data)
        for data in ("x", "y")
    ]
    fitted = [result(models=["a", "b"], fitted_on=data) for data in "xyz"]
    found = [
        (e.setting.fitted_on, len(e.runs)) for e in entries_of([*alone, *fitted]) if e.method == "a"
    ]
    assert found == [("x", 1), ("y", 1), ("z", 1)]


def test_no_result_is_lost():
    floats = [
        result(group="single model", method="z", budget=None, models=["z"], benchmark=b)
        for b in ("toy", "other")
    ]
    entries = entries_of([*floats, result(models=["a"])])
    assert sorted(entry.method for entry in entries) == ["PCA 256 x 2 bit", "z", "z"]
    own = [result(group="single model", method="a", budget=None, models=["a"], recovery=r, fitted_on=f)
           for r, f in ((0.1, "toy"), (0.2, ""))]  # fmt: skip
    kept = entries_of([*own, result(models=["a"], fitted_on="toy")])
    assert [(e.method, e.recovery, len(e.runs)) for e in kept[:1]] == [("a", 0.1, 1)]


def test_verdicts_compare_with_the_choice_of_the_same_seed():
    chosen = [result(group="chosen", seed=s, **{"ndcg@10": n}) for s, n in ((0, 0.5), (1, 0.7))]
    rows = [
        result(seed=s, p_chosen=p, **{"ndcg@10": n})
        for s, p, n in ((0, 0.01, 0.6), (1, 0.01, 0.6), (2, 0.2, 0.9), (3, None, 0.9))
    ]
    entries = entries_of([*chosen, *rows])
    choice = choices(entries)[Setting("toy"), 64]
    assert judge(entries[1], choice) == Verdict(better=1, worse=1, tested=3)
    assert judge(choice, choice) == judge(entries[1], None) == Verdict()


@pytest.mark.parametrize("odd", [None, True, "1", [1], float("nan"), float("inf"), 10**400])
def test_only_finite_numbers_are_numbers(odd):
    assert number({"x": odd}, "x") is None
    assert number({"x": 3}, "x") == 3
