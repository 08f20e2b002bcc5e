"""The training loop: what it keeps of a lesson whose judgements are told in advance."""

import jaxtyping
import numpy as np
import pytest
import torch

from sliding import Slider
from vecpress.errors import ConfigError
from vecpress.training import Lesson, Schedule, Told, descend, fast_products, open_device


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"epochs": 0}, "at least 1 epoch and 2 rows per batch, got 0 epochs and 256 rows"),
        ({"batch_size": 1}, "at least 1 epoch and 2 rows per batch, got 50 epochs and 1 rows"),
        ({"held_out": 0.0}, "held_out must be between 0 and 1, got 0.0"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1, got 1.0"),
        ({"keep": "first"}, r"^keep must be one of \('best', 'last'\), got 'first'$"),
    ],
)
def test_a_schedule_checks_its_values(monkeypatch, wrong, text):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is for a user
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


def test_the_last_state_needs_no_test():
    lesson = Judged([0.5] * 8, [0.7] * 8, [0.4] * 8)
    assert lesson.run(epochs=2, keep="last")
    assert float(lesson.module.value.detach()) == lesson.states[2] != lesson.states[1]
    kept = lesson.rows[-1]
    assert (kept["what"], kept["epoch"], kept["p_value"]) == ("trained", 2, None)
    assert (kept["held_out"], kept["start"]) == (pytest.approx(0.4), 0.5)


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
