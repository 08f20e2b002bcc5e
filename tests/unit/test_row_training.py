"""Training on rows, watched through the loss it calls and the progress it tells."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from sliding import Slider
from vecpress.compressors.row_training import train
from vecpress.errors import ConfigError
from vecpress.stages import silent, unlogged
from vecpress.training import Schedule, Told


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


class Watched:
    """A loss whose judgements are told in advance, and that remembers what it was asked.

    Rows that judge come first; any others asked for in evaluation are a sample of those trained on.
    """

    def __init__(self, module, judgements=None, *, fitted=0.0):
        self.module = module
        self.judgements = iter(judgements or [])
        self.loss_when_fitted = fitted
        self.trained, self.judged, self.fitted, self.states = [], [], [], []

    def __call__(self, outputs, batch):
        rows = [int(number) for number in batch[:, 0]]
        if torch.is_grad_enabled():
            self.trained.append(rows)
            return outputs.sum()
        assert not self.module.training
        if self.judged and rows != self.judged[0]:
            self.fitted.append(rows)
            return torch.tensor(self.loss_when_fitted)
        self.judged.append(rows)
        self.states.append(state_of(self.module))
        return torch.tensor(next(self.judgements, 0.0))


def run(module, embeddings, loss, *, seed=0, progress=silent, log=unlogged, penalty=None, **asked):
    told = Told(stage="3 -> 3", figure="held-out loss", sign=-1, progress=progress, log=log)
    more = {} if penalty is None else {"penalty": penalty}
    return train(
        module, embeddings, loss=loss, schedule=Schedule(**asked), seed=seed, told=told, **more
    )


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


def test_as_many_rows_trained_on_are_judged_too_the_same_each_time():
    module, rows = Slider(), []
    loss = Watched(module, [0.5, 0.4, 0.3], fitted=0.125)
    run(module, numbered(40), loss, epochs=2, batch_size=8, held_out=0.25, log=rows.append)
    assert [sorted(set(asked)) for asked in loss.fitted] == [loss.fitted[0]] * 3
    assert len(loss.fitted[0]) == len(loss.judged[0]) == 10
    assert set(loss.fitted[0]) < set(itertools.chain(*loss.trained))
    assert [row.get("fitted") for row in rows] == [0.125] * 3 + [None]  # the last says what is kept
    assert [row["held_out"] for row in rows] == pytest.approx([0.5, 0.4, 0.3, 0.3])


def test_where_fewer_learn_than_judge_all_of_them_are_judged_too():
    module = Slider()
    loss = Watched(module)
    run(module, numbered(10), loss, epochs=1, batch_size=8, held_out=0.8)
    assert len(loss.judged[0]) == 8
    assert loss.fitted[0] == sorted(loss.trained[0])


def test_a_penalty_is_trained_on_and_no_part_of_what_is_told_of_rows():
    module, rows = linear(3, 2), []
    weight = module.weight.detach().clone()

    def loss(outputs, _):
        return 0 * outputs.sum()

    def penalty():
        return 0.5 * module.weight.square().sum()

    run(module, numbered(20), loss, penalty=penalty, epochs=1, log=rows.append, learning_rate=0.01,
        weight_decay=0.0, keep="last")  # fmt: skip
    # One batch, so one step: AdamW's first is the learning rate long, against the gradient's sign.
    np.testing.assert_allclose(
        module.weight.detach(), weight - 0.01 * weight.sign(), rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(rows[1]["loss"], 0.5 * weight.square().sum(), rtol=1e-6)
    assert (rows[1]["held_out"], rows[1]["fitted"]) == (0, 0)


def test_the_last_state_is_kept_if_asked_and_patience_is_none():
    module, rows = Slider(), []
    loss = Watched(module, [1.0, 0.5, 2.0, 3.0, 4.0, 5.0])
    run(module, numbered(10), loss, epochs=5, patience=1, keep="last", log=rows.append)
    assert len(loss.states) == 6
    assert_same_state(state_of(module), loss.states[-1])
    assert not module.training
    assert rows[-1] == {"event": "kept", "stage": "3 -> 3", "what": "trained", "epoch": 5,
                        "held_out": 5.0, "start": 1.0, "p_value": None, "cases": 1,
                        "figure": "held-out loss"}  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_last_state_that_is_no_number_is_refused(bad):
    module = Slider()
    with pytest.raises(
        ConfigError,
        match=r"^after 2 epochs the held-out loss is not a finite number: take a lower "
        r"learning_rate than 0\.25, or keep='best'$",
    ):
        run(module, numbered(10), Watched(module, [1.0, bad, bad]), epochs=2, learning_rate=0.25,
            keep="last")  # fmt: skip
    run(module, numbered(10), Watched(module, [1.0, bad, 2.0]), epochs=2, keep="last")
