"""Which models count, and how much: against slow counting, and against the concatenation itself."""

from itertools import product

import numpy as np
import pytest

from helpers import HashEncoder, unit
from vecpress.encoders.combine import concatenate
from vecpress.encoders.lexical import Lexical
from vecpress.errors import ConfigError
from vecpress.pseudo import Questions
from vecpress.significance import paired_p_value
from vecpress.weighing import GRID, Cloze, pose, reweigh, select, split, weigh


@pytest.fixture(autouse=True)
def few_sentences_will_do(monkeypatch):
    """Small corpora are tested here: let the paired test decide on them too."""
    monkeypatch.setattr("vecpress.weighing._FEW", 0)


def told_apart(signals, n=200, seed=0):
    """Models of which each finds the document by its signal, in noise of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(signals), n, n))
    scores = [(s * np.eye(n) + x).astype(np.float32) for s, x in zip(signals, noise, strict=True)]
    return Cloze(scores=tuple(scores), exists=(np.ones(n, np.float32),) * len(signals))


def slow_quality(cloze, weights):
    """Mean reciprocal rank where every model knows every document."""
    total = sum(share * cloze.scores[i].astype(float) for i, share in weights.items())
    ranks = [int((row >= row[i]).sum()) for i, row in enumerate(total)]
    return sum(1 / rank for rank in ranks if rank <= 10) / len(ranks)


def test_ranks_worked_by_hand():
    """First, second, and tied for the second place; below rank 10 is nothing."""
    scores = np.array([[3, 2, 1], [5, 4, 1], [9, 2, 2]], np.float32)
    cloze = Cloze(scores=(scores,), exists=(np.ones(3, np.float32),))
    assert len(cloze) == 1
    assert cloze.questions == 3
    np.testing.assert_allclose(cloze.ranks({0: 1.0}), [1, 1 / 2, 1 / 3])
    step = cloze.step({0: 1.0})
    assert (step.weights, step.p_value) == ({0: 1.0}, 1)
    assert step.quality == pytest.approx(11 / 18)
    falling = np.tile(np.arange(12, 0, -1, dtype=np.float32), (12, 1))
    ranks = Cloze(scores=(falling,), exists=(np.ones(12, np.float32),)).ranks({0: 0.5})
    np.testing.assert_allclose(ranks, [*(1 / np.arange(1, 11)), 0, 0])


def test_a_model_that_does_not_know_a_document_has_no_say_in_it():
    """Document 0 has only model 0: its cosine is not divided as if model 1 had said nothing."""
    one = np.array([[0.8, 0.9], [0.5, 0.7]], np.float32)
    two = np.array([[0.0, 0.4], [0.0, -0.05]], np.float32)
    exists = (np.ones(2, np.float32), np.array([0, 1], np.float32))
    cloze = Cloze(scores=(one, two), exists=exists)
    # 0.8 against (0.9 + 0.4) / sqrt(2) = 0.92; 0.5 against (0.7 - 0.05) / sqrt(2) = 0.46
    np.testing.assert_allclose(cloze.ranks({0: 1.0, 1: 1.0}), [1 / 2, 1 / 2])
    # 0.8 against (0.9 + 0.1) / sqrt(1.25) = 0.894; 0.5 against (0.7 - 0.0125) / 1.118 = 0.61
    np.testing.assert_allclose(cloze.ranks({0: 1.0, 1: 0.25}), [1 / 2, 1])
    np.testing.assert_allclose(cloze.ranks({0: 1.0}), [1 / 2, 1])


def test_ranks_are_those_of_the_concatenation(rng):
    documents = [unit(60, d, seed=d) for d in (5, 7, 4)]
    documents[1][::3] = 0
    documents[0][:2] = documents[1][:2] = 0
    queries = [
        (x + 0.6 * rng.normal(size=x.shape) / x.shape[1] ** 0.5).astype(np.float32)
        for x in documents
    ]
    queries = [q / np.linalg.norm(q, axis=1, keepdims=True) for q in queries]
    cloze = Cloze(
        scores=tuple(q @ x.T for q, x in zip(queries, documents, strict=True)),
        exists=tuple((x != 0).any(axis=1).astype(np.float32) for x in documents),
    )
    weights = {0: 0.25, 1: 1.0, 2: 0.5}
    shares = [weights[i] for i in range(3)]
    cosines = concatenate(queries, shares) @ concatenate(documents, shares).T
    ranks = (cosines >= cosines.diagonal()[:, None]).sum(axis=1)
    expected = np.where(ranks <= 10, 1 / ranks, 0)
    np.testing.assert_allclose(cloze.ranks(weights), expected)
    assert 0.2 < expected.mean() < 0.9


def test_a_step_is_tested_against_the_one_before():
    cloze = told_apart([2.0, 2.0])
    before = cloze.step({0: 1.0})
    assert before.p_value == 1
    step = cloze.step({0: 1.0, 1: 1.0}, before)
    expected = paired_p_value(cloze.ranks({0: 1.0, 1: 1.0}), cloze.ranks({0: 1.0}))
    assert step.p_value == expected < 0.05
    assert [s.weights for s in cloze.added(before, 1)] == [{0: 1.0, 1: share} for share in GRID]


def test_a_helpful_model_is_added_and_noise_is_left_out():
    cloze = told_apart([2.5, 0.0, 2.2])
    steps = select(cloze)
    assert [set(step.weights) for step in steps] == [{0}, {0, 2}]
    assert steps[0].weights == {0: 1.0}
    assert steps[0].quality == pytest.approx(slow_quality(cloze, {0: 1}))
    assert steps[1].quality == pytest.approx(slow_quality(cloze, steps[1].weights))
    assert steps[1].quality > steps[0].quality + 0.05
    assert steps[1].p_value < 0.05


def test_a_gain_that_may_be_luck_is_none():
    """Some share is better, but by too few sentences to be sure."""
    cloze = told_apart([2.5, 0.3], n=60, seed=15)
    alone = cloze.step({0: 1.0})
    better = [step for step in cloze.added(alone, 1) if step.quality > alone.quality + 0.02]
    assert min(step.p_value for step in better) > 0.05
    assert [step.weights for step in select(cloze)] == [{0: 1.0}]


def test_a_single_model_counts_alone():
    assert [step.weights for step in select(told_apart([1.0]))] == [{0: 1.0}]


def test_with_costs_a_cheap_model_comes_first():
    cloze = told_apart([2.5, 2.2, 2.3])
    assert set(select(cloze)[0].weights) == {0}
    assert set(select(cloze, costs=[100.0, 1.0, 50.0])[0].weights) == {1}
    assert set(select(cloze, costs=[0.0, 0.0, 1.0])[0].weights) == {0}  # free is not a crash


def test_with_costs_a_gain_is_worth_what_it_costs():
    """Model 1 adds more, model 2 adds it for less."""
    cloze = told_apart([2.5, 2.3, 1.8])
    assert [set(step.weights) for step in select(cloze)][:2] == [{0}, {0, 1}]
    steps = select(cloze, costs=[1.0, 100.0, 1.0])
    assert [set(step.weights) for step in steps][:2] == [{0}, {0, 2}]


def test_the_better_share_is_found():
    cloze = told_apart([1.0, 2.6])  # the better model is the second
    step = weigh(cloze, [0, 1])
    tried = {share: slow_quality(cloze, {1: 1.0, 0: share}) for share in GRID}
    assert step.weights[1] == 1.0
    assert step.weights[0] == max(tried, key=tried.__getitem__) < 1
    assert step.quality == pytest.approx(max(tried.values()))
    assert len(set(tried.values())) == 3


def test_the_shares_of_the_last_step_are_searched_anew():
    """A share that was best for two models need not be for three: here two models undo each other's noise."""
    a, b, c = np.random.default_rng(1).normal(size=(3, 200, 200))
    noise = (a, b, 0.44 * c - 0.9 * b)
    signals = zip((2.4, 1.0, 1.0), noise, strict=True)
    scores = tuple((s * np.eye(200) + x).astype(np.float32) for s, x in signals)
    cloze = Cloze(scores=scores, exists=(np.ones(200, np.float32),) * 3)
    steps = select(cloze)
    assert [len(step.weights) for step in steps] == [1, 2, 3]
    greedy = max(
        (cloze.added(steps[1], ({0, 1, 2} - set(steps[1].weights)).pop())),
        key=lambda step: step.quality,
    )
    first = next(iter(steps[0].weights))
    others = sorted({0, 1, 2} - {first})
    tried = [
        slow_quality(cloze, {first: 1.0, **dict(zip(others, shares, strict=True))})
        for shares in product(GRID, repeat=2)
    ]
    assert steps[-1].quality == pytest.approx(max(tried))
    assert steps[-1].quality > greedy.quality + 0.05
    assert steps[-1].p_value == cloze.step(steps[-1].weights, steps[1]).p_value


def test_reweighing_is_concatenating_by_these_weights():
    blocks = [unit(20, d, seed=d) for d in (3, 5, 2)]
    blocks[1][:4] = 0  # a model that knows nothing of some documents
    for shares in (None, [1.0, 0.25, 0.5]):
        embeddings = concatenate(blocks, shares)
        every = reweigh(embeddings, [3, 5, 2], {0: 0.5, 1: 1.0, 2: 0.25})
        np.testing.assert_allclose(every, concatenate(blocks, [0.5, 1.0, 0.25]), atol=1e-6)
        some = reweigh(embeddings, [3, 5, 2], {2: 0.25, 0: 1.0})
        assert some.shape == (20, 5)
        np.testing.assert_allclose(
            some, concatenate([blocks[0], blocks[2]], [1.0, 0.25]), atol=1e-6
        )
        only = reweigh(embeddings, [3, 5, 2], {1: 0.5})
        np.testing.assert_allclose(only, blocks[1], atol=1e-6)
        assert only.dtype == np.float32
        assert only.flags.c_contiguous


def test_a_concatenation_is_taken_apart():
    blocks = [unit(20, d, seed=d) for d in (3, 5)]
    for part, block in zip(split(concatenate(blocks, [1.0, 3.0]), [3, 5]), blocks, strict=True):
        np.testing.assert_allclose(part, block, atol=1e-6)


def test_blocks_of_other_widths_are_refused():
    wrong = "blocks of 3, 4 dimensions do not make up embeddings of 8"
    with pytest.raises(ConfigError, match=wrong):
        split(unit(5, 8), [3, 4])
    with pytest.raises(ConfigError, match=wrong):
        reweigh(unit(5, 8), [3, 4], {0: 1.0})


class Remembering:
    """Fitted on texts; remembers them."""

    def fit(self, texts):
        self.texts = list(texts)
        return HashEncoder(8, salt="blind")


def test_a_model_fitted_on_texts_never_sees_the_sentences():
    texts = [f"a{i} b{i}. c{i} d{i}." for i in range(5)]
    questions = Questions(rows=(3, 1), texts=("a3 b3.", "c1 d1."), remainders=("c3 d3.", "a1 b1."))
    remembering, plain = Remembering(), HashEncoder(6, salt="plain")
    sighted = HashEncoder(8, salt="sighted")
    cloze = pose([remembering, plain], [sighted, plain], questions, texts)
    assert remembering.texts == [texts[0], "a1 b1.", texts[2], "c3 d3.", texts[4]]
    assert texts[3] == "a3 b3. c3 d3."  # those of the caller stay
    for scores, encoder in zip(cloze.scores, [HashEncoder(8, salt="blind"), plain], strict=True):
        expected = encoder.encode(questions.texts) @ encoder.encode(questions.remainders).T
        np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert sighted.encoded == 0


def test_words_that_only_the_sentences_have_are_unknown_to_lexical():
    """So it knows nothing of them; fitted on all texts it would find every document."""
    sentences = [f"one{i} two{i} three{i} four{i} five{i}." for i in range(12)]
    remainders = [f"six{i} seven{i} eight{i}." for i in range(12)]
    texts = [f"{s} {r}" for s, r in zip(sentences, remainders, strict=True)]
    questions = Questions(
        rows=tuple(range(12)), texts=tuple(sentences), remainders=tuple(remainders)
    )
    model = Lexical(dim=11)
    encoder = model.fit(texts)
    sighted = pose([encoder], [encoder], questions, texts).step({0: 1.0})
    assert sighted.quality > 0.9
    blind = pose([model], [encoder], questions, texts)
    assert not blind.scores[0].any()
    assert blind.step({0: 1.0}).quality == 0


class Letters:
    """One row per text; one without letters is a zero row."""

    dim = 3
    fingerprint = "letters"

    def __init__(self):
        self.roles = []

    def encode(self, texts, *, role="document"):
        self.roles.append((role, len(texts)))
        rows = np.array([[t.count(letter) for letter in "abc"] for t in texts], np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_sentences_are_queries_and_zero_rows_are_noted():
    questions = Questions(rows=(0, 1), texts=("a", "b"), remainders=("aab", "..."))
    letters = Letters()
    cloze = pose([letters], [letters], questions, ["a. aab", "b. ..."])
    assert sorted(letters.roles) == [("document", 2), ("query", 2)]
    assert cloze.exists[0].tolist() == [1, 0]
    np.testing.assert_allclose(cloze.scores[0], np.array([[2, 0], [1, 0]]) / 5**0.5, atol=1e-6)


def test_at_most_a_thousand_sentences_are_asked():
    n = 1001
    questions = Questions(rows=tuple(range(n)), texts=("a",) * n, remainders=("b",) * n)
    remembering, letters = Remembering(), Letters()
    remembering.fit = lambda texts: remembering.__dict__.update(texts=texts) or letters
    cloze = pose([remembering], [letters], questions, ["a. b"] * n)
    assert cloze.questions == 1000
    assert remembering.texts == ["b"] * 1000 + ["a. b"]


def test_with_few_sentences_every_model_is_kept_and_weighed(monkeypatch):
    """The test is sure of nothing there: a model is no worse for that."""
    rng = np.random.default_rng(0)
    truth = np.eye(50, dtype=np.float32)
    noise = [rng.normal(size=(50, 50)).astype(np.float32) for _ in range(2)]
    scores = (truth + noise[0] / 4, truth / 8 + noise[1])
    cloze = Cloze(scores=scores, exists=(np.ones(50, np.float32),) * 2)
    monkeypatch.setattr("vecpress.weighing._FEW", 51)
    steps = select(cloze)
    assert set(steps[0].weights) == {0}
    assert set(steps[-1].weights) == {0, 1}
    assert steps[-1].weights == weigh(cloze, (0, 1)).weights
    monkeypatch.setattr("vecpress.weighing._FEW", 50)
    assert set(select(cloze)[-1].weights) == {0}
