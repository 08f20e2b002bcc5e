"""Scans of several arrays as one, and of ranges that each query has of its own."""

from itertools import pairwise

import numpy as np
import pytest

from scanning import assert_same, embeddings, fitted, need, oracle
from vecpress import kernel
from vecpress.scan import Part, Scanner


@pytest.mark.parametrize("engine", ["kernel", "numpy"])
def test_parts_are_one_whole(engine, rng):
    codec = fitted("percentile", {"bits": 2}, 64)
    if engine == "kernel" and not kernel.level():
        pytest.skip("no kernel here")
    codes = codec.quantize(embeddings(rng, 700, 64))
    codes[650:] = codes[100:150]  # equal scores in two parts
    queries, dead = codec.dequantize(codes[100:104]), rng.random(700) < 0.2
    cuts = [0, 3, 130, 131, 700]
    parts = [Part(codes[a:b], dead[a:b]) for a, b in pairwise(cuts)]
    found = Scanner(codec, threads=3).scan_parts(parts, queries, 20, engine=engine)
    whole = Scanner(codec).scan(codes, queries, 20, dead=dead, engine=engine)
    if engine == "kernel":  # numpy's products differ in their last bits with the block's shape
        np.testing.assert_array_equal(found[0], whole[0])
        np.testing.assert_array_equal(found[1], whole[1])
    assert_same(found, oracle(codec, codes, queries, 20, ~dead))


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(("kind", "options"), [("percentile", {"bits": 2}), ("pq", {"m": 8})])
@pytest.mark.parametrize("some_dead", [False, True])
def test_each_query_has_ranges_of_its_own(kind, options, level, some_dead, monkeypatch, rng):
    codec = fitted(kind, options, 64)
    if level:
        need(codec, level, monkeypatch)
    else:
        monkeypatch.setattr(kernel, "level", lambda: 0)
    codes, queries = codec.quantize(embeddings(rng, 900, 64)), embeddings(rng, 7, 64)
    queries = codec.project(queries)
    dead = rng.random(900) < 0.3 if some_dead else np.zeros(900, bool)
    starts = np.sort(rng.integers(0, 800, (7, 3)), axis=1)
    ends = np.minimum(
        starts + rng.integers(0, 60, (7, 3)), np.append(starts[:, 1:], [[900]] * 7, 1)
    )
    ends[0] = starts[0] + [0, 0, 4]  # fewer rows than are asked for
    ranges = np.stack([starts, ends], axis=2)
    rows, scores = Scanner(codec, threads=3).scan_each(
        codes, queries, 10, ranges, dead=dead if some_dead else None
    )
    for i in range(7):
        keep = np.zeros(900, bool)
        for start, end in ranges[i]:
            keep[start:end] = True
        wanted = oracle(codec, codes, queries[i : i + 1], 10, keep & ~dead)
        there = wanted[0].shape[1]
        assert (rows[i, there:] == -1).all()
        assert_same((rows[i : i + 1, :there], scores[i : i + 1, :there]), wanted)
