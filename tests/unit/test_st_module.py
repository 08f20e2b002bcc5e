"""A press of several models as one module of sentence-transformers, against the press itself."""

import copy
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import tiny_models
from tiny_models import TEXTS
from vecpress.corpus import Corpus
from vecpress.errors import ArtifactError, ConfigError
from vecpress.exports.st_folder import export_sentence_transformers
from vecpress.exports.st_module import Press, open_press
from vecpress.head import chain
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

MANY = [f"{text} {tiny_models.WORDS[5 + i % 18]}" for i, text in enumerate(TEXTS * 12)]
CORPUS = Corpus(ids=tuple(map(str, range(len(MANY)))), texts=tuple(MANY), name="many")
SAMPLE = [*TEXTS, "the cat sat on the mat and " * 40, "ünknown ☃ zzyzx", " "]


def fit(*models, dim=6):
    spec = {"models": list(models), "head": {"kind": "pca", "dim": dim, "centre": True}}
    spec["quantizer"] = {"kind": "percentile", "bits": 2}
    return Pipeline.fit(Recipe.from_dict(spec), CORPUS)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One with prompts and roles pooled differently, and a table."""
    prompts = {"query": "query: ", "document": "passage: "}
    bert = tiny_models.bert_folder(tmp_path_factory.mktemp("bert"), prompts=prompts)
    table = tiny_models.static_folder(tmp_path_factory.mktemp("table") / "m")
    options = {"query_pooling": "mean", "document_pooling": "cls", "max_length": 20}
    return (
        {"kind": "sentence-transformer", "model": str(bert), **options},
        {"kind": "static", "model": str(table), "max_length": 9},
        "lexical:4",
    )


@pytest.fixture(scope="module")
def pipeline(models):
    return fit(*models)


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("ensemble") / "out"
    told = export_sentence_transformers(pipeline, out)
    assert told[:2] == [
        f'Load it: SentenceTransformer("{out}", trust_remote_code=True)',
        "It needs the package vecpress, because it puts 3 models side by side.",
    ]
    return out


@pytest.fixture
def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def same(model, pipeline):
    documents = pipeline.encode(SAMPLE)
    np.testing.assert_allclose(model.encode(SAMPLE), documents, atol=1e-5)
    np.testing.assert_allclose(model.encode_document(SAMPLE), documents, atol=1e-5)
    queries = pipeline.encode(SAMPLE, role="query")
    np.testing.assert_allclose(model.encode_query(SAMPLE), queries, atol=1e-5)
    assert np.abs(queries - documents).max() > 0.01
    assert model.get_embedding_dimension() == pipeline.dim


def test_several_models_are_loaded_where_the_package_is_installed(folder, pipeline):
    model = SentenceTransformer(
        str(folder), device="cpu", trust_remote_code=True, local_files_only=True
    )
    same(model, pipeline)
    assert model.similarity_fn_name == "cosine"
    found = model.similarity(model.encode_query(["cat"]), model.encode_document(["cat"]))
    wanted = pipeline.encode(["cat"], role="query") @ pipeline.encode(["cat"]).T
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_our_own_door_needs_no_trust(folder, pipeline):
    same(open_press(folder, device="cpu"), pipeline)


def test_without_trust_sentence_transformers_says_what_is_missing(folder):
    with pytest.raises(
        ValueError, match=r"(?s)vecpress\.exports\.st_module\.Press.*trust_remote_code=True"
    ):
        SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_it_saves_itself_and_no_model_is_needed_elsewhere(models, pipeline, folder, tmp_path):
    open_press(folder, device="cpu").save(str(tmp_path / "again"), create_model_card=False)
    same(open_press(tmp_path / "again", device="cpu"), pipeline)
    for path in (tmp_path / "again").rglob("*"):
        for model in models[:2]:
            assert not path.is_file() or model["model"].encode() not in path.read_bytes()


def test_no_path_of_this_machine_is_written(models, folder):
    for path in folder.rglob("*"):
        for model in models[:2]:
            assert not path.is_file() or model["model"].encode() not in path.read_bytes(), path


def test_another_process_can_open_it(folder, pipeline):
    press = Press.load(str(folder))
    for other in (pickle.loads(pickle.dumps(press)), copy.deepcopy(press)):
        found = other(other.preprocess(["cat"], task="query"))["sentence_embedding"]
        np.testing.assert_allclose(found, pipeline.encode(["cat"], role="query"), atol=1e-5)


def test_a_prompt_of_the_caller_s_stands_before_the_text(folder, pipeline):
    model = open_press(folder, device="cpu")
    found = model.encode(["cat"], prompt="red ")
    np.testing.assert_allclose(found, pipeline.encode(["red cat"]), atol=1e-5)


def test_only_texts_are_encoded(folder):
    with pytest.raises(ConfigError, match=r"this press encodes texts, got \('a', 'b'\)"):
        Press.load(str(folder)).preprocess([("a", "b")])


def test_a_nested_press_can_be_cut(folder, pipeline):
    model = open_press(folder, device="cpu", truncate_dim=3)
    found = model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, pipeline.truncate(3).encode(TEXTS), atol=1e-5)


def test_a_chained_press_says_that_it_cannot_be_cut(pipeline, tmp_path):
    chained = replace(pipeline, head=chain([pipeline.head, pipeline.head.truncate(4)]), codec=None)
    export_sentence_transformers(chained, tmp_path / "out")
    message = "cannot be cut to truncate_dim=3, for a prefix of its 6 dimensions is no embedding"
    with pytest.raises(ConfigError, match=message):
        open_press(tmp_path / "out", device="cpu", truncate_dim=3)
    with pytest.raises(ConfigError, match=message):
        SentenceTransformer(
            str(tmp_path / "out"), device="cpu", truncate_dim=3, trust_remote_code=True
        )
    same(open_press(tmp_path / "out", device="cpu", truncate_dim=6), chained)
    assert "do not cut its embeddings" in (tmp_path / "out" / "README.md").read_text()


def test_a_damaged_graph_is_named(copied):
    with (copied / "onnx" / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(
        ArtifactError, match=r"is damaged: tokenizer.json .* is not what was exported"
    ):
        open_press(copied, device="cpu")


@pytest.mark.parametrize("lost", ["onnx", "sentence_press.json"])
def test_what_is_missing_is_named(copied, lost):
    path = copied / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ArtifactError, match=r"it has no onnx or no sentence_press\.json"):
        open_press(copied, device="cpu")


REASONS = {
    "8-bits": ("model computes in 8 bits", {"precision": "int8"}),
    "roles": ("it pools queries and documents differently", {"query_pooling": "cls"}),
}


@pytest.mark.parametrize("name", REASONS)
def test_one_model_is_a_module_where_stock_modules_cannot_say_it(tmp_path, name):
    reason, options = REASONS[name]
    bert = tiny_models.bert_folder(tmp_path / "bert")
    pipeline = fit({"kind": "sentence-transformer", "model": str(bert), **options})
    told = export_sentence_transformers(pipeline, tmp_path / "out")
    assert reason in told[1]
    rounded = "A model of it computes in 8 bits: embeddings are the press's up to rounding, not to"
    assert told[2].startswith(rounded) == (name == "8-bits")
    model = open_press(tmp_path / "out", device="cpu")
    close = 0.1 if name == "8-bits" else 1e-5
    np.testing.assert_allclose(model.encode(SAMPLE), pipeline.encode(SAMPLE), atol=close)
    manifest = json.loads((tmp_path / "out" / "vecpress.json").read_text())
    assert manifest["form"] == "module"


def test_a_table_that_counts_known_tokens_only_is_a_module(models, tmp_path):
    pipeline = fit(models[1])
    told = export_sentence_transformers(pipeline, tmp_path / "out")
    assert "it reads 9 known tokens of a text, however many unknown ones stand between" in told[1]
    model = open_press(tmp_path / "out", device="cpu")
    np.testing.assert_allclose(model.encode(SAMPLE), pipeline.encode(SAMPLE), atol=1e-5)


def test_words_of_the_corpus_are_a_module(tmp_path):
    pipeline = fit("lexical:8")
    told = export_sentence_transformers(pipeline, tmp_path / "out")
    assert "its model is neither a transformer nor a static table" in told[1]
    model = open_press(tmp_path / "out", device="cpu")
    np.testing.assert_allclose(model.encode(SAMPLE), pipeline.encode(SAMPLE), atol=1e-5)
