"""The browser's library is tested against files that Python made: they are what it makes now."""

import base64
import gzip
import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")
pytest.importorskip("sklearn")

HERE = Path(__file__).parents[2] / "web" / "test"
COMMITTED = HERE / "fixtures"
FILES = sorted(str(p.relative_to(COMMITTED)) for p in COMMITTED.rglob("*") if p.is_file())
KINDS = {"f4": np.float32, "i4": np.int32, "i8": np.int64, "u1": np.uint8}
ADVICE = "run `python web/test/make_fixtures.py` and `npm test` in web/"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        folder = tmp_path_factory.mktemp("fixtures")
        importlib.import_module("make_fixtures").main(folder)
    return folder


def test_the_same_files_are_made(made):
    assert sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_committed_file_is_what_is_made_now(name, made):
    old, new = (read(folder / name) for folder in (COMMITTED, made))
    same(old, new, name)


@pytest.mark.parametrize("engine", ["static", "onnx"])
def test_a_committed_folder_is_as_its_manifest_says(engine):
    listed = json.loads((COMMITTED / engine / "manifest.json").read_text())["files"]
    there = {p.name for p in (COMMITTED / engine).iterdir()}
    assert there == {*listed, "manifest.json", "expected.json"}
    for name, facts in listed.items():
        packed = (COMMITTED / engine / name).read_bytes()
        assert facts["bytes"] == len(packed)
        assert facts["sha256"] == hashlib.sha256(packed).hexdigest()
        assert facts["unpacked"] == len(gzip.decompress(packed))


def test_the_fixtures_stay_small():
    assert sum((COMMITTED / name).stat().st_size for name in FILES) < 300_000


def read(path):
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".safetensors" in path.name:
        return safetensors.numpy.load(data)
    if ".onnx" in path.name:
        return nodes(data)
    return json.loads(data) if ".json" in path.name else data


def nodes(data):
    import onnx

    graph = onnx.load_from_string(data).graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    return {"nodes": [n.SerializeToString() for n in graph.node], "weights": weights}


def same(old, new, where):
    """Compare values; floats may differ in their last digits from machine to machine."""
    if isinstance(old, dict) and set(old) == {"dtype", "shape", "data"}:
        old, new = array(old), array(new)
    assert type(old) is type(new), f"{where}: {ADVICE}"
    if isinstance(old, dict):
        assert set(old) == set(new), f"{where}: {ADVICE}"
        for key in old.keys() - {"files"}:  # how small gzip packs is its own affair
            same(floats(old, key), floats(new, key), f"{where} {key}")
    elif isinstance(old, list):
        assert len(old) == len(new), f"{where}: {ADVICE}"
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            same(one, other, f"{where} {i}")
    elif isinstance(old, float | np.ndarray):
        np.testing.assert_allclose(new, old, atol=3e-6, err_msg=f"{where}: {ADVICE}")
    else:
        assert new == old, f"{where}: {ADVICE}"


def array(stored):
    data = np.frombuffer(base64.b64decode(stored["data"]), KINDS[stored["dtype"]])
    return data.reshape(stored["shape"])


def floats(content, key):
    value = content[key]
    if key == "vectors" and isinstance(value, str):
        return np.frombuffer(base64.b64decode(value), np.float32)
    return value
