"""Cells of least squared error: against Max's table of 1960, and against cells of equal mass."""

import numpy as np
import pytest

from vecpress.errors import ConfigError
from vecpress.quantizers.scalar import Gaussian, LloydMax, Percentile

MAX_1960 = {  # bits: levels above zero, mean squared error
    1: ([0.7980], 0.3634),
    2: ([0.4528, 1.510], 0.1175),
    3: ([0.2451, 0.7560, 1.344, 2.152], 0.03454),
}


def gaussian(n=40_000, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32) * np.float32([1, 5])


def error(x, codec):
    back = codec.decode(codec.quantize(x))
    return float(((x - back) ** 2).mean(axis=0) @ [1, 1 / 25]) / 2


@pytest.mark.parametrize("bits", MAX_1960)
def test_gaussian_cells_are_those_of_max(bits):
    levels, distortion = MAX_1960[bits]
    x = gaussian()
    codec = Gaussian(bits=bits, rotate=False).fit(x)
    positive = codec.levels[0, 2 ** (bits - 1) :] / np.sqrt((x[:, 0] ** 2).mean())
    np.testing.assert_allclose(positive, levels, atol=2e-3)
    np.testing.assert_allclose(codec.levels[1] / codec.levels[0], 5, rtol=0.02)
    np.testing.assert_allclose(error(x, codec), distortion, rtol=0.03)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_eight_bits_of_a_gaussian_are_fine_enough(bits):
    """Panter and Dite: the error falls to sqrt(3) pi / 2 over the number of cells squared."""
    codec = Gaussian(bits=bits, rotate=False).fit(gaussian(4000))
    limit = np.sqrt(3) * np.pi / 2 / 4.0**bits
    assert 0.8 * limit < error(gaussian(200_000, seed=1), codec) < 1.1 * limit


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_what_is_fitted_to_the_data_errs_least(bits):
    rng = np.random.default_rng(0)
    x = np.stack([rng.exponential(size=20_000), 5 * rng.standard_t(5, 20_000)], 1)
    x = x.astype(np.float32)
    errors = [
        error(x, quantizer.fit(x))
        for quantizer in (LloydMax(bits=bits), Percentile(bits=bits), Gaussian(bits=bits))
    ]
    assert errors[0] < 0.95 * errors[1]
    assert errors[0] < 0.95 * errors[2]


def test_lloyds_levels_are_means_and_its_borders_midway():
    x = gaussian(3000)
    codec = LloydMax(bits=3, iterations=500).fit(x)
    cells = (x[:, :1] >= codec.borders[0]).sum(axis=1)
    for cell in range(8):
        np.testing.assert_allclose(codec.levels[0, cell], x[cells == cell, 0].mean(), atol=1e-5)
    middles = (codec.levels[:, 1:] + codec.levels[:, :-1]) / 2
    np.testing.assert_allclose(codec.borders, middles, atol=1e-4)


@pytest.mark.parametrize("quantizer", [LloydMax, Gaussian])
def test_options_out_of_range_are_refused(quantizer):
    with pytest.raises(ConfigError, match=r"^bits must be between 1 and 8, got 0$"):
        quantizer(bits=0)
    with pytest.raises(ConfigError, match=r"^iterations must be at least 1, got 0$"):
        LloydMax(iterations=0)
