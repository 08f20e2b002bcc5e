"""The exported page in a real browser: it answers as Python does."""

from statistics import median

import numpy as np

import browsing
import tiny_models
from browsing import QUERY, Exported, check_calm
from vecpress.corpus import Corpus
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe

TIE = 1e-5


def test_static_page_answers_as_python_does_and_is_small_and_quick(static, library, tmp_path):
    queries = [*library.queries.texts, "x"]
    with browsing.serve(static.folder) as site:
        steps = [{"name": "ask", "queries": queries}]
        seen = browsing.drive("steps", url=site.url, profile=tmp_path, steps=steps)
    check_calm(seen)
    assert len(seen["ask"]) == len(queries) > 180
    lost, wrong = static.differences(seen["ask"])
    assert lost.shape == (len(queries), 10)
    assert lost.max() < TIE
    assert wrong.max() < TIE
    assert median(answer["ms"] for answer in seen["ask"]) < 20
    assert sum(p.stat().st_size for p in static.folder.rglob("*") if p.is_file()) < 10e6
    texts = dict(zip(library.corpus.ids, library.corpus.texts, strict=True))
    for hit in seen["ask"][0]["hits"]:
        shown = hit["text"].removesuffix(" …")
        assert shown in texts[hit["id"]]


def ask_exported(models, corpus, queries, precision, tmp_path):
    recipe = Recipe(models=models, quantizer=Percentile(bits=4))
    exported = Exported(tmp_path / "page", corpus, recipe, precision=precision)
    with browsing.serve(exported.folder) as site:
        steps = [{"name": "ask", "queries": queries}, {"name": "kept"}]
        seen = browsing.drive("steps", url=site.url, profile=tmp_path / "profile", steps=steps)
    check_calm(seen)
    assert any("runtime/ort-wasm" in url for url in seen["requests"])
    every = {str(p.relative_to(tmp_path / "page")) for p in (tmp_path / "page").rglob("*.*")}
    unneeded = {"sw.js", "vecpress.json"} | {path for path in every if "asyncify" in path}
    assert {path.split("?")[0] or "index.html" for path in seen["kept"]} == every - unneeded
    lost, wrong = exported.differences(seen["ask"])
    assert lost.shape == (len(queries), 10)
    return lost, wrong


def test_transformer_in_floats_gives_python_s_lists(tmp_path):
    model = tiny_models.bert_folder(tmp_path / "bert")
    words = [w for w in tiny_models.WORDS if w.isalpha() and len(w) > 1]
    rng = np.random.default_rng(0)
    texts = tuple(" ".join(rng.choice(words, 1 + i % 9)) for i in range(120))
    corpus = Corpus(ids=tuple(f"d{i}" for i in range(120)), texts=texts)
    queries = [" ".join(rng.choice(words, 1 + i % 12)) for i in range(30)]
    queries += ["zzz", "the " * 90]  # unknown, and longer than the model reads
    lost, wrong = ask_exported((f"st:{model}",), corpus, queries, "float32", tmp_path)
    assert lost.max() < TIE
    assert wrong.max() < TIE


def test_minilm_with_weights_of_8_bits_gives_python_s_lists(library, tmp_path):
    some = slice(0, len(library.corpus), 30)
    corpus = Corpus(ids=library.corpus.ids[some], texts=library.corpus.texts[some])
    queries = library.queries.texts[::16]
    lost, wrong = ask_exported(("minilm:w8", "wordllama:int4"), corpus, queries, "int8", tmp_path)
    assert lost.max() < TIE
    assert wrong.max() < TIE


def test_a_transformer_that_computes_in_8_bits_gives_nearly_python_s_lists(library, tmp_path):
    some = slice(0, len(library.corpus), 30)
    corpus = Corpus(ids=library.corpus.ids[some], texts=library.corpus.texts[some])
    queries = library.queries.texts[::8]
    models = ("minilm:int8", "wordllama:int4")
    lost, wrong = ask_exported(models, corpus, queries, "int8", tmp_path)
    # Sums of floats differ in their last digit, and rounding to 8 bits makes more of that.
    assert lost.max() < 0.03
    assert wrong.max() < 0.03
    assert (lost < TIE).mean() > 0.85
    assert np.median(wrong) < TIE


def test_pictures_can_be_taken(static, tmp_path):
    with browsing.serve(static.folder) as site:
        options = {"query": QUERY, "folder": str(tmp_path)}
        check_calm(browsing.drive("shots", url=site.url, profile=tmp_path / "profile", **options))
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 8
    assert all(picture.stat().st_size > 10_000 for picture in pictures)
