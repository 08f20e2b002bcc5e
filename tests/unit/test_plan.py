import json

import numpy as np
import pytest

import toys
from helpers import unit
from vecpress import budget as budgets
from vecpress import candidates
from vecpress.corpus import Corpus
from vecpress.encoders.combine import Concat
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.plan import fit_to_budget, make_plan, prepare
from vecpress.pseudo import draw_questions
from vecpress.recipe import Recipe
from vecpress.sample import draw_sample

HELPING = Recipe(models=("toys:A", "toys:B"))
NOISY = Recipe(models=("toys:Noise", "toys:A", "toys:B"))


@pytest.fixture(autouse=True)
def few_sentences_will_do(monkeypatch):
    """Small corpora are tested here: let the paired test decide on them too."""
    monkeypatch.setattr("vecpress.weighing._FEW", 0)


@pytest.fixture(autouse=True)
def no_product_codes(monkeypatch):
    """They take long to learn."""
    monkeypatch.setattr(candidates, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def documents():
    return toys.corpus()


def prepared(recipe, documents, *, seed=0):
    sample = draw_sample(recipe, documents, seed=seed)
    texts = [documents.texts[i] for i in range(len(documents))]
    return prepare(recipe, sample, texts), sample


def pairs(documents, queries=8):
    texts = tuple(text.split(".")[1] for text in documents.texts[:queries])
    return Pairs(
        queries=Corpus(ids=tuple(f"q{i}" for i in range(queries)), texts=texts),
        rows=np.stack([np.arange(queries), np.arange(queries)], axis=1),
        grades=np.ones(queries, np.float32),
    )


@pytest.mark.parametrize("budget", [1, 5, 12])
def test_vectors_get_what_keeps_to_the_budget(budget):
    vectors = unit(120, 24)
    pipeline, plan = fit_to_budget(Recipe(sample=100), vectors, budget, seed=3)
    assert 1 <= pipeline.bytes_per_vector <= budget
    assert pipeline.bytes_per_vector == plan.choice.best.code_bytes
    assert Pipeline.fit(plan.recipe, vectors, seed=3).fingerprint == pipeline.fingerprint
    assert plan.prepared.probes is None
    assert plan.prepared.weights is None
    assert plan.to_dict()["models"] == []
    assert len(pipeline.quantize_all(vectors)[0]) == pipeline.bytes_per_vector


def test_models_that_help_each_other_get_weights_and_the_sample_has_them(documents):
    found, _ = prepared(HELPING, documents)
    assert set(found.weights) == {0, 1}
    assert max(found.weights.values()) == 1
    assert found.recipe.models == HELPING.models
    assert found.recipe.weights == (found.weights[0], found.weights[1])
    assert [len(step.weights) for step in found.steps] == [1, 2]
    a, b = toys.A().encode(documents.texts), toys.B().encode(documents.texts)
    roots = np.sqrt(found.recipe.weights)
    whole = np.concatenate([roots[0] * a, roots[1] * b], axis=1) / np.sqrt((roots**2).sum())
    np.testing.assert_allclose(found.sample.embeddings, whole, atol=1e-5)
    again = found.sample.encoder.encode(documents.texts)
    np.testing.assert_allclose(found.sample.embeddings, again, atol=1e-5)
    questions = draw_questions(documents.texts)
    asked = found.sample.encoder.encode(questions.texts, role="query")
    np.testing.assert_allclose(found.probes.queries, asked, atol=1e-6)
    np.testing.assert_array_equal(found.probes.answers, questions.rows)


def test_of_all_weights_those_are_taken_by_which_most_is_found(documents):
    found, _ = prepared(HELPING, documents)
    questions = draw_questions(documents.texts)
    best = {}
    for shares in [(1, 1), (1, 0.5), (1, 0.25), (0.5, 1), (0.25, 1)]:
        scores = sum(
            share * model.encode(questions.texts) @ model.encode(questions.remainders).T
            for share, model in zip(shares, (toys.A(), toys.B()), strict=True)
        )
        ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
        best[shares] = np.where(ranks <= 10, 1 / ranks, 0).mean()
    assert found.steps[-1].quality == pytest.approx(best[found.recipe.weights])
    first = next(iter(found.steps[0].weights))
    assert found.steps[-1].quality == pytest.approx(
        max(quality for shares, quality in best.items() if shares[first] == 1)
    )


def test_a_model_that_only_adds_noise_is_left_out(documents):
    pipeline, plan = fit_to_budget(NOISY, documents, 4)
    assert plan.prepared.models == NOISY.models
    assert plan.recipe.models == ("toys:A", "toys:B")
    assert set(plan.prepared.weights) == {1, 2}
    assert plan.prepared.sample.models == (("toys:A", 8), ("toys:B", 8))
    assert pipeline.in_dim == 16
    codes = pipeline.quantize(pipeline.encode(documents.texts))
    np.testing.assert_array_equal(codes, pipeline.quantize_all(documents))
    again = Pipeline.fit(plan.recipe, documents)
    np.testing.assert_allclose(
        again.encode(documents.texts), pipeline.encode(documents.texts), atol=1e-4
    )


def test_one_model_that_is_left_needs_no_weights(documents):
    found, sample = prepared(Recipe(models=("toys:Noise", "toys:A")), documents)
    assert (found.recipe.models, found.recipe.weights) == (("toys:A",), None)
    assert found.weights == {1: 1.0}
    assert not isinstance(found.sample.encoder, Concat)
    expected = toys.A().encode(documents.texts)
    np.testing.assert_allclose(found.sample.embeddings, expected, atol=1e-5)
    np.testing.assert_allclose(found.reweigh(sample.embeddings, [8, 8]), expected, atol=1e-5)


def test_weights_given_are_kept(documents):
    recipe = Recipe(models=NOISY.models, weights=(1.0, 0.5, 0.25))
    found, sample = prepared(recipe, documents)
    assert found.recipe is recipe
    assert found.sample is sample
    assert (found.weights, found.steps) == (None, ())
    assert len(found.probes.answers) == 90
    assert found.reweigh(sample.embeddings, [8, 8, 8]) is sample.embeddings


@pytest.mark.parametrize(
    ("recipe", "texts"),
    [
        (Recipe(models=("toys:A",)), toys.stories(70)),
        (HELPING, [f"only one sentence about number {i} here" for i in range(70)]),
    ],
)
def test_where_there_is_nothing_to_choose_nothing_is_chosen(recipe, texts):
    corpus = Corpus(ids=tuple(map(str, range(70))), texts=tuple(texts))
    plan = make_plan(recipe, corpus, 3)
    assert (plan.recipe.models, plan.recipe.weights) == (recipe.models, None)
    assert plan.prepared.weights is None
    has_sentences = len(recipe.models) == 1
    assert (plan.prepared.probes is not None) == has_sentences
    assert ("source" in plan.choice.trials[0].kept) == has_sentences


def test_a_model_of_words_that_has_too_few_of_them_without_the_sentences_stops_nothing():
    texts = [f"same words in every text. And then alone{i} alone{i} there is." for i in range(70)]
    corpus = Corpus(ids=tuple(map(str, range(70))), texts=tuple(texts))
    recipe = Recipe(models=("lexical:60", "toys:A"))
    found, _ = prepared(recipe, corpus)
    assert found.recipe is recipe
    assert found.weights is None
    assert len(found.probes.answers) == 70


def test_judgements_count_in_the_choice_and_are_reweighed_too(documents):
    judged = pairs(documents)
    pipeline, plan = fit_to_budget(NOISY, documents, 4, pairs=judged)
    assert all("judged" in trial.kept for trial in plan.choice.trials)
    sample = plan.prepared.sample
    queries = sample.encoder.encode(judged.queries.texts, role="query")
    np.testing.assert_allclose(sample.queries, queries, atol=1e-5)
    np.testing.assert_array_equal(sample.positives, judged.rows)
    assert pipeline.provenance["pairs"]["judgements"] == 8
    assert "judged" not in make_plan(NOISY, documents, 4).choice.trials[0].kept


def test_questions_and_judgements_are_of_the_rows_that_were_drawn(documents):
    judged = pairs(documents, 20)
    recipe = Recipe(models=HELPING.models, weights=(1.0, 1.0), sample=70)
    plan = make_plan(recipe, documents, 4, pairs=judged, seed=5)
    sample, probes = plan.prepared.sample, plan.prepared.probes
    rows = np.sort(np.random.default_rng(5).choice(90, 70, replace=False))
    texts = [documents.texts[i] for i in rows]
    np.testing.assert_array_equal(probes.answers, draw_questions(texts, seed=5).rows)
    assert len(sample.embeddings) > 70  # some that were judged were not drawn
    answers = sample.encoder.encode([documents.texts[i] for i in judged.rows[:, 1]])
    np.testing.assert_allclose(sample.embeddings[sample.positives[:, 1]], answers, atol=1e-5)


@pytest.mark.parametrize(("most", "is_unseen"), [(90, False), (89, True)])
def test_codes_are_judged_on_others_where_others_are_served(
    monkeypatch, documents, most, is_unseen
):
    seen = []
    split = budgets._split
    monkeypatch.setattr(budgets, "_split", lambda *args: seen.append(args[3]) or split(*args))
    make_plan(Recipe(models=("toys:A",), sample=most), documents, 2)
    assert seen == [is_unseen]


def test_a_plan_is_plain_values(documents):
    plan = make_plan(NOISY, documents, 4)
    values = json.loads(json.dumps(plan.to_dict()))
    steps, trials = plan.prepared.steps, plan.choice.trials
    assert [model["quality"] for model in values["models"]] == [step.quality for step in steps]
    assert dict(values["models"][-1]["weights"]) == dict(
        zip(plan.recipe.models, plan.recipe.weights, strict=True)
    )
    assert values["models"][0]["p_value"] == 1
    assert values["models"][-1]["p_value"] < 0.05
    assert [trial["method"] for trial in values["trials"]] == [str(trial) for trial in trials]
    assert [trial["worth"] for trial in values["trials"]] == sorted(
        (trial.worth for trial in trials), reverse=True
    )
    for given, trial in zip(values["trials"], trials, strict=True):
        assert given["kept"] == trial.kept
        assert given["bytes_per_vector"] == trial.candidate.code_bytes <= 4
        assert set(given) == {"method", "bytes_per_vector", "kept", "worth", "seconds"}


def test_progress_is_told():
    told = []
    make_plan(HELPING, toys.corpus(), 2, progress=lambda *event: told.append(event))
    weighing = [event[1:] for event in told if event[0] == "weighing models"]
    assert weighing == [(0, 2), (2, 2)]
    assert any("trying ways" in event[0] for event in told)
