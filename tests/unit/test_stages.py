"""Heads against numbers worked out by hand."""

import jaxtyping
import numpy as np
import pytest

from vecpress.arrays import truncate
from vecpress.compressors.linear import PCA
from vecpress.errors import ConfigError, ShapeError
from vecpress.quantizers.scalar import Binary, ScalarCodec
from vecpress.stages import Codec, Compressor, Encoder, Head, Quantizer


def f32(values):
    return np.array(values, np.float32)


def one_layer(weight, bias=None, **options):
    weight = f32(weight)
    bias = np.zeros(len(weight)) if bias is None else bias
    return Head(weights=(weight,), biases=(f32(bias),), **options)


def two_layers(rng, in_dim, middle, dim, **options):
    sizes = [(middle, in_dim), (dim, middle)]
    weights = tuple(rng.normal(size=s).astype(np.float32) for s in sizes)
    biases = tuple(rng.normal(size=s[0]).astype(np.float32) for s in sizes)
    return Head(weights=weights, biases=biases, **options)


def test_an_affine_layer_multiplies_adds_and_normalizes():
    head = one_layer([[1, 2], [3, 4], [0, 1]], [0, 1, -1])
    # (1, 1): 3, 7 + 1, 1 - 1
    np.testing.assert_allclose(head.compress(f32([[1, 1]])), f32([[3, 8, 0]]) / 73**0.5, rtol=1e-6)
    assert (head.in_dim, head.dim) == (2, 3)


def test_layer_norm_centres_each_row_and_scales_it_to_unit_variance():
    head = one_layer(np.eye(4), [1, 1, 1, 1], layer_norm=True)
    # (1, 3, 1, 3): mean 2, variance 1, so (-1, 1, -1, 1), then + 1
    np.testing.assert_allclose(
        head.compress(f32([[1, 3, 1, 3]])), f32([[0, 1, 0, 1]]) / 2**0.5, atol=1e-5
    )


def test_layer_norm_has_the_epsilon_of_pytorch():
    head = one_layer(np.eye(2), [0, 1], layer_norm=True)
    # (0, 0.002): centred +-0.001, variance 1e-6, divided by sqrt(1.1e-5)
    scaled = 0.001 / 1.1e-5**0.5
    expected = f32([[-scaled, scaled + 1]]) / np.hypot(scaled, scaled + 1)
    np.testing.assert_allclose(head.compress(f32([[0, 0.002]])), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("activation", "slope", "expected"),
    [
        ("identity", 0.2, [3, -4]),
        ("relu", 0.2, [3, 0]),
        ("leaky_relu", 0.2, [3, -0.8]),
        ("leaky_relu", 0.5, [3, -2]),
    ],
)
def test_activations(activation, slope, expected):
    head = one_layer(np.eye(2), activation=activation, slope=slope, activate_last=True)
    out = head.compress(f32([[3, -4]]))
    np.testing.assert_allclose(out[0], expected / np.linalg.norm(expected), rtol=1e-6)


def test_the_last_layer_is_activated_only_if_asked():
    head = one_layer(np.eye(2), activation="relu")
    np.testing.assert_allclose(head.compress(f32([[3, -4]])), [[0.6, -0.8]], rtol=1e-6)


def test_inner_layers_are_activated():
    weights = (f32([[1, 0], [0, 1]]), f32([[1, 1], [1, -1]]))
    head = Head(weights=weights, biases=(f32([0, 0]), f32([0, 0])), activation="relu")
    # (3, -4) -> (3, 0) -> (3, 3); without the activation it would be (-1, 7)
    np.testing.assert_allclose(head.compress(f32([[3, -4]])), [[0.5**0.5] * 2], rtol=1e-6)


def test_the_residual_is_the_first_inputs_before_layer_norm():
    head = one_layer([[0, 0, 0], [0, 0, 0]], [0, 1], residual=True, layer_norm=True)
    # (3, 3, 9) passes as (3, 3), plus the bias (0, 1)
    np.testing.assert_allclose(head.compress(f32([[3, 3, 9]])), [[0.6, 0.8]], rtol=1e-6)


def test_a_zero_row_stays_zero_though_there_is_a_bias():
    head = one_layer(np.eye(2), [1, 2], layer_norm=True, residual=True)
    out = head.compress(f32([[0, 0], [1, 0]]))
    np.testing.assert_array_equal(out[0], [0, 0])
    np.testing.assert_allclose(np.linalg.norm(out[1]), 1, rtol=1e-6)


def test_a_row_that_the_head_maps_to_nothing_becomes_zero_and_not_nan():
    np.testing.assert_array_equal(one_layer([[1, 0]]).compress(f32([[0, 1]])), [[0]])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_head_of_any_scale_gives_unit_rows(scale):
    head = one_layer(np.eye(2) * scale)
    np.testing.assert_allclose(head.compress(f32([[0.6, 0.8]])), [[0.6, 0.8]], rtol=1e-6)


def test_one_row_none_and_many_blocks(rng):
    head = two_layers(rng, 3, 4, 2, activation="leaky_relu")
    x = rng.normal(size=(16384 * 2 + 1, 3)).astype(np.float32)
    out = head.compress(x)
    for row in (0, 16383, 16384, 32768):
        np.testing.assert_allclose(head.compress(x[row : row + 1])[0], out[row], atol=1e-6)
    assert head.compress(x[:0]).shape == (0, 2)


def test_rows_of_any_layout_give_contiguous_float32(rng):
    head = two_layers(rng, 3, 4, 2, residual=True)
    wide = rng.normal(size=(8, 6)).astype(np.float32)
    out = head.compress(wide[::2, ::2])
    assert out.flags.c_contiguous
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, head.compress(wide[::2, ::2].copy()), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"activate_last": True}])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_truncating_a_head_is_truncating_its_output(rng, options, layer_norm):
    head = two_layers(rng, 9, 5, 7, activation="leaky_relu", layer_norm=layer_norm, **options)
    x = rng.normal(size=(6, 9)).astype(np.float32)
    for dim in (1, 3, 7):
        shorter = head.truncate(dim)
        assert shorter.dim == dim
        np.testing.assert_allclose(shorter.compress(x), truncate(head.compress(x), dim), atol=1e-5)


@pytest.mark.parametrize("dim", [-1, 0, 3])
def test_truncating_to_a_width_that_is_not_there(dim):
    with pytest.raises(ConfigError, match=f"^dim must be between 1 and 2, got {dim}$"):
        one_layer(np.eye(2)).truncate(dim)


def test_embeddings_of_another_width_are_refused_with_the_usual_cause():
    head = one_layer(np.ones((2, 1536)))
    with pytest.raises(
        ShapeError,
        match=r"^this head takes 1536-dimensional embeddings, got 768: was it fitted on the same "
        r"encoders, in the same order\?$",
    ):
        head.compress(np.zeros((1, 768), np.float32))


def test_layers_that_do_not_fit_each_other_are_refused():
    with pytest.raises(ShapeError, match=r"takes 3 .* bias of 2 .*shape \(2, 3\), got \(2, 4\)"):
        Head(
            weights=(f32(np.ones((3, 5))), f32(np.ones((2, 4)))), biases=(f32([0] * 3), f32([0, 0]))
        )
    with pytest.raises(
        ShapeError, match=r"bias of 1 needs a weight of shape \(1, 5\), got \(2, 5\)"
    ):
        Head(weights=(f32(np.ones((2, 5))),), biases=(f32([0]),))


def test_a_head_needs_layers_with_biases():
    with pytest.raises(ConfigError, match="at least one of each, got 0 weights and 0 biases"):
        Head(weights=(), biases=())
    with pytest.raises(ConfigError, match=r"one bias per weight .* got 1 weights and 0 biases"):
        Head(weights=(f32([[1]]),), biases=())


@pytest.mark.parametrize("in_dim", [1, 2])
def test_a_residual_head_cannot_widen(in_dim):
    with pytest.raises(ConfigError, match=f"wider than the {in_dim} dimensions it takes, got 3"):
        one_layer(np.ones((3, in_dim)), residual=True)


def test_an_unknown_activation_is_refused_and_not_taken_for_relu(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
    with pytest.raises(ConfigError, match="must be identity, relu or leaky_relu, got 'gelu'"):
        one_layer([[1]], activation="gelu")


def test_the_protocols_are_structural(hash_encoder, rng):
    codec = Binary().fit(rng.normal(size=(4, 2)).astype(np.float32))
    assert isinstance(hash_encoder, Encoder)
    assert isinstance(PCA(dim=2), Compressor)
    assert isinstance(Binary(), Quantizer)
    assert isinstance(codec, Codec)
    assert isinstance(codec, ScalarCodec)
    assert not isinstance(codec, Encoder)
