import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vecpress.arrays import normalize
from vecpress.serve.numbers import convert, to_data

ROW = np.array([[0.5, -0.5, 0.0, 0.1, -0.7, 0.3, 0.2, -0.1, 0.4, -0.2]], np.float32)


def test_int8_divides_by_the_largest_magnitude_over_127():
    rows, scales = convert(ROW, "int8")
    assert rows.dtype == np.int8
    assert scales[0] == pytest.approx(0.7 / 127)
    assert rows.tolist() == [[91, -91, 0, 18, -127, 54, 36, -18, 73, -36]]  # 0.5 * 127 / 0.7 = 90.7


def test_uint8_is_int8_plus_128():
    rows, scales = convert(ROW, "uint8")
    assert rows.dtype == np.uint8
    assert (rows.astype(int) - 128).tolist() == convert(ROW, "int8").rows.tolist()
    assert scales[0] == pytest.approx(0.7 / 127)


def test_bits_are_packed_highest_first_and_zero_is_no_bit():
    # + - 0 + - + + -   + -: 10010110 10(000000)
    assert convert(ROW, "ubinary").rows.tolist() == [[0b10010110, 0b10000000]]
    signed = convert(ROW, "binary").rows
    assert signed.dtype == np.int8
    assert signed.tolist() == [[0b10010110 - 128, 0b10000000 - 128]]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "binary", "ubinary", "float"])
def test_no_rows_and_zero_rows(dtype):
    assert len(convert(np.empty((0, 8), np.float32), dtype).rows) == 0
    numbers = convert(np.zeros((1, 8), np.float32), dtype)
    wanted = {"uint8": [128] * 8, "binary": [-128], "ubinary": [0]}.get(dtype, [0] * 8)
    assert numbers.rows.tolist() == [wanted]


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 20)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_int8_is_within_half_a_step(values):
    rows = normalize(values)
    whole, scales = convert(rows, "int8")
    back = whole.astype(np.float64) * scales[:, None]
    assert np.all(np.abs(back - rows) <= 0.5001 * scales[:, None])
    peaks = np.abs(rows).max(axis=1)
    assert np.all(np.abs(whole).max(axis=1) == np.where(peaks == 0, 0, 127))


@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(-1, 1, width=32)))
def test_floats_survive_both_forms(rows):
    lists = [item["embedding"] for item in to_data(convert(rows, "float"), as_base64=False)]
    np.testing.assert_array_equal(np.array(lists, np.float32), rows)
    coded = [item["embedding"] for item in to_data(convert(rows, "float"), as_base64=True)]
    read = [np.frombuffer(base64.b64decode(text), "<f4") for text in coded]
    np.testing.assert_array_equal(read, rows)


def test_only_whole_numbers_that_stand_for_floats_have_a_scale():
    for dtype in ("float", "int8", "uint8", "binary", "ubinary"):
        (item,) = to_data(convert(ROW, dtype), as_base64=False)
        assert ("scale" in item) == (dtype in ("int8", "uint8"))
        assert item["index"] == 0
        assert item["object"] == "embedding"
