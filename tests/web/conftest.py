"""Pages that several tests look at; without a browser, all of these are skipped."""

import pytest

import browsing
from vecpress.compressors.linear import PowerPCA
from vecpress.demo import standard_library
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe


@pytest.fixture(scope="session", autouse=True)
def _browser():
    browsing.require()


@pytest.fixture(scope="session")
def library():
    return standard_library()


@pytest.fixture(scope="session")
def static(library, tmp_path_factory):
    recipe = Recipe(
        models=("wordllama:int4", "lexical:128:int8"),
        head=PowerPCA(dim=256),
        quantizer=Percentile(bits=2),
    )
    folder = tmp_path_factory.mktemp("static") / "page"
    questions = library.queries.texts
    return browsing.Exported(
        folder, library.corpus, recipe, title=browsing.TITLE, questions=questions
    )
