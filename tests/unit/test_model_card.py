"""The card of a folder: what the hub reads of it, and what people do."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

import tiny_models
from tiny_models import TEXTS
from vecpress.corpus import Corpus
from vecpress.exports.bases import Base, bases, public_recipe
from vecpress.exports.dims_bits import BITS, Cell, DimsBits, sizes
from vecpress.exports.model_card import Facts, model_card
from vecpress.head import chain
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

CORPUS = Corpus(ids=tuple(map(str, range(70))), texts=tuple(TEXTS * 10), name="many")
A = Base(name="org/a", hub_id="org/a", license="mit")
B = Base(name="org/b", hub_id="org/b", license="apache-2.0")
PACKED = Base(name="packed", hub_id=None, license=None, package="MIT License")
HERE = Base(name="mine", hub_id=None, license=None)


def fit(*models, **options):
    spec = {"models": list(models), "head": {"kind": "pca", "dim": 6}, **options}
    return Pipeline.fit(Recipe.from_dict(spec), CORPUS)


@pytest.fixture(scope="module")
def pipeline():
    return fit("lexical:8", quantizer={"kind": "percentile", "bits": 2})


def card(pipeline, **facts):
    return model_card(pipeline, Facts(**({"bases": (A,), "table": sizes(pipeline)} | facts)))


def test_the_hub_reads_what_it_is(pipeline):
    told = ModelCard(card(pipeline, bases=(A, replace(B, license="mit"), HERE))).data.to_dict()
    assert told["library_name"] == "sentence-transformers"
    assert told["pipeline_tag"] == "sentence-similarity"
    assert {"sentence-transformers", "feature-extraction", "vecpress"} <= set(told["tags"])
    assert told["base_model"] == ["org/a", "org/b"]
    assert "license" not in told


@pytest.mark.parametrize(
    ("made_of", "license_", "sentence"),
    [
        ((A,), "mit", "- [org/a](https://hf.co/org/a): mit"),
        ((A, B), None, "The licenses differ, and all of them hold for this folder"),
        ((A, HERE), None, "- mine: license unknown"),
        ((A, HERE), None, "The card of a model above does not tell its license: look it up"),
        ((A, PACKED), None, "- packed: license unknown; the package it came in says: MIT License"),
        ((), None, "No model of others is in it: it was made of the corpus alone."),
    ],
)
def test_a_license_is_claimed_only_where_all_models_have_it(pipeline, made_of, license_, sentence):
    text = card(pipeline, bases=made_of)
    assert ModelCard(text).data.to_dict().get("license") == license_
    assert sentence in text


def test_names_cannot_break_the_first_lines(pipeline):
    odd = Base(name="a: b", hub_id='org/"x: #', license="mit")
    assert ModelCard(card(pipeline, bases=(odd,))).data.base_model == ['org/"x: #']


def test_bytes_stand_where_nothing_was_measured(pipeline):
    text = card(pipeline)
    assert "| dimensions | float32 | 8 bits | 4 bits | 2 bits | 1 bit |" in text
    assert "| 6 | 24 B | 6 B | 3 B | 2 B | 1 B |" in text
    assert "`vecpress export PRESS --to sentence-transformers --evaluate BEIR_FOLDER`" in text


def test_scores_stand_with_what_they_keep_and_cost(pipeline):
    cells = tuple(
        Cell(dim=1000, bits=bits, bytes_per_vector=125 * bits, ndcg=bits / 100)
        for bits in BITS
        if bits != 8
    )
    measured = {"benchmark": "scifact", "queries": 300, "documents": 5183, "baseline": 0.32}
    own = {"own_ndcg": 0.16, "own_bytes": 64}
    table = DimsBits(cells=cells, dims=(1000,), coder="Percentile", **measured, **own)
    text = card(pipeline, table=table)
    assert "## nDCG@10 on scifact" in text
    assert (
        "| 1000 | 0.320 (100.0 %, 4,000 B) | too few documents | 0.040 (12.5 %, 500 B) "
        "| 0.020 (6.2 %, 250 B) | 0.010 (3.1 %, 125 B) |"
    ) in text
    assert "before the head score, 0.320, and the bytes per document. 300 queries, 5,183" in text
    assert "codes are Percentile, calibrated on the benchmark's documents" in text
    assert "takes 64 bytes per document and scores 0.160 (50.0 %)." in text


def test_who_needs_our_package_is_told_why(pipeline):
    stock, ours = card(pipeline), card(pipeline, module="it puts 2 models side by side")
    assert "trust_remote_code" not in stock
    assert "pip install 'sentence-transformers>=5.6'\n" in stock
    assert 'SentenceTransformer("FOLDER_OR_REPO_ID", trust_remote_code=True)' in ours
    assert "pip install 'vecpress[encode,onnx]'\n" in ours
    assert "needs the package vecpress, because it puts 2 models side by side." in ours


def test_how_to_cut_is_told(pipeline):
    assert "`model.encode_document(texts, truncate_dim=3, normalize_embeddings=True)`" in card(
        pipeline
    )
    chained = replace(pipeline, head=chain([pipeline.head, pipeline.head.truncate(4)]))
    assert "so do not cut its embeddings (`truncate_dim`)" in card(chained)
    assert "its embeddings cannot be cut" in card(replace(pipeline, head=None))


def test_codes_are_told_of_where_they_are(pipeline):
    assert "## Codes" not in card(pipeline)
    text = card(pipeline, has_codec=True)
    assert 'Pipeline.load("FOLDER_OR_REPO_ID/vecpress")' in text


def test_words_of_the_corpus_are_named_beside_the_models(pipeline):
    assert "# org/a + lexical:8, in 6 dimensions" in card(pipeline)


def test_models_are_found_wherever_they_are():
    """Of a package, of a folder with a card, of a folder without; and each once."""
    minilm = Base(
        name="sentence-transformers/all-MiniLM-L6-v2",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        license="apache-2.0",
    )
    wordllama = Base(name="wordllama", hub_id=None, license=None, package="MIT License")
    assert bases(fit("minilm", "wordllama", "lexical:4", "wordllama")) == (minilm, wordllama)


def test_a_folder_is_known_by_its_own_name(tmp_path):
    folder = tiny_models.static_folder(tmp_path / "mine")
    spec = {"kind": "static", "model": str(folder)}
    assert bases(fit(spec)) == (Base(name="mine", hub_id=None, license=None),)
    (folder / "README.md").write_text("---\ntags: [a]\nlicense: 'CC-BY-4.0'\n---\nlicense: mit\n")
    assert bases(fit(spec))[0].license == "cc-by-4.0"
    (folder / "README.md").write_text("# A card\n\nlicense: mit\n")
    assert bases(fit(spec))[0].license is None


def test_a_distilled_table_is_of_the_model_it_was_made_of(tmp_path):
    folder = tiny_models.bert_folder(tmp_path)
    fitted = fit({"kind": "distilled", "model": f"st:{folder}", "dim": 8})
    assert [base.name for base in bases(fitted)] == ["model"]


def test_no_name_of_a_model_tells_where_it_lies():
    names = ("st:/home/me/models/small/", "distilled:st:~/m", "minilm:int8", "./x/y:w8", "./x/y")
    assert public_recipe(Recipe(models=names)).models == (
        *("st:small", "distilled:st:m", "minilm:int8", "y:w8", "y"),
    )
