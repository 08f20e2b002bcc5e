"""A study's file, and what is wrong with it, said before anything runs."""

from pathlib import Path

import pytest

from small_study import AXES, VALUES, study
from vecpress.errors import ConfigError
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.run import beside

RECIPES = Path(__file__).parents[2] / "recipes"
STUDIES = sorted(p for p in RECIPES.glob("*.toml") if "\n[axes." in p.read_text(encoding="utf-8"))
TEXT = """
title = "What"
question = " Why? "
models = ["toys:A", "toys:B"]
benchmarks = ["one", "two"]
seeds = [3, 1]
queries = 7
notes = "N"

[arms]
models = [1, 2]

[axes.head]
"none" = {}
"pca" = { head = { kind = "pca", dim = 4 } }

[[claims]]
says = "PCA is better."
higher = { head = "pca" }
than = { head = "none" }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "which-one.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def refused(**changes):
    with pytest.raises(ConfigError) as caught:
        study(**changes)
    return str(caught.value)


def test_a_file_is_read(file):
    plan = StudyRecipe.read(file)
    assert (plan.name, plan.title, plan.question, plan.notes) == ("which-one", "What", "Why?", "N")
    assert (plan.benchmarks, plan.seeds, plan.queries) == (("one", "two"), (3, 1), 7)
    assert [arm.models for arm in plan.arms] == [("toys:A", "toys:B")] * 2
    assert [claim.says for claim in plan.claims] == ["PCA is better."]


def test_the_first_models_may_be_others(file):
    assert StudyRecipe.read(file, models=["toys:Noise"]).pool == ("toys:Noise", "toys:B")
    assert StudyRecipe.read(file, models=["x", "y"]).arms[0].models == ("x", "y")
    with pytest.raises(ConfigError) as caught:
        StudyRecipe.read(file, models=["x", "y", "z"])
    assert str(caught.value) == "the study which-one has 2 models, so it takes no 3: x, y, z"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_here_can_be_run_as_far_as_its_file_says(path):
    with beside(path.parent):
        plan = StudyRecipe.read(path)
    assert plan.name == path.stem
    assert plan.title
    assert plan.question
    assert plan.claims
    labels = [arm.labels for arm in plan.arms]
    for claim in plan.claims:
        for contrast in claim.contrasts(labels):
            assert all(arm in labels for arm in contrast.arms)


def test_there_are_studies_here():
    assert len(STUDIES) >= 10


def test_a_recipe_of_fit_is_no_study():
    path = RECIPES / "tiny.toml"
    with pytest.raises(ConfigError) as caught:
        StudyRecipe.read(path)
    assert str(caught.value) == (
        f"{path} has no [axes], so it is no study: is it a recipe for `vecpress fit`?"
    )


def test_what_cannot_be_read_is_named(tmp_path):
    for content in (None, b"title = ", b"title = '\xff'"):
        path = tmp_path / "it.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            StudyRecipe.read(path)
        assert str(caught.value).startswith(f"cannot read the study {path}: ")


NO_AXES = "axes of a study must be tables of levels, such as [axes.head.pca], got "
WRONG = [
    ("models", "minilm", "models of a study must be a list of models, got 'minilm'"),
    ("models", [], "models of a study must be a list of models, got []"),
    ("models", [3], "models of a study must be a list of models, got [3]"),
    ("models", None, "models of a study must be a list of models, got None"),
    ("benchmarks", [1], "benchmarks of a study must be a list of names, got [1]"),
    ("benchmarks", ["a", "b", "a"], "benchmarks of a study has 'a' twice: name each once"),
    ("seeds", ["0"], "seeds of a study must be a list of whole numbers, got ['0']"),
    ("seeds", [1, 0, 1], "seeds of a study has 1 twice: name each once"),
    ("seeds", [-1], "seeds are whole numbers from 0 to 4294967295, got -1"),
    ("seeds", [2**32], "seeds are whole numbers from 0 to 4294967295, got 4294967296"),
    ("seeds", [True], "seeds are whole numbers from 0 to 4294967295, got True"),
    ("queries", "9", "queries must be a whole number above 0, got '9'"),
    ("queries", True, "queries must be a whole number above 0, got True"),
    ("queries", 0, "queries must be a whole number above 0, got 0"),
    ("arms", [{}], "arms of a study must be one table, [arms], got [{}]"),
    ("leave_out", {"head": "pca"}, "leave_out of a study must be a list of tables, got "),
    ("leave_out", [{}], "leave_out of the study small leaves no arm to run"),
    ("axes", None, NO_AXES + "None"),
    ("axes", {}, NO_AXES + "{}"),
    ("axes", ["head"], NO_AXES + "['head']"),
    ("axes", {"head": {}}, NO_AXES + "{'head': {}}"),
    ("axes", {"head": {"pca": 3}}, NO_AXES + "{'head': {'pca': 3}}"),
    ("claims", {"says": "x"}, "claims of a study must be tables, [[claims]], got {'says': 'x'}"),
    ("claims", ["x"], "claims of a study must be tables, [[claims]], got ['x']"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG)
def test_a_value_of_another_kind_is_refused(key, value, message):
    assert refused(**{key: value}).startswith(message)


def test_an_unknown_key_is_refused_with_those_there_are():
    assert refused(seed=[0]) == (
        "a study has no 'seed'; it has arms, axes, benchmarks, claims, leave_out, models, notes, "
        "queries, question, seeds, source, title"
    )


def test_what_may_lack_lacks():
    plan = StudyRecipe.from_dict(
        {key: VALUES[key] for key in ("models", "benchmarks", "seeds")} | {"axes": AXES}, name="it"
    )
    assert (plan.title, plan.question, plan.notes, plan.queries) == ("it", "", "", None)
    assert (plan.claims, len(plan.arms)) == ((), 6)
