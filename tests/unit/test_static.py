"""StaticEncoder against a loop over tokens, and against tables worked out by hand."""

import json
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
from tokenizers import Tokenizer, models, pre_tokenizers

import tiny_models
from tiny_models import TEXTS, WORDS
from vecpress.encoders.static import StaticEncoder, sums
from vecpress.errors import ConfigError, ModelError


def encoder(folder, **options):
    return StaticEncoder(model=str(folder), **options)


def oracle(folder, text, *, max_length=None):
    """Add up rows one token at a time, as model2vec's README describes, in float64."""
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    total, counted = np.zeros(tensors["embeddings"].shape[1]), 0
    for token in tokenizer.encode(text, add_special_tokens=False).tokens:
        if token == "[UNK]" or counted == max_length:
            continue
        i = WORDS.index(token)
        row = tensors["embeddings"][tensors["mapping"][i] if "mapping" in tensors else i]
        total = total + np.float64(row) * (tensors["weights"][i] if "weights" in tensors else 1)
        counted += 1
    norm = np.sqrt((total * total).sum())
    return total / norm if norm else total


@pytest.mark.parametrize("max_length", [None, 1, 3, 100])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("mapping", [False, True])
def test_a_text_is_the_weighted_mean_of_its_tokens_rows(tmp_path, mapping, weights, max_length):
    folder = tiny_models.static_folder(tmp_path / "m", mapping=mapping, weights=weights)
    rows = encoder(folder, max_length=max_length).encode(TEXTS)
    expected = [oracle(folder, text, max_length=max_length) for text in TEXTS]
    np.testing.assert_allclose(rows, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8])
def test_tables_of_any_number_type_are_read(tmp_path, dtype):
    folder = tiny_models.static_folder(tmp_path / "m", dtype=dtype)
    expected = [oracle(folder, text) for text in TEXTS]
    np.testing.assert_allclose(encoder(folder).encode(TEXTS), expected, atol=1e-6)


def test_two_words_by_hand(tmp_path):
    folder = tiny_models.static_folder(tmp_path / "m", dim=2)
    table = np.zeros((len(WORDS), 2), np.float32)
    table[WORDS.index("cat")] = [3, 0]
    table[WORDS.index("dog")] = [0, 4]
    safetensors.numpy.save_file({"embeddings": table}, folder / "model.safetensors")
    rows = encoder(folder).encode(["Cat dog", "dog", "cat cat dog", "bird", "dogs"])
    expected = [[0.6, 0.8], [0, 1], [6 / 52**0.5, 4 / 52**0.5], [0, 0], [0, 1]]
    np.testing.assert_allclose(rows, expected, atol=1e-7)


def test_unknown_and_special_tokens_say_nothing(tmp_path):
    ours = encoder(tiny_models.static_folder(tmp_path / "m"))
    rows = ours.encode(["the cat", "the 日本 cat 😀"])
    np.testing.assert_array_equal(rows[0], rows[1])


def test_unknown_tokens_do_not_use_up_the_length(tmp_path):
    ours = encoder(tiny_models.static_folder(tmp_path / "m"), max_length=2)
    np.testing.assert_array_equal(ours.encode(["日 本 the cat sat"]), ours.encode(["the cat"]))


def test_a_text_without_known_tokens_is_a_zero_row_wherever_it_stands(tmp_path):
    ours = encoder(tiny_models.static_folder(tmp_path / "m"))
    rows = ours.encode(["", "cat", "日本", "the dog", " ", ""])
    np.testing.assert_array_equal(rows.any(axis=1), [False, True, False, True, False, False])
    np.testing.assert_array_equal(rows[[1, 3]], ours.encode(["cat", "the dog"]))
    np.testing.assert_array_equal(ours.encode(["", "日本"]), np.zeros((2, 24), np.float32))


def test_rows_at_the_seam_of_two_blocks_are_in_their_place(tmp_path):
    ours = encoder(tiny_models.static_folder(tmp_path / "m"))
    texts = [WORDS[5 + i % 18] for i in range(1025)]
    expected = np.concatenate([ours.encode([word]) for word in texts])
    np.testing.assert_array_equal(ours.encode(texts), expected)


def test_a_tokenizer_without_a_token_for_the_unknown_is_taken(tmp_path):
    folder = tiny_models.static_folder(tmp_path / "m")
    pieces = [(word, -float(i)) for i, word in enumerate(WORDS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = encoder(folder).encode(["cat", "dog"])
    table = safetensors.numpy.load_file(folder / "model.safetensors")["embeddings"]
    expected = table[[WORDS.index("cat"), WORDS.index("dog")]]
    np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1)[:, None], 1e-6)


@pytest.mark.skipif(find_spec("wordllama") is None, reason="wordllama is not installed")
def test_the_table_inside_the_package_wordllama_is_averaged():
    ours = StaticEncoder(model="wordllama")
    folder, layout = ours._files
    table = safetensors.numpy.load_file(folder / layout.table)[layout.rows].astype(np.float64)
    tokenizer = Tokenizer.from_file(str(folder / layout.tokenizer))
    texts = ["a cat sat on the mat", "Quantum chromodynamics, 東京 and 😀!", "x" * 3000]
    by_hand = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        by_hand.append(sum(table[i] for i in ids) / len(ids))
    by_hand = [row / np.linalg.norm(row) for row in by_hand]
    rows = ours.encode([*texts, ""])
    assert rows.shape == (4, 256)
    np.testing.assert_allclose(rows[:3], by_hand, atol=1e-5)
    assert not rows[3].any()


# --- folders that are no models ---------------------------------------------------------------


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_a_folder_without_its_parts_is_named(tmp_path, missing):
    folder = tiny_models.static_folder(tmp_path / "m")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=f"^{folder} is not a model2vec folder: no model.safe"):
        encoder(folder).encode(TEXTS)


@pytest.mark.parametrize("data", [b"", b"not a table", b"\0" * 100])
def test_a_damaged_table_is_named(tmp_path, data):
    folder = tiny_models.static_folder(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=rf"^{folder}/model\.safetensors is not a token table: "):
        encoder(folder).encode(TEXTS)


def test_a_truncated_table_is_named(tmp_path):
    folder = tiny_models.static_folder(tmp_path / "m")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=rf"^{path} is not a token table: "):
        encoder(folder).encode(TEXTS)


def test_a_table_under_another_name_is_named(tmp_path):
    folder = tiny_models.static_folder(tmp_path / "m")
    safetensors.numpy.save_file({"other": np.eye(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"is not a token table: 'embeddings'$"):
        encoder(folder).encode(TEXTS)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", json.dumps({"model": 1}).encode()])
def test_a_damaged_tokenizer_is_named(tmp_path, data):
    folder = tiny_models.static_folder(tmp_path / "m")
    (folder / "tokenizer.json").write_bytes(data)
    with pytest.raises(ModelError, match=rf"^{folder}/tokenizer\.json is not a tokenizer: "):
        encoder(folder).encode(TEXTS)


# --- adding up --------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 3, 5000])
def test_rows_of_texts_of_all_lengths_are_added_up(rng, most):
    table = rng.normal(size=(40, 6)).astype(np.float32)
    lengths = rng.integers(0, most + 1, 60)
    ids = rng.integers(0, 40, lengths.sum()).astype(np.int32)
    expected, start = [], 0
    for length in lengths:
        expected.append(table.astype(np.float64)[ids[start : start + length]].sum(axis=0))
        start += length
    np.testing.assert_allclose(sums(table, ids, lengths), expected, rtol=1e-4, atol=1e-3)


def test_a_row_does_not_depend_on_its_neighbours(tmp_path):
    ours = encoder(tiny_models.static_folder(tmp_path / "m"))
    texts = [" ".join(WORDS[5 : 6 + i % 30]) for i in range(300)]
    expected = np.concatenate([ours.encode([text]) for text in texts])
    np.testing.assert_array_equal(ours.encode(texts), expected)
    np.testing.assert_array_equal(ours.encode(texts[::-1])[::-1], expected)


def test_no_texts_give_no_rows(tmp_path):
    assert encoder(tiny_models.static_folder(tmp_path / "m")).encode([]).shape == (0, 24)


@pytest.mark.parametrize(("precision", "most"), [("int8", 127), ("int4", 7)])
def test_a_rounded_table_is_that_of_whole_numbers(tmp_path, precision, most):
    folder = tiny_models.static_folder(tmp_path / "m", weights=True)
    exact, coarse = encoder(folder), encoder(folder, precision=precision)
    scales = np.abs(exact.table).max(axis=1, keepdims=True) / most
    np.testing.assert_allclose(
        coarse.table, np.round(exact.table / scales) * scales, atol=1e-6, rtol=1e-5
    )
    text = [TEXTS[0]]
    cosine = float((exact.encode(text) * coarse.encode(text)).sum())
    assert 0.97 < cosine < 1 - 1e-7
    assert exact.rounded is None
    assert coarse.fingerprint != exact.fingerprint


def test_another_precision_is_refused():
    # Under test the run-time type checker would speak first: so the check is called by itself.
    with pytest.raises(ConfigError) as caught:
        StaticEncoder.__post_init__(SimpleNamespace(max_length=None, precision="int2"))
    assert str(caught.value) == "precision must be 'int8', 'int4' or none, got 'int2'"
