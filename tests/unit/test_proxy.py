"""What is kept of the float search: against slow counting, and worked by hand."""

import numpy as np
import pytest

from helpers import unit
from vecpress.evaluate import measure
from vecpress.proxy import Judged, Proxy, agreement, reciprocal_rank
from vecpress.pseudo import Probes


def same(x):
    return x


def slow_rank(scores, wanted):
    """Of equal scores the wanted is the last."""
    return 1 + sum(score >= scores[wanted] for place, score in enumerate(scores) if place != wanted)


def slow_reciprocal_rank(scores, answers):
    ranks = [slow_rank(row, a) for row, a in zip(scores.tolist(), answers.tolist(), strict=True)]
    return sum(1 / rank for rank in ranks if rank <= 10) / len(ranks)


def slow_agreement(scores, wanted):
    total = 0.0
    for row, documents in zip(scores.tolist(), wanted.tolist(), strict=True):
        k = len(documents)
        ideal = sum((k - i) / np.log2(i + 2) for i in range(k))
        ranks = [slow_rank(row, document) for document in documents]
        earned = [(k - i) / np.log2(r + 1) for i, r in enumerate(ranks) if r <= 10]
        total += sum(earned) / ideal
    return total / len(scores)


def test_reciprocal_rank_worked_by_hand():
    scores = np.array(
        [[9, 8, 7], [1, 5, 3], [2, 2, 0]], np.float32
    )  # the answer is first, third, and tied
    answers = np.array([0, 0, 1])
    assert reciprocal_rank(scores, answers) == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    below = np.arange(20, 0, -1, dtype=np.float32)[None]
    assert reciprocal_rank(below, np.array([9])) == pytest.approx(1 / 10)
    assert reciprocal_rank(below, np.array([10])) == 0


def test_agreement_worked_by_hand():
    wanted = np.array([[0, 1]])
    swapped = np.array([[1, 2, 0]], np.float32)
    ideal = 2 + 1 / np.log2(3)
    assert agreement(np.array([[3, 2, 1]], np.float32), wanted) == 1
    assert agreement(swapped, wanted) == pytest.approx((2 / np.log2(3) + 1) / ideal)
    tied = np.array([[2, 2, 1]], np.float32)
    assert agreement(tied, wanted) == pytest.approx((2 + 1) / np.log2(3) / ideal)


@pytest.mark.parametrize("documents", [3, 10, 11, 12, 40])
@pytest.mark.parametrize("different", [3, 12, 1000])
def test_ranks_are_those_of_slow_counting_ties_too(documents, different, rng):
    scores = rng.integers(0, different, (40, documents)).astype(np.float32)
    k = min(10, documents - 1)
    wanted = rng.permuted(np.tile(np.arange(documents), (40, 1)), axis=1)[:, :k]
    assert reciprocal_rank(scores, wanted[:, 0]) == pytest.approx(
        slow_reciprocal_rank(scores, wanted[:, 0]), abs=1e-12
    )
    assert agreement(scores, wanted) == pytest.approx(slow_agreement(scores, wanted), abs=1e-12)


def test_codes_that_tell_nothing_apart_earn_nothing():
    scores = np.zeros((5, 100), np.float32)
    assert reciprocal_rank(scores, np.zeros(5, np.int64)) == 0
    assert agreement(scores, np.tile(np.arange(10), (5, 1))) == 0


def judgements(rng, *, graded):
    """Query 0 has more than ten answers, 1 has none, 2 only what does not answer."""
    positives = [(0, document) for document in range(0, 26, 2)]
    positives += [(2, 5), (2, 6)]
    for query in range(3, 30):
        chosen = rng.choice(60, rng.integers(1, 6), replace=False)
        positives += [(query, int(document)) for document in chosen]
    grades = rng.integers(-1 if graded else 1, 4 if graded else 2, len(positives))
    grades[:13] = np.arange(13) % 3 + 1 if graded else 1
    grades[13:15] = 0
    order = rng.permutation(len(positives))
    return np.array(positives)[order], grades[order].astype(np.float32)


@pytest.mark.parametrize("graded", [True, False])
def test_judged_queries_are_measured_as_by_evaluate(graded, rng):
    positives, grades = judgements(rng, graded=graded)
    if not graded:
        positives, grades = positives[grades > 0], None
    scores = rng.normal(size=(31, 60)).astype(np.float32)
    qrels = {}
    values = np.ones(len(positives)) if grades is None else grades
    for (query, document), grade in zip(positives.tolist(), values.tolist(), strict=True):
        qrels.setdefault(str(query), {})[str(document)] = int(grade)
    answered = {q: judged for q, judged in qrels.items() if max(judged.values()) > 0}
    assert "1" not in answered
    assert "2" not in answered
    run = {str(q): [(str(i), float(s)) for i, s in enumerate(row)] for q, row in enumerate(scores)}
    expected = measure(run, answered).ndcg.mean()
    judged = Judged(queries=unit(31, 4), positives=positives, grades=grades)
    assert judged.ndcg(scores) == pytest.approx(expected, abs=1e-7)
    assert 0.05 < expected < 0.9


def test_among_equal_scores_a_judged_document_is_the_last():
    judged = Judged(queries=unit(1, 4), positives=np.array([[0, 1]]))
    assert judged.ndcg(np.array([[2, 2, 1]], np.float32)) == pytest.approx(1 / np.log2(3))
    assert judged.ndcg(np.zeros((1, 11), np.float32)) == 0


def test_judgements_without_an_answer_score_nothing():
    none = Judged(queries=unit(2, 4), positives=np.array([[1, 0]]), grades=np.zeros(1, np.float32))
    assert none.ndcg(np.eye(2, dtype=np.float32)) == 0


def probing(documents, rng, n=40):
    """Queries near a document, but not always nearest to it."""
    answers = rng.choice(len(documents), n, replace=False)
    noisy = documents[answers] + 0.25 * rng.normal(size=(n, documents.shape[1]))
    queries = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    return Probes(queries=queries, answers=answers)


def judging(documents, rng, n=30):
    probes = probing(documents, rng, n)
    positives = np.stack([np.arange(n), probes.answers], axis=1)
    return Judged(queries=probes.queries, positives=positives)


@pytest.mark.parametrize("probed", [True, False])
@pytest.mark.parametrize("judged", [True, False])
def test_the_floats_keep_everything_and_one_code_for_all_nothing(probed, judged, rng):
    documents = unit(200, 12)
    proxy = Proxy.of(
        documents,
        probes=probing(documents, rng) if probed else None,
        judged=judging(documents, rng) if judged else None,
    )
    names = {"first", "ten"} | ({"source"} if probed else set()) | ({"judged"} if judged else set())
    assert proxy.kept(documents, same) == dict.fromkeys(names, 1)
    if probed:
        assert 0.1 < proxy.floats["source"] < 0.99  # so it is against the floats
    alike = np.tile(documents[:1], (200, 1))
    assert proxy.kept(alike, same) == dict.fromkeys(names, 0)


@pytest.mark.parametrize("probed", [True, False])
def test_what_is_kept_is_what_slow_counting_finds(probed, rng):
    documents = unit(150, 12)
    probes = probing(documents, rng) if probed else None
    proxy = Proxy.of(documents, probes=probes, judged=judging(documents, rng), seed=5)
    assert sorted(proxy.asking.tolist()) == list(range(150))

    def shorten(x):
        return np.ascontiguousarray(x[:, :6])

    decoded = documents[:, :6] + 0.1 * rng.normal(size=(150, 6)).astype(np.float32)
    kept = proxy.kept(decoded, shorten)
    asking = probes.queries if probed else documents[proxy.asking]
    before, after = asking @ documents.T, asking[:, :6] @ decoded.T
    if not probed:
        rows = np.arange(150)
        before[rows, proxy.asking] = after[rows, proxy.asking] = -np.inf
    found = np.argsort(-before, axis=1)[:, :10]
    assert kept["first"] == pytest.approx(slow_reciprocal_rank(after, found[:, 0]))
    assert kept["ten"] == pytest.approx(slow_agreement(after, found))
    assert 0.1 < kept["ten"] < 0.9
    if probed:
        best = slow_reciprocal_rank(before, probes.answers)
        assert kept["source"] == pytest.approx(slow_reciprocal_rank(after, probes.answers) / best)
    queries = proxy.judged.queries
    judged = proxy.judged.ndcg(queries[:, :6] @ decoded.T) / proxy.judged.ndcg(
        queries @ documents.T
    )
    assert kept["judged"] == pytest.approx(judged)


def test_no_document_finds_itself():
    proxy = Proxy.of(unit(30, 8))
    assert proxy.found.shape == (30, 10)
    assert not (proxy.found == proxy.asking[:, None]).any()


def test_the_ten_nearest_are_found_best_first():
    documents = unit(5000, 4)
    proxy = Proxy.of(documents, probes=Probes(queries=unit(20, 4, seed=1), answers=np.arange(20)))
    scores = proxy.probes.queries @ documents.T
    np.testing.assert_array_equal(proxy.found, np.argsort(-scores, axis=1)[:, :10])


def test_few_documents_have_fewer_than_ten_neighbours():
    documents = unit(5, 8)
    proxy = Proxy.of(documents)
    assert proxy.found.shape == (5, 4)
    assert proxy.kept(documents, same) == {"first": 1, "ten": 1}


def test_a_thousand_documents_ask_drawn_by_the_seed():
    documents = unit(1100, 4)
    one, again, other = (Proxy.of(documents, seed=seed).asking for seed in (1, 1, 2))
    assert len(np.unique(one)) == len(one) == 1000
    np.testing.assert_array_equal(one, again)
    assert set(one.tolist()) != set(other.tolist())


def test_a_code_may_do_better_than_the_floats():
    """The sentence is nearer to document 1 than to document 0, which it is from."""
    documents = np.eye(3, dtype=np.float32)
    probes = Probes(queries=np.array([[0.6, 0.8, 0]], np.float32), answers=np.array([0]))
    proxy = Proxy.of(documents, probes=probes)
    assert proxy.floats == {"source": 0.5}
    kept = proxy.kept(documents[[1, 0, 2]], same)
    assert kept["source"] == 2
    assert kept["first"] == 0.5


def test_what_the_floats_never_find_is_not_divided_by():
    documents = np.eye(20, dtype=np.float32)
    probes = Probes(queries=-documents[:1], answers=np.array([0]))
    judged = Judged(queries=-documents[:1], positives=np.array([[0, 0]]))
    proxy = Proxy.of(documents, probes=probes, judged=judged)
    assert proxy.floats == {"source": 0, "judged": 0}
    kept = proxy.kept(-documents, same)
    assert kept["source"] == kept["judged"] == 1


def test_judged_queries_weigh_by_their_number():
    kept = {"first": 0.5, "ten": 0.7, "source": 0.6, "judged": 0.2}
    documents = unit(200, 4)
    free = Proxy.of(documents)
    assert free.mean({"first": 0.5, "ten": 0.7}) == pytest.approx(0.6)
    positives = np.stack([np.repeat(np.arange(50), 2), np.arange(100)], axis=1)
    judged = Judged(queries=unit(50, 4), positives=positives)
    some = Proxy.of(documents, judged=judged)
    assert some.mean(kept) == pytest.approx((100 * 0.6 + 50 * 0.2) / 150)
