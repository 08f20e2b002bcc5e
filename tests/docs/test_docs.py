"""What the docs say is true: their code runs, their links exist, their tables are current."""

import importlib.util
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from vecpress import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(code, id=f"{page.name}-{i}")
    for page in PAGES
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", BLOCKS)
def test_code_in_the_docs_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs", "exec"), {"__name__": "docs"})


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "tutorial.md"], ids=str)
def test_commands_in_the_docs_run(page, tmp_path, monkeypatch, capsys):
    """As written, but for the models, for which two small lexical ones stand in, and for --memory,
    which this process with all its tests may long have passed."""
    make_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line[:9] == "vecpress "]
    assert len(commands) >= 7
    for command in commands:
        known = command.replace("minilm,wordllama,lexical", "lexical:64,lexical:32,lexical:9")
        known = known.replace("--memory 2GB", "--memory 100GB")
        words = shlex.split(known.replace("minilm,wordllama", "lexical:64,lexical:32"))
        if words[1] in ("fit", "index", "compare"):
            words.append("--overwrite")
        if words[1] in ("fit", "index", "evaluate", "suggest", "compare"):
            words += ["--cache", "cache"]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        assert end.value.code == 0, (command, err)
        assert out, command


def make_inputs(folder):
    """Lay out the files that the docs speak of."""
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 16)) @ rng.normal(size=(16, 128))).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "query.npy", vectors[:1])
    np.save(folder / "queries.npy", vectors[:9])
    words = [f"word{i}" for i in range(200)]
    sentences = [" ".join(rng.choice(words, 6)) for _ in range(600)]
    texts = [f"{one}. {other}." for one, other in zip(sentences[::2], sentences[1::2], strict=True)]
    beir = folder / "BEIR_FOLDER"
    (beir / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": f"d{i}", "text": t}) + "\n" for i, t in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("".join(lines))
    (beir / "corpus.jsonl").write_text("".join(lines))
    (beir / "queries.jsonl").write_text("".join(lines[:9]))
    judged = "".join(f"d{i}\td{i + 1}\t1\n" for i in range(9))
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    (beir / "qrels" / "train.tsv").write_text("".join(f"d{i}\td{i + 20}\t1\n" for i in range(9)))


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_run_and_are_short(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(path.read_text().splitlines()) <= 40
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


RECIPES = [path for path in sorted((ROOT / "recipes").glob("*.toml"))
           if "[axes" not in path.read_text()]  # the others are those of studies  # fmt: skip


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_recipes_are_recipes(path):
    from vecpress import Recipe

    recipe = Recipe.from_toml(path)
    assert recipe.models
    assert recipe.quantizer is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_generated_pages_are_current(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))  # as when it is run as a script
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make docs`"


def test_no_decision_is_longer_than_a_page():
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert len(path.read_text().splitlines()) <= 40, path.name
