"""Splitting texts once, against the library tokenizers with its own padding and cutting."""

import numpy as np
import pytest
from tokenizers import Tokenizer

import tiny_models
from tiny_models import TEXTS, WORDS
from vecpress.encoders.text_tokenizer import read_tokenizer
from vecpress.encoders.tokens import SharedTokens
from vecpress.errors import ModelError

ODD = ["", "the cat", "zzyzx 日本 😀", "a" * 300, "cat [SEP] dog", "\x00\n \ud7ff", *TEXTS]


@pytest.fixture
def path(tmp_path):
    tiny_models.wordpiece(tmp_path, pad_to=8)  # padded and cut, as MiniLM is published
    return tmp_path / "tokenizer.json"


@pytest.mark.parametrize("max_length", [3, 4, 7, 500])
def test_framed_tokens_are_those_the_library_gives(path, max_length):
    library = Tokenizer.from_file(str(path))
    library.no_padding()
    library.enable_truncation(max_length)
    ours = read_tokenizer(path)
    for text, ids in zip(ODD, ours.split(ODD), strict=True):
        framed = ours.frame(ids, max_length=max_length)
        assert framed.dtype == np.int32
        assert framed.tolist() == library.encode(text).ids


def test_the_ends_are_found(path):
    assert read_tokenizer(path).ends == ([WORDS.index("[CLS]")], [WORDS.index("[SEP]")])


def test_texts_of_several_rounds_keep_their_order(path):
    texts = [f"{WORDS[5 + i % 18]} {WORDS[5 + i % 7]}" for i in range(2500)]
    split = read_tokenizer(path).split(texts)
    assert [ids.tolist() for ids in split] == [
        [5 + i % 18, 5 + i % 7] for i in range(2500)
    ]  # fmt: skip


class Counting:
    """A splitter of letters that remembers what it was asked."""

    def __init__(self, key="letters", size=256):
        self._key, self.size, self.asked = key, size, []

    def key(self):
        return self._key

    def split(self, texts):
        self.asked += texts
        return [np.array([ord(letter) for letter in text], np.int32) for text in texts]


def test_a_text_is_split_once():
    splitter, tokens = Counting(), SharedTokens()
    first = tokens.of(splitter, ["ab", "c", "ab"])
    second = tokens.of(splitter, ["c", "d", "ab"])
    assert [ids.tolist() for ids in first] == [[97, 98], [99], [97, 98]]
    assert [ids.tolist() for ids in second] == [[99], [100], [97, 98]]
    assert splitter.asked == ["ab", "c", "d"]


def test_two_of_the_same_key_share_and_others_do_not():
    tokens, one, same, other = SharedTokens(), Counting(), Counting(), Counting(key="other")
    for splitter in (one, same, other):
        assert [ids.tolist() for ids in tokens.of(splitter, ["a", "b"])] == [[97], [98]]
    assert (one.asked, same.asked, other.asked) == (["a", "b"], [], ["a", "b"])


def test_of_unequal_size_the_keys_are_not_worked_out():
    tokens, large = SharedTokens(), Counting(size=9)
    large.key = lambda: pytest.fail("asked for its key")
    for splitter in (Counting(), large):
        tokens.of(splitter, ["a"])
    assert large.asked == ["a"]


def test_nothing_is_remembered_elsewhere():
    splitter = Counting()
    for _ in range(2):
        SharedTokens().of(splitter, ["a"])
    assert splitter.asked == ["a", "a"]


def test_padding_cutting_and_ends_do_not_make_another_tokenizer(path, tmp_path):
    padded = read_tokenizer(path)
    bare = Tokenizer.from_file(str(path))
    bare.no_padding()
    bare.no_truncation()
    bare.post_processor = None
    bare.save(str(tmp_path / "bare.json"))
    assert read_tokenizer(tmp_path / "bare.json").key() == padded.key()
    cased = Tokenizer.from_file(str(path))
    cased.normalizer = None
    cased.save(str(tmp_path / "cased.json"))
    assert read_tokenizer(tmp_path / "cased.json").key() != padded.key()


def test_a_tokenizer_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=rf"^{tmp_path} has no tokenizer\.json$"):
        read_tokenizer(tmp_path / "tokenizer.json")
