"""A head unfolded into common layers, against the head itself."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import head, unit
from vecpress.arrays import normalize
from vecpress.exports.st_dense import NotStock, unfold

BENDS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "clip": lambda x: x.clip(-1, 1),
}


def layer_norm(x):
    """As torch computes it: variance of the population, eps 1e-5."""
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)


def run(layers, x, *, norm=False):
    x = layer_norm(x) if norm else x
    for weight, bias, bend in layers:
        x = BENDS[bend](x @ weight.T + bias)
    return normalize(x.astype(np.float32))


def rows(d):
    """Unit rows, one of them with a single number, and a zero row."""
    x = unit(9, d)
    x[3] = 0
    x[4] = np.eye(1, d, 2)
    return x


SKIP = np.random.default_rng(9).normal(size=(6, 10)).astype(np.float32)
HEADS = {
    "linear": head(10, 6),
    "two-linear": head(10, 7, 6),
    "residual": head(10, 6, residual=True),
    "skip": head(10, 6, skip=SKIP),
    "relu": head(10, 12, 6, activation="relu"),
    "relu-alone": head(10, 6, activation="relu"),
    "relu-last": head(10, 6, activation="relu", activate_last=True),
    "leaky": head(10, 12, 8, 6, activation="leaky_relu"),
    "leaky-last": head(10, 12, 6, activation="leaky_relu", slope=0.3, activate_last=True),
    "leaky-skip": head(10, 12, 6, activation="leaky_relu", skip=SKIP, residual=True),
    "relu-residual-last": head(10, 12, 6, activation="relu", residual=True, activate_last=True),
    "norm": head(10, 6, layer_norm=True),
    "norm-leaky": head(10, 12, 6, activation="leaky_relu", layer_norm=True),
}


@pytest.mark.parametrize("zero_rows", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_the_layers_compute_what_the_head_does(name, zero_rows):
    made, x = HEADS[name], rows(10)
    x = x if zero_rows else np.delete(x, 3, axis=0)
    found = run(unfold(made, zero_rows=zero_rows), x, norm=made.layer_norm)
    np.testing.assert_allclose(found, made.compress(x), atol=2e-6)
    if zero_rows:
        assert not found[3].any()


def test_what_is_linear_becomes_one_layer():
    assert [layer.bend for layer in unfold(HEADS["two-linear"], zero_rows=False)] == ["identity"]


def test_a_table_needs_no_more_layers_where_no_bias_moves_a_zero_row():
    made = replace(HEADS["linear"], biases=(np.zeros(6, np.float32),))
    assert len(unfold(made, zero_rows=True)) == 1


def test_relu_needs_no_more_columns():
    layers = unfold(HEADS["relu"], zero_rows=False)
    assert [layer.weight.shape for layer in layers] == [(12, 10), (6, 12)]


@pytest.mark.parametrize("options", [{"residual": True}, {"skip": SKIP}])
def test_what_goes_around_a_layer_norm_cannot_be_written(options):
    with pytest.raises(
        NotStock, match="its head adds to its output what went in before a LayerNorm"
    ):
        unfold(head(10, 6, layer_norm=True, **options), zero_rows=False)
