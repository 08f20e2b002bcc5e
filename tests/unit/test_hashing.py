"""Hashes: what bits say of angles, in what balance they are, and what they are decoded to."""

import numpy as np
import pytest

from helpers import unit
from vecpress.errors import ConfigError
from vecpress.quantizers.hashing import LSH, LearnedHash
from vecpress.quantizers.scalar import Percentile


def correlated(n, d, seed=0):
    """Unit rows about a mean, whose spectrum decays."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.7 + 0.1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def bits_of(codec, x):
    return np.unpackbits(codec.quantize(x), axis=1, bitorder="little")[:, : len(codec.cuts)]


def test_the_share_of_bits_that_differ_is_the_angle_over_pi():
    x = unit(60, 20)
    bits = bits_of(LSH(bits=20_000).fit(x), x)
    differ = (bits[:, None] != bits[None]).mean(axis=2)
    angles = np.arccos(np.clip(x @ x.T, -1, 1)) / np.pi
    np.testing.assert_allclose(differ, angles, atol=0.015)


def test_an_lsh_code_stands_for_the_normals_on_its_side():
    x = unit(5, 7)
    codec = LSH(bits=11).fit(x, seed=4)
    expected = np.zeros((5, 7))
    for i, row in enumerate(x):
        for normal in codec.planes.T:
            expected[i] += normal if normal @ row >= 0 else -normal
    np.testing.assert_allclose(codec.decode(codec.quantize(x)), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(codec.planes, axis=0), 1, rtol=1e-6)


def test_planes_follow_the_seed_not_the_calibration():
    one, other = LSH(bits=5).fit(unit(3, 4), seed=1), LSH(bits=5).fit(unit(9, 4, 2), seed=1)
    np.testing.assert_array_equal(one.planes, other.planes)
    assert (one.planes != LSH(bits=5).fit(unit(3, 4), seed=2).planes).any()


def test_many_planes_tell_the_direction():
    """The mean of the normals on its side points along a row, for planes drawn uniformly."""
    x = unit(20, 8)
    codec = LSH(bits=8192).fit(x)
    assert ((codec.dequantize(codec.quantize(x)) * x).sum(axis=1) > 0.99).all()


@pytest.mark.parametrize("n", [1000, 1001])
def test_learned_bits_are_in_balance(n):
    x = correlated(n, 16)
    bits = bits_of(LearnedHash(bits=12).fit(x), x)
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=1.1 / n)
    assert np.abs((x > 0).mean(axis=0) - 0.5).mean() > 0.1  # as the dimensions are not


def test_learned_bits_stand_for_the_least_squares_estimate():
    x = correlated(2000, 10)
    codec = LearnedHash(bits=6).fit(x)
    bits = bits_of(codec, x)
    design = np.column_stack([np.ones(len(x)), bits])
    best = design @ np.linalg.lstsq(design, x.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(codec.decode(codec.quantize(x)), best, atol=2e-3)


def test_learned_planes_are_orthogonal_and_span_the_leading_directions():
    x = correlated(3000, 12)
    codec = LearnedHash(bits=4).fit(x)
    np.testing.assert_allclose(codec.planes.T @ codec.planes, np.eye(4), atol=1e-5)
    centred = x - x.mean(axis=0)
    leading = np.linalg.svd(centred, full_matrices=False)[2][:4]
    np.testing.assert_allclose(np.linalg.norm(leading @ codec.planes, ord="nuc"), 4, rtol=1e-4)


def test_learned_bits_beat_as_many_random_ones_and_the_signs_of_dimensions():
    x, fresh = correlated(4000, 32), correlated(500, 32, seed=1)
    kept = {}
    for quantizer in (LearnedHash(bits=32), LSH(bits=32), Percentile(bits=1)):
        codec = quantizer.fit(x)
        assert codec.code_bytes == 4
        kept[type(quantizer)] = (codec.dequantize(codec.quantize(fresh)) * fresh).sum(1).mean()
    assert kept[LearnedHash] > kept[Percentile] + 0.005
    assert kept[LearnedHash] > kept[LSH] + 0.1


def test_equal_rows_are_learned_by_heart():
    x = np.repeat(unit(1, 5), 10, axis=0)
    codec = LearnedHash(bits=3).fit(x)
    np.testing.assert_allclose(codec.dequantize(codec.quantize(x)), x, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSH(bits=0), "bits must be at least 1, got 0"),
        (lambda: LearnedHash(bits=-3), "bits must be at least 1, got -3"),
        (lambda: LearnedHash(bits=3, iterations=0), "iterations must be at least 1, got 0"),
        (lambda: LearnedHash(bits=9).fit(unit(50, 8)), "bits must be at most the 8 dimensions of "
         "the embeddings, got 9"),
        (lambda: LearnedHash(bits=2).fit(unit(1, 8)), "bits in balance need at least 2 "
         "calibration embeddings, got 1"),
        (lambda: LSH(bits=2).fit(unit(0, 8)), "a quantizer needs at least 1 calibration "
         "embeddings, got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make()
