"""What compiles the kernel at installation."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "hatch_build.py"


@pytest.fixture
def build(monkeypatch, tmp_path):
    pytest.importorskip("hatchling", reason="only pip has hatchling, while it installs vecpress")
    spec = importlib.util.spec_from_file_location("hatch_build", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LIBRARY", tmp_path / "_kernel.so")
    return module


def test_it_compiles(build):
    assert build.compile_kernel() == ""
    assert build.LIBRARY.stat().st_size > 1000


@pytest.mark.parametrize(("compiler", "said"), [("false", "false failed"), ("/no/cc", "No such")])
def test_without_a_compiler_it_says_why(build, monkeypatch, compiler, said):
    monkeypatch.setenv("CC", compiler)
    assert said in build.compile_kernel()
    assert not list(build.LIBRARY.parent.iterdir())
