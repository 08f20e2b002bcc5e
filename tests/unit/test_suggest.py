import json

import numpy as np
import pytest

import toys
from vecpress import suggest as module
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError, DataError
from vecpress.pseudo import draw_questions
from vecpress.suggest import Cost, suggest, time_query
from vecpress.weighing import pose, select

MODELS = ("toys:Noise", "toys:A", "toys:B")


@pytest.fixture(autouse=True)
def few_sentences_will_do(monkeypatch):
    """Small corpora are tested here: let the paired test decide on them too."""
    monkeypatch.setattr("vecpress.weighing._FEW", 0)


@pytest.fixture(scope="module")
def documents():
    return toys.corpus()


@pytest.fixture
def prices(monkeypatch):
    """Milliseconds per query, by fingerprint."""
    table = {"noise": 1.0, "a": 40.0, "b": 2.0}
    monkeypatch.setattr(module, "time_query", lambda encoder, texts: table[encoder.fingerprint])


def quality(shares, documents):
    """Mean reciprocal rank of what is left of a sentence's document."""
    questions = draw_questions(documents.texts)
    models = [toys.Noise(), toys.A(), toys.B()]
    scores = sum(
        share * models[i].encode(questions.texts) @ models[i].encode(questions.remainders).T
        for i, share in shares.items()
    )
    ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    return np.where(ranks <= 10, 1 / ranks, 0).mean()


def test_models_that_help_are_added_and_the_rest_is_said(documents, prices):
    found = suggest(MODELS, documents)
    assert set(found.steps[-1].weights) == {1, 2}
    assert found.models == ("toys:A", "toys:B")
    assert found.weights == (found.steps[-1].weights[1], found.steps[-1].weights[2])
    assert (found.questions, found.by) == (90, "quality")
    for step in (*found.alone, *found.steps, *found.rejected):
        assert step.quality == pytest.approx(quality(step.weights, documents))
    assert [dict(step.weights) for step in found.alone] == [{0: 1.0}, {1: 1.0}, {2: 1.0}]
    assert found.steps[0].quality == max(step.quality for step in found.alone)
    last = found.steps[-1]
    assert last.quality > found.steps[0].quality
    assert last.p_value < 0.05
    (noise,) = found.rejected
    assert noise.weights.keys() == {0, 1, 2}
    assert not (noise.quality > last.quality and noise.p_value < 0.05)
    tried = [quality({**last.weights, 0: share}, documents) for share in (1, 0.5, 0.25)]
    assert noise.quality == pytest.approx(max(tried))


def test_costs_of_models_add_up(documents, prices):
    found = suggest(MODELS, documents)
    assert [(c.model, c.dim, c.query_ms) for c in found.costs] == [
        ("toys:Noise", 8, 1.0),
        ("toys:A", 8, 40.0),
        ("toys:B", 8, 2.0),
    ]
    assert all(cost.documents_per_second > 0 for cost in found.costs)
    assert (found.query_ms(found.steps[-1]), found.float_bytes(found.steps[-1])) == (42, 64)
    assert (found.query_ms(found.alone[0]), found.float_bytes(found.alone[0])) == (1, 32)


def test_gains_are_divided_by_what_they_cost(documents, monkeypatch):
    table = {"a": 1.0, "b": 1.0}
    monkeypatch.setattr(module, "time_query", lambda encoder, texts: table[encoder.fingerprint])
    models = ("toys:A", "toys:B")
    for dear, cheap in [("a", 1), ("b", 0)]:
        table.update({"a": 1.0, "b": 1.0, dear: 100.0})
        found = suggest(models, documents, by="ms")
        assert dict(found.steps[0].weights) == {cheap: 1.0}
        assert found.by == "ms"
    best = max(suggest(models, documents).alone, key=lambda step: step.quality)
    assert suggest(models, documents, by="quality").steps[0].weights == best.weights


def test_bytes_are_those_of_the_floats(documents, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "select", lambda cloze, costs: seen.append(costs) or select(cloze, costs=costs)
    )
    monkeypatch.setattr(module, "time_query", lambda encoder, texts: 7.0)
    words = ("toys:A", {"kind": "helpers:HashEncoder", "dim": 5})
    for by in ("quality", "ms", "byte"):
        found = suggest(words, documents, by=by)
    assert seen == [None, [7.0, 7.0], [32.0, 20.0]]
    assert [cost.model for cost in found.costs] == ["toys:A", "helpers:HashEncoder:"]


def test_only_sentences_and_what_is_left_are_encoded(documents, monkeypatch):
    asked = []
    encode = toys.A.encode
    monkeypatch.setattr(
        toys.A, "encode", lambda self, texts, **kw: asked.extend(texts) or encode(self, texts, **kw)
    )
    monkeypatch.setattr(module, "_cost", lambda *args: Cost(model=args[0], dim=args[1], query_ms=1.0,
                                                            documents_per_second=1.0))  # fmt: skip
    found = suggest(("toys:A", "toys:B"), documents, seed=4)
    questions = draw_questions(documents.texts, seed=4)
    assert set(asked) == {*questions.texts, *questions.remainders}
    cloze = pose([toys.A(), toys.B()], [toys.A(), toys.B()], questions, documents.texts)
    assert [s.quality for s in found.alone] == [cloze.step({i: 1.0}).quality for i in (0, 1)]


def test_models_are_timed_without_their_cache(documents, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "time_query", lambda encoder, texts: asked.append(type(encoder)) or 1.0
    )
    suggest(MODELS, documents, cache=tmp_path)
    assert asked == [toys.Noise, toys.A, toys.B]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_query_is_timed_alone_after_the_model_was_loaded(monkeypatch):
    class Slow(toys.A):
        def encode(self, texts, *, role="document"):
            asked.append((len(texts), role))
            clock[0] += 9.0 if len(asked) == 1 else 0.002 * len(asked)
            return super().encode(texts)

    asked, clock = [], [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    assert time_query(Slow(), ["one"] * 30) == pytest.approx(2 * np.median(np.arange(2, 22)))
    assert asked == [(1, "query")] * 21


def test_a_suggestion_is_plain_values(documents, prices):
    found = suggest(MODELS, documents)
    values = json.loads(json.dumps(found.to_dict()))
    assert values["models"] == ["toys:A", "toys:B"]
    assert values["weights"] == list(found.weights)
    assert values["costs"][1]["query_ms"] == 40
    assert set(values["costs"][1]) == {"model", "dim", "query_ms", "documents_per_second"}
    assert values["steps"][-1] == {
        "weights": [list(pair) for pair in zip(found.models, found.weights, strict=True)],
        "quality": found.steps[-1].quality,
        "p_value": found.steps[-1].p_value,
        "query_ms": 42,
        "float_bytes": 64,
    }
    assert [len(values[name]) for name in ("alone", "steps", "rejected")] == [3, 2, 1]
    assert (values["questions"], values["by"]) == (90, "quality")


@pytest.mark.parametrize(
    ("models", "options", "error", "message"),
    [
        (("toys:A",), {}, ConfigError, "nothing to suggest from: give at least two models, got 1"),
        (MODELS, {"by": "bytes"}, ConfigError, "by must be quality, ms or byte, got 'bytes'"),
        (("toys:A", "bert"), {}, ConfigError, "unknown model 'bert'; known: "),
    ],
)
def test_what_cannot_be_chosen_is_said(documents, models, options, error, message):
    with pytest.raises(error) as told:
        suggest(models, documents, **options)
    assert message in str(told.value)


def test_texts_of_one_sentence_cannot_choose():
    texts = tuple(f"one sentence about number {i} and no other" for i in range(90))
    corpus = Corpus(ids=tuple(map(str, range(90))), texts=texts, name="titles.txt")
    with pytest.raises(DataError, match=r"documents: titles\.txt needs at least 64 documents of"):
        suggest(MODELS, corpus)
