"""The decoder's module: how it is regularized, and that its head is what it computes."""

import numpy as np
import pytest
import torch

from vecpress.arrays import normalize
from vecpress.compressors.decoder_module import Decoder, Layer


def shaken(module, seed=0):
    """Move parameters and statistics far from where a short training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.1, 9.0, generator=generator)
                value[0] = 1e-5  # as small as BatchNorm's epsilon
            elif value.is_floating_point():
                value.normal_(generator=generator)
    return module.eval()


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def compress_with(module, x):
    with torch.no_grad():
        return normalize(module(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize("paper", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("widths", [(7, 5), (7, 9, 5), (7, 3, 11, 5), (7, 6, 8, 6, 9)])
def test_every_affine_part_is_folded_in(widths, residual, paper):
    module = shaken(Decoder(widths, paper=paper, residual=residual, dropout=0.5))
    x = rows(50, 7)
    out = module.head().compress(x)
    np.testing.assert_allclose(out, compress_with(module, x), atol=1e-5)
    assert (out < 0).any()
    assert (out > 0).any()


def test_it_learns_as_its_layers_do_one_after_the_other():
    """LayerNorm's gain and shift go into the weight, which no gradient may notice."""
    module = shaken(Decoder((7, 5, 4), paper=True)).double().train()
    first, second = module.layers
    x = torch.from_numpy(rows(12, 7)).double()
    plain = [first.linear(module.before(x))]
    plain.append(torch.nn.functional.leaky_relu(first.norm(plain[0]), 0.2))
    plain.append(torch.nn.functional.leaky_relu(second.norm(second.linear(plain[1])), 0.2))
    weight = torch.from_numpy(rows(12, 4, seed=1)).double()
    parameters = dict(module.named_parameters())
    wanted = torch.autograd.grad((plain[-1] * weight).sum(), parameters.values())
    found = torch.autograd.grad((module(x) * weight).sum(), parameters.values())
    for name, ours, theirs in zip(parameters, found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11, err_msg=name)


def test_it_computes_what_its_parts_say():
    """LayerNorm, two layers and the map added to them, written out in numpy."""
    module = shaken(Decoder((4, 3, 2), paper=True, residual=True))
    state = {name: value.numpy().astype(np.float64) for name, value in module.state_dict().items()}
    x = rows(6, 4).astype(np.float64)
    h = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    h = h * state["before.weight"] + state["before.bias"]
    for i in (0, 1):
        h = h @ state[f"layers.{i}.linear.weight"].T + state[f"layers.{i}.linear.bias"]
        norm = {
            part: state[f"layers.{i}.norm.{part}"] for part in ("weight", "bias", "running_mean")
        }
        spread = np.sqrt(state[f"layers.{i}.norm.running_var"] + 1e-5)
        h = (h - norm["running_mean"]) / spread * norm["weight"] + norm["bias"]
        h = np.where(h > 0, h, 0.2 * h)
    h = h + x @ state["skip.weight"].T
    expected = h / np.linalg.norm(h, axis=1, keepdims=True)
    np.testing.assert_allclose(compress_with(module, x.astype(np.float32)), expected, atol=1e-5)


def test_the_skew_is_the_formula():
    module = Decoder((3, 4, 2), paper=False)
    wide, narrow = np.arange(12.0).reshape(4, 3) / 10, np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 1.0]])
    with torch.no_grad():
        for layer, weight in zip(module.layers, (wide, narrow), strict=True):
            layer.linear.weight.copy_(torch.from_numpy(weight))
    tall = ((wide.T @ wide - np.eye(3)) ** 2).mean()
    # The second has rows of squared length 1 and 5, at right angles: (0 + 16) / 4.
    np.testing.assert_allclose(module.skew().detach(), tall + 4, rtol=1e-6)


def test_orthogonal_layers_have_no_skew():
    module = Decoder((6, 9, 4), paper=True)
    for layer in module.layers:
        torch.nn.init.orthogonal_(layer.linear.weight, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(module.skew().detach(), 0, atol=1e-12)


def seen(module, monkeypatch):
    """Collect what each layer takes."""
    taken = []
    forward = Layer.forward

    def watch(self, x):
        taken.append(x.detach().clone())
        return forward(self, x)

    monkeypatch.setattr(Layer, "forward", watch)
    return taken


def test_dropout_stands_before_every_layer_and_not_before_the_map_added(monkeypatch):
    module = Decoder((40, 50, 30), paper=False, residual=True, dropout=0.25)
    taken = seen(module, monkeypatch)
    x = torch.from_numpy(1 + rows(200, 40) ** 2)
    out = module.train()(x)
    for name, (got, whole) in {
        "input": (taken[0], x),
        "hidden": (taken[1], module.layers[0].linear(taken[0])),
    }.items():
        np.testing.assert_allclose((got == 0).float().mean(), 0.25, atol=0.02, err_msg=name)
        kept = got != 0
        # What is kept stands for what is not: the mean stays.
        np.testing.assert_allclose(got[kept].detach(), whole[kept].detach() / 0.75, rtol=1e-5)
    added = (out - module.layers[1].linear(taken[1])).detach()
    np.testing.assert_allclose(added, module.skip(x).detach(), atol=1e-3)


def test_without_training_nothing_is_dropped(monkeypatch):
    module = Decoder((8, 4), paper=False, dropout=0.9).eval()
    taken = seen(module, monkeypatch)
    x = torch.from_numpy(rows(9, 8))
    module(x)
    assert torch.equal(taken[0], x)


def test_what_is_dropped_follows_the_seed_alone():
    x = torch.from_numpy(rows(9, 8))
    outs = []
    for seed, state in [(0, 1), (0, 2), (5, 1)]:
        torch.manual_seed(state)
        before = torch.get_rng_state()
        module = Decoder((8, 4), paper=False, dropout=0.5, seed=seed)
        with torch.no_grad():
            module.layers[0].linear.weight.fill_(1.0)
            outs.append(module.train()(x))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])


def test_two_batches_lose_different_coordinates():
    module = Decoder((30, 4), paper=False, dropout=0.5).train()
    x = torch.from_numpy(rows(9, 30))
    assert not torch.equal(module(x), module(x))
