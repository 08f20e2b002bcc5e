"""An encoder of your own: any frozen dataclass with `dim`, `fingerprint` and `encode`."""

import hashlib
from dataclasses import dataclass

import numpy as np

from vecpress import Corpus, Pipeline, Recipe
from vecpress.encoders.combine import Concat
from vecpress.quantizers.scalar import Percentile
from vecpress.sample import Sample


@dataclass(frozen=True)
class Trigrams:
    """Counts of hashed letter trigrams: robust to typing errors."""

    dim: int = 256

    @property
    def fingerprint(self):
        return f"trigrams-{self.dim}"

    def encode(self, texts, *, role="document"):
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for i in range(len(text) - 2):
                row[hashlib.sha256(text[i : i + 3].lower().encode()).digest()[0] % self.dim] += 1
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


texts = ["a cup of green tea", "the train leaves at noon", "trains are often late", "black tea"]
encoder = Concat(encoders=(Trigrams(256), Trigrams(64)), weights=(1.0, 0.5))
sample = Sample(embeddings=encoder.encode(texts), encoder=encoder)
pipeline = Pipeline.from_sample(Recipe(quantizer=Percentile(bits=2)), sample)
index = pipeline.index(Corpus(ids=("a", "b", "c", "d"), texts=tuple(texts)))
print(pipeline.search(index, ["when does teh train leave"], k=2).ids)
