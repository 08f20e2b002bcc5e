"""What TensorBoard reads back is what the log was told."""

import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vecpress.errors import ArtifactError, MissingExtraError
from vecpress.tracking import tensorboard

ROWS = [
    {"event": "epoch", "stage": "8 -> 4", "epoch": 0, "loss": None, "held_out": 0.5,
     "figure": "held-out nDCG@10", "gradients": []},
    {"event": "epoch", "stage": "8 -> 4", "epoch": 1, "loss": 0.25, "held_out": 0.75,
     "figure": "held-out nDCG@10",
     "gradients": [{"rows": "0-4", "size": 0.125, "variance": 0.0625}, {"rows": "4-8", "size": 2.0}]},
    {"event": "kept", "stage": "8 -> 4", "what": "trained", "epoch": 1, "held_out": 9.0},
    {"event": "coordinates", "stage": "8 -> 4", "kept": [0]},
    {"event": "epoch", "stage": "4 -> 2", "epoch": 0, "held_out": 0.375},
    {"event": "epoch", "stage": "4 -> 2", "epoch": 1, "loss": float("nan"), "held_out": "x"},
    {"event": "epoch", "stage": "8 -> 4", "epoch": 0, "loss": 1.5},
]  # fmt: skip
WANTED = {
    "8 -> 4/loss": [(1, 0.25)],
    "8 -> 4/held-out nDCG@10": [(0, 0.5), (1, 0.75)],
    "8 -> 4/gradient size/rows 0-4": [(1, 0.125)],
    "8 -> 4/gradient variance/rows 0-4": [(1, 0.0625)],
    "8 -> 4/gradient size/rows 4-8": [(1, 2.0)],
    "4 -> 2/held out": [(0, 0.375)],
    "8 -> 4 (2)/loss": [(0, 1.5)],
}


def scalars(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def test_every_figure_is_a_scalar_of_its_stage_and_epoch(tmp_path):
    with tensorboard(tmp_path / "runs") as log:
        for row in ROWS:
            log(row)
    assert scalars(tmp_path / "runs") == WANTED


def test_what_was_told_before_an_error_is_written(tmp_path):
    def train(log):
        log(ROWS[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tensorboard(tmp_path) as log:
        train(log)
    assert scalars(tmp_path)["8 -> 4/loss"] == [(1, 0.25)]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ArtifactError, match=r"^cannot write TensorBoard events to .*file: \["),
        tensorboard(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize(("package", "extra"), [("tensorboard", "tensorboard"), ("torch", "train")])
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    sentence = (
        rf"^this needs the package '{package}', which is not installed: "
        rf"pip install 'vecpress\[{extra}\]'$"
    )
    with pytest.raises(MissingExtraError, match=sentence), tensorboard(tmp_path / "runs"):
        pass
    assert not (tmp_path / "runs").exists()
