"""The training loop, watched through the loss it calls and the progress it tells."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from vecpress.errors import ConfigError
from vecpress.stages import silent
from vecpress.training import Lesson, Schedule, Told, descend, fast_products, open_device, train


def numbered(n, d=3):
    """Rows that can be recognized: the first coordinate is the row's number."""
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    rows[:, 0] = np.arange(n)
    return rows


def linear(in_dim, dim, seed=0):
    module = nn.Linear(in_dim, dim)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def state_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


class Slider(nn.Module):
    """One number; a loss that rises with it moves it down by the learning rate at each step."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.value.expand(len(x))


class Watched:
    """A loss whose judgements are told in advance, and that remembers what it was asked."""

    def __init__(self, module, judgements=None):
        self.module = module
        self.judgements = iter(judgements or [])
        self.trained, self.judged, self.states = [], [], []

    def __call__(self, outputs, batch):
        if torch.is_grad_enabled():
            self.trained.append([int(number) for number in batch[:, 0]])
            return outputs.sum()
        assert not self.module.training
        self.judged.append([int(number) for number in batch[:, 0]])
        self.states.append(state_of(self.module))
        return torch.tensor(next(self.judgements, 0.0))


def run(module, embeddings, loss, *, seed=0, progress=silent, **schedule):
    told = Told(stage="3 -> 3", figure="held-out loss", sign=-1, progress=progress)
    return train(module, embeddings, loss=loss, schedule=Schedule(**schedule), seed=seed, told=told)


def recover(target):
    """Ask for a given linear map."""
    return lambda outputs, batch: (outputs - batch @ target).square().mean()


def test_the_held_out_loss_improves():
    x = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    target = torch.from_numpy(np.random.default_rng(2).normal(size=(6, 3)).astype(np.float32))
    module, told = linear(6, 3), []
    run(
        module,
        x,
        recover(target),
        epochs=40,
        batch_size=20,
        learning_rate=0.05,
        progress=lambda what, *_: told.append(float(what.split(",")[1].rpartition(" ")[2])),
    )
    assert told[-1] < told[0] / 100
    np.testing.assert_allclose(module.weight.detach().numpy(), target.T, atol=0.2)
    assert not module.training


def test_it_trains_in_place_and_returns_the_same_module():
    module = linear(3, 2)
    before = state_of(module)
    loss = recover(torch.zeros(3, 2))
    assert run(module, numbered(20), loss, epochs=2, learning_rate=0.1) is module
    assert (module.weight != before["weight"]).all()


def test_held_out_rows_are_never_trained_on_and_the_others_always():
    module = Slider()
    loss = Watched(module, [0.5, 0.4, 0.3, 0.2])
    run(module, numbered(40), loss, epochs=3, batch_size=8, held_out=0.25)
    judges = loss.judged[0]
    assert len(judges) == 10
    assert all(rows == judges for rows in loss.judged)
    epochs = [[*itertools.chain(*loss.trained[i : i + 4])] for i in (0, 4, 8)]
    learners = sorted(set(range(40)) - set(judges))
    assert all(len(batch) <= 8 for batch in loss.trained)
    for epoch in epochs:
        assert len(epoch) == 30
        assert sorted(epoch) == learners
    assert epochs[0] != epochs[1] != epochs[2]


def test_it_stops_when_patience_is_out_and_gives_back_the_best():
    module, told = Slider(), []
    loss = Watched(module, [9.0, 5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 3.1, 0.0])
    run(
        module,
        numbered(10),
        loss,
        epochs=50,
        batch_size=8,
        patience=3,
        progress=lambda *words: told.append(words),
    )
    assert len(loss.states) == 8  # the start, and epochs 1 to 7: three after the best, the fourth
    assert_same_state(state_of(module), loss.states[4])
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4, 5, 6, 7, 50]
    assert {total for _, _, total in told} == {50}
    assert told[0][0] == "3 -> 3, held-out loss 9.00e+00"
    assert told[-1][0] == "3 -> 3, held-out loss 3.00e+00"


def test_an_equal_loss_is_no_better():
    module = Slider()
    loss = Watched(module, [2.0, 1.0] + [1.0] * 20)
    run(module, numbered(10), loss, epochs=20, patience=2)
    assert len(loss.states) == 4
    assert_same_state(state_of(module), loss.states[1])


def test_the_starting_point_is_judged_too():
    """Training that only makes it worse gives back what it was given."""
    module = Slider()
    start = state_of(module)
    loss = Watched(module, [1.0] + [2.0] * 20)
    run(module, numbered(10), loss, epochs=20, patience=4)
    assert len(loss.states) == 5
    assert_same_state(state_of(module), start)
    assert (loss.states[-1]["value"] != start["value"]).all()


def test_a_step_too_long_never_gives_anything_worse():
    x = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    module = linear(4, 2)
    target = module.weight.detach().clone().T
    with torch.no_grad():
        module.bias.zero_()
    start = state_of(module)
    run(module, x, recover(target), epochs=3, learning_rate=100.0)
    assert_same_state(state_of(module), start)


def test_a_loss_that_is_not_a_number_never_counts_as_best():
    module = Slider()
    loss = Watched(module, [math.nan, math.nan, 7.0, math.nan, 6.0, math.nan])
    run(module, numbered(10), loss, epochs=5)
    assert_same_state(state_of(module), loss.states[4])
    module = Slider()
    start = state_of(module)
    run(module, numbered(10), Watched(module, [math.nan] * 4), epochs=3)
    assert_same_state(state_of(module), start)


def test_batch_normalization_comes_back_with_its_statistics():
    x = np.random.default_rng(1).normal(5, 2, size=(40, 3)).astype(np.float32)
    module = nn.BatchNorm1d(3)
    run(module, x, lambda outputs, _: outputs.square().mean(), epochs=30, patience=30)
    assert (module.running_mean > 3).all()


def test_a_rest_of_one_row_does_not_stop_batch_normalization():
    for n in (5, 9, 10, 11, 13):
        loss = recover(torch.zeros(3, 3))
        run(nn.BatchNorm1d(3), numbered(n), loss, epochs=2, batch_size=4)


def test_the_learning_rate_decays_in_steps():
    module = Slider()
    loss = Watched(module, [float(-i) for i in range(20)])
    run(
        module,
        numbered(4),  # two learn, so an epoch is one step, and AdamW's is the learning rate long
        loss,
        epochs=7,
        learning_rate=0.1,
        weight_decay=0.0,
        decay_every=3,
        decay=0.5,
    )
    values = [float(state["value"]) for state in loss.states]
    np.testing.assert_allclose(np.diff(values), [-0.1] * 3 + [-0.05] * 3 + [-0.025], rtol=1e-4)


def test_the_seed_decides_the_split_and_the_order():
    watched = {}
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        module = Slider()
        watched[name] = Watched(module)
        torch.manual_seed(seed + len(watched))  # the global state must not matter
        run(module, numbered(30), watched[name], seed=seed, epochs=2, batch_size=4)
    assert watched["a"].judged == watched["b"].judged
    assert watched["a"].trained == watched["b"].trained
    assert watched["a"].judged != watched["c"].judged
    assert watched["a"].trained != watched["c"].trained


def test_the_same_seed_gives_the_same_module():
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    modules = [linear(5, 2) for _ in range(3)]
    for module, seed in zip(modules, [3, 3, 4], strict=True):
        run(module, x, recover(torch.ones(5, 2)), seed=seed, epochs=3, batch_size=8)
    assert_same_state(state_of(modules[0]), state_of(modules[1]))
    assert (modules[0].weight != modules[2].weight).any()


def test_a_memory_map_trains_like_an_array(tmp_path):
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    states = []
    for embeddings in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), np.asfortranarray(x)):
        module = linear(5, 2)
        run(module, embeddings, recover(torch.ones(5, 2)), epochs=3, batch_size=8)
        states.append(state_of(module))
    assert_same_state(states[0], states[1])
    assert_same_state(states[0], states[2])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x)


def test_four_rows_are_enough_and_three_are_not():
    module = Slider()
    loss = Watched(module)
    run(module, numbered(4), loss, epochs=1, held_out=0.9)
    assert sorted(loss.judged[0] + loss.trained[0]) == [0, 1, 2, 3]
    assert len(loss.trained[0]) == 2
    with pytest.raises(ConfigError, match=r"^a trained head needs at least 4 embeddings, got 3$"):
        run(module, numbered(3), loss)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"epochs": 0}, "at least 1 epoch and 2 rows per batch, got 0 epochs and 256 rows"),
        ({"batch_size": 1}, "at least 1 epoch and 2 rows per batch, got 50 epochs and 1 rows"),
        ({"held_out": 0.0}, "held_out must be between 0 and 1, got 0.0"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1, got 1.0"),
    ],
)
def test_a_schedule_checks_its_values(wrong, text):
    with pytest.raises(ConfigError, match=text):
        Schedule(**wrong)


class Judged:
    """A lesson whose held-out cases are told in advance, epoch by epoch."""

    def __init__(self, *epochs):
        self.module = Slider()
        self.judgements = iter(np.array(cases, np.float64) for cases in epochs)
        self.states, self.rows, self.asked = [], [], []

    def judge(self):
        self.states.append(float(self.module.value.detach()))
        return next(self.judgements)

    def gradients(self, done):
        self.asked.append(done)
        return [{"rows": "0-1", "size": 1.0, "variance": 0.0}] if done else []

    def run(self, **schedule):
        lesson = Lesson(
            batches=lambda _: [1, 2],
            loss=lambda batch: self.module.value * batch,
            judge=self.judge,
            gradients=self.gradients,
        )
        told = Told(stage="2 -> 1", figure="held-out nDCG@10", log=self.rows.append)
        return descend(
            self.module, lesson, schedule=Schedule(weight_decay=0.0, **schedule), told=told
        )


def test_a_sure_gain_is_kept():
    """Eight gains of .2: of the 256 ways to draw their signs, two give as much."""
    lesson = Judged([0.5] * 8, [0.7] * 8, [0.4] * 8)
    assert lesson.run(epochs=2)
    assert float(lesson.module.value.detach()) == lesson.states[1] != 0
    kept = lesson.rows[-1]
    assert kept == {"event": "kept", "stage": "2 -> 1", "what": "trained", "epoch": 1,
                    "held_out": pytest.approx(0.7), "start": 0.5, "figure": "held-out nDCG@10",
                    "p_value": pytest.approx(2 / 256, abs=0.004), "cases": 8}  # fmt: skip


@pytest.mark.parametrize(
    "judged", [[0.7] * 5, [1.0, 1.0, 0.8, 0.4, 0.4, 0.3, 0.6, 0.5]], ids=["few", "mixed"]
)
def test_a_gain_that_may_be_luck_is_not(judged):
    lesson = Judged([0.5] * len(judged), judged, [0.4] * len(judged))
    assert not lesson.run(epochs=2)
    assert float(lesson.module.value.detach()) == 0
    kept = lesson.rows[-1]
    assert (kept["what"], kept["epoch"], kept["held_out"], kept["start"]) == ("start", 0, 0.5, 0.5)
    assert kept["p_value"] > 0.05


def test_every_epoch_is_logged_with_its_gradients():
    lesson = Judged([0.1, 0.3], [0.2, 0.4])
    lesson.run(epochs=1, learning_rate=0.1)
    start, first = lesson.rows[:2]
    assert start == {"event": "epoch", "stage": "2 -> 1", "epoch": 0, "loss": None, "held_out": 0.2,
                     "figure": "held-out nDCG@10", "gradients": []}  # fmt: skip
    # The value is 0 at the first batch and -.1 at the second, which counts twice.
    np.testing.assert_allclose(first["loss"], (0 - 0.1 * 2) / 2, rtol=1e-6)
    assert (first["epoch"], first["gradients"][0]["rows"]) == (1, "0-1")
    assert lesson.asked == [False, False, True]


def test_a_device_is_there_or_named():
    assert open_device("cpu").type == "cpu"
    assert open_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigError, match=r"^device must be cpu, cuda or auto, got 'gpu'$"):
        open_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(
            ConfigError,
            match=r"^device 'cuda' asks for a GPU, and PyTorch finds none: take 'auto'$",
        ):
            open_device("cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_fast_products_leave_the_setting_as_it_was(device):
    before = torch.backends.cuda.matmul.allow_tf32
    with fast_products(torch.device(device)):
        assert torch.backends.cuda.matmul.allow_tf32 == (before or device == "cuda")
    assert torch.backends.cuda.matmul.allow_tf32 == before
