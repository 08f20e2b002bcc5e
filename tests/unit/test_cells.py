"""Cells against counting borders one by one, on values at and beside every border."""

import numpy as np
import pytest

from vecpress.quantizers import cells
from vecpress.quantizers.cells import ScalarCodec


def counted(borders, x):
    return (x[:, :, None] >= borders[None]).sum(axis=2)


def codec_of(borders, bits):
    levels = np.concatenate([borders[:, :1], borders], axis=1)
    return ScalarCodec(borders=borders, levels=np.ascontiguousarray(levels), bits=bits)


def beside(borders, rng, n):
    """Give values on borders, one float32 away on either side, and anywhere."""
    picked = np.stack([rng.choice(row, n) for row in borders], axis=1)
    away = rng.choice(np.array([-np.inf, np.inf], np.float32), picked.shape)
    values = np.where(rng.random(picked.shape) < 0.5, picked, np.nextafter(picked, away))
    free = rng.normal(scale=2, size=picked.shape).astype(np.float32)
    return np.where(rng.random(picked.shape) < 0.3, free, values).astype(np.float32)


@pytest.mark.parametrize("n", [1, 40, 1100])
@pytest.mark.parametrize("bits", [1, 3, 4, 5, 8])
@pytest.mark.parametrize(
    "shape", ["even", "normal", "clumps", "ties", "constant", "zero", "tiny", "wide"]
)
def test_cells_count_the_borders_at_or_below(bits, shape, n):
    rng, cuts = np.random.default_rng(n + bits), 2**bits - 1
    borders = {
        "even": np.tile(np.linspace(-1, 1, cuts), (3, 1)),
        "normal": rng.normal(size=(3, cuts)),
        "clumps": rng.integers(-2, 3, (3, cuts)) + 1e-6 * rng.normal(size=(3, cuts)),
        "ties": rng.integers(-2, 3, (3, cuts)) / 2,
        "constant": np.full((3, cuts), 0.3),
        "zero": np.zeros((3, cuts)),
        "tiny": 1e-38 * rng.normal(size=(3, cuts)),
        "wide": rng.normal(size=(3, cuts)) * 10.0 ** rng.integers(-30, 3, (3, cuts)),
    }[shape]
    borders = np.sort(borders.astype(np.float32), axis=1)
    x = beside(borders, rng, n)
    codec = codec_of(borders, bits)
    np.testing.assert_array_equal(codec._cells(x), counted(borders, x))
    np.testing.assert_array_equal(codec._cells(x[:0]), np.zeros((0, 3)))


@pytest.mark.parametrize("bits", [2, 8])
def test_blocks_of_rows_do_not_show(monkeypatch, bits):
    rng = np.random.default_rng(0)
    borders = np.sort(rng.normal(size=(5, 2**bits - 1)).astype(np.float32), axis=1)
    x = rng.normal(size=(1300, 5)).astype(np.float32)
    whole = codec_of(borders, bits)._cells(x)
    monkeypatch.setattr(cells, "_VALUES", 7)
    monkeypatch.setattr(cells, "_COLUMN", 7)
    np.testing.assert_array_equal(codec_of(borders, bits)._cells(x), whole)
    np.testing.assert_array_equal(whole, counted(borders, x))
