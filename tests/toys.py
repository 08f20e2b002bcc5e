"""Texts that make sense together, and models of them; a recipe names those `toys:A`."""

import hashlib
from functools import cache

import numpy as np

from vecpress.arrays import normalize
from vecpress.corpus import Benchmark, Corpus

DIM = 8


@cache
def direction(word):
    """The random vector of a word."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


class A:
    """A text is the sum of its words' random vectors: it knows all of them, none well."""

    dim = DIM
    fingerprint = "a"

    def encode(self, texts, *, role="document"):
        sums = [sum(direction(self.fingerprint + word) for word in text.split()) for text in texts]
        return normalize(np.array(sums, np.float32).reshape(-1, DIM))


class B(A):
    """The same, but it errs elsewhere."""

    fingerprint = "b"


class Noise(A):
    """Knows no words: every text is somewhere else."""

    fingerprint = "noise"

    def encode(self, texts, *, role="document"):
        return super().encode([text.replace(" ", "_") for text in texts])


def stories(n=90, seed=0):
    """Texts of three sentences, each sentence about what the whole text is about."""
    rng = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(400)]
    texts = []
    for _ in range(n):
        topic = rng.choice(words, 5)
        parts = [" ".join([*rng.choice(topic, 5), *rng.choice(words, 3)]) for _ in range(3)]
        texts.append(" ".join(f"{part}." for part in parts))
    return texts


def corpus(n=90, *, seed=0, name="stories"):
    """Those texts by the ids d0, d1, ..."""
    return Corpus(ids=tuple(f"d{i}" for i in range(n)), texts=tuple(stories(n, seed)), name=name)


def benchmark(n=90, *, queries=12, seed=0, name="stories"):
    """Query i has five words of document i, and another's."""
    documents = corpus(n, seed=seed, name=name)
    asked = [
        " ".join(text.split()[:5] + other.split()[:2])
        for text, other in zip(documents.texts[:queries], documents.texts[1:], strict=False)
    ]
    return Benchmark(
        name=name,
        corpus=documents,
        queries=Corpus(ids=tuple(f"q{i}" for i in range(queries)), texts=tuple(asked)),
        qrels={f"q{i}": {f"d{i}": 1} for i in range(queries)},
    )
