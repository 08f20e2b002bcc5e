"""Sketches of a stream, against all of its rows at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress.compressors.linear import Spectrum
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.quantizers.scalar import LloydMax, Percentile, random_rotation
from vecpress.sketches import Histogram, Moments
from vecpress.stages import TrainingSet


def unit(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def awkward(n, d, seed):
    """Rows with ties, a constant dimension, values on the grid's own borders, and zero rows."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, d)).astype(np.float32)
    x[:, 0] = 0.3
    x[:, 1::3] = rng.integers(-2, 3, size=x[:, 1::3].shape) / 2
    x[rng.random(n) < 0.2] = 0
    return x


def filled(sketch, *parts):
    for part in parts:
        sketch.add(part)
    return sketch


def cut(x, seed):
    """Cut rows into a few blocks, some of them empty."""
    ends = np.sort(np.random.default_rng(seed).integers(0, len(x) + 1, size=3))
    return np.split(x, ends)


def same(one, other):
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.outside, other.outside)
    assert one.count == other.count


def test_moments_are_those_of_all_rows():
    x = unit(20_000, 6) + np.float32(0.2)
    moments, rows = filled(Moments(6), *cut(x, 0)), x.astype(np.float64)
    assert (moments.count, moments.dim) == (20_000, 6)
    np.testing.assert_allclose(moments.mean(), rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(moments.second(), rows.T @ rows / len(x), atol=1e-6)
    np.testing.assert_allclose(
        moments.second(centre=True), np.cov(rows.T, ddof=0), rtol=0, atol=1e-6
    )


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 40), d=st.integers(2, 9), seed=st.integers(0, 999))
def test_moments_of_parts_agree_whatever_their_order(n, d, seed):
    x = awkward(n, d, seed)
    parts = cut(x, seed)
    one = filled(Moments(d), *parts)
    other, last = filled(Moments(d), *parts[:1:-1]), filled(Moments(d), *parts[:2])
    other.merge(last)
    assert one.count == other.count == n
    scale = max(float(np.trace(one.second())), 1e-30)
    np.testing.assert_allclose(one.second(), other.second(), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(one.mean(), other.mean(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.second(), x.T.astype(float) @ x / n, atol=1e-6 * scale)


@pytest.mark.parametrize("centre", [False, True])
def test_a_spectrum_of_a_stream_is_that_of_its_rows(centre):
    x = unit(8192 + 500, 12) + np.float32(0.1)
    moments = filled(Moments(12), x[:8192], x[8192:])
    ours = Spectrum.of_moments(moments, centre=centre)
    whole = Spectrum.of(TrainingSet(documents=x), centre=centre)
    for name in ("values", "axes", "mean"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 60),
    d=st.integers(2, 7),
    cells=st.sampled_from([1, 2, 7, 64, 4096]),
    seed=st.integers(0, 999),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_quantiles_are_within_a_step_of_those_of_all_rows(n, d, cells, seed, shares):
    x = awkward(n, d, seed)
    found = filled(Histogram(d, cells=cells), *cut(x, seed)).quantiles(shares)
    wanted = np.quantile(x.astype(np.float64), shares, axis=0).T
    assert np.abs(found - wanted).max() <= 2 / cells * (1 + 1e-9)
    order = np.argsort(shares, kind="stable")
    assert (np.diff(found[:, order], axis=1) >= -1e-12).all()


@settings(deadline=None, max_examples=40)
@given(n=st.integers(0, 40), d=st.integers(2, 7), seed=st.integers(0, 999))
def test_histograms_of_parts_are_the_same_whatever_their_order(n, d, seed):
    x = awkward(n, d, seed)
    parts, whole = cut(x, seed), filled(Histogram(d, cells=33), x)
    sketches = [filled(Histogram(d, cells=33), part) for part in parts]
    for order in (sketches, sketches[::-1]):
        merged = Histogram(d, cells=33)
        for sketch in order:
            merged.merge(sketch)
        same(merged, whole)
    same(filled(Histogram(d, cells=33), *parts[::-1], x[:0]), whole)
    assert whole.counts.sum() == n * d
    assert whole.outside.sum() == 0


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 30), cuts=st.integers(1, 5), seed=st.integers(0, 999))
def test_means_are_those_of_values_spread_evenly_in_their_cells(n, cuts, seed):
    x = awkward(n, 3, seed)
    histogram = filled(Histogram(3, cells=16), x)
    rng = np.random.default_rng(seed)
    borders = np.sort(rng.uniform(-1.2, 1.2, size=(3, cuts)), axis=1)
    borders[0, 0] = -0.5  # on a border of the grid
    borders.sort(axis=1)
    means, masses = histogram.means(borders)
    spread = (np.arange(4000) + 0.5) / 4000 / 8  # eighths: the width of a cell
    for j in range(3):
        cell = np.minimum(np.floor((x[:, j].astype(np.float64) + 1) * 8), 15)
        points = ((cell / 8 - 1)[:, None] + spread).ravel()
        part = np.searchsorted(borders[j], points, side="right")
        for k in range(cuts + 1):
            there = points[part == k]
            np.testing.assert_allclose(masses[j, k], len(there) / 4000, atol=n / 1000)
            if len(there) > 100:
                np.testing.assert_allclose(means[j, k], there.mean(), atol=1e-3)
    np.testing.assert_allclose(masses.sum(axis=1), n)
    assert (means[masses == 0] == 0).all()


def test_around_first_rows_cells_are_finer():
    x = unit(4000, 32) * np.float32(0.5)
    x[:, 3] = 0.25
    fine = Histogram.around(x[:200], cells=1024)
    assert (fine.step < 2 / 1024).all()
    assert (fine.low[3], fine.step[3]) == pytest.approx((0.2499, 2e-4 / 1024))
    parts = [filled(fine.empty(), part) for part in cut(x, 1)]
    for part in parts:
        fine.merge(part)
    assert fine.count == 4000
    assert fine.outside.sum() == 0
    found, wanted = fine.quantiles([0.1, 0.5]), np.quantile(x.astype(float), [0.1, 0.5], axis=0).T
    assert (np.abs(found - wanted) <= fine.step[:, None] * (1 + 1e-6)).all()


def test_what_lies_beyond_the_grid_is_told_and_in_the_outermost_cells():
    x = np.array([[-0.9], [-0.2], [0.1], [0.5], [0.9]], np.float32)
    histogram = filled(Histogram(1, cells=4, low=-0.5, high=0.5), x[:2])
    histogram.merge(filled(histogram.empty(), x[2:]))
    np.testing.assert_array_equal(histogram.counts, [[1, 1, 1, 2]])
    np.testing.assert_array_equal(histogram.outside, [2])
    assert -0.5 <= histogram.quantiles([0.0])[0, 0] <= -0.25
    assert 0.25 <= histogram.quantiles([1.0])[0, 0] <= 0.5


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_percentiles_of_a_stream_are_those_of_its_rows(bits, rotate):
    x, fresh = unit(6000, 16), unit(500, 16, seed=1)
    quantizer = Percentile(bits=bits, rotate=rotate)
    turned = x @ random_rotation(16, 3) if rotate else x
    histogram = filled(Histogram(16), turned[:3000], turned[3000:])
    whole, ours = quantizer.fit(x, seed=3), quantizer.fit_histogram(histogram, seed=3)
    step = 2 / 2**14
    assert np.abs(ours.borders - whole.borders).max() <= step * 1.01
    # 23 rows in a cell of 8 bits: one of them, cut in two by a border, moves the mean
    assert np.abs(ours.levels - whole.levels).max() <= (2 if bits < 8 else 8) * step
    if rotate:
        np.testing.assert_array_equal(ours.rotation, whole.rotation)
    back = [codec.dequantize(codec.quantize(fresh)) for codec in (whole, ours)]
    kept = [(rows * fresh).sum(axis=1).mean() for rows in back]
    assert abs(kept[0] - kept[1]) < 1e-4


@pytest.mark.parametrize("bits", [1, 3, 4])
def test_least_error_cells_of_a_stream_err_as_little(bits):
    x = unit(3000, 8)
    histogram = filled(Histogram(8), x)
    errors = [
        float(np.square(codec.decode(codec.quantize(x)) - x).mean())
        for codec in (LloydMax(bits=bits).fit(x), LloydMax(bits=bits).fit_histogram(histogram))
    ]
    np.testing.assert_allclose(errors[1], errors[0], rtol=5e-3)
    start = Percentile(bits=bits).fit(x)
    assert bits == 1 or errors[1] < float(np.square(start.decode(start.quantize(x)) - x).mean())


def test_constant_dimensions_and_zero_rows_are_coded_to_themselves():
    x = np.zeros((20, 2), np.float32)
    x[:, 1] = 0.3
    codec = Percentile(bits=2).fit_histogram(filled(Histogram(2), x))
    assert (np.diff(codec.borders, axis=1) >= 0).all()
    np.testing.assert_allclose(codec.decode(codec.quantize(x)), x, atol=2 / 2**14)


NONE = np.zeros((0, 3), np.float32)


@pytest.mark.parametrize(
    ("error", "text", "do"),
    [
        (ShapeError, r"^this sketch takes rows of 3 dimensions, got shape \(2, 4\)$",
         lambda: Moments(3).add(np.zeros((2, 4), np.float32))),
        (ShapeError, r"^this sketch takes rows of 3 dimensions, got shape \(2, 4\)$",
         lambda: Histogram(3).add(np.zeros((2, 4), np.float32))),
        (DataError, r"^the rows of a sketch must be finite, got NaN or infinity in row 1 of 3: "
         r"remove or re-encode it$",
         lambda: Moments(2).add(np.array([[0, 1], [0, np.nan], [np.inf, 0]], np.float32))),
        (DataError, r"in row 8193 of 8195: ",
         lambda: Histogram(1, cells=2).add(np.array([[0]] * 8193 + [[np.nan], [0]], np.float32))),
        (ShapeError, r"^moments of 3 dimensions cannot take in 4$",
         lambda: Moments(3).merge(Moments(4))),
        (ShapeError, r"^histograms merge only on the same grid, got 3 dimensions of 4 cells from "
         r"-1 to 1 and 3 dimensions of 4 cells from -1 to 2: begin each part with `empty\(\)` of "
         r"the first one$",
         lambda: Histogram(3, cells=4).merge(Histogram(3, cells=4, high=2.0))),
        (ConfigError, r"^moments need at least one row, got none$", lambda: Moments(3).mean()),
        (ConfigError, r"^moments need at least one row, got none$", lambda: Moments(3).second()),
        (ConfigError, r"^a histogram needs at least one row, got none$",
         lambda: Histogram(3).quantiles([0.5])),
        (ConfigError, r"^a histogram around rows needs at least one row, got none$",
         lambda: Histogram.around(NONE)),
        (ConfigError, r"^a histogram needs at least 1 cell and low < high, got 4 cells from 1 to "
         r"0.5$", lambda: Histogram(3, cells=4, low=1.0, high=0.5)),
        (ConfigError, r"^a histogram needs at least 1 cell and low < high, got 0 cells from -1 to "
         r"1$", lambda: Histogram(3, cells=0)),
        (ConfigError, r"^2-bit cells need at least 4 calibration embeddings, got 3: give more",
         lambda: Percentile(bits=2).fit_histogram(filled(Histogram(2), unit(3, 2)))),
        (ConfigError, r"^PCA needs at least one document, got none$",
         lambda: Spectrum.of(TrainingSet(documents=NONE))),
        (ConfigError, r"^moments need at least one row, got none$",
         lambda: Spectrum.of_moments(Moments(3))),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(error, text, do):
    with pytest.raises(error, match=text):
        do()
