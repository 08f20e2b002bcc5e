"""Means over benchmarks are means of what is there, and say where something is missing."""

import re

import numpy as np
import pytest

from charts import assert_balanced, text
from vecpress.entries import entries_of
from vecpress.overview import mean_cells, overview


def result(**changes):
    return {
        "benchmark": "x",
        "group": "baseline",
        "method": "PCA",
        "budget": 64,
        "bytes_per_vector": 64,
        "ndcg@10": 0.5,
        "recall@100": 0.9,
        "recovery": 0.9,
        "seed": 0,
    } | changes


def test_means_are_over_benchmarks_and_spreads_over_seeds():
    recoveries = {("x", 0): 0.9, ("x", 1): 0.94, ("y", 0): 0.8, ("y", 1): 0.7, ("y", 2): 0.75}
    rows = [result(benchmark=b, seed=s, recovery=r) for (b, s), r in recoveries.items()]
    cell = mean_cells(entries_of(rows), count=2)["baseline", "PCA"][64]
    assert cell.value == pytest.approx(((0.9 + 0.94) / 2 + 0.75) / 2)
    spread = np.std([(0.9 + 0.8) / 2, (0.94 + 0.7) / 2], ddof=1)  # of the seeds that both have
    assert text(cell.html) == f"83.5 ± {100 * spread:.1f} "
    assert cell.note == ""


def test_a_row_that_a_benchmark_lacks_is_no_winner():
    rows = [result(benchmark=b) for b in "xy"]
    rows += [result(method="OPQ", recovery=0.99), result(group="chosen", method="1 x 8 bit")]
    page = "".join(overview(entries_of(rows)))
    assert_balanced(page)
    assert re.findall(r"<td><b>(.*?)</b>", page) == ["90.0"]
    assert text(page).count("1 of 2") == 2
    assert "Mean over x, y" in page
    assert "on average" not in page  # the choice is not there for all


def test_one_benchmark_has_no_mean():
    assert overview(entries_of([result()])) == []
    apart = [result(fitted_on="Wikipedia"), result(benchmark="y", fitted_on="y")]
    assert overview(entries_of(apart)) == []
    own = [result(benchmark=name, fitted_on=name) for name in "xy"]
    assert "fitted on itself" in "".join(overview(entries_of(own)))


@pytest.mark.parametrize(
    ("ps", "told"),
    [
        ((None, None), None),
        ((0.5, 0.5), "In 2 of 2 tested cells (benchmark and budget) no row is significantly better than the choice."),
        ((0.5, 0.01), "In 1 of 2 tested cells (benchmark and budget) no row is significantly better than the choice: beaten on y at 64 B by <PCA>."),
        ((None, 0.01), "In 0 of 1 tested"),
    ],
)  # fmt: skip
def test_cells_are_counted_where_nothing_beats_the_choice(ps, told):
    rows = [
        result(benchmark=b, group="chosen", method="c", recovery=r)
        for b, r in (("x", 0.97), ("y", 0.95))
    ]
    rows += [
        result(benchmark=b, method="<PCA>", p_chosen=p, **{"ndcg@10": 0.6})
        for b, p in zip("xy", ps, strict=True)
    ]
    (page,) = overview(entries_of(rows))
    assert "At a budget of 64 bytes the choice keeps 96.0 % on average." in text(page)
    assert ("tested cells" in page) == (told is not None)
    assert told is None or told in text(page)
