"""Studies as tables: every cell worked out by hand."""

import re

import pytest

from small_study import one_axis, row, study
from vecpress.studies.outcomes import Decision, Outcome
from vecpress.studies.tables import (
    Table,
    benchmark_tables,
    claims_table,
    mean_table,
    scaled,
    summed_up,
    training_table,
)

CLAIMS = {
    "higher": {"says": "Better.", "higher": {"arm": "a"}, "than": {"arm": "b"}},
    "keeps": {"says": "Kept.", "keeps": {"arm": "a"}, "of": {"arm": "b"}, "at_least": 0.9},
    "shares": {"says": "S.", "higher": {"arm": "a"}, "than": {"arm": "b"}, "of": {"arm": "c"}},
    "training": {
        "says": "Gap.",
        "higher": {"arm": "a"},
        "than": {"arm": "b"},
        "measure": "training.gap",
    },
    "untestable": {"says": "Later.", "untestable": "needs the hub"},
}


def claim(name):
    """A claim of the study of a, b and c."""
    (found,) = one_axis(("a", "b", "c"), CLAIMS[name]).claims
    return found


def outcome(estimate=0.02, low=0.01, high=0.03, p_holm=0.0404, verdict="yes", **other):
    values = {"arms": "x", "plus": "a", "minus": "b", "p": 0.01, "effect": 0.4, "seeds": 2 / 3}
    return Outcome(
        **values | other,
        estimate=estimate,
        low=low,
        high=high,
        p_holm=p_holm,
        benchmarks={},
        verdict=verdict,
    )


def decided(*outcomes, status="reproduced"):
    return Decision(claim=1, says="Better.", shape="higher", status=status, outcomes=outcomes)


def test_one_axis_shows_benchmarks_mean_and_bytes():
    plan = one_axis(("a", "b"), benchmarks=["one", "two"], seeds=[0, 1])
    scores = {
        ("a", "one"): (0.50, 0.52), ("a", "two"): (0.30, 0.36),
        ("b", "one"): (0.25, 0.25), ("b", "two"): (0.1, 0.1),
    }  # fmt: skip
    sizes = {("a", "one"): 1024, ("a", "two"): 2048}
    results = [
        row({"arm": arm}, [value], benchmark=name, seed=seed, size=sizes.get((arm, name), 8))
        for (arm, name), values in scores.items()
        for seed, value in enumerate(values)
    ]
    table = mean_table(plan, results)
    assert table.head == ("arm", "one", "two", "mean", "bytes")
    # means 40 and 44 of the seeds: 42, with a standard deviation of 2 x 2 ** .5
    assert table.rows == (
        ("a", "51.0 ± 1.4", "33.0 ± 4.2", "42.0 ± 2.8", "1,024 to 2,048"),
        ("b", "25.0", "10.0", "17.5", "8"),
    )
    assert table.caption == ("nDCG@10 x 100, mean over benchmarks, ± standard deviation over seeds")
    assert benchmark_tables(plan, results) == []


def test_several_axes_put_the_last_into_columns():
    plan = study(benchmarks=["one", "two"], leave_out=[{"head": "pca", "code": "1 bit"}])
    results = [
        row(arm.labels, [value + 0.01 * place], benchmark=name)
        for name, value in (("one", 0.5), ("two", 0.1))
        for place, arm in enumerate(plan.arms)
    ]
    table = mean_table(plan, results)
    assert table.head == ("head \\ code", "floats", "2 bit", "1 bit")
    assert table.rows == (("none", "30.0", "31.0", "32.0"), ("pca", "33.0", "34.0", ""))
    assert table.caption == "nDCG@10 x 100, mean over benchmarks"
    one, two = benchmark_tables(plan, results)
    assert (one.caption, two.caption) == ("one: nDCG@10 x 100", "two: nDCG@10 x 100")
    assert one.rows == (("none", "50.0", "51.0", "52.0"), ("pca", "53.0", "54.0", ""))
    assert two.rows[1] == ("pca", "13.0", "14.0", "")


def test_figures_of_training_that_claims_are_about():
    variance = {**CLAIMS["training"], "measure": "training.gradient_variance"}
    plan = one_axis(("a", "b", "c"), CLAIMS["training"], variance, CLAIMS["higher"], seeds=[0, 1])
    told = {
        ("a", 0): {"gap": 0.1, "gradient_variance": 2e-7}, ("a", 1): {"gap": 0.3},
        ("b", 0): {"gap": 0.5, "loss": 3}, ("b", 1): {},
    }  # fmt: skip
    results = [
        row({"arm": arm}, [0.5], seed=seed, training=told.get((arm, seed)))
        for arm in "abc"
        for seed in (0, 1)
    ]
    table = training_table(plan, results)
    assert table.head == ("arm", "gap", "gradient variance")
    assert table.rows == (("a", "0.2", "2e-07"), ("b", "0.5", ""))
    assert training_table(one_axis(("a", "b"), CLAIMS["higher"]), results) is None


def test_a_claim_has_a_line_and_one_for_each_comparison():
    told = {**CLAIMS["higher"], "source": "them", "published": "5 points"}
    plan = one_axis(("a", "b"), told)
    sure = outcome(p_holm=0.0001, verdict="opposite", estimate=-0.02, low=-0.031, high=-0.01)
    table = claims_table(plan, [decided(outcome(arms=""), sure, status="partly reproduced")])
    assert table.rows == (
        ("**Better.** (them) Published: 5 points.", "", "", "", "", "**partly reproduced**"),
        ("a against b", "+2.0 points", "+1.0 to +3.0", "0.040", "67 %", "yes"),
        ("x: a against b", "−2.0 points", "−3.1 to −1.0", "< .001", "67 %", "no: the opposite"),
    )


@pytest.mark.parametrize(
    ("verdict", "words"), [("no", "no"), ("unsure", "no sure difference"), ("yes", "yes")]
)
def test_verdicts_are_words(verdict, words):
    plan = one_axis(("a", "b"), {**CLAIMS["keeps"]})
    kept = outcome(0.912, 0.90, 0.93, verdict=verdict, plus="", minus="")
    last = claims_table(plan, [decided(kept)]).rows[1]
    assert last == ("x", "91.2 %", "90.0 to 93.0", "0.040", "67 %", words)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("higher", 0.0123, "+1.2"),
        ("higher", -0.0123, "−1.2"),
        ("keeps", 0.8912, "89.1"),
        ("shares", 0.031, "+3.1"),
        ("training", -0.00123, "−0.00123"),
        ("training", 12345.6, "+1.23e+04"),
    ],
)
def test_estimates_are_points_shares_or_figures(name, value, text):
    assert scaled(claim(name), value) == text


@pytest.mark.parametrize(
    ("name", "outcomes", "text"),
    [
        ("higher", [outcome()], "+2.0 points (+1.0 to +3.0)"),
        ("keeps", [outcome(0.912, 0.9, 0.93)], "91.2 % (90.0 to 93.0)"),
        ("training", [outcome(0.5, 0.25, 0.75)], "+0.5 (+0.25 to +0.75)"),
        (
            "higher",
            [outcome(0.02), outcome(-0.01, verdict="unsure"), outcome(0.005)],
            "2 of 3 hold: −1.0 to +2.0 points",
        ),
        ("untestable", [], "needs the hub"),
    ],
)
def test_a_claim_in_one_line(name, outcomes, text):
    assert summed_up(claim(name), decided(*outcomes)) == text


def test_markdown_keeps_its_columns_whatever_a_cell_says():
    table = Table("c", ("a|b", "n"), (("x | y", "1"), ("z", "2")))
    lines = table.to_markdown().split("\n")
    assert lines == [r"| a\|b | n |", "| --- | --- |", r"| x \| y | 1 |", "| z | 2 |"]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_a_last_axis_that_changes_no_training_is_left_out():
    claim = {"says": "Gaps.", "measure": "training.gap", "higher": {"head": "pca", "code": "floats"},
             "than": {"head": "none"}}  # fmt: skip
    asked = study(claim)
    gaps = {"none": 0.1, "pca": 0.2}

    def results(of):
        return [
            {"arm": dict(arm.labels), "training": {"gap": of(arm.labels)}} for arm in asked.arms
        ]

    same = training_table(asked, results(lambda labels: gaps[labels["head"]]))
    assert same.head == ("head", "gap")
    assert same.rows == (("none", "0.1"), ("pca", "0.2"))
    other = training_table(asked, results(lambda labels: 0.3 if labels["code"] == "2 bit" else 0.1))
    assert other.head == ("head, code", "gap")
    assert len(other.rows) == len(asked.arms)
