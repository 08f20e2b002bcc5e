"""What every encoder promises (stages.py), for each that can be made without a network."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

import tiny_models
from pictures import save
from tiny_models import TEXTS, WORDS
from vecpress import artifact, registry
from vecpress.encoders.combine import Cached, Concat
from vecpress.encoders.distilled import Distilled
from vecpress.encoders.lexical import Lexical, LexicalEncoder
from vecpress.encoders.onnx import OnnxEncoder
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.errors import ConfigError, ModelError
from vecpress.stages import Encoder, FittedOnTexts, Image

MANY = [f"{text} {WORDS[5 + i % 18]}" for i, text in enumerate(TEXTS * 90)]  # blocks of 16 to 512
LONG = "the dog ran under a very red tree and " * 30


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of tiny models; no test may change them."""
    root = tmp_path_factory.mktemp("models")
    bert = tiny_models.bert_folder(root / "bert")
    made = SimpleNamespace(
        bert=str(bert),
        clip=str(tiny_models.clip_folder(root / "clip")),
        photos=[Image(str(save(root / "photos" / f"{i}.png", i))) for i in range(3)],
        onnx=str(tiny_models.onnx_folder(root / "onnx", bert)),
        static=str(tiny_models.static_folder(root / "static")),
        clustered=str(tiny_models.static_folder(root / "more", mapping=True, weights=True)),
        cache=root / "cache",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "kept"))
        yield made


def fitted(dim=4):
    return Lexical(dim=dim).fit(TEXTS)


def concat(models, weights=(2.0, 1.0)):
    return Concat(encoders=(StaticEncoder(model=models.static), fitted()), weights=weights)


MAKERS = {
    "sentence-transformer": lambda m: SentenceTransformerEncoder(model=m.bert),
    "sentence-transformer, pooled by us": lambda m: SentenceTransformerEncoder(
        model=m.bert, query_pooling="mean", document_pooling="cls", query_prompt="query: "
    ),
    "sentence-transformer, short": lambda m: SentenceTransformerEncoder(model=m.bert, max_length=6),
    "sentence-transformer, clip": lambda m: SentenceTransformerEncoder(
        model=m.clip, query_prompt="a photo of "
    ),
    "sentence-transformer, another for images": lambda m: SentenceTransformerEncoder(
        model=m.bert, image_model=m.clip
    ),
    "onnx": lambda m: OnnxEncoder(model=m.onnx, query_prompt="query: ", max_length=64),
    "onnx, cls": lambda m: OnnxEncoder(model=m.onnx, pooling="cls", max_length=6),
    "static": lambda m: StaticEncoder(model=m.static),
    "static, clustered": lambda m: StaticEncoder(model=m.clustered, max_length=5),
    "lexical": lambda m: fitted(),
    "distilled": lambda m: Distilled(model=f"st:{m.bert}", dim=8).fit(),
    "concat": concat,
    "concat, clip": lambda m: Concat(encoders=(SentenceTransformerEncoder(model=m.clip),)),
    "cached": lambda m: Cached(encoder=StaticEncoder(model=m.static), folder=m.cache),
    "cached, clip": lambda m: Cached(
        encoder=SentenceTransformerEncoder(model=m.clip), folder=m.cache
    ),
}
KINDS = {name.partition(",")[0] for name in MAKERS}
STORED = [name for name in MAKERS if not name.startswith("cached")]
SEEING = [name for name in MAKERS if "clip" in name or "images" in name]


@pytest.fixture(params=MAKERS)
def encoder(request, models):
    return MAKERS[request.param](models)


def test_every_registered_encoder_is_tested_here():
    assert registry.ENCODERS.keys() <= KINDS


def test_it_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)


def test_a_lexical_model_is_still_to_be_fitted():
    assert isinstance(Lexical(), FittedOnTexts)
    assert not isinstance(Lexical(), Encoder)


@pytest.mark.parametrize("role", ["query", "document"])
def test_rows_are_float32_contiguous_of_unit_norm_and_of_the_promised_width(encoder, role):
    rows = encoder.encode(TEXTS, role=role)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    assert rows.shape == (len(TEXTS), encoder.dim)
    norms = np.linalg.norm(rows, axis=1)
    zero = ~rows.any(axis=1)
    np.testing.assert_allclose(norms[~zero], 1, atol=1e-6)
    assert not zero[[0, 1, 2, 4, 5]].any()  # only texts without a known word may be zero


@pytest.mark.parametrize("role", ["query", "document"])
def test_no_texts_give_no_rows_of_the_same_width(encoder, role):
    rows = encoder.encode([], role=role)
    assert rows.dtype == np.float32
    assert rows.shape == (0, encoder.dim)


def test_a_row_does_not_depend_on_its_company(encoder):
    together = encoder.encode([*TEXTS, LONG])
    for i, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], together[i], atol=1e-5)


def test_order_is_kept_over_many_batches(encoder):
    rows = encoder.encode(MANY)
    np.testing.assert_allclose(encoder.encode(MANY[::-1])[::-1], rows, atol=1e-5)
    some = [0, 15, 16, 255, 256, 511, 512, len(MANY) - 1]
    np.testing.assert_allclose(encoder.encode([MANY[i] for i in some]), rows[some], atol=1e-5)


def test_the_same_text_gets_the_same_row_twice(encoder):
    rows = encoder.encode(["a cat", "the dog ran", "a cat"])
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-6)
    assert abs(rows[0] @ rows[1]) < 0.9999


def test_a_tuple_of_texts_does_as_well_as_a_list(encoder):
    np.testing.assert_array_equal(encoder.encode(tuple(TEXTS)), encoder.encode(list(TEXTS)))


def test_a_very_long_text_and_an_odd_one_are_encoded_too(encoder):
    rows = encoder.encode([LONG, "\0 \u2028 \U0001f600 \r\n", " "])
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("name", MAKERS)
def test_an_image_gets_its_place_among_texts_or_a_sentence(name, role, models):
    encoder = MAKERS[name](models)
    items = ["the dog ran", models.photos[0], models.photos[1], "a cat", models.photos[2]]
    if name not in SEEING:
        with pytest.raises(ConfigError, match=r" encodes texts, got the image .*0\.png: choose a "):
            encoder.encode(items, role=role)
        return
    rows = encoder.encode(items, role=role)
    assert rows.shape == (5, encoder.dim)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    for item, row in zip(items, rows, strict=True):
        np.testing.assert_allclose(encoder.encode([item], role=role)[0], row, atol=1e-5)
    assert (rows @ rows.T)[np.triu_indices(5, 1)].max() < 0.999


def test_the_role_is_document_if_none_is_said(encoder):
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS, role="document"))


def test_two_instances_agree_on_fingerprint_and_rows(request, models):
    for make in MAKERS.values():
        first, second = make(models), make(models)
        assert first.fingerprint == second.fingerprint
        np.testing.assert_array_equal(first.encode(TEXTS), second.encode(TEXTS))


def test_the_fingerprint_does_not_change_by_use(encoder):
    before = encoder.fingerprint
    encoder.encode(TEXTS, role="query")
    assert encoder.fingerprint == before
    assert len(before) == 32
    assert set(before) <= set("0123456789abcdef")


def test_different_encoders_have_different_fingerprints(models):
    fingerprints = {name: make(models).fingerprint for name, make in MAKERS.items()}
    del fingerprints["cached"], fingerprints["cached, clip"]  # which are their encoders'
    assert len(set(fingerprints.values())) == len(fingerprints)


def test_nothing_can_be_assigned(encoder):
    name = dataclasses.fields(encoder)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(encoder, name, None)


@pytest.mark.parametrize("name", STORED)
def test_it_comes_back_from_an_artifact_as_it_was(name, models, tmp_path):
    encoder = MAKERS[name](models)
    artifact.save(tmp_path / "saved", {"encoder": encoder})
    again = artifact.load(tmp_path / "saved")["encoder"]
    assert type(again) is type(encoder)
    assert again.fingerprint == encoder.fingerprint
    assert again.dim == encoder.dim
    for role in ("query", "document"):
        np.testing.assert_array_equal(
            again.encode(TEXTS, role=role), encoder.encode(TEXTS, role=role)
        )


@pytest.mark.parametrize("kind", ["sentence-transformer", "onnx", "static"])
def test_making_one_loads_nothing_and_a_missing_model_has_a_sentence(kind):
    encoder = registry.build(registry.ENCODERS, {"kind": kind, "model": "/no/such/folder"})
    for use in (lambda: encoder.encode(["a"]), lambda: encoder.dim, lambda: encoder.fingerprint):
        with pytest.raises(ModelError, match="'/no/such/folder'"):
            use()


# --- the fingerprint follows everything that changes vectors ---------------------------------


def edit_weights(name):
    def cat_becomes_dog(folder):
        path = folder / "model.safetensors"
        tensors = safetensors.numpy.load_file(path)
        tensors[name] = tensors[name].copy()
        tensors[name][WORDS.index("cat")] = tensors[name][WORDS.index("dog")]
        safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})

    return cat_becomes_dog


def edit_graph(folder):
    """Change one number inside the graph."""
    import onnx

    graph = onnx.load(folder / "model.onnx")
    table = next(t for t in graph.graph.initializer if list(t.dims) == [len(WORDS), 32])
    rows = onnx.numpy_helper.to_array(table).copy()
    rows[WORDS.index("cat")] = rows[WORDS.index("dog")]
    table.CopyFrom(onnx.numpy_helper.from_array(rows, table.name))
    onnx.save(graph, folder / "model.onnx")


def swap_words(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["cat"], vocabulary["dog"] = vocabulary["dog"], vocabulary["cat"]
    path.write_text(json.dumps(tokenizer))


def pool_first(folder):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    path = folder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"embedding_dimension": 32, "pooling_mode": "cls"}))


def add_prompt(folder):
    path = folder / "config_sentence_transformers.json"
    prompts = {"prompts": {"query": "", "document": "passage: "}}
    path.write_text(json.dumps(json.loads(path.read_text()) | prompts))


EDITS = [
    ("bert", edit_weights("embeddings.word_embeddings.weight")),
    ("bert", swap_words),
    ("bert", pool_first),
    ("bert", add_prompt),
    ("onnx", edit_graph),
    ("onnx", swap_words),
    ("onnx", pool_first),
    ("static", edit_weights("embeddings")),
    ("static", swap_words),
    ("clustered", edit_weights("mapping")),
    ("clustered", edit_weights("weights")),
]
CLASSES = {
    "bert": SentenceTransformerEncoder,
    "onnx": OnnxEncoder,
    "static": StaticEncoder,
    "clustered": StaticEncoder,
}


@pytest.mark.parametrize(("name", "edit"), EDITS)
def test_an_edited_file_changes_the_fingerprint_even_in_place(name, edit, models, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(getattr(models, name), folder)
    before = CLASSES[name](model=str(folder))
    assert before.fingerprint == CLASSES[name](model=getattr(models, name)).fingerprint
    fingerprint, rows = before.fingerprint, before.encode(["the cat ran"])
    edit(folder)
    after = CLASSES[name](model=str(folder))
    assert np.abs(after.encode(["the cat ran"]) - rows).max() > 1e-3  # so it had better
    assert after.fingerprint != fingerprint


def test_weights_that_lie_beside_the_graph_are_in_the_fingerprint(models, tmp_path):
    import onnx

    fingerprints = []
    for shift in (0, 1):
        folder = tmp_path / str(shift)
        shutil.copytree(models.onnx, folder)
        graph = onnx.load(folder / "model.onnx")
        onnx.save(
            graph, folder / "model.onnx", save_as_external_data=True,
            location="model.onnx.data", size_threshold=0,
        )  # fmt: skip
        data = (folder / "model.onnx.data").read_bytes()
        (folder / "model.onnx.data").write_bytes(bytes([data[0] ^ shift]) + data[1:])
        fingerprints.append(OnnxEncoder(model=str(folder)).fingerprint)
    assert fingerprints[0] != fingerprints[1]


@pytest.mark.parametrize("name", CLASSES)
def test_a_read_me_and_the_place_do_not_change_the_fingerprint(name, models, tmp_path):
    shutil.copytree(getattr(models, name), tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("other words")
    moved = CLASSES[name](model=str(tmp_path / "elsewhere"))
    assert moved.fingerprint == CLASSES[name](model=getattr(models, name)).fingerprint


OPTIONS = [
    ("bert", {"query_prompt": "query: "}, "query"),
    ("bert", {"document_prompt": "passage: "}, "document"),
    ("bert", {"query_pooling": "cls"}, "query"),
    ("bert", {"document_pooling": "cls"}, "document"),
    ("bert", {"max_length": 4}, "document"),
    ("onnx", {"query_prompt": "query: "}, "query"),
    ("onnx", {"document_prompt": "passage: "}, "document"),
    ("onnx", {"pooling": "cls"}, "document"),
    ("onnx", {"max_length": 4}, "document"),
    ("static", {"max_length": 2}, "document"),
]


@pytest.mark.parametrize(("name", "options", "role"), OPTIONS)
def test_an_option_that_changes_vectors_changes_the_fingerprint(name, options, role, models):
    plain = CLASSES[name](model=getattr(models, name))
    other = CLASSES[name](model=getattr(models, name), **options)
    text = ["the bird sat on a tree"]
    assert np.abs(other.encode(text, role=role) - plain.encode(text, role=role)).max() > 1e-3
    assert other.fingerprint != plain.fingerprint


def test_prompts_for_queries_and_documents_are_not_confused(models):
    for cls in (SentenceTransformerEncoder, OnnxEncoder):
        name = "bert" if cls is SentenceTransformerEncoder else "onnx"
        queries = cls(model=getattr(models, name), query_prompt="red ", document_prompt="")
        documents = cls(model=getattr(models, name), query_prompt="", document_prompt="red ")
        assert queries.fingerprint != documents.fingerprint


@pytest.mark.parametrize("name", ["bert", "onnx"])
def test_a_prompt_goes_before_each_text_of_its_role_only(name, models):
    plain = CLASSES[name](model=getattr(models, name), query_prompt="", document_prompt="")
    prompted = CLASSES[name](
        model=getattr(models, name), query_prompt="query: ", document_prompt="passage: "
    )
    for role in ("query", "document"):
        prompt = {"query": "query: ", "document": "passage: "}[role]
        by_hand = plain.encode([prompt + text for text in TEXTS])
        np.testing.assert_allclose(prompted.encode(TEXTS, role=role), by_hand, atol=1e-5)


@pytest.mark.parametrize("name", ["static", "static, clustered", "lexical", "distilled"])
def test_models_of_words_do_not_care_for_the_role(name, models):
    encoder = MAKERS[name](models)
    np.testing.assert_array_equal(
        encoder.encode(TEXTS, role="query"), encoder.encode(TEXTS, role="document")
    )


def test_a_fitted_vocabulary_is_in_the_fingerprint():
    base = fitted()
    changed = [
        fitted(dim=3),
        Lexical(dim=4).fit([*TEXTS[:-1], "zzyzx xylophones"]),
        dataclasses.replace(base, idf=base.idf * np.float32(2)),
        dataclasses.replace(base, components=base.components[:, ::-1].copy()),
    ]
    assert len({e.fingerprint for e in [base, *changed]}) == 5
    assert isinstance(base, LexicalEncoder)


def test_the_parts_their_order_and_their_shares_are_in_a_concatenations_fingerprint(models):
    a, b = StaticEncoder(model=models.static), fitted()
    made = [
        Concat(encoders=(a, b)),
        Concat(encoders=(b, a)),
        Concat(encoders=(a,)),
        Concat(encoders=(a, b), weights=(1.0, 2.0)),
        Concat(encoders=(a, b), weights=(2.0, 1.0)),
        Concat(encoders=(a, dataclasses.replace(b, idf=b.idf * np.float32(2)))),
        Concat(encoders=(Concat(encoders=(a,)), b)),
    ]
    assert len({e.fingerprint for e in made}) == len(made)


def test_shares_in_the_same_ratio_have_the_same_fingerprint(models):
    a, b = StaticEncoder(model=models.static), fitted()
    shares = [None, (1.0, 1.0), (0.5, 0.5), (3.0, 3.0)]
    assert len({Concat(encoders=(a, b), weights=w).fingerprint for w in shares}) == 1


@pytest.mark.parametrize("kind", ["sentence-transformer", "onnx", "static"])
@pytest.mark.parametrize("length", [0, -1])
def test_a_constructor_refuses_to_keep_no_tokens(kind, length):
    with pytest.raises(ConfigError, match=f"^max_length must be at least 1, got {length}$"):
        registry.build(registry.ENCODERS, {"kind": kind, "model": "m", "max_length": length})


@pytest.mark.parametrize("field", ["pooling", "query_pooling", "document_pooling"])
def test_a_constructor_knows_two_ways_of_pooling(field):
    # Under test the run-time type checker would speak first: so the check is called by itself.
    cls = OnnxEncoder if field == "pooling" else SentenceTransformerEncoder
    values = {f.name: None for f in dataclasses.fields(cls)} | {"max_length": 8, field: "max"}
    with pytest.raises(ConfigError, match=r"^pooling must be 'cls' or 'mean', got 'max'$"):
        cls.__post_init__(SimpleNamespace(**values))
