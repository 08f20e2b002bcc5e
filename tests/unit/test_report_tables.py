"""Tables hold the numbers they are given, with bold, arrows and stars where they belong."""

import re

import pytest

from charts import assert_balanced, text
from vecpress.entries import Verdict, entries_of
from vecpress.report_tables import (
    Cell,
    arrows,
    budget_table,
    full_table,
    recovery_cells,
    size_of,
    unbudgeted,
)


def result(**changes):
    return {
        "benchmark": "toy",
        "group": "baseline",
        "method": "PCA",
        "budget": 64,
        "bytes_per_vector": 64,
        "ndcg@10": 0.5,
        "recall@100": 0.9,
        "recovery": 0.9,
        "seed": 0,
    } | changes


def rows_of(table):
    """Read each line of a table as its cells' words."""
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    return [
        [text(c).strip() for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", s, re.DOTALL)]
        for s in lines
    ]


def test_recoveries_stand_under_their_budget_with_their_spread():
    entries = entries_of(
        [
            result(group="chosen", method="c", recovery=0.9, seed=0),
            result(group="chosen", method="c", recovery=0.92, seed=1),
            result(recovery=0.93, p_chosen=0.01, **{"ndcg@10": 0.6}),
            result(method="OPQ", recovery=0.5, budget=32, bytes_per_vector=30),
            result(method="fat", recovery=0.99, bytes_per_vector=65),
        ]
    )
    table = budget_table(recovery_cells(entries), caption="<caption>")
    assert_balanced(table)
    assert rows_of(table) == [
        ["method", "32 B", "64 B"],
        ["chosen by vecpress"],
        ["the choice", "–", "91.0 ± 1.4"],
        ["baseline"],
        ["PCA", "–", "▲ 93.0"],
        ["OPQ", "50.0 30 B", "–"],
        ["fat", "–", "99.0 over: 65 B"],  # more than its budget: shown, and no winner
    ]
    assert [text(bold).strip() for bold in re.findall("<b>(.*?)</b>", table)] == ["▲ 93.0", "50.0"]
    assert "&lt;caption&gt;" in table


def test_the_least_loss_is_best_and_what_looks_equal_is_equal():
    lines = {("baseline", name): {8: Cell(v, f"{v:.3f}")} for name, v in
             (("a", 0.2), ("b", 0.10001), ("c", 0.10004), ("d", 0.3))}  # fmt: skip
    table = budget_table(lines, caption="x", is_loss=True)
    assert re.findall("<b>(.*?)</b>", table) == ["0.100", "0.100"]
    assert budget_table({}, caption="x") == ""


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (Verdict(), []),
        (Verdict(tested=2), []),
        (Verdict(better=2, tested=2), [("better in 2 of 2", "▲")]),
        (Verdict(worse=1, tested=2), [("worse in 1 of 2", "▽")]),
        (Verdict(1, 2, 3), [("better in 1 of 3", "△"), ("worse in 2 of 3", "▽")]),
    ],
)
def test_arrows_are_hollow_where_seeds_disagree(verdict, shown):
    found = re.findall(r'aria-label="significantly (.*?)".*?>(&#\d+;)<', arrows(verdict))
    assert [(told, text(arrow)) for told, arrow in found] == shown


def test_rows_without_a_budget_have_a_list_of_their_own():
    entries = entries_of([result(), result(budget=None, method="int8", bytes_per_vector=640)])
    assert rows_of(unbudgeted(entries))[1:] == [["int8 baseline", "640", "90.0"]]
    assert unbudgeted(entries[:1]) == ""


def test_every_number_of_a_row_stands_in_the_full_table():
    row = result(
        p_value=0.01, p_chosen=0.5, table_bytes=2_000_000, compression_factor=40.0, encode_ms=6.314,
        recipe={"models": ["<m>"], "head": {"kind": "pca"}},
    )  # fmt: skip
    entries = entries_of(
        [row, result(group="concatenation", method="a", budget=None, p_value=0.001)]
    )
    table = full_table(entries, ["x-0", "x-1"])
    assert_balanced(table)
    heads, first, second = rows_of(table)
    assert dict(zip(heads[1:], first[1:], strict=True)) == {
        "nDCG@10": "0.5000 *",
        "recall@100": "0.9000",
        "bytes": "64",
        "tables": "2 MB",
        "smaller": "40.0x",
        "kept": "90.0 %",
        "per million": "66 MB",
        "ms/query": "6.31",
        "p, raw": "0.01",
        "p, choice": "0.5",
    }
    assert second[1:] == ["0.5000", "0.9000", "64", "–", "–", "90.0 %", "64 MB", "–", "–", "–"]
    line = re.search(r'<tr id="x-0".*?</tr>', table, re.DOTALL)[0]
    sorts = re.findall(r'<td data-v="(.*?)"', line)
    assert [float(value) for value in sorts] == [0.5, 0.9, 64, 2e6, 40, 0.9, 66e6, 6.314, 0.01, 0.5]
    assert "models = [&quot;&lt;m&gt;&quot;]\n\n[head]\nkind = &quot;pca&quot;</pre>" in line
    assert "<pre" not in re.search(r'<tr id="x-1".*?</tr>', table, re.DOTALL)[0]


def test_over_several_seeds_the_largest_p_and_the_recipe_of_one():
    runs = [result(seed=s, p_value=p, recipe={"sample": s}) for s, p in ((3, 0.2), (4, 0.01))]
    table = full_table(entries_of(runs), ["x"])
    assert "0.5000 (*)" in table
    assert rows_of(table)[1][-2] == "0.2"
    assert '<td data-v="0.2">0.2</td>' in table
    assert "recipe of seed 3</summary><pre tabindex='0'>sample = 3<" in table
    assert "2&nbsp;runs" in table


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0.0, "0 B"),
        (999.0, "999 B"),
        (5120.0, "5.12 kB"),
        (64e6, "64 MB"),
        (1.28e8, "128 MB"),
        (2.56e9, "2.56 GB"),
    ],
)
def test_sizes_have_three_figures(size, told):
    assert size_of(size) == told
