"""Tables and lexical models as graphs, held against the encoders they are made of."""

import json

import numpy as np
import pytest

import tiny_models
from export_graphs import cosines, feed, run, run_slowly
from tiny_models import TEXTS, WORDS
from vecpress.arrays import round_rows
from vecpress.encoders.combine import Concat
from vecpress.encoders.lexical import Lexical
from vecpress.encoders.static import StaticEncoder
from vecpress.exports.branches import Branches, TableBranch, TokenInput
from vecpress.exports.graph import PRECISIONS, build_graph

ODD = [
    *TEXTS,
    "cat " * 300,
    "[CLS] the cat [SEP] dog",
    "日本 😀 cat",
    "  \n\t",
    "a a a b b cat. cat",
]
NO_PROMPTS = {"query": "", "document": ""}
UNKNOWN = WORDS.index("[UNK]")


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return tiny_models.static_folder(tmp_path_factory.mktemp("static") / "s")


def branches(encoder, *, special=False, **options):
    """The one table of a static encoder, written by hand."""
    tokenizer = json.loads(encoder.tokenizer.library.to_str())
    if not special:
        tokenizer["post_processor"] = None
    put = TokenInput(
        tokenizer=json.dumps(tokenizer),
        special_tokens=special,
        ends=(1, 1) if special else (0, 0),
        prompts=NO_PROMPTS,
        max_tokens=None,
        pad_id=0,
    )
    table = {
        "input": 0,
        "rows": encoder.table,
        "rounded": encoder.rounded,
        "unknown": encoder.unknown,
        "max_tokens": encoder.max_length,
        "sublinear": False,
    }
    parts = (TableBranch(**table | options),)
    return Branches(inputs=(put,), parts=parts, scales=(1.0,), names=("static",))


def encoded(given, texts, *, engine=run, precision="float32"):
    return engine(build_graph(given, None, None, None, precision=precision), feed(given, texts))[0]


@pytest.mark.parametrize("engine", [run, run_slowly])
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("max_length", [None, 1, 3])
def test_rows_are_the_encoders_whatever_ends_stand_around_the_ids(
    static, max_length, special, engine
):
    encoder = StaticEncoder(model=str(static), max_length=max_length)
    assert encoder.unknown == UNKNOWN
    rows = encoded(branches(encoder, special=special), ODD, engine=engine)
    np.testing.assert_allclose(rows, encoder.encode(ODD), atol=1e-6)
    empty = [i for i, text in enumerate(ODD) if not text.strip()]
    assert len(empty) == 2
    assert not rows[empty].any()


def test_a_table_without_an_unknown_token_counts_that_one_too(static):
    encoder = StaticEncoder(model=str(static))
    rows = encoded(branches(encoder, unknown=-1), ["cat 日", "cat"])
    table = encoder.table
    wanted = table[WORDS.index("cat")] + table[UNKNOWN]
    np.testing.assert_allclose(rows[0], wanted / np.linalg.norm(wanted), atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 0.01


def test_padding_and_company_change_no_row(static):
    given = branches(StaticEncoder(model=str(static)))
    alone = np.concatenate([encoded(given, [text]) for text in ODD])
    np.testing.assert_allclose(encoded(given, ODD), alone, atol=1e-6)


@pytest.mark.parametrize("engine", [run, run_slowly])
def test_no_texts_and_texts_without_any_id_are_taken_too(static, engine):
    given = branches(StaticEncoder(model=str(static)))
    model = build_graph(given, None, None, None)
    ids = np.zeros((0, 3), np.int64)
    assert engine(model, {"input_ids": ids, "attention_mask": ids})[0].shape == (0, 24)
    assert feed(given, ["", " "])["input_ids"].shape == (2, 0)
    np.testing.assert_array_equal(encoded(given, ["", " "], engine=engine), np.zeros((2, 24)))


@pytest.mark.parametrize(("precision", "bits"), [("float32", 4), ("float32", 8), ("int8", 4)])
def test_rows_that_the_press_has_rounded_stay_as_they_are(static, precision, bits):
    encoder = StaticEncoder(model=str(static), precision=f"int{bits}")
    given = branches(encoder)
    assert given.parts[0].rounded.bits == bits
    rows = encoded(given, ODD, precision=precision)
    np.testing.assert_allclose(rows, encoder.encode(ODD), atol=1e-6)


def test_in_8_bits_rows_are_rounded_each_by_a_scale_of_its_own(static):
    encoder = StaticEncoder(model=str(static))
    rounded = round_rows(encoder.table, bits=8)
    rows = encoded(branches(encoder), ODD, precision="int8")
    same = branches(encoder, rows=rounded.rows)
    np.testing.assert_allclose(rows, encoded(same, ODD), atol=1e-6)
    near = cosines(rows, encoder.encode(ODD))
    assert 0.999 < near.min() < 1 - 1e-6


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_in_16_bits_rows_large_or_small_keep_their_directions(static, scale):
    encoder = StaticEncoder(model=str(static))
    rows = encoder.table * np.float32(scale)
    made = encoded(branches(encoder, rows=rows), ODD, precision="float16")
    assert cosines(made, encoder.encode(ODD)).min() > 1 - 1e-6


def test_a_graph_gets_smaller_with_its_precision(static):
    given = branches(StaticEncoder(model=str(static)))
    sizes = [
        len(build_graph(given, None, None, None, precision=p).SerializeToString())
        for p in PRECISIONS
    ]
    cells = given.parts[0].rows.size
    assert sizes[0] - sizes[1] == pytest.approx(2 * cells, abs=200)
    assert sizes[1] - sizes[2] == pytest.approx(cells - 4 * len(WORDS), abs=400)


# --- lexical models ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lexical():
    words = WORDS[5:23]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(60)]
    return Lexical(dim=8).fit(texts)


def lexical_branches(encoder):
    terms = encoder.vocabulary.tobytes().decode().split("\n")
    vocabulary = {term: i for i, term in enumerate([*terms, "[UNK]"])}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    put = TokenInput(
        tokenizer=json.dumps(tokenizer),
        special_tokens=False,
        ends=(0, 0),
        prompts=NO_PROMPTS,
        max_tokens=None,
        pad_id=0,
    )
    rows = np.concatenate([(encoder.components * encoder.idf).T, np.full((1, 8), 7.0)])
    table = TableBranch(
        input=0,
        rows=np.ascontiguousarray(rows, np.float32),
        rounded=None,
        unknown=len(terms),
        max_tokens=None,
        sublinear=True,
    )
    return Branches(inputs=(put,), parts=(table,), scales=(1.0,), names=("lexical",))


WORDY = [*ODD, "fish fish fish fish bird", "Cat cat CAT dog zzz zzz"]


@pytest.mark.parametrize("engine", [run, run_slowly])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_terms_count_less_the_more_often_they_occur(lexical, precision, engine):
    given = lexical_branches(lexical)
    rows = encoded(given, WORDY, engine=engine, precision=precision)
    near = 1e-6 if precision == "float32" else 1e-3
    np.testing.assert_allclose(rows, lexical.encode(WORDY), atol=near)
    assert not rows[WORDY.index("zzyzx xylophone")].any()


def test_words_of_the_neighbours_are_not_counted(lexical):
    given = lexical_branches(lexical)
    together = encoded(given, ["cat cat fish", "cat", "fish fish fish cat dog dog"])
    alone = [encoded(given, [text])[0] for text in ("cat cat fish", "cat")]
    np.testing.assert_allclose(together[:2], alone, atol=1e-6)


# --- side by side -----------------------------------------------------------------------------


def test_parts_stand_side_by_side_by_the_root_of_their_weight(static, lexical):
    encoder = StaticEncoder(model=str(static))
    one, two = branches(encoder), lexical_branches(lexical)
    both = Branches(
        inputs=one.inputs + two.inputs,
        parts=(one.parts[0], TableBranch(**vars(two.parts[0]) | {"input": 1})),
        scales=(1.0, 0.5),
        names=("static", "lexical"),
    )
    wanted = Concat(encoders=(encoder, lexical), weights=(1.0, 0.25))
    np.testing.assert_allclose(encoded(both, WORDY), wanted.encode(WORDY), atol=1e-6)
    model = build_graph(both, None, None, None)
    names = [put.name for put in model.graph.input]
    assert names == ["input_ids", "attention_mask", "input_ids_2", "attention_mask_2"]
    assert [put.name for put in model.graph.output] == ["sentence_embedding"]
