"""A log is read from a press or a file, and gathered by stage whatever is missing in it."""

import gzip
import json
import math

import pytest

from vecpress import artifact
from vecpress.errors import ArtifactError, DataError
from vecpress.training_log import Names, bands_of, number, read_training, stages_of

ROWS = [
    {"event": "epoch", "stage": "8 -> 4", "epoch": 0, "loss": None, "held_out": 0.5},
    {"event": "epoch", "stage": "8 -> 4", "epoch": 1, "loss": 0.25, "held_out": 0.75},
    {"event": "kept", "stage": "8 -> 4", "what": "trained", "epoch": 1, "held_out": 0.75,
     "start": 0.5, "figure": "held-out nDCG@10"},
]  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_log_is_read_from_a_press_and_from_its_file(tmp_path):
    artifact.save(tmp_path / "press", {"x": 1}, log=ROWS)
    assert list(read_training(tmp_path / "press")) == ROWS
    assert list(read_training(str(tmp_path / "press" / "training.jsonl"))) == ROWS
    packed = tmp_path / "copy.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "press" / "training.jsonl").read_bytes()))
    assert list(read_training(packed)) == ROWS


def test_a_press_without_a_log_says_what_leaves_one(tmp_path):
    artifact.save(tmp_path / "press", {"x": 1})
    with pytest.raises(
        DataError,
        match=r"press has no training log: only a head that is trained, such as smec, leaves one$",
    ):
        read_training(tmp_path / "press")


@pytest.mark.parametrize("rows", [[{"benchmark": "toy"}], [{"event": "other"}], [{"event": []}]])
def test_rows_of_something_else_are_no_log(tmp_path, rows):
    with pytest.raises(
        DataError,
        match=r"x\.jsonl is not a training log: no row has an 'event' of epoch, coordinates, kept; "
        r"give a press folder or its training\.jsonl$",
    ):
        read_training(write(tmp_path / "x.jsonl", rows))


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(DataError, match=r"absent\.jsonl is not a file"):
        read_training(tmp_path / "absent.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"event": "kept"}\n{"ev')
    with pytest.raises(DataError, match=r"line 2 of .*broken\.jsonl is not JSON"):
        read_training(tmp_path / "broken.jsonl")
    with pytest.raises(ArtifactError, match=r"is not a vecpress folder: no config\.json"):
        read_training(tmp_path)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0.5, 0.5),
        (3, 3.0),
        (-1e-320, -1e-320),
        (math.nan, None),
        (-math.inf, None),
        (1e101, None),
        (10**400, None),
        (True, None),
        ("1", None),
        (None, None),
        ([1], None),
    ],
)
def test_only_a_finite_number_that_can_be_drawn_counts(value, wanted):
    assert number(value) == wanted
    assert number(value) is None or isinstance(number(value), float)


def test_stages_come_in_the_order_trained_with_all_that_is_said_of_them():
    coordinates = {"event": "coordinates", "stage": "8 -> 4", "kept": [0]}
    other = {"event": "epoch", "stage": "4 -> 2", "epoch": 0, "held_out": 0.25, "figure": "loss"}
    unknown = {"event": "weather", "stage": "somewhere", "epoch": 3}
    first, second = stages_of([ROWS[0], unknown, ROWS[1], other, ROWS[2], coordinates])
    assert (first.name, first.figure, first.last) == ("8 -> 4", "held-out nDCG@10", 1)
    assert [(e.number, e.loss, e.held_out) for e in first.epochs] == [
        (0, None, 0.5),
        (1, 0.25, 0.75),
    ]
    assert (first.kept_epoch, first.start, first.held_out) == (1, 0.5, 0.75)
    assert first.coordinates == coordinates
    assert (second.name, second.figure, second.last) == ("4 -> 2", "loss", 0)
    assert (second.kept_epoch, second.start, second.held_out) == (None, 0.25, None)


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [
        ({}, (None, 0.5, None)),
        ({"what": "start"}, (0, 0.5, 0.5)),
        ({"what": "start", "epoch": 1, "held_out": math.nan}, (0, 0.5, 0.5)),
        ({"what": "trained", "epoch": 1}, (1, 0.5, 0.75)),
        ({"epoch": 1, "start": 0.125, "held_out": 0.8}, (1, 0.125, 0.8)),
        ({"what": "trained", "epoch": -1}, (None, 0.5, None)),
        ({"what": "trained", "epoch": True}, (None, 0.5, None)),
        ({"what": "trained", "epoch": 9}, (9, 0.5, None)),
    ],
)
def test_what_the_row_of_what_was_kept_leaves_out_the_epochs_tell(kept, wanted):
    (stage,) = stages_of([*ROWS[:2], {"event": "kept", "stage": "8 -> 4", **kept}])
    assert (stage.kept_epoch, stage.start, stage.held_out) == wanted


def test_stages_of_one_name_are_told_apart_where_epochs_start_again():
    rows = [
        {"event": "epoch", "stage": "a", "epoch": 0},
        {"event": "epoch", "stage": "a", "epoch": 1},
        {"event": "kept", "stage": "a", "epoch": 1},
        {"event": "epoch", "stage": "a", "epoch": 0},
        {"event": "kept", "stage": "a", "epoch": 0},
        {"event": "epoch", "stage": "a", "epoch": 0},
    ]
    stages = stages_of(rows)
    assert [stage.name for stage in stages] == ["a", "a (2)", "a (3)"]
    assert [len(stage.epochs) for stage in stages] == [2, 1, 1]
    assert [stage.kept_epoch for stage in stages] == [1, 0, None]
    names = Names()
    assert [names.place(row) for row in rows] == [
        ("a", 0), ("a", 1), ("a", 1), ("a (2)", 0), ("a (2)", 0), ("a (3)", 0),
    ]  # fmt: skip


def test_rows_without_stage_or_epoch_follow_the_last():
    (stage,) = stages_of([{"event": "epoch"}, {"event": "epoch", "epoch": "x"}, {"event": "epoch"}])
    assert stage.name == "training"
    assert [epoch.number for epoch in stage.epochs] == [0, 1, 2]


def test_bands_are_read_as_far_as_they_can_be():
    bands = [
        {"rows": "0-4", "size": 0.5, "variance": 0.25},
        {"size": math.nan},
        "x",
        {"rows": "4-8", "variance": 1},
    ]
    wanted = {"0-4": (0.5, 0.25), "all": (None, None), "4-8": (None, 1.0)}
    assert bands_of({"gradients": bands}) == wanted
    assert bands_of({"gradients": "0-4"}) == bands_of({}) == {}
