"""The verb `export`, as a user types it: what it writes, says and refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny_models
from helpers import unit
from vecpress import Corpus, Pipeline, Recipe, cli
from vecpress.compressors.linear import PCA
from vecpress.demo import run as demo
from vecpress.exports import web
from vecpress.exports.onnx_bundle import OnnxBundle
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Percentile

WORDS = [w for w in tiny_models.WORDS if w.isalpha() and len(w) > 1]
TEXTS = tuple(" ".join(WORDS[(i * j) % len(WORDS)] for j in range(1, 7)) for i in range(40))
CORPUS = Corpus(ids=tuple(f"d{i}" for i in range(40)), texts=TEXTS, name="toy")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a verb in a folder of its own; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["vecpress", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def press(tmp_path):
    """A press of a small table, and its index."""
    folder = tiny_models.static_folder(tmp_path / "table")
    recipe = Recipe(
        models=(f"static:{folder}:int8",), head=PCA(dim=8), quantizer=Percentile(bits=4)
    )
    made = Pipeline.fit(recipe, CORPUS)
    made.save(tmp_path / "p")
    made.save_index(made.index(CORPUS), tmp_path / "i")
    return made


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Stand in for the page that npm builds."""
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>vecpress</title><h1></h1>")
    (folder / "manifest.webmanifest").write_text("{}")
    monkeypatch.setattr(web, "_PAGE", folder)


def test_a_graph_gives_what_the_press_gives(run, press):
    code, out, _ = run("export", "p", "--to", "onnx", "--out", "o")
    size = sum(path.stat().st_size for path in Path("o").iterdir())
    count = len(list(Path("o").iterdir()))
    assert code == 0
    assert out == (
        f"o: {size / 1e6:.1f} MB in {count} files\nHow to run it, in ten lines: o/README.md\n"
    )
    bundle = OnnxBundle.load("o")
    np.testing.assert_allclose(bundle.encode(TEXTS), press.encode(TEXTS), atol=1e-6)


def test_the_precision_asked_for_is_written(run, press):
    run("export", "p", "--to", "onnx", "--out", "o", "--precision", "float16")
    assert json.loads(Path("o/vecpress.json").read_text())["precision"] == "float16"


def test_json_tells_every_file(run, press):
    code, out, _ = run("export", "p", "--to", "onnx", "--out", "o", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["to"], told["out"]) == ("onnx", "o")
    assert told["files"] == {p.name: p.stat().st_size for p in Path("o").iterdir()}
    assert told["bytes"] == sum(told["files"].values())


def test_what_a_graph_leaves_out_is_said(run, press, tmp_path):
    recipe = Recipe(models=press.recipe.models, head=PCA(dim=8), quantizer=RaBitQ())
    Pipeline.fit(recipe, CORPUS).save(tmp_path / "r")
    _, out, _ = run("export", "r", "--to", "onnx", "--out", "o")
    assert out.splitlines()[1] == (
        "rabitq codes are made by FAISS and have no graph: code the embeddings with the press"
    )


def test_a_page_is_written_with_its_title_and_questions(run, press, page):
    Path("q.txt").write_text("a red fish\nthe cat\n")
    words = ("--index", "i", "--title", "Toys", "--questions", "q.txt")
    code, out, _ = run("export", "p", "--to", "web", "--out", "w", *words)
    assert code == 0
    assert out.splitlines()[1] == (
        "Look at it: python3 -m http.server --directory w 8000, http://localhost:8000"
    )
    manifest = json.loads(Path("w/data/manifest.json").read_text())
    assert manifest["title"] == "Toys"
    assert manifest["questions"] == ["a red fish", "the cat"]
    assert manifest["documents"]["count"] == 40
    assert manifest["engine"] == "static"


def test_a_page_that_was_not_built_is_told(run, press, monkeypatch, tmp_path):
    monkeypatch.setattr(web, "_PAGE", tmp_path / "nowhere")
    code, _, err = run("export", "p", "--to", "web", "--index", "i", "--out", "w")
    assert code == 2
    assert "was installed without its search page" in err
    assert "make web" in err
    assert not Path("w").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("onnx", "--index", "i"),
            "--index goes with --to web, got --to onnx: leave it out",
        ),
        (
            ("sentence-transformers", "--precision", "int8"),
            "--precision goes with --to onnx or web, got --to sentence-transformers: leave it out",
        ),
        (
            ("web", "--evaluate", "b", "--index", "i"),
            "--evaluate goes with --to sentence-transformers, got --to web: leave it out",
        ),
        (("web",), "a page searches an index: give --index, what `vecpress index` made"),
    ],
)
def test_options_of_another_form_are_refused(run, press, words, sentence):
    code, out, err = run("export", "p", "--out", "o", "--to", *words)
    assert (code, out) == (2, "")
    assert err == f"error: {sentence}\n"
    assert not Path("o").exists()


def test_what_is_there_is_not_replaced_unasked(run, press):
    run("export", "p", "--to", "onnx", "--out", "o")
    before = Path("o/model.onnx").stat().st_mtime_ns
    code, _, err = run("export", "p", "--to", "onnx", "--out", "o")
    assert code == 2
    assert "o exists" in err
    assert Path("o/model.onnx").stat().st_mtime_ns == before
    assert run("export", "p", "--to", "onnx", "--out", "o", "--overwrite")[0] == 0


def test_a_press_of_vectors_is_refused(run, tmp_path):
    Pipeline.fit(Recipe(head=PCA(dim=3)), unit(30, 8)).save(tmp_path / "v")
    for form in ("onnx", "sentence-transformers"):
        code, _, err = run("export", "v", "--to", form, "--out", "o")
        assert code == 2
        assert "precomputed vectors" in err
    assert not Path("o").exists()


def test_a_missing_package_is_named_with_its_extra(run, press, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run("export", "p", "--to", "onnx", "--out", "o")
    assert code == 2
    assert "'onnx'" in err
    assert "pip install 'vecpress[onnx]'" in err


def test_the_demo_offers_its_page(press, page, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "_PRECISION", "int8")  # tables have no other
    demo._offer_page(tmp_path / "out", press, press.index(CORPUS))
    manifest = json.loads((tmp_path / "out/page/data/manifest.json").read_text())
    assert manifest["title"] == "Python's standard library"
    assert manifest["questions"] == list(demo.QUESTIONS)
    assert f"http.server --directory {tmp_path}/out/page 8000" in capsys.readouterr().out


def test_without_a_page_the_demo_says_so(press, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(web, "_PAGE", tmp_path / "nowhere")
    demo._offer_page(tmp_path / "out", press, press.index(CORPUS))
    assert (
        "There is no search page: `make web` builds it, and needs npm." in capsys.readouterr().out
    )
    assert not (tmp_path / "out").exists()
