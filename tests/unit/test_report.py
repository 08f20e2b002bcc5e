"""A results file survives what kills its writers, and its page needs nothing and hides nothing."""

import base64
import hashlib
import json
import os
import re

import pytest

from charts import assert_balanced
from vecpress.errors import DataError
from vecpress.report import (
    append_result,
    known_results,
    read_results,
    render,
    write_page,
    write_results,
)


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


def test_results_go_to_a_file_and_back(tmp_path):
    write_results(tmp_path / "r.jsonl", ROWS)
    assert read_results(tmp_path / "r.jsonl") == ROWS
    append_result(tmp_path / "r.jsonl", result(method="\u2028 é"))
    append_result(tmp_path / "new.jsonl", ROWS[1])
    assert read_results(tmp_path / "r.jsonl") == [*ROWS, result(method="\u2028 é")]
    assert read_results(str(tmp_path / "new.jsonl")) == [ROWS[1]]


@pytest.mark.parametrize("left", [1, 8, 13, -1])  # 13: within a character
def test_a_torn_last_line_is_passed_over_and_replaced(tmp_path, left):
    path = tmp_path / "r.jsonl"
    write_results(path, ROWS[:2])
    whole = path.read_bytes()
    line = json.dumps({"method": "é"}, ensure_ascii=False).encode()
    path.write_bytes(whole + line[:left])
    assert read_results(path) == ROWS[:2]
    append_result(path, ROWS[3])
    assert read_results(path) == [*ROWS[:2], ROWS[3]]
    assert path.read_bytes().startswith(whole)
    path.write_bytes(line[:left])
    append_result(path, ROWS[3])
    assert read_results(path) == [ROWS[3]]


def test_a_line_is_on_the_disk_before_the_next_run_begins(tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(path.read_text()))
    append_result(path, ROWS[0])
    append_result(path, ROWS[1])
    assert [text.count("\n") for text in synced] == [1, 2]
    assert synced[-1] == path.read_text()


def test_a_last_line_that_lacks_only_its_end_counts(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    assert read_results(path) == ROWS[:1]
    append_result(path, ROWS[1])
    assert read_results(path) == ROWS[:2]


def test_of_one_key_the_last_counts(tmp_path):
    rows = [result(key="a"), result(key="b"), result(), result(), result(key="a", seed=1)]
    write_results(tmp_path / "r.jsonl", rows)
    assert read_results(tmp_path / "r.jsonl") == [rows[4], rows[1], rows[2], rows[3]]


def test_a_run_goes_on_from_what_is_known(tmp_path):
    path = tmp_path / "r.jsonl"
    assert known_results(path) == {}
    for text in ("", '{"benchm'):  # killed before, and within, its first line
        path.write_text(text)
        assert known_results(path) == {}
    for row in (result(key="a"), result(), result(key="b"), result(key="a", seed=1)):
        append_result(path, row)
    assert known_results(path) == {"a": result(key="a", seed=1), "b": result(key="b")}
    path.write_text("{\n")
    with pytest.raises(DataError, match=r"line 1 of .* is not JSON"):
        known_results(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recovery": float("nan")}, "this is not a result: 'recovery' is nan"),
        ({"method": None}, "this is not a result: 'method' is None"),
        ({"p_value": float("inf")}, "this result cannot be written as JSON: Out of range float"),
        ({"recipe": {1, 2}}, "this result cannot be written as JSON: .*set is not JSON"),
    ],
)
def test_what_could_not_be_read_again_is_not_appended(tmp_path, changes, message):
    path = tmp_path / "r.jsonl"
    append_result(path, result())
    with pytest.raises(DataError, match=message):
        append_result(path, result(**changes))
    assert read_results(path) == [result()]
    with pytest.raises(DataError, match=r"cannot write results to .*absent"):
        append_result(tmp_path / "absent" / "r.jsonl", result())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no results: make them with `vecpress compare`"),
        ("{", "holds no results"),
        ("{\n", "line 1 of .* is not JSON: '{'"),
        ("\n", "line 1 of .* is not JSON: ''"),
        ("9" * 5000 + "\n", "line 1 of .* is not JSON: '9{60}'"),
        ("[" * 100_000 + "\n", "line 1 of .* is not JSON"),
        ("3", "line 1 of .* is not a result: '3'"),
        ("[1]\n", "line 1 of .* is not a result: '.1.'"),
        (json.dumps({"benchmark": "x"}), "is not a result: 'group' is None"),
        (json.dumps(result(bytes_per_vector="x")), "is not a result: 'bytes_per_vector' is 'x'"),
        (json.dumps(result(bytes_per_vector=0)), "is not a result: 'bytes_per_vector' is 0"),
        (json.dumps(result(recovery=float("nan"))), "is not a result: 'recovery' is nan"),
        (json.dumps(result(recovery=True)), "is not a result: 'recovery' is True"),
        (json.dumps(result(recovery=10**400)), "is not a result: 'recovery' is 1000"),
    ],
)
def test_what_is_no_results_file_is_said(tmp_path, text, message):
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        read_results(tmp_path / "r.jsonl")
    with pytest.raises(DataError, match="cannot read results"):
        read_results(tmp_path / "absent.jsonl")


def test_a_file_that_is_not_text_is_said(tmp_path):
    (tmp_path / "r.jsonl").write_bytes(b"\x93NUMPY\n\x00")
    with pytest.raises(DataError, match=r"cannot read results from .*codec can't decode"):
        read_results(tmp_path / "r.jsonl")


def test_the_page_shows_every_row_and_needs_nothing_else():
    page = render(ROWS, command="vecpress compare <x>")
    assert page.count('<tr id="b0-') == page.count('<svg class="point') == len(ROWS)
    assert "&lt;PCA&gt;" in page
    assert "<PCA>" not in page
    assert "vecpress compare &lt;x&gt;" in page
    assert "<b>64 bytes</b> per document keep <b>99.0 %</b>" in page
    assert not re.search(r"src=|https?:|@import|url\(|href=(?!\"#b\d)", page)
    assert "0.4000 *" in page
    assert "0.5000 *" not in page
    assert_balanced(page.partition("<script>")[0] + page.rpartition("</script>")[2])


def test_only_its_own_script_may_run():
    hostile = "</script><script>alert(1)</script><img onerror=alert(1)>\"'"
    odd = dict.fromkeys(("fitted_on", "command", "date", "vecpress", "machine"), hostile)
    recipe = {hostile: hostile, "models": [hostile], "head": {hostile: {hostile: [hostile]}}}
    rows = [
        result(benchmark=hostile, group=group, method=hostile, recipe=recipe, budget=64, seed=hostile,
               models=[hostile], pairs={"judgements": hostile}, p_chosen=0.01, **odd)
        for group in ("chosen", "concatenation", "baseline", hostile)
    ]  # fmt: skip
    rows += [row | {"benchmark": "other" + hostile} for row in rows]
    page = render(rows, command=hostile)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert page.count("<script") == 1
    assert "<img" not in page
    assert_balanced(page.replace(script, ""))


@pytest.mark.parametrize("scores", [(0.0, 0.0), (0.001, 0.9), (0.5, 0.5001), (1.0, 1.0)])
def test_any_spread_of_scores_can_be_drawn(scores):
    page = render([result(**{"ndcg@10": s}, method=str(i)) for i, s in enumerate(scores)])
    heights = [float(y) for y in re.findall(r'class="point [^>]* y="([\d.]+)%"', page)]
    assert len(heights) == 2
    assert all(0 <= y <= 100 for y in heights)
    assert "nan" not in page.partition("<script>")[0].lower()


@pytest.mark.parametrize("odd", [None, "x", [], {}, True, -1, float("nan"), 10**400, "\ud800"])
def test_odd_values_of_other_fields_do_no_harm(tmp_path, odd):
    fields = ("budget", "seed", "p_value", "p_chosen", "compression_factor", "table_bytes", "models",
              "fitted_on", "documents", "encode_ms", "per_query", "command", "date", "vecpress",
              "versions", "recipe", "pairs", "key")  # fmt: skip
    rows = [row | dict.fromkeys(fields, odd) for row in ROWS]
    rows += [result(group="concatenation", per_query=[0.5]), result(per_query=[0.5], budget=8)]
    write_page(tmp_path / "r.html", render(rows))
    assert "&lt;PCA&gt;" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_several_benchmarks_get_a_section_each_after_all_of_them():
    page = render([result(budget=64), result(benchmark="other", budget=64), result(budget=8)])
    assert re.findall(r'<section id="(.*?)"', page) == ["all-0", "b0", "b1"]
    assert re.findall(r'href="#(.*?)"', page) == ["b0", "b1"]
    assert 'id="all-0"' not in render([result()])


def test_a_page_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*absent"):
        write_page(tmp_path / "absent" / "r.html", "x")
