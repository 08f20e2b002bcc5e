import json
import re

import pytest

from vecpress.errors import DataError
from vecpress.report import read_results, render, write_results


def result(**changes):
    return {
        "benchmark": "toy",
        "group": "chosen",
        "method": "256 x 2 bit",
        "bytes_per_vector": 64,
        "compression_factor": 40.0,
        "ndcg@10": 0.5,
        "recall@100": 0.9,
        "recovery": 0.99,
        "p_value": 0.5,
    } | changes


ROWS = [
    result(group="concatenation", method="a + b", bytes_per_vector=2560, recovery=1.0, p_value=1.0),
    result(),
    result(method="512 x 2 bit", bytes_per_vector=128, **{"ndcg@10": 0.51}),
    result(group="baseline", method="<PCA>", **{"ndcg@10": 0.4}, recovery=0.8, p_value=0.01),
]


def test_the_page_shows_every_row_and_needs_nothing_else():
    page = render(ROWS, command="vecpress compare <x>")
    assert page.count("<tr>") == 1 + len(ROWS)
    assert "&lt;PCA&gt;" in page
    assert "<PCA>" not in page
    assert "vecpress compare &lt;x&gt;" in page
    assert "<b>64 bytes</b> per document keep <b>99.0 %</b>" in page
    assert not re.search(r"(src|href)=|https?:|@import|<script", page)
    assert "0.4000 *" in page
    assert "0.5000 *" not in page


def test_points_lie_where_their_numbers_say():
    """More bytes further right, more quality higher up, and the frontier through the choices."""
    plot = render(ROWS).split("<figcaption>")[0]
    points = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="6"><title>([^:]+):', plot)
    at = {name: (float(x), float(y)) for x, y, name in points}
    assert at["256 x 2 bit"][0] < at["512 x 2 bit"][0] < at["a + b"][0]
    assert at["512 x 2 bit"][1] < at["256 x 2 bit"][1] < at["&lt;PCA&gt;"][1]
    step = at["512 x 2 bit"][0] - at["256 x 2 bit"][0]
    line = re.search(r'class="frontier" points="([^"]+)"', plot)[1]
    assert line == " ".join(f"{x:.1f},{y:.1f}" for x, y in (at["256 x 2 bit"], at["512 x 2 bit"]))
    baseline = at["&lt;PCA&gt;"][0]
    assert (baseline, step > 0) == (at["256 x 2 bit"][0], True)


@pytest.mark.parametrize("scores", [(0.0, 0.0), (0.001, 0.9), (0.5, 0.5001), (1.0, 1.0)])
def test_any_spread_of_scores_can_be_drawn(scores):
    page = render([result(**{"ndcg@10": s}, method=str(s)) for s in scores])
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)" r="6"', page)]
    assert all(0 < y < 400 for y in heights)
    assert "nan" not in page.lower().replace("finance", "")


def test_several_benchmarks_get_a_section_each():
    page = render([result(), result(benchmark="other")])
    assert page.count("<section>") == 2


def test_results_go_to_a_file_and_back(tmp_path):
    write_results(tmp_path / "r.jsonl", ROWS)
    assert read_results(tmp_path / "r.jsonl") == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no results: make them with `vecpress compare`"),
        ("{", "line 1 of .* is not JSON"),
        ("3", "is not JSON|not a result"),
        (json.dumps({"benchmark": "x"}), "is not a result: 'group' is None"),
        (json.dumps(result(bytes_per_vector="x")), "is not a result: 'bytes_per_vector' is 'x'"),
        (json.dumps(result(bytes_per_vector=0)), "is not a result: 'bytes_per_vector' is 0"),
        (json.dumps(result(recovery=float("nan"))), "is not a result: 'recovery' is nan"),
    ],
)
def test_what_is_no_results_file_is_said(tmp_path, text, message):
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        read_results(tmp_path / "r.jsonl")
    with pytest.raises(DataError, match="cannot read results"):
        read_results(tmp_path / "absent.jsonl")
