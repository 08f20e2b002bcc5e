"""Product quantizers: how dimensions are dealt, and what is refused."""

import numpy as np
import pytest

from helpers import unit
from vecpress.errors import ConfigError
from vecpress.quantizers.product import OPQ, PQ, deal


def test_dimensions_are_dealt_to_equal_products():
    """16 joins nothing greater; 8 and 4 fill up the other group, 2 the first."""
    order = deal(np.array([16.0, 8, 4, 2]), 2).reshape(2, 2)
    assert order.tolist() == [[0, 3], [1, 2]]
    variances = np.arange(1, 41) ** -1.5
    groups = deal(variances, 4).reshape(4, 10)
    assert sorted(groups.ravel().tolist()) == [*range(40)]
    logs = np.log(variances)[groups].sum(axis=1)
    in_order = np.log(variances).reshape(4, 10).sum(axis=1)
    assert np.ptp(logs) < 0.1 * np.ptp(in_order)


def test_places_without_a_dimension_are_empty():
    order = deal(np.array([3.0, 2, 1, 1, 1]), 3)
    assert sorted(order.tolist()) == [-1, 0, 1, 2, 3, 4]
    codec = PQ(m=3, bits=4).fit(unit(100, 5))
    assert codec.centroids.shape == (3, 16, 2)
    empty = (codec.order < 0).reshape(3, 2)
    assert (codec.centroids.transpose(0, 2, 1)[empty] == 0).all()


def test_dimensions_that_never_vary_are_dealt_too():
    x = np.zeros((300, 6), np.float32)
    x[:, 0] = 1
    codec = PQ(m=3).fit(x)
    np.testing.assert_allclose(codec.dequantize(codec.quantize(x)), x, atol=0.01)


def test_faiss_gives_no_advice(capfd):
    PQ(m=2).fit(unit(256, 4))
    OPQ(m=2, iterations=1).fit(unit(256, 4))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PQ(m=0), "m must be at least 1, got 0"),
        (lambda: OPQ(m=2, bits=9), "bits must be between 1 and 8, got 9"),
        (lambda: OPQ(m=2, iterations=0), "iterations must be at least 1, got 0"),
        (lambda: PQ(m=7, bits=2).fit(unit(50, 6)), "m must be at most the 6 dimensions of the "
                                                  "embeddings, got 7"),
        (lambda: PQ(m=2).fit(unit(255, 6)), "8-bit groups need at least 256 calibration "
         "embeddings, got 255: give more documents, or ask for fewer bits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make()


def test_more_bytes_cost_less_error():
    x = unit(2000, 16)
    cosines = []
    for m in (1, 2, 4, 8, 16):
        codec = PQ(m=m).fit(x)
        cosines.append(float((codec.dequantize(codec.quantize(x)) * x).sum(axis=1).mean()))
    assert (np.diff(cosines) > 0).all()
    assert cosines[-1] > 0.999
