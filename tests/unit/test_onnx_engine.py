"""SentenceTransformerEncoder without torch, held against sentence-transformers itself."""

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
import torch
from sentence_transformers import SentenceTransformer

import tiny_models
from tiny_models import TEXTS, WORDS
from vecpress import artifact
from vecpress.encoders import sentence_transformer
from vecpress.encoders.files import digest
from vecpress.encoders.onnx_engine import OnnxEngine
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ConfigError, MissingExtraError
from vecpress.stages import Image

LONG = "the dog ran under a very red tree and " * 20
ODD = [*TEXTS, LONG, "日本 😀 cat", " \n\t", "cat [SEP] dog", "x" * 500]
MANY = [f"{text} {WORDS[5 + i % 18]}" for i, text in enumerate(ODD * 8)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"), normalize=True)


@pytest.fixture
def copy(bert, tmp_path):
    """A folder to change."""
    return Path(shutil.copytree(bert, tmp_path / "copy"))


def encoder(folder, **options):
    return SentenceTransformerEncoder(model=str(folder), **options)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def runs_without_torch(made):
    made.encode(["cat"])
    assert ("_torch" in vars(made)) == (made._onnx is None)
    return made._onnx is not None


# --- the same vectors -------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_it_equals_the_library(copy, pooling, role):
    change(copy / "1_Pooling" / "config.json", pooling_mode=pooling)
    prompts = {"query": "red query : ", "passage": "blue "}
    change(copy / "config_sentence_transformers.json", prompts=prompts)
    own = SentenceTransformer(str(copy))
    prompt = prompts["query" if role == "query" else "passage"]
    expected = own.encode(ODD, prompt=prompt, normalize_embeddings=True)
    ours = encoder(copy)
    np.testing.assert_allclose(ours.encode(ODD, role=role), expected, atol=1e-5)
    assert runs_without_torch(ours)
    assert ours.dim == expected.shape[1]


OPTIONS = [
    {},
    {"max_length": 5},
    {"max_length": 64},
    {"query_prompt": "a red ", "document_prompt": ""},
    {"query_pooling": "cls", "document_pooling": "mean"},
    {"query_pooling": "mean", "document_pooling": "cls", "max_length": 9},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_means_what_it_means_to_torch(bert, options):
    ours, theirs = encoder(bert, **options), encoder(bert, **options, engine="torch")
    assert runs_without_torch(ours)
    assert not runs_without_torch(theirs)
    assert ours.fingerprint == theirs.fingerprint
    for role in ("query", "document"):
        expected = theirs.encode(ODD, role=role)
        np.testing.assert_allclose(ours.encode(ODD, role=role), expected, atol=1e-5)


def test_the_folders_limit_cuts_texts(copy):
    change(copy / "sentence_bert_config.json", max_seq_length=6)
    ours = encoder(copy)
    np.testing.assert_allclose(ours.encode([LONG]), ours.encode(["the dog ran under"]), atol=1e-6)
    own = SentenceTransformer(str(copy)).encode([LONG], normalize_embeddings=True)
    np.testing.assert_allclose(ours.encode([LONG]), own, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", None])
def test_a_token_by_itself_is_embedded_as_torch_does(bert, pooling):
    ours, theirs = (encoder(bert, document_pooling=pooling, engine=e) for e in (None, "torch"))
    ids = [WORDS.index(word) for word in ("cat", "##ing", "b", "[UNK]", "?")]
    own = theirs.encode_tokens(ids)
    if pooling is None:  # through the library's own modules, which normalize here
        own = own * np.linalg.norm(ours.encode_tokens(ids), axis=1, keepdims=True)
    np.testing.assert_allclose(ours.encode_tokens(ids), own, atol=2e-5)
    given, made = (json.loads(e.tokenizer_json()) for e in (theirs, ours))
    assert given["model"] == made["model"]


def test_roberta_too_equals_the_library(tmp_path):
    folder = tiny_models.roberta_folder(tmp_path / "roberta")
    own = SentenceTransformer(str(folder)).encode(ODD, normalize_embeddings=True)
    ours = encoder(folder)
    np.testing.assert_allclose(ours.encode(ODD), own, atol=1e-5)
    assert runs_without_torch(ours)
    assert ours._bert.positions == 64


# --- nothing but the text decides a vector ----------------------------------------------------


@pytest.mark.parametrize(("precision", "within"), [(None, 1e-6), ("w8", 1e-6), ("int8", 0)])
def test_order_batch_and_threads_change_no_vector(bert, monkeypatch, precision, within):
    ours = encoder(bert, precision=precision)
    expected = np.concatenate([ours.encode([text]) for text in MANY])
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        np.testing.assert_allclose(ours.encode(MANY), expected, atol=within, rtol=0)
        np.testing.assert_allclose(ours.encode(MANY[::-1])[::-1], expected, atol=within, rtol=0)
        np.testing.assert_allclose(ours.encode(MANY[5:9]), expected[5:9], atol=within, rtol=0)


def test_in_8_bits_vectors_are_others_but_near(bert):
    full, rounded = (encoder(bert, precision=p).encode(ODD) for p in (None, "int8"))
    cosines = (full * rounded).sum(axis=1)
    assert 0.98 < cosines.min() < 0.99999
    assert len({encoder(bert, precision=p).fingerprint for p in (None, "int8", "w8")}) == 3


def rounded_by_hand(folder):
    """The library's own model, each row of its words and maps in 255 steps up to its largest."""
    own = SentenceTransformer(str(folder))
    tensors = own[0].auto_model.state_dict()
    others = ("position", "token_type", "LayerNorm", "pooler")
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and not any(part in name for part in others):
            step = tensor.abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / 127
            tensor.copy_(torch.round(tensor / step) * step)
    own[0].auto_model.load_state_dict(tensors)
    return own


@pytest.mark.parametrize("make", [tiny_models.bert_folder, tiny_models.roberta_folder])
def test_with_weights_of_8_bits_it_equals_the_library_with_the_same_weights(make, tmp_path):
    folder = make(tmp_path / "model")
    ours, full = encoder(folder, precision="w8"), encoder(folder)
    expected = rounded_by_hand(folder).encode(ODD, normalize_embeddings=True)
    np.testing.assert_allclose(ours.encode(ODD), expected, atol=1e-5)
    off = np.abs(full.encode(ODD) - expected).max(axis=1)
    assert off.max() > 1e-3  # so rounding shows
    cosines = (ours.encode(ODD) * full.encode(ODD)).sum(axis=1)
    assert cosines.min() > 0.999


def test_one_call_takes_texts_of_one_length_and_no_more_tokens_than_fit(bert, monkeypatch):
    ours = encoder(bert)._onnx
    calls = ours._calls([3, 7, 3, 0, 7, 3, 200, 3, 200, 200])
    assert calls == [[6, 8], [9], [1, 4], [0, 2, 5, 7]]
    one_by_one = encoder(bert, precision="int8")._onnx
    assert one_by_one._calls([3, 7, 3]) == [[1], [0], [2]]
    assert encoder(bert, precision="w8")._onnx._calls([3, 7, 3]) == [[1], [0, 2]]
    assert ours._calls([600, 600]) == [[0], [1]]


# --- which engine -----------------------------------------------------------------------------


def test_neither_torch_nor_its_libraries_are_loaded(bert):
    code = (
        "import sys; from vecpress.encoders.catalogue import find\n"
        f"e = find('st:{bert}'); e.encode(['cat', 'a dog']); e.fingerprint; e.dim\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules)))"
    )
    encoder(bert).encode(["cat"])  # so the graph is there
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def weights_in(dtype):
    def spoil(folder):
        path = folder / "model.safetensors"
        tensors = safetensors.numpy.load_file(path)
        safetensors.numpy.save_file({k: v.astype(dtype) for k, v in tensors.items()}, path)

    return spoil


def without_a_tensor(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    del tensors["encoder.layer.1.output.dense.bias"]
    safetensors.numpy.save_file(tensors, path)


def changing(name, **values):
    return lambda folder: change(folder / name, **values)


def module(folder):
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    path.write_text(json.dumps([*modules[:2], modules[1] | {"idx": 2, "name": "2"}]))


def lower_casing_otherwise(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))


OTHERS = [
    (changing("1_Pooling/config.json", pooling_mode="max"), "its pooling is neither 'cls' nor"),
    (changing("1_Pooling/config.json", pooling_mode=["cls", "mean"]), "its pooling is neither"),
    (changing("1_Pooling/config.json", include_prompt=False), "it leaves the prompt out of the"),
    (changing("config.json", model_type="distilbert"), "its model_type is 'distilbert'"),
    (changing("config.json", hidden_act="relu"), "its hidden_act is 'relu'"),
    (changing("config.json", is_decoder=True), "its is_decoder is True"),
    (changing("config.json", hidden_size=64), "it has no tensor embeddings.word_embeddings.weight"),
    (changing("sentence_bert_config.json", max_seq_length=65), "it reads at most 64 tokens, got m"),
    (changing("sentence_bert_config.json", unpad_inputs=True), "its unpad_inputs is True"),
    (module, "its modules are Transformer, Pooling, Pooling"),
    (without_a_tensor, "it has no tensor encoder.layer.1.output.dense.bias of shape (32,)"),
    (lambda folder: (folder / "modules.json").unlink(), "FileNotFoundError: "),
    (lambda folder: (folder / "config.json").write_text("[1]"), "config.json holds no object"),
]


@pytest.mark.parametrize(("spoil", "reason"), OTHERS)
def test_what_is_no_plain_bert_is_left_to_torch(copy, spoil, reason):
    spoil(copy)
    assert encoder(copy)._bert is None
    for options, what in [
        ({"engine": "onnx"}, "by onnxruntime"),
        ({"precision": "int8"}, "in 8 bits"),
        ({"precision": "w8"}, "with weights of 8 bits"),
    ]:
        with pytest.raises(ConfigError) as caught:
            encoder(copy, **options).encode(["cat"])
        expected = (
            f"{str(copy)!r} cannot be run {what}, which takes a plain BERT of texts: {reason}"
        )
        assert str(caught.value).startswith(expected)


def test_a_pooling_of_ones_own_makes_another_pooling_plain(copy):
    change(copy / "1_Pooling" / "config.json", pooling_mode="max")
    ours = encoder(copy, query_pooling="cls", document_pooling="mean")
    assert runs_without_torch(ours)
    expected = encoder(copy, document_pooling="mean", engine="torch").encode(ODD)
    np.testing.assert_allclose(ours.encode(ODD), expected, atol=1e-5)


DIFFERENT = [
    (weights_in(np.float16), "its weights have 16 bits"),
    (lower_casing_otherwise, "tokenizer.json and tokenizer_config.json do not agree"),
    (
        changing("tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer"),
        "its tokenizer is a",
    ),
    (changing("tokenizer_config.json", truncation_side="left"), "it cuts texts at the left"),
    (
        changing("tokenizer_config.json", do_lower_case=False),
        "tokenizer.json and tokenizer_config.json do not agree",
    ),
    (
        changing("tokenizer_config.json", strip_accents=False),
        "tokenizer.json and tokenizer_config.json do not agree",
    ),
]


@pytest.mark.parametrize(("spoil", "reason"), DIFFERENT)
def test_where_vectors_might_differ_torch_is_taken_unless_asked(copy, spoil, reason):
    spoil(copy)
    assert encoder(copy)._bert is None
    asked = encoder(copy, engine="onnx")
    assert asked._bert.differs.startswith(reason)
    assert asked.encode(["cat"]).shape == (1, 32)
    assert len({encoder(copy, engine=e).fingerprint for e in ("onnx", "torch", None)}) == 2
    assert encoder(copy, engine="torch").fingerprint == encoder(copy).fingerprint
    encoder(copy, precision="int8").encode(["cat"])


def test_weights_of_16_bits_are_computed_in_32(copy):
    weights_in(np.float16)(copy)
    expected = SentenceTransformer(str(copy), model_kwargs={"dtype": torch.float32})
    rows = encoder(copy, engine="onnx").encode(ODD)
    own = expected.encode(ODD, normalize_embeddings=True)
    np.testing.assert_allclose(rows, own, atol=1e-5)


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers"])
def test_without_the_engine_torch_is_taken_unless_asked(bert, monkeypatch, missing):
    monkeypatch.setattr(
        sentence_transformer, "find_spec", lambda name: None if name == missing else 1
    )
    assert encoder(bert)._bert is None
    monkeypatch.setitem(sys.modules, missing, None)
    for options in ({"engine": "onnx"}, {"precision": "int8"}):
        with pytest.raises(MissingExtraError, match=rf"{missing}.*pip install 'vecpress\[onnx\]'"):
            encoder(bert, **options).encode(["cat"])


@pytest.mark.parametrize("missing", ["torch", "sentence_transformers"])
def test_without_torch_it_is_asked_for_where_it_is_needed(bert, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"{missing}.*pip install 'vecpress\[encode\]'"):
        encoder(bert, engine="torch").encode(["cat"])
    assert encoder(bert).encode(["cat"]).shape == (1, 32)


def test_an_image_is_refused_as_before(bert):
    with pytest.raises(ConfigError, match=r"encodes texts, got the image a\.png: choose a CLIP-st"):
        encoder(bert).encode(["cat", Image("a.png")])


VALUES = [
    ({"precision": "int4"}, "precision must be 'int8', 'w8' or none, got 'int4'"),
    ({"engine": "jax"}, "engine must be 'onnx', 'torch' or none, got 'jax'"),
    (
        {"engine": "torch", "precision": "int8"},
        "the engine 'torch' computes in 32 bits, got the precision 'int8': leave one of the two out",
    ),
    (
        {"engine": "torch", "precision": "w8"},
        "the engine 'torch' computes in 32 bits, got the precision 'w8': leave one of the two out",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), VALUES)
def test_a_value_out_of_range_is_refused(options, sentence):
    # Under test the run-time type checker would speak first: so the check is called by itself.
    values = {f.name: None for f in dataclasses.fields(SentenceTransformerEncoder)} | options
    with pytest.raises(ConfigError) as caught:
        SentenceTransformerEncoder.__post_init__(SimpleNamespace(**values))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_without_room_for_a_text_is_refused(bert, length):
    with pytest.raises(ConfigError) as caught:
        encoder(bert, max_length=length).encode(["cat"])
    assert str(caught.value) == (
        "max_length must be above 2, for the model puts as many tokens around each text, got "
        f"{length}"
    )


# --- what was saved yesterday -----------------------------------------------------------------


def test_the_fingerprint_is_what_it_was(bert):
    options = ["query: ", None, "cls", None, 9]
    expected = hashlib.sha256(json.dumps(["st", digest(bert), options]).encode()).hexdigest()[:32]
    made = encoder(bert, query_prompt="query: ", query_pooling="cls", max_length=9)
    assert made.fingerprint == expected
    assert dataclasses.replace(made, engine="torch").fingerprint == expected


def test_an_artifact_names_precision_and_engine_only_if_they_were_asked(bert, tmp_path):
    for name, options in [("no", {}), ("yes", {"precision": "int8", "engine": "onnx"})]:
        artifact.save(tmp_path / name, {"encoder": encoder(bert, **options)})
        written = (tmp_path / name / "config.json").read_text()
        assert ('"precision"' in written) == ('"engine"' in written) == (name == "yes")
        assert artifact.load(tmp_path / name)["encoder"] == encoder(bert, **options)


def test_an_empty_row_of_tokens_is_a_zero_row(bert):
    engine = OnnxEngine(bert=encoder(bert)._bert, precision=None, max_length=9)
    ids = [np.array(row, np.int32) for row in ([], [2, 9, 3], [])]
    rows = engine.embed_ids(ids, pooling="mean")
    np.testing.assert_array_equal(rows.any(axis=1), [False, True, False])


def test_no_texts_give_no_rows_and_load_no_graph(bert, monkeypatch):
    ours = encoder(bert)
    assert ours.encode([]).shape == (0, 32)
    assert "_session" not in vars(ours._onnx)
    assert os.environ["XDG_CACHE_HOME"] not in (None, "")


def test_one_that_has_encoded_can_be_pickled(bert):
    """Its session cannot, and is made again."""
    used = encoder(bert)
    wanted = used.encode(TEXTS)
    assert np.array_equal(pickle.loads(pickle.dumps(used)).encode(TEXTS), wanted)
