"""Heads with maps of their own for narrower widths, and with a linear skip."""

import json

import numpy as np
import pytest

from helpers import unit
from vecpress import artifact
from vecpress.arrays import normalize, truncate
from vecpress.errors import ConfigError, ShapeError
from vecpress.stages import Head


def linear(dim, in_dim=6, seed=0, **more):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(dim, in_dim)).astype(np.float32)
    bias = rng.normal(size=dim).astype(np.float32)
    return Head(weights=(weight,), biases=(bias,), **more)


@pytest.fixture
def chained():
    return linear(5, narrower=linear(3, seed=1, narrower=linear(2, seed=2)))


def test_a_chained_head_takes_the_narrowest_map_that_is_wide_enough(chained):
    x = unit(4, 6)
    assert chained.dims == (5, 3, 2)
    for dim, seed, width in [(5, 0, 5), (4, 0, 5), (3, 1, 3), (2, 2, 2), (1, 2, 2)]:
        expected = truncate(linear(width, seed=seed).compress(x), dim)
        np.testing.assert_allclose(chained.truncate(dim).compress(x), expected, atol=1e-6)
    assert chained.truncate(4).dims == (4, 3, 2)
    assert chained.truncate(1).dims == (1,)


def test_maps_of_a_chain_get_narrower_and_take_the_same_input():
    with pytest.raises(
        ShapeError,
        match=r"^below a head from 6 to 3 dimensions stands one from 6 to fewer, got one from 6 to "
        r"3$",
    ):
        linear(3, narrower=linear(3))
    with pytest.raises(ShapeError, match=r"got one from 7 to 2$"):
        linear(3, narrower=linear(2, in_dim=7))


def test_skip_adds_a_linear_map_of_the_input():
    rng, x = np.random.default_rng(3), unit(5, 6)
    skip = rng.normal(size=(4, 6)).astype(np.float32)
    first, last = linear(8), linear(4, in_dim=8)
    head = Head(
        weights=(first.weights[0], last.weights[0]),
        biases=(first.biases[0], last.biases[0]),
        activation="relu",
        skip=skip,
    )
    hidden = np.maximum(x @ first.weights[0].T + first.biases[0], 0)
    expected = hidden @ last.weights[0].T + last.biases[0] + x @ skip.T
    np.testing.assert_allclose(head.compress(x), normalize(expected), atol=1e-5)
    np.testing.assert_allclose(
        head.truncate(2).compress(x), normalize(expected[:, :2].copy()), atol=1e-5
    )
    with pytest.raises(ShapeError, match=r"^skip must have the shape \(4, 6\), got \(4, 5\)$"):
        linear(4, skip=skip[:, :5].copy())


def test_a_linear_head_is_one_affine_map():
    rng, x = np.random.default_rng(4), unit(5, 6)
    first, last = linear(6), linear(4, seed=1)
    head = Head(
        weights=(first.weights[0], last.weights[0]),
        biases=(first.biases[0], last.biases[0]),
        residual=True,
        skip=rng.normal(size=(4, 6)).astype(np.float32),
    )
    weight, bias = head.affine()
    expected = (x @ weight.T + bias).astype(np.float32)
    np.testing.assert_allclose(head.compress(x), normalize(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"layer_norm": True}, "a LayerNorm"),
        ({"activation": "leaky_relu", "activate_last": True}, "the activation leaky_relu"),
    ],
)
def test_a_bent_head_is_not(more, what):
    with pytest.raises(
        ConfigError,
        match=rf"^only a linear head can be continued, got one with {what}: fit the narrower width "
        r"from the start instead$",
    ):
        linear(3, **more).affine()
    assert linear(3, activation="relu").affine()[0].shape == (3, 6)  # one layer, never activated


def test_it_is_stored_whole_and_only_where_there_is_something(chained, tmp_path):
    artifact.save(tmp_path / "chain", {"head": chained})
    loaded = artifact.load(tmp_path / "chain")["head"]
    assert loaded.dims == (5, 3, 2)
    for dim in (5, 3, 2):
        np.testing.assert_array_equal(
            loaded.truncate(dim).compress(unit(3, 6)), chained.truncate(dim).compress(unit(3, 6))
        )
    artifact.save(tmp_path / "plain", {"head": linear(3)})
    stored = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert not {"skip", "narrower"} & stored["content"]["head"]["fields"].keys()
