"""What every compressor promises, also tomorrow's: a new method adds its cases here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress import artifact, registry
from vecpress.arrays import normalize, truncate
from vecpress.errors import ConfigError, ShapeError
from vecpress.stages import Compressor, Head, TrainingSet

IN_DIM, DIM = 13, 6  # odd, and no multiple of anything
CASES = {
    "truncation": [{}],
    "random": [{}],
    "pca": [{}, {"centre": True}],
    "power-pca": [{"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 1.0}],
    "concat-decoder": [
        {"epochs": 2, "batch_size": 32},
        {"epochs": 2, "batch_size": 32, "form": "linear", "nested_dims": [2, DIM]},
        {"epochs": 2, "batch_size": 32, "init": "pca"},
        {"epochs": 2, "batch_size": 32, "depth": 3, "dropout": 0.2, "orthogonality": 0.1},
        {"epochs": 2, "batch_size": 32, "depth": 2, "residual": True, "keep": "last"},
        {"epochs": 2, "batch_size": 32, "depth": 2, "residual": True, "form": "linear"},
    ],
    "search-adaptor": [
        {"epochs": 2, "batch_size": 32},
        {"epochs": 2, "batch_size": 2, "nested_dims": [2, 3, DIM], "init": "identity"},
        {"epochs": 2, "batch_size": 2, "shared": True},
    ],
    "matryoshka-adaptor": [
        {"epochs": 2, "batch_size": 32},
        {"epochs": 2, "batch_size": 32, "nested_dims": [2, DIM], "init": "identity"},
    ],
    "smec": [
        {"epochs": 2, "batch_size": 32},
        {"epochs": 2, "batch_size": 32, "nested_dims": [2, 3, DIM], "init": "identity"},
        {"epochs": 2, "batch_size": 32, "sequential": False, "nested_dims": [2, 3, DIM]},
        {"epochs": 2, "batch_size": 32, "adaptive": False, "memory": 0},
    ],
}
NEED_PAIRS = {"search-adaptor"}
ALL = [
    pytest.param(name, options, id="-".join([name, *(str(v) for v in options.values())]))
    for name in registry.COMPRESSORS
    for options in CASES.get(name, [])
]
every_compressor = pytest.mark.parametrize(("name", "options"), ALL)


def make(name, options, dim=DIM):
    return registry.build(registry.COMPRESSORS, {"kind": name, "dim": dim} | options)


def unit(n, d=IN_DIM, seed=0):
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def fit(name, options, documents=None, **training):
    documents = unit(200) if documents is None else documents
    return make(name, options).fit(teach(name, documents, **training))


def teach(name, documents, **training):
    """Give a compressor what it cannot do without."""
    if name in NEED_PAIRS and not training:
        positives = np.array([[i, i % 4] for i in range(8)])
        training = {"queries": unit(8, documents.shape[1], 3), "positives": positives}
    return TrainingSet(documents=documents, **training)


def stored(head, folder):
    """Give the bytes of a head as an artifact."""
    artifact.save(folder, {"head": head}, overwrite=True)
    return [(folder / file).read_bytes() for file in ("config.json", "tensors.safetensors")]


@pytest.fixture(scope="module")
def heads():
    """Fit each case once."""
    fitted = {}

    def get(name, options):
        key = (name, repr(options))
        if key not in fitted:
            fitted[key] = fit(name, options)
        return fitted[key]

    return get


def test_every_registered_compressor_has_a_case():
    assert CASES.keys() == registry.COMPRESSORS.keys()
    assert all(CASES.values())


@every_compressor
def test_it_is_a_compressor_and_fits_a_head_of_its_width(heads, name, options):
    compressor = make(name, options)
    head = heads(name, options)
    assert isinstance(compressor, Compressor)
    assert isinstance(head, Head)
    assert (compressor.dim, head.dim, head.in_dim) == (DIM, DIM, IN_DIM)


@every_compressor
def test_it_is_plain_values_that_build_it_again(name, options):
    compressor = make(name, options)
    described = registry.describe(registry.COMPRESSORS, compressor)
    assert registry.build(registry.COMPRESSORS, described) == compressor
    with pytest.raises(AttributeError):
        compressor.dim = 3


@every_compressor
def test_rows_are_unit_float32_and_contiguous(heads, name, options):
    out = heads(name, options).compress(unit(7, seed=1))
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)


@every_compressor
def test_a_zero_row_stays_zero(heads, name, options):
    x = unit(3, seed=1)
    x[1] = 0
    out = heads(name, options).compress(x)
    np.testing.assert_array_equal(out[1], 0)
    np.testing.assert_allclose(np.linalg.norm(out[[0, 2]], axis=1), 1, rtol=1e-5)


@every_compressor
def test_truncating_the_head_is_truncating_its_output(heads, name, options):
    head, x = heads(name, options), unit(9, seed=1)
    for dim in range(1, DIM + 1):
        shorter = head.truncate(dim)
        assert shorter.dim == dim
        wide = head.truncate(min(width for width in head.dims if width >= dim))
        np.testing.assert_allclose(shorter.compress(x), truncate(wide.compress(x), dim), atol=1e-5)


@every_compressor
def test_a_head_says_which_widths_have_a_map_of_their_own(heads, name, options):
    head = heads(name, options)
    chained = name in ("smec", "search-adaptor") and options.get("sequential", True)
    stops = options.get("nested_dims", [DIM]) if chained else [DIM]
    assert head.dims == tuple(sorted(stops, reverse=True))


@every_compressor
def test_each_row_is_compressed_on_its_own(heads, name, options):
    head, x = heads(name, options), unit(9, seed=1)
    one_by_one = np.concatenate([head.compress(x[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(one_by_one, head.compress(x), atol=1e-6)
    assert head.compress(x[:0]).shape == (0, DIM)


@every_compressor
def test_any_layout_in_memory_will_do(heads, name, options):
    head, x = heads(name, options), unit(8, 2 * IN_DIM, seed=1)[::2, ::2]
    expected = head.compress(np.ascontiguousarray(x))
    np.testing.assert_allclose(head.compress(x), expected, atol=1e-6)
    np.testing.assert_allclose(head.compress(np.asfortranarray(x)), expected, atol=1e-6)


@every_compressor
def test_embeddings_of_another_width_are_refused(heads, name, options):
    with pytest.raises(
        ShapeError,
        match=r"^this head takes 13-dimensional embeddings, got 7: was it fitted on the same "
        r"encoders, in the same order\?$",
    ):
        heads(name, options).compress(np.zeros((1, 7), np.float32))


@every_compressor
def test_the_same_seed_gives_the_same_bytes(heads, name, options, tmp_path):
    np.random.seed(len(name))  # noqa: NPY002  the global state must not matter
    again = make(name, options).fit(teach(name, unit(200)), seed=0)
    assert stored(again, tmp_path / "a") == stored(heads(name, options), tmp_path / "b")


@every_compressor
def test_saved_and_loaded_it_is_the_same_to_the_byte(heads, name, options, tmp_path):
    head, x = heads(name, options), unit(9, seed=1)
    first = stored(head, tmp_path / "a")
    loaded = artifact.load(tmp_path / "a")["head"]
    assert stored(loaded, tmp_path / "b") == first
    np.testing.assert_array_equal(loaded.compress(x), head.compress(x))


@every_compressor
def test_a_memory_map_gives_the_same_head(heads, name, options, tmp_path):
    np.save(tmp_path / "x.npy", unit(200))
    documents = np.load(tmp_path / "x.npy", mmap_mode="r")
    head = fit(name, options, documents)
    assert stored(head, tmp_path / "a") == stored(heads(name, options), tmp_path / "b")
    assert not any(isinstance(weight, np.memmap) for weight in head.weights)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), unit(200))


@every_compressor
def test_documents_of_any_layout_give_the_same_head(heads, name, options):
    x = unit(9, seed=1)
    head = fit(name, options, np.asfortranarray(unit(200)))
    np.testing.assert_allclose(head.compress(x), heads(name, options).compress(x), atol=1e-3)


@every_compressor
def test_queries_and_pairs_may_be_given(name, options):
    positives = np.array([[0, 1], [4, 7]])
    head = fit(name, options, queries=unit(5, seed=2), positives=positives)
    assert head.dim == DIM


@every_compressor
@pytest.mark.parametrize("kind", ["zero rows", "all zero", "one document many times", "few"])
def test_poor_documents_still_give_finite_unit_rows(name, options, kind):
    documents = unit(60)
    if kind == "zero rows":
        documents[::3] = 0
    elif kind == "all zero":
        documents[:] = 0
    elif kind == "one document many times":
        documents[:] = documents[0]
    else:
        documents = documents[:4]  # fewer than dimensions
    out = fit(name, options, documents).compress(unit(9, seed=1))
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)


@every_compressor
@pytest.mark.parametrize("dim", [0, -1])
def test_there_is_no_head_of_no_width(name, options, dim):
    without_stops = {k: v for k, v in options.items() if k != "nested_dims"}
    with pytest.raises(ConfigError, match=f"^dim must be at least 1, got {dim}$"):
        make(name, without_stops, dim=dim)


@pytest.mark.parametrize("name", ["truncation", "random", "pca", "power-pca"])
def test_a_linear_head_is_no_wider_than_its_input(name):
    with pytest.raises(
        ConfigError, match=r"^dim must be at most the 5 dimensions of the input, got 6$"
    ):
        make(name, {}).fit(TrainingSet(documents=unit(20, 5)))


@pytest.mark.parametrize("name", ["pca", "power-pca"])
def test_pca_needs_a_document(name):
    with pytest.raises(ConfigError, match=r"^PCA needs at least one document, got none$"):
        fit(name, {}, unit(0))


@pytest.mark.parametrize("name", ["truncation", "random", "pca", "power-pca"])
def test_one_document_is_enough_for_what_is_not_trained(name):
    out = fit(name, {}, unit(1)).compress(unit(9, seed=1))
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("gamma", [-0.1, 1.5])
def test_gamma_lies_between_pca_and_whitening(gamma):
    with pytest.raises(ConfigError, match=f"^gamma must be between 0 and 1, got {gamma}$"):
        make("power-pca", {"gamma": gamma})


@every_compressor
@settings(deadline=None, max_examples=8)
@given(data=st.data(), in_dim=st.integers(1, 9), seed=st.integers(0, 99))
def test_tiny_and_odd_widths(name, options, data, in_dim, seed):
    dim = data.draw(st.integers(1, in_dim))
    options = {k: v for k, v in options.items() if k != "nested_dims"} | (
        {"epochs": 1} if "epochs" in options else {}
    )
    documents = unit(12, in_dim, seed)
    head = make(name, options, dim).fit(teach(name, documents), seed=seed)
    out = head.compress(documents)
    assert out.shape == (12, dim)
    norms = np.linalg.norm(out, axis=1)
    # LayerNorm leaves nothing of a single input, and a centred document may be the mean.
    assert (np.isclose(norms, 1, rtol=1e-5) | (norms == 0)).all()


def test_truncation_keeps_the_first_dimensions():
    x = unit(9, seed=1)
    np.testing.assert_allclose(fit("truncation", {}).compress(x), truncate(x, DIM), atol=1e-7)


def test_random_projections_are_orthogonal_and_follow_the_seed():
    heads = [make("random", {}).fit(TrainingSet(documents=unit(2)), seed=s) for s in (0, 0, 1)]
    directions = heads[0].weights[0]
    np.testing.assert_allclose(directions @ directions.T, np.eye(DIM), atol=1e-6)
    np.testing.assert_array_equal(directions, heads[1].weights[0])
    assert (directions != heads[2].weights[0]).all()
