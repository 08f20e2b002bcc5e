"""A comparison on texts made up: every figure worked out again without it."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

import toys
from recording import Recording
from vecpress import bench as benches
from vecpress import candidates, lineup
from vecpress.bench import Bench
from vecpress.compare import compare
from vecpress.comparison import CHOSEN, Comparison, Trained
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.evaluate import evaluate
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

MODELS = ("toys:A", "toys:B")
COMPARISON = Comparison(
    recipe=Recipe(models=MODELS), budgets=(2, 4), command="vecpress compare stories"
)
RESCORED = "sign bits, 100 rescored in float32"


@pytest.fixture(scope="module", autouse=True)
def bare():
    """Without what takes long."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (candidates, lineup):
            patch.setattr(module, "find_spec", lambda name: None)
        yield


@pytest.fixture(scope="module")
def data():
    return toys.benchmark()


@pytest.fixture(scope="module")
def rows(data, bare):
    return compare(data, COMPARISON)


@pytest.fixture
def ran(monkeypatch):
    """The methods that were run."""
    methods = []
    run = Bench.run

    def told(self, job, key):
        methods.append((job.method, job.budget, self.sample.seed))
        return run(self, job, key)

    monkeypatch.setattr(Bench, "run", told)
    return methods


def by_method(rows, budget=None):
    return {row.method: row for row in rows if row.budget == budget}


def known(rows):
    """Rows as a file holds them."""
    return {row.key: json.loads(json.dumps(row.to_dict())) for row in rows}


def texts_of(row):
    return json.dumps(
        {k: v for k, v in row.to_dict().items() if "encode" not in k and k[:3] != "fit"}
    )


def found_by(documents, queries, depth=10):
    """nDCG@10 where query i is answered by document i alone."""
    scores = queries @ documents.T
    ranks = (scores > np.diagonal(scores)[:, None]).sum(axis=1) + 1
    return np.where(ranks <= depth, 1 / np.log2(ranks + 1), 0)


def whole(texts):
    """The concatenation of both models, equal."""
    return np.concatenate([toys.A().encode(texts), toys.B().encode(texts)], axis=1) / 2**0.5


def exact_p(a, b):
    """Share of all ways to swap two systems, query by query, that differ as much."""
    differences = (a - b)[a != b]
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    return (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()


def test_every_row_is_what_its_recipe_gives(data, rows):
    assert len(rows) == 6 + 9 + 8  # not one float in two bytes
    for row in rows:
        if row.method == RESCORED:
            continue
        pipeline = Pipeline.fit(Recipe.from_dict(row.recipe), data.corpus)
        result = evaluate(pipeline, data)
        assert row.measures == pytest.approx(result.scores.means(), abs=1e-9), row.method
        assert (row.bytes_per_vector, row.table_bytes) == (
            result.bytes_per_vector,
            result.table_bytes if pipeline.codec or pipeline.head else 0,
        )
        assert row.compression_factor == 64 / row.bytes_per_vector
        assert row.bytes_per_vector <= (row.budget or 64)


def test_figures_beside_the_concatenation_are_worked_out_again(data, rows):
    documents, queries = whole(data.corpus.texts), whole(data.queries.texts)
    floats = found_by(documents, queries)
    concatenation = by_method(rows)["toys:A + toys:B"]
    assert concatenation.measures["ndcg@10"] == pytest.approx(floats.mean())
    assert (concatenation.recovery, concatenation.p_value) == (1, 1)
    np.testing.assert_array_equal(concatenation.per_query, np.round(floats, 3))
    alone = found_by(toys.A().encode(data.corpus.texts), toys.A().encode(data.queries.texts))
    single = by_method(rows)["toys:A"]
    assert single.recovery == pytest.approx(alone.mean() / floats.mean())
    assert single.p_value == pytest.approx(exact_p(alone, floats), abs=0.02)
    assert 0 < single.p_value < 1
    assert (single.group, single.bytes_per_vector, single.compression_factor) == (
        "single model",
        32,
        2,
    )
    assert single.fit_seconds is None
    for row in rows:
        assert row.p_chosen is None or row.budget is not None
        assert (row.p_chosen is None) == (row.budget is None or row.group == "chosen")
    few, rival = by_method(rows, 2)["PCA, 4 bit"], by_method(rows, 2)[CHOSEN]
    assert few.p_chosen == pytest.approx(exact_p(few.ndcg, rival.ndcg), abs=0.02)


def test_the_better_model_is_the_one_that_is_cut(data, rows):
    scores = [
        found_by(model.encode(data.corpus.texts), model.encode(data.queries.texts)).mean()
        for model in (toys.A(), toys.B())
    ]
    assert scores[0] != scores[1]
    cut = [row.recipe["models"] for row in rows if " cut, " in row.method]
    assert cut == [(MODELS[int(np.argmax(scores))],)] * 3


def test_rescored_sign_bits_keep_the_floats_too(data, monkeypatch):
    monkeypatch.setattr(benches, "RESCORED", 5)
    rows = by_method(compare(data, replace(COMPARISON, budgets=())))
    row, plain = rows[RESCORED], rows["sign bits"]
    assert (plain.bytes_per_vector, row.bytes_per_vector) == (2, 2 + 64)
    assert row.table_bytes == plain.table_bytes
    documents, queries = whole(data.corpus.texts), whole(data.queries.texts)
    signs = np.empty_like(documents)
    for axis, column in enumerate(documents.T):
        signs[:, axis] = np.where(column > 0, column[column > 0].mean(), column[column <= 0].mean())
    signs /= np.linalg.norm(signs, axis=1, keepdims=True)
    expected = []
    for i, query in enumerate(queries):
        best = np.argsort(-(signs @ query))[:5]
        exact = documents @ query
        rank = int((exact[best] > exact[i]).sum()) + 1
        expected.append(1 / np.log2(rank + 1) if i in best else 0)
    np.testing.assert_allclose(row.per_query, np.round(expected, 3))
    assert row.measures["ndcg@10"] != plain.measures["ndcg@10"]


def test_the_record_says_what_was_run(rows):
    assert {row.benchmark for row in rows} == {row.fitted_on for row in rows} == {"stories"}
    assert {row.models for row in rows} == {MODELS}
    assert {row.documents for row in rows} == {90}
    assert {row.command for row in rows} == {COMPARISON.command}
    assert all(row.encode_ms >= 0 and len(row.per_query) == 12 for row in rows)
    assert len({row.key for row in rows}) == len(rows)
    codes = [row for row in rows if "quantizer" in row.recipe or "head" in row.recipe]
    assert all(row.fit_seconds >= 0 for row in codes)
    assert len(codes) == len(rows) - 3
    chosen = [row for row in rows if row.group == "chosen"]
    assert [(row.method, row.budget) for row in chosen] == [(CHOSEN, 2), (CHOSEN, 4)]
    assert all(set(row.recipe) > {"head", "quantizer", "weights"} for row in chosen)


def test_what_is_known_is_not_run_again(data, rows, ran):
    kept = []
    again = compare(data, COMPARISON, known=known(rows), keep=kept.append)
    assert (ran, kept) == ([], [])
    assert [json.dumps(row.to_dict()) for row in again] == [
        json.dumps(row.to_dict()) for row in rows
    ]


@pytest.mark.parametrize("done", [3, 8, 20])
def test_a_run_that_was_killed_goes_on(data, rows, ran, done):
    kept = []
    again = compare(data, COMPARISON, known=known(rows[:done]), keep=kept.append)
    assert ran == [(row.method, row.budget, 0) for row in rows[done:]]
    assert [row.key for row in kept] == [row.key for row in rows[done:]]
    assert list(map(texts_of, again)) == list(map(texts_of, rows))


def test_a_key_names_data_budget_seed_and_what_is_fitted_on(data, rows, monkeypatch):
    def keys(data, comparison):
        return {(row.key, row.budget) for row in compare(data, comparison)}

    def not_run(self, job, key):
        return replace(rows[0], key=key, budget=job.budget)

    known = {(row.key, row.budget) for row in rows}
    monkeypatch.setattr(Bench, "run", not_run)
    assert keys(data, replace(COMPARISON, command="other")) == known
    corpus, queries = data.corpus, data.queries
    other = Corpus(ids=corpus.ids, texts=(*corpus.texts[:-1], "Another text. It is short."))
    asked = Corpus(ids=queries.ids, texts=("word1 word2", *queries.texts[1:]))
    for changed in (
        replace(data, name="others"),
        replace(data, corpus=other),
        replace(data, queries=asked),
    ):
        assert not known & keys(changed, COMPARISON)
    for comparison in (
        replace(COMPARISON, seeds=(1,)),
        replace(COMPARISON, fit_on=toys.corpus(80, seed=2)),
        replace(COMPARISON, recipe=Recipe(models=MODELS, weights=(1.0, 0.5))),
        replace(COMPARISON, recipe=Recipe(models=MODELS, sample=80)),
    ):
        assert not known & keys(data, comparison)
    elsewhere = replace(COMPARISON, fit_on=toys.corpus(80, seed=2))
    assert not keys(data, elsewhere) & keys(replace(data, corpus=other), elsewhere)
    more = keys(data, replace(COMPARISON, budgets=(2, 3, 4)))
    assert {found for found in more if found[1] != 3} == known
    assert not {key for key, budget in more if budget == 3} & {key for key, _ in known}


def test_other_judgements_are_another_run(data):
    comparison = replace(COMPARISON, budgets=())
    rows = compare(data, comparison)
    judged = {query: {"d50": 1} for query in data.qrels}
    again = compare(replace(data, qrels=judged), comparison, known=known(rows))
    assert not {row.key for row in rows} & {row.key for row in again}


def test_further_seeds_run_only_what_they_change(data, ran):
    rows = compare(
        data, replace(COMPARISON, budgets=(2,), seeds=(0, 1), trained=Trained(heads=("pca",)))
    )
    assert [what for what in ran if what[2] == 1] == [(CHOSEN, 2, 1), ("pca, 4 bit", 2, 1)]
    assert {row.seed for row in rows} == {0, 1}
    assert rows[-2].p_chosen is None
    assert rows[-1].p_chosen is not None


def test_codes_that_find_what_the_choice_finds_differ_by_nothing(data, monkeypatch):
    class Same:
        def apply(self, recipe):
            return next(x.recipe for x in lines if x.method == "PCA, 4 bit")

    lines = lineup.lineup(COMPARISON.recipe, 4, width=16, single=(0, 8), documents=90)
    monkeypatch.setattr(benches, "choose", lambda *args, **options: Same())
    comparison = replace(COMPARISON, recipe=Recipe(models=MODELS, weights=(1.0, 1.0)), budgets=(4,))
    rows = by_method(compare(data, comparison), 4)
    assert rows["PCA, 4 bit"].per_query == rows[CHOSEN].per_query
    assert rows["PCA, 4 bit"].p_chosen == 1


@pytest.fixture
def fitted(monkeypatch):
    """The recipes and samples that were fitted."""
    seen = []
    fit = Pipeline.from_sample.__func__

    def told(cls, recipe, sample, **options):
        seen.append((recipe, sample))
        return fit(cls, recipe, sample, **options)

    monkeypatch.setattr(Pipeline, "from_sample", classmethod(told))
    return seen


def test_what_is_fitted_on_other_texts_is_fitted_once_for_all_benchmarks(data, fitted):
    others = toys.corpus(80, seed=7, name="others")
    comparison, fits = replace(COMPARISON, fit_on=others), {}
    first = compare(data, comparison, fits=fits)
    assert {row.fitted_on for row in first} == {"others"}
    assert {row.documents for row in first} == {90}
    expected = whole(others.texts)
    wide = [s for r, s in fitted if r.models == MODELS and r.weights is None]
    assert len(wide) >= 10
    for sample in wide:
        np.testing.assert_allclose(sample.embeddings, expected, atol=1e-6)
    number = len(fitted)
    assert len(fits) == number
    second = compare(replace(data, name="again"), comparison, fits=fits)
    assert len(fitted) == number
    assert {row.benchmark for row in second} == {"again"}
    assert [row.measures for row in second] == [row.measures for row in first]
    assert [row.fit_seconds for row in second] == [row.fit_seconds for row in first]
    pipeline = Pipeline.fit(Recipe.from_dict(by_method(first, 4)["PCA, 2 bit"].recipe), others)
    codes = by_method(first, 4)["PCA, 2 bit"]
    assert codes.measures == pytest.approx(evaluate(pipeline, data).scores.means(), abs=1e-9)


def test_what_is_fitted_on_the_benchmark_itself_is_not_remembered(data):
    fits = {}
    compare(data, replace(COMPARISON, budgets=(2,)), fits=fits)
    assert fits == {}


def test_the_choice_is_judged_on_unseen_documents_where_others_are_searched(data, monkeypatch):
    asked = []
    choose = benches.choose

    def told(*args, **options):
        asked.append((options["is_unseen"], options.get("judged")))
        return choose(*args, **options)

    monkeypatch.setattr(benches, "choose", told)
    for fit_on in (None, toys.corpus(90, seed=7)):
        compare(data, replace(COMPARISON, budgets=(2,), fit_on=fit_on))
    assert asked == [(False, None), (True, None)]  # and never by judgements


def test_the_choice_is_judged_on_unseen_documents_where_only_some_were_drawn(data, monkeypatch):
    asked = []
    choose = benches.choose

    def told(*args, **options):
        asked.append(options["is_unseen"])
        return choose(*args, **options)

    monkeypatch.setattr(benches, "choose", told)
    for sample in (90, 89):
        recipe = Recipe(models=MODELS, sample=sample)
        compare(data, replace(COMPARISON, recipe=recipe, budgets=(2,)))
    assert asked == [False, True]


def test_only_what_learns_is_given_judgements(data):
    Recording.seen.clear()
    texts = tuple(text.split(".")[2] for text in data.corpus.texts[40:44])
    pairs = Pairs(
        queries=Corpus(ids=("a", "b", "c", "d"), texts=texts),
        rows=np.stack([np.arange(4), np.arange(40, 44)], axis=1),
        grades=np.ones(4, np.float32),
    )
    trained = Trained(heads=("recording:Recording", "pca"), pairs=pairs)
    comparison = replace(COMPARISON, budgets=(2,), trained=trained)
    rows = by_method(compare(data, comparison), 2)
    (training,) = Recording.seen
    np.testing.assert_allclose(training.queries, whole(texts), atol=1e-6)
    np.testing.assert_array_equal(training.positives, pairs.rows)
    taught = rows["recording:Recording, 4 bit, with judgements"]
    assert taught.pairs["judgements"] == 4
    assert taught.group == "trained"
    assert [row.method for row in rows.values() if row.pairs] == [taught.method]
    more = replace(comparison, recipe=Recipe(models=MODELS, sample=70))
    compare(data, more)
    sampled = Recording.seen[1]
    assert 70 <= len(sampled.documents) <= 74
    answers = whole(data.corpus.texts)[40:44]
    np.testing.assert_allclose(sampled.documents[sampled.positives[:, 1]], answers, atol=1e-6)


def test_progress_names_the_benchmark_and_the_method(data):
    told = []
    compare(data, replace(COMPARISON, budgets=()), progress=lambda *event: told.append(event))
    rows = [event for event in told if event[0].startswith("comparing on stories")]
    assert rows[0] == ("comparing on stories, toys:A", 0, 6)
    assert rows[-1] == ("comparing on stories", 6, 6)


def test_what_cannot_be_compared_is_said(data):
    with pytest.raises(ConfigError, match="texts need at least one model"):
        compare(data, Comparison(recipe=Recipe(), budgets=(2,)))
    trained = Trained(heads=("recording:Recording",), pairs=object.__new__(Pairs))
    comparison = replace(COMPARISON, fit_on=toys.corpus(80, name="others"), trained=trained)
    with pytest.raises(ConfigError) as told:
        compare(data, comparison)
    assert str(told.value) == (
        "the judgements are of the documents of stories, but heads are to be fitted on others: "
        "leave one out"
    )
    with pytest.raises(ConfigError, match="unknown method 'nope'"):
        compare(data, replace(COMPARISON, trained=Trained(heads=("nope",))))
