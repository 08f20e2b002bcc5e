"""The decoder of arXiv:2510.04626: the folded head is the trained module."""

import jaxtyping
import numpy as np
import pytest
import torch

from vecpress.arrays import normalize
from vecpress.compressors import concat_decoder
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.linear import PCA, RandomProjection
from vecpress.errors import ConfigError
from vecpress.losses import similarity_matching
from vecpress.stages import TrainingSet


def unit(n, d, seed=0):
    """Rows near a few directions, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(99).normal(size=(d, d)) * 0.7 ** np.arange(d)[:, None]
    return normalize((rng.normal(size=(n, d)) @ axes).astype(np.float32))


@pytest.fixture
def modules(monkeypatch):
    """Collect the modules that are trained."""
    collected, train = [], concat_decoder.train

    def collect(module, *args, **kwargs):
        collected.append(module)
        return train(module, *args, **kwargs)

    monkeypatch.setattr(concat_decoder, "train", collect)
    return collected


@pytest.fixture
def untrained(monkeypatch):
    """Leave modules as they start; collect what they would have been trained on."""
    collected = []

    def collect(module, embeddings, **kwargs):
        collected.append(embeddings)
        return module.eval()

    monkeypatch.setattr(concat_decoder, "train", collect)
    return collected


def compress_with(module, x):
    with torch.no_grad():
        return normalize(module(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize("form", ["paper", "linear"])
@pytest.mark.parametrize("init", ["random", "pca"])
def test_the_head_is_the_trained_module(modules, form, init):
    documents = unit(90, 10)
    compressor = ConcatDecoder(dim=6, nested_dims=(3, 6), form=form, init=init, epochs=4)
    head = compressor.fit(TrainingSet(documents=documents))
    assert not modules[0].training
    x = np.concatenate([unit(30, 10, seed=5), documents])
    np.testing.assert_allclose(head.compress(x), compress_with(modules[0], x), atol=1e-5)


def test_every_affine_part_is_folded_in():
    """Parameters and statistics far from where a short training leaves them."""
    module = concat_decoder._Decoder(7, 5, paper=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
        module.after.running_mean.normal_(generator=generator)
        module.after.running_var.uniform_(0.1, 9.0, generator=generator)
        module.after.running_var[0] = 1e-5  # as small as BatchNorm's epsilon
    module.eval()
    x = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    out = module.head().compress(x)
    np.testing.assert_allclose(out, compress_with(module, x), atol=1e-5)
    assert (out < 0).any()
    assert (out > 0).any()


def test_a_zero_row_stays_zero_though_batch_normalization_has_a_bias():
    head = ConcatDecoder(dim=4, epochs=1).fit(TrainingSet(documents=unit(20, 6)))
    np.testing.assert_array_equal(head.compress(np.zeros((2, 6), np.float32)), 0)


def test_the_linear_form_is_one_linear_layer():
    head = ConcatDecoder(dim=4, form="linear", epochs=1).fit(TrainingSet(documents=unit(20, 6)))
    assert (head.activation, head.activate_last, head.layer_norm) == ("identity", False, False)
    assert [w.shape for w in head.weights] == [(4, 6)]


def test_the_paper_form_ends_in_the_activation():
    head = ConcatDecoder(dim=4, epochs=1).fit(TrainingSet(documents=unit(20, 6)))
    assert (head.activation, head.slope, head.activate_last) == ("leaky_relu", 0.2, True)
    assert head.layer_norm


def test_pca_is_the_starting_point_if_asked(untrained):
    training = TrainingSet(documents=unit(40, 8))
    head = ConcatDecoder(dim=5, form="linear", init="pca").fit(training)
    pca = PCA(dim=5).fit(training)
    np.testing.assert_array_equal(head.weights[0], pca.weights[0])
    np.testing.assert_array_equal(head.biases[0], 0)


def test_the_random_start_is_kaimings(untrained):
    training = TrainingSet(documents=unit(40, 100))
    heads = [ConcatDecoder(dim=80, form="linear").fit(training, seed=s) for s in (0, 0, 1)]
    # A gain of sqrt(2 / (1 + .2 ** 2)) over the root of the width
    np.testing.assert_allclose(heads[0].weights[0].std(), (2 / 1.04 / 100) ** 0.5, rtol=0.03)
    np.testing.assert_array_equal(heads[0].weights[0], heads[1].weights[0])
    assert (heads[0].weights[0] != heads[2].weights[0]).all()


def test_the_state_of_torch_does_not_matter_and_is_left_alone():
    training = TrainingSet(documents=unit(30, 6))
    heads = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        heads.append(ConcatDecoder(dim=3, epochs=2).fit(training))
        np.testing.assert_array_equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(heads[0].weights[0], heads[1].weights[0])


def lost(head, x, stops):
    out = torch.from_numpy(head.compress(x))
    return float(similarity_matching(out, torch.from_numpy(x), stops))


def test_training_keeps_similarities_better_than_chance():
    training, fresh, stops = TrainingSet(documents=unit(600, 12)), unit(200, 12, seed=1), (2, 4)
    options = {"dim": 4, "nested_dims": stops, "epochs": 30, "batch_size": 64}
    random = lost(RandomProjection(dim=4).fit(training), fresh, stops)
    for form in ("paper", "linear"):
        trained = ConcatDecoder(form=form, learning_rate=1e-2, **options).fit(training)
        assert lost(trained, fresh, stops) < random / 2


def test_from_pca_it_only_gets_better():
    training, stops = TrainingSet(documents=unit(600, 12)), (1, 2, 4)
    pca = lost(PCA(dim=4).fit(training), training.documents, stops)
    compressor = ConcatDecoder(dim=4, nested_dims=stops, form="linear", init="pca", epochs=20)
    assert lost(compressor.fit(training), training.documents, stops) <= pca * 1.001


@pytest.mark.parametrize(
    ("dim", "stops"),
    [(1, (1,)), (32, (32,)), (33, (32, 33)), (100, (32, 64, 100)), (128, (32, 64, 128))],
)
def test_without_nested_dims_they_double(dim, stops):
    assert concat_decoder._doubling(dim) == stops


@pytest.mark.parametrize(("nested_dims", "expected"), [(None, (32, 40)), ((5, 40), (5, 40))])
def test_the_loss_sees_the_nested_dims(monkeypatch, nested_dims, expected):
    seen = set()

    def watch(outputs, targets, stops):
        seen.add(tuple(stops))
        return similarity_matching(outputs, targets, stops)

    monkeypatch.setattr(concat_decoder, "similarity_matching", watch)
    compressor = ConcatDecoder(dim=40, nested_dims=nested_dims, epochs=1)
    compressor.fit(TrainingSet(documents=unit(20, 48)))
    assert seen == {expected}


def test_it_may_widen():
    head = ConcatDecoder(dim=9, epochs=1).fit(TrainingSet(documents=unit(20, 6)))
    assert head.compress(unit(3, 6)).shape == (3, 9)


def test_documents_are_trained_on_where_they_lie(untrained):
    documents = unit(50, 6)
    ConcatDecoder(dim=3).fit(TrainingSet(documents=documents))
    assert untrained[0] is documents


def test_progress_is_told():
    told = []
    compressor = ConcatDecoder(dim=3, epochs=2)
    compressor.fit(TrainingSet(documents=unit(20, 6)), progress=lambda *words: told.append(words))
    assert [done for _, done, _ in told] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dim": 0}, r"^dim must be at least 1, got 0$"),
        ({"dim": 4, "form": "deep"}, r"^form must be one of \('paper', 'linear'\), got 'deep'$"),
        ({"dim": 4, "init": "zero"}, r"^init must be one of \('random', 'pca'\), got 'zero'$"),
        ({"dim": 4, "nested_dims": (2,)}, r"end with 4, got \(2,\)$"),
        (
            {"dim": 4, "nested_dims": (0, 4)},
            r"^nested_dims must lie between 1 and the width.*\(0, 4\)$",
        ),
        ({"dim": 4, "nested_dims": (2, 8)}, r"end with 4, got \(2, 8\)$"),
        ({"dim": 4, "epochs": 0}, r"at least 1 epoch and 2 rows per batch, got 0 epochs"),
        ({"dim": 4, "batch_size": 1}, r"at least 1 epoch and 2 rows per batch, .* and 1 rows$"),
    ],
)
def test_the_constructor_checks_its_values(monkeypatch, options, text):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
    with pytest.raises(ConfigError, match=text):
        ConcatDecoder(**options)


def test_too_few_documents():
    with pytest.raises(ConfigError, match="a trained head needs at least 4 embeddings, got 3"):
        ConcatDecoder(dim=2).fit(TrainingSet(documents=unit(3, 6)))


def test_pca_has_no_more_directions_than_the_input():
    with pytest.raises(ConfigError, match=r"^init='pca' needs dim of at most 6, got 7$"):
        ConcatDecoder(dim=7, init="pca").fit(TrainingSet(documents=unit(20, 6)))


def test_trained_wide_and_cut_is_the_wide_head_truncated():
    documents = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    training = TrainingSet(documents=documents)
    wide = ConcatDecoder(dim=8, nested_dims=(4, 8), epochs=2).fit(training)
    cut = ConcatDecoder(dim=4, train_dim=8, nested_dims=(4, 8), epochs=2).fit(training)
    np.testing.assert_array_equal(cut.weights[0], wide.weights[0][:4])
    assert cut.dim == 4
    with pytest.raises(ConfigError, match="train_dim must be at least dim=8, got 4"):
        ConcatDecoder(dim=8, train_dim=4)
