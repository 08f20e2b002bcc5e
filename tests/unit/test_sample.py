import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import HashEncoder, unit
from vecpress import Corpus, Recipe
from vecpress.arrays import normalize
from vecpress.encoders.combine import Concat
from vecpress.errors import ConfigError, DataError
from vecpress.pairs import Pairs
from vecpress.sample import choose_rows, draw_sample


def judge(rows, grades=None, queries=None, n=None):
    rows = np.array(rows, np.int64)
    count = int(rows[:, 0].max()) + 1 if n is None else n
    grades = np.ones(len(rows)) if grades is None else grades
    queries = unit(count, 6, seed=9) if queries is None else queries
    return Pairs(queries=queries, rows=rows, grades=np.array(grades, np.float32))


def texts(n, prefix=""):
    return Corpus(
        ids=tuple(f"{prefix}{i}" for i in range(n)),
        texts=tuple(f"{prefix} word{i % 7} word{i}" for i in range(n)),
    )


class ByRole(HashEncoder):
    """Gives queries the opposite of what documents get."""

    def encode(self, texts, *, role="document"):
        return super().encode(texts) * (-1 if role == "query" else 1)


def test_what_was_not_judged_is_drawn_as_before():
    vectors = unit(300, 6)
    recipe = Recipe(sample=40)
    plain = draw_sample(recipe, vectors, seed=3)
    rows, drawn = choose_rows(300, 40, seed=3, pairs=None)
    np.testing.assert_array_equal(plain.embeddings, normalize(vectors[rows]))
    assert (drawn, plain.queries, plain.drawn) == (40, None, None)
    assert not plain.training().is_supervised
    assert "pairs" not in plain.provenance()


def test_judged_documents_come_after_those_drawn():
    vectors = unit(300, 6)
    recipe = Recipe(sample=40)
    plain = draw_sample(recipe, vectors, seed=3)
    drawn = set(choose_rows(300, 40, seed=3, pairs=None)[0].tolist())
    inside = min(drawn)
    outside = [i for i in range(300) if i not in drawn][:2]
    pairs = judge([[0, outside[1]], [1, inside], [1, outside[0]], [0, outside[0]]], [1, 2, 0, 3])
    sample = draw_sample(recipe, vectors, pairs=pairs, seed=3)
    np.testing.assert_array_equal(sample.embeddings[:40], plain.embeddings)
    np.testing.assert_array_equal(sample.calibration(), plain.embeddings)
    np.testing.assert_array_equal(sample.embeddings[40:], normalize(vectors[outside]))
    np.testing.assert_array_equal(sample.positives, [[0, 41], [1, 0], [1, 40], [0, 40]])
    np.testing.assert_array_equal(sample.grades, [1, 2, 0, 3])
    np.testing.assert_allclose(sample.queries, pairs.queries, atol=1e-6)
    assert sample.corpus == plain.corpus  # its digest too: what is judged is not the corpus
    assert sample.provenance()["sample"] == 42
    assert sample.provenance()["pairs"] == pairs.record()
    training = sample.training()
    assert training.documents is sample.embeddings
    assert training.queries is sample.queries
    assert training.positives is sample.positives
    assert training.grades is sample.grades


@settings(deadline=None, max_examples=60)
@given(data=st.data(), n=st.integers(1, 40), most=st.integers(1, 45), seed=st.integers(0, 9))
def test_positives_survive_sampling(data, n, most, seed):
    """Whatever is drawn, each judgement still joins the same query, document and grade."""
    pair = st.tuples(st.integers(0, 5), st.integers(0, n - 1))
    rows = data.draw(st.lists(pair, min_size=1, max_size=12, unique=True))
    grades = data.draw(
        st.lists(st.sampled_from([0, 1, 2.5]), min_size=len(rows), max_size=len(rows))
    )
    grades[0] = 1
    vectors, pairs = unit(n, 6), judge(rows, grades, n=6)
    sample = draw_sample(Recipe(sample=most), vectors, pairs=pairs, seed=seed)
    assert len(np.unique(sample.embeddings, axis=0)) == len(sample.embeddings)  # none twice
    assert len(sample.calibration()) == min(n, most)
    plain = draw_sample(Recipe(sample=most), vectors, seed=seed)
    np.testing.assert_array_equal(sample.calibration(), plain.embeddings)
    found = sample.embeddings[sample.positives[:, 1]]
    np.testing.assert_array_equal(found, normalize(vectors)[[d for _, d in rows]])
    np.testing.assert_array_equal(sample.positives[:, 0], [q for q, _ in rows])
    np.testing.assert_array_equal(sample.grades, np.array(grades, np.float32))


def test_queries_are_encoded_as_queries_and_blocks_have_names():
    encoder = Concat(encoders=(ByRole(4, "a"), ByRole(3, "b")), weights=(1.0, 0.25))
    recipe = Recipe(models=("big", "small"), weights=(1.0, 0.25), sample=5)
    corpus, asked = texts(12), texts(2, "q")
    pairs = judge([[0, 11], [1, 3]], queries=asked)
    sample = draw_sample(recipe, corpus, pairs=pairs, encoder=encoder)
    np.testing.assert_allclose(sample.queries, encoder.encode(asked.texts, role="query"), atol=1e-6)
    np.testing.assert_allclose(sample.queries, -encoder.encode(asked.texts), atol=1e-6)
    assert sample.models == sample.training().models == (("big", 4), ("small", 3))
    judged = sample.embeddings[sample.positives[:, 1]]
    expected = encoder.encode([corpus.texts[11], corpus.texts[3]])
    np.testing.assert_allclose(judged, expected, atol=1e-6)


def test_one_model_is_a_block_and_vectors_have_none():
    recipe = Recipe(models=("lexical:4",))
    assert draw_sample(recipe, texts(30)).models == (("lexical:4", 4),)
    assert draw_sample(Recipe(), unit(30, 6)).models == ()
    unnamed = draw_sample(Recipe(), texts(30), encoder=HashEncoder(5))
    assert (unnamed.models, unnamed.embeddings.shape) == ((), (30, 5))


def test_a_model_whose_embeddings_are_all_remembered_is_not_loaded(tmp_path):
    class Absent(HashEncoder):
        """A model that is gone; asked for its width, it would have to be loaded."""

        def encode(self, texts, *, role="document"):
            raise AssertionError("loaded")

    corpus, pairs = texts(20), judge([[0, 19]], queries=texts(1, "q"))
    recipe = Recipe(models=("hash",), sample=4)
    there = HashEncoder(5)
    first = draw_sample(recipe, corpus, pairs=pairs, encoder=there, cache=tmp_path)
    assert there.encoded == len(first.embeddings) + 1  # and the query: nothing else, and none twice
    absent = Absent(99)
    absent.fingerprint = HashEncoder(5).fingerprint
    again = draw_sample(recipe, corpus, pairs=pairs, encoder=absent, cache=tmp_path)
    assert again.models == first.models == (("hash", 5),)
    np.testing.assert_array_equal(again.embeddings, first.embeddings)


def test_judgements_that_do_not_fit_the_documents_are_said():
    with pytest.raises(DataError, match="judge the documents 2 to 30, but the corpus has 30"):
        draw_sample(Recipe(), unit(30, 6), pairs=judge([[0, 30], [0, 2]]))
    with pytest.raises(DataError, match="judge the documents -1 to 2, but the corpus has 30"):
        draw_sample(Recipe(), unit(30, 6), pairs=judge([[0, -1], [0, 2]]))
    with pytest.raises(DataError, match="judgements have 6 dimensions, the documents 7: were they"):
        draw_sample(Recipe(), unit(30, 7), pairs=judge([[0, 1]]))
    with pytest.raises(ConfigError, match="documents are vectors, so their queries must be too, g"):
        draw_sample(Recipe(), unit(30, 6), pairs=judge([[0, 1]], queries=texts(1)))
    with pytest.raises(ConfigError, match="are texts, so their queries must be too, got vectors"):
        draw_sample(Recipe(models=("lexical:4",)), texts(30), pairs=judge([[0, 1]]))


def test_queries_given_as_any_numbers_become_unit_rows():
    pairs = judge([[0, 1]], queries=np.array([[3, 4, 0, 0, 0, 0]]))
    sample = draw_sample(Recipe(), unit(30, 6), pairs=pairs)
    np.testing.assert_allclose(sample.queries, [[0.6, 0.8, 0, 0, 0, 0]], atol=1e-6)
    assert sample.queries.dtype == np.float32
