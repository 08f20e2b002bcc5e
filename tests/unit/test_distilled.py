"""Distilled tables against the formula, token by token in float64; and what is kept of them."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from transformers import BertModel

import tiny_models
import toys
from tiny_models import HIDDEN, SPECIAL, TEXTS, WORDS
from vecpress import artifact
from vecpress.encoders import distilled
from vecpress.encoders.distilled import Distilled, DistilledEncoder, principal, zipf_weights
from vecpress.encoders.kept import cache_of
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.errors import ArtifactError, ConfigError, ModelError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

KNOWN = [i for i, word in enumerate(WORDS) if word not in SPECIAL]
MOST = min(HIDDEN, len(KNOWN) - 1)


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Where this test's tables are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vecpress" / "tables"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def copy(bert, tmp_path):
    """A folder to spoil."""
    return Path(shutil.copytree(bert, tmp_path / "copy"))


@pytest.fixture
def idle(monkeypatch):
    """Let no transformer be asked from here on."""

    def give():
        def refuse(*args, **kwargs):
            raise AssertionError("the transformer was asked")

        monkeypatch.setattr(Distilled, "_distil", refuse)

    return give


def model(folder, dim=8):
    return Distilled(model=f"st:{folder}", dim=dim)


def formula(folder, words, dim, *, pooling="mean"):
    """Write the recipe out: each token alone, singular vectors, weight by rank."""
    engine = BertModel.from_pretrained(folder).eval()
    begin, end = WORDS.index("[CLS]"), WORDS.index("[SEP]")
    rows = []
    for i in words:
        with torch.inference_mode():
            states = engine(input_ids=torch.tensor([[begin, i, end]])).last_hidden_state[0]
        states = states.double().numpy()
        rows.append(states[0] if pooling == "cls" else (states[0] + states[1] + states[2]) / 3)
    rows = np.array(rows) - np.mean(rows, axis=0)
    right = np.linalg.svd(rows, full_matrices=False)[2][:dim]
    total = sum(1 / (rank + 1) for rank in range(1, len(words) + 1))
    p = [1 / (rank + 1) / total for rank in range(1, len(words) + 1)]
    table = np.zeros((len(WORDS), dim))
    for i, row, share in zip(words, rows, p, strict=True):
        table[i] = right @ row * (1e-4 / (1e-4 + share))
    return table


def same_up_to_signs(table, expected):
    """Compare tables whose columns may be turned round, and which may differ by one factor."""
    signs = np.sign((table * expected).sum(axis=0))
    np.testing.assert_allclose(table, expected * signs / np.abs(expected).max(), atol=6e-4)


@pytest.mark.parametrize("dim", [1, 8, MOST])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_table_is_what_the_formula_says(tmp_path, pooling, dim):
    folder = tiny_models.bert_folder(tmp_path / "bert", pooling=pooling)
    made = model(folder, dim).fit()
    assert made.table.dtype == np.float16
    expected = formula(folder, KNOWN, dim, pooling=pooling)
    same_up_to_signs(made.table.astype(np.float64), expected)
    np.testing.assert_array_equal(made.table[[WORDS.index(word) for word in SPECIAL]], 0)


def test_a_text_is_the_mean_of_its_tokens_rows(bert):
    made = model(bert).fit()
    table = formula(bert, KNOWN, 8)
    texts = {
        "The cats sat.": ["the", "cat", "##s", "sat", "."],
        "fish bird fish": None,
        "dog": None,
    }
    means = [sum(table[WORDS.index(word)] for word in words or text.split())
             for text, words in texts.items()]  # fmt: skip
    means = np.array([row / np.sqrt(row @ row) for row in means])
    rows = made.encode(list(texts))
    np.testing.assert_allclose(rows @ rows.T, means @ means.T, atol=2e-3)
    assert abs(rows[0] @ rows[1]) < 0.99


def test_special_tokens_say_nothing_even_where_a_text_spells_them(bert):
    made = model(bert).fit()
    rows = made.encode(["the cat", "the [PAD] cat [SEP]", "the 日 cat", "[MASK] [UNK]"])
    np.testing.assert_array_equal(rows[1:3], rows[[0, 0]])
    np.testing.assert_array_equal(rows[3], 0)


def test_unused_tokens_have_no_row_and_no_rank(copy):
    path = copy / "tokenizer.json"
    path.write_text(path.read_text().replace('"the":', '"[unused3]":'))
    without = [i for i in KNOWN if WORDS[i] != "the"]
    made = model(copy).fit()
    same_up_to_signs(made.table.astype(np.float64), formula(copy, without, 8))
    np.testing.assert_array_equal(made.table[WORDS.index("the")], 0)


def test_weights_by_hand():
    expected = [1e-4 / (1e-4 + 6 / 13), 1e-4 / (1e-4 + 4 / 13), 1e-4 / (1e-4 + 3 / 13)]
    np.testing.assert_allclose(zipf_weights(3), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [5, 8192, 8193, 20_000])
def test_principal_directions_are_those_of_the_singular_value_decomposition(rng, n):
    rows = (rng.normal(size=(n, 6)) * [5, 4, 3, 2, 1, 0.5] + 7).astype(np.float32)
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:4].T
    turned = principal(rows, 4)
    signs = np.sign((turned * expected).sum(axis=0))
    np.testing.assert_allclose(turned, expected * signs, atol=1e-8)


def test_the_sign_of_a_direction_is_not_left_to_chance():
    rows = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], np.float32)
    np.testing.assert_allclose(principal(rows, 2), rows, atol=1e-12)
    np.testing.assert_allclose(principal(-rows, 2), -rows, atol=1e-12)


# --- what is kept ------------------------------------------------------------------------------


def test_a_table_is_made_once(bert, kept, idle):
    first = model(bert).fit()
    assert [path.name for path in kept.iterdir()] == [first.fingerprint]
    idle()
    second = model(bert).fit(["other texts"])
    np.testing.assert_array_equal(second.table, first.table)
    np.testing.assert_array_equal(second.encode(TEXTS), first.encode(TEXTS))
    with pytest.raises(AssertionError):
        model(bert, dim=7).fit()


def test_the_folder_kept_is_a_static_model_that_others_may_read(bert, kept):
    made = model(bert).fit()
    folder = kept / made.fingerprint
    static = StaticEncoder(model=str(folder))
    np.testing.assert_array_equal(static.encode(TEXTS), made.encode(TEXTS))
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["normalize"]) == ("model2vec", True)
    assert (config["hidden_dim"], config["sif_coefficient"]) == (8, 1e-4)
    assert config["tokenizer_name"] == f"st:{bert}"
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    assert tokenizer["padding"] is tokenizer["truncation"] is None
    if os.name == "posix":
        modes = {(folder / name).stat().st_mode for name in ("config.json", "model.safetensors")}
        assert len(modes) == 1


def test_the_same_model_gives_the_same_table(bert, kept):
    first = model(bert).fit()
    shutil.rmtree(kept)
    second = model(bert).fit()
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.table, first.table)


def test_the_fingerprint_follows_the_model_the_width_and_the_recipe(bert, copy, monkeypatch):
    prints = [model(bert).fit().fingerprint, model(bert, dim=7).fit().fingerprint]
    assert model(copy).fit().fingerprint == prints[0]  # wherever it lies
    path = copy / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["embeddings.word_embeddings.weight"][9] += 1
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    prints.append(model(copy).fit().fingerprint)
    monkeypatch.setattr(distilled, "_RECIPE", 2)
    prints.append(model(bert).fit().fingerprint)
    assert len(set(prints)) == 4


def test_two_processes_that_make_the_same_table_agree_on_one(bert, kept, monkeypatch):
    own, quicker = Distilled._distil, []

    def slow(self, source, tokenizer):
        with monkeypatch.context() as other:
            other.setattr(Distilled, "_distil", own)
            other.setattr(os, "getpid", lambda: -1)
            quicker.append(model(bert).fit())
        return -quicker[0].table

    monkeypatch.setattr(Distilled, "_distil", slow)
    made = model(bert).fit()
    np.testing.assert_array_equal(made.table, quicker[0].table)
    assert [path.name for path in kept.iterdir()] == [made.fingerprint]


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def change(path):
    data = path.read_bytes()
    path.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])


@pytest.mark.parametrize("damage", [cut, change, Path.unlink])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_table_is_named_and_not_used(bert, kept, name, damage):
    folder = kept / model(bert).fit().fingerprint
    damage(folder / name)
    with pytest.raises(ArtifactError) as caught:
        model(bert).fit()
    assert str(caught.value).startswith(
        f"the table of {f'st:{bert}'!r} kept in {folder} is damaged: delete this folder, and it is "
        "made again ("
    )
    assert name in str(caught.value)


def test_a_place_that_cannot_be_written_is_named_before_the_work(bert, tmp_path, monkeypatch, idle):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    idle()
    with pytest.raises(ArtifactError) as caught:
        model(bert).fit()
    sentence = str(caught.value)
    assert sentence.startswith(f"cannot keep a table in {tmp_path / 'file'}/vecpress/tables: ")
    assert sentence.endswith(": set XDG_CACHE_HOME to a folder that can be written")


def test_an_interrupted_run_leaves_no_table(bert, kept, monkeypatch):
    monkeypatch.setattr(distilled, "write_config", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(bert).fit()
    assert list(kept.iterdir()) == []


def test_without_a_place_of_ones_own_the_home_folder_has_it(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_of("tables") == Path.home() / ".cache" / "vecpress" / "tables"


# --- what cannot be distilled ------------------------------------------------------------------


@pytest.mark.parametrize("dim", [MOST + 1, 256])
def test_a_width_that_the_model_does_not_have_is_refused_with_the_one_it_has(bert, kept, dim):
    with pytest.raises(ConfigError) as caught:
        model(bert, dim).fit()
    assert str(caught.value) == (
        f"distilled:st:{bert} has at most {MOST} dimensions ({len(KNOWN)} tokens, {HIDDEN} "
        f'dimensions of the model), got dim {dim}: write {{ kind = "distilled", model = '
        f'"st:{bert}", dim = {MOST} }} in a recipe, or less'
    )
    assert list(kept.iterdir()) == []


def test_a_few_tokens_span_fewer_directions_than_they_are(bert, monkeypatch):
    monkeypatch.setattr(distilled, "_vocabulary", lambda text: (dict(enumerate(WORDS)), KNOWN[:5]))
    with pytest.raises(
        ConfigError, match=r" has at most 4 dimensions \(5 tokens, 32 dimensions of"
    ):
        model(bert, dim=5).fit()
    assert model(bert, dim=4).fit().dim == 4


def test_a_width_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"^dim must be at least 1, got 0$"):
        Distilled(model="minilm", dim=0)


def test_a_model_that_is_not_there_is_named_when_it_is_needed(monkeypatch):
    # Under test the run-time type checker would ask an encoder for its properties first.
    absent = SentenceTransformerEncoder(model="/no/such/folder")
    monkeypatch.setattr(Distilled, "_source", lambda self: absent)
    made = Distilled(model="st:/no/such/folder")
    with pytest.raises(ModelError, match=r"^cannot find the model '/no/such/folder'"):
        made.fit()


def test_a_model_whose_numbers_are_no_numbers_is_named(copy, kept):
    path = copy / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    for word in ("cat", "##er"):
        tensors["embeddings.word_embeddings.weight"][WORDS.index(word)] = np.nan
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError) as caught:
        model(copy).fit()
    assert str(caught.value) == (
        f"{f'st:{copy}'!r} gives embeddings that are not finite for 2 of its {len(KNOWN)} tokens, "
        "the first is 'cat'"
    )
    assert list(kept.iterdir()) == []


# --- presses -----------------------------------------------------------------------------------


def test_a_press_answers_the_same_where_neither_model_nor_table_is(copy, kept, tmp_path):
    recipe = Recipe(models=({"kind": "distilled", "model": f"st:{copy}", "dim": 6},))
    texts = [*TEXTS[:3], "cat dog", "the red fish ran", "a bird or a tree"]
    corpus = toys.corpus(len(texts))
    corpus = dataclasses.replace(corpus, texts=tuple(texts))
    press = Pipeline.fit(recipe, corpus)
    press.save(tmp_path / "press")
    expected = press.encode(texts)
    shutil.rmtree(copy)
    shutil.rmtree(kept)
    np.testing.assert_array_equal(Pipeline.load(tmp_path / "press").encode(texts), expected)
    code = (
        "import sys; from vecpress.pipeline import Pipeline;"
        f"rows = Pipeline.load({str(tmp_path / 'press')!r}).encode({texts!r});"
        "assert 'torch' not in sys.modules; print(rows.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-6)
    assert not kept.exists()


def test_a_stored_table_takes_two_bytes_a_number(bert, tmp_path):
    made = model(bert).fit()
    artifact.save(tmp_path / "saved", {"encoder": made})
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert config["content"]["encoder"]["kind"] == "fitted-distilled"  # presses are read by it
    again = artifact.load(tmp_path / "saved")["encoder"]
    assert isinstance(again, DistilledEncoder)
    assert again.table.dtype == np.float16
    assert artifact.tensor_bytes({"table": again.table}) == 2 * 8 * len(WORDS)
    assert (again.model, again.fingerprint) == (made.model, made.fingerprint)
