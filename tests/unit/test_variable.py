"""Bits dealt to dimensions: how many, packed how, and worth what."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import unit
from vecpress.errors import ConfigError
from vecpress.quantizers import variable
from vecpress.quantizers.scalar import Gaussian, LloydMax
from vecpress.quantizers.variable import VariableBits, packed


def decaying(n, d, seed=0, power=1.0):
    """Rows, of mean .1, whose dimensions vary less and less."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, d + 1) ** -power
    return (rng.normal(size=(n, d)) * spread + 0.1).astype(np.float32)


def decoded(codec, x):
    return codec.turned(codec.quantize(x))


def bits_of(codec):
    """Count the different values that each dimension is decoded to, as bits."""
    groups, _, width = codec.centroids.shape
    tables = codec.centroids.transpose(0, 2, 1).reshape(groups * width, -1)
    cells = {d: len(set(row.tolist())) for d, row in zip(codec.order, tables, strict=True)}
    return np.log2([cells[d] for d in range(codec.dim)])


def left(variances, bits):
    return float((variances * variable._LEFT[np.asarray(bits)]).sum())


@pytest.mark.parametrize("bits", range(1, 9))
def test_what_bits_leave_is_what_cells_of_a_gaussian_leave(bits):
    x = np.random.default_rng(0).normal(size=(400_000, 1)).astype(np.float32)
    codec = Gaussian(bits=bits, rotate=False).fit(x)
    error = float(((codec.decode(codec.quantize(x)) - x) ** 2).mean())
    np.testing.assert_allclose(variable._LEFT[bits], error, rtol=0.08)


@pytest.mark.parametrize(
    ("variances", "code_bytes"),
    [
        ([1.0, 0.1, 0.01], 1),
        ([1.0, 0.1, 0.01], 2),
        ([1.0, 1, 1], 1),
        ([9.0, 1e-6, 1e-9], 1),
        ([9.0, 1e-6, 1e-9], 2),
        ([5.0, 0.3, 0.2, 0.1], 2),
    ],
)
def test_no_other_use_of_the_bytes_leaves_less_error(variances, code_bytes):
    bits, _ = packed(np.array(variances), code_bytes)
    best = min(
        left(variances, tried)
        for tried in itertools.product(range(9), repeat=len(variances))
        if fits(tried, code_bytes)
    )
    np.testing.assert_allclose(left(variances, bits), best)


def fits(bits, code_bytes):
    """Say whether dimensions can be put into bytes, by trying all ways."""
    homes = itertools.product(range(code_bytes), repeat=len(bits))
    return any(
        all(sum(b for b, h in zip(bits, home, strict=True) if h == byte) <= 8
            for byte in range(code_bytes))
        for home in homes
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    logs=st.lists(st.floats(-20, 0), min_size=1, max_size=40),
    share=st.floats(0.01, 1),
)
def test_every_bit_of_every_byte_is_used_and_none_twice(logs, share):
    variances, code_bytes = np.exp(logs), max(1, int(share * len(logs)))
    bits, byte = packed(variances, code_bytes)
    assert ((bits > 0) == (byte >= 0)).all()
    assert bits.max() <= 8
    assert (np.bincount(byte[byte >= 0], bits[byte >= 0], code_bytes) == 8).all()


@pytest.mark.parametrize("power", [-0.5, -1.0, -2.0])
def test_packing_costs_nothing_while_there_are_ones_to_fill_up_with(power):
    variances = np.arange(256, 0, -1) ** power  # the least first: widest first is not their order
    for code_bytes in (4, 16, 32):
        free = left(variances, variable._dealt(variances, 8 * code_bytes))
        assert left(variances, packed(variances, code_bytes)[0]) < 1.0001 * free


def test_packing_costs_little_where_there_are_none():
    variances = np.arange(1, 65) ** -1.0
    free = left(variances, variable._dealt(variances, 8 * 32))  # 2 to 6 bits each
    assert free < left(variances, packed(variances, 32)[0]) < 1.15 * free


def test_more_bits_go_where_more_variance_is():
    codec = VariableBits(code_bytes=8).fit(decaying(3000, 32))
    bits = bits_of(codec)
    assert bits.sum() == 64
    assert (np.diff(bits) <= 0).mean() > 0.9
    assert bits[0] > bits[15] > bits[-1]
    assert sorted(codec.order[codec.order >= 0].tolist()) == [*range(32)]


def test_every_dimension_is_cut_as_on_its_own():
    x, fresh = decaying(2000, 12, power=2.0), decaying(300, 12, seed=1, power=2.0)
    codec = VariableBits(code_bytes=3).fit(x)
    back = decoded(codec, fresh)
    for j, bits in enumerate(map(int, bits_of(codec))):
        column = np.ascontiguousarray(x[:, j : j + 1])
        if bits == 0:
            np.testing.assert_allclose(back[:, j], column.mean(), rtol=1e-6)
            continue
        levels = LloydMax(bits=bits).fit(column).levels[0]
        far = np.sort(np.abs(fresh[:, j : j + 1] - levels), axis=1)
        clear = far[:, 1] - far[:, 0] > 1e-6
        nearest = levels[np.abs(fresh[:, j : j + 1] - levels).argmin(axis=1)]
        np.testing.assert_array_equal(back[clear, j], nearest[clear])
        assert clear.mean() > 0.99
    assert 0 in bits_of(codec)


def test_it_errs_less_than_as_many_bits_for_each():
    x, fresh = decaying(4000, 32), decaying(500, 32, seed=1)
    for bits in (1, 2, 4):
        even = LloydMax(bits=bits).fit(x)
        uneven = VariableBits(code_bytes=even.code_bytes).fit(x)
        error = ((decoded(uneven, fresh) - fresh) ** 2).mean()
        assert error < 0.7 * ((even.decode(even.quantize(fresh)) - fresh) ** 2).mean()


def test_dimensions_that_never_vary_get_no_bits_and_are_kept():
    x = decaying(400, 6)
    x[:, [0, 4]] = 0.25, -0.5
    codec = VariableBits(code_bytes=3).fit(x)
    np.testing.assert_array_equal(bits_of(codec)[[0, 4]], 0)
    np.testing.assert_allclose(decoded(codec, x)[:, [0, 4]], x[:, [0, 4]], rtol=1e-6)


def test_rows_that_are_all_alike_are_coded_without_loss():
    x = np.repeat(unit(1, 5), 256, axis=0)
    codec = VariableBits(code_bytes=5).fit(x)
    np.testing.assert_array_equal(codec.quantize(x), 0)
    np.testing.assert_allclose(codec.dequantize(codec.quantize(x)), x, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_levels_that_could_not_be_told_apart_are_one(seed):
    """A few steps of float32 are lost beside coordinates that are a million times as large."""
    rng = np.random.default_rng(seed)
    near = rng.uniform(1e-6, 0.1, 2).astype(np.float32).view(np.int32) + rng.integers(
        0, 9, (300, 2)
    )
    fixed = np.broadcast_to(rng.normal(size=4), (300, 4))
    x = np.hstack([rng.normal(size=(300, 1)), near.astype(np.int32).view(np.float32), fixed])
    codec = VariableBits(code_bytes=2).fit(x.astype(np.float32))
    codes = codec.quantize(x.astype(np.float32))
    np.testing.assert_array_equal(codec.quantize(codec.turned(codes)), codes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VariableBits(code_bytes=0), "code_bytes must be at least 1, got 0"),
        (lambda: VariableBits(code_bytes=6).fit(unit(300, 5)), "code_bytes must be at most the 5 "
         "dimensions of the embeddings, 8 bits for each, got 6"),
        (lambda: VariableBits(code_bytes=2).fit(unit(255, 5)), "cells of up to 8 bits need at "
         "least 256 calibration embeddings, got 255: give more documents, or a quantizer with a "
         "fixed number of bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make()
