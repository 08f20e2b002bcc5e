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
        batch = data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=9))
        memory.push(rows[batch], torch.tensor(batch))
        kept = [*kept, *batch][-size:]
    asked = data.draw(st.integers(0, 19))
    found, cosines = memory.nearest(rows[[asked]], torch.tensor([asked]), k)
    others = sorted((float(x[asked] @ x[row]) for row in kept if row != asked), reverse=True)[:k]
    there = cosines[0].isfinite()
    assert int(there.sum()) == len(others)
    np.testing.assert_allclose(cosines[0][there], others, atol=1e-6)
    np.testing.assert_allclose(x[found[0][there]] @ x[asked], others, atol=1e-6)
    assert asked not in found[0][there]
    np.testing.assert_array_equal(found[0][~there], 0)
