"""Who loses and how much, by hand and against numpy."""

import numpy as np
import pytest

from vecpress.entries import entries_of
from vecpress.per_query import MOST, Paired, paired


def entry(**values):
    needed = {"benchmark": "toy", "group": "chosen", "method": "m", "bytes_per_vector": 8}
    scores = {"ndcg@10": 0.5, "recall@100": 0.9, "recovery": 0.9}
    runs = values.pop("runs", [{}])
    return entries_of([needed | scores | values | run for run in runs])[0]


def test_shares_and_the_worst_tenth_by_hand():
    raw = [1.0, 0.8, 0.5, 0.5, 0.0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    codes = [0.4, 0.9, 0.5, 0.2, 0.0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    pairs = Paired(raw, codes)
    assert pairs.shares == (1 / 11, 8 / 11, 2 / 11)
    assert pairs.worst_tenth == pytest.approx((0.6 + 0.3) / 2)  # a tenth of 11, rounded up


def test_the_worst_tenth_is_that_of_all_queries_however_many_are_drawn(rng):
    raw, codes = rng.random((2, 2503))
    pairs = Paired(raw.tolist(), codes.tolist())
    losses = np.sort(raw - codes)[::-1]
    assert pairs.worst_tenth == pytest.approx(losses[:251].mean())
    drawn = pairs.drawn
    assert len(drawn) == MOST == len(set(drawn))
    places = [pairs.raw.index(x) for x, _ in drawn]
    assert set(np.diff(places)) == {2, 3}  # evenly, in order
    assert drawn[0] == (raw[0], codes[0])
    assert places[-1] >= 2500


def test_a_gain_everywhere_is_a_negative_loss():
    assert Paired([0.1] * 5, [0.3] * 5).worst_tenth == pytest.approx(-0.2)


def test_runs_are_paired_with_the_floats_of_their_seed():
    raw = entry(
        runs=[{"seed": 0, "per_query": [0.1, 0.2]}, {"seed": 1, "per_query": [0.3, 0.4]}],
        group="concatenation",
    )
    codes = entry(runs=[{"seed": seed, "per_query": [0.5, 0.5]} for seed in (1, 2)])
    assert paired(codes, raw) == [
        Paired([0.3, 0.4], [0.5, 0.5]),
        Paired([0.1, 0.2], [0.5, 0.5]),  # seed 2 has none of its own
    ]


@pytest.mark.parametrize(
    "odd", [None, [], [0.1], [0.1, None], [0.1, float("nan")], "ab", {"a": 1}, [0.1, 2.0], 7]
)
def test_what_does_not_fit_is_left_out(odd):
    raw = entry(group="concatenation", per_query=[0.1, 0.2])
    assert paired(entry(per_query=odd), raw) == []
    assert paired(entry(per_query=[0.1, 0.2]), entry(per_query=odd)) == []
    assert paired(entry(per_query=[0.1, 0.2]), None) == []
