"""What claims come to, on scores made up so that the answer is known."""

import itertools
import json

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from small_study import one_axis, row, rows
from vecpress.errors import DataError
from vecpress.significance import holm
from vecpress.studies.outcomes import Decision, decide

ARMS = ("good", "poor", "raw")
HIGHER = {"says": "Good is better.", "higher": {"arm": "good"}, "than": {"arm": "poor"}}
KEEPS = {"says": "Good keeps it.", "keeps": {"arm": "good"}, "of": {"arm": "raw"}}
SAME = {"says": "Both are alike.", "same": {"arm": "good"}, "as": {"arm": "poor"}}
N = 40


def judge(claims, score, *, training=None, arms=ARMS, **changes):
    """Decide claims on scores given by `score(arm, benchmark, seed)`."""
    plan = one_axis(arms, *claims, **changes)
    return decide(plan, rows(plan, score, training))


def only(claim, score, **changes):
    (decision,) = judge([claim], score, **changes)
    (outcome,) = decision.outcomes
    return outcome


def noise(n=N, seed=0):
    """Noise whose mean is zero, so that a shift is the estimate."""
    drawn = np.random.default_rng(seed).normal(0, 0.1, n)
    return drawn - drawn.mean()


def shifted(gap, n=N, width=1.0):
    """Scores of "good" that exceed those of "poor" by a gap on average; "raw" has 1."""
    of = {"good": 0.5 + gap + width * noise(n), "poor": np.full(n, 0.5), "raw": np.ones(n)}
    return lambda arm, benchmark, seed: of[arm].tolist()


def test_an_outcome_by_hand():
    good, poor = [0.9, 0.5, 0.7, 0.2, 0.8, 0.6, 0.4, 1], [0.4, 0.6, 0.2, 0.2, 0.3, 0.6, 0.3, 0.8]
    differences = np.array(good) - poor
    signs = np.array(list(itertools.product((-1, 1), repeat=8)))
    exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    found = only(HIGHER, lambda arm, *_: {"good": good, "poor": poor, "raw": good}[arm])
    assert (found.arms, found.plus, found.minus) == ("", "arm good", "arm poor")
    assert found.estimate == pytest.approx(differences.mean())
    assert found.p == pytest.approx(exact, abs=0.02)
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.benchmarks == {"one": pytest.approx(differences.mean())}
    error = differences.std() / 8**0.5
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.3 * error)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.3 * error)


def test_every_benchmark_counts_the_same_however_many_queries_it_has():
    scores = {
        ("one", "good"): [1.0, 0.0], ("one", "poor"): [0.0, 0.0],
        ("two", "good"): [0.1] * 10, ("two", "poor"): [0.4] * 10,
    }  # fmt: skip
    found = only(HIGHER, lambda a, b, _: scores[b, a], benchmarks=["one", "two"], arms=ARMS[:2])
    assert found.benchmarks == pytest.approx({"one": 0.5, "two": -0.3})
    assert found.estimate == pytest.approx(0.1)


def test_seeds_are_averaged_and_counted():
    of = {("good", 0): 0.9, ("good", 1): 0.8, ("good", 2): 0.3}
    score = lambda arm, _, seed: [of.get((arm, seed), 0.5)] * 4  # noqa: E731
    found = only(HIGHER, score, seeds=[0, 1, 2])
    assert found.estimate == pytest.approx((0.4 + 0.3 - 0.2) / 3)
    assert found.seeds == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("gap", "verdict", "status"),
    [
        (0.1, "yes", "reproduced"),
        (-0.1, "opposite", "not reproduced"),
        (0.01, "unsure", "not reproduced"),
        (0.0, "unsure", "not reproduced"),
    ],
)
def test_higher_needs_a_sure_difference(gap, verdict, status):
    (decision,) = judge([HIGHER], shifted(gap))
    assert (decision.outcomes[0].verdict, decision.status) == (verdict, status)


def test_what_one_lucky_seed_did_is_not_sure():
    """All queries agree, so that swapping queries is sure; the seeds do not."""
    luck = {0: 0.2, 1: -0.02, 2: -0.02}
    score = lambda arm, _, seed: [0.5 + (luck[seed] if arm == "good" else 0)] * N  # noqa: E731
    found = only(HIGHER, score, seeds=[0, 1, 2])
    assert found.p_holm < 0.001
    assert found.low < 0 < found.high
    assert (found.verdict, found.seeds) == ("unsure", pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("at_least", "verdict"),
    [(0.5, "yes"), (0.7, "no"), (0.6, "mean"), (0.59, "mean"), (0.61, "unsure")],
)
def test_keeps_needs_all_of_the_interval(at_least, verdict):
    found = only({**KEEPS, "at_least": at_least}, shifted(0.1))
    assert found.estimate == pytest.approx(0.6)
    assert (found.verdict, found.effect) == (verdict, None)
    assert (found.arms, found.plus, found.minus) == ("arm good", "", "")


def test_the_p_value_of_a_threshold_counts_both_sides():
    error = noise(400).std() / 20
    for step, exact in [(-1.5, 0.1336), (1.5, 0.1336), (0.0, 0.98)]:
        claim = {**KEEPS, "at_least": 0.6 + step * error}
        assert only(claim, shifted(0.1, 400)).p == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(
    ("gap", "within", "verdict"),
    [(0.0, 5, "yes"), (0.0, 2.0, "unsure"), (0.1, 2, "no"), (-0.1, 2, "no"), (0.03, 5, "unsure")],
)
def test_same_needs_the_interval_inside(gap, within, verdict):
    assert only({**SAME, "within": within}, shifted(gap)).verdict == verdict


def test_the_p_value_of_sameness_is_the_nearer_limits():
    error = noise(400).std() / 20
    claim = {**SAME, "within": 100 * 2 * error}
    found = only(claim, shifted(0.5 * error, 400))
    assert found.p == pytest.approx(0.0668, abs=0.02)  # 1.5 errors below the upper limit
    assert found.seeds == 1


def test_shares_and_what_exceeds_are_worked_out_by_hand():
    of = {"good": [0.8, 0.6], "poor": [0.3, 0.3], "raw": [1.0, 1.0], "other": [0.5, 0.3]}
    arms = tuple(of)
    shares = {**HIGHER, "of": {"arm": "raw"}, "than": {"arm": "other"}}
    found = only(shares, lambda arm, *_: of[arm], arms=arms)
    assert found.estimate == pytest.approx(0.7 - 0.4)
    assert found.effect is None
    more = {**HIGHER, "exceeds": {"higher": {"arm": "raw"}, "than": {"arm": "other"}}}
    found = only(more, lambda arm, *_: of[arm], arms=arms)
    assert found.estimate == pytest.approx((0.7 - 0.3) - (1 - 0.4))
    assert (found.plus, found.minus) == ("arm good and arm other", "arm poor and arm raw")


def test_p_values_are_corrected_over_all_claims_of_the_study():
    more = {**HIGHER, "says": "Good beats both.", "than": {"arm": ["poor", "raw"]}}
    claims = [more, {**KEEPS, "at_least": 0.56}, {**SAME, "within": 4}]
    decisions = judge(claims, shifted(0.03))
    outcomes = [outcome for decision in decisions for outcome in decision.outcomes]
    assert len(outcomes) == 4
    assert [o.p_holm for o in outcomes] == holm([o.p for o in outcomes])
    assert [d.claim for d in decisions] == [1, 2, 3]


@pytest.mark.parametrize("claim", [{**KEEPS, "at_least": 0.568}, {**SAME, "within": 12.6}])
def test_a_threshold_among_many_needs_more_than_one_alone(claim):
    """Holm multiplies by the number of those not yet refused; the others here differ in nothing."""
    alone = judge([claim], shifted(0.1))[0]
    assert alone.status == "reproduced"
    others = [{**HIGHER, "higher": {"arm": "poor"}, "than": {"arm": "even"}}] * 4
    score = lambda arm, *rest: shifted(0.1)("poor" if arm == "even" else arm, *rest)  # noqa: E731
    among = judge([claim, *others], score, arms=(*ARMS, "even"))[0]
    assert among.outcomes[0].p == alone.outcomes[0].p < 0.05
    assert among.outcomes[0].p_holm > 0.05
    expected = ("mean", "partly reproduced") if "keeps" in claim else ("unsure", "not reproduced")
    assert (among.outcomes[0].verdict, among.status) == expected


def test_a_claim_that_holds_for_some_is_partly_reproduced():
    claim = {**HIGHER, "than": {"arm": ["poor", "raw"]}}
    (decision,) = judge([claim], shifted(0.1))
    assert [o.verdict for o in decision.outcomes] == ["yes", "opposite"]
    assert decision.status == "partly reproduced"


def test_what_cannot_be_tested_says_so_and_needs_no_figures():
    (decision,) = judge([{"says": "x", "untestable": "needs the hub"}], shifted(0))
    assert (decision.status, decision.outcomes, decision.shape) == (
        "not testable offline",
        (),
        "untestable",
    )


def gap_of(values):
    """Training figures by arm and seed, the same on every benchmark."""
    return lambda arm, _, seed: {"gap": values[arm][seed]} if arm in values else {}


GAP = {**HIGHER, "measure": "training.gap"}


def test_figures_of_training_are_compared_fit_by_fit():
    figures = gap_of({"good": [0.9, 0.7, 0.1], "poor": [0.1, 0.2, 0.3]})
    found = only(GAP, shifted(0), training=figures, seeds=[0, 1, 2], benchmarks=["one", "two"])
    assert found.estimate == pytest.approx((0.8 + 0.5 - 0.2) / 3)
    assert found.seeds == pytest.approx(2 / 3)
    assert found.benchmarks == {}
    differences = np.array([0.8, 0.5, -0.2])
    theirs = ttest_1samp(differences, 0)
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_one_fit_that_serves_many_benchmarks_is_one_case():
    """Three fits have two degrees of freedom, however many benchmarks they are scored on."""
    figures = gap_of({"good": [0.9, 0.8, 0.7], "poor": [0.1, 0.2, 0.3]})
    found = only(
        GAP, shifted(0), training=figures, seeds=[0, 1, 2], benchmarks=["one", "two", "three"]
    )
    assert found.p == pytest.approx(ttest_1samp([0.8, 0.6, 0.4], 0).pvalue)
    assert found.verdict == "yes"


def test_a_figure_that_was_not_measured_decides_nothing():
    with pytest.raises(DataError) as caught:
        only(GAP, shifted(0), training=gap_of({"good": [0.5]}))
    assert str(caught.value) == (
        "the claim 'Good is better.' is about training.gap, which the training of good or poor did "
        "not measure"
    )


def test_a_missing_result_is_named():
    plan = one_axis(ARMS, HIGHER, seeds=[0, 7], benchmarks=["one", "two"])
    found = rows(plan, shifted(0))
    lacking = [
        r for r in found if (r["arm"]["arm"], r["benchmark"], r["seed"]) != ("poor", "two", 7)
    ]
    with pytest.raises(DataError) as caught:
        decide(plan, lacking)
    assert str(caught.value) == (
        "there is no result of 'poor' on two with seed 7: run the study to its end"
    )


def test_results_of_other_queries_do_not_mix():
    plan = one_axis(ARMS[:2], HIGHER)
    mixed = [row({"arm": "good"}, [1.0, 0.0]), row({"arm": "poor"}, [1.0, 0.0, 0.5])]
    with pytest.raises(DataError) as caught:
        decide(plan, mixed)
    assert str(caught.value) == (
        "the results of 'poor' on one are of 3 queries, others of 2: run the study anew"
    )


def test_decisions_are_plain_values_and_come_back():
    decisions = judge([HIGHER, {**KEEPS, "at_least": 0.5}, {**SAME, "within": 1}], shifted(0.1))
    for decision in decisions:
        values = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
        assert values["status"] == decision.status
        assert values["outcomes"][0]["estimate"] == decision.outcomes[0].estimate
        assert Decision.from_dict(values) == decision


def test_no_claims_no_decisions():
    assert judge([], shifted(0)) == []
