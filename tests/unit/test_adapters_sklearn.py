"""Transformers as scikit-learn wants them, with the values of the pipeline."""

import inspect
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="pip install 'vecpress[sklearn]'")

from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import asking
from helpers import unit
from toys import stories
from vecpress.adapters import PressTransformer, TextEncoder
from vecpress.arrays import normalize
from vecpress.compressors.linear import PowerPCA
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe

TEXTS = stories(60)

# The checks fit on vectors of 1 to 10 dimensions, so heads here keep at most 2.
CHECKED = [
    PressTransformer(dim=1),
    PressTransformer("pca", dim=2, quantizer="int8", output="decoded"),
    PressTransformer("random", dim=1, quantizer="binary", output="codes"),
    PressTransformer(None, dim=None),
    PressTransformer({"kind": "power-pca", "gamma": 0.5}, dim=1, bits=1, output="codes"),
]


def expected_failed_checks(estimator):
    """What cannot be met, and why."""
    if isinstance(estimator, PressTransformer) and estimator.bits:
        return {"check_fit2d_1sample": "says that 1-bit cells need 2 rows, not 'one sample'"}
    if isinstance(estimator, PressTransformer) and estimator.dim == 2:
        return {"check_fit2d_1feature": "says that dim 2 is above the 1 there is, not '1 feature'"}
    return {}


@pytest.fixture(autouse=True)
def constructors_take_anything(monkeypatch):
    """As they do outside this suite, which checks types: scikit-learn's are to refuse in `fit`."""
    for cls in (PressTransformer, TextEncoder):
        monkeypatch.setattr(cls, "__init__", inspect.unwrap(cls.__init__))


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_takes_it_for_its_own(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:Can't test estimator TextEncoder")  # most checks make vectors
def test_scikit_learn_checks_what_it_can_of_a_transformer_of_texts():
    results = check_estimator(TextEncoder(["lexical:2"]), on_fail=None)
    assert [result["exception"] for result in results] == [None] * len(results)


@pytest.fixture
def vectors(rng):
    return 3 * rng.normal(size=(90, 5)) @ rng.normal(size=(5, 12))


def test_each_output_is_what_the_pipeline_gives(vectors):
    recipe = Recipe(head=PowerPCA(dim=4), quantizer=Percentile(bits=2, rotate=True))
    pipeline = Pipeline.fit(recipe, vectors, seed=7)
    rotated = {"kind": "percentile", "rotate": True}
    made = PressTransformer(dim=4, bits=2, quantizer=rotated, random_state=7).fit(vectors)
    new = np.vstack([vectors[:5] * 9, np.zeros((1, 12))])
    embeddings = pipeline.compress(new)
    codes = pipeline.quantize(embeddings)
    assert made.pipeline_.fingerprint == pipeline.fingerprint
    for output, wanted in (
        ("embedding", embeddings),
        ("codes", codes),
        ("decoded", pipeline.codec.dequantize(codes)),
    ):
        found = made.set_params(output=output).transform(new)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted), output
        assert len(made.get_feature_names_out()) == found.shape[1]
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), [1] * 5 + [0], atol=1e-6)


def test_pca_is_that_of_scikit_learn(vectors):
    """On unit rows and without a mean, it is TruncatedSVD up to signs."""
    found = PressTransformer("pca", dim=3).fit_transform(vectors)
    unit_rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    svd = TruncatedSVD(3, algorithm="arpack", random_state=0).fit_transform(unit_rows)
    wanted = svd / np.linalg.norm(svd, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-4)


def test_the_default_asks_for_no_codes_and_a_table_gets_names(vectors):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(vectors, columns=[f"x{i}" for i in range(12)])
    made = PressTransformer(dim=2).set_output(transform="pandas").fit(frame)
    found = made.transform(frame)
    assert made.pipeline_.codec is None
    assert list(found.columns) == ["presstransformer0", "presstransformer1"]
    assert made.n_features_in_ == 12
    with pytest.raises(ValueError, match=r"feature names should match"):
        made.transform(frame.rename(columns={"x0": "y"}))


def test_random_states(vectors):
    def directions(state):
        made = PressTransformer("random", dim=3, random_state=state).fit(vectors)
        return made.pipeline_.head.weights[0]

    assert np.array_equal(directions(3), directions(np.int64(3)))
    assert not np.array_equal(directions(3), directions(4))
    state = np.random.RandomState
    assert np.array_equal(directions(state(3)), directions(state(3)))
    assert not np.array_equal(directions(None), directions(None))


def test_clones_and_pickles_give_the_same(vectors):
    made = PressTransformer("random", dim=3, bits=2, output="codes").fit(vectors)
    copies = clone(made).fit(vectors), pickle.loads(pickle.dumps(made))
    for copy in copies:
        assert np.array_equal(copy.transform(vectors), made.transform(vectors))


def test_a_grid_search_chooses_the_width(rng):
    labels = rng.integers(3, size=120)
    vectors = unit(3, 16)[labels] + 0.05 * rng.normal(size=(120, 16))
    steps = make_pipeline(PressTransformer(bits=4, output="decoded"), LogisticRegression())
    search = GridSearchCV(steps, {"presstransformer__dim": [1, 8]}, cv=3).fit(vectors, labels)
    assert search.best_params_ == {"presstransformer__dim": 8}
    assert search.best_score_ > 0.95
    assert search.cv_results_["mean_test_score"][0] < 0.9


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"output": "code"}, "output must be one of embedding, codes, decoded, got 'code'"),
        ({"output": "codes"}, "output='codes' needs a quantizer: give bits=4, or quantizer='int8'"),
        (
            {"head": None},
            "without a head all dimensions are kept, got dim=64: give a head, such as 'power-pca', "
            "or dim=None",
        ),
        ({}, "dim must be at most the 12 dimensions of the input, got 64"),
        ({"dim": 4, "bits": 9}, "bits must be between 1 and 8, got 9"),
        ({"dim": 4, "bits": 0}, "bits must be between 1 and 8, got 0"),
        ({"dim": 4, "bits": 2, "quantizer": "int8"}, "'int8' has no option 'bits'; it takes "),
        ({"head": "pac"}, "unknown method 'pac'; known: concat-decoder, "),
    ],
)
def test_parameters_that_do_not_fit_get_a_sentence(parameters, message, vectors):
    with pytest.raises(ConfigError) as caught:
        PressTransformer(**parameters).fit(vectors)
    assert str(caught.value).startswith(message)


def test_codes_are_not_asked_of_what_was_fitted_without(vectors):
    made = PressTransformer(dim=4).fit(vectors)
    with pytest.raises(ConfigError, match=r"^this press has no quantizer, so it makes no codes"):
        made.set_params(output="codes").transform(vectors)
    with pytest.raises(ConfigError, match=r"^output must be one of .*, got 'code'$"):
        made.set_params(output="code").transform(vectors)


def test_texts_by_a_press_and_by_models(tmp_path):
    pipeline = asking.press()
    pipeline.save(tmp_path / "press")
    for press in (pipeline, str(tmp_path / "press")):
        for role in ("query", "document"):
            encoder = TextEncoder(press=press, role=role).fit(TEXTS[:1])
            assert np.array_equal(encoder.transform(TEXTS), pipeline.encode(TEXTS, role=role))
            assert len(encoder.get_feature_names_out()) == 6
    several = TextEncoder(["asking:Asker", "lexical:5"], weights=[1, 0.25])
    found = several.fit_transform(TEXTS)
    one, other = (TextEncoder([name]).fit_transform(TEXTS) for name in several.models)
    np.testing.assert_allclose(found, normalize(np.hstack([one, other / 2])), atol=1e-6)


def test_texts_come_as_lists_arrays_and_columns():
    pandas = pytest.importorskip("pandas")
    encoder = TextEncoder(["asking:Asker"]).fit(TEXTS)
    wanted = encoder.transform(TEXTS)
    for texts in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), pandas.Series(TEXTS)):
        assert np.array_equal(encoder.transform(texts), wanted)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a cup", ShapeError, "TextEncoder takes a list of texts, got one: write ['a cup']"),
        (
            np.array([["a"], ["b"], ["c"]]),
            ShapeError,
            "TextEncoder takes a list or one column of texts, got a table of (3, 1)",
        ),
        (["a", None], DataError, "TextEncoder takes texts only, got None in row 1"),
        (["a", float("nan")], DataError, "TextEncoder takes texts only, got nan in row 1"),
        ([], DataError, "X is empty: it must hold at least one text"),
    ],
)
def test_what_are_no_texts(texts, error, message):
    with pytest.raises(error) as caught:
        TextEncoder(["asking:Asker"]).fit(texts)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "got models=None and press=None"),
        ({"models": ["lexical:2"], "press": "press"}, "got models=['lexical:2'] and press='press'"),
        ({"models": "minilm"}, "models must be a list of names, got 'minilm'"),
        ({"models": ["minillm"]}, "unknown model 'minillm'; known: minilm, "),
        ({"models": ["lexical:2"], "role": "doc"}, "role must be query or document, got 'doc'"),
        ({"press": "press", "weights": [1.0]}, "weights go with models, and the press has its own"),
    ],
)
def test_parameters_of_texts_that_do_not_fit(parameters, message):
    with pytest.raises(ConfigError) as caught:
        TextEncoder(**parameters).fit(TEXTS)
    assert message in str(caught.value)


def test_clones_and_pickles_of_texts_give_the_same():
    for models in (["lexical:4"], ["asking:Asker", "lexical:2"]):
        encoder = TextEncoder(models).fit(TEXTS)
        wanted = encoder.transform(TEXTS)
        assert np.array_equal(pickle.loads(pickle.dumps(encoder)).transform(TEXTS), wanted)
        assert np.array_equal(clone(encoder).fit(TEXTS).transform(TEXTS), wanted)
