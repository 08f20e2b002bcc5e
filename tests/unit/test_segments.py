"""Documents added and deleted in memory: any order of changes answers like an index built anew."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import unit
from vecpress import segments
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.index import Index
from vecpress.quantizers.hashing import LSH
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Int8, Percentile

X = unit(400, 17)
CODEC = Percentile(bits=2).fit(X)
FINE = Int8().fit(X)
CODES, FINE_CODES = CODEC.quantize(X), FINE.quantize(X)


def of(rows, *, codec=CODEC, codes=CODES):
    """Build an index of some rows at once, ids being the rows."""
    return Index.build(codec, codes[rows], [f"{i}" for i in rows])


def grow(index, rows, codes=CODES):
    return index.add(codes[rows], [f"{i}" for i in rows])


def same_answers(changed, expected, queries, **options):
    """Compare ids and scores; rows differ where something was deleted."""
    for k in (1, min(7, len(expected)), len(expected)):
        one, other = changed.search(queries, k, **options), expected.search(queries, k, **options)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
        apart = np.diff(other.scores, axis=1, append=-9).min(axis=1) < -1e-5
        for i in np.flatnonzero(apart):
            assert one.ids[i] == other.ids[i]
        for ids, rows in zip(one.ids, one.rows, strict=True):
            assert ids == tuple(changed.ids[int(row)] for row in rows)


@pytest.mark.parametrize("engine", ["auto", "numpy", "faiss"])
@pytest.mark.parametrize("quantizer", [Percentile(bits=1), Int8(), LSH(bits=30), RaBitQ()], ids=str)
def test_segments_answer_like_one(quantizer, engine):
    if engine == "faiss" and isinstance(quantizer, LSH | RaBitQ):
        pytest.skip("these have no tables")
    codec = quantizer.fit(X)
    codes = codec.quantize(X)
    index = of(range(100), codec=codec, codes=codes)
    for rows in (range(100, 101), range(101, 300), range(300, 400)):
        index = grow(index, rows, codes)
    queries = unit(5, 17, 3)
    same_answers(index, of(range(400), codec=codec, codes=codes), queries, engine=engine)
    index = index.delete([str(i) for i in (0, 99, 100, 250, 399)])
    left = [i for i in range(400) if i not in (0, 99, 100, 250, 399)]
    same_answers(index, of(left, codec=codec, codes=codes), queries, engine=engine)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 8))
def test_any_changes_answer_like_an_index_built_anew(seed, steps):
    """Against a dict: adds, deletions, ids that come back with another code, compaction."""
    rng = np.random.default_rng(seed)
    held = {f"{i}": i for i in range(int(rng.integers(1, 40)))}
    index = Index.build(CODEC, CODES[list(held.values())], list(held))
    for _ in range(steps):
        absent = [f"{i}" for i in range(60) if f"{i}" not in held]
        kind = rng.integers(0, 3)
        if kind == 0 and absent:
            new = list(rng.permutation(absent)[: rng.integers(1, 20)])
            rows = rng.integers(0, 400, len(new))
            index = index.add(CODES[rows], [str(i) for i in new])
            held |= {str(i): int(row) for i, row in zip(new, rows, strict=True)}
        elif kind == 1 and len(held) > 1:
            gone = [str(i) for i in rng.permutation(list(held))[: rng.integers(1, len(held))]]
            index = index.delete(gone)
            held = {i: row for i, row in held.items() if i not in gone}
        elif kind == 2:
            index = index.compact()
            assert list(index.ids) == list(held)
    assert len(index) == len(held)
    anew = Index.build(CODEC, CODES[list(held.values())], list(held))
    same_answers(index, anew, unit(3, 17, seed % 100))


def test_equal_scores_keep_their_order_over_segments_and_deletions():
    codes = np.repeat(CODES[:1], 12, axis=0)
    index = Index.build(CODEC, codes[:4], list("abcd"))
    index = index.add(codes[:4], list("efgh")).add(codes[:4], list("ijkl")).delete(list("bei"))
    hits = index.search(X[:2], 6)
    assert hits.ids == (tuple("acdfgh"), tuple("acdfgh"))
    assert hits.rows.tolist() == [[0, 2, 3, 5, 6, 7]] * 2
    assert index.compact().search(X[:1], 9).rows.tolist() == [list(range(9))]


@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_many_equal_scores_keep_their_order(engine):
    codes = np.repeat(CODES[:1], 300, axis=0)
    index = Index.build(CODEC, codes, [f"{i}" for i in range(300)])
    index = index.add(codes, [f"{i}" for i in range(300, 600)]).delete(["5", "299", "300"])
    rows = index.search(X[:2], 597, engine=engine).rows
    assert rows.tolist() == [[i for i in range(600) if i not in (5, 299, 300)]] * 2


def test_who_holds_the_index_from_before_is_not_disturbed():
    index = grow(of(range(10)), range(10, 20))
    before = index.search(X[:3], 20)
    changed = index.delete(["3", "13"])
    assert (len(index), len(changed)) == (20, 18)
    again = index.search(X[:3], 20)
    assert again.ids == before.ids
    assert changed.segments[0].codes is index.segments[0].codes, "what the scan knows stays known"
    assert grow(changed, [3]).search(X[3:4], 1).ids == (("3",),)
    assert changed.delete(["5", "5"]).search(X[:1], 17).rows.shape == (1, 17)


def test_snippets_and_fine_codes_go_where_their_documents_go(monkeypatch):
    monkeypatch.setattr(segments, "_ROWS", 7)
    words = [f"text {i} " * 40 for i in range(60)]
    index = Index.build(
        CODEC, CODES[:20], [str(i) for i in range(20)], snippets=words[:20],
        fine=(FINE, FINE_CODES[:20]),
    )  # fmt: skip
    index = index.add(
        CODES[20:60], [str(i) for i in range(20, 60)], snippets=words[20:], fine=FINE_CODES[20:60]
    )
    gone = [str(i) for i in (0, 1, 2, 3, 4, 5, 6, 19, 20, 59)]
    index = index.delete(gone)
    small = index.compact()
    left = [i for i in range(60) if str(i) not in gone]
    assert list(small.ids) == [str(i) for i in left]
    assert [small.snippet(row) for row in range(len(left))] == [words[i][:200] for i in left]
    np.testing.assert_array_equal(small.codes, CODES[left])
    np.testing.assert_array_equal(small.segments[0].fine, FINE_CODES[left])
    assert index.snippet(45) == words[45][:200]
    assert index.bytes_per_vector == 5 + 17


def test_rescoring_orders_the_best_by_their_finer_codes():
    """Straight from the definition."""
    ids = [f"{i}" for i in range(400)]
    index = Index.build(CODEC, CODES[:150], ids[:150], fine=(FINE, FINE_CODES[:150]))
    index = index.add(CODES[150:], ids[150:], fine=FINE_CODES[150:]).delete(["11", "200"])
    queries = unit(9, 17, 5)
    first, finer = CODEC.dequantize(CODES), FINE.dequantize(FINE_CODES)
    hits = index.search(queries, 5, rescore=40)
    for query, rows, scores in zip(queries, hits.rows, hits.scores, strict=True):
        coarse = first @ query
        coarse[[11, 200]] = -9
        best = np.argsort(-coarse, kind="stable")[:40]
        expected = sorted(best, key=lambda row: -(finer @ query)[row])[:5]
        assert rows.tolist() == expected
        np.testing.assert_allclose(scores, (finer @ query)[expected], atol=1e-5)
    everything = index.search(queries, 5, rescore=10_000)
    exact = queries @ finer.T
    exact[:, [11, 200]] = -9
    np.testing.assert_array_equal(everything.rows, np.argsort(-exact, kind="stable")[:, :5])


def test_equal_finer_scores_keep_the_order_of_the_documents():
    fine = np.repeat(FINE_CODES[:1], 400, axis=0)
    index = Index.build(CODEC, CODES, [f"{i}" for i in range(400)], fine=(FINE, fine))
    rows = index.search(X[:4], 30, rescore=30).rows
    np.testing.assert_array_equal(rows, np.sort(rows, axis=1))


def test_threads_may_share_an_index():
    index = grow(of(range(200)), range(200, 400)).delete(["7"])
    queries = unit(16, 17, 8)
    expected = index.search(queries, 9)
    fresh = grow(of(range(200)), range(200, 400)).delete(["7"])
    found, barrier = [None] * 8, threading.Barrier(8)

    def ask(i):
        barrier.wait()
        found[i] = [fresh.search(queries, 9).ids for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[expected.ids] * 5] * 8


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda i: i.add(CODES[:1], ["3"]), DataError,
         "the id '3' is already in the index: delete what it stands for first, or give another id"),
        (lambda i: i.add(CODES[:3], ["3", "x", "4"]), DataError,
         "the id '3' (and 1 more) is already in the index: delete what it stands for first, or give "
         "another id"),
        (lambda i: i.add(CODES[:3], ["x", "y", "x"]), DataError,
         "the id 'x' stands for two documents: give each an id of its own"),
        (lambda i: i.add(CODES[:5], ["x", "y", "x", "z", "y"]), DataError,
         "the id 'x' (and 1 more) stands for two documents: give each an id of its own"),
        (lambda i: i.add(CODES[:2], ["x"]), DataError,
         "an index needs at least one code and an id of its own for each, got 2 codes, 1 ids"),
        (lambda i: i.add(CODES[:0], []), DataError,
         "an index needs at least one code and an id of its own for each, got 0 codes, 0 ids"),
        (lambda i: i.add(CODES[:1], ["x"], snippets=["x"]), DataError,
         "snippets must be given for all documents of an index, or for none"),
        (lambda i: i.add(CODES[:1], ["x"], fine=FINE_CODES[:1]), DataError,
         "fine codes must be given for all documents of an index, or for none"),
        (lambda i: i.add(CODES[:1, :4], ["x"]), ShapeError,
         "the codes of this index are rows of 5 bytes, got uint8 of shape (1, 4): were they made by "
         "the same codec?"),
        (lambda i: i.delete(["1", "u", "v", "u"]), DataError,
         "the id 'u' (and 1 more) is not in the index: nothing was deleted"),
        (lambda i: i.delete(["1"]).delete(["1"]), DataError,
         "the id '1' is not in the index: nothing was deleted"),
        (lambda i: i.delete("12"), ConfigError,
         "delete takes a list of ids, got one: write ['12']"),
        (lambda i: i.delete([str(n) for n in range(20)]).compact(), DataError,
         "all documents of this index were deleted: add some first"),
        (lambda i: i.delete([str(n) for n in range(20)]).search(X[:1], 1), ConfigError,
         "k must be between 1 and the 0 documents, got 1"),
        (lambda i: i.search(X[:1], 5, rescore=50), ConfigError,
         "this index keeps no finer codes to rescore 50 hits by: make it with a press whose recipe "
         "has a `fine` quantizer"),
        (lambda i: Index.build(CODEC, CODES, [str(n) for n in range(400)],
                               fine=(FINE, FINE_CODES)).search(X[:1], 5, rescore=4), ConfigError,
         "rescore must be at least k, which is 5, got 4"),
        (lambda i: Index.build(CODEC, CODES, [str(n) for n in range(400)],
                               fine=(FINE, FINE_CODES[:9])), DataError,
         "an index needs at least one code and an id of its own for each, got 400 codes, 400 ids, "
         "9 fine codes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(change, error, sentence):
    with pytest.raises(error) as raised:
        change(of(range(20)))
    assert str(raised.value) == sentence
