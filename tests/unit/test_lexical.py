"""Lexical against the scikit-learn pipeline it stands on."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from vecpress.arrays import round_rows
from vecpress.encoders.lexical import Lexical
from vecpress.errors import ConfigError, DataError

TEXTS = [
    "Green tea and black tea grow on one bush.",
    "Black coffee wakes the office.",
    "The office drinks green tea, tea, tea.",
    "Straße und Brücke in Zürich",
    "東京 の コーヒー, ½ cup at Café Zürich",
    "Bridges of Zürich and bridges of 東京",
    "x² tea at 7 in Reykjavík",
]


def test_it_equals_scikit_learns_pipeline():
    pipeline = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"(?u)\b\w+\b"),
        TruncatedSVD(3, random_state=0),
        Normalizer(),
    ).fit(TEXTS)
    unseen = ["coffee for ZÜRICH", "a bridge: 東京", "tea tea tea coffee 7"]
    rows = Lexical(dim=3).fit(TEXTS).encode([*TEXTS, *unseen])
    np.testing.assert_allclose(rows, pipeline.transform([*TEXTS, *unseen]), atol=1e-5)


def test_with_every_direction_kept_the_cosine_is_that_of_tf_idf():
    counts = TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"(?u)\b\w+\b")
    dense = counts.fit_transform(TEXTS * 2).toarray()
    assert np.linalg.matrix_rank(dense) == 7
    rows = Lexical(dim=7).fit(TEXTS * 2).encode(TEXTS * 2)
    np.testing.assert_allclose(rows @ rows.T, dense @ dense.T, atol=1e-5)


def test_the_vocabulary_survives_as_bytes_whatever_its_script():
    fitted = Lexical(dim=2).fit(TEXTS)
    terms = fitted.vocabulary.tobytes().decode().split("\n")
    assert terms == sorted(terms)
    assert {"zürich", "straße", "東京", "½", "x²", "reykjavík", "7"} <= set(terms)
    assert "and" not in terms
    assert len(terms) == len(fitted.idf) == fitted.components.shape[1]
    assert fitted.encode(["ZÜRICH"]).any()


def test_the_most_frequent_terms_make_the_vocabulary():
    fitted = Lexical(dim=1, max_terms=2).fit(TEXTS)
    assert fitted.vocabulary.tobytes().decode().split("\n") == ["tea", "zürich"]


def test_a_text_without_known_terms_is_a_zero_row():
    rows = Lexical(dim=2).fit(TEXTS).encode(["", "tea", "the of and", "unknown words", "\0"])
    np.testing.assert_array_equal(rows.any(axis=1), [False, True, False, False, False])


def test_fitting_twice_gives_the_same_bytes():
    first, second = (Lexical(dim=3).fit(TEXTS) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.components, second.components)


def test_texts_all_alike_have_one_direction():
    fitted = Lexical(dim=1).fit(["red fish, blue fish"] * 4)
    np.testing.assert_allclose(np.abs(fitted.encode(["blue fish", "red"])), 1, rtol=1e-6)


def test_it_takes_any_sequence_of_texts():
    as_list, as_tuple = Lexical(dim=3).fit(TEXTS), Lexical(dim=3).fit(tuple(TEXTS))
    assert as_list.fingerprint == as_tuple.fingerprint


def test_more_dimensions_than_the_corpus_carries_are_refused_with_what_it_carries():
    with pytest.raises(DataError) as caught:
        Lexical(dim=7).fit(TEXTS)
    assert str(caught.value) == (
        "lexical:7 needs more than 7 texts and distinct terms, got 7 texts with 23 terms: "
        "ask for lexical:6 or less, or leave it out"
    )
    Lexical(dim=6).fit(TEXTS)


def test_few_terms_are_as_bad_as_few_texts():
    with pytest.raises(DataError, match="got 9 texts with 2 terms: ask for lexical:1 or less"):
        Lexical(dim=2).fit(["tea coffee"] * 9)


@pytest.mark.parametrize("texts", [["green tea"], ["tea"] * 5])
def test_a_corpus_that_carries_no_direction_is_not_offered_one(texts):
    with pytest.raises(DataError, match=r" terms: leave it out$"):
        Lexical(dim=1).fit(texts)


@pytest.mark.parametrize("texts", [[], [""], ["the of and", "!?"]])
def test_a_corpus_without_words_is_refused(texts):
    with pytest.raises(DataError, match=r"^lexical:256 found no words in the corpus: "):
        Lexical().fit(texts)


@pytest.mark.parametrize("name", ["dim", "max_terms"])
def test_a_constructor_checks_its_values(name):
    with pytest.raises(ConfigError, match=f"^{name} must be at least 1, got 0$"):
        Lexical(**{name: 0})


def test_rounded_terms_lose_little_and_round_no_more():
    exact, rounded = Lexical(dim=3).fit(TEXTS), Lexical(dim=3, precision="int8").fit(TEXTS)
    cosines = (exact.encode(TEXTS) * rounded.encode(TEXTS)).sum(axis=1)
    assert 0.999 < cosines.min() < 1 - 1e-7
    scales = np.abs(exact.components).max(axis=0) / 127
    np.testing.assert_allclose(
        rounded.components, np.round(exact.components / scales) * scales, atol=1e-7
    )
    again = round_rows((rounded.components * rounded.idf).T, bits=8).rows.T / rounded.idf
    np.testing.assert_allclose(again, rounded.components, rtol=1e-6, atol=1e-9)


def test_another_precision_is_refused():
    # Under test the run-time type checker would speak first: so the check is called by itself.
    with pytest.raises(ConfigError) as caught:
        Lexical.__post_init__(SimpleNamespace(dim=3, max_terms=9, precision="int4"))
    assert str(caught.value) == "precision must be 'int8' or none, got 'int4'"
