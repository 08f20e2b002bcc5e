"""Many strings in two arrays: cut, joined, and found again by their hashes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress import strings
from vecpress.strings import Joined, Strings, among

WORDS = ["", "a", "ä", "", "a", "doc-1", "doc-10", "1-doc", "\udcff", "ab", "ba", "日本語"]
anything = st.lists(st.text(max_size=5), min_size=1, max_size=30)


def test_what_is_cut_kept_and_joined_is_what_was_there():
    packed = Strings.of(WORDS)
    assert list(packed) == WORDS
    for start in range(len(WORDS) + 1):
        for stop in range(start, len(WORDS) + 1):
            assert list(packed.cut(slice(start, stop))) == WORDS[start:stop]
    kept = np.array([i % 3 != 1 for i in range(len(WORDS))])
    assert list(packed.keep(kept)) == [w for w, k in zip(WORDS, kept, strict=True) if k]
    assert packed.size() == len(packed.data)
    assert packed.size(~kept) == len(packed.keep(kept).data)
    whole = Strings.join([packed, packed.cut(slice(2, 2)), packed.keep(kept)])
    assert list(whole) == WORDS + list(packed.keep(kept))


def test_strings_in_several_places_are_numbered_through():
    joined = Joined([Strings.of(WORDS[:3]), Strings.of(WORDS[3:4]), Strings.of(WORDS[4:])])
    assert list(joined) == WORDS
    assert (joined[-1], joined[3:6]) == (WORDS[-1], WORDS[3:6])
    with pytest.raises(IndexError):
        joined[len(WORDS)]


@settings(deadline=None, max_examples=50)
@given(one=anything, other=anything)
def test_repeated_and_found_are_what_python_says(one, other):
    packed, wanted = Strings.of(one), Strings.of(other)
    assert sorted(packed.repeated()) == sorted({w for w in one if one.count(w) > 1})
    assert packed.find(wanted).tolist() == [i for i, word in enumerate(one) if word in other]


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_blocks_do_not_change_a_hash(rows, monkeypatch):
    expected = Strings.of(WORDS).hashes
    assert len(set(expected.tolist())) == len(set(WORDS))
    monkeypatch.setattr(strings, "_ROWS", rows)
    np.testing.assert_array_equal(Strings.of(WORDS).hashes, expected)


def test_equal_hashes_of_other_strings_are_not_taken_for_equal(monkeypatch):
    """All hashes the same: slow, and right all the same."""
    monkeypatch.setattr(strings, "_hash", lambda s: np.zeros(len(s), np.uint64))
    packed = Strings.of(["a", "b", "c", "b"])
    assert packed.repeated() == ["b"]
    assert packed.find(Strings.of(["c", "x"])).tolist() == [2]


def test_a_million_different_ids_have_different_hashes():
    numbers = Strings.of([f"doc-{i}" for i in range(200_000)])
    assert len(np.unique(numbers.hashes)) == 200_000


def test_numbers_among_others():
    numbers = np.array([5, 0, 2**64 - 1, 7], np.uint64)
    ascending = np.array([0, 5, 6], np.uint64)
    assert among(numbers, ascending).tolist() == [True, True, False, False]
    assert among(numbers, ascending[:0]).tolist() == [False] * 4


def test_many_strings_are_picked_as_one_by_one():
    parts = [["", "a", "bb"], ["ü"], ["x" * 40, "", "y"]]
    joined = Joined([Strings.of(part) for part in parts])
    rows = np.array([6, 0, 3, 3, 4, 2, 1])
    assert joined.pick(rows) == [joined[int(row)] for row in rows]
    assert joined.pick(rows[:0]) == []
