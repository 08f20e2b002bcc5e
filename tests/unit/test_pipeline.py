from dataclasses import replace

import numpy as np
import pytest

from helpers import unit
from recording import Plain, Recording, keep
from vecpress import Corpus, Pipeline, Recipe
from vecpress.arrays import normalize, truncate
from vecpress.card import kept
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    MismatchError,
    ShapeError,
    VecpressError,
)
from vecpress.pairs import Pairs
from vecpress.quantizers.scalar import Percentile

WORDS = ["river", "bank", "loan", "money", "water", "boat", "harbour", "fish", "credit", "sail"]


def corpus(n=80):
    rng = np.random.default_rng(0)
    texts = tuple(" ".join(rng.choice(WORDS, 6)) for _ in range(n))
    return Corpus(ids=tuple(f"d{i}" for i in range(n)), texts=texts)


RECIPE = Recipe(
    models=("lexical:8",), head=PowerPCA(dim=6, gamma=0.25), quantizer=Percentile(bits=4)
)


def test_texts_go_in_and_are_found_again(tmp_path):
    documents = corpus()
    pipeline = Pipeline.fit(RECIPE, documents)
    index = pipeline.index(documents)
    hits = pipeline.search(index, documents.texts[:20], 1)
    found = [documents.texts[documents.ids.index(ids[0])] for ids in hits.ids]
    same = [sorted(a.split()) == sorted(b.split()) for a, b in zip(found, documents.texts)]  # noqa: B905
    assert np.mean(same) > 0.9
    assert (pipeline.in_dim, pipeline.dim, pipeline.bytes_per_vector) == (8, 6, 3)
    assert index.snippet(3) == documents.texts[3]


def test_a_saved_pipeline_is_the_same_pipeline(tmp_path):
    documents = corpus()
    pipeline = Pipeline.fit(RECIPE, documents)
    pipeline.save(tmp_path / "p")
    loaded = Pipeline.load(tmp_path / "p")
    assert loaded.fingerprint == pipeline.fingerprint
    assert loaded.recipe == RECIPE
    texts = ["money in the bank", "", "nothing known"]
    np.testing.assert_array_equal(loaded.encode(texts), pipeline.encode(texts))
    loaded.save(tmp_path / "again")
    for name in ("config.json", "tensors.safetensors", "README.md"):
        assert (tmp_path / "p" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert "Bytes per vector: 3 (10.7x smaller" in (tmp_path / "p" / "README.md").read_text()


def test_fitting_twice_gives_the_same_bytes(tmp_path):
    for name in "ab":
        Pipeline.fit(RECIPE, corpus()).save(tmp_path / name)
    one, other = ((tmp_path / n / "tensors.safetensors").read_bytes() for n in "ab")
    assert one == other


def test_the_cache_changes_nothing_and_is_not_saved(tmp_path):
    plain = Pipeline.fit(RECIPE, corpus())
    cached = Pipeline.fit(RECIPE, corpus(), cache=tmp_path / "cache")
    assert cached.fingerprint == plain.fingerprint
    cached.save(tmp_path / "p")
    plain.save(tmp_path / "q")
    assert (tmp_path / "p/config.json").read_bytes() == (tmp_path / "q/config.json").read_bytes()
    assert Pipeline.load(tmp_path / "p").encoder is not None


def test_vectors_need_no_model_and_are_only_sampled(tmp_path):
    np.save(tmp_path / "v.npy", unit(500, 24).astype(np.float16) * 3)
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    recipe = Recipe(head=PCA(dim=12), quantizer=Percentile(bits=2), sample=100)
    pipeline = Pipeline.fit(recipe, vectors)
    assert pipeline.provenance["sample"] == 100
    index = pipeline.index(vectors)
    expected = pipeline.quantize(pipeline.compress(vectors))
    np.testing.assert_array_equal(index.codes, expected)
    assert pipeline.search(index, np.asarray(vectors[:3]), 1).ids == (("0",), ("1",), ("2",))
    with pytest.raises(ConfigError, match="knows no model to encode texts"):
        pipeline.encode(["text"])


def test_truncating_keeps_a_prefix_and_drops_the_codec():
    vectors = unit(100, 16)
    pipeline = Pipeline.fit(Recipe(head=PCA(dim=8), quantizer=Percentile(bits=2)), vectors)
    short = pipeline.truncate(4)
    np.testing.assert_allclose(
        short.compress(vectors), truncate(pipeline.compress(vectors), 4), atol=1e-6
    )
    assert short.codec is None
    assert short.bytes_per_vector == 16
    with pytest.raises(ConfigError, match="no quantizer, so it makes no codes"):
        short.quantize_all(vectors)
    with pytest.raises(ConfigError, match="no head to truncate"):
        Pipeline.fit(Recipe(), vectors).truncate(2)


def test_a_foreign_index_is_refused():
    vectors = unit(100, 16)
    one = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), vectors)
    other = Pipeline.fit(Recipe(quantizer=Percentile(bits=3)), vectors)
    with pytest.raises(MismatchError, match=f"made by the press {one.fingerprint}, this one is"):
        other.search(one.index(vectors), vectors[:1], 1)


def test_other_weights_than_at_the_fit_are_refused(tmp_path):
    Pipeline.fit(RECIPE, corpus()).save(tmp_path / "p")
    loaded = Pipeline.load(tmp_path / "p")
    swapped = Pipeline.fit(RECIPE, corpus(40))
    mixed = Pipeline(**{**vars(loaded), "encoder": swapped.encoder})
    with pytest.raises(MismatchError, match="fitted on models with the fingerprint"):
        mixed.encode(["bank"])


@pytest.mark.parametrize(
    ("recipe", "documents", "message"),
    [
        (Recipe(), corpus(), "texts need at least one model"),
        (Recipe(models=("lexical:4",)), unit(9, 4), "vectors are already encoded"),
        (Recipe(models=("nope",)), corpus(), "unknown model 'nope'; known: minilm"),
        (Recipe(head=PCA(dim=9)), unit(50, 4), "at most the 4 dimensions of the input, got 9"),
        (Recipe(quantizer=Percentile(bits=4)), unit(1, 4), "at least 16 calibration embeddings"),
        (Recipe(models=("lexical:300",)), corpus(), r"ask for lexical:\d+ or less"),
    ],
)
def test_what_does_not_fit_is_said(recipe, documents, message):
    with pytest.raises(VecpressError, match=message):
        Pipeline.fit(recipe, documents)


def test_wrong_width_and_nan_are_said():
    pipeline = Pipeline.fit(Recipe(head=Truncation(dim=2)), unit(50, 4))
    with pytest.raises(ShapeError, match="takes 4-dimensional embeddings, got 5"):
        pipeline.compress(unit(3, 5))
    bad = unit(5, 4)
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in 1 of 5 rows, the first is row 3"):
        pipeline.compress(bad)
    with pytest.raises(DataError, match="takes 4-dimensional vectors, got 5"):
        Pipeline.fit(Recipe(), unit(50, 4)).compress(unit(3, 5))


def test_a_row_that_is_not_finite_is_named_by_its_place_in_the_file():
    """Not by its place in the sample, or in the block that was being read."""
    good = unit(6000, 4)
    bad = good.copy()
    bad[5000, 2] = np.nan
    pipeline = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), good)
    with pytest.raises(DataError, match="the first is row 5000:"):
        pipeline.index(bad)
    with pytest.raises(DataError, match="the first is row 5000:"):
        Pipeline.fit(Recipe(quantizer=Percentile(bits=2), sample=5990), bad)


def test_an_artifact_that_is_no_press_is_refused(tmp_path):
    pipeline = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), unit(50, 4))
    pipeline.index(unit(50, 4)).save(tmp_path / "i")
    with pytest.raises(ArtifactError, match="is an artifact, but not a press"):
        Pipeline.load(tmp_path / "i" / "codec")


def test_a_pipeline_is_an_encoder():
    from vecpress.encoders.combine import Concat
    from vecpress.stages import Encoder

    pipeline = Pipeline.fit(RECIPE, corpus())
    assert isinstance(pipeline, Encoder)
    both = Concat(encoders=(pipeline, pipeline))
    once, twice = pipeline.encode(["boat"]), both.encode(["boat"])
    np.testing.assert_allclose(twice, np.concatenate([once, once], 1) / np.sqrt(2), atol=1e-6)


def test_one_text_is_a_query_but_no_list_of_texts():
    documents = corpus()
    pipeline = Pipeline.fit(RECIPE, documents)
    index = pipeline.index(documents)
    assert pipeline.search(index, "boat", 2).ids == pipeline.search(index, ["boat"], 2).ids
    with pytest.raises(ConfigError, match=r"takes a list of texts, got one: write \['boat'\]"):
        pipeline.encode("boat")


def test_a_truncated_pipeline_is_saved_as_what_it_is(tmp_path):
    pipeline = Pipeline.fit(RECIPE, corpus()).truncate(3)
    pipeline.save(tmp_path / "p")
    loaded = Pipeline.load(tmp_path / "p")
    assert (loaded.dim, loaded.codec, loaded.recipe.quantizer) == (3, None, None)
    np.testing.assert_array_equal(loaded.encode(["boat"]), pipeline.encode(["boat"]))


def test_a_model_with_options_is_saved_with_them(tmp_path):
    recipe = Recipe(models=("lexical:4", {"kind": "lexical", "dim": 3, "max_terms": 9}))
    Pipeline.fit(recipe, corpus()).save(tmp_path / "p")
    loaded = Pipeline.load(tmp_path / "p")
    assert loaded.recipe == recipe
    assert "lexical:4, lexical (dim 3, max_terms 9)" in (tmp_path / "p" / "README.md").read_text()
    assert loaded.encode(["boat"]).shape == (1, 7)


PAIRS = Pairs(
    queries=Corpus(ids=("q0", "q1"), texts=("money to lend", "a boat")),
    rows=np.array([[0, 3], [1, 70], [1, 4]]),
    grades=np.array([1, 2, 0], np.float32),
    skipped=1200,
)


@pytest.fixture
def seen():
    """What the compressors of this test were given."""
    Recording.seen.clear()
    return Recording.seen


def test_a_head_learns_from_judgements_of_texts(seen):
    documents = corpus()
    recipe = Recipe(models=("lexical:8",), head=Recording(dim=3), sample=30)
    pipeline = Pipeline.fit(recipe, documents, pairs=PAIRS, seed=1)
    (training,) = seen
    encode = pipeline.encoder.encode
    np.testing.assert_array_equal(training.queries, encode(PAIRS.queries.texts, role="query"))
    judged = training.documents[training.positives[:, 1]]
    np.testing.assert_array_equal(judged, encode([documents.texts[i] for i in (3, 70, 4)]))
    np.testing.assert_array_equal(training.positives[:, 0], [0, 1, 1])
    np.testing.assert_array_equal(training.grades, [1, 2, 0])
    assert training.models == (("lexical:8", 8),)
    assert pipeline.provenance["pairs"] == PAIRS.record()


def test_the_codec_is_calibrated_without_what_was_only_judged(seen):
    vectors = unit(500, 6)
    rows = np.stack([np.zeros(300, np.int64), np.arange(200, 500)], axis=1)
    pairs = Pairs(queries=unit(1, 6, seed=5), rows=rows, grades=np.ones(300, np.float32))
    recipe = Recipe(head=Recording(dim=4), quantizer=Percentile(bits=2), sample=40)
    with_pairs = Pipeline.fit(recipe, vectors, pairs=pairs)
    without = Pipeline.fit(recipe, vectors)
    np.testing.assert_array_equal(with_pairs.codec.borders, without.codec.borders)
    assert with_pairs.fingerprint == without.fingerprint  # the head of this test learns nothing
    assert len(seen[0].documents) > 300
    assert len(seen[1].documents) == 40


def test_what_training_told_is_kept_but_shapes_nothing(seen, tmp_path):
    told = []
    pipeline = Pipeline.fit(Recipe(head=Recording(dim=3)), unit(30, 6), log=told.append)
    assert [row["event"] for row in told] == ["epoch", "kept"]
    assert pipeline.log == tuple(told)
    other = Pipeline.fit(Recipe(head=Recording(dim=3, what="start")), unit(30, 6))
    assert other.fingerprint == pipeline.fingerprint
    pipeline.save(tmp_path / "p")
    loaded = Pipeline.load(tmp_path / "p")
    assert loaded.log == pipeline.log
    assert loaded.fingerprint == pipeline.fingerprint
    loaded.save(tmp_path / "q")
    for path in (tmp_path / "p").iterdir():
        assert path.read_bytes() == (tmp_path / "q" / path.name).read_bytes()
    plain = Pipeline.fit(Recipe(head=PCA(dim=3)), unit(30, 6))
    plain.save(tmp_path / "plain")
    assert plain.log == Pipeline.load(tmp_path / "plain").log == ()


def test_the_card_says_what_was_learned_from_and_what_was_kept(seen, tmp_path):
    documents, models = corpus(), ("lexical:8",)
    for name, head in [("p", Recording(dim=3)), ("q", Recording(dim=3, what="start"))]:
        recipe = Recipe(models=models, head=head)
        Pipeline.fit(recipe, documents, pairs=PAIRS).save(tmp_path / name)
    trained, start = ((tmp_path / name / "README.md").read_text() for name in "pq")
    assert (
        "- Was given 3 judgements of 2 queries; left out: 1,200 of documents that are not in the "
        f"corpus (digest `{PAIRS.digest}`)\n"
    ) in trained
    assert "- Head 8 -> 3: trained to epoch 7, held-out nDCG@10 .740 (start .710)\n" in trained
    assert (
        "- Head 8 -> 3: kept the starting point; no epoch surely improved held-out nDCG@10 (.710)\n"
    ) in start


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.74, ".740"), (1, "1.000"), (-0.5, "-.500"), (0, ".000"), (0.00123, "1.23e-03"),
     (12.3456, "12.346"), (float("nan"), "nan")],
)  # fmt: skip
def test_figures_are_short(value, text):
    row = {"event": "kept", "stage": "s", "what": "trained", "epoch": 1, "held_out": value,
           "start": 0.5, "figure": "f"}  # fmt: skip
    assert kept([{"event": "epoch"}, row]) == [f"s: trained to epoch 1, f {text} (start .500)"]
    few = row | {"what": "start", "p_value": 0.5, "cases": 5}
    assert kept([few]) == [
        "s: kept the starting point; 5 held-out queries are too few to be sure of a gain: give more "
        "pairs, so that 6 judge (.500, p = .500)"
    ]
    assert kept([few | {"cases": 6}]) == [
        "s: kept the starting point; no epoch surely improved f (.500, p = .500)"
    ]
    assert kept([{"event": "kept", "what": "trained"}]) == []  # somebody else's row


def test_judgements_that_nothing_would_learn_from_are_refused():
    documents = corpus()
    with pytest.raises(ConfigError, match="judgements train a head, and this recipe has none: tak"):
        Pipeline.fit(Recipe(models=("lexical:8",)), documents, pairs=PAIRS)
    with pytest.raises(
        ConfigError,
        match=r"the head 'power-pca' learns nothing from judgements: take a head that learns from "
        r"them, such as smec, or leave the judgements out",
    ):
        Pipeline.fit(RECIPE, documents, pairs=PAIRS)
    with pytest.raises(
        ConfigError, match=r"'recording:Plain' learns nothing.*says `learns_from_pai"
    ):
        Pipeline.fit(Recipe(models=("lexical:8",), head=Plain(dim=2)), documents, pairs=PAIRS)


def test_a_chained_head_is_cut_to_its_own_map(tmp_path):
    """The maps of its widths differ, so that cutting is not keeping a prefix."""
    head = replace(keep(6, [0, 1, 2, 3]), narrower=keep(6, [5, 4]))
    vectors = unit(30, 6)
    wide = replace(Pipeline.fit(Recipe(head=Truncation(dim=4)), vectors), head=head)
    for dim, columns in [(4, [0, 1, 2, 3]), (3, [0, 1, 2]), (2, [5, 4]), (1, [5])]:
        short = wide.truncate(dim)
        expected = normalize(vectors[:, columns])
        np.testing.assert_allclose(short.compress(vectors), expected, atol=1e-6)
        assert short.provenance["truncated_to"] == dim
        short.save(tmp_path / str(dim))
        loaded = Pipeline.load(tmp_path / str(dim))
        assert (loaded.dim, loaded.provenance["truncated_to"]) == (dim, dim)
        np.testing.assert_array_equal(loaded.compress(vectors), short.compress(vectors))
