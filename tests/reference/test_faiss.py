"""Quantizers against FAISS: the same codes and estimates, and rotations as good."""

from dataclasses import replace

import numpy as np
import pytest

from vecpress.arrays import normalize
from vecpress.errors import ConfigError, MismatchError
from vecpress.index import Index
from vecpress.quantizers.itq import learned_rotation
from vecpress.quantizers.product import OPQ, PQ
from vecpress.quantizers.rabitq import RaBitQ

faiss = pytest.importorskip("faiss")


def correlated(n, d, seed=0):
    """Unit rows whose spectrum decays, turned at random."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    rows = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.7
    return normalize((rows @ turn).astype(np.float32))


def error(x, codec):
    """Mean squared distance of rows to what their codes stand for, before renormalizing."""
    back = codec.turned(codec.quantize(x))
    back = back if codec.rotation is None else back @ codec.rotation.T
    return float(((x - back) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_codes_and_centroids_are_those_of_faiss(bits):
    x = correlated(2000, 24)
    codec = PQ(m=6, bits=bits).fit(x)
    theirs = faiss.ProductQuantizer(24, 6, bits)
    faiss.copy_array_to_vector(codec.centroids.ravel(), theirs.centroids)
    placed = np.ascontiguousarray(codec.project(x))
    codes = codec.quantize(x)
    np.testing.assert_array_equal(codes, theirs.compute_codes(placed))
    np.testing.assert_allclose(codec.decode(codes), theirs.decode(codes), atol=1e-6)


@pytest.mark.parametrize("m", [4, 8])
def test_a_learned_rotation_is_no_worse_than_that_of_faiss(m):
    x = correlated(3000, 32)
    ours = OPQ(m=m, bits=6).fit(x)
    theirs = faiss.OPQMatrix(32, m)
    theirs.niter, theirs.pq = 20, faiss.ProductQuantizer(32, m, 6)
    theirs.train(x)
    turned = theirs.apply(x)
    quantizer = faiss.ProductQuantizer(32, m, 6)
    quantizer.train(turned)
    back = quantizer.decode(quantizer.compute_codes(turned))
    assert error(x, ours) < 1.01 * float(((turned - back) ** 2).sum(axis=1).mean())


def test_rounds_of_rotation_pay():
    x = correlated(3000, 30)
    once, often = (error(x, OPQ(m=4, bits=6, iterations=i).fit(x)) for i in (1, 10))
    assert often < once
    assert once < error(x, PQ(m=4, bits=6).fit(x))


@pytest.mark.parametrize("m", [2, 6])
def test_a_learned_rotation_loses_no_more_to_signs_than_that_of_faiss(m):
    """Both learn iterative quantization; FAISS's loss is the distance to +-1 codes."""
    x = correlated(3000, 4 * m)
    ours = learned_rotation(x, 1, 50)
    theirs = faiss.ITQMatrix(4 * m)
    theirs.max_iter = 50
    theirs.train(x)
    rotation = faiss.vector_to_array(theirs.A).reshape(4 * m, 4 * m).T
    kept = [np.abs(x @ turn).sum(axis=1).mean() for turn in (ours, rotation)]
    assert kept[0] > 0.97 * kept[1]


# RaBitQ


def faiss_scores(x, queries, bits, centre):
    """Score rows by FAISS's own index, in the order of the rows."""
    index = faiss.IndexRaBitQ(x.shape[1], faiss.METRIC_INNER_PRODUCT, bits)
    index.train(x)
    faiss.copy_array_to_vector(centre, index.center)
    index.qb = 0  # the query stays in float
    index.add(x)
    scores, rows = index.search(queries, len(x))
    return np.take_along_axis(scores, np.argsort(rows, axis=1), axis=1)


@pytest.mark.parametrize("bits", range(1, 10))
@pytest.mark.parametrize("dim", [24, 37])
def test_what_a_rabitq_code_stands_for_scores_as_faiss_estimates(bits, dim):
    x, queries = correlated(300, dim), correlated(5, dim, seed=1)
    codec = RaBitQ(bits=bits).fit(x)
    codes = codec.quantize(x)
    turned, projected = codec.project(x), codec.project(queries)
    decoded = codec.decode(codes)
    # The product of document and centre, which FAISS has exactly and a vector cannot hold.
    known = turned @ codec.centre - decoded @ codec.centre
    theirs = faiss_scores(turned, projected, bits, codec.centre)
    np.testing.assert_allclose(projected @ decoded.T + known, theirs, atol=2e-6)
    assert codec.code_bytes == faiss.RaBitQuantizer(dim, faiss.METRIC_L2, bits).code_size


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_without_a_centre_rabitq_ranks_as_faiss_does_but_for_the_norm(bits):
    x, queries = correlated(400, 32), correlated(20, 32, seed=1)
    codec = replace(RaBitQ(bits=bits).fit(x), centre=np.zeros(32, np.float32))
    codes = codec.quantize(x)
    norms = np.linalg.norm(codec.decode(codes), axis=1)
    theirs = faiss_scores(codec.project(x), codec.project(queries), bits, codec.centre) / norms
    hits = Index.build(codec, codes, [str(i) for i in range(400)]).search(queries, 10)
    np.testing.assert_allclose(hits.scores, -np.sort(-theirs, axis=1)[:, :10], atol=2e-6)


def test_the_centre_makes_rabitq_better_where_there_is_one():
    x = normalize(correlated(2000, 32) + np.float32(0.3))
    codec = RaBitQ().fit(x)
    np.testing.assert_allclose(codec.centre, (x @ codec.rotation).mean(axis=0), atol=1e-6)
    without = replace(codec, centre=np.zeros(32, np.float32))
    kept = [(c.dequantize(c.quantize(x)) * x).sum(axis=1).mean() for c in (codec, without)]
    assert kept[0] > kept[1] + 0.05


def test_a_row_at_the_centre_is_the_centre():
    x = np.repeat(correlated(1, 16), 8, axis=0)
    for bits in (1, 4):
        codec = RaBitQ(bits=bits).fit(x)
        np.testing.assert_allclose(codec.dequantize(codec.quantize(x)), x, atol=1e-5)


def test_factors_that_older_releases_stored_negative_mean_the_same():
    x = correlated(20, 16)
    codec = RaBitQ(bits=4).fit(x)
    codes = codec.quantize(x)
    older = codes.copy()
    older[:, -1] ^= 128  # the sign of the last float
    np.testing.assert_array_equal(codec.decode(older), codec.decode(codes))


def test_codes_of_another_length_are_not_made(monkeypatch):
    x = correlated(9, 16)
    codec = RaBitQ(bits=4).fit(x)
    monkeypatch.setattr(type(codec), "code_bytes", 20)
    with pytest.raises(
        MismatchError,
        match=r"^FAISS [\d.]+ makes RaBitQ codes of 28 bytes, this codec reads 20: install FAISS "
        r"1\.15$",
    ):
        codec.quantize(x)


@pytest.mark.parametrize("bits", [0, 10])
def test_rabitq_has_one_to_nine_bits(bits):
    with pytest.raises(ConfigError, match=f"^bits must be between 1 and 9, got {bits}$"):
        RaBitQ(bits=bits)
