"""Names that stand twice are found, wherever they stand."""

import numpy as np
import pytest

from vecpress import unique
from vecpress.unique import Unique, first_repeated


@pytest.mark.parametrize("room", [30, 100, 10_000])
def test_the_first_name_that_stands_twice_is_found(room):
    names = [f"d{i}" for i in range(1000)]
    names[700], names[900] = "d3", "d650"
    seen = Unique(room=room)
    for start in range(0, 1000, 64):
        seen.add(names[start : start + 64])
    assert first_repeated(names, seen.repeated()) == "d3"


@pytest.mark.parametrize("room", [3, 10_000])
def test_names_that_differ_are_left_alone(room):
    seen = Unique(room=room)
    seen.add([str(i) for i in range(500)])
    assert seen.repeated() == frozenset()


def test_two_names_with_one_hash_are_still_two(monkeypatch):
    monkeypatch.setattr(unique, "_hashes", lambda names: np.full(len(names), 7))
    seen = Unique()
    seen.add(["one", "other"])
    assert seen.repeated() == {7}
    assert first_repeated(["one", "other"], seen.repeated()) is None


def test_nothing_was_seen():
    assert Unique().repeated() == frozenset()
