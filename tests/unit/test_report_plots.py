"""Marks of the report's plots lie where their numbers say, on axes read as an eye reads them."""

import math
import re

import numpy as np
import pytest

from charts import assert_balanced, between, worth
from vecpress.entries import GROUPS, entries_of
from vecpress.per_query import Paired
from vecpress.report_plots import css, front_of, frontier, legend, mark, scatter

SCORES = [(16, 0.41, "chosen"), (64, 0.52, "chosen"), (64, 0.35, "baseline"), (100, 0.5, "trained"),
          (1536, 0.55, "single model"), (2560, 0.61, "concatenation"), (2560, 0.3, "<mine>")]  # fmt: skip


def entries(rows=SCORES):
    return entries_of(
        [
            {"benchmark": "toy", "group": g, "method": f"<{i}>", "bytes_per_vector": b,
             "ndcg@10": s, "recall@100": 0.9, "recovery": 0.9}
            for i, (b, s, g) in enumerate(rows)
        ]
    )  # fmt: skip


def read(svg):
    """Read (bytes, nDCG@10) off the axes for every mark, by its row."""
    below = re.findall(r'<text(?: class="odd")? x="([\d.]+)%" y="100%" dy="20">([\d,]+)<', svg)
    beside = re.findall(r'<text class="y" x="0" y="([\d.]+)%"[^>]*>([^<]+)<', svg)
    xs = [(float(x), math.log(worth(n))) for x, n in below]
    ys = [(float(y), worth(n)) for y, n in beside]
    marks = re.findall(r'class="point [^"]*" x="([\d.]+)%" y="([\d.]+)%"[^>]*data-row="(\w+)"', svg)
    return {r: (math.exp(between(float(x), xs)), between(float(y), ys)) for x, y, r in marks}


def test_marks_lie_where_their_numbers_say():
    made = entries()
    svg = frontier(made, [f"r{i}" for i in range(len(made))])
    found = read(svg)
    assert found.keys() == {f"r{i}" for i in range(len(SCORES))}
    for place, (size, score, _) in enumerate(SCORES):
        assert found[f"r{place}"] == (pytest.approx(size, rel=0.01), pytest.approx(score, abs=1e-3))
    assert_balanced(svg)
    raw = re.search(r'class="raw" x1="0.00%" y1="([\d.]+)%" x2="100.00%" y2="([\d.]+)%"', svg)
    assert raw[1] == raw[2] == re.search(r'y="([\d.]+)%"[^>]*data-row="r5"', svg)[1]
    assert "&lt;0&gt;: 16 B, nDCG@10 0.4100</title>" in svg
    assert "<0>" not in svg


def test_the_choices_are_drawn_last_and_connected():
    made = entries()
    svg = frontier(made, [f"r{i}" for i in range(len(made))])
    assert re.findall(r'data-row="(\w+)"', svg)[-2:] == ["r0", "r1"]
    ends = re.findall(r'class="chosen" x1="(\S+)%" y1="(\S+)%" x2="(\S+)%" y2="(\S+)%"', svg)
    places = [
        re.search(rf'x="(\S+)%" y="(\S+)%"[^>]*data-row="r{i}"', svg).groups() for i in (0, 1)
    ]
    assert ends == [(*places[0], *places[1])]


def test_the_front_is_what_nothing_as_small_reaches(rng):
    rows = [
        (int(b), float(s), "baseline")
        for b, s in zip(rng.integers(8, 40, 60), rng.random(60), strict=True)
    ]
    made = entries(rows)
    beaten = [any(o.size <= e.size and o.ndcg >= e.ndcg and o is not e for o in made) for e in made]
    expected = sorted((e.size, e.ndcg) for e, lost in zip(made, beaten, strict=True) if not lost)
    assert [(e.size, e.ndcg) for e in front_of(made)] == expected
    assert 1 < len(expected) < 30
    tied = entries([(16, 0.5, "baseline"), (8, 0.5, "baseline"), (8, 0.4, "baseline")])
    assert [(e.size, e.ndcg) for e in front_of(tied)] == [(8, 0.5)]


def test_every_group_has_a_shape_of_its_own():
    shapes = {re.search(r'"true">(.*?)</svg>', mark(group))[1] for group in [*GROUPS, "mine"]}
    assert len(shapes) == len(GROUPS) + 1
    assert css("single model") == "g-single-model"
    assert css('x" onload="') == "g-other"
    told = legend(entries())
    assert [n for n in re.findall(r'data-group="(.*?)"', told)] == [*GROUPS, "&lt;mine&gt;"]
    assert "raw concatenation" in told
    assert "raw concatenation" not in legend(entries(SCORES[:2]))


def test_queries_lie_where_they_score_and_equal_ones_are_one_dot():
    raw, codes = [0.0, 0.25, 0.25, 1.0, 1.0, 1.0, 1.0], [0.5, 0.25, 0.25, 0.0, 1.0, 1.0, 1.0]
    svg = scatter(Paired(raw, codes), label="<label>")
    dots = re.findall(r'<circle cx="(\S+)%" cy="(\S+)%" r="(\S+)"', svg)
    found = {(float(x) / 100, 1 - float(y) / 100): float(r) for x, y, r in dots}
    assert found == {
        (0.0, 0.5): 2,
        (0.25, 0.25): pytest.approx(2 * np.sqrt(2), abs=0.01),  # area says how many
        (1.0, 0.0): 2,
        (1.0, 1.0): pytest.approx(2 * np.sqrt(3), abs=0.01),
    }
    assert 'aria-label="&lt;label&gt;"' in svg
    assert_balanced(svg)
