"""OnnxEncoder against torch, on the same weights."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import BertModel, BertTokenizerFast

import tiny_models
from tiny_models import TEXTS
from vecpress.encoders.onnx import OnnxEncoder
from vecpress.errors import ModelError

LONG = "the dog ran under a very red tree and " * 3


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def exported(bert):
    return tiny_models.onnx_folder(bert.parent / "onnx", bert)


@pytest.fixture
def copy(exported, tmp_path):
    """A folder to spoil."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def encoder(folder, **options):
    return OnnxEncoder(model=str(folder), **options)


def by_torch(folder, texts, pooling, *, max_length=256):
    """Encode one text after another with the library that made the weights."""
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    rows = []
    for text in texts:
        given = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length)
        with torch.inference_mode():
            tokens = model(**given).last_hidden_state[0].double().numpy()
        rows.append(tokens[0] if pooling == "cls" else tokens.mean(axis=0))
    return np.array([row / np.linalg.norm(row) for row in rows])


def test_it_equals_torch(bert, exported):
    for pooling in ("mean", "cls"):
        rows = encoder(exported, pooling=pooling).encode([*TEXTS, LONG])
        np.testing.assert_allclose(rows, by_torch(bert, [*TEXTS, LONG], pooling), atol=1e-5)


def test_it_cuts_texts_as_torch_does(bert, exported):
    rows = encoder(exported, max_length=7).encode([*TEXTS, LONG])
    np.testing.assert_allclose(
        rows, by_torch(bert, [*TEXTS, LONG], "mean", max_length=7), atol=1e-5
    )


POOLING = [
    ({"pooling_mode": "cls"}, "cls"),
    ({"pooling_mode": "mean"}, "mean"),
    ({"pooling_mode": ["cls"]}, "cls"),
    ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
    ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
    ({"word_embedding_dimension": 32}, "mean"),
]


@pytest.mark.parametrize(("config", "pooling"), POOLING)
def test_without_an_option_the_folder_says_how_to_pool(bert, tmp_path, config, pooling):
    folder = tiny_models.onnx_folder(tmp_path / "onnx", bert, pooling=config)
    rows = encoder(folder).encode(TEXTS)
    np.testing.assert_allclose(rows, by_torch(bert, TEXTS, pooling), atol=1e-5)
    other = encoder(folder, pooling="mean" if pooling == "cls" else "cls")
    assert np.abs(other.encode(TEXTS) - rows).max() > 1e-2


UNKNOWN = [
    ({"pooling_mode": "lasttoken"}, "lasttoken"),
    ({"pooling_mode": ["mean", "max"]}, "mean and max"),
    ({"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
    (
        {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True},
        "pooling_mode_cls_token and pooling_mode_max_tokens",
    ),
]


@pytest.mark.parametrize(("config", "named"), UNKNOWN)
def test_a_pooling_we_do_not_do_is_not_replaced_by_another(bert, tmp_path, config, named):
    folder = tiny_models.onnx_folder(tmp_path / "onnx", bert, pooling=config)
    with pytest.raises(
        ModelError, match=f"1_Pooling/config.json asks for the pooling {named}: kno"
    ):
        encoder(folder).encode(TEXTS)
    asked = encoder(folder, pooling="mean").encode(TEXTS)
    np.testing.assert_allclose(asked, by_torch(bert, TEXTS, "mean"), atol=1e-5)


def test_an_output_called_sentence_embedding_is_taken_as_it_is(bert, tmp_path):
    folder = tiny_models.onnx_folder(
        tmp_path / "onnx", bert, output="sentence_embedding", pooled=True,
        pooling={"pooling_mode": "max"},
    )  # fmt: skip
    rows = encoder(folder).encode(TEXTS)
    np.testing.assert_allclose(rows, by_torch(bert, TEXTS, "cls"), atol=1e-5)
    assert len(encoder(folder).fingerprint) == 32


@pytest.mark.parametrize("place", ["onnx/model.onnx", "model_quantized.onnx"])
def test_the_graph_may_lie_where_exporters_put_it(copy, exported, place):
    (copy / "onnx").mkdir()
    (copy / "model.onnx").rename(copy / place)
    np.testing.assert_array_equal(encoder(copy).encode(TEXTS), encoder(exported).encode(TEXTS))


@pytest.mark.parametrize("token", ["[PAD]", {"content": "[PAD]"}])
def test_the_tokenizers_config_names_the_padding(copy, exported, token):
    (copy / "tokenizer_config.json").write_text(json.dumps({"pad_token": token}))
    np.testing.assert_array_equal(encoder(copy).encode(TEXTS), encoder(exported).encode(TEXTS))


def test_one_thread_gives_the_same(exported):
    rows = encoder(exported, threads=1).encode(TEXTS)
    np.testing.assert_allclose(rows, encoder(exported).encode(TEXTS), atol=1e-6)
    assert encoder(exported, threads=1).fingerprint == encoder(exported).fingerprint


# --- folders that are no models ---------------------------------------------------------------


def test_a_folder_without_a_graph_is_named(copy):
    (copy / "model.onnx").unlink()
    with pytest.raises(ModelError, match=rf"^{copy} has no model\.onnx and no onnx/model\.onnx$"):
        encoder(copy).encode(TEXTS)


def test_a_folder_without_a_tokenizer_is_named(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=rf"^{copy} has no tokenizer\.json$"):
        encoder(copy).encode(TEXTS)


def test_a_damaged_tokenizer_is_named(copy):
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=rf"^{copy}/tokenizer\.json is not a tokenizer: EOF"):
        encoder(copy).encode(TEXTS)


def test_a_hub_id_is_not_downloaded_for_its_other_weights(monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: pytest.fail("asked"))
    with pytest.raises(ModelError) as caught:
        encoder("org/model").encode(TEXTS)
    assert str(caught.value) == (
        "'org/model' is not a folder here: give one with model.onnx and tokenizer.json"
    )


def cut(data):
    return data[: len(data) // 2]


def unknown_operator(data):
    return data.replace(b"Softmax", b"Hardmin")


def newer(data):
    graph = onnx.load_from_string(data)
    graph.opset_import[0].version = 999
    return graph.SerializeToString()


@pytest.mark.parametrize(
    "spoil", [lambda _: b"", lambda _: b"x" * 99, cut, unknown_operator, newer]
)
def test_a_graph_that_does_not_load_is_named(copy, spoil):
    path = copy / "model.onnx"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ModelError, match=f"^{path} is not a graph that onnxruntime loads: "):
        encoder(copy).encode(TEXTS)


def test_weights_that_should_lie_beside_the_graph_are_missed(copy):
    path = copy / "model.onnx"
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="model.onnx_data",
        size_threshold=1024,
    )  # fmt: skip
    assert encoder(copy).encode(["a"]).shape == (1, 32)
    (copy / "model.onnx_data").unlink()
    with pytest.raises(ModelError, match="is not a graph that onnxruntime loads: "):
        encoder(copy).encode(TEXTS)


def test_a_graph_that_wants_other_inputs_is_refused_with_their_names(copy):
    graph = onnx.load(copy / "model.onnx")
    graph.graph.input[2].name = "position_ids"
    for node in graph.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = name.replace("token_type_ids", "position_ids")
    onnx.save(graph, copy / "model.onnx")
    with pytest.raises(ModelError) as caught:
        encoder(copy).encode(TEXTS)
    assert str(caught.value) == (
        f"the graph of {str(copy)!r} takes input_ids, attention_mask, position_ids: only "
        "input_ids, attention_mask, token_type_ids can be given"
    )


def test_prompts_come_from_the_folder_unless_given(copy):
    prompts = {"prompts": {"query": "red ", "passage": "tree "}}
    (copy / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    plain = encoder(copy, query_prompt="", document_prompt="")
    own = encoder(copy)
    np.testing.assert_array_equal(
        own.encode(["dog"], role="query"), plain.encode(["red dog"], role="query")
    )
    np.testing.assert_array_equal(own.encode(["dog"]), plain.encode(["tree dog"]))
    assert np.abs(own.encode(["dog"]) - plain.encode(["dog"])).max() > 1e-3
    assert own.fingerprint != plain.fingerprint


def test_one_that_has_encoded_can_be_pickled(exported):
    """Its session cannot, and is made again."""
    used = encoder(exported)
    wanted = used.encode(TEXTS)
    assert np.array_equal(pickle.loads(pickle.dumps(used)).encode(TEXTS), wanted)
