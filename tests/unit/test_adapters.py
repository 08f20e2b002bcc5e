"""What adapters share: their door, what it says of a missing framework, and how they open a press."""

import os
import subprocess
import sys
from importlib.metadata import metadata

import numpy as np
import pytest

import asking
from helpers import unit
from vecpress import adapters
from vecpress.adapters.opening import open_press
from vecpress.errors import ArtifactError, ConfigError
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe


@pytest.mark.parametrize("name", adapters.ADAPTERS)
def test_the_door_leads_to_each_adapter_and_its_extra_exists(name):
    entry = adapters.ADAPTERS[name]
    found = getattr(adapters, name)
    assert f"{found.__module__}:{found.__qualname__}" == entry.target
    assert entry.extra in (metadata("vecpress").get_all("Provides-Extra") or [])


def test_the_door_names_what_is_not_there():
    with pytest.raises(
        AttributeError, match=r"^module 'vecpress.adapters' has no attribute 'Haystack'$"
    ):
        _ = adapters.Haystack


def test_without_its_framework_an_adapter_names_the_extra():
    code = """
import sys
from vecpress import adapters
from vecpress.errors import MissingExtraError

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("langchain_core", "llama_index", "sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
for name in adapters.__all__:
    try:
        getattr(adapters, name)
    except MissingExtraError as error:
        print(error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    ).stdout.splitlines()
    assert told == [
        f"'{name}' needs the package '{package}', which is not installed: "
        f"pip install 'vecpress[{extra}]'"
        for name, package, extra in [
            ("VecpressEmbeddings", "langchain_core", "langchain"),
            ("VecpressEmbedding", "llama_index", "llama-index"),
            ("PressTransformer", "sklearn", "sklearn"),
            ("TextEncoder", "sklearn", "sklearn"),
        ]
    ]


def test_a_press_opens_from_its_folder_and_from_memory(tmp_path):
    pipeline = asking.press()
    pipeline.save(tmp_path / "press")
    assert open_press(pipeline) is pipeline
    for folder in (tmp_path / "press", str(tmp_path / "press")):
        assert open_press(folder).fingerprint == pipeline.fingerprint
    cut = open_press(pipeline, dim=3).encode(["word1 word2"])
    whole = pipeline.encode(["word1 word2"])[:, :3]
    np.testing.assert_allclose(cut, whole / np.linalg.norm(whole), atol=1e-6)


def test_a_press_of_vectors_has_nothing_to_encode_texts_with(tmp_path):
    pipeline = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), unit(40, 8))
    pipeline.save(tmp_path / "press")
    for press, what in ((pipeline, "this press"), (tmp_path / "press", f"the press {tmp_path}/p")):
        with pytest.raises(ConfigError) as caught:
            open_press(press)
        assert str(caught.value).startswith(what)
        assert str(caught.value).endswith(
            "was fitted on precomputed vectors and has no model to encode texts with: fit one with "
            "models, or use vecpress.adapters.PressTransformer, which takes vectors"
        )


def test_what_is_no_press_or_cannot_be_cut_is_said_at_once(tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere is not a vecpress folder: no config.json$"):
        open_press(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"^this press has no head to truncate: fit it with one$"):
        open_press(asking.press(dim=None), dim=4)
    with pytest.raises(ConfigError, match=r"^dim must be between 1 and 6, got 7$"):
        open_press(asking.press(), dim=7)
