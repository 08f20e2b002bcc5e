import re

import pytest

from vecpress import Recipe
from vecpress.compressors.linear import PowerPCA
from vecpress.encoders.catalogue import find
from vecpress.errors import ConfigError
from vecpress.quantizers.scalar import Percentile


def test_a_recipe_goes_to_toml_values_and_back(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        'models = ["minilm", "wordllama"]\nweights = [1.0, 0.5]\nsample = 100\n'
        '[head]\nkind = "power-pca"\ndim = 64\ngamma = 0.125\n'
        '[quantizer]\nkind = "percentile"\nbits = 2\nrotate = true\n'
    )
    recipe = Recipe.from_toml(path)
    assert recipe == Recipe(
        models=("minilm", "wordllama"),
        weights=(1.0, 0.5),
        sample=100,
        head=PowerPCA(dim=64, gamma=0.125),
        quantizer=Percentile(bits=2, rotate=True),
    )
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "cannot read the recipe"),
        (
            "model = 'x'",
            "a recipe has no 'model'; it has fine, head, models, quantizer, sample, weights",
        ),
        ("[head]\ndim = 4", "needs a 'kind', one of concat-decoder, "),
        ("[head]\nkind = 'pac'\ndim = 4", "unknown method 'pac'; known: concat-decoder, "),
        ("[head]\nkind = 'pca'\nwidth = 4", "'pca' has no option 'width'; it takes centre, dim"),
        ("[head]\nkind = 'pca'\ndim = 0", "dim must be at least 1, got 0"),
        ("[quantizer]\nkind = 'percentile'\nbits = 9", "bits must be between 1 and 8, got 9"),
        ("models = ['a']\nweights = [1, 2]", "got 2 weights for 1 models"),
        ("models = 'minilm'", "models must be a list of names, got 'minilm'"),
        ("weights = ['heavy']", "weights must be a list of numbers, got ['heavy']"),
        ("sample = 1.5", "sample must be a whole number, got 1.5"),
        ("head = 'pca'", "a method needs a 'kind'"),
        ("[head]\nkind = 'pca'", "cannot make 'pca' of {}"),
        ("[head]\nkind = 'pca'\ndim = 'x'", "'dim' of 'pca' must be a whole number, got 'x'"),
        ("sample = 0", "sample must be at least 1, got 0"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(tmp_path, text, message):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        Recipe.from_toml(path)


def test_an_absent_recipe_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the recipe"):
        Recipe.from_toml(tmp_path / "none.toml")


def test_a_model_may_come_with_options():
    table = {"kind": "lexical", "dim": 4, "max_terms": 9}
    recipe = Recipe.from_dict({"models": ["lexical:8", table]})
    assert recipe.model_names == ("lexical:8", "lexical:")
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    found = find(table)
    assert (found.dim, found.max_terms) == (4, 9)
    with pytest.raises(ConfigError, match="'lexical' has no option 'width'"):
        find({"kind": "lexical", "width": 4})
