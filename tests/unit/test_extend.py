from dataclasses import replace

import numpy as np
import pytest

from helpers import HashEncoder, unit
from recording import Plain, Recording, keep
from vecpress import Corpus, Pipeline, Recipe, artifact, registry
from vecpress.arrays import normalize
from vecpress.compressors.linear import PCA
from vecpress.errors import ConfigError, DataError, MismatchError
from vecpress.extend import continuing, extend
from vecpress.pairs import Pairs
from vecpress.quantizers.scalar import Percentile
from vecpress.registry import Entry
from vecpress.sample import Sample

TEXTS = Corpus(
    ids=tuple(f"d{i}" for i in range(40)),
    texts=tuple(f"word{i % 5} word{i % 7} word{i}" for i in range(40)),
)


@pytest.fixture
def seen():
    Recording.seen.clear()
    return Recording.seen


def press(head=None, **recipe):
    head = Recording(dim=6) if head is None else head
    return Pipeline.fit(Recipe(head=head, **recipe), unit(60, 8))


def test_the_new_press_has_the_new_width_alone_and_the_old_one_stays(seen, tmp_path):
    wide = press(quantizer=Percentile(bits=2))
    wide.save(tmp_path / "wide")
    before = {p.name: p.read_bytes() for p in (tmp_path / "wide").iterdir()}
    fingerprint, vectors = wide.fingerprint, unit(60, 8)
    recipe = Recipe(head=Recording(dim=2), quantizer=Percentile(bits=3))
    told = []
    short = extend(Pipeline.load(tmp_path / "wide"), recipe, vectors, log=told.append)
    assert (short.dim, short.head.dims, short.in_dim, short.bytes_per_vector) == (2, (2,), 8, 1)
    expected = normalize(vectors[:, [6, 7]])  # the map that continuing made, not a prefix
    np.testing.assert_allclose(short.compress(vectors), expected, atol=1e-6)
    codec = Percentile(bits=3).fit(expected, seed=0)
    np.testing.assert_allclose(short.codec.borders, codec.borders, atol=1e-6)
    assert short.provenance["continues"] == fingerprint
    assert "continues" not in wide.provenance
    assert [row["stage"] for row in short.log] == ["6 -> 2", "6 -> 2"]
    assert short.log == tuple(told)  # the wider press has its own
    assert {p.name: p.read_bytes() for p in (tmp_path / "wide").iterdir()} == before
    assert wide.fingerprint == fingerprint
    short.save(tmp_path / "short")
    loaded = Pipeline.load(tmp_path / "short")
    assert loaded.recipe == recipe
    assert loaded.provenance["continues"] == fingerprint
    card = (tmp_path / "short" / "README.md").read_text()
    assert f"- Continues the press with the fingerprint `{fingerprint}`\n" in card


def test_it_can_be_continued_again_and_below_a_chain(seen):
    once = extend(press(), Recipe(head=Recording(dim=4)), unit(60, 8))
    twice = extend(once, Recipe(head=Recording(dim=2)), unit(60, 8))
    assert twice.provenance["continues"] == once.fingerprint
    chained = replace(press(), head=replace(keep(8, range(6)), narrower=keep(8, [3, 2, 1])))
    below = extend(chained, Recipe(head=Recording(dim=2)), unit(60, 8))
    assert (below.head.dims, below.log[0]["stage"]) == ((2,), "3 -> 2")
    with pytest.raises(
        ConfigError, match="goes down to 3 dimensions, so it is continued to fewer, "
    ):
        extend(chained, Recipe(head=Recording(dim=3)), unit(60, 8))


def test_models_weights_and_fitted_words_are_those_of_the_press(seen):
    recipe = Recipe(models=("lexical:6", "lexical:3"), weights=(1.0, 0.5), head=Recording(dim=6))
    wide = Pipeline.fit(recipe, TEXTS)
    other = Corpus(ids=TEXTS.ids, texts=tuple(f"{t} more" for t in TEXTS.texts))
    pairs = Pairs(
        queries=Corpus(ids=("q",), texts=("word3",)),
        rows=np.array([[0, 7]]),
        grades=np.array([2], np.float32),
    )
    short = extend(wide, Recipe(head=Recording(dim=2)), other, pairs=pairs, seed=4)
    assert short.recipe == replace(recipe, head=Recording(dim=2))
    assert short.provenance["encoder"] == wide.provenance["encoder"]
    training = seen[-1]
    np.testing.assert_array_equal(training.documents, wide.encoder.encode(other.texts))
    np.testing.assert_array_equal(training.queries, wide.encoder.encode(["word3"], role="query"))
    np.testing.assert_array_equal(training.positives, [[0, 7]])
    assert training.models == (("lexical:6", 6), ("lexical:3", 3))
    assert (short.provenance["seed"], short.provenance["pairs"]["judgements"]) == (4, 1)


def test_a_cached_press_remembers_what_it_encodes(seen, tmp_path):
    sample = Sample(embeddings=HashEncoder(8).encode(TEXTS.texts), encoder=HashEncoder(8))
    wide = Pipeline.from_sample(Recipe(head=Recording(dim=6)), sample).cached(tmp_path)
    one = extend(wide, Recipe(head=Recording(dim=2)), TEXTS)
    two = extend(wide, Recipe(head=Recording(dim=3)), TEXTS)
    np.testing.assert_array_equal(seen[-1].documents, sample.embeddings)
    assert wide.encoder.encoder.encoded == len(TEXTS)
    assert one.provenance["encoder"] == two.provenance["encoder"] == "hash-8-"


@pytest.mark.parametrize(
    ("wide", "recipe", "documents", "error", "message"),
    [
        (None, Recipe(head=Recording(dim=2)), "v", ConfigError, "this press has no head to contin"),
        (6, Recipe(), "v", ConfigError, "such as smec, got none: leave the choice out"),
        (6, Recipe(head=PCA(dim=2)), "v", ConfigError, "such as smec, got pca: leave the choice"),
        (6, Recipe(head=Plain(dim=2)), "v", ConfigError, "such as smec, got recording:Plain"),
        (
            6,
            Recipe(head=Recording(dim=6)),
            "v",
            ConfigError,
            "already goes down to 6 dimensions, so it is continued to fewer, got 6: in Python, Pipeline.truncate",
        ),
        (6, Recipe(head=Recording(dim=9)), "v", ConfigError, "continued to fewer, got 9"),
        (
            6,
            Recipe(models=("minilm",), head=Recording(dim=2)),
            "v",
            ConfigError,
            "continued with its own models, none; got minilm: leave them out",
        ),
        (
            6,
            Recipe(head=Recording(dim=2)),
            "t",
            ConfigError,
            "fitted on precomputed vectors and kn",
        ),
        (
            6,
            Recipe(head=Recording(dim=2)),
            "w",
            DataError,
            "takes 8-dimensional vectors, got 9: we",
        ),
        ("t", Recipe(head=Recording(dim=2)), "v", ConfigError, "give it texts, not vectors"),
        (
            "t",
            Recipe(models=("lexical:9",), head=Recording(dim=2)),
            "t",
            ConfigError,
            "own models, lexical:8; got lexical:9: leave them out, or fit from the start instead",
        ),
        (
            "t",
            Recipe(models=("lexical:8",), weights=(0.5,), head=Recording(dim=2)),
            "t",
            ConfigError,
            "continued with its own weights, equal ones; got (0.5,)",
        ),
    ],
)
def test_what_cannot_be_continued_is_said(wide, recipe, documents, error, message):
    if wide == "t":
        wide = Pipeline.fit(Recipe(models=("lexical:8",), head=Recording(dim=6)), TEXTS)
    else:
        wide = Pipeline.fit(Recipe(head=wide and Recording(dim=wide)), unit(60, 8))
    found = {"v": unit(60, 8), "w": unit(60, 9), "t": TEXTS}[documents]
    with pytest.raises(error) as raised:
        extend(wide, recipe, found)
    assert message in str(raised.value)


def test_other_models_than_at_the_fit_are_refused():
    recipe = Recipe(models=("lexical:8",), head=Recording(dim=6))
    wide = Pipeline.fit(recipe, TEXTS)
    other = Pipeline.fit(recipe, Corpus(ids=TEXTS.ids[:20], texts=TEXTS.texts[:20]))
    with pytest.raises(MismatchError, match="fitted on models with the fingerprint"):
        extend(replace(wide, encoder=other.encoder), Recipe(head=Recording(dim=2)), TEXTS)


def test_judgements_that_the_continuing_head_cannot_use_are_refused(monkeypatch):
    monkeypatch.setattr(Recording, "learns_from_pairs", False)
    pairs = Pairs(queries=unit(1, 8), rows=np.array([[0, 1]]), grades=np.ones(1, np.float32))
    with pytest.raises(ConfigError, match="'recording:Recording' learns nothing from judgements"):
        extend(press(), Recipe(head=Recording(dim=2)), unit(60, 8), pairs=pairs)


def test_a_method_continues_itself_and_smec_continues_the_others(monkeypatch):
    own = Recipe(head=Recording(dim=6, nested_dims=(2, 6), what="start"))
    assert continuing(own, 1) == Recording(dim=1, what="start")  # nested dims were the old head's
    monkeypatch.setitem(registry.COMPRESSORS, "smec", Entry("recording:Plain"))
    assert continuing(Recipe(head=PCA(dim=6)), 2) == Plain(dim=2)
    assert continuing(Recipe(), 2) == Plain(dim=2)


def test_the_head_given_to_the_method_is_the_presss_own(seen, monkeypatch):
    given = []
    real = Recording.extend

    def spy(self, head, training, **options):
        given.append(head)
        return real(self, head, training, **options)

    monkeypatch.setattr(Recording, "extend", spy)
    wide = press()
    stored = artifact.fingerprint({"head": wide.head})
    extend(wide, Recipe(head=Recording(dim=2)), unit(60, 8))
    assert given == [wide.head]
    assert artifact.fingerprint({"head": wide.head}) == stored
