"""Small things that several tests need."""

import hashlib
import itertools

import numpy as np

from vecpress.head import Head


def unit(n, d, seed=0):
    """Random unit rows."""
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def head(*widths, seed=0, **options):
    """A head as training may leave one, with biases that move a zero row."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(widths))
    weights = tuple(rng.normal(size=(b, a)).astype(np.float32) for a, b in pairs)
    biases = tuple(rng.normal(size=b).astype(np.float32) for _, b in pairs)
    return Head(weights=weights, biases=biases, **options)


class HashEncoder:
    """A deterministic stand-in for a model: a text is the sum of its words' random vectors."""

    def __init__(self, dim=16, salt=""):
        self.dim = dim
        self.salt = salt
        self.fingerprint = f"hash-{dim}-{salt}"
        self.encoded = 0

    def encode(self, texts, *, role="document"):
        self.encoded += len(texts)
        rows = np.zeros((len(texts), self.dim), np.float32)
        for i, text in enumerate(texts):
            for word in text.lower().split():
                seed = int.from_bytes(hashlib.sha256((self.salt + word).encode()).digest()[:8])
                rows[i] += np.random.default_rng(seed).normal(size=self.dim)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(norms == 0, 1, norms)).astype(np.float32)
