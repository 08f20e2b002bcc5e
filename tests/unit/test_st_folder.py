"""A press as a folder of sentence-transformers, against the press itself."""

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

import pictures
import tiny_models
import toys
from helpers import head
from tiny_models import TEXTS
from vecpress.corpus import Corpus
from vecpress.errors import ArtifactError, ConfigError
from vecpress.exports import st_folder
from vecpress.exports.st_folder import export_sentence_transformers
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.stages import Image

MANY = [f"{text} {tiny_models.WORDS[5 + i % 18]}" for i, text in enumerate(TEXTS * 12)]
CORPUS = Corpus(ids=tuple(map(str, range(len(MANY)))), texts=tuple(MANY), name="many")
SAMPLE = [*TEXTS, "the cat sat on the mat and " * 40, "ünknown ☃ zzyzx", " "]
CODES = {"kind": "percentile", "bits": 2}
PCA = {"kind": "pca", "dim": 6, "centre": True}  # its bias is no zero


def st(folder, **options):
    return {"kind": "sentence-transformer", "model": str(folder), **options}


def static(folder, **options):
    return {"kind": "static", "model": str(folder), **options}


def fit(*models, head=PCA, quantizer=CODES):
    spec = {"models": list(models), "head": head, "quantizer": quantizer}
    return Pipeline.fit(Recipe.from_dict(spec), CORPUS)


def same(out, pipeline, texts=SAMPLE, **options):
    """Load the folder as anybody does, and compare it role by role."""
    model = SentenceTransformer(str(out), device="cpu", local_files_only=True, **options)
    documents = pipeline.encode(texts)
    np.testing.assert_allclose(model.encode(texts), documents, atol=1e-5)
    np.testing.assert_allclose(model.encode_document(texts), documents, atol=1e-5)
    queries = pipeline.encode(texts, role="query")
    np.testing.assert_allclose(model.encode_query(texts), queries, atol=1e-5)
    assert model.get_embedding_dimension() == pipeline.dim
    assert model.similarity_fn_name == "cosine"
    return model


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tiny_models.static_folder(tmp_path_factory.mktemp("static") / "m", weights=True)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    prompts = {"query": "query: ", "document": "passage: "}
    folder = tmp_path_factory.mktemp("prompted")
    return tiny_models.bert_folder(folder, pooling="cls", prompts=prompts, normalize=True)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_bert_is_written_in_stock_modules(bert, tmp_path, engine):
    pipeline = fit(st(bert, engine=engine, max_length=12))
    told = export_sentence_transformers(pipeline, tmp_path / "out")
    model = same(tmp_path / "out", pipeline)
    assert [type(module).__name__ for module in model] == [
        *("Transformer", "Pooling", "Normalize", "Dense", "Normalize")
    ]
    assert model.max_seq_length == 12
    assert told[0] == f'Load it: SentenceTransformer("{tmp_path / "out"}")'
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("make", [tiny_models.bert_folder, tiny_models.roberta_folder])
def test_weights_of_8_bits_are_written_as_the_floats_they_stand_for(make, tmp_path):
    folder = make(tmp_path / "m")
    pipeline = fit(st(folder, precision="w8"))
    told = export_sentence_transformers(pipeline, tmp_path / "out")
    assert not any("8 bits" in sentence for sentence in told)
    same(tmp_path / "out", pipeline)
    assert json.loads((tmp_path / "out" / "vecpress.json").read_text())["form"] == "stock"
    exact = fit(st(folder)).same_encoder().encode(SAMPLE)
    assert np.abs(pipeline.same_encoder().encode(SAMPLE) - exact).max() > 1e-3


def test_prompts_and_pooling_are_the_model_s_own(prompted, tmp_path):
    pipeline = fit(st(prompted))
    export_sentence_transformers(pipeline, tmp_path / "out")
    model = same(tmp_path / "out", pipeline)
    assert model.prompts == {"query": "query: ", "document": "passage: "}
    assert model.default_prompt_name == "document"
    assert np.abs(model.encode_query(TEXTS) - model.encode(TEXTS)).max() > 0.01


def test_prompts_and_pooling_are_those_the_press_was_told(prompted, tmp_path):
    told = {"query_prompt": "red ", "document_prompt": "", "max_length": 9}
    pipeline = fit(st(prompted, **told, query_pooling="mean", document_pooling="mean"))
    export_sentence_transformers(pipeline, tmp_path / "out")
    model = same(tmp_path / "out", pipeline)
    assert model.default_prompt_name is None
    assert model[1].pooling_mode == "mean"


def test_one_pooling_is_enough_if_it_is_the_model_s_own(prompted, tmp_path):
    pipeline = fit(st(prompted, query_pooling="cls"))
    export_sentence_transformers(pipeline, tmp_path / "out")
    same(tmp_path / "out", pipeline)


HEADS = {
    "none": None,
    "bias": head(24, 6),
    "leaky": head(24, 12, 6, activation="leaky_relu"),
    "skip": head(24, 12, 6, activation="relu", residual=True),
    "norm": head(24, 6, layer_norm=True),
    "norm-leaky": head(24, 12, 6, layer_norm=True, activation="leaky_relu"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_table_with_any_head(table, tmp_path, name):
    """A text without known tokens stays a zero row, whatever the biases."""
    fitted = replace(fit(static(table)), head=HEADS[name], codec=None)
    fitted = replace(fitted, provenance={**fitted.provenance, "in_dim": 24})
    export_sentence_transformers(fitted, tmp_path / "out")
    model = same(tmp_path / "out", fitted)
    assert type(model[0]).__name__ == "StaticEmbedding"
    assert not model.encode([""]).any()
    assert not model.encode(["☃"]).any()


@pytest.mark.parametrize("options", [{}, {"mapping": True, "weights": True, "dtype": np.float16}])
def test_tables_of_every_layout(tmp_path, options):
    pipeline = fit(static(tiny_models.static_folder(tmp_path / "model", **options)))
    export_sentence_transformers(pipeline, tmp_path / "out")
    same(tmp_path / "out", pipeline)


def test_a_table_that_reads_so_many_tokens(tmp_path):
    """Without a token for what is unknown, the tokenizer can cut."""
    folder = tiny_models.static_folder(tmp_path / "model")
    parts = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = parts["model"]["vocab"]
    parts["model"] = {"type": "BPE", "vocab": vocabulary, "merges": []}  # drops what it knows not
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    pipeline = fit(static(folder, max_length=5))
    export_sentence_transformers(pipeline, tmp_path / "out")
    model = same(tmp_path / "out", pipeline)
    np.testing.assert_array_equal(model.encode("c d f g h j k"), model.encode("c d f g h"))


def test_a_distilled_table(bert, tmp_path):
    pipeline = fit({"kind": "distilled", "model": f"st:{bert}", "dim": 16})
    export_sentence_transformers(pipeline, tmp_path / "out")
    same(tmp_path / "out", pipeline)


def test_a_model_of_texts_and_images_keeps_both(tmp_path):
    folder = tiny_models.clip_folder(tmp_path / "clip")
    pipeline = fit(st(folder), head={"kind": "pca", "dim": 6})
    export_sentence_transformers(pipeline, tmp_path / "out")
    model = same(tmp_path / "out", pipeline, ["a cat", "b", ""])
    path = pictures.save(tmp_path / "red.png")
    found = model.encode([str(path)])
    np.testing.assert_allclose(found, pipeline.encode([Image(str(path))]), atol=1e-5)


def test_minilm_as_it_is_published(tmp_path):
    pipeline = fit("minilm", head={"kind": "concat-decoder", "dim": 16, "epochs": 1})
    export_sentence_transformers(pipeline, tmp_path / "out")
    texts = ["A quick brown fox.", "Über naïve café", "", "long " * 400, "snow ☃ in 東京"]
    same(tmp_path / "out", pipeline, texts)


def test_wordllama_with_scaled_directions(tmp_path):
    pipeline = fit("wordllama", head={"kind": "power-pca", "dim": 16, "gamma": 0.25})
    export_sentence_transformers(pipeline, tmp_path / "out")
    same(tmp_path / "out", pipeline, ["A quick brown fox.", "Über naïve café", "", "long " * 400])


def test_no_package_of_ours_is_needed(bert, tmp_path):
    """Nor any trust: sentence-transformers imports no other class without being told to."""
    export_sentence_transformers(fit(st(bert)), tmp_path / "out")
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert {module["type"].partition(".")[0] for module in modules} == {"sentence_transformers"}
    config = json.loads((tmp_path / "out" / "3_Dense" / "config.json").read_text())
    assert config["activation_function"].startswith("torch.nn.")


def test_codes_are_made_of_what_the_folder_encodes(bert, tmp_path):
    """The same codes, and so the same answers, as the press gives."""
    pipeline = fit(st(bert))
    export_sentence_transformers(pipeline, tmp_path / "out")
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu", local_files_only=True)
    press = Pipeline.load(tmp_path / "out" / "vecpress")
    codes = press.quantize(pipeline.encode(MANY))
    np.testing.assert_array_equal(codes, pipeline.quantize(pipeline.encode(MANY)))
    index = press.index(model.encode_document(MANY), ids=CORPUS.ids)
    wanted = pipeline.search(pipeline.index(CORPUS), "blue fish", k=5)
    found = press.search(index, model.encode_query(["blue fish"]), k=5)
    np.testing.assert_allclose(found.scores[0], wanted.scores[0], atol=1e-4)
    assert str(tmp_path) not in (tmp_path / "out" / "vecpress" / "config.json").read_text()


def test_a_press_without_codes_has_no_folder_for_them(bert, tmp_path):
    export_sentence_transformers(fit(st(bert), quantizer=None), tmp_path / "out")
    assert not (tmp_path / "out" / "vecpress").exists()
    assert "## Codes" not in (tmp_path / "out" / "README.md").read_text()


def test_no_path_of_this_machine_is_written(bert, tmp_path):
    export_sentence_transformers(fit(st(bert)), tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert str(bert.parent).encode() not in path.read_bytes(), path


def test_everybody_may_read_what_this_user_s_files_let_them(bert, tmp_path):
    before = os.umask(0o022)
    try:
        export_sentence_transformers(fit(st(bert)), tmp_path / "out")
    finally:
        os.umask(before)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, path


def test_the_manifest_names_every_file_but_the_card(bert, tmp_path):
    export_sentence_transformers(fit(st(bert)), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "vecpress.json").read_text())
    paths = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert {*manifest["files"], "vecpress.json", "README.md", "vecpress/README.md"} == {
        path for path in paths if (tmp_path / "out" / path).is_file()
    }
    assert (manifest["kind"], manifest["form"]) == ("sentence-transformers", "stock")


def test_what_is_there_stays_unless_it_is_ours_and_told_to_go(table, tmp_path):
    pipeline = fit(static(table))
    export_sentence_transformers(pipeline, tmp_path / "out")
    with pytest.raises(ArtifactError, match="exists: choose another name, or ask to overwrite it"):
        export_sentence_transformers(pipeline, tmp_path / "out")
    export_sentence_transformers(pipeline, tmp_path / "out", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="holds something that vecpress did not make"):
        export_sentence_transformers(pipeline, tmp_path / "other", overwrite=True)


def test_vectors_have_no_model(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    pipeline = Pipeline.fit(Recipe.from_dict({"head": {"kind": "pca", "dim": 4}}), rows)
    with pytest.raises(ConfigError, match="fitted on precomputed vectors, so there is no model"):
        export_sentence_transformers(pipeline, tmp_path / "out")


def test_other_embeddings_are_found_out_before_the_folder_has_its_name(bert, tmp_path, monkeypatch):
    pipeline = fit(st(bert))
    monkeypatch.setattr(st_folder, "_CLOSE", -1.0)
    with pytest.raises(ConfigError, match=r"would give other embeddings: encode is off by .* for "):
        export_sentence_transformers(pipeline, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_weights_have_16_bits_names_the_way_out(bert, tmp_path):
    folder = Path(shutil.copytree(bert, tmp_path / "half"))
    library = SentenceTransformer(str(folder), local_files_only=True)
    library.half().save(str(folder))
    pipeline = fit(st(folder, query_pooling="mean", document_pooling="mean"))
    with pytest.raises(ConfigError, match=r'Models in 16 bits do that.*engine = "onnx"'):
        export_sentence_transformers(pipeline, tmp_path / "out")
    exact = fit(st(folder, engine="onnx"))
    export_sentence_transformers(exact, tmp_path / "out")
    same(tmp_path / "out", exact)


def test_a_model_of_another_library_has_no_form(tmp_path):
    pipeline = Pipeline.fit(
        Recipe.from_dict({"models": ["toys:A"], "head": {"kind": "pca", "dim": 4}}), toys.corpus(40)
    )
    with pytest.raises(ConfigError) as caught:
        export_sentence_transformers(pipeline, tmp_path / "out")
    assert str(caught.value).startswith(
        "sentence-transformers has no modules for this press, because its model is neither a transformer nor a static table; and as a "
        "module of vecpress it would need a graph: 'toys:A' has no graph"
    )
