"""Making lists: every document in the nearest one, and a recall that is kept."""

import sys
import tracemalloc

import numpy as np
import pytest

from helpers import unit
from vecpress.arrays import normalize
from vecpress.decoded_scan import scan_blocks
from vecpress.errors import ConfigError, DataError, MissingExtraError, ShapeError
from vecpress.partition import search_partitioned
from vecpress.partitioning import partition
from vecpress.quantizers.hashing import LearnedHash
from vecpress.quantizers.product import PQ
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Percentile
from vecpress.quantizers.variable import VariableBits
from vecpress.scan import Scanner

QUANTIZERS = [
    *(Percentile(bits=bits) for bits in (1, 2, 4)),
    Percentile(bits=2, rotate=True),
    VariableBits(code_bytes=5),
    PQ(m=6),
    RaBitQ(),
    LearnedHash(bits=14),
]


def clusters(n, d=24, *, groups=20, spread=0.4, seed=0):
    """Unit rows around some directions."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(groups, d))
    noise = spread * rng.normal(size=(n, d))
    return normalize((centres[rng.integers(0, groups, n)] + noise).astype(np.float32))


def anisotropic(n, d=24, *, seed=0):
    """Unit rows about a mean far from zero, in few of the dimensions."""
    rng = np.random.default_rng(seed)
    scales = np.geomspace(1, 0.01, d)
    return normalize((rng.normal(size=(n, d)) * scales + 0.3).astype(np.float32))


@pytest.fixture(autouse=True)
def _measured_on_less(monkeypatch):
    monkeypatch.setattr("vecpress.partitioning._DEPTHS", (10, 100))
    monkeypatch.setattr("vecpress.partitioning._ASKED", 300)


def built(quantizer, documents, **options):
    codec = quantizer.fit(documents)
    codes = codec.quantize(documents)
    made, order = partition(codec, codes, **options)
    return codec, np.ascontiguousarray(codes[order]), made, order


def scan_of(codec, codes):
    scanner = Scanner(codec)

    def scan(ranges, queries, k):
        if ranges is None:
            return scanner.scan(codes, queries, k)
        return scanner.scan_each(codes, queries, k, ranges)

    return scan


def reached(codec, codes, made, queries, k, **knob):
    """Measure what share of the exact answer a search finds."""
    projected = codec.project(queries)
    found, _ = search_partitioned(scan_of(codec, codes), made, projected, k, **knob)
    truth, _ = scan_blocks(codec, codes, projected, k)
    return np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(found, truth, strict=True)])


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=str)
def test_every_document_is_in_the_nearest_list_and_all_lists_are_the_exact_answer(quantizer):
    documents = clusters(1500)
    codec, codes, made, order = built(quantizer, documents, lists=12)
    np.testing.assert_array_equal(np.sort(order), np.arange(1500))
    np.testing.assert_array_equal(codes, codec.quantize(documents)[order])
    assert made.ends[-1] == 1500
    assert made.sizes.min() > 0
    scores = normalize(codec.decode(codes)) @ made.centroids.T
    lists = np.repeat(np.arange(len(made)), made.sizes)
    own = np.take_along_axis(scores, lists[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(own, scores.max(axis=1), atol=1e-5)
    assert all((np.diff(rows) > 0).all() for rows in np.split(order, made.ends[:-1]))
    np.testing.assert_allclose(np.linalg.norm(made.centroids, axis=1), 1, atol=1e-5)
    queries = codec.project(clusters(20, seed=1))
    rows, found = search_partitioned(scan_of(codec, codes), made, queries, 10, recall=1.0)
    _, right = scan_blocks(codec, codec.quantize(documents), queries, 10)
    np.testing.assert_allclose(found, right, atol=1e-5)
    exact = (normalize(codec.decode(codes)) @ queries.T).T
    np.testing.assert_allclose(np.take_along_axis(exact, rows, axis=1), found, atol=1e-5)


def test_the_curve_on_given_queries_is_what_searches_reach():
    queries = clusters(40, seed=1)
    codec, codes, made, _ = built(
        Percentile(bits=4), clusters(1500, spread=2.5), lists=30, queries=queries
    )
    np.testing.assert_array_equal(made.depths, [10, 100])
    for depth, curve in zip(made.depths, made.recall, strict=True):
        assert (np.diff(curve) >= 0).all()
        assert curve[-1] == 1
        for nprobe in (1, 4, 15):
            # lists too small for the depth are widened by a search, but not by the curve
            if made.sizes[np.argsort(made.sizes)[:nprobe]].sum() >= depth:
                right = reached(codec, codes, made, queries, int(depth), nprobe=nprobe)
                assert curve[nprobe - 1] == pytest.approx(right, abs=1e-6)
    assert made.recall[0, 3] > made.recall[1, 3]
    assert made.recall[0, 0] < 0.9


def test_documents_that_play_queries_do_not_find_themselves(monkeypatch):
    monkeypatch.setattr("vecpress.partitioning._ASKED", 600)
    monkeypatch.setattr("vecpress.partitioning._NOISE", (0,))
    codec, codes, made, _ = built(Percentile(bits=4), clusters(600, spread=0.8), lists=15)
    decoded = normalize(codec.decode(codes))
    scores = decoded @ decoded.T
    np.fill_diagonal(scores, -9)
    lists = np.repeat(np.arange(len(made)), made.sizes)
    ranks = np.argsort(np.argsort(-(decoded @ made.centroids.T), axis=1), axis=1)
    for depth, curve in zip(made.depths, made.recall, strict=True):
        answers = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        needed = np.take_along_axis(ranks, lists[answers], axis=1)
        for nprobe in (1, 3, 8):
            assert curve[nprobe - 1] == pytest.approx(np.mean(needed < nprobe), abs=2e-3)
    np.testing.assert_array_equal(made.depths, [10, 100])


@pytest.mark.parametrize("data", [clusters, anisotropic])
@pytest.mark.parametrize("quantizer", [Percentile(bits=1), Percentile(bits=4)], ids=str)
def test_what_is_promised_is_reached_by_queries_never_seen(quantizer, data):
    codec, codes, made, _ = built(quantizer, data(6000))
    assert len(made) > 100
    assert made.sizes.max() < 20 * made.sizes.mean()
    queries = data(200, seed=1)
    for recall in (0.8, 0.9, 0.95, 0.99):
        assert made.nprobe_for(recall) < len(made)
        assert reached(codec, codes, made, queries, 10, recall=recall) >= recall - 0.005


def test_the_same_seed_gives_the_same_lists_on_one_thread_or_two():
    import faiss

    documents, threads = clusters(2500), faiss.omp_get_max_threads()
    made = []
    try:
        for count, seed in ((1, 0), (2, 0), (1, 1)):
            faiss.omp_set_num_threads(count)
            made.append(built(Percentile(bits=2), documents, lists=40, seed=seed))
    finally:
        faiss.omp_set_num_threads(threads)
    (_, _, one, order), (_, _, two, again), (_, _, other, _) = made
    np.testing.assert_array_equal(order, again)
    np.testing.assert_array_equal(one.recall, two.recall)
    np.testing.assert_allclose(one.centroids, two.centroids, atol=1e-6)
    assert one.centroids.shape != other.centroids.shape or (one.centroids != other.centroids).any()


@pytest.mark.parametrize("n", [1, 2, 5, 17, 40])
def test_a_few_documents_have_lists_too(n):
    codec = Percentile(bits=4).fit(unit(64, 12, seed=3))
    codes = codec.quantize(unit(n, 12))
    for lists in {None, 1, n}:
        made, order = partition(codec, codes, lists=lists)
        assert 1 <= len(made) <= (lists or n)
        ordered = np.ascontiguousarray(codes[order])
        for k in (1, n):
            rows, scores = search_partitioned(
                scan_of(codec, ordered), made, unit(3, 12, seed=1), k, nprobe=1
            )
            assert rows.shape == (3, k)
        _, right = scan_blocks(codec, codes, unit(3, 12, seed=1), n)
        np.testing.assert_allclose(scores, right, atol=1e-5)
        assert made.nprobe_for(0.5, k=n) == len(made)


def test_documents_that_are_all_the_same_are_one_list_in_their_order():
    codec = Percentile(bits=4).fit(unit(64, 12, seed=3))
    codes = np.repeat(codec.quantize(unit(1, 12)), 700, axis=0)
    made, order = partition(codec, codes, lists=9)
    assert len(made) == 1
    np.testing.assert_array_equal(order, np.arange(700))
    assert made.nprobe_for(0.9) == 1


def test_documents_of_zeros_are_found():
    documents = clusters(400)
    documents[::4] = 0
    _, codes, made, _ = built(LearnedHash(bits=20), documents, lists=10)
    assert np.isfinite(made.centroids).all()
    quarter = Percentile(bits=2).fit(documents)
    quarter.levels[:] = 0  # every code stands for zero
    made, order = partition(quarter, quarter.quantize(documents), lists=10)
    assert np.isfinite(made.centroids).all()
    assert made.ends[-1] == len(order) == len(codes)


def test_memory_is_bounded_by_the_sample_and_not_by_the_documents(monkeypatch, tmp_path):
    monkeypatch.setattr("vecpress.partitioning._SAMPLE", 64 * 2000)
    monkeypatch.setattr("vecpress.partitioning._ROWS", 2000)
    monkeypatch.setattr("vecpress.partitioning._ASKED", 20)
    monkeypatch.setattr("vecpress.partitioning._DEPTHS", (10,))
    codec = Percentile(bits=4).fit(unit(500, 64))
    codes = np.lib.format.open_memmap(tmp_path / "codes.npy", "w+", np.uint8, (80_000, 32))
    codes[:] = np.random.default_rng(0).integers(0, 256, codes.shape)
    partition(codec, codes[:3000], lists=40)  # what is imported and cached at first
    tracemalloc.start()
    _, order = partition(codec, codes, lists=40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(order) == 80_000
    assert peak < 8_000_000, "all documents decoded would take 20 MB"


def test_progress_is_told_and_ends():
    told = []
    documents = clusters(300)
    codec = Percentile(bits=4).fit(documents)
    codes = codec.quantize(documents)
    partition(codec, codes, lists=4, progress=lambda *what: told.append(what))
    assert told[0] == ("finding lists", 0, 1)
    assert ("assigning documents", 300, 300) in told
    assert told[-1] == ("measuring recall", 1, 1)


def test_bad_requests_name_the_values(monkeypatch):
    codec = Percentile(bits=4).fit(unit(64, 12))
    codes = codec.quantize(unit(30, 12))
    for lists in (0, 31):
        with pytest.raises(
            ConfigError, match=rf"^lists must be between 1 and the 30 documents, got {lists}$"
        ):
            partition(codec, codes, lists=lists)
    with pytest.raises(DataError, match=r"^a partition needs at least one code, got none$"):
        partition(codec, codes[:0])
    with pytest.raises(
        ShapeError, match=r"^the queries to measure recall on must have 12 .*, got shape \(3, 5\)"
    ):
        partition(codec, codes, queries=unit(3, 5))
    with pytest.raises(DataError, match=r"^recall cannot be measured on 0 queries"):
        partition(codec, codes, queries=unit(3, 12)[:0])
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vecpress\[search\]'"):
        partition(codec, codes)
