"""The decoder of arXiv:2510.04626: the folded head is the trained module."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from vecpress.arrays import normalize
from vecpress.compressors import concat_decoder
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.decoder_module import Decoder
from vecpress.compressors.linear import PCA, RandomProjection
from vecpress.errors import ConfigError
from vecpress.losses import similarity_matching
from vecpress.stages import TrainingSet
from vecpress.training import Schedule, Told


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
        return normalize(module(torch.from_numpy(x)).float().numpy())


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("form", ["paper", "linear"])
@pytest.mark.parametrize(
    "start", [{"init": "random"}, {"init": "pca"}, {"residual": True}], ids=["random", "pca", "sum"]
)
def test_the_head_is_the_trained_module(modules, depth, form, start):
    documents = unit(90, 10)
    compressor = ConcatDecoder(dim=4, train_dim=6, nested_dims=(3, 6), form=form, depth=depth,
                               dropout=0.1, orthogonality=0.1, epochs=4, keep="last",
                               learning_rate=1e-2, **start)  # fmt: skip
    head = compressor.fit(TrainingSet(documents=documents))
    assert not modules[0].training
    x = np.concatenate([unit(30, 10, seed=5), documents])
    expected = normalize(compress_with(modules[0], x)[:, :4])
    np.testing.assert_allclose(head.compress(x), expected, atol=2e-5)


class InDouble(nn.Sequential):
    """Layers in float64: of gradients that are nothing but rounding AdamW makes whole steps."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.double()

    def forward(self, x):
        return super().forward(x.double())


class DecoderInDouble(Decoder):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.double()

    def forward(self, x):
        return super().forward(x.double())


def matching_in_double(outputs, targets, stops):
    return similarity_matching(outputs, targets.double(), stops)


def by_hand(documents, *, stops, seed, schedule, form):
    """Train the paper's module as PyTorch's own layers, and give its output on the documents."""
    linear = nn.utils.skip_init(nn.Linear, documents.shape[1], max(stops))
    nn.init.kaiming_normal_(linear.weight, a=0.2, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(linear.bias)
    layers = [linear]
    if form == "paper":
        norms = nn.LayerNorm(documents.shape[1]), nn.BatchNorm1d(max(stops))
        layers = [norms[0], linear, norms[1], nn.LeakyReLU(0.2)]
    module = InDouble(*layers)
    concat_decoder.train(
        module,
        documents,
        loss=lambda outputs, batch: matching_in_double(outputs, batch, stops),
        schedule=schedule,
        seed=seed,
        told=Told(stage="", figure="", sign=-1),
    )
    return compress_with(module, documents)


@pytest.mark.parametrize("form", ["paper", "linear"])
def test_unless_asked_for_more_it_is_the_layer_of_the_paper(monkeypatch, form):
    monkeypatch.setattr(concat_decoder, "Decoder", DecoderInDouble)
    monkeypatch.setattr(concat_decoder, "similarity_matching", matching_in_double)
    documents, stops = unit(90, 10), (3, 6)
    options = {"epochs": 6, "batch_size": 32, "learning_rate": 1e-2}
    compressor = ConcatDecoder(dim=6, nested_dims=stops, form=form, **options)
    theirs = by_hand(documents, stops=stops, seed=3, schedule=Schedule(**options), form=form)
    ours = compressor.fit(TrainingSet(documents=documents), seed=3).compress(documents)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


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


@pytest.mark.parametrize("form", ["paper", "linear"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_residual_decoder_starts_from_pca(untrained, form, depth):
    training = TrainingSet(documents=unit(40, 8))
    head = ConcatDecoder(dim=5, form=form, depth=depth, residual=True).fit(training)
    x = unit(30, 8, seed=1)
    np.testing.assert_allclose(head.compress(x), PCA(dim=5).fit(training).compress(x), atol=1e-6)


@pytest.mark.parametrize("form", ["paper", "linear"])
def test_and_every_part_of_it_leaves_its_start(modules, form):
    """A layer that begins at 0 could as well stay there."""
    options = {"dim": 5, "depth": 3, "residual": True, "epochs": 3, "batch_size": 16}
    compressor = ConcatDecoder(form=form, keep="last", **options)
    starts = compressor._start(unit(90, 8), 0).state_dict()
    compressor.fit(TrainingSet(documents=unit(90, 8)))
    ends = modules[0].state_dict()
    assert len(ends) == (24 if form == "paper" else 7)
    for name, start in starts.items():
        assert (ends[name] != start).any(), name


def test_deep_pca_is_the_starting_point_if_asked(untrained):
    training, x = TrainingSet(documents=unit(40, 8)), unit(30, 8, seed=1)
    for hidden in (None, 5, 11):
        deep = ConcatDecoder(dim=5, form="linear", depth=3, hidden=hidden, init="pca")
        pca = PCA(dim=5).fit(training).compress(x)
        np.testing.assert_allclose(deep.fit(training).compress(x), pca, atol=1e-6)


@pytest.mark.parametrize(
    ("dim", "hidden", "widths"),
    [(4, None, [8, 8, 8, 4]), (10, None, [8, 10, 10, 10]), (4, 3, [8, 3, 3, 4])],
)
def test_hidden_layers_are_no_bottleneck_unless_asked(untrained, dim, hidden, widths):
    head = ConcatDecoder(dim=dim, depth=3, hidden=hidden).fit(TrainingSet(documents=unit(40, 8)))
    assert [head.in_dim, *(len(weight) for weight in head.weights)] == widths
    assert head.layer_norm
    assert head.activate_last


def test_deep_and_linear_is_one_matrix():
    compressor = ConcatDecoder(dim=4, form="linear", depth=3, residual=True, epochs=1)
    head = compressor.fit(TrainingSet(documents=unit(20, 6)))
    assert [w.shape for w in head.weights] == [(4, 6)]
    assert head.skip is None


def test_regularization_takes_no_part_in_what_is_logged_of_rows():
    """A start from PCA is judged as PCA is, however heavy the penalty and the dropout."""
    rows = []
    compressor = ConcatDecoder(dim=4, residual=True, depth=2, dropout=0.5, orthogonality=9.0,
                               epochs=1)  # fmt: skip
    documents = unit(60, 8)
    compressor.fit(TrainingSet(documents=documents), log=rows.append)
    pca = PCA(dim=4).fit(TrainingSet(documents=documents))
    order = np.random.default_rng(0).permutation(60)
    for name, part in [("held_out", order[:6]), ("fitted", order[6:12])]:
        expected = lost(pca, documents[np.sort(part)], (4,))
        np.testing.assert_allclose(rows[0][name], expected, rtol=1e-4)
    assert rows[1]["loss"] > rows[1]["held_out"]
    assert rows[1].keys() >= {"fitted", "held_out", "loss"}


def test_dropout_reaches_the_module(modules):
    documents = TrainingSet(documents=unit(60, 8))
    options = {"dim": 4, "epochs": 2, "keep": "last"}
    heads = [ConcatDecoder(dropout=share, **options).fit(documents) for share in (0.0, 0.3)]
    assert [module.dropout for module in modules] == [0.0, 0.3]
    assert (heads[0].weights[0] != heads[1].weights[0]).any()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_heavy_weight_makes_layers_orthogonal(modules, depth):
    options = {"dim": 4, "depth": depth, "epochs": 60, "batch_size": 64, "learning_rate": 1e-2}
    for weight in (0.0, 10.0):
        compressor = ConcatDecoder(orthogonality=weight, keep="last", **options)
        compressor.fit(TrainingSet(documents=unit(200, 8)))
    free, held = (float(module.skew().detach()) for module in modules)
    assert held < free / 100


def test_a_small_set_is_fitted_closer_than_rows_held_out():
    """With `keep="last"` the log shows over-fitting; the best epoch is kept without it."""
    gaps = {}
    for keep in ("best", "last"):
        rows = []
        compressor = ConcatDecoder(dim=8, depth=3, epochs=60, learning_rate=5e-3, keep=keep)
        compressor.fit(TrainingSet(documents=unit(60, 24)), log=rows.append)
        kept = rows[-1]
        row = next(r for r in rows if r["event"] == "epoch" and r["epoch"] == kept["epoch"])
        gaps[keep] = (row["held_out"] - row["fitted"], kept["held_out"], kept["epoch"])
    assert gaps["last"][2] == 60 > gaps["best"][2]
    assert gaps["last"][0] > 0
    assert gaps["best"][1] < gaps["last"][1]


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
        ({"dim": 4, "depth": 0}, r"^depth must be between 1 and 4 layers, got 0$"),
        ({"dim": 4, "depth": 5}, r"^depth must be between 1 and 4 layers, got 5$"),
        (
            {"dim": 4, "hidden": 9},
            r"^hidden is the width between layers, and depth=1 has none, got 9: leave it out, or "
            r"take depth=2$",
        ),
        ({"dim": 4, "depth": 2, "hidden": 0}, r"^hidden must be at least 1, got 0$"),
        ({"dim": 4, "dropout": 1.0}, r"^dropout must be at least 0 and below 1, got 1\.0$"),
        ({"dim": 4, "dropout": -0.1}, r"^dropout must be at least 0 and below 1, got -0\.1$"),
        ({"dim": 4, "dropout": math.nan}, r"^dropout must be at least 0 and below 1, got nan$"),
        (
            {"dim": 4, "orthogonality": -1.0},
            r"^orthogonality must be a finite number of at least 0, got -1\.0$",
        ),
        (
            {"dim": 4, "orthogonality": math.inf},
            r"^orthogonality must be a finite number of at least 0, got inf$",
        ),
        (
            {"dim": 4, "residual": True, "init": "pca"},
            r"^residual=True starts from PCA by itself, with random layers beside it, got "
            r"init='pca' too: leave init out$",
        ),
        ({"dim": 4, "keep": "all"}, r"^keep must be one of \('best', 'last'\), got 'all'$"),
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
    wide = ConcatDecoder(dim=4, train_dim=7, residual=True)
    with pytest.raises(ConfigError, match=r"^residual=True needs train_dim of at most 6, got 7$"):
        wide.fit(TrainingSet(documents=unit(20, 6)))


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
