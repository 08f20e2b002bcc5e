"""The report's script finds in the page what it looks for, sorts as it says, and is syntax a browser takes."""

import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from vecpress.report import render

SCRIPT = files("vecpress").joinpath("report.js")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def result(**changes):
    return {"benchmark": "toy", "group": "chosen", "method": "m", "bytes_per_vector": 64,
            "ndcg@10": 0.5, "recall@100": 0.9, "recovery": 0.99, "recipe": {"sample": 1}} | changes  # fmt: skip


def run(code):
    """Run an expression of the script's functions in node."""
    told = f"const s = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({code}))"
    done = subprocess.run(
        [NODE, "-e", told], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_the_page_has_what_the_script_looks_for():
    page = render([result()]).partition("<script>")[0]
    script = SCRIPT.read_text(encoding="utf-8")
    looked_for = set(re.findall(r'querySelector(?:All)?\("([^"]+)"\)', script))
    assert len(looked_for) >= 10
    for word in sorted(set(re.findall(r"\.([a-z]+)", " ".join(looked_for)))):
        assert re.search(rf'class="[^"]*\b{word}\b', page), word
    for tag in ("pre", "summary", "title", "figure", "table", "thead", "td"):
        assert f"<{tag}" in page
    for name in set(re.findall(r"\.dataset\.(\w+)", script)):
        assert f"data-{name}=" in page
    rows = re.findall(r'data-row="(.*?)"', page) + re.findall(r'data-start="(.*?)"', page)
    assert all(f'<tr id="{row}"' in page for row in rows)


def test_the_script_builds_no_html_from_text():
    script = SCRIPT.read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(", script
    )
    assert "</script" not in script


@needs_node
def test_sorting_puts_numbers_by_size_texts_by_name_and_missing_last():
    order = "[{}].sort((a, b) => s.compare(a, b, {}))"
    numbers = '"10", "", "9.5", "1e-05", "", "-2.0"'
    assert run(order.format(numbers, "false")) == ["-2.0", "1e-05", "9.5", "10", "", ""]
    assert run(order.format(numbers, "true")) == ["10", "9.5", "1e-05", "-2.0", "", ""]
    texts = '"PCA 128", "OPQ", "PCA 16"'
    assert run(order.format(texts, "false")) == ["OPQ", "PCA 16", "PCA 128"]


@needs_node
def test_keys_lead_from_point_to_point_and_stop_at_the_ends():
    keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "Home", "End", "x"]
    assert run(f"{json.dumps(keys)}.map((key) => s.next(key, 1, 4))") == [2, 2, 0, 0, 0, 3, None]
    assert run('[s.next("ArrowLeft", 0, 4), s.next("ArrowRight", 3, 4)]') == [0, 3]
