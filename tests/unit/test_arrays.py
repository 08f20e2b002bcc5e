"""Rows of unit norm, and bits in bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vecpress.arrays import (
    as_embeddings,
    blocks,
    normalize,
    pack,
    round_rows,
    truncate,
    unpack,
)
from vecpress.errors import ConfigError, DataError, ShapeError


def f32(rows):
    return np.array(rows, np.float32)


def norms(rows):
    return np.linalg.norm(rows.astype(np.float64), axis=1)


def packed_slowly(cells, bits):
    """Write every bit where the docstring says: dimension 0 in the lowest bits."""
    n, d = cells.shape
    codes = np.zeros((n, -(-d * bits // 8)), np.uint8)
    for row in range(n):
        for dimension in range(d):
            for bit in range(bits):
                if int(cells[row, dimension]) >> bit & 1:
                    place = dimension * bits + bit
                    codes[row, place // 8] |= 1 << place % 8
    return codes


def test_rows_get_unit_norm_and_keep_their_direction():
    np.testing.assert_allclose(normalize(f32([[3, 4], [0, -2]])), [[0.6, 0.8], [0, -1]], rtol=1e-6)


def test_a_zero_row_stays_zero():
    np.testing.assert_array_equal(normalize(f32([[0, 0], [0, 5]])), [[0, 0], [0, 1]])


def test_no_rows_stay_no_rows():
    assert normalize(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-25, 1e-22, 1e-19, 1e-15, 1e15, 1e19, 1e38])
def test_rows_whose_squares_leave_float32_get_unit_norm_too(scale):
    rows = f32([[scale, 0], [0.6, 0.8], [-scale, scale], [0, 0]])
    half = 0.5**0.5
    expected = [[1, 0], [0.6, 0.8], [-half, half], [0, 0]]
    np.testing.assert_allclose(normalize(rows), expected, rtol=1e-6)


def test_normalizing_leaves_its_input_alone():
    rows = f32([[3, 4], [1e-30, 0]])
    before = rows.copy()
    normalize(rows)
    np.testing.assert_array_equal(rows, before)


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_every_row_is_unit_or_zero(rows):
    expected = np.where(rows.any(axis=1), 1.0, 0.0)
    np.testing.assert_allclose(norms(normalize(rows)), expected, atol=1e-6)


def test_truncation_renormalizes_the_prefix():
    rows = f32([[3, 4, 12], [0, 0, 1]])
    np.testing.assert_allclose(truncate(rows, 2), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert truncate(rows, 2).flags.c_contiguous


@pytest.mark.parametrize("dim", [-1, 0, 4])
def test_truncation_refuses_widths_that_are_not_there(dim):
    with pytest.raises(ConfigError, match=f"^dim must be between 1 and 3, got {dim}$"):
        truncate(np.ones((2, 3), np.float32), dim)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64])
def test_vectors_of_any_number_type_become_embeddings(dtype):
    rows = as_embeddings(np.array([[3, 4], [0, 0]], dtype))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_vectors_of_any_layout_become_contiguous_embeddings():
    wide = np.arange(24.0).reshape(4, 6)
    for view in [wide.T, wide[::2, ::3], np.asfortranarray(wide), wide[:, ::-1]]:
        rows = as_embeddings(view)
        assert rows.flags.c_contiguous
        np.testing.assert_allclose(rows, view / np.linalg.norm(view, axis=1)[:, None], rtol=1e-6)


def test_byte_swapped_vectors_are_read_right():
    np.testing.assert_allclose(as_embeddings(np.array([[3, 4]], ">f8")), [[0.6, 0.8]], rtol=1e-6)


def test_the_smallest_signed_integer_does_not_wrap_round():
    np.testing.assert_array_equal(as_embeddings(np.array([[-128, 0]], np.int8)), [[-1, 0]])


def test_making_embeddings_leaves_the_vectors_alone():
    vectors = f32([[3, 4]])
    as_embeddings(vectors)
    np.testing.assert_array_equal(vectors, [[3, 4]])


def test_no_vectors_are_no_embeddings():
    assert as_embeddings(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("vectors", "got"),
    [
        (np.zeros(3), r"float64 of shape \(3,\)"),
        (np.zeros((1, 2, 3)), r"float64 of shape \(1, 2, 3\)"),
        (np.zeros((1, 2), bool), r"bool of shape \(1, 2\)"),
        (np.zeros((1, 2), complex), r"complex128 of shape \(1, 2\)"),
        (np.array([["a"]]), r"<U1 of shape \(1, 1\)"),
        (np.array([[None]]), r"object of shape \(1, 1\)"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(vectors, got):
    with pytest.raises(ShapeError, match=f"^mine must be a matrix of numbers, .* got {got}$"):
        as_embeddings(vectors, name="mine")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_counted_and_the_first_is_named(value):
    vectors = np.ones((5, 3))
    vectors[[2, 4], 1] = value
    with pytest.raises(DataError, match=r"in 2 of 5 rows, the first is row 2: remove or re-encode"):
        as_embeddings(vectors)


@pytest.mark.parametrize(
    ("n", "size", "cuts"),
    [(0, 3, []), (1, 3, [(0, 1)]), (6, 3, [(0, 3), (3, 6)]), (7, 3, [(0, 3), (3, 6), (6, 7)])],
)
def test_blocks_cover_the_range_in_order(n, size, cuts):
    assert [(block.start, block.stop) for block in blocks(n, size)] == cuts


def test_the_first_dimension_is_in_the_lowest_bits():
    np.testing.assert_array_equal(
        pack(np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1]], np.uint8), 1), [[1, 1]]
    )
    np.testing.assert_array_equal(pack(np.array([[0x3, 0xA, 0xF]], np.uint8), 4), [[0xA3, 0x0F]])
    np.testing.assert_array_equal(pack(np.array([[5, 2, 7]], np.uint8), 3), [[0b11_010_101, 0b1]])


@settings(deadline=None, max_examples=60)
@given(bits=st.integers(1, 8), n=st.integers(0, 3), d=st.integers(1, 19), data=st.data())
def test_packing_puts_every_bit_where_it_says(bits, n, d, data):
    cells = data.draw(hnp.arrays(np.uint8, (n, d), elements=st.integers(0, 2**bits - 1)))
    codes = pack(cells, bits)
    np.testing.assert_array_equal(codes, packed_slowly(cells, bits))
    np.testing.assert_array_equal(unpack(codes, bits, d), cells)


@pytest.mark.parametrize("bits", range(1, 9))
def test_packing_takes_any_layout(bits):
    cells = np.random.default_rng(bits).integers(0, 2**bits, (14, 10)).astype(np.uint8)
    expected = pack(np.ascontiguousarray(cells[::2, ::3]), bits)
    np.testing.assert_array_equal(pack(cells[::2, ::3], bits), expected)
    np.testing.assert_array_equal(unpack(np.asfortranarray(expected), bits, 4), cells[::2, ::3])


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_rest_of_the_last_byte_is_zero(bits):
    full = np.full((1, 5), 2**bits - 1, np.uint8)
    value = int.from_bytes(pack(full, bits).tobytes(), "little")
    assert value == 2 ** (5 * bits) - 1


@pytest.mark.parametrize("bits", range(2, 9))
def test_each_row_is_rounded_with_a_scale_of_its_own(rng, bits):
    rows = (rng.normal(size=(50, 9)) * 10.0 ** rng.integers(-3, 3, (50, 1))).astype(np.float32)
    rows[7] = 0
    rounded = round_rows(rows, bits=bits)
    assert rounded.numbers.dtype == np.int8
    most = 2 ** (bits - 1) - 1
    np.testing.assert_array_equal(np.abs(np.delete(rounded.numbers, 7, 0)).max(axis=1), most)
    assert (np.abs(rounded.rows - rows) <= 0.5001 * rounded.scales[:, None]).all()
    np.testing.assert_array_equal(rounded.rows[7], 0)
