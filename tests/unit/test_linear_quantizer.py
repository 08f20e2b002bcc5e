"""Cells of equal width: where they are cut, and what they stand for, worked out again by hand."""

import numpy as np
import pytest

from helpers import unit
from vecpress.arrays import unpack
from vecpress.errors import ConfigError
from vecpress.quantizers.linear import Linear


def test_borders_are_evenly_spaced_between_percentiles(rng):
    x = rng.exponential(size=(4000, 3)).astype(np.float32) * np.float32([1, 10, 0.01]) - 2
    codec = Linear(bits=3, clip=5.0).fit(x)
    for column, borders in zip(x.T, codec.borders, strict=True):
        low, high = np.percentile(column.astype(np.float64), [5, 95])
        np.testing.assert_allclose(borders, np.linspace(low, high, 9)[1:-1], rtol=1e-5)


def test_levels_are_the_means_of_what_falls_between(rng):
    x = rng.normal(size=(500, 2)).astype(np.float32)
    codec = Linear(bits=2).fit(x)
    for j in range(2):
        cells = np.searchsorted(codec.borders[j], x[:, j], side="right")
        means = [x[cells == cell, j].mean() for cell in range(4)]
        np.testing.assert_allclose(codec.levels[j], means, rtol=1e-5)
        np.testing.assert_array_equal(unpack(codec.quantize(x), 2, 2)[:, j], cells)


def test_values_beyond_the_percentiles_go_to_the_outermost_cells():
    x = np.linspace(-1, 1, 101, dtype=np.float32)[:, None]
    codec = Linear(bits=4, clip=10.0).fit(x)
    far = np.array([[-9], [9]], np.float32)
    np.testing.assert_array_equal(unpack(codec.quantize(far), 4, 1)[:, 0], [0, 15])
    np.testing.assert_allclose(np.diff(codec.borders[0]), 1.6 / 16, atol=1e-6)


def test_without_clipping_cells_span_all_values():
    x = np.array([[0], [1], [8]], np.float32)
    np.testing.assert_allclose(Linear(bits=2, clip=0.0).fit(x).borders, [[2, 4, 6]])


def test_a_dimension_that_never_changes_keeps_its_value():
    x = unit(50, 4)
    x[:, 1], x[:, 2] = 0.25, 0
    codec = Linear(bits=4).fit(x)
    assert (np.diff(codec.borders, axis=1) >= 0).all()
    np.testing.assert_allclose(codec.decode(codec.quantize(x))[:, 1], 0.25, atol=1e-5)
    np.testing.assert_allclose(codec.decode(codec.quantize(x))[:, 2], 0, atol=1e-5)


def test_skewed_values_leave_cells_of_equal_width_nearly_empty(rng):
    """What cells of equal mass are for."""
    x = rng.exponential(size=(20_000, 1)).astype(np.float32)
    codec = Linear(bits=2, clip=0.5).fit(x)
    share = np.bincount(unpack(codec.quantize(x), 2, 1)[:, 0], minlength=4) / len(x)
    top = -np.log(0.005)
    exact = -np.diff(np.exp(-top * np.array([0, 0.25, 0.5, 0.75, np.inf])))
    np.testing.assert_allclose(share, exact, atol=0.01)


@pytest.mark.parametrize("clip", [-0.1, 50.0, float("nan")])
def test_a_clip_that_leaves_nothing_is_refused(clip):
    message = rf"^clip must be at least 0 and below 50 percent, got {clip}$"
    with pytest.raises(ConfigError, match=message):
        Linear(clip=clip)


def test_bits_out_of_range_and_no_calibration_are_refused():
    with pytest.raises(ConfigError, match=r"^bits must be between 1 and 8, got 9$"):
        Linear(bits=9)
    with pytest.raises(ConfigError, match="calibration"):
        Linear().fit(np.empty((0, 4), np.float32))
