"""Transformers as graphs of standard operators, held against the press's own engine."""

import numpy as np
import onnx
import onnxruntime
import pytest

import tiny_models
from export_graphs import cosines, feed, run, run_slowly, session
from tiny_models import TEXTS, WORDS
from vecpress.arrays import round_rows
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.text_tokenizer import read_tokenizer
from vecpress.exports.branches import BertBranch, Branches, TokenInput
from vecpress.exports.graph import build_graph, role_name
from vecpress.exports.nodes import Nodes
from vecpress.exports.transformer import Transformer

LONG = "the dog ran under a very red tree and " * 20
ODD = [*TEXTS, LONG, "日本 😀 cat", " \n\t", "cat [SEP] dog [CLS]", "x" * 500, "[PAD] cat [PAD]"]
ROLES = ("query", "document")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    prompts = {"query": "query : ", "document": ""}
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"), prompts=prompts)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return tiny_models.roberta_folder(tmp_path_factory.mktemp("roberta"))


def encoder(folder, **options):
    return SentenceTransformerEncoder(model=str(folder), **options)


def branches(made, *, shown=None):
    """The one transformer of an encoder, written by hand; `shown` ids are fed."""
    bert, tokenizer = made.plain(), read_tokenizer(made.plain().folder / "tokenizer.json")
    put = TokenInput(
        tokenizer=tokenizer.library.to_str(),
        special_tokens=True,
        ends=(1, 1),
        prompts={role: made.prompt(role, bert.prompts) for role in ROLES},
        max_tokens=shown,
        pad_id=0,
    )
    own = {"query": made.query_pooling, "document": made.document_pooling}
    part = BertBranch(
        input=0,
        bert=bert,
        precision=made.precision,
        max_length=made.max_length or bert.max_length,
        poolings={role: pooling or bert.pooling for role, pooling in own.items()},
    )
    return Branches(inputs=(put,), parts=(part,), scales=(1.0,), names=("bert",))


def encoded(given, texts, *, role="document", engine=run, precision="float32"):
    model = build_graph(given, None, None, None, precision=precision)
    return engine(model, feed(given, texts, role=role, named=role_name(given)))[0]


OPTIONS = [
    {},
    {"document_pooling": "cls", "query_pooling": "cls"},
    {"query_pooling": "mean", "document_pooling": "cls"},
    {"max_length": 9},
    {"max_length": 3},
    {"query_prompt": "a red query : ", "document_prompt": "passage : ", "max_length": 12},
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rows_are_the_presss_for_every_option(bert, options, role):
    made = encoder(bert, **options)
    rows = encoded(branches(made), ODD, role=role)
    np.testing.assert_allclose(rows, made.encode(ODD, role=role), atol=2e-6)


@pytest.mark.parametrize("max_length", [None, 5])
def test_positions_that_begin_elsewhere_do(roberta, max_length):
    made = encoder(roberta, max_length=max_length)
    assert made.plain().first_position == 1
    np.testing.assert_allclose(encoded(branches(made), ODD), made.encode(ODD), atol=2e-6)


@pytest.mark.parametrize(
    ("own", "precision"),
    [(None, "float32"), (None, "float16"), (None, "int8"), ("w8", "float32"), ("int8", "float32")],
)
@pytest.mark.parametrize("role", ROLES)
def test_the_standards_own_reference_agrees(bert, own, precision, role):
    options = {"query_pooling": "cls", "document_pooling": "mean", "max_length": 20}
    given = branches(encoder(bert, **options, precision=own))
    one, other = (
        encoded(given, ODD, role=role, engine=engine, precision=precision)
        for engine in (run, run_slowly)
    )
    # In 8 bits one activation may be rounded the other way, where runtimes differ in a last digit.
    assert cosines(one, other).min() > (0.999 if own == "int8" else 1 - 1e-6)


@pytest.mark.parametrize("length", range(3, 12))
def test_a_text_of_any_length_is_cut_as_python_cuts_it(bert, length):
    made = encoder(bert, max_length=8)
    text = WORDS[5:14]
    texts = [" ".join(text[: length - 2]), "cat", LONG]
    np.testing.assert_allclose(encoded(branches(made), texts), made.encode(texts), atol=2e-6)


@pytest.mark.parametrize("precision", [None, "int8", "w8"])
def test_padding_and_company_change_no_row(bert, precision):
    made = encoder(bert, precision=precision)
    model = session(build_graph(branches(made), None, None, None))

    def rows(texts):
        return model.run(None, feed(branches(made), texts))[0]

    alone = np.concatenate([rows([text]) for text in ODD])
    np.testing.assert_allclose(rows(ODD), alone, atol=1e-6)
    np.testing.assert_allclose(rows(ODD[::-1])[::-1], alone, atol=1e-6)
    fed = feed(branches(made), ["cat", "the dog"])
    wide = {name: np.pad(ids, ((0, 0), (0, 40)), constant_values=0) for name, ids in fed.items()}
    wide["input_ids"][:, -40:] = 7  # whatever stands there
    np.testing.assert_allclose(model.run(None, wide)[0], model.run(None, fed)[0], atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_no_texts_give_no_rows(bert, precision):
    model = build_graph(branches(encoder(bert)), None, None, None, precision=precision)
    ids = np.zeros((0, 4), np.int64)
    assert run(model, {"input_ids": ids, "attention_mask": ids})[0].shape == (0, 32)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_row_without_any_token_is_a_zero_row(bert, pooling):
    given = branches(encoder(bert, document_pooling=pooling, query_pooling=pooling))
    ids = np.array([[2, 9, 3], [5, 5, 5]])
    mask = np.array([[1, 1, 1], [0, 0, 0]])
    for engine in (run, run_slowly):
        model = build_graph(given, None, None, None)
        (rows,) = engine(model, {"input_ids": ids, "attention_mask": mask})
        np.testing.assert_array_equal(rows.any(axis=1), [True, False])
        assert np.isfinite(rows).all()


# --- fewer bits -------------------------------------------------------------------------------


def test_in_16_bits_rows_are_near(bert):
    made = encoder(bert)
    near = cosines(encoded(branches(made), ODD, precision="float16"), made.encode(ODD))
    assert 1 - 1e-5 < near.min() < 1 - 1e-9


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_what_the_press_computes_in_8_bits_is_so_in_every_export(bert, precision):
    made, full = encoder(bert, precision="int8"), encoder(bert)
    rows = encoded(branches(made), ODD, precision=precision)
    own = cosines(rows, made.encode(ODD))
    assert own.min() > 0.999  # one activation rounded the other way, and all after it differ
    assert (1 - own).mean() < (1 - cosines(rows, full.encode(ODD))).mean() / 10


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_weights_that_the_press_rounds_are_stored_so_and_give_its_own_rows(bert, precision):
    made = encoder(bert, precision="w8", query_pooling="cls", document_pooling="mean")
    model = build_graph(branches(made), None, None, None, precision=precision)
    for role in ROLES:
        rows = encoded(branches(made), ODD, role=role, precision=precision)
        np.testing.assert_allclose(rows, made.encode(ODD, role=role), atol=2e-6)
    stored = [w for w in model.graph.initializer if w.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(w.dims) for w in stored) == 32 * (len(WORDS) + 2 * (4 * 32 + 2 * 64))
    maps = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert not maps
    assert not [w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT16]


def test_in_8_bits_only_the_weights_of_a_press_in_floats_are_rounded(bert):
    full = encoder(bert)
    rows = encoded(branches(full), ODD, precision="int8")
    np.testing.assert_array_equal(rows, encoded(branches(encoder(bert, precision="w8")), ODD))
    computed = encoded(branches(encoder(bert, precision="int8")), ODD)
    near, other = (cosines(r, full.encode(ODD)) for r in (rows, computed))
    assert 0.99 < near.min() < 1 - 1e-6
    assert (1 - near).mean() < (1 - other).mean() / 2


def linear_int8(branch, weight, bias, x):
    """What the graph makes of activations (b, s, d), in 8 bits, in onnxruntime and the reference."""
    n = Nodes()
    weights = {"a.weight": weight, "a.bias": bias}
    made = Transformer(nodes=n, weights=weights, branch=branch, precision="int8")
    (out,) = made._linear(["a"], n.input("x", "float32", ["b", "s", weight.shape[1]]))
    n.output(n.total(out, 1, keepdims=False), "sum", "float32", len(bias))
    model = n.model()
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(out))
    return [_unchecked(model).run(None, {"x": x})[1], run_slowly(model, {"x": x})[1]]


def _unchecked(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def engines_linear(weight, bias, x):
    """What the press's engine makes of one text's activations (s, d)."""
    rounded = round_rows(weight, bits=8)
    node = onnx.helper.make_node(
        "DynamicQuantizeMatMul", ["x", "w", "s", "", "b"], ["y"], domain="com.microsoft"
    )
    constants = {"w": rounded.numbers.T.copy(), "s": rounded.scales, "b": bias}
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [info("x", 1, ["s", x.shape[1]])],
        [info("y", 1, ["s", len(bias)])],
        [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return _unchecked(model).run(None, {"x": x})[0]


def test_one_map_in_8_bits_is_the_engines_number_by_number(bert):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(24, 64)).astype(np.float32)
    bias = rng.normal(size=24).astype(np.float32)
    texts = rng.normal(size=(6, 9, 64)).astype(np.float32)
    texts[1] = np.abs(texts[1]) + 3  # the range takes in 0 all the same
    texts[2] = -np.abs(texts[2]) - 3
    texts[3] = 0
    texts[4, 2, 7] = 90  # one large value makes all the others coarse, of this text alone
    texts[5] *= 1e-4
    for made in linear_int8(branches(encoder(bert)).parts[0], weight, bias, texts):
        for rows, text in zip(made, texts, strict=True):
            np.testing.assert_allclose(
                rows, engines_linear(weight, bias, text), rtol=1e-5, atol=1e-5
            )
