"""The queue against a list kept by hand, and its neighbours against sorting."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import unit
from vecpress.compressors.memory import Memory


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 7), k=st.integers(1, 5), seed=st.integers(0, 99), data=st.data())
def test_it_holds_the_last_ones_and_finds_the_nearest(size, k, seed, data):
    x = unit(20, 4, seed)
    rows = torch.from_numpy(x)
    memory, kept = Memory(rows, size), []
    for _ in range(data.draw(st.integers(0, 6))):
        batch = data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=9, unique=True))
        memory.push(rows[batch], torch.tensor(batch))
        kept = [*(None if row in batch else row for row in kept), *batch][-size:]
    asked = data.draw(st.integers(0, 19))
    found, cosines = memory.nearest(rows[[asked]], torch.tensor([asked]), k)
    others = sorted(
        (float(x[asked] @ x[row]) for row in kept if row not in (asked, None)), reverse=True
    )[:k]
    there = cosines[0].isfinite()
    assert int(there.sum()) == len(others)
    np.testing.assert_allclose(cosines[0][there], others, atol=1e-6)
    np.testing.assert_allclose(x[found[0][there]] @ x[asked], others, atol=1e-6)
    assert asked not in found[0][there]
    np.testing.assert_array_equal(found[0][~there], 0)


def test_a_small_corpus_gives_different_neighbours():
    """Rounds over 30 documents in a memory of 100: every document is there once."""
    rows = torch.from_numpy(unit(30, 4))
    memory = Memory(rows, 100)
    for _ in range(10):
        for batch in torch.arange(30).split(7):
            memory.push(rows[batch], batch)
    found, cosines = memory.nearest(rows[:3], torch.arange(3), 29)
    assert cosines.isfinite().all()
    assert [sorted(row) for row in found.tolist()] == [sorted({*range(30)} - {i}) for i in range(3)]
