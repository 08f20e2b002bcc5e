"""Models that share a tokenizer split each text once, also through caches; counted."""

import shutil

import numpy as np
import pytest

import tiny_models
from helpers import HashEncoder
from tiny_models import TEXTS
from vecpress.encoders.combine import Concat, with_cache
from vecpress.encoders.distilled import Distilled
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.encoders.text_tokenizer import TextTokenizer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two transformers and a static table of one vocabulary, differently padded and cut."""
    root = tmp_path_factory.mktemp("models")
    berts = [tiny_models.bert_folder(root / str(i), seed=i) for i in range(2)]
    static = tiny_models.static_folder(root / "static")
    shutil.copy(berts[0] / "tokenizer.json", static / "tokenizer.json")
    return [*berts, static]


@pytest.fixture
def asked(monkeypatch):
    """Every text that is split."""
    texts, split = [], TextTokenizer.split
    monkeypatch.setattr(
        TextTokenizer, "split", lambda self, some: texts.extend(some) or split(self, some)
    )
    return texts


def models(folders, **options):
    first, second, static = map(str, folders)
    return (
        SentenceTransformerEncoder(model=first, max_length=6, **options),
        SentenceTransformerEncoder(model=second, query_pooling="cls", **options),
        StaticEncoder(model=static, max_length=3),
        HashEncoder(),
    )


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("role", ["query", "document"])
def test_each_text_is_split_once_and_each_block_is_what_its_model_gives(
    folders, asked, role, cached, tmp_path
):
    parts = models(folders)
    expected = [encoder.encode(TEXTS, role=role) for encoder in parts]
    asked.clear()
    concat = Concat(encoders=parts)
    concat = with_cache(concat, tmp_path) if cached else concat
    rows = concat.encode(TEXTS, role=role)
    assert sorted(asked) == sorted(TEXTS)
    start = 0
    for block in expected:
        found = rows[:, start : start + block.shape[1]] * len(parts) ** 0.5
        filled = block.any(axis=1) & expected[2].any(axis=1)  # a zero block changes the weights
        np.testing.assert_allclose(found[filled], block[filled], atol=1e-5)
        start += block.shape[1]


def test_nested_concatenations_share_too(folders, asked):
    first, second, static, _ = models(folders)
    Concat(encoders=(first, Concat(encoders=(second, static)))).encode(TEXTS)
    assert sorted(asked) == sorted(TEXTS)


def test_a_prompt_makes_another_text(folders, asked):
    first, second, static, _ = models(folders, document_prompt="red ")
    Concat(encoders=(first, second, static)).encode(TEXTS)
    assert sorted(asked) == sorted([*TEXTS, *(f"red {text}" for text in TEXTS)])


def test_another_vocabulary_is_split_by_its_own(folders, asked, tmp_path):
    other = tiny_models.static_folder(tmp_path / "other")
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    first, _, static, _ = models(folders)
    texts = ["Cat DOG", "cat"]
    parts = (static, StaticEncoder(model=str(other)), first)
    rows = Concat(encoders=parts).encode(texts)
    assert asked == texts * 2
    assert not rows[0, 24:48].any()  # its letters are unknown to it
    assert rows[1, 24:48].any()


def test_a_distilled_table_shares_with_the_transformer_it_was_made_of(folders, asked):
    first = models(folders)[0]
    table = Distilled(model=f"st:{folders[0]}", dim=8).fit()
    table.encode(["now"])  # reads its folder
    expected = table.encode(TEXTS)
    asked.clear()
    rows = Concat(encoders=(first, table)).encode(TEXTS)
    assert sorted(asked) == sorted(TEXTS)
    filled = expected.any(axis=1)
    np.testing.assert_allclose(rows[filled, 32:] * 2**0.5, expected[filled], atol=1e-5)


def test_two_calls_share_nothing(folders, asked):
    concat = Concat(encoders=models(folders))
    concat.encode(TEXTS)
    concat.encode(TEXTS)
    assert sorted(asked) == sorted(TEXTS * 2)
