"""What every quantizer promises, also tomorrow's: a new method adds its cases here."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress import artifact, registry
from vecpress.arrays import normalize
from vecpress.errors import ConfigError, ShapeError
from vecpress.quantizers import cells, hashing, product, rabitq, scalar
from vecpress.quantizers.hashing import HashCodec
from vecpress.quantizers.product import ProductCodec
from vecpress.quantizers.rabitq import RaBitQCodec
from vecpress.quantizers.scalar import Int8, Percentile
from vecpress.stages import Codec, Quantizer

DIM = 13  # odd, and no multiple of 8 at any number of bits
BITS = range(1, 9)
CASES = {
    "percentile": [
        *({"bits": bits, "rotate": rotate} for bits in BITS for rotate in (False, True)),
        {"bits": 2, "rotate": True, "rotate_block": 5},
    ],
    "binary": [{"rotate": False}, {"rotate": True}],
    "int8": [{}],
    "lloyd-max": [
        {"bits": bits, "rotate": rotate} for bits in (1, 3, 4) for rotate in (True, False)
    ],
    "linear": [{"bits": bits} for bits in (1, 3, 4)],
    "gaussian": [
        {"bits": bits, "rotate": rotate} for bits in (1, 3, 4) for rotate in (True, False)
    ],
    "itq": [{}, {"bits": 3, "rotate_block": 4}],
    "variable-bits": [{"code_bytes": 3}, {"code_bytes": 13}],
    "lsh": [{"bits": 61}, {"bits": 9}],
    "learned-hash": [{"bits": 13}],
    "rabitq": [{}, {"bits": 4}, {"bits": 9}],
    "pq": [{"m": 3}, {"m": 13, "bits": 4}, {"m": 5, "bits": 3}],
    "opq": [{"m": 3, "iterations": 3}, {"m": 5, "bits": 4, "iterations": 3}],
}
LADDERS = {  # from fewer bytes to more
    **{
        name: [{"bits": bits} for bits in BITS]
        for name in ("percentile", "lloyd-max", "gaussian", "linear")
    },
    "itq": [{"bits": bits, "iterations": 3} for bits in BITS],
    "variable-bits": [{"code_bytes": n} for n in range(1, DIM + 1)],
    "lsh": [{"bits": bits} for bits in (8, 32, 128, 512)],
    "learned-hash": [{"bits": bits} for bits in (1, 5, 9, 13)],
    "rabitq": [{"bits": bits} for bits in range(1, 10)],
    **{name: [{"m": m, "bits": 5} for m in (1, 2, 4, 6, 13)] for name in ("pq", "opq")},
}
PRODUCT = ("pq", "opq", "variable-bits")
HASHES = ("lsh", "learned-hash")  # whose codes another embedding may be nearest to
NO_TABLES = (*HASHES, "rabitq")
# Whose levels need not lie where the calibration lay, or not dimension by dimension.
FREE = (*PRODUCT, *NO_TABLES, "gaussian", "itq")
ALL = [
    pytest.param(name, options, id="-".join([name, *(f"{k}={v}" for k, v in options.items())]))
    for name in registry.QUANTIZERS
    for options in CASES.get(name, [])
]
every_quantizer = pytest.mark.parametrize(("name", "options"), ALL)
every_exact = pytest.mark.parametrize(
    ("name", "options"), [case for case in ALL if case.values[0] not in FREE]
)
every_scalar = pytest.mark.parametrize(
    ("name", "options"), [case for case in ALL if case.values[0] not in (*PRODUCT, *NO_TABLES)]
)
every_settled = pytest.mark.parametrize(
    ("name", "options"), [case for case in ALL if case.values[0] not in HASHES]
)
percentiles = pytest.mark.parametrize("rotate", [False, True], ids=["plain", "rotated"])


def make(name, options, dim=DIM):
    bounded = {"variable-bits": "code_bytes", "learned-hash": "bits", "pq": "m", "opq": "m"}
    if name in bounded:
        options = options | {bounded[name]: min(options[bounded[name]], dim)}
    return registry.build(registry.QUANTIZERS, {"kind": name} | options)


def unrotated(options):
    kept = {key: value for key, value in options.items() if key != "rotate_block"}
    return kept | ({"rotate": False} if "rotate" in options else {})


def unit(n, d=DIM, seed=0):
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def tied(n, d, seed, values=4):
    """Rows of few different values, zeros among them, and whole columns of one value."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-values, values + 1, (n, d)).astype(np.float32)
    rows[:, rng.random(d) < 0.3] = rng.integers(-1, 2)
    rows[rng.random(n) < 0.1] = 0
    return normalize(rows)


@pytest.fixture(scope="module")
def codecs():
    """Fit each case once."""
    fitted = {}

    def get(name, options):
        key = (name, repr(options))
        if key not in fitted:
            fitted[key] = make(name, options).fit(unit(1500))
        return fitted[key]

    return get


def stored(codec, folder):
    """Give the bytes of a codec as an artifact."""
    artifact.save(folder, {"codec": codec}, overwrite=True)
    return [(folder / file).read_bytes() for file in ("config.json", "tensors.safetensors")]


def numbers_slowly(code, count, bits):
    """Read numbers from a code bit by bit, lowest bits first; past its end all bits are 0."""
    value = int.from_bytes(bytes(code), "little")
    return [(value >> (i * bits)) % 2**bits for i in range(count)]


def decode_slowly(codec, codes):
    """Follow the docstring of `tables`."""
    tables = codec.tables()
    m, k, _ = tables.shape
    bits = k.bit_length() - 1
    assert 2**bits == k
    return np.array(
        [[*tables[range(m), numbers_slowly(code, m, bits)].ravel()] for code in codes], np.float32
    )


def in_its_own_space(codec):
    """Give the codec without rotation and order: it codes what `decode` gives."""
    if isinstance(codec, ProductCodec):
        places = np.arange(len(codec.order), dtype=np.int32)
        return replace(codec, rotation=None, order=places, dim=len(places))
    if isinstance(codec, RaBitQCodec):
        return replace(codec, rotation=np.eye(codec.dim, dtype=np.float32))
    return codec if codec.rotation is None else replace(codec, rotation=None)


def assert_it_has_that_code(codec, codes, decoded):
    """Check that what codes stand for is quantized to what stands for the same."""
    again = in_its_own_space(codec).quantize(decoded)
    if isinstance(codec, RaBitQCodec):  # a factor may round; above 2 bits the scale is a search
        steps = np.ascontiguousarray(codes[:, -4:]).view("<f4")
        off = np.abs(codec.decode(again) - decoded)
        assert (off <= (1e-5 if codec.bits <= 2 else 1.5 * np.abs(steps) + 1e-6)).all()
    else:
        np.testing.assert_array_equal(again, codes)


def numbers_in(codec):
    """Count the numbers of a code."""
    if isinstance(codec, HashCodec):
        return len(codec.cuts)
    return len(codec.centroids) if isinstance(codec, ProductCodec) else codec.dim


def cells_slowly(codec, codes):
    return np.array([numbers_slowly(code, numbers_in(codec), codec.bits) for code in codes])


def test_every_registered_quantizer_has_a_case():
    assert CASES.keys() == registry.QUANTIZERS.keys() == LADDERS.keys() | {"binary", "int8"}
    assert all(CASES.values())


@every_quantizer
def test_it_is_a_quantizer_and_fits_a_codec(codecs, name, options):
    quantizer, codec = make(name, options), codecs(name, options)
    assert isinstance(quantizer, Quantizer)
    assert isinstance(codec, Codec)
    assert codec.dim == DIM
    described = registry.describe(registry.QUANTIZERS, quantizer)
    assert registry.build(registry.QUANTIZERS, described) == quantizer


def expected_bytes(name, *, bits=None, m=DIM, code_bytes=None, **_):
    if name in HASHES:
        return -(-bits // 8)
    if name == "rabitq":  # signs and 8 bytes; or signs and 12, the other bits and 8
        return 2 + 8 if bits is None else 2 + 12 + -(-DIM * (bits - 1) // 8) + 8
    if code_bytes is not None:
        return code_bytes
    return -(-m * (bits or {"binary": 1, "itq": 1}.get(name, 8)) // 8)


@every_quantizer
def test_a_code_takes_exactly_its_bytes(codecs, name, options):
    codec = codecs(name, options)
    codes = codec.quantize(unit(9, seed=1))
    assert codec.code_bytes == expected_bytes(name, **options)
    assert codes.shape == (9, codec.code_bytes)
    assert codes.dtype == np.uint8
    assert codes.flags.c_contiguous


@every_quantizer
def test_what_a_code_stands_for_is_near_and_unit(codecs, name, options):
    codec, x = codecs(name, options), unit(200, seed=1)
    back = codec.dequantize(codec.quantize(x))
    assert back.dtype == np.float32
    assert back.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), 1, rtol=1e-6)
    cosines = (back * x).sum(axis=1)
    # Of a unit Gaussian, one bit per dimension keeps sqrt(2 / pi) = .80 of the direction.
    worst = {1: 0.75, 2: 0.9, 3: 0.96, 4: 0.98}.get(options.get("bits", 8), 0.99)
    rough = ("binary", *PRODUCT, *HASHES, "itq", "rabitq")
    assert cosines.mean() > (
        0.55 if options == {"bits": 9} and name == "lsh" else 0.75 if name in rough else worst
    )


@every_settled
def test_what_a_code_stands_for_has_that_code(codecs, name, options):
    codec = codecs(name, options)
    codes = codec.quantize(unit(300, seed=1))
    decoded = codec.decode(codes)
    assert_it_has_that_code(codec, codes, decoded)
    if codec.rotation is not None and name not in (*PRODUCT, "rabitq"):
        np.testing.assert_array_equal(codec.quantize(decoded @ codec.rotation.T), codes)


@every_quantizer
def test_rows_are_independent(codecs, name, options):
    codec, x = codecs(name, options), unit(40, seed=1)
    codes = codec.quantize(x)
    one_by_one = np.concatenate([codec.quantize(x[i : i + 1]) for i in range(40)])
    np.testing.assert_array_equal(one_by_one, codes)
    np.testing.assert_array_equal(codec.quantize(x[::-1]), codes[::-1])
    np.testing.assert_allclose(
        codec.dequantize(codes[7:9]), codec.dequantize(codes)[7:9], atol=1e-6
    )
    np.testing.assert_allclose(
        codec.decode(codes[7:9]), codec.decode(codes)[7:9], atol=1e-6 if name in HASHES else 0
    )


@every_quantizer
def test_the_size_of_the_blocks_does_not_show(codecs, name, options, monkeypatch):
    codec, x = codecs(name, options), unit(40, seed=1)
    codes = codec.quantize(x)
    for module in (cells, product, hashing, rabitq):
        monkeypatch.setattr(module, "_ROWS", 7)
    np.testing.assert_array_equal(codec.quantize(x), codes)


@every_quantizer
def test_any_layout_in_memory_will_do(codecs, name, options):
    codec, x = codecs(name, options), unit(80, 2 * DIM, seed=1)[::2, ::2]
    codes = codec.quantize(np.ascontiguousarray(x))
    np.testing.assert_array_equal(codec.quantize(x), codes)
    np.testing.assert_array_equal(codec.quantize(np.asfortranarray(x)), codes)
    strided = np.repeat(np.repeat(codes, 2, axis=0), 3, axis=1)[::2, ::3]
    np.testing.assert_array_equal(codec.decode(strided), codec.decode(codes))
    np.testing.assert_array_equal(codec.decode(np.asfortranarray(codes)), codec.decode(codes))


@every_quantizer
def test_no_rows_give_no_codes_and_back(codecs, name, options):
    codec = codecs(name, options)
    codes = codec.quantize(unit(0))
    assert codes.shape == (0, codec.code_bytes)
    assert codec.decode(codes).shape == (0, DIM if name not in PRODUCT else len(codec.order))
    assert codec.dequantize(codes).shape == (0, DIM)
    assert codec.project(unit(0)).shape == codec.decode(codes).shape


@every_quantizer
def test_zero_rows_get_a_code_like_any_other(codecs, name, options):
    codec, x = codecs(name, options), unit(3, seed=1)
    expected = codec.quantize(x)[[0, 2]]
    x[1] = 0
    codes = codec.quantize(x)
    np.testing.assert_array_equal(codes[[0, 2]], expected)
    np.testing.assert_allclose(np.linalg.norm(codec.dequantize(codes), axis=1), 1, rtol=1e-6)


@every_scalar
def test_values_beyond_the_calibration_get_the_outermost_cells(codecs, name, options):
    codec = in_its_own_space(codecs(name, options))
    far = np.array([[-1e30] * DIM, [1e30] * DIM], np.float32)
    np.testing.assert_array_equal(
        codec.decode(codec.quantize(far)), codec.levels[:, [0, -1]].T, strict=True
    )


@every_quantizer
def test_the_rest_of_the_last_byte_is_zero(codecs, name, options):
    codec = codecs(name, options)
    bits = numbers_in(codec) * (1 if name in HASHES else codec.bits)
    for code in codec.quantize(unit(50, seed=1)):
        if name == "rabitq":  # no more than the signs come first
            code, bits = code[:2], DIM
        assert int.from_bytes(code.tobytes(), "little") < 2**bits


@every_quantizer
def test_inner_products_can_be_taken_in_the_codes_own_space(codecs, name, options):
    codec, queries = codecs(name, options), unit(5, seed=2)
    codes = codec.quantize(unit(30, seed=1))
    decoded = codec.decode(codes)
    scores = codec.project(queries) @ (decoded / np.linalg.norm(decoded, axis=1)[:, None]).T
    np.testing.assert_allclose(scores, queries @ codec.dequantize(codes).T, atol=1e-6)


@every_quantizer
@pytest.mark.parametrize("dim", [1, 2, 3, 5, 8, 13])
def test_the_tables_describe_decoding(name, options, dim):
    codec = make(name, options, dim).fit(unit(600, dim))
    if name in NO_TABLES:
        assert codec.tables() is None
        return
    codes = codec.quantize(unit(40, dim, seed=1))
    decoded, by_tables = codec.decode(codes), decode_slowly(codec, codes)
    np.testing.assert_array_equal(by_tables[:, : decoded.shape[1]], decoded)
    np.testing.assert_array_equal(by_tables[:, decoded.shape[1] :], 0)
    if name not in PRODUCT:
        cells = cells_slowly(codec, codes)
        np.testing.assert_array_equal(decoded, codec.levels[np.arange(dim), cells])


@every_scalar
def test_a_cell_holds_its_lower_border(codecs, name, options):
    codec = in_its_own_space(codecs(name, options))
    x = unit(40, seed=1)
    x[:5] = codec.borders[:, np.arange(5) % codec.borders.shape[1]].T
    expected = [[sum(v >= b for b in codec.borders[j]) for j, v in enumerate(row)] for row in x]
    np.testing.assert_array_equal(cells_slowly(codec, codec.quantize(x)), expected)


@every_scalar
def test_borders_and_levels_interleave(codecs, name, options):
    codec = codecs(name, options)
    assert codec.borders.shape == (DIM, 2**codec.bits - 1)
    assert codec.levels.shape == (DIM, 2**codec.bits)
    assert (np.diff(codec.borders, axis=1) > 0).all()
    assert (codec.levels[:, :-1] < codec.borders).all()
    assert (codec.borders <= codec.levels[:, 1:]).all()


@every_quantizer
def test_the_same_seed_gives_the_same_bytes(codecs, name, options, tmp_path):
    np.random.seed(len(name))  # noqa: NPY002  the global state must not matter
    again = make(name, options).fit(unit(1500), seed=0)
    assert stored(again, tmp_path / "a") == stored(codecs(name, options), tmp_path / "b")


@every_quantizer
def test_saved_and_loaded_it_is_the_same_to_the_byte(codecs, name, options, tmp_path):
    codec, x = codecs(name, options), unit(30, seed=1)
    first = stored(codec, tmp_path / "a")
    loaded = artifact.load(tmp_path / "a")["codec"]
    assert stored(loaded, tmp_path / "b") == first
    codes = codec.quantize(x)
    np.testing.assert_array_equal(loaded.quantize(x), codes)
    np.testing.assert_array_equal(loaded.dequantize(codes), codec.dequantize(codes))


@every_quantizer
def test_a_memory_map_gives_the_same_codec_and_codes(codecs, name, options, tmp_path):
    np.save(tmp_path / "x.npy", unit(1500))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    codec = make(name, options).fit(x)
    assert stored(codec, tmp_path / "a") == stored(codecs(name, options), tmp_path / "b")
    np.testing.assert_array_equal(codec.quantize(x[:50]), codec.quantize(unit(1500)[:50]))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), unit(1500))


@every_quantizer
def test_the_wrong_width_is_refused(codecs, name, options):
    codec = codecs(name, options)
    with pytest.raises(
        ShapeError,
        match=r"^this codec takes 13-dimensional embeddings, got shape \(2, 7\): was it calibrated "
        r"on the same head, at the same width\?$",
    ):
        codec.quantize(np.zeros((2, 7), np.float32))
    wrong = np.zeros((2, codec.code_bytes + 1), np.uint8)
    for read in (codec.decode, codec.dequantize):
        with pytest.raises(
            ShapeError,
            match=rf"^this codec's codes are {codec.code_bytes} bytes wide, got shape "
            rf"\(2, {codec.code_bytes + 1}\): were they made by another artifact\?$",
        ):
            read(wrong)


@every_quantizer
def test_too_small_a_calibration_is_refused_and_just_enough_is_not(name, options):
    fixed = {"gaussian": 1, "linear": 1, "lsh": 1, "rabitq": 1, "learned-hash": 2, "itq": 2}
    least = 2 ** options.get("bits", 8 if name in PRODUCT else 0)
    least = fixed.get(name, least) if name != "itq" or not options else least
    with pytest.raises(ConfigError, match=f"at least {least} calibration embeddings, got"):
        make(name, options).fit(unit(least - 1))
    codec = make(name, options).fit(unit(least))
    codes = codec.quantize(unit(least))
    if name not in HASHES:
        assert_it_has_that_code(codec, codes, codec.decode(codes))
    assert np.isfinite(codec.dequantize(codes)).all()


@every_quantizer
@settings(deadline=None, max_examples=12)
@given(
    dim=st.integers(1, 11), n=st.integers(256, 300), seed=st.integers(0, 999), ties=st.booleans()
)
def test_codes_of_tiny_and_odd_widths_with_and_without_ties(name, options, dim, n, seed, ties):
    x = tied(n, dim, seed) if ties else unit(n, dim, seed)
    codec = make(name, options, dim).fit(x, seed=seed)
    codes = codec.quantize(x)
    assert codes.shape == (n, codec.code_bytes)
    decoded = codec.decode(codes)
    if name not in HASHES:
        assert_it_has_that_code(codec, codes, decoded)
    width = decoded.shape[1]
    if name not in NO_TABLES:
        np.testing.assert_array_equal(decode_slowly(codec, codes[:20])[:, :width], decoded[:20])
    norms = np.linalg.norm(codec.dequantize(codes), axis=1)
    assert (np.isclose(norms, 1, rtol=1e-5) | ~decoded.any(axis=1)).all()
    if name not in (*PRODUCT, *NO_TABLES):
        assert (np.diff(codec.borders, axis=1) >= 0).all()


@every_exact
def test_columns_of_one_value_are_coded_without_loss(name, options):
    x = unit(300, 5)
    x[:, 1], x[:, 3] = 0, 0.25
    codec = in_its_own_space(make(name, unrotated(options)).fit(x))
    decoded = codec.decode(codec.quantize(x))
    np.testing.assert_allclose(decoded[:, [1, 3]], x[:, [1, 3]], rtol=1e-5, atol=1e-9)


@every_exact
@pytest.mark.parametrize("near", [0.0, 1e-20, 0.25, -1.0])
def test_columns_of_nearly_one_value_are_coded_without_loss(name, options, near):
    x = np.full((300, 3), near, np.float32)
    x[::2, 1] = np.nextafter(x[::2, 1], np.float32(1))
    codec = make(name, unrotated(options)).fit(x)
    codes = codec.quantize(x)
    decoded = codec.decode(codes)
    np.testing.assert_array_equal(codec.quantize(decoded), codes)
    np.testing.assert_allclose(decoded, x, rtol=1e-5, atol=1e-9)


@every_exact
def test_equal_calibration_rows_are_coded_without_loss(name, options):
    x = np.repeat(unit(1), 256, axis=0)
    codec = make(name, options).fit(x)
    np.testing.assert_allclose(codec.dequantize(codec.quantize(x)), x, atol=1e-5)


@pytest.mark.parametrize("name", LADDERS)
def test_more_bytes_are_never_worse_on_average(name):
    decay = np.float32(0.8) ** np.arange(DIM, dtype=np.float32)
    calibration, fresh = normalize(unit(1500) * decay), normalize(unit(400, seed=1) * decay)
    steps = [make(name, options).fit(calibration) for options in LADDERS[name]]
    assert (np.diff([codec.code_bytes for codec in steps]) >= 0).all()
    cosines = [(codec.dequantize(codec.quantize(fresh)) * fresh).sum(axis=1).mean()
               for codec in steps]  # fmt: skip
    assert (np.diff(cosines) > -1e-4).all()
    assert cosines[-1] > cosines[0]


@every_quantizer
def test_calibration_is_left_alone(name, options):
    x = unit(256)
    make(name, options).fit(x)
    np.testing.assert_array_equal(x, unit(256))


# Cells of equal mass


@percentiles
def test_more_bits_cost_less_error(rotate):
    x = unit(3000, 16)
    errors = []
    for bits in BITS:
        codec = Percentile(bits=bits, rotate=rotate).fit(x)
        errors.append(float(((codec.dequantize(codec.quantize(x)) - x) ** 2).mean()))
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < errors[0] / 500


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n", [1024, 1001])
def test_cells_have_equal_mass_whatever_the_distribution(bits, n):
    ranks = np.random.default_rng(0).permuted(np.tile(np.arange(n), (4, 1)), axis=1).T / n
    x = np.stack([ranks[:, 0], ranks[:, 1] ** 4, -ranks[:, 2], np.exp(9 * ranks[:, 3])], axis=1)
    codec = Percentile(bits=bits).fit(x.astype(np.float32))
    for column in cells_slowly(codec, codec.quantize(x.astype(np.float32))).T:
        counts = np.bincount(column, minlength=2**bits)
        assert set(counts) <= {n // 2**bits, -(-n // 2**bits)}


@pytest.mark.parametrize("bits", BITS)
def test_rotated_cells_have_equal_mass(bits):
    x = unit(1001, 4) * np.float32([1, 5, 0.1, 1])
    codec = Percentile(bits=bits, rotate=True).fit(x)
    for column in cells_slowly(codec, codec.quantize(x)).T:
        counts = np.bincount(column, minlength=2**bits)
        # A border between close values, or on one, may round to the other side.
        assert abs(counts - 1001 / 2**bits).max() < 2.1


@pytest.mark.parametrize(("name", "bits"), [("binary", 1), *(("percentile", b) for b in BITS)])
def test_a_level_is_the_mean_of_what_fell_into_its_cell(name, bits):
    x = unit(700, 3)
    codec = make(name, {} if name == "binary" else {"bits": bits}).fit(x)
    cells = cells_slowly(codec, codec.quantize(x))
    for j in range(3):
        for cell in range(2**bits):
            mean = x[cells[:, j] == cell, j].mean(dtype=np.float64)
            np.testing.assert_allclose(codec.levels[j, cell], mean, rtol=1e-5, atol=1e-8)


def test_percentile_borders_are_the_quantiles_interpolated():
    x = np.array([[0.0], [1], [2], [10]], np.float32)
    codec = Percentile(bits=2).fit(x)
    # Of four values, the quantiles 1/4, 2/4, 3/4 lie at the places .75, 1.5, 2.25
    np.testing.assert_allclose(codec.borders, [[0.75, 1.5, 4.0]])
    np.testing.assert_allclose(codec.levels, [[0, 1, 2, 10]])


def test_an_empty_cell_stands_for_its_nearest_border():
    x = np.array([[-3.0], [-3], [-1], [-1]], np.float32)
    codec = Percentile(bits=2).fit(x)
    np.testing.assert_array_equal(codec.borders, [[-3, -2, -1]])
    below = np.nextafter(np.float32(-3), np.float32(-4))
    np.testing.assert_array_equal(codec.levels, [[below, -3, -2, -1]])


def test_binary_cuts_at_zero_wherever_the_values_lie():
    x = np.array([[1.0], [2], [6], [-1]], np.float32)
    codec = make("binary", {}).fit(x)
    np.testing.assert_array_equal(codec.borders, [[0]])
    np.testing.assert_allclose(codec.levels, [[-1, 3]])
    np.testing.assert_array_equal(
        codec.quantize(np.array([[0.0], [-0.0], [-1e-30]], np.float32)), [[1], [1], [0]]
    )


def test_a_half_that_no_calibration_fell_into_still_points_somewhere():
    codec = make("binary", {}).fit(np.abs(unit(50, 4)))
    back = codec.dequantize(codec.quantize(-np.abs(unit(3, 4))))
    np.testing.assert_allclose(back, -0.5, rtol=1e-6)


def test_int8_cells_are_equally_wide():
    x = np.array([[0.0, 1], [256, 1.5], [100, 2]], np.float32)
    codec = Int8().fit(x)
    np.testing.assert_allclose(codec.borders[0], np.arange(1, 256))
    np.testing.assert_allclose(codec.levels[0], np.arange(256) + 0.5)
    values = np.random.default_rng(0).uniform([0, 1], [256, 2], (100, 2)).astype(np.float32)
    off = np.abs(codec.decode(codec.quantize(values)) - values)
    assert (off <= [0.5, 0.5 / 256 + 1e-6]).all()


# One code, read at several numbers of bits


@percentiles
@pytest.mark.parametrize("bits", BITS)
def test_coarser_codes_are_those_of_fewer_bits(bits, rotate):
    x, fresh = unit(1003), unit(100, seed=1)
    codec = Percentile(bits=bits, rotate=rotate).fit(x)
    codes = codec.quantize(fresh)
    for fewer in range(1, bits + 1):
        expected = Percentile(bits=fewer, rotate=rotate).fit(x)
        coarser = codec.coarser(fewer)
        np.testing.assert_array_equal(coarser.borders, expected.borders)
        np.testing.assert_array_equal(codec.coarsen(codes, fewer), expected.quantize(fresh))
        np.testing.assert_array_equal(coarser.quantize(fresh), expected.quantize(fresh))
        spread = np.abs(expected.levels).mean()
        np.testing.assert_allclose(coarser.levels, expected.levels, atol=0.02 * spread)
        assert coarser.code_bytes == expected.code_bytes


@every_scalar
def test_a_coarser_codec_is_a_codec_too(codecs, name, options):
    codec, x = codecs(name, options), unit(100, seed=1)
    codes = codec.quantize(x)
    for bits in range(1, codec.bits + 1):
        coarser, coarse = codec.coarser(bits), codec.coarsen(codes, bits)
        np.testing.assert_array_equal(coarser.quantize(x), coarse)
        np.testing.assert_array_equal(
            in_its_own_space(coarser).quantize(coarser.decode(coarse)), coarse
        )
        finer = codec.coarsen(codes, max(bits, codec.bits - 1))
        np.testing.assert_array_equal(
            codec.coarser(max(bits, codec.bits - 1)).coarsen(finer, bits), coarse
        )
    np.testing.assert_array_equal(codec.coarsen(codes, codec.bits), codes)


@settings(deadline=None, max_examples=40)
@given(
    bits=st.integers(2, 8),
    fewer=st.integers(1, 7),
    dim=st.integers(1, 7),
    seed=st.integers(0, 999),
    values=st.integers(1, 40),
)
def test_coarser_codes_with_ties_are_those_of_fewer_bits(bits, fewer, dim, seed, values):
    fewer = min(fewer, bits)
    x = tied(270, dim, seed, values)
    codec = Percentile(bits=bits).fit(x)
    coarser, coarse = codec.coarser(fewer), codec.coarsen(codec.quantize(x), fewer)
    np.testing.assert_array_equal(coarse, Percentile(bits=fewer).fit(x).quantize(x))
    np.testing.assert_array_equal(coarser.quantize(coarser.decode(coarse)), coarse)


@pytest.mark.parametrize("bits", [-1, 0, 5])
def test_a_codec_is_never_read_at_bits_it_does_not_have(bits):
    codec = Percentile(bits=4).fit(unit(100))
    text = f"^bits must be between 1 and 4, got {bits}$"
    with pytest.raises(ConfigError, match=text):
        codec.coarser(bits)
    with pytest.raises(ConfigError, match=text):
        codec.coarsen(codec.quantize(unit(3)), bits)


def test_codes_of_another_codec_are_not_coarsened():
    codec = Percentile(bits=4).fit(unit(100))
    with pytest.raises(ShapeError, match=r"codes are 7 bytes wide, got shape \(2, 9\)"):
        codec.coarsen(np.zeros((2, 9), np.uint8), 2)


@pytest.mark.parametrize("bits", [0, 9])
def test_a_cell_has_one_to_eight_bits(bits):
    with pytest.raises(ConfigError, match=f"^bits must be between 1 and 8, got {bits}$"):
        Percentile(bits=bits)


# Rotations


@pytest.mark.parametrize("dim", [1, 2, 7, 64])
def test_a_rotation_is_orthogonal_and_follows_the_seed(dim):
    rotation = scalar.random_rotation(dim, 3)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(dim), atol=1e-6)
    np.testing.assert_array_equal(rotation, scalar.random_rotation(dim, 3))
    if dim > 1:
        assert (rotation != scalar.random_rotation(dim, 4)).any()


def test_rotations_point_everywhere():
    """Without the sign of QR's diagonal the entries of a column would not be symmetric."""
    corners = np.array([scalar.random_rotation(3, seed)[0, 0] for seed in range(400)])
    assert abs(corners.mean()) < 0.1  # uniform on the sphere: each coordinate is uniform in [-1, 1]
    np.testing.assert_allclose(np.quantile(corners, [0.25, 0.75]), [-0.5, 0.5], atol=0.1)
