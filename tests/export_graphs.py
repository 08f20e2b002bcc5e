"""Feeding exported graphs and reading what they give, written apart from the library's own way."""

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from tokenizers import Tokenizer

from vecpress.arrays import unpack
from vecpress.exports.graph import input_names
from vecpress.quantizers.cells import ScalarCodec

NEAR = 1e-5  # to a border: there a last digit decides


def tokens(put, text, role="document"):
    """The ids of one text, as the tokenizer itself frames them."""
    tokenizer = Tokenizer.from_str(put.tokenizer)
    return tokenizer.encode(put.prompts[role] + text, add_special_tokens=put.special_tokens).ids


def feed(branches, texts, *, role="document", named=None):
    """All ids of all texts, nothing cut, padded on the right."""
    fed = {} if named is None else {named: np.array(role == "query", np.int64)}
    for number, put in enumerate(branches.inputs):
        tokenizer = Tokenizer.from_str(put.tokenizer)
        tokenizer.enable_padding(pad_id=put.pad_id)
        prompted = [put.prompts[role] + text for text in texts]
        rows = tokenizer.encode_batch(prompted, add_special_tokens=put.special_tokens)
        ids, mask = input_names(number)
        fed[ids] = np.array([row.ids for row in rows], np.int64).reshape(len(rows), -1)
        fed[mask] = np.array([row.attention_mask for row in rows], np.int64).reshape(len(rows), -1)
    return fed


def session(model):
    """A checked graph, ready to run in onnxruntime."""
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(model, fed):
    """All outputs, in onnxruntime."""
    return session(model).run(None, fed)


def run_slowly(model, fed):
    """All outputs, in the standard's own reference."""
    return ReferenceEvaluator(model).run(None, fed)


def cosines(some, others):
    """Of each row; two zero rows are alike."""
    zero = ~(some.any(axis=1) | others.any(axis=1))
    return np.einsum("nd,nd->n", some, others, dtype=np.float64) + zero


def assert_codes_agree(codec, codes, embeddings):
    """Codes are the codec's own, but for values so near a border that a last digit decides."""
    own = codec.quantize(embeddings)
    if isinstance(codec, ScalarCodec):
        given, wanted = (unpack(c, codec.bits, codec.dim).astype(int) for c in (codes, own))
        rows, dims = np.nonzero(given != wanted)
        assert (np.abs(given - wanted)[rows, dims] == 1).all()
        values = codec.project(embeddings)[rows, dims]
        borders = codec.borders[dims, np.minimum(given, wanted)[rows, dims]]
        np.testing.assert_allclose(values, borders, atol=NEAR, rtol=0)
    else:
        np.testing.assert_array_equal(codes, own)
    np.testing.assert_array_equal(codes.shape, own.shape)
    assert codes.dtype == np.uint8
