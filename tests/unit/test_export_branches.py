"""What a press's encoders are taken apart into, checked by computing with the parts by hand."""

import json
import math

import numpy as np
import pytest
from tokenizers import Tokenizer

import tiny_models
from helpers import HashEncoder, unit
from vecpress.corpus import Corpus
from vecpress.encoders.lexical import Lexical
from vecpress.errors import ConfigError
from vecpress.exports.branches import BertBranch, TableBranch, branches_of
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.sample import Sample

TEXTS = (
    "the cat sat on the mat and the dog ran",
    "a red bird or a blue fish under the tree",
    "very very very red fish",
    "the dog sat under a tree",
    "a cat and a bird ran",
)


def fit(*models, weights=None):
    corpus = Corpus(ids=tuple("abcde"), texts=TEXTS, name="toy")
    return Pipeline.fit(Recipe(models=models, weights=weights), corpus)


def bert(tmp_path, name="b", **options):
    return f"st:{tiny_models.bert_folder(tmp_path / name, **options)}"


def static(tmp_path, name="s", **options):
    return f"static:{tiny_models.static_folder(tmp_path / name, **options)}"


def by_hand(branches, part, text, role="document"):
    """Add up the rows of a table branch as its docstring says, one token at a time."""
    given = branches.inputs[part.input]
    tokenizer = Tokenizer.from_str(given.tokenizer)
    ids = tokenizer.encode(given.prompts[role] + text, add_special_tokens=given.special_tokens).ids
    before, after = given.ends
    known = [i for i in ids[before : len(ids) - after] if i != part.unknown][: part.max_tokens]
    total = np.zeros(part.dim)
    for i in set(known):
        n = known.count(i)
        total += np.float64(part.rows[i]) * (1 + math.log(n) if part.sublinear else n)
    norm = np.linalg.norm(total)
    return total / norm if norm else total


@pytest.mark.parametrize("model", ["static", "lexical:3"])
def test_a_table_by_hand_is_the_encoder(tmp_path, model):
    press = fit(static(tmp_path, weights=True) if model == "static" else model)
    branches = branches_of(press)
    (part,) = branches.parts
    texts = [*TEXTS, "", "unheard of", "CAT cat, cat! dog", "[CLS] cat"]
    expected = [by_hand(branches, part, text) for text in texts]
    np.testing.assert_allclose(press.encode(texts), expected, atol=1e-6)
    assert branches.are_tables
    assert branches.scales == (1.0,)


def test_models_that_split_and_prompt_alike_share_their_ids(tmp_path):
    press = fit(
        static(tmp_path), bert(tmp_path), bert(tmp_path, "c", seed=1), "lexical:2",
        weights=(1.0, 4.0, 1.0, 0.25),
    )  # fmt: skip
    branches = branches_of(press)
    assert [part.input for part in branches.parts] == [0, 0, 0, 1]
    framed, words = branches.inputs
    assert (framed.special_tokens, framed.ends, framed.max_tokens) == (True, (1, 1), None)
    assert (words.special_tokens, words.ends, words.max_tokens) == (False, (0, 0), None)
    assert branches.scales == (1.0, 2.0, 1.0, 0.5)
    assert branches.dim == press.in_dim


def test_models_with_other_prompts_have_ids_of_their_own(tmp_path):
    prompts = {"query": "query: ", "document": "passage: "}
    press = fit(bert(tmp_path), bert(tmp_path, "c", prompts=prompts), static(tmp_path))
    branches = branches_of(press)
    assert [part.input for part in branches.parts] == [0, 1, 0]
    assert branches.inputs[1].prompts == prompts
    assert branches.inputs[0].prompts == {"query": "", "document": ""}


def test_the_longest_reader_decides_how_many_ids_are_wanted(tmp_path):
    def model(name, length):
        folder = str(tiny_models.bert_folder(tmp_path / name))
        return {"kind": "sentence-transformer", "model": folder, "max_length": length}

    branches = branches_of(fit(model("b", 9), model("c", 17), model("d", 5)))
    assert [made.max_tokens for made in branches.inputs] == [17]
    assert [part.max_length for part in branches.parts] == [9, 17, 5]


def test_a_transformer_tells_its_precision_and_poolings(tmp_path):
    folder = str(tiny_models.bert_folder(tmp_path / "b", pooling="cls"))
    model = {"kind": "sentence-transformer", "model": folder, "query_pooling": "mean"}
    (part,) = branches_of(fit(model | {"precision": "int8"})).parts
    assert isinstance(part, BertBranch)
    assert part.int8
    assert part.poolings == {"query": "mean", "document": "cls"}
    for precision in ("w8", None):
        (part,) = branches_of(fit(model | {"precision": precision})).parts
        assert part.precision == precision
        assert not part.int8


def test_a_rounded_table_gives_its_whole_numbers(tmp_path):
    (part,) = branches_of(fit(static(tmp_path) + ":int4")).parts
    assert isinstance(part, TableBranch)
    assert part.rounded.bits == 4
    np.testing.assert_array_equal(part.rounded.rows, part.rows)


def test_models_are_named_without_the_paths_of_this_machine(tmp_path):
    press = fit(static(tmp_path) + ":int4", bert(tmp_path) + ":int8", "lexical:2")
    assert branches_of(press).names == ("static:s:int4", "st:model:int8", "lexical:2")


def test_an_encoder_that_no_recipe_names_is_named_after_its_class(tmp_path):
    encoder = Lexical(dim=2).fit(TEXTS)
    sample = Sample(embeddings=encoder.encode(TEXTS), encoder=encoder)
    assert branches_of(Pipeline.from_sample(Recipe(), sample)).names == ("LexicalEncoder",)


def test_the_tokenizers_neither_pad_nor_cut(tmp_path):
    for given in branches_of(fit(bert(tmp_path), "lexical:2")).inputs:
        parts = json.loads(given.tokenizer)
        assert parts["padding"] is None
        assert parts["truncation"] is None


def test_vectors_and_models_without_a_graph_are_refused(tmp_path):
    vectors = Pipeline.fit(Recipe(), unit(20, 8))
    with pytest.raises(ConfigError, match=r"fitted on precomputed vectors"):
        branches_of(vectors)
    press = fit("helpers:HashEncoder")
    assert isinstance(press.encoder, HashEncoder)
    with pytest.raises(ConfigError) as caught:
        branches_of(press)
    assert str(caught.value) == (
        "'helpers:HashEncoder' has no graph that could be exported, for it is a HashEncoder: only "
        "BERT-type transformers (st:), static tables and lexical models have"
    )


def test_a_transformer_that_is_no_bert_is_refused_with_the_reason(tmp_path):
    folder = tiny_models.bert_folder(tmp_path / "b")
    press = fit(f"st:{folder}")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"hidden_act": "relu"}))
    changed = fit(f"st:{folder}")
    with pytest.raises(ConfigError) as caught:
        branches_of(changed)
    assert str(caught.value) == (
        f"'st:{folder}' has no graph that could be exported, for only plain BERTs of texts have: "
        "its hidden_act is 'relu'"
    )
    assert press.fingerprint != changed.fingerprint


def test_a_transformer_whose_graph_gives_other_vectors_is_refused(tmp_path):
    folder = tiny_models.bert_folder(tmp_path / "b")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"truncation_side": "left"}))
    with pytest.raises(ConfigError, match=r"would give other vectors than the press, for it cuts"):
        branches_of(fit(f"st:{folder}"))
    asked = {"kind": "sentence-transformer", "model": str(folder), "engine": "onnx"}
    assert branches_of(fit(asked)).dim == tiny_models.HIDDEN
