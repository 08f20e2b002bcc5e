"""The plug-ins beside the recipes: learned weights of models, and a stand-in for a tuned one."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import toys
from helpers import unit
from vecpress import artifact, registry
from vecpress.arrays import normalize
from vecpress.corpus import Benchmark, Corpus, write_benchmark
from vecpress.encoders.catalogue import find
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.evaluate import score_floats
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.stages import Compressor, Encoder, TrainingSet

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))
import fusion
import stand_in
from fusion_head import AttentionHead

FORMS = ["BlockWeights", "CoordinateWeights", "Attention"]
every_form = pytest.mark.parametrize("form", FORMS)
WIDTH = 8
NAMES = (("first", WIDTH), ("second", WIDTH))


def make(form, **options):
    return registry.build(registry.COMPRESSORS, {"kind": f"fusion:{form}", **options})


def blurred(rows, noise, rng):
    """Unit rows, each moved by noise of its own size."""
    return normalize((rows + noise * rng.normal(size=rows.shape)).astype(np.float32))


def concatenated(*parts):
    return normalize(np.concatenate(parts, axis=1))


def judged(documents, queries, answers, models=NAMES):
    positives = np.stack([np.arange(len(queries)), answers], axis=1)
    return TrainingSet(documents=documents, queries=queries, positives=positives, models=models)


def unequal(noise, *, seed=0, n=400):
    """Queries are documents under noise that differs by model: teaching and fresh ones."""
    rng = np.random.default_rng(seed)
    blocks = [unit(n, WIDTH, seed + 1), unit(n, WIDTH, seed + 2)]
    documents = concatenated(*blocks)
    sets = []
    for _ in range(2):
        answers = rng.permutation(n)
        asked = [blurred(b[answers], s, rng) for b, s in zip(blocks, noise, strict=True)]
        sets.append(judged(documents, concatenated(*asked), answers))
    return sets


def ndcg(scores, answers):
    """nDCG@10 where each query has one answer, from its rank."""
    ranks = (scores > np.take_along_axis(scores, answers[:, None], 1)).sum(axis=1)
    return float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean())


def found(training, compress=lambda rows: rows):
    scores = compress(training.queries) @ compress(training.documents).T
    return ndcg(scores, training.positives[:, 1])


def best_constant(training):
    """The weight of the first model that finds most, of a grid, and what it finds."""
    grid = {}
    for weight in np.linspace(0, 1, 41):
        halves = [
            (training.queries[:, cut] @ training.documents[:, cut].T)
            for cut in (slice(0, WIDTH), slice(WIDTH, None))
        ]
        scores = weight * halves[0] + (1 - weight) * halves[1]
        grid[float(weight)] = ndcg(scores, training.positives[:, 1])
    return max(grid.items(), key=lambda item: item[1])


@pytest.mark.parametrize("noise", [(0.25, 0.6), (0.6, 0.25), (0.3, 20.0), (20.0, 0.3)])
def test_block_weights_find_the_best_constant_weight(noise):
    training, fresh = unequal(noise)
    head = make("BlockWeights", epochs=40, learning_rate=0.1, batch_size=64).fit(training)
    weight, best = best_constant(fresh)
    assert found(fresh) < best - 0.08  # equal weights are worse
    assert found(fresh, head.compress) > best - 0.03
    scales = np.diag(head.weights[0])
    np.testing.assert_array_equal(head.weights[0], np.diag(scales))
    np.testing.assert_array_equal(scales, np.repeat(scales[[0, WIDTH]], WIDTH))
    shares = scales[[0, WIDTH]] ** 2 / 2
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares[0] == pytest.approx(weight, abs=0.12)


def hidden_noise(seed=0, n=400):
    """In each block some coordinates of queries are noise; True marks the others."""
    rng = np.random.default_rng(seed)
    right = np.array([True] * 6 + [False] * 2 + [True] * 3 + [False] * 5)
    documents = unit(n, 2 * WIDTH, seed)
    answers = rng.permutation(n)
    noise = np.where(right, 0.05, 0.4)
    asked = documents[answers] + noise * rng.normal(size=documents.shape)
    return judged(documents, normalize(asked.astype(np.float32)), answers), right


def test_coordinate_weights_silence_coordinates_that_are_noise():
    training, right = hidden_noise()
    fresh, _ = hidden_noise(seed=1)
    head = make("CoordinateWeights", epochs=80, learning_rate=0.03, patience=10).fit(training)
    weights = np.diag(head.weights[0]) ** 2
    np.testing.assert_array_equal(head.weights[0], np.diag(np.diag(head.weights[0])))
    assert (np.diag(head.weights[0]) >= 0).all()
    assert weights[~right].max() < 0.2 * weights[right].min()
    oracle = found(fresh, lambda rows: normalize(rows * right.astype(np.float32)))
    assert found(fresh) < oracle - 0.1
    assert found(fresh, head.compress) > oracle - 0.02
    assert best_constant(fresh)[1] < oracle - 0.1  # weights of whole models cannot


def by_text(seed=0, n=600):
    """A text's first coordinate says which model knows it; the other's block is noise."""
    rng = np.random.default_rng(seed)
    flag = np.where(np.arange(n) % 2 == 0, 1, -1)
    blocks = [unit(n, WIDTH, seed + 1), unit(n, WIDTH, seed + 2)]
    blocks[0][:, 0] = 0.7 * flag
    blocks[0] = normalize(blocks[0])
    answers = rng.permutation(n)
    asked = [block[answers].copy() for block in blocks]
    for number, block in enumerate(asked):
        unknown = flag[answers] == (1 if number else -1)
        block[unknown] = unit(n, WIDTH, seed + 3 + number)[unknown]
        block[~unknown] = blurred(block[~unknown], 0.1, rng)
    asked[0][:, 0] = 0.7 * flag[answers]
    queries = concatenated(normalize(asked[0]), asked[1])
    return judged(concatenated(*blocks), queries, answers), flag


def test_attention_beats_the_best_constant_weights_where_the_text_decides():
    training, flag = by_text()
    fresh, _ = by_text(seed=10)
    options = {"epochs": 30, "learning_rate": 0.3, "patience": 10}
    head = make("Attention", **options).fit(training)
    blocks = make("BlockWeights", **options).fit(training)
    assert found(fresh, head.compress) > best_constant(fresh)[1] + 0.1
    assert found(fresh, head.compress) > found(fresh, blocks.compress) + 0.1
    shares = head.shares(fresh.documents)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert shares[flag > 0, 0].mean() > 0.9
    assert shares[flag < 0, 0].mean() < 0.1

    def told(rows):
        """Weigh as one would who knows what the first coordinate means."""
        known = np.repeat(rows[:, :1] > 0, WIDTH, axis=1)
        scale = np.concatenate([known, ~known], axis=1) * 0.9 + 0.1
        return normalize((rows * scale).astype(np.float32))

    assert found(fresh, head.compress) > found(fresh, told) - 0.05


@every_form
@pytest.mark.parametrize("widths", [(5, 11), (3, 6, 7)])
def test_they_start_at_equal_weights(form, widths):
    models = tuple((f"m{i}", width) for i, width in enumerate(widths))
    training = replace(unequal((0.3, 0.6))[0], models=models)
    head = make(form, learning_rate=1e-12, epochs=1).fit(training)
    np.testing.assert_allclose(head.compress(training.queries), training.queries, atol=1e-6)


def shaken(form, widths=(3, 4)):
    """A map away from its start."""
    module = make(form)._start(widths)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(2 * torch.randn(parameter.shape, generator=generator))
    return module


@every_form
def test_the_head_is_the_map_that_was_trained(form):
    module, rows = shaken(form), unit(9, 7)
    expected = normalize(module(torch.from_numpy(rows)).detach().numpy())
    out = module.head().compress(rows)
    if form == "CoordinateWeights":  # a negative scale weighs as its square does
        np.testing.assert_allclose(out @ out.T, expected @ expected.T, atol=1e-5)
        expected = np.abs(expected) * np.sign(rows)
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_attention_is_its_formula():
    head, rows = shaken("Attention").head(), unit(9, 7)
    for row, out in zip(rows.astype(np.float64), head.compress(rows), strict=True):
        a, b = (np.exp(head.logits[i] @ row + head.bias[i]) for i in (0, 1))
        slowly = np.r_[np.sqrt(a / (a + b)) * row[:3], np.sqrt(b / (a + b)) * row[3:]]
        np.testing.assert_allclose(out, slowly / np.linalg.norm(slowly), atol=1e-6)


@every_form
def test_rows_are_unit_and_a_zero_row_stays_zero(form):
    head, rows = shaken(form).head(), unit(20, 14)[:, ::2].copy()
    rows[4] = 0
    rows[5, :3] = 0  # a block that says nothing of a text
    wide = np.zeros((20, 14), np.float32)
    wide[:, ::2] = rows
    out = head.compress(wide[:, ::2])
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out, head.compress(rows))
    norms = np.linalg.norm(out, axis=1)
    np.testing.assert_allclose(norms, np.arange(20) != 4, atol=1e-6)
    assert head.compress(rows[:0]).shape == (0, 7)


def test_attention_survives_extreme_logits():
    head = AttentionHead(
        logits=np.array([[1e4, 0], [0, 1e4]], np.float32), bias=np.zeros(2, np.float32),
        widths=(1, 1),
    )  # fmt: skip
    np.testing.assert_allclose(head.compress(unit(5, 2)), np.round(head.compress(unit(5, 2))))


@every_form
def test_the_same_seed_gives_the_same_head(form):
    training, _ = unequal((0.3, 0.6))
    options = {"epochs": 3, "guarded": False, "patience": 3}
    prints = [
        artifact.fingerprint({"head": make(form, **options).fit(training, seed=seed)})
        for seed in (0, 0, 1)
    ]
    assert prints[0] == prints[1] != prints[2]


@every_form
def test_they_are_compressors_of_plain_values(form):
    compressor = make(form, epochs=3, guarded=False)
    assert isinstance(compressor, Compressor)
    assert compressor.learns_from_pairs
    described = registry.describe(registry.COMPRESSORS, compressor)
    assert described["kind"] == f"fusion:{form}"
    assert registry.build(registry.COMPRESSORS, described) == compressor


@every_form
def test_a_head_is_stored_and_read_again(form, tmp_path):
    head = shaken(form).head()
    artifact.save(tmp_path / "head", {"head": head})
    again = artifact.load(tmp_path / "head")["head"]
    assert type(again) is type(head)
    np.testing.assert_array_equal(again.compress(unit(5, 7)), head.compress(unit(5, 7)))
    size = 4 * (2 * 7 + 2) if form == "Attention" else 4 * (7 * 7 + 7)
    assert artifact.tensor_bytes({"head": head}) == size


@every_form
@pytest.mark.parametrize("guarded", [True, False])
def test_the_guard_keeps_the_start_where_a_gain_may_be_luck(form, guarded, monkeypatch):
    lessons = []
    monkeypatch.setattr(fusion, "descend", lambda _, lesson, **given: lessons.append(lesson))
    make(form, guarded=guarded).fit(unequal((0.3, 0.6))[0])
    assert [lesson.guarded for lesson in lessons] == [guarded]


def test_training_that_only_harms_leaves_equal_weights():
    training, rows = unequal((0.3, 0.3))[0], []
    make("Attention", learning_rate=30.0, epochs=2).fit(training, log=rows.append)
    assert rows[-2]["what"] == "start"
    assert rows[-1] == {
        "event": "weights",
        "stage": "weights of 2 models",
        "shares": {"1: first": 0.5, "2: second": 0.5},
    }


@pytest.mark.parametrize("form", ["BlockWeights", "Attention"])
def test_the_log_says_what_share_each_model_got(form):
    training, rows = unequal((0.3, 20.0))[0], []
    head = make(form, epochs=40, learning_rate=0.1, held_out=0.3).fit(training, log=rows.append)
    assert rows[-2]["cases"] == 120
    out = head.compress(training.documents)
    share = (out[:, :WIDTH] ** 2).sum() / (out**2).sum()
    assert rows[-1]["shares"]["1: first"] == pytest.approx(share, abs=1e-3)
    assert rows[-1]["shares"]["1: first"] > 0.8


@every_form
def test_grades_and_temperature_reach_the_loss(form, monkeypatch):
    seen = []

    def ranking(scores, grades, temperature, better):
        seen.append((float(grades.max()), temperature, scores.shape == better.shape))
        return scores.sum()

    monkeypatch.setattr(fusion.losses, "ranking", ranking)
    training, _ = unequal((0.3, 0.6))
    graded = replace(training, grades=np.full(len(training.queries), 3, np.float32))
    make(form, temperature=0.2, epochs=1).fit(graded)
    assert set(seen) == {(3.0, 0.2, True)}


@every_form
def test_they_need_judgements_and_named_models(form):
    training, _ = unequal((0.3, 0.6))
    needs = (
        f"^{form} weighs the models of a concatenation, so it needs the names and widths of at "
        r"least two that make up its 16 dimensions, got {}: give texts and two models or more$"
    )
    with pytest.raises(
        ConfigError,
        match=f"^{form} learns from judged pairs, got none: give judgements, or take equal "
        "weights, which need none$",
    ):
        make(form).fit(TrainingSet(documents=training.documents, models=NAMES))
    for models, named in [
        ((), "no names"),
        ((("one", 16),), r"one \(16\)"),
        ((("one", 8), ("two", 4)), r"one \(8\), two \(4\)"),
    ]:
        with pytest.raises(ConfigError, match=needs.format(named)):
            make(form).fit(replace(training, models=models))
    with pytest.raises(
        ConfigError,
        match=f"^{form} keeps all 16 dimensions of the concatenation, got dim=4: leave dim out$",
    ):
        make(form, dim=4).fit(training)
    assert make(form, dim=16, epochs=1).fit(training).dim == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"negatives": -1}, "negatives must be at least 0, got -1"),
        ({"held_out_by": "luck"}, "held_out_by must be 'query' or 'document', got 'luck'"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1, got 1.0"),
    ],
)
@every_form
def test_options_out_of_range_are_refused(form, options, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make(form, **options)


def test_attention_says_what_it_cannot_do():
    head = shaken("Attention").head()
    assert (head.in_dim, head.dim, head.dims) == (7, 7, (7,))
    assert head.truncate(7) is head
    with pytest.raises(
        ConfigError,
        match=r"^attention weighs whole blocks, so it keeps all 7 dimensions, got dim=4: to "
        r"shorten embeddings fit another head, such as power-pca$",
    ):
        head.truncate(4)
    with pytest.raises(
        ShapeError,
        match=r"^this head takes 7-dimensional embeddings, got 5: was it fitted on the same "
        r"encoders, in the same order\?$",
    ):
        head.compress(unit(3, 5))
    with pytest.raises(
        ShapeError,
        match=r"^attention over blocks of \(3, 4\) dimensions needs logits of shape \(2, 7\) and "
        r"a bias of 2, got \(2, 7\) and \(3,\)$",
    ):
        replace(head, bias=np.zeros(3, np.float32))


@pytest.fixture
def folder(tmp_path):
    """A collection to train on: 40 of its 60 queries are those of the split `train`."""
    whole = toys.benchmark(90, queries=60)
    write_benchmark(tmp_path, whole)
    train = replace(whole, qrels=dict(list(whole.qrels.items())[:40]))
    write_benchmark(tmp_path, train, split="train")
    return tmp_path


def tuned(folder, **options):
    given = {"folder": str(folder), "model": "toys:A", "hidden": 64, **options}
    return find({"kind": "stand_in:FineTuned", **given})


def scored(encoder, benchmark):
    documents = encoder.encode(benchmark.corpus.texts)
    queries = encoder.encode(benchmark.queries.texts, role="query")
    return float(score_floats(documents, queries, benchmark).ndcg.mean())


def test_it_excels_on_its_collection_and_is_worse_elsewhere(folder):
    home, away = toys.benchmark(90, queries=60), toys.benchmark(90, queries=60, seed=5)
    encoders = [tuned(folder, split="test", strength=n, learning_rate=0.01) for n in (0, 5, 200)]
    at_home, elsewhere = ([scored(e, b) for e in encoders] for b in (home, away))
    np.testing.assert_allclose(
        (at_home[0], elsewhere[0]), [scored(toys.A(), b) for b in (home, away)]
    )
    assert at_home[0] + 0.05 < at_home[1] < at_home[2]
    assert at_home[2] > 0.95
    assert elsewhere[2] < elsewhere[0] - 0.1
    turned = [
        (e.encode(away.corpus.texts) * toys.A().encode(away.corpus.texts)).sum(axis=1).mean()
        for e in encoders
    ]
    assert turned[0] == pytest.approx(1, abs=1e-5)
    assert turned[0] - 0.02 > turned[1] > turned[2] + 0.05


def test_it_is_an_encoder_of_its_models_width(folder):
    encoder = tuned(folder, strength=1)
    assert isinstance(encoder, Encoder)
    assert encoder.dim == toys.DIM
    out = encoder.encode(["word1 word2", "word3"])
    assert out.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)
    assert encoder.encode([]).shape == (0, toys.DIM)


def test_it_is_deterministic_for_a_seed(folder):
    prints = [
        artifact.fingerprint({"head": tuned(folder, strength=3, seed=seed).train()})
        for seed in (0, 0, 1)
    ]
    assert prints[0] == prints[1] != prints[2]


def test_it_trains_once_per_process_and_at_the_first_text(folder, monkeypatch):
    trained, train = [], stand_in.FineTuned.train
    monkeypatch.setattr(
        stand_in.FineTuned, "train", lambda self: trained.append(self.seed) or train(self)
    )
    first, same, other = (tuned(folder, strength=1, seed=seed) for seed in (0, 0, 1))
    assert not trained
    np.testing.assert_array_equal(first.encode(["word1"]), same.encode(["word1"]))
    other.encode(["word1"])
    assert trained == [0, 1]
    write_benchmark(folder, toys.benchmark(90, queries=60, seed=3), split="train")
    tuned(folder, strength=1).encode(["word1"])
    assert trained == [0, 1, 0]  # other data


def test_its_fingerprint_knows_data_and_options_but_no_places(folder, tmp_path_factory):
    base = {"strength": 2, "queries": 10}
    others = [
        {"model": "toys:B"}, {"split": "test"}, {"queries": 11}, {"strength": 3}, {"seed": 1},
        {"hidden": 65}, {"temperature": 0.1}, {"learning_rate": 0.1},
    ]  # fmt: skip
    prints = [tuned(folder, **base | other).fingerprint for other in [{}, *others]]
    assert len(set(prints)) == len(prints)
    elsewhere = tmp_path_factory.mktemp("copy") / "of"
    shutil.copytree(folder, elsewhere)
    assert tuned(elsewhere, **base, cache="nowhere").fingerprint == prints[0]
    for part in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
        before, file = tuned(elsewhere, **base).fingerprint, elsewhere / part
        file.write_text(file.read_text().replace("word1", "word2", 1).replace("d0\t1", "d1\t1"))
        assert tuned(elsewhere, **base).fingerprint != before


def test_it_asks_the_model_for_the_queries_it_learns_from_and_a_cache_only_once(
    folder, tmp_path, monkeypatch
):
    asked, encode = [], toys.A.encode

    def counted(self, texts, *, role="document"):
        asked.append((role, len(texts)))
        return encode(self, texts, role=role)

    monkeypatch.setattr(toys.A, "encode", counted)
    corpus = toys.corpus(90)
    for options in ({"queries": 7}, {"queries": 700}):
        tuned(folder, strength=1, cache=str(tmp_path / "cache"), **options).encode(corpus.texts)
    assert asked == [("query", 7), ("document", 90), ("query", 33)]
    asked.clear()
    tuned(folder, strength=1, queries=7).encode(corpus.texts)
    assert asked == [("query", 7), ("document", 90), ("document", 90)]


def test_anothers_answer_that_answers_this_query_too_is_no_negative(tmp_path):
    """All queries have one answer, so nothing is to be told apart and nothing is learned."""
    whole = toys.benchmark(20, queries=6)
    write_benchmark(tmp_path, replace(whole, qrels={q: {"d3": 1} for q in whole.qrels}))
    encoder, texts = tuned(tmp_path, split="test", strength=5), whole.corpus.texts
    np.testing.assert_allclose(encoder.encode(texts), toys.A().encode(texts), atol=1e-6)


def test_what_is_judged_as_no_answer_is_none(tmp_path):
    whole = toys.benchmark(20, queries=3)
    qrels = {"q0": {"d0": 1, "d5": 0}, "q1": {"d1": 0}, "q2": {"d2": 2}}
    write_benchmark(tmp_path, replace(whole, qrels=qrels))
    answers = stand_in._answers(tuned(tmp_path, split="test")._pairs)
    assert {query: rows.tolist() for query, rows in answers.items()} == {0: [0], 2: [2]}


def test_a_press_with_it_is_stored_and_read_again(folder, tmp_path):
    model = {"kind": "stand_in:FineTuned", "folder": str(folder), "model": "toys:A", "strength": 2}
    made = Pipeline.fit(Recipe.from_dict({"models": [model]}), toys.corpus(30))
    made.save(tmp_path / "press")
    texts = ["word1 word7", "word3"]
    np.testing.assert_array_equal(
        Pipeline.load(tmp_path / "press").encode(texts), made.encode(texts)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queries": 1}, "queries must be at least 2, got 1"),
        ({"strength": -1}, "strength must be at least 0, got -1"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"temperature": -1.0}, "temperature must be above 0, got -1.0"),
    ],
)
def test_a_stand_in_out_of_range_is_refused(options, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        tuned("nowhere", **options)


class Unfitted:
    """A model of words, which learns from the corpus it will search."""

    def fit(self, texts):
        return toys.A()


def test_a_stand_in_needs_a_trained_model(monkeypatch):
    monkeypatch.setattr(stand_in, "find", lambda name: Unfitted())
    with pytest.raises(
        ConfigError,
        match=r"^a stand-in starts from a model that is already trained, got 'lexical:8', which "
        r"is fitted on the corpus it searches: take minilm or wordllama$",
    ):
        tuned("nowhere", model="lexical:8")


def test_a_stand_in_needs_answers(tmp_path):
    corpus = Corpus(ids=("a", "b"), texts=("word1", "word2"))
    benchmark = Benchmark(
        name="small", corpus=corpus, queries=corpus, qrels={"a": {"a": 1}, "b": {"b": 0}}
    )
    write_benchmark(tmp_path, benchmark)
    with pytest.raises(
        DataError,
        match=r"^a stand-in trains on at least 2 queries with an answer, got 1 in "
        rf"{tmp_path}/qrels/test\.tsv: take another split or folder$",
    ):
        tuned(tmp_path, split="test").encode(["word1"])


def test_a_stand_in_names_an_unknown_model_before_any_work():
    with pytest.raises(ConfigError, match=r"^unknown model 'minlim'; known: minilm, "):
        tuned("nowhere", model="minlim")
