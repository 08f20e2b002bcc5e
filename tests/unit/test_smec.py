"""SMEC's parts one by one, on problems whose answer was planted."""

import jaxtyping
import numpy as np
import pytest
import torch

from helpers import unit
from planted import misleading, rotated
from vecpress.arrays import normalize, truncate
from vecpress.compressors import chain
from vecpress.compressors.chain import Frozen, Layer, Losses, train_layer
from vecpress.compressors.linear import PowerPCA, Truncation
from vecpress.compressors.smec import SMEC
from vecpress.compressors.task import Task
from vecpress.compressors.watch import Gradients
from vecpress.errors import ConfigError
from vecpress.head import Head
from vecpress.stages import TrainingSet
from vecpress.training import Schedule, Told

QUICK = {"epochs": 6, "batch_size": 32, "patience": 6}


def fit(training, log=None, seed=0, **options):
    rows = [] if log is None else log
    return SMEC(**QUICK | options).fit(training, seed=seed, log=rows.append)


def found(head, training):
    """Count how often the first hit is the answer."""
    hits = head.compress(training.queries) @ head.compress(training.documents).T
    return float((hits.argmax(axis=1) == training.positives[:, 1]).mean())


def events(rows, event):
    return [row for row in rows if row["event"] == event]


def test_a_layer_for_each_width_sees_exactly_two():
    rows = []
    head = fit(rotated(), rows, dim=6, nested_dims=(6, 3, 2))
    stages = [row["stage"] for row in events(rows, "kept")]
    assert stages == ["12 -> 6", "6 -> 3", "3 -> 2", "2 -> 1"]
    assert head.dims == (6, 3, 2)


@pytest.mark.parametrize(
    ("options", "wide", "stops"),
    [
        ({"dim": 32}, 640, (512, 256, 128, 64, 32)[1:]),
        ({"dim": 32}, 700, (512, 256, 128, 64, 32)),
        ({"dim": 64, "nested_dims": (64, 16)}, 384, (256, 128, 64, 16)),
        ({"dim": 12}, 12, (12,)),
    ],
)
def test_the_chain_doubles_above_the_width_asked_for(options, wide, stops):
    assert SMEC(**options)._stops(wide) == stops


def test_what_is_trained_later_leaves_what_was_frozen_alone():
    """The chain to 3 is the chain to 6 and one link more, bit for bit."""
    short = fit(rotated(), dim=6)
    longer = fit(rotated(), dim=6, nested_dims=(6, 3))
    # the last layer of the short chain sees 3 too: 6 // 2
    np.testing.assert_array_equal(short.weights[0], longer.weights[0])
    np.testing.assert_array_equal(short.biases[0], longer.biases[0])


def test_continuing_keeps_every_bit_and_adds_narrower_maps():
    training = rotated()
    head = fit(training, dim=8, nested_dims=(8, 4))
    more = SMEC(dim=1, nested_dims=(1,), **QUICK).extend(head, training)
    assert more.dims == (8, 4, 2, 1)
    for dim in (8, 4):
        np.testing.assert_array_equal(
            more.truncate(dim).compress(training.documents),
            head.truncate(dim).compress(training.documents),
        )
    assert not np.shares_memory(more.weights[0], more.narrower.weights[0])


def test_any_linear_head_can_be_continued():
    training = rotated()
    cut = Truncation(dim=12).fit(training)
    more = SMEC(dim=8, **QUICK | {"epochs": 25, "learning_rate": 1e-2}).extend(cut, training)
    assert more.dims == (12, 8)
    assert found(more.truncate(8), training) > found(cut.truncate(8), training) + 0.2
    with pytest.raises(
        ConfigError, match=r"^a head of 12 dimensions is continued to fewer, got 12$"
    ):
        SMEC(dim=12).extend(cut, training)
    bent = Head(weights=cut.weights, biases=cut.biases, layer_norm=True)
    with pytest.raises(ConfigError, match=r"^only a linear head can be continued, got one with a "):
        SMEC(dim=4).extend(bent, training)


@pytest.mark.parametrize(
    "options",
    [{}, {"sequential": False}, {"adaptive": False}, {"memory": 0}, {"alpha": 0.0},
     {"init": "identity"}],
    ids=lambda o: str(o) or "whole",
)  # fmt: skip
def test_it_learns_what_only_judgements_can_teach(options):
    training = rotated()
    rows = []
    head = fit(training, rows, dim=6, epochs=25, learning_rate=1e-2, **options)
    assert events(rows, "kept")[0]["what"] == "trained"
    assert found(head, training) > found(PowerPCA(dim=6).fit(training), training) + 0.2


def test_training_that_only_harms_leaves_the_start():
    training, rows = rotated(hidden=False), []
    head = fit(training, rows, dim=6, adaptive=False, learning_rate=10.0)
    assert {row["what"] for row in events(rows, "kept")} == {"start"}
    start = PowerPCA(dim=6).fit(training)
    np.testing.assert_allclose(head.compress(unit(9, 12)), start.compress(unit(9, 12)), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"sequential": False}, {"memory": 0}])
def test_what_helps_at_other_widths_only_is_not_kept(options):
    training, rows = misleading(), []
    head = fit(training, rows, dim=4, nested_dims=(4,), epochs=15, learning_rate=1e-2, **options)
    assert {row["what"] for row in events(rows, "kept")} == {"start"}
    start = PowerPCA(dim=4).fit(training)
    kept = head.compress(training.queries) @ head.compress(training.documents).T
    expected = start.compress(training.queries) @ start.compress(training.documents).T
    np.testing.assert_allclose(kept, expected, atol=1e-5)


class Lessons(list):
    """Catches what a layer would be trained with."""

    def __call__(self, module, lesson, **_):
        self.append(lesson)
        return False


@pytest.fixture
def lesson(monkeypatch):
    """Give a layer's lesson for given losses, and the layer."""

    def prepare(**options):
        caught = Lessons()
        monkeypatch.setattr(chain, "descend", caught)
        task = Task(rotated(), share=0.25, held_out_by="query", negatives=3, seed=0,
                    device=torch.device("cpu"))  # fmt: skip
        made = Layer(torch.eye(12), (6, 3), adaptive=True, seed=0)
        asked = {"memory": 50, "neighbours": 3, "alpha": 1.0, "temperature": 1.0} | options
        train_layer(made, Frozen.nothing(12), task, Losses(**asked), Schedule(epochs=11),
                    Told(stage="12 -> 6", figure=task.figure), (6,))  # fmt: skip
        return caught[0], made

    return prepare


def test_the_selection_cools_from_epoch_to_epoch(lesson):
    taught, made = lesson()
    taus = []
    for epoch in (1, 6, 11):
        taught.batches(epoch)
        taus.append(made.tau)
    np.testing.assert_allclose(taus, [1, 10**-0.5, 0.1])


def test_the_selection_learns_ten_times_as_fast(lesson):
    taught, made = lesson()
    taught.loss(next(iter(taught.batches(1)))).backward()
    assert (made.logits.grad != 0).any()
    weights, logits = made.groups(0.01)
    assert "lr" not in weights
    assert logits["lr"] == pytest.approx(0.1)
    assert logits["params"][0] is made.logits


@pytest.mark.parametrize(
    "other", [{"temperature": 0.1}, {"alpha": 0.5}, {"memory": 0}, {"neighbours": 1}]
)
def test_every_option_of_the_losses_counts(lesson, other):
    costs = []
    for options in ({}, other):
        taught, _ = lesson(**options)
        first, second = [*taught.batches(1), *taught.batches(2)][:2]
        taught.loss(first)  # fills the memory
        costs.append(float(taught.loss(second).detach()))
    assert costs[0] != costs[1]


def test_with_the_papers_start_nothing_learned_is_the_input_cut():
    training = rotated(hidden=False)
    head = fit(training, dim=6, adaptive=False, init="identity", learning_rate=10.0)
    start = Truncation(dim=6).fit(training)
    np.testing.assert_allclose(head.compress(unit(9, 12)), start.compress(unit(9, 12)), atol=1e-5)


def test_without_one_layer_after_another_the_head_is_nested():
    rows, x = [], unit(9, 12)
    head = fit(rotated(), rows, dim=6, nested_dims=(6, 3), sequential=False)
    assert head.dims == (6,)
    assert [row["stage"] for row in events(rows, "kept")] == ["12 -> 6 -> 3 -> 1"]
    np.testing.assert_allclose(
        head.truncate(3).compress(x), truncate(head.compress(x), 3), atol=1e-6
    )


def test_the_selection_finds_the_coordinates_that_carry_everything():
    """Of 16 coordinates the last 4 hold the documents apart; the others are one constant."""
    rng = np.random.default_rng(0)
    rows = np.ones((300, 16), np.float32)
    rows[:, 12:] = 4 * rng.normal(size=(300, 4))
    training = TrainingSet(documents=normalize(rows), models=(("a", 12), ("b", 4)))
    log = []
    fit(training, log, dim=4, nested_dims=(4,), init="identity", epochs=10)
    first = events(log, "coordinates")[0]
    assert set(first["kept"]) >= {12, 13, 14, 15}
    assert set(np.argsort(first["importance"])[-4:]) == {12, 13, 14, 15}
    assert first["models"]["b"] > 0.5
    np.testing.assert_allclose(sum(first["models"].values()), 1)
    last = events(log, "coordinates")[-1]
    assert len(last["importance"]) == 4


def test_the_share_of_what_matters_is_counted():
    log = []
    fit(rotated(), log, dim=6, adaptive=False)
    for row in events(log, "coordinates"):
        width, below = map(int, row["stage"].split(" -> "))
        best = np.argsort(row["importance"])[-below:]
        assert row["kept"] == list(range(below))
        assert row["kept_of_important"] == row["prefix_of_important"] == (best < below).mean()
        assert len(row["importance"]) == width


def layer(widths=(8, 3, 1), **options):
    made = Layer(torch.eye(8), widths, adaptive=True, seed=0)
    with torch.no_grad():
        made.logits.copy_(torch.arange(8.0))
    return made


def test_a_drawn_selection_is_hard_and_teaches_every_logit():
    made = layer()
    masks = made.masks()
    for mask, width in zip(masks, (8, 3, 1), strict=True):
        np.testing.assert_allclose(np.sort(mask.detach()), [0] * (8 - width) + [1] * width)
    assert (masks[2].detach() <= masks[1].detach() + 1e-6).all()  # narrower ones lie inside
    (masks[1] * torch.arange(1.0, 9.0)).sum().backward()
    assert made.logits.grad is not None
    assert (made.logits.grad != 0).all()


def test_noise_is_gumbels():
    """P(coordinate i is the first) = softmax(logits)_i."""
    made = Layer(torch.eye(3), (3, 1), adaptive=True, seed=1)
    with torch.no_grad():
        made.logits.copy_(torch.tensor([0.0, 1.0, 2.0]))
    drawn = torch.stack([made.masks()[1].detach() for _ in range(4000)]).mean(dim=0)
    np.testing.assert_allclose(drawn, made.logits.detach().softmax(dim=0), atol=0.03)


def test_when_training_is_over_the_selection_is_fixed():
    made, x = layer(), torch.from_numpy(unit(5, 8))
    wide, three, one = made.kept(x, made.widths)
    np.testing.assert_array_equal(wide.detach(), x.flip(1))
    np.testing.assert_array_equal(three.detach(), x[:, [7, 6, 5]])
    np.testing.assert_array_equal(one.detach(), x[:, [7]])


def test_the_selection_starts_at_the_outputs_of_most_energy():
    made = Layer(torch.eye(3), (3, 1), adaptive=True, seed=0)
    made.settle(torch.tensor([[1.0, 3.0, 0.0], [-1.0, 3.0, 2.0]]))  # energies 1, 9, 2
    assert made.order().tolist() == [1, 2, 0]
    np.testing.assert_allclose(made.logits.detach().exp(), [1 / 9, 1, 2 / 9], rtol=1e-5)


def test_layers_compose_into_one_map():
    rng, x = np.random.default_rng(0), torch.from_numpy(unit(5, 8))
    frozen = Frozen.nothing(8).cut(4)
    made = Layer(torch.from_numpy(rng.normal(size=(4, 4)).astype(np.float32)), (4, 2),
                 adaptive=True, seed=0)  # fmt: skip
    with torch.no_grad():
        made.bias.copy_(torch.arange(4.0))
        made.logits.copy_(torch.tensor([0.0, 3.0, 1.0, 2.0]))
    expected = made(x[:, :4])[:, [1, 3, 2, 0]].detach()
    np.testing.assert_allclose(frozen.then(made)(x), expected, atol=1e-5)
    head = frozen.then(made).head()
    np.testing.assert_allclose(head.compress(x.numpy()), normalize(expected.numpy()), atol=1e-5)


def test_gradients_are_measured_per_band_of_rows():
    weight = torch.nn.Parameter(torch.zeros(4, 2))
    watch = Gradients(weight, (4, 2), lambda: torch.tensor([3, 1, 0, 2]))
    for step in (1.0, 3.0):
        weight.grad = step * torch.arange(8.0).view(4, 2)
        assert watch(False) == []
    low, high = watch(True)
    assert (low["rows"], high["rows"]) == ("0-2", "2-4")
    # Rows 3 and 1 hold 6, 7, 2, 3; the gradient is that, then three times that: variance x^2
    np.testing.assert_allclose(low["size"], 2 * np.mean([6, 7, 2, 3]))
    np.testing.assert_allclose(low["variance"], np.mean([36, 49, 4, 9]))
    np.testing.assert_allclose(high["size"], 2 * np.mean([0, 1, 4, 5]))
    weight.grad = torch.ones(4, 2)
    watch(False)
    assert watch(True)[0]["variance"] == 0  # an epoch starts anew


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 4, "nested_dims": (4, 8)},
         r"nested_dims must be different widths that end with dim=4, got \(4, 8\)"),
        ({"dim": 4, "nested_dims": (4, 4)}, "nested_dims must be different widths"),
        ({"dim": 4, "init": "x"}, r"init must be one of \('pca', 'identity'\), got 'x'"),
        ({"dim": 4, "held_out_by": "pair"}, r"held_out_by must be one of \('query', 'document'\), got"),
        ({"dim": 4, "memory": -1}, "memory must be at least 0, got -1"),
        ({"dim": 4, "neighbours": 0}, "neighbours must be at least 1, got 0"),
        ({"dim": 4, "temperature": 0.0}, r"temperature must be above 0, got 0\.0"),
        ({"dim": 4, "gamma": 1.5}, r"gamma must be between 0 and 1, got 1\.5"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(monkeypatch, options, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
    with pytest.raises(ConfigError, match=f"^{message}"):
        SMEC(**options)


def test_an_output_wider_than_the_input_is_refused():
    with pytest.raises(
        ConfigError, match=r"^dim must be at most the 12 dimensions of the input, got 13$"
    ):
        SMEC(dim=13).fit(rotated())
