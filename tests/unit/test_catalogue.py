"""The catalogue: its entries build, say what their authors say, and names resolve."""

import dataclasses
import sys
from types import ModuleType

import pytest

from helpers import HashEncoder
from vecpress.encoders.catalogue import CATALOGUE, combine, find
from vecpress.encoders.combine import Concat
from vecpress.encoders.distilled import Distilled
from vecpress.encoders.lexical import Lexical
from vecpress.encoders.onnx import OnnxEncoder
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.errors import ConfigError

SEARCH = "Represent this sentence for searching relevant passages: "

# As their cards on the hub say: query prompt, document prompt, query and document pooling.
CARDS = {
    "bge-small": (SEARCH, "", "cls", "cls"),
    "arctic-xs": (SEARCH, "", "cls", "cls"),
    "arctic-s": (SEARCH, "", "cls", "cls"),
    "arctic-m": (SEARCH, "", "cls", "cls"),
    "arctic-m-v1.5": (SEARCH, "", "cls", "cls"),
    "e5-small": ("query: ", "passage: ", "mean", "mean"),
    "multilingual-e5-small": ("query: ", "passage: ", "mean", "mean"),
    "noinstruct-small": ("", "", "mean", "cls"),
    "gist-small": ("", "", "cls", "cls"),
    "gte-small": ("", "", "mean", "mean"),
    "multilingual-minilm": ("", "", "mean", "mean"),
    "granite-multilingual": ("", "", "cls", "cls"),
    "clip-vit-b-32": ("", "", None, None),
    "clip-vit-b-16": ("", "", None, None),
    "clip-vit-l-14": ("", "", None, None),
    "clip-multilingual": ("", "", None, None),
    "minilm": (None, None, None, None),
    "minilm-l12": (None, None, None, None),
}


@pytest.fixture(autouse=True)
def nothing_loads(monkeypatch):
    """Answer the run-time type checker, which under test asks an encoder for its properties."""
    for cls in (SentenceTransformerEncoder, OnnxEncoder, StaticEncoder):
        monkeypatch.setattr(cls, "dim", 1)
        monkeypatch.setattr(cls, "fingerprint", "")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_builds(name):
    encoder = find(name)
    assert isinstance(encoder, SentenceTransformerEncoder | StaticEncoder)
    assert encoder.model == CATALOGUE[name]["model"]
    assert encoder.model == "wordllama" or encoder.model.count("/") == 1


def test_every_transformer_is_compared_with_its_card():
    kinds = {name for name, spec in CATALOGUE.items() if spec["kind"] == "sentence-transformer"}
    assert kinds == CARDS.keys()


@pytest.mark.parametrize("name", CARDS)
def test_prompts_and_pooling_are_those_of_the_card(name):
    encoder = find(name)
    assert isinstance(encoder, SentenceTransformerEncoder)
    assert CARDS[name] == (
        encoder.query_prompt,
        encoder.document_prompt,
        encoder.query_pooling,
        encoder.document_pooling,
    )
    assert encoder.max_length is not None
    is_clip = encoder.model.startswith("sentence-transformers/clip-ViT-")
    assert encoder.max_length == 77 or not is_clip or encoder.image_model
    assert is_clip or 128 <= encoder.max_length <= 512


def test_images_are_encoded_by_the_model_that_the_texts_were_fitted_to():
    """As the card says, the multilingual model is of texts alone."""
    published = "sentence-transformers/clip-ViT-"
    models = {name: find(name) for name in CATALOGUE if name.startswith("clip-")}
    assert {name: (e.model, e.image_model) for name, e in models.items()} == {
        "clip-vit-b-32": (f"{published}B-32", None),
        "clip-vit-b-16": (f"{published}B-16", None),
        "clip-vit-l-14": (f"{published}L-14", None),
        "clip-multilingual": (f"{published}B-32-multilingual-v1", f"{published}B-32"),
    }
    assert models["clip-multilingual"].max_length == 128


def test_no_model_is_listed_twice():
    assert len({spec["model"] for spec in CATALOGUE.values()}) == len(CATALOGUE)


def test_prefixes_name_the_engine():
    assert find("st:org/model") == SentenceTransformerEncoder(model="org/model")
    assert find("onnx:some/folder") == OnnxEncoder(model="some/folder")
    assert find("static:org/model") == StaticEncoder(model="org/model")
    assert find("st:C:/models/mine") == SentenceTransformerEncoder(model="C:/models/mine")


def test_a_transformer_of_any_name_is_distilled():
    assert find("distilled:minilm") == Distilled(model="minilm", dim=256)
    assert find("distilled:st:org/model") == Distilled(model="st:org/model")
    spec = {"kind": "distilled", "model": "bge-small", "dim": 64}
    assert find(spec) == Distilled(model="bge-small", dim=64)


@pytest.mark.parametrize(
    "name", ["wordllama", "static:a/b", "onnx:a", "lexical:8", "distilled:minilm"]
)
def test_what_is_no_transformer_is_not_distilled(name):
    with pytest.raises(ConfigError) as caught:
        find(f"distilled:{name}")
    assert str(caught.value) == (
        "only a transformer can be distilled, such as distilled:minilm or "
        f"distilled:st:ID_OR_FOLDER, got {name!r}"
    )


def test_an_unknown_transformer_is_named():
    with pytest.raises(ConfigError, match=r"^unknown model 'minilmm'; known: minilm, "):
        find("distilled:minilmm")


def test_lexical_takes_its_width_and_has_one_of_its_own():
    assert find("lexical:64") == Lexical(dim=64)
    assert find("lexical") == find("lexical:") == Lexical()
    assert find("lexical:64:int8") == Lexical(dim=64, precision="int8")
    assert find("lexical:int8") == Lexical(precision="int8")


@pytest.mark.parametrize(
    "name",
    ["lexical:abc", "lexical:-5", "lexical:1.5", "lexical: 8", "lexical:8:int4", "lexical:8:9"],
)
def test_a_width_that_is_no_number_is_refused(name):
    message = rf"^write lexical:256 \(a number of dimensions\) or lexical:256:int8, got '{name}'$"
    with pytest.raises(ConfigError, match=message):
        find(name)


def test_a_width_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"^dim must be at least 1, got 0$"):
        find("lexical:0")


@pytest.mark.parametrize(
    "name", ["minilmm", "", "st:", "onnx:", "distilled:", ":x", "org/model", "MiniLM", "../a:B"]
)
def test_an_unknown_name_is_refused_with_those_that_are_known(name):
    with pytest.raises(ConfigError) as caught:
        find(name)
    assert str(caught.value) == (
        f"unknown model {name!r}; known: {', '.join(CATALOGUE)}, or st:ID_OR_FOLDER, onnx:FOLDER, "
        "static:ID_OR_FOLDER, distilled:MODEL, lexical:256; a transformer followed by :int8, such "
        "as minilm:int8, computes in 8 bits, by :w8 in floats with weights of 8 bits; lexical:256 "
        "takes :int8, a static table also :int4"
    )


def test_a_class_of_ones_own_is_named_by_its_module(monkeypatch):
    module = ModuleType("my_models")
    module.HashEncoder = HashEncoder
    monkeypatch.setitem(sys.modules, "my_models", module)
    assert isinstance(find("my_models:HashEncoder"), HashEncoder)
    with pytest.raises(ConfigError, match=r"^module 'my_models' has no class 'Absent'$"):
        find("my_models:Absent")


@pytest.mark.parametrize("name", ["no_such_module:Class", "vecpress.absent:Class"])
def test_a_module_that_is_not_there_is_named(name):
    with pytest.raises(ConfigError, match=f"^cannot import '{name}': No module named"):
        find(name)


def test_encoders_are_combined_and_one_alone_stays_itself():
    first, second = HashEncoder(), HashEncoder(dim=3)
    assert combine([first], None) is first
    assert combine([first], (2.0,)) is first
    both = combine([first, second], (2.0, 1.0))
    assert both == Concat(encoders=(first, second), weights=(2.0, 1.0))


def test_weights_that_fit_no_encoders_are_refused_even_for_one():
    with pytest.raises(ConfigError, match=r"of 1 encoders needs as many weights, got 2$"):
        combine([HashEncoder()], (1.0, 2.0))
    with pytest.raises(ConfigError, match="at least one encoder, got none"):
        combine([], None)


def test_a_transformer_of_any_name_computes_in_8_bits():
    for name in ("minilm", "bge-small", "st:org/model"):
        for precision in ("int8", "w8"):
            rounded = dataclasses.replace(find(name), precision=precision)
            assert find(f"{name}:{precision}") == rounded
    assert find("distilled:minilm:int8") == Distilled(model="minilm:int8", dim=256)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_static_table_of_any_name_is_rounded(precision):
    for name in ("wordllama", "static:org/model"):
        assert find(f"{name}:{precision}") == dataclasses.replace(find(name), precision=precision)


@pytest.mark.parametrize(
    ("name", "able"),
    [
        ("minilm:int4", "int8 or w8"),
        ("onnx:folder:int8", "full precision only"),
        ("onnx:folder:w8", "full precision only"),
        ("st:a/b:int4", "int8 or w8"),
        ("wordllama:w8", "int8 or int4"),
    ],
)
def test_no_model_computes_more_coarsely_than_it_can(name, able):
    bare, _, precision = name.rpartition(":")
    with pytest.raises(ConfigError) as caught:
        find(name)
    assert str(caught.value) == (
        f"{name!r} cannot be had: {bare!r} computes in {able}, got {precision}"
    )


@pytest.mark.parametrize("name", ["minlim:int8", "minlim:w8", "st::int8", ":int8", ":w8"])
def test_an_unknown_name_stays_unknown_in_8_bits(name):
    with pytest.raises(ConfigError) as caught:
        find(name)
    assert str(caught.value).startswith(f"unknown model {name!r}; known: minilm, ")
    assert str(caught.value).endswith(
        "or st:ID_OR_FOLDER, onnx:FOLDER, static:ID_OR_FOLDER, distilled:MODEL, lexical:256; a "
        "transformer followed by :int8, such as minilm:int8, computes in 8 bits, by :w8 in floats "
        "with weights of 8 bits; lexical:256 takes :int8, a static table also :int4"
    )
