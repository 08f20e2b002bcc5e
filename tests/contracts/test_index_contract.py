"""What an index promises: exact answers from either engine, and files that can be trusted."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import unit
from vecpress.errors import ArtifactError, ConfigError, DataError, ShapeError
from vecpress.index import Index
from vecpress.quantizers.hashing import LSH, LearnedHash
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Binary, Int8, Percentile
from vecpress.quantizers.variable import VariableBits
from vecpress.strings import Numbers, Strings

QUANTIZERS = [
    *(Percentile(bits=b) for b in range(1, 9)),
    Percentile(bits=2, rotate=True),
    Binary(rotate=True),
    Int8(),
    VariableBits(code_bytes=5),
]
WITHOUT_TABLES = [RaBitQ(), RaBitQ(bits=3), LSH(bits=50), LearnedHash(bits=19)]
every_table = pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
every_tableless = pytest.mark.parametrize("quantizer", WITHOUT_TABLES, ids=str)


def make(quantizer, n=300, d=19, seed=0):
    x = unit(n, d, seed)
    codec = quantizer.fit(x)
    return Index.build(codec, codec.quantize(x), [f"d{i}" for i in range(n)]), x


def slow(index, queries, k):
    """Straight from the definition: query . dequantize(code), best first, ties by row."""
    scores = queries @ index.codec.dequantize(np.asarray(index.codes)).T
    order = np.lexsort((np.arange(len(index))[None, :].repeat(len(queries), 0), -scores))
    return order[:, :k], np.take_along_axis(scores, order[:, :k], axis=1)


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
@every_table
def test_scores_are_the_query_times_the_dequantized_code(quantizer, engine):
    index, _ = make(quantizer)
    queries = unit(7, 19, 1)
    hits = index.search(queries, 10, engine=engine)
    _, scores = slow(index, queries, 10)
    np.testing.assert_allclose(hits.scores, scores, atol=1e-5)
    decoded = index.codec.dequantize(np.asarray(index.codes))
    for query, rows, found in zip(queries, hits.rows, hits.scores, strict=True):
        np.testing.assert_allclose(decoded[rows] @ query, found, atol=1e-5)


@every_tableless
def test_codes_without_tables_are_decoded_and_scored_alike(quantizer):
    index, _ = make(quantizer)
    queries = unit(7, 19, 1)
    expected = slow(index, queries, 10)
    for engine in ("numpy", "auto"):
        hits = index.search(queries, 10, engine=engine)
        np.testing.assert_allclose(hits.scores, expected[1], atol=1e-5)
        np.testing.assert_array_equal(hits.rows, expected[0])


def test_few_queries_on_many_codes_without_tables_are_answered_by_numpy():
    index, x = make(LSH(bits=24), n=20_000, d=3)
    hits = index.search(x[:2], 3)
    np.testing.assert_array_equal(hits.scores, index.search(x[:2], 3, engine="numpy").scores)
    assert "_tables" not in vars(index)


@every_tableless
def test_faiss_is_not_asked_to_look_up_what_has_no_tables(quantizer):
    index, x = make(quantizer)
    with pytest.raises(
        ConfigError,
        match=rf"^the codes of a {type(index.codec).__name__} cannot be looked up in tables, so "
        r"not by the engine faiss: use numpy or auto$",
    ):
        index.search(x[:1], 3, engine="faiss")


@every_table
def test_both_engines_rank_alike_when_faiss_answers_alone(quantizer):
    """Enough documents that the proof succeeds and the full scan is not needed."""
    index, x = make(quantizer, n=3000, d=24)
    queries = unit(20, 24, 2) * 0.2 + x[:20]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    one, other = (index.search(queries, 5, engine=e) for e in ("numpy", "faiss"))
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    apart = np.abs(np.diff(one.scores, axis=1)).min(axis=1) > 1e-5
    assert apart.any()
    np.testing.assert_array_equal(one.rows[apart], other.rows[apart])


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 60), d=st.integers(1, 20), bits=st.integers(1, 4), seed=st.integers(0, 99))
def test_any_shape_and_any_k(n, d, bits, seed):
    x = unit(max(n, 16), d, seed)
    codec = Percentile(bits=bits).fit(x)
    index = Index.build(codec, codec.quantize(x[:n]), [str(i) for i in range(n)])
    queries = unit(3, d, seed + 1)
    for k in {1, n}:
        hits = index.search(queries, k)
        np.testing.assert_allclose(hits.scores, slow(index, queries, k)[1], atol=1e-5)
        assert all(len(set(ids)) == k for ids in hits.ids)


def test_equal_scores_keep_the_order_of_the_documents():
    x = np.repeat(unit(4, 8), 5, axis=0)
    codec = Percentile(bits=2).fit(unit(64, 8, 3))
    index = Index.build(codec, codec.quantize(x), [str(i) for i in range(20)])
    for engine in ("numpy", "faiss"):
        rows = index.search(x[:1], 5, engine=engine).rows[0]
        np.testing.assert_array_equal(rows, np.sort(rows))


def test_a_symmetric_search_codes_the_query_too():
    index, _ = make(Percentile(bits=1))
    queries = unit(4, 19, 5)
    coded = index.codec.dequantize(index.codec.quantize(queries))
    hits = index.search(queries, 5, scoring="symmetric")
    np.testing.assert_allclose(hits.scores, slow(index, coded, 5)[1], atol=1e-5)


def test_many_blocks_are_merged(monkeypatch):
    monkeypatch.setattr("vecpress.decoded_scan._ROWS", 37)
    monkeypatch.setattr("vecpress.decoded_scan._QUERIES", 3)
    index, _ = make(Percentile(bits=4))
    queries = unit(8, 19, 6)
    hits = index.search(queries, 50, engine="numpy")
    np.testing.assert_allclose(hits.scores, slow(index, queries, 50)[1], atol=1e-5)


def test_saved_loaded_and_memory_mapped(tmp_path):
    x = unit(100, 12)
    codec = Percentile(bits=3, rotate=True).fit(x)
    names = [f"überschrift {i}" for i in range(100)]
    index = Index.build(
        codec, codec.quantize(x), names, snippets=[f"text {i}" for i in range(100)], fingerprint="f"
    )
    index.save(tmp_path / "i")
    loaded = Index.load(tmp_path / "i")
    assert isinstance(loaded.codes, np.memmap)
    assert (loaded.fingerprint, loaded.snippet(7), len(loaded)) == ("f", "text 7", 100)
    one, other = index.search(x[:9], 7), loaded.search(x[:9], 7)
    assert one.ids == other.ids
    np.testing.assert_array_equal(one.scores, other.scores)
    index.save(tmp_path / "again")
    for path in (tmp_path / "i").rglob("*.*"):
        same = tmp_path / "again" / path.relative_to(tmp_path / "i")
        assert path.read_bytes() == same.read_bytes()


def test_every_damaged_file_is_noticed(tmp_path, rng):
    """Lost bytes always, changed ones when asked to look; in segments, deletions, fine codes."""
    index, x = make(Percentile(bits=4))
    fine = Int8().fit(x)
    words = [f"text {i}" for i in range(300)]
    index = Index.build(
        index.codec, index.codes, index.ids, snippets=words, fine=(fine, fine.quantize(x))
    )
    index = index.delete(["d7"])
    index.save(tmp_path / "i")
    for path in sorted((tmp_path / "i").rglob("*")):
        if path.is_dir() or path.name == "README.md":
            continue
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:-2], whole + b"x", b""):
            path.write_bytes(damaged)
            with pytest.raises(ArtifactError):
                Index.load(tmp_path / "i")
        for position in rng.integers(0, len(whole), 10):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << int(rng.integers(0, 8))
            path.write_bytes(bytes(flipped))
            with suppress(ArtifactError):
                Index.load(tmp_path / "i")  # may pass unnoticed, but fails with no other error
            try:
                loaded = Index.load(tmp_path / "i", verify=True)
            except ArtifactError:
                continue
            assert path.suffix == ".json", "only white space in JSON may change unnoticed"
            np.testing.assert_array_equal(loaded.codes, index.codes)
        path.write_bytes(whole)
    segment = tmp_path / "i" / "segments" / "1-0"
    (segment / "codes.npy").unlink()
    with pytest.raises(ArtifactError, match=r"segments/1-0/codes\.npy is damaged or missing"):
        Index.load(tmp_path / "i")


def test_adding_gives_a_new_index_that_holds_both():
    x = unit(120, 10)
    codec = Percentile(bits=4).fit(x)
    first = Index.build(codec, codec.quantize(x[:100]), [str(i) for i in range(100)])
    both = first.add(codec.quantize(x[100:]), [str(i) for i in range(100, 120)])
    whole = Index.build(codec, codec.quantize(x), [str(i) for i in range(120)])
    assert len(first) == 100
    assert both.search(x[:5], 9).ids == whole.search(x[:5], 9).ids
    assert both.search(x[:5], 9).rows.tolist() == whole.search(x[:5], 9).rows.tolist()
    with pytest.raises(
        DataError,
        match=r"^the id '0' \(and 19 more\) is already in the index: delete what it stands for "
        r"first, or give another id$",
    ):
        first.add(codec.quantize(x[:20]), [str(i) for i in range(20)])
    with pytest.raises(DataError, match="snippets must be given for all"):
        first.add(codec.quantize(x[100:]), [str(i) for i in range(100, 120)], snippets=["x"] * 20)


def test_bad_requests_name_the_values():
    index, x = make(Percentile(bits=4))
    with pytest.raises(ConfigError, match="k must be between 1 and the 300 documents, got 301"):
        index.search(x[:1], 301)
    with pytest.raises(ConfigError, match="got 0"):
        index.search(x[:1], 0)
    with pytest.raises(ShapeError, match=r"queries of 19 dimensions, got shape \(1, 5\)"):
        index.search(unit(1, 5), 1)
    with pytest.raises(DataError, match="at least one code"):
        Index.build(index.codec, index.codes[:0], [])
    with pytest.raises(ArtifactError, match="is not a vecpress folder"):
        Index.load("/nowhere")


def test_rows_without_names_are_numbered_without_a_list():
    numbers = Numbers(200_000)
    assert (numbers[7], numbers[-1], list(numbers[2:4])) == ("7", "199999", ["2", "3"])
    packed = Strings.of(numbers)
    assert (len(packed), packed[0], packed[65_536], packed[199_999]) == (
        200_000,
        "0",
        "65536",
        "199999",
    )
    with pytest.raises(IndexError):
        numbers[200_000]
