"""Every engine against the oracle: codes decoded by numpy, multiplied, and sorted."""

import gc
import platform
import shutil
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanning import assert_same, embeddings, fitted, need, oracle
from vecpress import kernel, registry
from vecpress.arrays import normalize, pack
from vecpress.decoded_scan import scan_blocks
from vecpress.errors import ConfigError, ShapeError
from vecpress.lookups import Lookups
from vecpress.scan import Scanner

X86 = platform.machine() in ("x86_64", "AMD64")
LEVELS = [pytest.param(level, id=f"level {level}") for level in (1, 2)]
# name, options, width: half bytes, bytes, codes of one byte, of no whole 16, of more than 257 groups
CODECS = [
    ("percentile", {"bits": 4}, 32),
    ("percentile", {"bits": 2}, 77),
    ("percentile", {"bits": 1, "rotate": True}, 130),
    ("percentile", {"bits": 1}, 3),
    ("percentile", {"bits": 4}, 700),
    ("lloyd-max", {"bits": 2}, 64),
    ("percentile", {"bits": 3}, 37),
    ("percentile", {"bits": 5}, 21),
    ("percentile", {"bits": 6}, 64),
    ("percentile", {"bits": 7}, 9),
    ("pq", {"m": 11, "bits": 3}, 33),
    ("int8", {}, 16),
    ("int8", {}, 300),
    ("pq", {"m": 11}, 33),
    ("pq", {"m": 11, "bits": 4}, 33),
    ("pq", {"m": 9, "bits": 2}, 33),
    ("variable-bits", {"code_bytes": 9}, 24),
]


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("cc"), reason="needs a compiler")
def test_the_kernel_is_compiled_where_it_can_be():
    assert kernel.LIBRARY.exists()
    assert kernel.level() >= (1 if X86 and "avx2" in cpu_flags() else 0)


def cpu_flags():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return set(next(line for line in lines if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return set()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("name", "options", "dim"), CODECS)
@pytest.mark.parametrize("n", [1, 31, 33, 64, 1000])
def test_the_kernel_answers_like_the_oracle(name, options, dim, n, level, monkeypatch, rng):
    codec = fitted(name, options, dim)
    need(codec, level, monkeypatch)
    codes = codec.quantize(embeddings(rng, n, dim))
    queries = codec.project(embeddings(rng, 5, dim))
    k = min(10, n)
    for asked in (queries, queries[:1]):
        found = Scanner(codec).scan(codes, asked, k, engine="kernel")
        assert_same(found, oracle(codec, codes, asked, k))


@pytest.mark.parametrize("engine", ["kernel", "numpy"])
@pytest.mark.parametrize("rows", ["some dead", "ranges", "both", "nearly all dead"])
def test_rows_that_are_kept_out(engine, rows, rng):
    codec = fitted("percentile", {"bits": 2}, 64)
    if engine == "kernel" and not kernel.level():
        pytest.skip("no kernel here")
    codes, queries = codec.quantize(embeddings(rng, 900, 64)), embeddings(rng, 4, 64)
    dead = rng.random(900) < (0.995 if rows == "nearly all dead" else 0.3)
    ranges = np.array([[5, 70], [70, 70], [200, 555]], np.int64)
    within = np.zeros(900, bool)
    for start, end in ranges:
        within[start:end] = True
    keep = ~dead if rows != "ranges" else np.ones(900, bool)
    options = {} if rows == "ranges" else {"dead": dead}
    if rows in ("ranges", "both"):
        keep, options = keep & within, {**options, "ranges": ranges}
    found = Scanner(codec).scan(codes, queries, 10, engine=engine, **options)
    assert found[0].shape == (4, min(10, keep.sum()))
    assert keep[found[0]].all()
    assert_same(found, oracle(codec, codes, queries, 10, keep))


@pytest.mark.parametrize("level", LEVELS)
def test_equal_scores_go_to_the_lower_row(level, monkeypatch, rng):
    codec = fitted("percentile", {"bits": 4}, 32)
    need(codec, level, monkeypatch)
    one = codec.quantize(embeddings(rng, 3, 32))
    codes = np.tile(one, (70, 1))  # every code 70 times
    queries = codec.dequantize(one)
    for threads in (1, 3):
        rows, scores = Scanner(codec, threads=threads).scan(codes, queries, 20, engine="kernel")
        np.testing.assert_array_equal(rows, [np.arange(20) * 3 + i for i in range(3)])
        assert (scores == scores[:, :1]).all()


@pytest.mark.parametrize("level", LEVELS)
def test_a_group_that_outweighs_all_others_costs_no_answer(level, monkeypatch, rng):
    """Its range makes the rounded tables coarse: then more rows are summed again in float."""
    x = rng.normal(size=(3000, 64)).astype("f4")
    x[:, 0] += 60
    x = normalize(x)
    codec = registry.build(registry.QUANTIZERS, {"kind": "percentile", "bits": 2}).fit(x)
    need(codec, level, monkeypatch)
    codes = codec.quantize(x)
    found = Scanner(codec).scan(codes, x[:20], 10, engine="kernel")
    assert_same(found, oracle(codec, codes, x[:20], 10))


def test_zero_rows_score_zero_and_are_ranked(rng):
    codec = fitted("pq", {"m": 4}, 16)
    silent = type(codec)(
        centroids=np.concatenate(
            [np.zeros_like(codec.centroids[:, :1]), codec.centroids[:, 1:]], 1
        ),
        dim=codec.dim,
        order=codec.order,
        rotation=codec.rotation,
    )
    codes = rng.integers(1, 256, (50, 4)).astype("u1")
    codes[7] = 0
    queries = silent.project(embeddings(rng, 3, 16))
    for engine in ("kernel", "numpy") if kernel.level() == 2 else ("numpy",):
        rows, scores = Scanner(silent).scan(codes, queries, 50, engine=engine)
        assert (scores[rows == 7] == 0).all()
        assert_same((rows, scores), oracle(silent, codes, queries, 50))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_codes_any_queries(data):
    """Codes of few values make ties; queries of zeros, and of one coordinate, make flat tables."""
    if not kernel.level():
        pytest.skip("no kernel here")
    draw = data.draw
    n, size = draw(st.integers(1, 200)), draw(st.integers(1, 40))
    seed, values = draw(st.integers(0, 999)), draw(st.integers(1, 256))
    rng = np.random.default_rng(seed)
    dim = 2 * size
    codec = fitted("percentile", {"bits": 4}, dim)
    codes = rng.integers(0, values, (n, size)).astype("u1")
    queries = np.zeros((3, dim), "f4")
    queries[1, seed % dim] = 1
    queries[2] = rng.normal(size=dim)
    k = draw(st.integers(1, n))
    threads = draw(st.integers(1, 4))
    rows, scores = Scanner(codec, threads=threads).scan(codes, queries, k, engine="kernel")
    wanted = oracle(codec, codes, queries, k)
    np.testing.assert_allclose(scores, wanted[1], atol=1e-5)
    np.testing.assert_array_equal(rows[0], np.arange(k))  # all score 0


def test_threads_and_tiles_change_nothing(rng, monkeypatch):
    codec = fitted("percentile", {"bits": 1}, 512)
    if not kernel.level():
        pytest.skip("no kernel here")
    codes, queries = codec.quantize(embeddings(rng, 40_000, 512)), embeddings(rng, 40, 512)
    alone = Scanner(codec, threads=1).scan(codes, queries, 10, engine="kernel")
    monkeypatch.setattr("vecpress.scan._TABLE_BYTES", 1 << 13)
    together = Scanner(codec, threads=4).scan(codes, queries, 10, engine="kernel")
    np.testing.assert_array_equal(alone[0], together[0])
    np.testing.assert_array_equal(alone[1], together[1])


def test_a_memory_map_is_scanned_where_it_lies(tmp_path, rng):
    codec = fitted("percentile", {"bits": 2}, 64)
    np.save(tmp_path / "codes.npy", codec.quantize(embeddings(rng, 500, 64)))
    codes, queries = np.load(tmp_path / "codes.npy", mmap_mode="r"), embeddings(rng, 2, 64)
    found = Scanner(codec).scan(codes, queries, 5)
    assert_same(found, oracle(codec, np.asarray(codes), queries, 5))


@pytest.mark.parametrize("engine", ["kernel", "faiss"])
def test_what_is_known_of_codes_goes_with_them(engine, rng):
    codec = fitted("percentile", {"bits": 2}, 64)
    if engine == "kernel" and not kernel.level():
        pytest.skip("no kernel here")
    scanner, queries = Scanner(codec), embeddings(rng, 2, 64)
    for _ in range(3):  # another array may get the same place in memory: its norms are its own
        codes = codec.quantize(embeddings(rng, 300, 64))
        found = scanner.scan(codes, queries, 5, engine=engine)
        assert_same(found, oracle(codec, codes, queries, 5))
        alive = weakref.ref(codes)
        del codes
        gc.collect()
        assert alive() is None
    assert not scanner._inverse._known
    assert not scanner._table._known


def test_nothing_to_answer(rng):
    codec = fitted("percentile", {"bits": 2}, 64)
    codes, queries = codec.quantize(embeddings(rng, 20, 64)), embeddings(rng, 2, 64)
    rows, scores = Scanner(codec).scan(codes, queries, 5, dead=np.ones(20, bool))
    assert rows.shape == scores.shape == (2, 0)
    assert Scanner(codec).scan(codes, queries[:0], 5)[0].shape == (0, 5)


def test_codes_that_cannot_be_looked_up(rng):
    codec = fitted("rabitq", {"bits": 1}, 16)
    assert Lookups.of(codec) is None
    codes, queries = codec.quantize(embeddings(rng, 60, 16)), embeddings(rng, 2, 16)
    queries = codec.project(queries)
    with pytest.raises(ConfigError, match="cannot scan the codes of this RaBitQCodec here: they"):
        Scanner(codec).scan(codes, queries, 5, engine="kernel")
    assert_same(Scanner(codec).scan(codes, queries, 5), oracle(codec, codes, queries, 5))


@pytest.mark.parametrize(("bits", "wide"), [(1, 4), (2, 8), (3, 4), (3, 8), (5, 8), (6, 8), (7, 8)])
@pytest.mark.parametrize("groups", [1, 2, 7, 8, 9, 21])
def test_numbers_are_spread(bits, wide, groups, rng):
    if not kernel.level():
        pytest.skip("no kernel here")
    numbers = rng.integers(0, 2**bits, (50, groups)).astype("u1")
    found = kernel.spread(pack(numbers, bits), bits, groups, wide=wide)
    np.testing.assert_array_equal(found, pack(numbers, wide))


def test_without_a_kernel_the_answers_are_the_same(monkeypatch, rng):
    monkeypatch.setattr(kernel, "level", lambda: 0)
    codec = fitted("percentile", {"bits": 4}, 32)
    codes, queries = codec.quantize(embeddings(rng, 300, 32)), embeddings(rng, 2, 32)
    assert_same(Scanner(codec).scan(codes, queries, 5), oracle(codec, codes, queries, 5))
    with pytest.raises(ConfigError, match="was not compiled, or lacks a processor"):
        Scanner(codec).scan(codes, queries, 5, engine="kernel")


def test_codes_in_pieces_are_refused(rng):
    codec = fitted("percentile", {"bits": 4}, 32)
    if not kernel.level():
        pytest.skip("no kernel here")
    codes = codec.quantize(embeddings(rng, 300, 32))[::2]
    with pytest.raises(ShapeError, match=r"must lie in one piece and have a norm each, got shape"):
        Scanner(codec).scan(codes, embeddings(rng, 2, 32), 5, engine="kernel")


def test_half_bytes_are_told_from_bytes():
    assert Lookups.of(fitted("percentile", {"bits": 2}, 64)).cells == 16
    assert Lookups.of(fitted("pq", {"m": 8, "bits": 4}, 64)).cells == 16
    assert Lookups.of(fitted("pq", {"m": 8}, 64)).cells == 256
    assert Lookups.of(fitted("rabitq", {"bits": 1}, 64)) is None


def test_blocks_are_the_oracle_too(rng):
    codec = fitted("percentile", {"bits": 4}, 32)
    codes, queries = codec.quantize(embeddings(rng, 20_000, 32)), embeddings(rng, 3, 32)
    found = scan_blocks(codec, codes, queries, 10)
    assert_same(found, oracle(codec, codes, queries, 10))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("kind", "options"), [("int8", {}), ("percentile", {"bits": 4})])
def test_sums_of_long_codes_do_not_overflow(kind, options, level, monkeypatch, rng):
    """Six hundred groups that all give their most: more than 16 bits hold."""
    dim = 600
    x = rng.uniform(-1, 1, (600, dim)).astype("f4")
    codec = registry.build(registry.QUANTIZERS, {"kind": kind, **options}).fit(normalize(x))
    need(codec, level, monkeypatch)
    queries = normalize(np.sign(rng.normal(size=(2, dim))).astype("f4"))
    codes = np.concatenate([codec.quantize(normalize(x)), codec.quantize(queries)])
    rows, _ = Scanner(codec).scan(codes, queries, 1, engine="kernel")
    np.testing.assert_array_equal(rows[:, 0], [600, 601])
