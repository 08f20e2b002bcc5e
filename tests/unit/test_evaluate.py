import numpy as np
import pytest

from helpers import unit
from vecpress.corpus import Benchmark, Corpus
from vecpress.errors import ConfigError, DataError
from vecpress.evaluate import evaluate, measure, score_floats
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.sample import Sample


def benchmark(n=60, q=10, *, ids=None):
    return Benchmark(
        name="toy",
        corpus=Corpus(ids=tuple(f"d{i}" for i in range(n)), texts=("x",) * n),
        queries=Corpus(ids=tuple(ids or (f"q{i}" for i in range(q))), texts=("y",) * q),
        qrels={(ids[i] if ids else f"q{i}"): {f"d{i}": 1} for i in range(q)},
    )


def test_measures_of_a_ranking_worked_by_hand():
    scores = measure(
        {"q": [("a", 3.0), ("b", 2.0), ("c", 1.0)]}, {"q": {"a": 0, "b": 1, "c": 2, "z": 1}}
    )
    gained = 1 / np.log2(3) + 2 / np.log2(4)
    ideal = 2 / np.log2(2) + 1 / np.log2(3) + 1 / np.log2(4)
    np.testing.assert_allclose(scores.ndcg, [gained / ideal])
    np.testing.assert_allclose(scores.recall, [2 / 3])
    np.testing.assert_allclose(scores.mrr, [1 / 2])


def test_a_query_without_answers_counts_as_zero_and_is_reported():
    scores = measure({"q": [("a", 1.0)]}, {"q": {"a": 1}, "silent": {"a": 1}, "none": {"a": 0}})
    np.testing.assert_array_equal(scores.ndcg, [1, 0, 0])
    assert scores.unanswered == 2
    assert scores.means()["ndcg@10"] == pytest.approx(1 / 3)


def test_mrr_stops_at_ten_and_recall_at_a_hundred():
    run = {"q": [(f"d{i:03}", -float(i)) for i in range(150)]}
    scores = measure(run, {"q": {"d010": 1, "d099": 1, "d100": 1}})
    assert (scores.mrr[0], scores.recall[0]) == (0, pytest.approx(2 / 3))


def test_floats_and_codes_are_scored_on_the_same_queries():
    x = unit(60, 16)
    sample = Sample(embeddings=x)
    pipeline = Pipeline.from_sample(Recipe(quantizer=Percentile(bits=4)), sample)
    result = evaluate(pipeline, benchmark(), documents=x, queries=x[:10]).to_dict()
    assert result["baseline_ndcg@10"] == 1
    assert result["ndcg@10"] == 1
    assert result["recovery"] == 1
    assert (result["bytes_per_vector"], result["compression_factor"]) == (8, 8)
    assert (result["n_queries"], result["n_documents"], result["n_unanswerable"]) == (10, 60, 0)
    assert result["table_bytes"] == 4 * 16 * (15 + 16)


def test_a_query_that_is_a_document_does_not_answer_itself():
    """ArguAna: the query's own text is in the corpus, under the same id."""
    x = unit(20, 8)
    texts = tuple(f"argument {i}" for i in range(20))
    data = Benchmark(
        name="arguana",
        corpus=Corpus(ids=tuple(f"d{i}" for i in range(20)), texts=texts),
        queries=Corpus(ids=("d0", "d1"), texts=("argument 0", "not in the corpus")),
        qrels={"d0": {"d5": 1}, "d1": {"d1": 1}},
    )
    assert data.own_documents() == {"d0"}
    queries = np.stack([x[0] * 0.9 + x[5] * 0.2, x[1]]).astype(np.float32)
    scores = score_floats(x, queries / np.linalg.norm(queries, axis=1, keepdims=True), data)
    assert scores.ndcg[1] == 1, "d1 shares only its id with the query, so it may answer"
    assert scores.recall[0] == 1
    plain = score_floats(x, queries, Benchmark(**{**vars(data), "queries": Corpus(
        ids=("d0", "d1"), texts=("other", "other"))}))  # fmt: skip
    assert plain.ndcg[0] < scores.ndcg[0]


def test_vectors_are_asked_for_and_counted():
    x = unit(60, 16)
    pipeline = Pipeline.from_sample(Recipe(), Sample(embeddings=x))
    with pytest.raises(ConfigError, match="fitted on precomputed vectors: give those"):
        evaluate(pipeline, benchmark())
    with pytest.raises(DataError, match="toy has 10 queries to score, got 9 vectors"):
        evaluate(pipeline, benchmark(), documents=x, queries=x[:9])


def test_queries_that_nothing_in_the_corpus_answers_are_counted():
    x = unit(60, 16)
    data = benchmark()
    data.qrels["q0"] = {"gone": 1, "d5": 0}
    pipeline = Pipeline.from_sample(Recipe(), Sample(embeddings=x))
    result = evaluate(pipeline, data, documents=x, queries=x[:10]).to_dict()
    assert result["n_unanswerable"] == 1
    assert result["ndcg@10"] == pytest.approx(0.9)
