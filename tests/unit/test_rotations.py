"""Rotations, drawn and learned, whole and by blocks; and centring, which cells do by themselves."""

import numpy as np
import pytest

from helpers import unit
from vecpress.errors import ConfigError
from vecpress.quantizers.itq import ITQ, learned_rotation
from vecpress.quantizers.scalar import Binary, Gaussian, LloydMax, Percentile, random_rotation

ROTATING = [
    Percentile(bits=2, rotate=True, rotate_block=4),
    LloydMax(bits=2, rotate=True, rotate_block=4),
    Gaussian(bits=2, rotate_block=4),
    Binary(rotate=True, rotate_block=4),
    ITQ(bits=2, rotate_block=4, iterations=5),
]
every_rotating = pytest.mark.parametrize("quantizer", ROTATING, ids=lambda q: type(q).__name__)


def correlated(n, d, seed=0):
    """Rows whose spectrum decays, turned at random."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return ((rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -1.0) @ turn).astype(np.float32)


@every_rotating
def test_the_code_of_a_prefix_of_whole_blocks_is_a_prefix_of_the_code(quantizer):
    x = unit(500, 14)
    whole = quantizer.fit(x)
    for dim in (4, 8, 12):
        prefix = quantizer.fit(np.ascontiguousarray(x[:, :dim]))
        codes = prefix.quantize(np.ascontiguousarray(x[:, :dim]))
        np.testing.assert_allclose(prefix.levels, whole.levels[:dim], atol=1e-6)
        np.testing.assert_array_equal(
            codes, whole.quantize(x)[:, : dim * whole.bits // 8] if dim * whole.bits % 8 == 0
            else whole.quantize(x)[:, : len(codes[0])] & last_bits(dim * whole.bits)
        )  # fmt: skip


def last_bits(bits):
    """Mask the bytes that hold so many bits."""
    return np.packbits(np.arange(-(-bits // 8) * 8) < bits, bitorder="little")


@every_rotating
def test_blocks_are_turned_apart(quantizer):
    rotation = quantizer.fit(unit(500, 14)).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(14), atol=1e-6)
    block = np.arange(14) // 4
    apart = block[:, None] != block
    np.testing.assert_array_equal(rotation[apart], 0)
    assert (rotation[~apart] != 0).all()


def test_one_block_is_the_rotation_of_all():
    np.testing.assert_array_equal(random_rotation(9, 5), random_rotation(9, 5, block=9))
    np.testing.assert_array_equal(random_rotation(9, 5), random_rotation(9, 5, block=99))


def test_blocks_are_not_all_turned_alike():
    rotation = random_rotation(8, 5, block=4)
    assert (rotation[:4, :4] != rotation[4:, 4:]).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_learned_rotation_errs_less_than_none_and_than_one_at_random(bits):
    x, fresh = correlated(4000, 16), correlated(500, 16, seed=0)
    learned, plain, drawn = (
        float(((codec.decode(codec.quantize(fresh)) - codec.project(fresh)) ** 2).mean())
        for codec in (
            ITQ(bits=bits).fit(x),
            Percentile(bits=bits).fit(x),
            Percentile(bits=bits, rotate=True).fit(x),
        )
    )
    assert learned < plain
    assert learned < drawn


def test_rounds_bring_rows_nearer_to_their_levels():
    x = correlated(3000, 12)
    errors = []
    for rounds in (1, 5, 25):
        codec = ITQ(iterations=rounds).fit(x)
        errors.append(((codec.decode(codec.quantize(x)) - codec.project(x)) ** 2).mean())
    assert (np.diff(errors) < 0).all()


def test_one_round_is_the_procrustes_solution():
    """Any further turn takes the rows further from what their cells stand for."""
    x = correlated(2000, 3).astype(np.float64) + np.array([0.5, -1, 0.2])
    rotation = learned_rotation(x.astype(np.float32), 1, 1).astype(np.float64)
    wide = x.std(axis=0) * np.sqrt(2 / np.pi)
    wanted = np.where(x >= x.mean(axis=0), wide, -wide) + x.mean(axis=0)
    least = ((x @ rotation - wanted) ** 2).sum()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for angle in (-2, -0.1, -0.003, 0.003, 0.1, 2):
            turn = np.eye(3)
            turn[[i, j], [i, j]] = np.cos(angle)
            turn[i, j], turn[j, i] = np.sin(angle), -np.sin(angle)
            assert ((x @ rotation @ turn - wanted) ** 2).sum() > least


def test_more_bits_than_one_are_learned_for():
    x = correlated(3000, 10)
    one, three = learned_rotation(x, 1, 5), learned_rotation(x, 3, 5)
    assert np.abs(one - three).max() > 0.1
    np.testing.assert_array_equal(ITQ(bits=3, iterations=5).fit(x).rotation, three)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ITQ(bits=0), "bits must be between 1 and 8, got 0"),
        (lambda: ITQ(iterations=0), "iterations must be at least 1, got 0"),
        (lambda: ITQ(rotate_block=0), "rotate_block must be at least 1, got 0"),
        (lambda: ITQ(bits=3).fit(unit(7, 4)), "3-bit cells need at least 8 calibration "
         "embeddings, got 7: give more documents, or ask for fewer bits"),
        *((lambda c=c: c(rotate=False, rotate_block=8), "rotate_block needs rotate = true, got "
           "rotate_block 8 without it") for c in (Percentile, LloydMax, Gaussian, Binary)),
        (lambda: Binary(rotate=True, rotate_block=-1), "rotate_block must be at least 1, got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize("quantizer", [Percentile(bits=1), Percentile(bits=3), LloydMax(bits=2)])
def test_cells_centre_by_themselves(quantizer):
    """Where the calibration lies does not matter: codes stay, and levels move along."""
    x = unit(800, 6)
    shift = np.float32([0, 1, -2, 4, 0.5, -8])
    codec, moved = quantizer.fit(x), quantizer.fit(x + shift)
    same = codec.quantize(x) == moved.quantize(x + shift)
    assert same.mean() > 0.995  # rounding at the borders
    np.testing.assert_allclose(moved.levels - shift[:, None], codec.levels, atol=1e-3)
    cut_at_zero = Binary().fit(x + shift)
    assert (cut_at_zero.quantize(x + shift) == Binary().fit(x).quantize(x)).mean() < 0.9
