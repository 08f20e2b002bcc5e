"""A training in a few numbers: worked out by hand from the rows of its log."""

import pytest

from vecpress.studies.run import summary


def epoch(number, held_out, *, stage="s", **more):
    return {"event": "epoch", "stage": stage, "epoch": number, "held_out": held_out, **more}


def test_a_training_in_a_few_numbers():
    bands = [
        {"rows": "0-64", "size": 1.0, "variance": 10.0},
        {"rows": "64-256", "size": 3.0, "variance": 30.0},
        {"rows": "256-512", "size": 99.0, "variance": 99.0},
    ]
    twice = [{**band, "size": 2 * band["size"]} for band in bands]
    log = [
        epoch(0, 0.9, fitted=0.8, gradients=[]),
        epoch(1, 0.6, fitted=0.5, gradients=bands, loss=0.7),
        epoch(2, 0.7, fitted=0.4, gradients=twice, loss=0.6),
        {"event": "coordinates", "stage": "s", "kept_of_important": 0.5},
        {"event": "coordinates", "stage": "s", "kept_of_important": 1.0},
        {"event": "kept", "stage": "s", "epoch": 1, "held_out": 0.6},
    ]
    size = (64 * 1 + 192 * 3) / 256
    assert summary(log) == pytest.approx(
        {
            "epochs": 2,
            "held_out": 0.6,
            "fitted": 0.5,
            "gap": 0.6 / 0.5 - 1,
            "gradient_size": 1.5 * size,
            "gradient_variance": 10 * size,
            "important": 0.75,
            "loss": 0.6,
        }
    )


def test_the_gap_is_that_of_what_was_kept_also_of_the_start():
    log = [
        epoch(0, 0.9, fitted=0.6),
        epoch(1, 1.5, fitted=0.5),
        {"event": "kept", "stage": "s", "epoch": 0, "held_out": 0.9},
    ]
    assert summary(log)["gap"] == pytest.approx(0.5)
    assert summary(log)["held_out"] == 0.9


def test_of_several_stages_the_last_is_judged_and_the_first_has_the_gradients():
    first = [{"rows": "0-8", "size": 1.0, "variance": 4.0}]
    second = [{"rows": "0-4", "size": 7.0, "variance": 7.0}]
    log = [
        epoch(1, 0.5, stage="a", fitted=0.1, gradients=first),
        {"event": "kept", "stage": "a", "epoch": 1, "held_out": 0.5},
        epoch(1, 0.6, stage="b", fitted=0.4, gradients=second),
        {"event": "kept", "stage": "b", "epoch": 1, "held_out": 0.6},
    ]
    told = summary(log)
    assert (told["epochs"], told["held_out"], told["fitted"]) == (2, 0.6, 0.4)
    assert (told["gradient_size"], told["gradient_variance"]) == (1, 4)


def test_what_was_not_measured_is_left_out():
    assert summary([]) == {}
    assert summary([epoch(1, 0.5)]) == {}
    kept = {"event": "kept", "stage": "s", "epoch": 1, "held_out": 0.5}
    assert summary([epoch(1, 0.5), kept]) == {"epochs": 1, "held_out": 0.5}
    assert "gap" not in summary([epoch(1, 0.5, fitted=0.4), {**kept, "epoch": 7}])
    assert "gap" not in summary([epoch(1, 0.5, fitted=0.0), kept])
