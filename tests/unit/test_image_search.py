"""Images end to end: a folder fitted, indexed and searched with words and with pictures."""

import json
import sys

import numpy as np
import pytest

import tiny_models
from pictures import picture, save
from vecpress.arguments import as_item
from vecpress.cli import main
from vecpress.compressors.linear import PCA
from vecpress.corpus import read_benchmark, read_corpus
from vecpress.encoders.combine import concatenate
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ConfigError
from vecpress.evaluate import evaluate
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Int8
from vecpress.recipe import Recipe
from vecpress.stages import Image


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return [str(tiny_models.clip_folder(root / str(seed), seed=seed)) for seed in (0, 1)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(40):
        save(folder / f"class{i % 3}" / f"{i}.png", i)
    return folder


@pytest.fixture(scope="module")
def press(clips, photos, tmp_path_factory):
    recipe = Recipe(
        models=tuple({"kind": "sentence-transformer", "model": clip} for clip in clips),
        head=PCA(dim=16),
        quantizer=Int8(),
    )
    cache = tmp_path_factory.mktemp("cache")
    return Pipeline.fit(recipe, read_corpus(photos), cache=cache)


def test_a_folder_of_images_is_pressed_and_found_again(press, photos, clips, tmp_path):
    corpus = read_corpus(photos)
    index = press.index(corpus)
    assert index.ids[0] == "class0/0.png"
    assert index.snippet(0) == str(photos / "class0" / "0.png")
    picture(11).save(tmp_path / "asked.bmp")  # the same picture in another file, of another format
    asked = [Image(str(tmp_path / "asked.bmp")), Image(str(photos / "class1" / "25.png"))]
    hits = index.search(press.encode(asked, role="query"), 3)
    assert [ids[0] for ids in hits.ids] == ["class2/11.png", "class1/25.png"]
    encoders = [SentenceTransformerEncoder(model=clip) for clip in clips]
    raw = concatenate([e.encode(corpus.texts) for e in encoders])
    np.testing.assert_allclose(press.encode(corpus.texts), press.head.compress(raw), atol=1e-5)


def test_words_find_the_image_that_the_float_embeddings_say(press, photos):
    corpus = read_corpus(photos)
    words = ["a cat", "the red tree", "zebra"]
    hits = press.search(press.index(corpus), words, 1)
    similar = press.encode(words, role="query") @ press.encode(corpus.texts).T
    found = [similar[i, corpus.ids.index(ids[0])] for i, ids in enumerate(hits.ids)]
    np.testing.assert_allclose(found, similar.max(axis=1), atol=0.01)


def test_a_press_of_images_comes_back(press, photos, tmp_path):
    press.save(tmp_path / "press")
    again = Pipeline.load(tmp_path / "press")
    items = [*read_corpus(photos).texts[:3], "a cat"]
    np.testing.assert_allclose(again.encode(items), press.encode(items), atol=1e-6)
    assert again.fingerprint == press.fingerprint
    assert again.provenance["corpus"]["digest"] == read_corpus(photos).digest


def test_a_benchmark_of_images_is_evaluated(press, photos):
    """Same-class retrieval: every image asks for those of its folder, itself left out."""
    ids = read_corpus(photos).ids
    asked = ids[::7]
    rows = [json.dumps({"_id": name, "image": name}) for name in asked]
    (photos / "queries.jsonl").write_text("\n".join(rows))
    (photos / "qrels").mkdir()
    judged = [f"{q}\t{d}\t1\n" for q in asked for d in ids if d[:6] == q[:6] and d != q]
    (photos / "qrels" / "test.tsv").write_text("".join(judged))
    benchmark = read_benchmark(photos)
    assert benchmark.own_documents() == set(asked)
    result = evaluate(press, benchmark)
    rows = press.same_encoder().encode(benchmark.corpus.texts)
    for name, mrr in zip(asked, result.baseline.mrr, strict=True):
        own = ids.index(name)
        order = [i for i in np.argsort(-rows @ rows[own]) if i != own]
        rank = next(rank for rank, i in enumerate(order, start=1) if ids[i][:6] == name[:6])
        assert mrr == (1 / rank if rank <= 10 else 0)
    assert result.n_queries == 6
    assert result.bytes_per_vector == 16


def test_an_image_is_asked_from_the_shell(press, photos, tmp_path, capsys, monkeypatch):
    index = press.index(read_corpus(photos))
    index.save(tmp_path / "index")
    press.save(tmp_path / "index" / "press")
    picture(11).save(tmp_path / "asked.BMP")
    words = ["search", str(tmp_path / "index"), str(tmp_path / "asked.BMP"), "-k", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["vecpress", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    (hit,) = json.loads(capsys.readouterr().out)["hits"]
    assert hit["id"] == "class2/11.png"


def test_only_an_image_that_is_there_is_one(photos, tmp_path):
    there = str(photos / "class0" / "0.png")
    assert as_item(there) == Image(there)
    for text in (str(photos), "a cat.png", "vectors.npy"):
        assert as_item(text) == text
    absent = str(tmp_path / "absent.png")
    with pytest.raises(ConfigError, match=f"^there is no image {absent}: give its path, or a text"):
        as_item(absent)
    np.save(tmp_path / "x.npy", np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="takes texts or images, got a file of vectors: "):
        as_item(str(tmp_path / "x.npy"))
