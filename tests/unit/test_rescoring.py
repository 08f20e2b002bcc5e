"""A press that keeps a second, finer code: fitted, stored, counted, searched and scored."""

import json
import sys

import numpy as np
import pytest

from helpers import unit
from vecpress import Index, Pipeline, Recipe, cli
from vecpress.compressors.linear import PCA
from vecpress.corpus import Benchmark, Corpus
from vecpress.errors import ConfigError
from vecpress.evaluate import evaluate
from vecpress.plan import fit_to_budget
from vecpress.quantizers.scalar import Int8, Percentile

X = unit(300, 12)
TWO = Recipe(head=PCA(dim=8), quantizer=Percentile(bits=1), fine=Int8())
ONE = Recipe(head=PCA(dim=8), quantizer=Percentile(bits=1))


@pytest.fixture(scope="module")
def press():
    return Pipeline.fit(TWO, X)


def test_both_codes_are_fitted_on_the_same_and_counted(press):
    alone = Pipeline.fit(ONE, X)
    np.testing.assert_array_equal(press.codec.borders, alone.codec.borders)
    shortened = press.head.compress(X)
    np.testing.assert_allclose(press.fine.borders, Int8().fit(shortened).borders, atol=1e-6)
    assert (alone.bytes_per_vector, press.bytes_per_vector) == (1, 1 + 8)
    cells = 4 * 8 * (255 + 256)
    assert press.table_bytes == alone.table_bytes + cells
    assert press.fingerprint != alone.fingerprint


def test_it_is_stored_and_a_press_without_it_is_stored_as_before(press, tmp_path):
    press.save(tmp_path / "two")
    loaded = Pipeline.load(tmp_path / "two")
    assert (loaded.fingerprint, loaded.recipe) == (press.fingerprint, TWO)
    np.testing.assert_array_equal(loaded.fine.levels, press.fine.levels)
    alone = Pipeline.fit(ONE, X)
    alone.save(tmp_path / "one")
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert set(config["content"]) == {"recipe", "encoder", "head", "codec", "provenance"}
    assert Pipeline.load(tmp_path / "one").fine is None


def test_hits_are_rescored_by_default_and_as_deep_as_asked(press, tmp_path):
    press.save_index(press.index(X), tmp_path / "i")
    index = Index.load(tmp_path / "i", verify=True)
    assert index.bytes_per_vector == press.bytes_per_vector
    queries = unit(20, 12, 3)
    short = press.compress(queries)
    finer = press.fine.dequantize(press.fine.quantize(press.compress(X))) @ short.T
    coarse = press.codec.dequantize(press.quantize(press.compress(X))) @ short.T
    for options, depth in (({}, 50), ({"rescore": 7}, 7), ({"rescore": 300}, 300)):
        hits = press.search(index, queries, 5, **options)
        for i, (rows, scores) in enumerate(zip(hits.rows, hits.scores, strict=True)):
            best = np.argsort(-coarse[:, i], kind="stable")[:depth]
            expected = best[np.argsort(-finer[best, i], kind="stable")[:5]]
            assert sorted(rows) == sorted(expected)
            np.testing.assert_allclose(scores, finer[expected, i], atol=1e-5)
    bare = press.search(index, queries, 5, rescore=None)
    np.testing.assert_allclose(bare.scores[:, 0], coarse.max(axis=0), atol=1e-5)


def test_a_benchmark_is_scored_by_both_codes(press):
    names = tuple(f"d{i}" for i in range(300))
    benchmark = Benchmark(
        name="toy",
        corpus=Corpus(ids=names, texts=("x",) * 300),
        queries=Corpus(ids=tuple(f"q{i}" for i in range(40)), texts=("y",) * 40),
        qrels={f"q{i}": {f"d{i}": 1} for i in range(40)},
    )
    queries = X[:40] + 0.05 * unit(40, 12, 9)
    scored = [
        evaluate(p, benchmark, documents=X, queries=queries) for p in (press, Pipeline.fit(ONE, X))
    ]
    assert scored[0].scores.ndcg.mean() > scored[1].scores.ndcg.mean() + 0.1
    assert scored[0].bytes_per_vector == 9
    hits = press.search(press.index(X, ids=names), queries, 10)  # a hundred are rescored
    firsts = [1.0 if ids[0] == f"d{i}" else 0.0 for i, ids in enumerate(hits.ids)]
    assert [float(rank == 1) for rank in scored[0].scores.mrr] == firsts


def test_recipes_say_it_and_what_contradicts_it_is_refused(press):
    values = TWO.to_dict()
    assert values["fine"] == {"kind": "int8"}
    assert Recipe.from_dict(values) == TWO
    assert "fine" not in ONE.to_dict()
    with pytest.raises(ConfigError, match="rescores what a `quantizer` finds: give both"):
        Recipe(fine=Int8())
    with pytest.raises(ConfigError, match="a budget is spent on one code: leave `fine` out of"):
        fit_to_budget(TWO, X, 16)
    cut = press.truncate(4)
    assert (cut.fine, cut.recipe.fine, cut.bytes_per_vector) == (None, None, 16)


def test_a_recipe_file_and_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", X)
    np.save("q.npy", X[:3])
    (tmp_path / "r.toml").write_text(
        '[head]\nkind = "pca"\ndim = 8\n[quantizer]\nkind = "binary"\n[fine]\nkind = "int8"\n'
    )

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["vecpress", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    assert run("fit", "v.npy", "--recipe", "r.toml", "--out", "p")[0] == 0
    assert "300 documents at 9 bytes" in run("index", "p", "v.npy", "--out", "i")[1]
    assert run("index", "p", "v.npy", "--out", "streamed", "--memory", "20GB")[0] == 0
    streamed, whole = Index.load("streamed", verify=True), Index.load("i")
    np.testing.assert_array_equal(streamed.segments[0].fine, whole.segments[0].fine)
    found = json.loads(run("search", "i", "q.npy", "-k", "3", "--json")[1])["hits"]
    assert [hits[0]["id"] for hits in found] == ["0", "1", "2"]
    less = json.loads(run("search", "i", "q.npy", "-k", "3", "--rescore", "3", "--json")[1])["hits"]
    assert [len(hits) for hits in less] == [3, 3, 3]
    assert less != found
    code, _, err = run("search", "i", "q.npy", "-k", "3", "--rescore", "2")
    assert (code, err) == (2, "error: rescore must be at least k, which is 3, got 2\n")
