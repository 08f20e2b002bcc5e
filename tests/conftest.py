"""What every test may ask for. Nothing here downloads or loads a model."""

import os

import numpy as np
import pytest

from helpers import HashEncoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a mistaken hub name then fails at once


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def hash_encoder():
    return HashEncoder()
