"""Arms: every combination of levels, and what each is made of."""

import itertools

import pytest

from small_study import AXES, study
from vecpress.compressors.linear import PCA
from vecpress.errors import ConfigError
from vecpress.quantizers.scalar import Percentile
from vecpress.studies.arms import matches


def only(level, **changes):
    """The one arm of a study of one level."""
    (arm,) = study(axes={"axis": {"it": level}}, **changes).arms
    return arm


def refused(level, **changes):
    with pytest.raises(ConfigError) as caught:
        only(level, **changes)
    return str(caught.value)


def test_arms_are_all_combinations_in_the_order_of_the_file():
    arms = study().arms
    labels = list(itertools.product(("none", "pca"), ("floats", "2 bit", "1 bit")))
    assert [tuple(arm.labels.values()) for arm in arms] == labels
    assert arms[4].name == "pca, 2 bit"
    assert arms[4].compressor() == PCA(dim=4)
    assert arms[4].codes() == Percentile(bits=2)
    assert (arms[0].compressor(), arms[0].codes()) == (None, None)


def test_what_is_left_out_is_not_run():
    left = study(leave_out=[{"head": "pca", "code": ["2 bit", "1 bit"]}, {"code": "floats"}]).arms
    assert [arm.name for arm in left] == ["none, 2 bit", "none, 1 bit"]


def test_a_level_lies_over_what_all_share_and_over_the_axes_before_it():
    base = {"head": {"kind": "power-pca", "dim": 4, "gamma": 0.5}, "sample": 9}
    axes = {
        "one": {"as it is": {}, "other": {"head": {"kind": "pca", "dim": 3}}},
        "two": {"wide": {"head": {"dim": 8}}, "few": {"sample": 5}, "no head": {"head": {}}},
    }
    arms = study(arms=base, axes=axes).arms
    assert [(arm.head, arm.sample) for arm in arms] == [
        ({"kind": "power-pca", "dim": 8, "gamma": 0.5}, 9),
        (base["head"], 5),
        (None, 9),
        ({"kind": "pca", "dim": 8}, 9),
        ({"kind": "pca", "dim": 3}, 5),
        (None, 9),
    ]
    assert base["head"] == {"kind": "power-pca", "dim": 4, "gamma": 0.5}


def test_no_quantizer_takes_the_place_of_one():
    coded = {"quantizer": {"kind": "percentile", "bits": 2}}
    assert only({"quantizer": {}}, arms=coded).quantizer is None
    assert only({"quantizer": {"bits": 1}}, arms=coded).codes() == Percentile(bits=1)


def test_models_count_from_one_into_the_pool_or_stand_for_themselves():
    own = {"kind": "lexical", "dim": 3}
    arm = only({"models": [2, "toys:Noise", own], "weights": [1, 0.5, 2]})
    assert arm.models == ("toys:B", "toys:Noise", own)
    assert arm.weights == (1, 0.5, 2)
    assert only({}).models == ("toys:A",)


def test_settings_are_all_but_the_labels_and_what_is_not_set():
    assert only({"truncate": 3}).settings() == {
        "models": ("toys:A",),
        "truncate": 3,
        "scoring": "asymmetric",
        "fit_on": ("documents",),
        "sample": 20_000,
        "judgements": False,
    }


def test_a_partial_choice_matches_its_levels_or_any_of_a_list():
    arm = {"head": "pca", "code": "2 bit"}
    assert matches(arm, {})
    assert matches(arm, {"code": ["1 bit", "2 bit"]})
    assert not matches(arm, {"code": ["1 bit", "2 bit"], "head": "none"})
    assert not matches(arm, {"size": "2 bit"})


IMPOSSIBLE = [
    ("models", [], "a list of at least one model"),
    ("models", 1, "a list of at least one model"),
    ("weights", [1.0], "a list of numbers above 0, one per model"),
    ("weights", [1.0, 0], "a list of numbers above 0, one per model"),
    ("weights", [1.0, "2"], "a list of numbers above 0, one per model"),
    ("weights", [1.0, float("inf")], "a list of numbers above 0, one per model"),
    ("head", "pca", "a table"),
    ("quantizer", 4, "a table"),
    ("truncate", 0, "a whole number above 0, or a share below 1"),
    ("truncate", True, "a whole number above 0, or a share below 1"),
    ("truncate", 2.5, "a whole number above 0, or a share below 1"),
    ("scoring", "hamming", "one of asymmetric, symmetric, cells"),
    ("fit_on", "wikipedia", "a list of at least one name"),
    ("fit_on", [], "a list of at least one name"),
    ("fit_on", [3], "a list of at least one name"),
    ("sample", 0, "a whole number above 0"),
    ("judgements", 1, "true or false"),
]


@pytest.mark.parametrize(("key", "value", "wanted"), IMPOSSIBLE)
def test_a_setting_of_another_type_or_size_is_refused(key, value, wanted):
    level = {"models": [1, 2], key: value}
    assert refused(level) == f"{key} of arm 'it' must be {wanted}, got {value!r}"


def test_weights_and_models_that_are_both_wrong_are_refused():
    """Models that are no list have no number for weights to agree with."""
    message = "weights of arm 'it' must be a list of numbers above 0, one per model, got [1]"
    assert refused({"weights": [1], "models": 2}) == message


def test_an_unknown_setting_is_refused_with_those_there_are():
    assert refused({"dims": 3}) == (
        "arm 'it' has no setting 'dims'; it has models, weights, head, truncate, quantizer, "
        "scoring, fit_on, sample, judgements"
    )


def test_codes_that_are_not_there_cannot_be_compared():
    assert refused({"scoring": "cells"}) == "scoring 'cells' of arm 'it' needs a quantizer"


@pytest.mark.parametrize("number", [0, 3])
def test_a_model_past_the_end_of_the_pool_is_refused(number):
    message = f"arm 'it' takes model {number}, but the study has 2"
    assert refused({"models": [number]}) == message


@pytest.mark.parametrize("model", [True, 1.5])
def test_a_model_of_another_type_is_refused(model):
    message = f"a model of arm 'it' must be a number, a name or a table, got {model!r}"
    assert refused({"models": [model]}) == message


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ({"head": {"kind": "nope"}}, "unknown method 'nope'"),
        ({"head": {"dim": 3}}, "a method needs a 'kind'"),
        ({"head": {"kind": "pca", "dims": 3}}, "'pca' has no option 'dims'"),
        ({"quantizer": {"kind": "percentile", "bits": 9}}, "bits must be between 1 and 8, got 9"),
    ],
)
def test_methods_are_built_before_anything_runs(level, message):
    assert refused(level).startswith(message)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"heads": "pca"}, "heads = 'pca', which the study has not; it has head, code"),
        ({"code": "3 bit"}, "code = '3 bit', which the study has not; it has floats, 2 bit, 1 bit"),
        ({"code": ["1 bit", ["x"]]}, "code = ['x'], which the study has not; it has floats"),
    ],
)
def test_what_is_left_out_must_be_there(part, message):
    with pytest.raises(ConfigError) as caught:
        study(leave_out=[part])
    assert str(caught.value).startswith(f"leave_out speaks of {message}")


def test_the_axes_of_a_study_stay_as_they_are():
    before = {axis: dict(levels) for axis, levels in AXES.items()}
    study(arms={"head": {"kind": "pca", "dim": 2}})
    assert before == AXES
