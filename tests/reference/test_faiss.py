"""Product quantization against FAISS: the same codes, and a rotation at least as good."""

import numpy as np
import pytest

from vecpress.arrays import normalize
from vecpress.quantizers.product import OPQ, PQ

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
