"""What teaches and what judges: splits, batches, hard negatives, and the held-out figure."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import unit
from vecpress.compressors.task import Task
from vecpress.errors import ConfigError
from vecpress.evaluate import measure
from vecpress.stages import TrainingSet


def training(positives, grades=None, *, documents=40, queries=20, seed=0):
    return TrainingSet(
        documents=unit(documents, 6, seed),
        queries=unit(queries, 6, seed + 1),
        positives=np.array(positives, np.int64),
        grades=None if grades is None else np.array(grades, np.float32),
    )


def task(given, **options):
    options = {"share": 0.25, "held_out_by": "query", "negatives": 3, "seed": 0} | options
    return Task(given, device=torch.device("cpu"), **options)


def held_out(made):
    return set(made.answers) - {int(query) for query in made.learners}


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), by=st.sampled_from(["query", "document"]))
def test_queries_are_split_whole(seed, by):
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, [20, 40], (30, 2)), axis=0)
    grades = rng.integers(0, 3, len(pairs))
    grades[:2] = 1
    try:
        made = task(training(pairs, grades), held_out_by=by, seed=seed)
    except ConfigError:
        assert by == "document"
        return
    answered = {int(q) for (q, _), grade in zip(pairs, grades, strict=True) if grade > 0}
    judges = held_out(made)
    assert set(made.answers) == answered
    assert 1 <= len(judges) <= max(1, round(len(answered) * 0.25))
    taught = set()
    for step in made.batches(4):
        taught |= {int(query) for query in step.ranked.queries}
    assert taught == answered - judges
    if by == "document":
        good = {s: {d for q in s for d, g in made.answers[q].items() if g > 0}
                for s in (frozenset(judges), frozenset(answered - judges))}  # fmt: skip
        assert not set.intersection(*good.values())


def test_queries_that_hang_together_are_not_torn_apart():
    """Queries 0-1-2 share answers in a chain; 3 shares only a document that answers nothing."""
    pairs = [(0, 0), (1, 0), (1, 1), (2, 1), (3, 5), (3, 0)]
    made = task(training(pairs, [1, 1, 1, 1, 1, 0]), held_out_by="document", share=0.25)
    assert held_out(made) == {3}
    assert held_out(task(training([(q, q // 5) for q in range(20)]), held_out_by="document")) in [
        {*range(start, start + 5)} for start in (0, 5, 10, 15)
    ]
    with pytest.raises(
        ConfigError,
        match=r"^the 3 queries hang together by shared answers, so none can be held out by "
        r"document: set held_out_by = 'query'$",
    ):
        task(training(pairs[:4]), held_out_by="document")


@pytest.mark.parametrize("pairs", [[(0, 1)], [(0, 1), (0, 2)]])
def test_one_query_cannot_both_teach_and_judge(pairs):
    with pytest.raises(
        ConfigError,
        match=r"^training on judgements needs at least 2 queries that a document answers, so that "
        r"one can judge, got 1: give more, or train without them$",
    ):
        task(training(pairs))


def test_a_query_that_nothing_answers_neither_teaches_nor_judges():
    made = task(training([(0, 1), (1, 2), (2, 3)], [1, 2, 0]))
    assert set(made.answers) == {0, 1}


def test_hard_negatives_are_the_nearest_that_nobody_judged():
    given = training([(0, 1), (0, 2), (1, 3), (2, 4)], [1, 0, 1, 1], documents=80)
    made = task(given)
    for query in map(int, made.learners):
        scores = given.documents @ given.queries[query]
        good = {d for d, grade in made.answers[query].items() if grade > 0}
        expected = [d for d in np.argsort(-scores) if d not in good][:50]
        np.testing.assert_array_equal(made.hard[query], expected)


def test_a_batch_knows_every_grade_of_its_candidates():
    pairs = [(q, (3 * q + i) % 12) for q in range(8) for i in range(6)]
    made = task(training(pairs, [1 + i % 3 for i in range(len(pairs))], documents=60))
    for step in made.batches(3):
        ranked = step.ranked
        for i, query in enumerate(map(int, ranked.queries)):
            expected = [made.answers[query].get(int(c), 0) for c in ranked.candidates]
            np.testing.assert_array_equal(ranked.grades[i], expected)
            assert int(ranked.drawn[i].sum()) == 4  # of six answers
            assert (ranked.grades[i][ranked.drawn[i]] > 0).all()
        assert len(ranked.candidates) <= 3 * (4 + 3)


def test_what_is_judged_to_be_no_answer_is_a_negative():
    """One answer and 30 judged zeros per query: the answer is in every step."""
    pairs = [(q, (q + i) % 40) for q in range(10) for i in range(31)]
    grades = [1.0 if i == 0 else 0.0 for _ in range(10) for i in range(31)]
    made = task(training(pairs, grades))
    for step in made.batches(4):
        for i, query in enumerate(map(int, step.ranked.queries)):
            assert step.ranked.candidates[step.ranked.drawn[i]].tolist() == [query]
            assert float(step.ranked.grades[i].sum()) == 1
    assert all(query not in made.hard[query] for query in map(int, made.learners))
    assert all(len(made.hard[query]) == 39 for query in map(int, made.learners))


def test_scores_that_are_no_numbers_are_no_figure():
    made = task(training([(q, q) for q in range(12)]))
    judged = made.judge(lambda x: [x * torch.nan])
    assert np.isnan(judged).all()


def test_a_sample_is_drawn_from_everywhere():
    made = task(TrainingSet(documents=unit(9000, 4)))
    assert len(made.sample) == 8192
    assert len(set(made.sample.tolist())) == 8192
    assert made.sample.max() > 8900


def test_an_epoch_is_a_pass_over_the_longer_and_rounds_of_the_other():
    made = task(training([(q, q) for q in range(12)], documents=40))
    steps = list(made.batches(5))
    assert [len(s.documents) for s in steps] == [5] * 8
    assert sorted(torch.cat([s.documents for s in steps]).tolist()) == [*range(40)]
    assert len(made.learners) == 9
    times = torch.cat([s.ranked.queries for s in steps]).bincount()[made.learners]
    assert times.tolist() == [4] * 9
    many = list(made.batches(39))  # 39 documents and a rest of one, which makes no pair
    assert [len(s.documents) for s in many] == [39]
    alone = list(made.batches(5, documents=False))
    assert [len(s.documents) for s in alone] == [0, 0]


def test_without_judgements_documents_judge_and_do_not_teach():
    documents = unit(30, 6)
    made = task(TrainingSet(documents=documents), share=0.2)
    assert made.figure == "held-out agreement@10"
    taught = torch.cat([step.documents for step in made.batches(7)]).tolist()
    assert len(taught) == len(set(taught)) == 24
    assert all(step.ranked is None for step in made.batches(7))
    np.testing.assert_allclose(made.judge(lambda x: [x]), 1, atol=1e-6)
    near, cosine = made.neighbours(3)
    for row in range(30):
        others = sorted(set(taught) - {row}, key=lambda j: -documents[row] @ documents[j])[:3]
        assert near[row].tolist() == others
        np.testing.assert_allclose(cosine[row], documents[others] @ documents[row], atol=1e-6)


def test_the_held_out_figure_is_that_of_evaluate():
    rng = np.random.default_rng(3)
    pairs = np.unique(rng.integers(0, [20, 40], (60, 2)), axis=0)
    given = training(pairs, rng.integers(0, 4, len(pairs)))
    made = task(given)
    judged = made.judge(lambda x: [x[:, :4], x[:, :2]])
    judges = sorted(held_out(made))
    qrels = {str(q): {str(d): int(g) for d, g in made.answers[q].items()} for q in judges}
    means = []
    for width in (4, 2):
        short = [x[:, :width] / np.linalg.norm(x[:, :width], axis=1, keepdims=True)
                 for x in (given.documents, given.queries)]  # fmt: skip
        scores = short[1] @ short[0].T
        run = {str(q): [(str(d), float(s)) for d, s in enumerate(scores[q])] for q in judges}
        means.append(measure(run, qrels).ndcg)
    np.testing.assert_allclose(judged, np.mean(means, axis=0), atol=1e-6)


def test_three_documents_are_too_few():
    with pytest.raises(ConfigError, match=r"^a trained head needs at least 4 embeddings, got 3$"):
        task(TrainingSet(documents=unit(3, 4)))


def test_only_so_many_queries_judge(monkeypatch):
    """The rest teaches: what judges is a dense table of queries by documents."""
    monkeypatch.setattr("vecpress.compressors.task._MOST_QUERIES", 3)
    made = task(training([(q, q) for q in range(20)]), share=0.5)
    assert len(held_out(made)) == 3
    assert len(made.learners) == 17
