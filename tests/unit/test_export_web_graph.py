"""Pages whose models need a graph: what is written runs, and gives what the press gives."""

import sys

import numpy as np
import pytest

import tiny_models
from tiny_models import TEXTS, WORDS
from vecpress.corpus import Corpus
from vecpress.errors import MissingExtraError
from vecpress.exports import web
from vecpress.exports.web import export_web, export_web_data
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from web_folder import Reader

PLAIN_WORDS = [word for word in WORDS if word.isalpha() and len(word) > 1]
LONG = " ".join(["the cat sat on a very blue mat"] * 20)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bert(home):
    return tiny_models.bert_folder(home / "bert", prompts={"query": "query: ", "document": ""})


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(PLAIN_WORDS, rng.integers(3, 9))) for _ in range(60)]
    return Corpus(ids=tuple(f"d{i}" for i in range(60)), texts=tuple(texts))


@pytest.fixture(scope="module")
def press(home, bert, documents):
    """Of a transformer, a table of the same tokens, and words of their own."""
    table = tiny_models.static_folder(home / "table")
    models = (f"st:{bert}", f"static:{table}", "lexical:6")
    recipe = Recipe(models=models, weights=(1.0, 0.5, 0.25), quantizer=Percentile(bits=4))
    return Pipeline.fit(recipe, documents)


def test_a_page_with_a_graph_answers_as_python_does(press, documents, tmp_path):
    index = press.index(documents)
    export_web_data(press, index, tmp_path / "page", precision="float32")
    reader = Reader(tmp_path / "page")
    assert reader.told["engine"] == "onnx"
    assert reader.told["branches"] is reader.told["head"] is None
    assert [i["special_tokens"] for i in reader.told["inputs"]] == [True, False, False]
    assert set(reader.tensors) == {"codec.levels"}
    queries = [*(text for text in TEXTS if text), LONG]
    found = press.search(index, queries, 10)
    wanted = press.encode(queries, role="query")
    for row, text in enumerate(queries):
        embedding = reader.encode(text)
        np.testing.assert_allclose(embedding, wanted[row], atol=2e-5)
        ids, scores = reader.search(embedding, 10)
        np.testing.assert_allclose(scores, found.scores[row], atol=2e-5)
        assert ids == list(found.ids[row])
    assert reader.encode("").shape == (press.dim,)
    assert reader.told["golden"]["cosine"] > 0.99999


@pytest.mark.parametrize(("precision", "least"), [("float16", 0.9999), ("int8", 0.99)])
def test_smaller_graphs_say_how_near_they_come(press, documents, precision, least, tmp_path):
    export_web_data(press, press.index(documents), tmp_path / "page", precision=precision)
    reader = Reader(tmp_path / "page")
    golden = reader.told["golden"]
    wanted = press.encode(golden["texts"], role="query")
    near = [
        float(reader.encode(text) @ row) for text, row in zip(golden["texts"], wanted, strict=True)
    ]
    assert golden["cosine"] == pytest.approx(min(near), abs=1e-6)
    assert least < golden["cosine"] < 1
    assert reader.told["precision"] == precision


@pytest.mark.parametrize(("own", "margin", "off"), [("w8", 1e-3, 2e-5), ("int8", 0.03, 0.1)])
def test_a_press_in_8_bits_gets_a_page_of_its_own_numbers(
    bert, documents, own, margin, off, tmp_path
):
    recipe = Recipe(models=(f"st:{bert}:{own}",), quantizer=Percentile(bits=4))
    pipeline = Pipeline.fit(recipe, documents)
    export_web_data(pipeline, pipeline.index(documents), tmp_path / "page")
    reader = Reader(tmp_path / "page")
    assert reader.told["golden"]["margin"] == margin
    for text in ("the cat", "a dog ran", LONG):
        wanted = pipeline.encode([text], role="query")[0]
        np.testing.assert_allclose(reader.encode(text), wanted, atol=off)


def test_a_graph_may_ask_for_the_role(bert, documents, tmp_path):
    model = {"kind": "sentence-transformer", "model": str(bert)}
    model |= {"query_pooling": "mean", "document_pooling": "cls"}
    pipeline = Pipeline.fit(Recipe(models=(model,), quantizer=Percentile(bits=4)), documents)
    export_web_data(pipeline, pipeline.index(documents), tmp_path / "page", precision="float32")
    reader = Reader(tmp_path / "page")
    assert reader.told["role_input"] == "role"
    for role in ("query", "document"):
        wanted = pipeline.encode(["the cat"], role=role)[0]
        np.testing.assert_allclose(reader.encode("the cat", role), wanted, atol=2e-5)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_page_with_a_graph_comes_with_what_runs_it(
    press, documents, precision, tmp_path, monkeypatch
):
    """Graphics cards are not asked where data are in 8 bits, so those do without their runtime."""
    runtimes = tmp_path / "package" / "page" / "runtime"
    runtimes.mkdir(parents=True)
    (runtimes.parent / "index.html").write_text("<!doctype html>")
    (runtimes.parent / "manifest.webmanifest").write_text("{}")
    (runtimes / "ort-threaded.wasm.gz").write_bytes(bytes(9))
    (runtimes / "ort-threaded.asyncify.wasm.gz").write_bytes(bytes(99))
    monkeypatch.setattr(web, "_PAGE", tmp_path / "package" / "page")
    export_web(press, press.index(documents), tmp_path / "out", precision=precision)
    copied = {path.name: path.stat().st_size for path in (tmp_path / "out" / "runtime").iterdir()}
    extra = {} if precision == "int8" else {"ort-threaded.asyncify.wasm.gz": 99}
    assert copied == {"ort-threaded.wasm.gz": 9} | extra


def test_a_graph_without_its_packages_is_advised_about(press, documents, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vecpress\[onnx\]'"):
        export_web_data(press, press.index(documents), tmp_path / "page")
