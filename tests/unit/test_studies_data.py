"""What a study runs on: queries drawn, judgements halved, texts to fit on mixed."""

import json
from dataclasses import replace

import numpy as np
import pytest

import toys
from small_study import study, write
from vecpress.arrays import normalize
from vecpress.corpus import Benchmark, Corpus
from vecpress.encoders.lexical import Lexical
from vecpress.errors import ConfigError, DataError
from vecpress.evaluate import score_floats
from vecpress.studies.data import Ground


def arm(**level):
    (made,) = study(axes={"axis": {"it": level}}).arms
    return made


def ground(data, name="stories", *, queries=None, judgements=False, cache=None):
    return Ground.open(name, data=data, queries=queries, judgements=judgements, cache=cache)


@pytest.fixture
def data(tmp_path):
    """A folder of one benchmark: query i is answered by document i."""
    write(tmp_path, toys.benchmark(60, queries=20))
    return tmp_path


def encoded(texts, model=toys.A):
    """Embeddings as a concatenation of one model has them."""
    return normalize(model().encode(texts))


def judged(qrels, *, documents=12, name="judged", prefix="q"):
    """A benchmark of these judgements."""
    texts = [f"{prefix} word{i} word{i + 1}" for i in range(len(qrels))]
    return Benchmark(
        name=name,
        corpus=toys.corpus(documents),
        queries=Corpus(ids=tuple(qrels), texts=tuple(texts)),
        qrels=qrels,
    )


def test_all_queries_score_unless_fewer_are_asked_for(data):
    assert len(ground(data).scored.queries) == 20
    assert len(ground(data, queries=50).scored.queries) == 20
    few = ground(data, queries=8).scored
    assert len(few.queries) == len(few.qrels) == 8
    assert list(few.queries.ids) == sorted(few.queries.ids, key=lambda i: int(i[1:]))
    assert few.queries == ground(data, queries=8).scored.queries
    whole = ground(data).scored
    text = dict(zip(whole.queries.ids, whole.queries.texts, strict=True))
    assert [text[i] for i in few.queries.ids] == list(few.queries.texts)
    assert few.qrels == {i: whole.qrels[i] for i in few.queries.ids}
    assert few.corpus == whole.corpus


def test_without_judgements_nothing_is_learned_and_no_query_is_spared(data):
    write(data, toys.benchmark(60, queries=20), split="train")
    assert ground(data).learned is None


def test_no_scored_query_has_an_answer_that_was_learned_from(tmp_path):
    rng = np.random.default_rng(0)
    qrels = {
        f"q{i}": {f"d{d}": int(s) for d, s in zip(rng.choice(40, 3, False), (1, 2, 0), strict=True)}
        for i in range(60)
    }
    write(tmp_path, judged(qrels, documents=40))
    opened = ground(tmp_path, "judged", judgements=True)
    learned, scored = opened.learned.qrels, opened.scored.qrels

    def answers(found):
        return {d for judgements in found.values() for d, s in judgements.items() if s > 0}

    assert answers(learned).isdisjoint(answers(scored))
    assert learned.keys().isdisjoint(scored.keys())
    everything = sorted(answers(qrels))
    order = np.random.default_rng(0).permutation(len(everything))
    half = {everything[i] for i in order[: len(everything) // 2]}
    assert learned == {q: found for q, found in qrels.items() if answers({q: found}) <= half}
    assert scored == {q: found for q, found in qrels.items() if not answers({q: found}) & half}
    assert len(learned) + len(scored) < 50  # those with an answer in either half are in neither
    assert opened.scored.corpus == opened.learned.corpus
    again = ground(tmp_path, "judged", judgements=True)
    assert (again.learned.qrels, again.scored.qrels) == (learned, scored)


def test_one_answer_per_query_halves_the_queries(data):
    opened = ground(data, judgements=True)
    assert (len(opened.learned.queries), len(opened.scored.queries)) == (10, 10)
    drawn = ground(data, judgements=True, queries=4)
    assert len(drawn.scored.queries) == 4
    assert drawn.learned.qrels == opened.learned.qrels


def test_a_split_train_teaches_but_for_queries_that_score(data):
    """One of its queries has the text of one that scores, under another id."""
    test = toys.benchmark(60, queries=20)
    repeated = test.queries.texts[3]
    taught = Benchmark(
        name="stories",
        corpus=test.corpus,
        queries=Corpus(ids=("t0", "t1"), texts=(repeated, "word1 word2")),
        qrels={"t0": {"d3": 1}, "t1": {"d40": 2}},
    )
    folder = write(data, taught, split="train")
    queries = [("queries.jsonl", q) for q in (test.queries, taught.queries)]
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for _, part in queries:
            for id_, text in zip(part.ids, part.texts, strict=True):
                file.write(json.dumps({"_id": id_, "text": text}) + "\n")
    opened = ground(data, judgements=True, queries=5)
    assert opened.learned.qrels == {"t1": {"d40": 2}}
    assert len(opened.scored.queries) == 5
    (folder / "qrels" / "train.tsv").write_text("t0\td3\t1\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        ground(data, judgements=True)
    assert str(caught.value) == (
        "every query of the split `train` of stories scores too: nothing is left to learn from"
    )


def test_judgements_too_few_to_halve_are_refused(tmp_path):
    write(tmp_path, judged({"q0": {"d1": 1}, "q1": {"d1": 1}}))
    with pytest.raises(DataError) as caught:
        ground(tmp_path, "judged", judgements=True)
    assert str(caught.value) == (
        "judged has no split `train`, and its 1 judged documents leave 0 queries to learn from and "
        "2 to score: give it one, or leave it out"
    )


def test_what_is_taught_are_rows_of_queries_and_documents(tmp_path):
    qrels = {"q0": {"d3": 2, "d1": -1}, "q1": {"d5": 1, "gone": 1}}
    folder = write(tmp_path, judged({"s0": {"d0": 1}}, prefix="s"))
    both = judged({"s0": {"d0": 1}, **qrels}, prefix="t")
    write(tmp_path, both)
    rows = "".join(f"{q}\t{d}\t{s}\n" for q, found in qrels.items() for d, s in found.items())
    (folder / "qrels" / "test.tsv").write_text("s0\td0\t1\n", encoding="utf-8")
    (folder / "qrels" / "train.tsv").write_text(rows, encoding="utf-8")
    opened = ground(tmp_path, "judged", judgements=True)
    learner = arm(models=[1], judgements=True, sample=3)
    training = opened.training(learner, seed=0)
    np.testing.assert_array_equal(training.positives, [[0, 3], [0, 1], [1, 5]])
    np.testing.assert_array_equal(training.grades, [2, 0, 1])
    texts = opened.learned.queries.texts
    np.testing.assert_array_equal(training.queries, encoded(texts))
    np.testing.assert_array_equal(training.documents, encoded(both.corpus.texts))
    (folder / "qrels" / "train.tsv").write_text("q0\tgone\t1\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        ground(tmp_path, "judged", judgements=True).training(learner, seed=0)
    assert str(caught.value) == (
        "judged has none of the documents that its split `train` judges: nothing can be learned "
        "from it"
    )


def test_judgements_go_with_the_documents_judged(data):
    with pytest.raises(ConfigError) as caught:
        ground(data, judgements=True).training(arm(judgements=True, fit_on=["other"]), seed=0)
    assert str(caught.value) == (
        "arm 'it' learns from judgements, so it is fitted on the documents that were judged, not on "
        "other"
    )


def test_documents_and_queries_are_encoded_side_by_side(data):
    both = arm(models=[1, 2], weights=[1.0, 0.25])
    opened = ground(data)
    documents, queries = opened.searched(both)
    for found, part in [(documents, opened.scored.corpus), (queries, opened.scored.queries)]:
        a, b = (model.encode(part.texts) for model in (toys.A(), toys.B()))
        np.testing.assert_allclose(found, normalize(np.concatenate([a, b / 2], 1)), atol=1e-6)
    alone = score_floats(documents, queries, opened.scored).ndcg.mean()
    assert opened.raw_ndcg(both) == pytest.approx(alone)
    assert opened.raw_ndcg(arm(models=[1])) != pytest.approx(alone)


def test_what_is_fitted_on_is_drawn_by_seed(data):
    opened = ground(data)
    few = arm(sample=10)
    documents = encoded(opened.scored.corpus.texts)
    drawn = [opened.training(few, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0].documents, drawn[1].documents)
    assert not np.array_equal(drawn[0].documents, drawn[2].documents)
    rows = np.sort(np.random.default_rng(1).choice(60, 10, replace=False))
    np.testing.assert_array_equal(drawn[2].documents, documents[rows])
    np.testing.assert_array_equal(opened.training(arm(), seed=0).documents, documents)
    assert drawn[0].models == (("toys:A", 8),)
    assert drawn[0].queries is None


def test_several_texts_to_fit_on_are_mixed_evenly(data):
    other = toys.benchmark(50, queries=5, seed=3, name="other")
    write(data, other)
    lines = "".join(f"{text}\n" for text in toys.stories(40, seed=5))
    (data / "more.txt").write_text(lines, encoding="utf-8")
    opened = ground(data)
    mixed = opened.training(arm(fit_on=["other", "documents", "more.txt"], sample=27), seed=0)
    parts = [other.corpus.texts, opened.scored.corpus.texts, tuple(toys.stories(40, seed=5))]
    place = {tuple(row): i for i, texts in enumerate(parts) for row in encoded(texts)}
    assert [place[tuple(row)] for row in mixed.documents] == [0] * 9 + [1] * 9 + [2] * 9
    assert len({tuple(row) for row in mixed.documents}) == 27


def test_texts_to_fit_on_that_are_not_there_are_named(data):
    with pytest.raises(DataError, match=r"nowhere does not exist: give a BEIR folder"):
        ground(data).training(arm(fit_on=["nowhere"]), seed=0)


def test_a_model_of_words_learns_the_documents_searched(data):
    opened = ground(data)
    words = arm(models=["lexical:5"], fit_on=["other"])
    write(data, toys.benchmark(50, queries=5, seed=3, name="other"))
    fitted = Lexical(dim=5).fit(opened.scored.corpus.texts)
    documents, queries = opened.searched(words)
    np.testing.assert_allclose(documents, fitted.encode(opened.scored.corpus.texts), atol=1e-6)
    np.testing.assert_allclose(queries, fitted.encode(opened.scored.queries.texts), atol=1e-6)
    elsewhere = toys.corpus(50, seed=3).texts
    np.testing.assert_allclose(
        opened.training(words, seed=0).documents, fitted.encode(elsewhere), atol=1e-6
    )
    assert fitted.fingerprint in opened.fitted_on(words)


class Placed(toys.A):
    """A model told a folder."""

    seen = []  # noqa: RUF012

    def __init__(self, *, folder="", n=1):
        self.seen.append((folder, n))


def test_the_data_folder_takes_its_place_in_a_models_options(data, monkeypatch):
    monkeypatch.setattr(toys, "Placed", Placed, raising=False)
    ground(data).searched(arm(models=[{"kind": "toys:Placed", "folder": "{data}/scifact", "n": 3}]))
    assert Placed.seen == [(f"{data}/scifact", 3)]


def test_every_text_is_encoded_once_and_kept_where_asked(data, tmp_path, monkeypatch):
    asked = []
    encode = toys.A.encode

    def told(self, texts, *, role="document"):
        asked.append(len(texts))
        return encode(self, texts, role=role)

    monkeypatch.setattr(toys.A, "encode", told)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        opened = ground(data, cache=cache)
        for level in ({}, {"sample": 5}, {"weights": [2.0]}):
            opened.searched(arm(**level))
            opened.training(arm(**level), seed=0)
    assert sum(asked) == 2 * (60 + 20)  # in memory, and on disk


def test_a_fit_is_known_by_its_texts_models_and_judgements(data):
    plain, taught = arm(), arm(judgements=True)
    opened = ground(data, judgements=True)
    assert opened.fitted_on(plain) == [opened.scored.corpus.digest, "a"]
    assert len(opened.fitted_on(taught)) == 4
    regraded = replace(opened.learned, qrels={q: {"d1": 1} for q in opened.learned.qrels})
    reasked = replace(
        opened.learned, queries=replace(opened.learned.queries, ids=tuple("abcdefghij"))
    )
    for other in (regraded, reasked):
        changed = replace(opened, learned=other)
        assert changed.fitted_on(taught) != opened.fitted_on(taught)
        assert changed.fitted_on(plain) == opened.fitted_on(plain)


def test_a_benchmark_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a BEIR folder"):
        ground(tmp_path, "nowhere")
