"""docs/methods.md: every method whole, its formulas those of the code, its tables those of files."""

import html
import importlib
import re
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt

from vecpress import artifact, registry
from vecpress.compressors.residual import Residual
from vecpress.stages import TrainingSet

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "methods.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
SECTIONS = {
    title.strip("`"): body
    for title, body in re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
}
PARTS = ("Idea", "Formula", "Source", "When to use it", "Costs", "Figures", "Known differences")
METHODS = (
    *registry.ENCODERS,
    *registry.COMPRESSORS,
    *registry.QUANTIZERS,
    "Concatenation",
    "The choice by budget",
)


def said(method: str) -> str:
    """Give a section without its line breaks."""
    return " ".join(SECTIONS[method].split())


@pytest.fixture
def tables(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))  # as when it is run as a script
    return importlib.import_module("method_tables")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_all_seven_parts_in_order(method):
    found = re.findall(r"^\*\*(.+?)\.\*\* (?=\S)|^\*\*(.+?)\.\*\*\n\n(?=```math)",
                       SECTIONS[method], re.MULTILINE)  # fmt: skip
    assert tuple(one or other for one, other in found) == PARTS


@pytest.mark.parametrize("method", METHODS)
def test_figures_are_published_ones_and_ours_or_say_that_there_are_none(method):
    figures = SECTIONS[method].partition("**Figures.**")[2].partition("**Known differences.**")[0]
    assert re.match(r" (Published|None published|There is no published figure)\b", figures)
    ours = ("<!-- table:method-", "none of ours", "(studies.md#", "no file kept")
    assert any(word in figures for word in ours), figures


def test_no_section_is_there_for_what_is_no_method():
    with_parts = [name for name, body in SECTIONS.items() if "**Idea.**" in body]
    assert sorted(with_parts) == sorted(METHODS)


def test_every_table_stands_once_and_with_its_own_method(tables):
    names = {"Concatenation": "concatenation", "The choice by budget": "budget"}
    names |= {"Quantizers": "scan"}
    shown = {
        name: names.get(section, section)
        for section, body in SECTIONS.items()
        for name in re.findall(r"<!-- table:method-(\S+) -->", body)
    }
    assert shown == {name: name for name in tables.METHODS}
    assert len(re.findall("<!-- table:method-", TEXT)) == len(shown)


def test_tables_are_current(tables):
    for name in tables.METHODS:
        place = re.search(rf"<!-- table:method-{name} -->\n(.*?)\n<!-- end -->", TEXT, re.DOTALL)
        assert place is not None, name
        assert place[1] == tables.TABLES[f"method-{name}"](), f"{name}: run `make docs`"


def test_every_link_leads_to_a_heading():
    """Those to studies are held to the recipes' titles, of which that page is made."""
    slugs = {}
    for page in ("methods", "experiments", "format"):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        slugs[page] = set(map(slug, re.findall(r"^#+ (.+)$", text, re.MULTILINE)))
    recipes = (ROOT / "recipes").glob("*.toml")
    slugs["studies"] = {slug(tomllib.loads(r.read_text()).get("title", "")) for r in recipes}
    links = re.findall(r"\]\((?:(\w+)\.md)?#([^)]+)\)", TEXT)
    assert len(links) > 50
    for page, anchor in links:
        assert anchor in slugs[page or "methods"], (page, anchor)
    listed = TEXT.partition("## Notation")[0]
    for method in METHODS:
        assert f"](#{slug(method)})" in listed, f"{method} is not in the contents"


def slug(heading: str) -> str:
    """Name a heading as GitHub does."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_it_renders():
    """Tables are square, and Markdown leaves the mathematics alone."""
    shown = MarkdownIt("commonmark").enable("table").render(TEXT)
    starts = re.findall(r"^\|-", TEXT, re.MULTILINE)
    assert shown.count("<table>") == len(starts) > 30
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
    formulas = re.findall(r"\$([^$\n]+)\$", PROSE)
    assert len(formulas) > 200
    assert PROSE.count("$") == 2 * len(formulas), "a formula crosses a line, or is not closed"
    for formula in formulas:
        assert f"${html.escape(formula, quote=False)}$" in shown, formula
    for formula in re.findall(r"```math\n(.*?)```", TEXT, re.DOTALL) + formulas:
        assert formula.count("{") == formula.count("}"), formula
        assert "operatorname" not in formula, "GitHub does not allow it"


D, N = 24, 600
HIDDEN = 7


def documents() -> np.ndarray:
    """Give unit rows with a falling spectrum."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.5 + 0.1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def cells(b: int, d: int = D) -> int:
    return 4 * d * (2 ** (b + 1) - 1)


CODES = {  # method, options: bytes of a code and of its tables, and how the page writes them
    "percentile": ({"bits": 3}, 9, cells(3), ["\\lceil db/8 \\rceil", "4d(2^{b+1} - 1)"]),
    "int8": ({}, D, 2044 * D, ["$d$ bytes", "2044d"]),
    "binary": ({"rotate": True}, 3, 12 * D + 4 * D**2, ["\\lceil d/8 \\rceil", "12d", "4d^2"]),
    "lloyd-max": ({"bits": 2}, 6, cells(2), ["\\lceil db/8 \\rceil"]),
    "gaussian": ({"bits": 2}, 6, cells(2) + 4 * D**2, ["4d(2^{b+1} - 1) + 4d^2"]),
    "linear": ({"bits": 4}, 12, cells(4), ["\\lceil db/8 \\rceil", "4d(2^{b+1} - 1)"]),
    "itq": ({"bits": 1}, 3, cells(1) + 4 * D**2, ["4d(2^{b+1} - 1) + 4d^2"]),
    "lsh": ({"bits": 40}, 5, 8 * D * 40 + 4 * 40 + 4 * D, ["8d\\beta + 4\\beta + 4d"]),
    "learned-hash": ({"bits": 16}, 2, 8 * D * 16 + 4 * 16 + 4 * D, ["8d\\beta + 4\\beta + 4d"]),
    "rabitq": (
        {"bits": 3},
        3 + 6 + 20,
        4 * D + 4 * D**2,
        ["\\lceil d/8 \\rceil + 8", "\\lceil d/8 \\rceil + \\lceil d(b-1)/8 \\rceil + 20", "4d + 4d^2"],
    ),
    "pq": (
        {"m": 5, "bits": 4},
        3,
        4 * 16 * 5 * 5 + 4 * 5 * 5,
        ["\\lceil mb/8 \\rceil", "4 \\cdot 2^b m w + 4mw", "w = \\lceil d/m \\rceil"],
    ),
    "opq": ({"m": 6, "bits": 4, "iterations": 2}, 3, 4 * 16 * D + 4 * D + 4 * D**2, ["4d^2"]),
}  # fmt: skip


@pytest.mark.parametrize("method", CODES)
def test_bytes_of_codes_and_tables_are_as_written(method):
    options, code_bytes, table_bytes, written = CODES[method]
    codec = registry.build(registry.QUANTIZERS, {"kind": method} | options).fit(documents())
    assert codec.code_bytes == code_bytes
    assert artifact.tensor_bytes({"codec": codec}) == table_bytes
    for formula in written:
        assert formula in said(method)


def test_tables_of_variable_bits_are_as_written():
    codec = registry.build(registry.QUANTIZERS, {"kind": "variable-bits", "code_bytes": 4})
    codec = codec.fit(documents())
    width = codec.centroids.shape[2]
    assert artifact.tensor_bytes({"codec": codec}) == 4 * (1024 * width + 4 * width)
    assert "$1024w$ bytes and $4w$ more for each byte" in said("variable-bits")


@pytest.mark.parametrize("method", ["truncation", "random", "pca", "power-pca", "concat-decoder"])
def test_tables_of_heads_are_as_written(method):
    options = {"epochs": 1, "nested_dims": (4, 8)} if method == "concat-decoder" else {}
    head = registry.build(registry.COMPRESSORS, {"kind": method, "dim": 8} | options)
    head = head.fit(TrainingSet(documents=documents()))
    assert artifact.tensor_bytes({"head": head}) == 4 * 8 * D + 4 * 8
    where = "pca" if method == "power-pca" else method
    assert "$4dD + 4d$" in said(where)


def test_tables_of_deep_and_residual_heads_are_as_written():
    asked = {"kind": "concat-decoder", "dim": 8, "epochs": 1, "depth": 2, "hidden": HIDDEN}
    asked |= {"residual": True, "nested_dims": (8,)}
    head = registry.build(registry.COMPRESSORS, asked).fit(TrainingSet(documents=documents()))
    layers = 4 * (HIDDEN * D + HIDDEN + 8 * HIDDEN + 8)
    assert artifact.tensor_bytes({"head": head}) == layers + 4 * 8 * D
    assert "$4(hD + h + dh + d)$ at depth 2" in said("concat-decoder")
    head = Residual(torch.eye(D)[:8], torch.eye(D), HIDDEN, seed=0).head()
    assert artifact.tensor_bytes({"head": head}) == layers + 4 * 8 * D
    for method in ("search-adaptor", "matryoshka-adaptor"):
        assert "$4(hD + h + dh + d + dD)$" in said(method)
