"""What is written as TOML is what the standard library reads back."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecpress.recipe import Recipe
from vecpress.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(PLAIN, lambda of: st.lists(of) | st.dictionaries(TEXT, of), max_leaves=8)


@given(st.dictionaries(TEXT, VALUES))
def test_values_come_back(values):
    assert tomllib.loads(to_toml(values)) == values


def test_a_recipe_reads_as_people_write_it():
    values = {
        "models": ("minilm", {"kind": "lexical", "model": 'a "b"'}),
        "head": {"kind": "pca", "dim": 8, "gamma": None},
        "weights": None,
        "quantizer": {"kind": "percentile", "bits": 2, "rotate": True},
        "sample": 50_000,
    }
    assert to_toml(values) == (
        'models = ["minilm", {kind = "lexical", model = "a \\"b\\""}]\n'
        "sample = 50000\n"
        "\n"
        "[head]\n"
        'kind = "pca"\n'
        "dim = 8\n"
        "\n"
        "[quantizer]\n"
        'kind = "percentile"\n'
        "bits = 2\n"
        "rotate = true"
    )


@pytest.mark.parametrize("name", ["power-pca", "pca"])
def test_a_recipe_file_makes_the_recipe_again(tmp_path, name):
    recipe = Recipe.from_dict(
        {
            "models": ["minilm", "wordllama"],
            "weights": [1, 0.5],
            "head": {"kind": name, "dim": 8},
            "quantizer": {"kind": "percentile", "bits": 2},
        }
    )
    (tmp_path / "recipe.toml").write_text(to_toml(recipe.to_dict()), encoding="utf-8")
    assert Recipe.from_toml(tmp_path / "recipe.toml") == recipe
