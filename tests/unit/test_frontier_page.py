"""A section says what was won, and as plainly what was not."""

import re

import pytest

from charts import assert_balanced, text
from vecpress.entries import entries_of
from vecpress.frontier_page import counterpart, headline, section


def result(**changes):
    return {
        "benchmark": "toy",
        "group": "baseline",
        "method": "PCA",
        "budget": 64,
        "bytes_per_vector": 64,
        "compression_factor": 40.0,
        "ndcg@10": 0.5,
        "recall@100": 0.9,
        "recovery": 0.9,
        "seed": 0,
    } | changes


def chosen(**changes):
    return result(group="chosen", method="256 x 2 bit", **changes)


@pytest.mark.parametrize(
    ("recoveries", "told"),
    [
        ((0.9, 0.96, 0.99), "64 bytes per document keep 96.0 % of the raw concatenation's nDCG@10: 20 times smaller."),
        ((0.7, 0.8, 0.79), "64 bytes per document keep 80.0 %"),
        ((0.95, 0.96, 0.99), "32 bytes per document keep 95.0 %"),
    ],
)  # fmt: skip
def test_the_headline_is_the_smallest_that_keeps_enough_or_the_best(recoveries, told):
    rows = [
        chosen(budget=b, bytes_per_vector=b, recovery=r, compression_factor=1280 / b)
        for b, r in zip((32, 64, 128), recoveries, strict=True)
    ]
    assert told in text(headline(entries_of(rows)))
    assert headline(entries_of([result()])) == ""


def test_seeds_are_averaged_before_anything_is_claimed():
    rows = [chosen(seed=s, recovery=r) for s, r in ((0, 0.99), (1, 0.90))]
    rows.append(chosen(budget=128, bytes_per_vector=128, recovery=0.97))
    assert "128 bytes per document keep 97.0 %" in text(headline(entries_of(rows)))


@pytest.mark.parametrize(
    ("rivals", "told"),
    [
        ([(0.6, 0.01)], "Significantly better than the choice (p < 0.05): at 64 B <PCA 0>."),
        ([(0.6, 0.01), (0.7, 0.02)], "at 64 B <PCA 0> and <PCA 1>."),
        ([(0.4, 0.01)], "No row is significantly better than the choice for the same budget."),
        ([(0.6, 0.05)], "No row is significantly better than the choice for the same budget."),
        ([(0.6, 0.3), (0.6, None)], "same budget (1 of 2 rows were not tested)."),
        ([(0.6, None)], "At 64 B another row scores higher than the choice; whether that is luck"),
        ([(0.4, None)], ""),
    ],
)
def test_the_counterpart_says_what_beats_the_choice(rivals, told):
    rows = [
        result(method=f"<PCA {'ab'[i]}>".replace("a", "0").replace("b", "1"), p_chosen=p,
               **{"ndcg@10": n})
        for i, (n, p) in enumerate(rivals)
    ]  # fmt: skip
    page = counterpart(entries_of([chosen(), *rows]))
    assert told in text(page)
    assert bool(told) == bool(page)
    assert "<PCA" not in page
    assert counterpart(entries_of(rows)) == ""


def test_of_several_seeds_it_says_in_how_many():
    rows = [chosen(seed=s) for s in (0, 1, 2)]
    rows += [
        result(seed=s, p_chosen=p, **{"ndcg@10": 0.6}) for s, p in ((0, 0.01), (1, 0.2), (2, 0.04))
    ]
    assert "at 64 B PCA in 2 of 3 runs." in text(counterpart(entries_of(rows)))


RAW = [1.0, 0.5, 0.5, 0.0]


def test_queries_are_compared_with_the_raw_concatenation():
    rows = [
        result(group="concatenation", method="a + b", budget=None, per_query=RAW),
        chosen(per_query=[0.4, 0.5, 0.6, 0.0]),
        result(per_query=[0.9, 0.5, 0.5, 0.0]),
        result(method="odd", per_query=[0.1]),
    ]
    page = section(entries_of(rows), anchor="s")
    assert_balanced(page)
    told = text(page[page.index("<h3>Query") :])
    assert "25 % better, 50 % equal, 25 % worse" in told
    assert "4 queries" in told
    assert re.search(r"the choice 0\.600.*PCA 0\.100", told)
    assert "1 row is left out: the queries do not fit." in told
    without = section(entries_of([row | {"per_query": None} for row in rows]), anchor="s")
    assert "Query by query" not in without


def test_of_many_queries_a_thousand_are_drawn_and_it_says_so(rng):
    rows = [
        result(group="concatenation", method="a", budget=None, per_query=rng.random(1500).tolist()),
        chosen(per_query=rng.random(1500).tolist()),
    ]
    page = section(entries_of(rows), anchor="s")
    assert "1,000 of 1,500, evenly drawn queries" in text(page)
    square = page[page.index('class="square"') :].partition("</svg>")[0]
    assert 900 < square.count("<circle") <= 1000


def test_how_it_was_made_is_told():
    rows = [
        result(seed=s, command=f"vecpress compare <{s}>", date="2026-11-21", vecpress="0.1.0",
               documents=5183, fitted_on="Wikipedia", pairs={"judgements": 919}, machine="m")
        for s in (1, 0)
    ]  # fmt: skip
    page = section(entries_of(rows), anchor="s")
    made = text(page[page.index("class='making'") :])
    assert (
        "command vecpress compare <1> vecpress compare <0> date 2026-11-21 vecpress 0.1.0 machine m "
        "seeds 0, 1 fitted on Wikipedia documents 5,183 judgements learned from 919"
    ) in made
    old = section(entries_of([result(versions={"vecpress": "0.0.9"})]), anchor="s")
    assert "vecpress 0.0.9 seed 0" in text(old[old.index("class='making'") :])


def test_the_panel_starts_with_the_headline():
    rows = [result(), chosen(recovery=0.99), chosen(recovery=0.96, bytes_per_vector=32, budget=32)]
    assert 'data-start="s-2"' in section(entries_of(rows), anchor="s")
    assert 'data-start="s-0"' in section(entries_of(rows[:1]), anchor="s")
