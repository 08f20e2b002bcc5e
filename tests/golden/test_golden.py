"""Yesterday's artifacts load, and today's bytes are the same tomorrow."""

import json
from pathlib import Path

import numpy as np
import pytest

from vecpress import Index, Pipeline
from vecpress.arrays import pack
from vecpress.quantizers.scalar import Percentile, ScalarCodec

HERE = Path(__file__).parent


@pytest.fixture
def expected():
    with np.load(HERE / "expected_v1.npz") as file:
        return dict(file)


@pytest.fixture
def expected_2():
    with np.load(HERE / "expected_v2.npz") as file:
        return dict(file)


def test_an_index_of_format_1_answers_as_it_did(expected):
    index = Index.load(HERE / "index_v1")
    pipeline = Pipeline.load(HERE / "index_v1" / "press")
    np.testing.assert_array_equal(index.codes, expected["codes"])
    hits = pipeline.search(index, expected["vectors"][:7], 5)
    np.testing.assert_array_equal(hits.rows, expected["rows"])
    np.testing.assert_allclose(hits.scores, expected["scores"], atol=1e-6)


def test_an_index_of_format_2_answers_as_it_did(expected_2):
    """Two segments with snippets, finer codes and deletions."""
    index = Index.load(HERE / "index_v2", verify=True)
    pipeline = Pipeline.load(HERE / "index_v2" / "press")
    np.testing.assert_array_equal(index.codes, expected_2["codes"])
    assert (len(index), index.ids[277], index.snippet(277)) == (296, "dök 277", "text 277")
    asked = expected_2["vectors"][:7]
    for prefix, options in (("", {"rescore": None}), ("finer_", {})):
        hits = pipeline.search(index, asked, 5, **options)
        np.testing.assert_array_equal(hits.rows, expected_2[f"{prefix}rows"])
        np.testing.assert_allclose(hits.scores, expected_2[f"{prefix}scores"], atol=1e-6)
    assert not np.isin(expected_2["finer_rows"], [3, 249, 250, 277]).any()


def test_an_index_of_format_2_is_written_as_it_was(tmp_path):
    """What was loaded is saved, and changed, to the same files."""
    index = Index.load(HERE / "index_v2")
    index.save(tmp_path / "i")
    config = json.loads((tmp_path / "i" / "index.json").read_text())
    golden = json.loads((HERE / "index_v2" / "index.json").read_text())
    assert [s["documents"] for s in config["segments"]] == [250, 50]
    for mine, theirs in zip(config["segments"], golden["segments"], strict=True):
        for name, file in theirs["files"].items():
            one = HERE / "index_v2" / theirs["folder"] / f"{name}.npy"
            name = "deleted-1" if name.startswith("deleted") else name
            assert mine["files"][name] == file
            other = tmp_path / "i" / mine["folder"] / f"{name}.npy"
            assert one.read_bytes() == other.read_bytes()


def test_a_press_of_format_1_codes_as_it_did(expected):
    pipeline = Pipeline.load(HERE / "index_v1" / "press")
    codes = pipeline.quantize(pipeline.compress(expected["vectors"]))
    assert (codes == expected["codes"]).all(axis=1).mean() > 0.99, "but for borders, bit for bit"


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path):
    for name in ("index_v1/press", "press_text_v1"):
        Pipeline.load(HERE / name).save(tmp_path / name)
        for file in ("config.json", "tensors.safetensors"):
            assert (tmp_path / name / file).read_bytes() == (HERE / name / file).read_bytes()


def test_a_press_of_texts_of_format_1_encodes_as_it_did():
    pipeline = Pipeline.load(HERE / "press_text_v1")
    row = pipeline.encode(["money in the bank"])
    assert row.shape == (1, 10)
    np.testing.assert_allclose(np.linalg.norm(row), 1, atol=1e-6)
    assert pipeline.fingerprint == "4997d86095b807ad0a267a98422c22a0"
    assert pipeline.quantize(row).tobytes().hex() == "ef903e1f90"


def test_the_bits_of_a_code_lie_where_the_format_says():
    """docs/format.md: dimension j at bit j * bits, lowest first."""
    cells = np.array([[1, 2, 3, 4, 5, 6, 7, 0, 1]], np.uint8)
    number = sum(int(c) << (3 * j) for j, c in enumerate(cells[0]))
    assert pack(cells, 3).tobytes() == number.to_bytes(4, "little")
    assert pack(np.array([[1, 2, 3]], np.uint8), 4).tobytes() == bytes([0x21, 0x03])


def test_a_border_belongs_to_the_cell_above():
    borders = np.array([[-0.5, 0.0, 0.5]], np.float32)
    levels = np.array([[-0.7, -0.2, 0.2, 0.7]], np.float32)
    codec = ScalarCodec(borders=borders, levels=levels, bits=2)
    values = np.array([[-0.51], [-0.5], [0.0], [0.49], [0.5]], np.float32)
    np.testing.assert_array_equal(codec.quantize(values)[:, 0], [0, 1, 2, 2, 3])


def test_borders_are_linear_quantiles():
    """The method is named and kept: other definitions of a quantile give other codes."""
    column = np.array([[0.0], [0.1], [0.3], [0.6]], np.float32)
    codec = Percentile(bits=1).fit(column)
    np.testing.assert_allclose(codec.borders, [[0.2]], atol=1e-7)
    np.testing.assert_allclose(codec.levels, [[0.05, 0.45]], atol=1e-7)
