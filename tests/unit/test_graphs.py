"""Graphs are made once, kept whole, and made again where they cannot be kept."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tiny_models
from tiny_models import TEXTS
from vecpress.digests import file_digest
from vecpress.encoders import graphs
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ArtifactError


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where this test's graphs are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vecpress" / "graphs"


def encoder(folder, **options):
    return SentenceTransformerEncoder(model=str(folder), **options)


def never(*args, **options):
    pytest.fail("made again")


def test_a_graph_is_made_once(bert, kept, monkeypatch):
    expected = encoder(bert).encode(TEXTS)
    (home,) = kept.iterdir()
    assert {path.name for path in home.iterdir()} == {"config.json", "model.onnx", "weights.bin"}
    monkeypatch.setattr(graphs, "_make", never)
    np.testing.assert_array_equal(encoder(bert).encode(TEXTS), expected)
    np.testing.assert_array_equal(encoder(bert, max_length=64).encode(TEXTS), expected)


def test_another_precision_or_model_or_way_of_making_is_another_graph(
    bert, kept, monkeypatch, tmp_path
):
    other = tiny_models.bert_folder(tmp_path / "other", seed=1)
    for made in (encoder(bert), encoder(bert, precision="int8"), encoder(other)):
        made.encode(TEXTS)
    assert len(list(kept.iterdir())) == 3
    encoder(bert, precision="w8").encode(TEXTS)
    assert len(list(kept.iterdir())) == 4
    told = [json.loads((home / "config.json").read_text())["precision"] for home in kept.iterdir()]
    assert sorted(told) == ["float32", "float32", "int8", "w8"]
    before = encoder(bert, precision="int8").fingerprint
    monkeypatch.setattr(graphs, "_BUILD", graphs._BUILD + 1)
    assert encoder(bert, precision="int8").fingerprint != before
    encoder(bert).encode(TEXTS)
    assert len(list(kept.iterdir())) == 5


def test_graphs_kept_before_there_were_weights_of_8_bits_are_found_still(bert, kept):
    plain = encoder(bert).plain()
    names = ("model_type", "num_hidden_layers", "num_attention_heads", "layer_norm_eps")
    config = [plain.config.get(name) for name in (*names, "pad_token_id")]
    for precision, told in [(None, False), ("int8", True)]:
        encoder(bert, precision=precision).encode(TEXTS)
        parts = ["graph", 1, told, file_digest(plain.weights), config]
        name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
        assert (kept / name).is_dir()


def test_the_same_weights_with_other_heads_are_another_graph(bert, kept, tmp_path):
    copy = Path(shutil.copytree(bert, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text()) | {"num_attention_heads": 4}
    (copy / "config.json").write_text(json.dumps(config))
    first, second = encoder(bert).encode(TEXTS), encoder(copy).encode(TEXTS)
    assert np.abs(first - second).max() > 1e-2
    own = encoder(copy, engine="torch").encode(TEXTS)
    np.testing.assert_allclose(second, own, atol=1e-5)


def test_where_nothing_can_be_kept_it_is_made_for_once(bert, kept, tmp_path, monkeypatch):
    expected = encoder(bert).encode(TEXTS)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    np.testing.assert_array_equal(encoder(bert).encode(TEXTS), expected)


def test_an_interrupted_run_leaves_no_graph(bert, kept, monkeypatch):
    monkeypatch.setattr(graphs, "write_config", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encoder(bert).encode(TEXTS)
    assert list(kept.iterdir()) == []


def test_who_comes_second_takes_what_is_there(bert, kept, monkeypatch):
    make = graphs._make

    def slow(*args, **options):
        monkeypatch.setattr(graphs, "_make", make)
        encoder(bert).encode(TEXTS)  # another process, quicker
        make(*args, **options)

    monkeypatch.setattr(graphs, "_make", slow)
    encoder(bert).encode(TEXTS)
    assert len(list(kept.iterdir())) == 1


DAMAGED = [
    (lambda home: (home / "weights.bin").write_bytes(b"short"), r"weights\.bin has another size"),
    (lambda home: (home / "model.onnx").unlink(), "No such file"),
    (lambda home: (home / "config.json").unlink(), "not a vecpress folder"),
    (
        lambda home: (home / "model.onnx").write_bytes(b"x" * (home / "model.onnx").stat().st_size),
        "",
    ),
]


@pytest.mark.parametrize(("spoil", "reason"), DAMAGED)
def test_a_damaged_graph_is_named(bert, kept, spoil, reason):
    encoder(bert).encode(TEXTS)
    (home,) = kept.iterdir()
    spoil(home)
    with pytest.raises(ArtifactError, match=f"(?s){home}.*{reason}"):
        encoder(bert).encode(TEXTS)
    shutil.rmtree(home)
    encoder(bert).encode(TEXTS)


def test_without_onnx_only_what_is_kept_runs_by_itself(bert, kept, monkeypatch):
    monkeypatch.setattr(graphs, "find_spec", lambda name: None)
    assert encoder(bert)._bert is None
    encoder(bert, engine="onnx").encode(TEXTS)
    assert encoder(bert)._bert is not None
