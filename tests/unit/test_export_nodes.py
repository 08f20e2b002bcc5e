"""The small pieces of an exported graph, held against numpy and against the standard's reference."""

from itertools import pairwise

import numpy as np
import pytest

from export_graphs import NEAR, assert_codes_agree, run, run_slowly
from helpers import unit
from vecpress.arrays import normalize, pack, unpack
from vecpress.errors import ConfigError
from vecpress.exports import nodes as nodes_file
from vecpress.exports.nodes import Nodes
from vecpress.exports.stages_graph import has_graph, write_codec, write_head
from vecpress.exports.stages_graph import pack as write_pack
from vecpress.head import Head
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.hashing import LSH, HashCodec
from vecpress.quantizers.linear import Linear
from vecpress.quantizers.product import ProductCodec
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Binary, Int8, LloydMax, Percentile, random_rotation
from vecpress.quantizers.variable import VariableBits


def both(write, x, *, kind="float32", width, given="float32"):
    """What the nodes give for `x`, in onnxruntime and in the reference."""
    n = Nodes()
    n.output(write(n, n.input("x", given, ["batch", x.shape[1]])), "y", kind, width)
    model = n.model()
    return [engine(model, {"x": x})[0] for engine in (run, run_slowly)]


# --- rows of unit norm ------------------------------------------------------------------------


def test_rows_get_unit_norm_however_large_or_small_they_are():
    rows = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    rows *= np.array([1, 0, 1e-25, 1e25, 1e-38, 3e37, -2], np.float32)[:, None]
    rows[3, 1] = 0
    for made in both(lambda n, x: n.unit(x), rows, width=5):
        np.testing.assert_allclose(made, normalize(rows), atol=3e-7)
        np.testing.assert_array_equal(made.any(axis=1), [True, False, True, True, True, True, True])


def test_the_same_constant_is_stored_once_and_another_type_apart():
    n = Nodes()
    assert n.number(1) == n.keep(np.array(1, np.float32))
    assert len({n.number(1), n.ints(1), n.number(1, "int64"), n.number(1, "int32")}) == 4


@pytest.mark.parametrize("largest", [1.0, 65504.0, 1e6])
def test_what_16_bits_cannot_hold_stays_in_32(largest):
    values = np.array([[0.1, largest]], np.float32)
    expected = values if largest >= 65504 else values.astype(np.float16).astype(np.float32)
    one, none = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    made = both(lambda n, x: n("MatMul", x, n.matrix(values, half=True)), one, width=2)
    for row in made + both(lambda n, x: _looked_up(n, x, values), none, width=2):
        np.testing.assert_array_equal(row, expected)


def _looked_up(n, x, values):
    return n("Squeeze", n.gathered(values, n.cast(x, "int64"), half=True), n.ints(1))


def test_models_that_no_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr(nodes_file, "_MOST_BYTES", 10_000)
    n = Nodes()
    n.keep(np.zeros(5000, np.float32))
    with pytest.raises(ConfigError) as caught:
        n.model()
    assert str(caught.value) == (
        "an ONNX file holds at most 2 GB, and these models take 0.0 GB: export with precision int8 "
        "or float16, or fit a press of smaller models"
    )


# --- heads ------------------------------------------------------------------------------------


def head_of(*widths, seed=0, **more):
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(widths))
    return Head(
        weights=tuple(rng.normal(size=(b, a)).astype(np.float32) for a, b in pairs),
        biases=tuple(rng.normal(size=b).astype(np.float32) for _, b in pairs),
        **more,
    )


SKIP = np.random.default_rng(9).normal(size=(4, 6)).astype(np.float32)
HEADS = {
    "linear": head_of(6, 4),
    "two linear layers": head_of(6, 5, 4),
    "relu": head_of(6, 9, 4, activation="relu"),
    "relu at the end": head_of(6, 9, 4, activation="relu", activate_last=True),
    "leaky": head_of(6, 9, 8, 4, activation="leaky_relu", slope=0.3),
    "leaky of one layer at the end": head_of(6, 4, activation="leaky_relu", activate_last=True),
    "one layer has nothing to activate": head_of(6, 4, activation="relu"),
    "layer norm": head_of(6, 4, layer_norm=True),
    "residual": head_of(6, 5, 4, activation="relu", residual=True),
    "skip": head_of(6, 5, 4, activation="relu", skip=SKIP),
    "everything": head_of(
        6, 9, 4, activation="leaky_relu", activate_last=True, layer_norm=True, residual=True,
        skip=SKIP,
    ),
    "chained": head_of(6, 4, narrower=head_of(6, 2, seed=3)),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_what_compress_gives(name):
    head = HEADS[name]
    x = np.concatenate([unit(20, 6), np.zeros((1, 6), np.float32), np.eye(6, dtype=np.float32)])
    for made in both(lambda n, rows: write_head(n, head, rows), x, width=4):
        np.testing.assert_allclose(made, head.compress(x), atol=2e-6)
        assert not made[20].any()


# --- codes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", [1, 7, 16])
def test_cells_are_packed_bit_by_bit_as_everywhere(bits, dim):
    cells = np.random.default_rng(bits).integers(0, 2**bits, (9, dim)).astype(np.int32)
    wanted = pack(cells.astype(np.uint8), bits)
    made = both(
        lambda n, x: write_pack(n, x, bits, dim),
        cells,
        kind="uint8",
        width=wanted.shape[1],
        given="int32",
    )
    for codes in made:
        np.testing.assert_array_equal(codes, wanted)


def codes_of(codec, x):
    return both(
        lambda n, rows: write_codec(n, codec, rows), x, kind="uint8", width=codec.code_bytes
    )


X = np.concatenate([unit(300, 11), np.zeros((1, 11), np.float32)])
SCALAR = {
    **{f"percentile {bits}": Percentile(bits=bits) for bits in range(1, 9)},
    **{f"lloyd-max {bits}": LloydMax(bits=bits) for bits in (1, 4)},
    "int8": Int8(),
    "binary": Binary(),
    "linear": Linear(bits=3),
}


@pytest.mark.parametrize("name", SCALAR)
def test_scalar_codes_are_the_codecs(name):
    codec = SCALAR[name].fit(X[:300])
    for codes in codes_of(codec, X):
        np.testing.assert_array_equal(codes, codec.quantize(X))


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_a_cell_holds_its_lower_border(bits):
    borders = np.sort(np.random.default_rng(0).normal(size=(4, 2**bits - 1)).astype(np.float32))
    borders[1] = 0.25  # all the same
    levels = np.concatenate([borders[:, :1], borders], axis=1)
    codec = ScalarCodec(borders=borders, levels=np.ascontiguousarray(levels), bits=bits)
    on = np.ascontiguousarray(borders.T)
    x = np.concatenate([on, np.nextafter(on, np.float32(-9)), np.nextafter(on, np.float32(9))])
    for codes in codes_of(codec, x):
        np.testing.assert_array_equal(codes, codec.quantize(x))
    top = unpack(codes[: len(on)], bits, 4)[:, 1]
    np.testing.assert_array_equal(top, 2**bits - 1)


def test_a_rotation_comes_before_the_cells():
    plain = Percentile(bits=2).fit(X[:300] @ random_rotation(11, 5))
    codec = ScalarCodec(
        borders=plain.borders, levels=plain.levels, bits=2, rotation=random_rotation(11, 5)
    )
    for codes in codes_of(codec, X):
        assert_codes_agree(codec, codes, X)
        assert (codes == codec.quantize(X)).mean() > 0.99


def test_a_code_that_is_wrong_is_not_called_near():
    codec = Percentile(bits=2).fit(X[:300])
    codes = codec.quantize(X)
    far = codes.copy()
    far[7] ^= 1
    with pytest.raises(AssertionError):
        assert_codes_agree(codec, far, X)
    below, above = X.copy(), X.copy()  # beside a border a last digit decides
    below[:11, 3] = codec.borders[3, 1] - np.float32(NEAR / 4)
    above[:11, 3] = codec.borders[3, 1] + np.float32(NEAR / 4)
    assert (codec.quantize(below) != codec.quantize(above)).sum() == 11
    assert_codes_agree(codec, codec.quantize(below), above)


def product_codec(bits, rotation):
    """Four groups of three places, of which one is empty; two centroids are equal."""
    rng = np.random.default_rng(bits)
    order = np.append(rng.permutation(11), -1).astype(np.int32)
    centroids = rng.normal(size=(4, 2**bits, 3)).astype(np.float32) / 3
    centroids[1, -1] = centroids[1, 0]
    return ProductCodec(centroids=centroids, dim=11, order=order, rotation=rotation)


@pytest.mark.parametrize("rotation", [None, random_rotation(11, 3)], ids=["plain", "turned"])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_product_codes_are_the_codecs_and_of_equal_centroids_the_first(bits, rotation):
    codec = product_codec(bits, rotation)
    first = codec.turned(np.zeros((1, codec.code_bytes), np.uint8))
    x = np.concatenate([X, first if rotation is None else first @ rotation.T])
    for codes in codes_of(codec, x):
        np.testing.assert_array_equal(codes, codec.quantize(x))
    numbers = unpack(codes, bits, 4)
    assert 2**bits - 1 not in numbers[:, 1]
    assert numbers[-1, 1] == 0


def test_codes_with_bits_of_their_own_for_each_dimension_too():
    codec = VariableBits(code_bytes=4).fit(unit(600, 11, seed=4))
    for codes in codes_of(codec, X):
        np.testing.assert_array_equal(codes, codec.quantize(X))


@pytest.mark.parametrize("bits", [5, 16, 37])
def test_hash_codes_are_the_codecs(bits):
    drawn = LSH(bits=bits).fit(X[:300])
    cuts = np.linspace(-0.1, 0.1, bits).astype(np.float32)
    codec = HashCodec(planes=drawn.planes, cuts=cuts, base=drawn.base, steps=drawn.steps)
    for codes in codes_of(codec, X):
        np.testing.assert_array_equal(codes, codec.quantize(X))


def test_codes_that_faiss_makes_have_no_graph():
    codec = RaBitQ().fit(X[:300])
    assert not has_graph(codec)
    with pytest.raises(TypeError, match=r"^a RaBitQCodec has no graph$"):
        write_codec(Nodes(), codec, "x")
    assert has_graph(Percentile(bits=2).fit(X[:300]))
