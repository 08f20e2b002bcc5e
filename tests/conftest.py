"""What every test may ask for. Nothing here downloads or loads a model."""

import atexit
import os
import shutil
import tempfile

import numpy as np
import pytest

from helpers import HashEncoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a mistaken hub name then fails at once
_CACHE = tempfile.mkdtemp(prefix="vecpress-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE  # graphs of models are not kept where a person's are
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def hash_encoder():
    return HashEncoder()
