"""A model that tells queries from documents, and a press of it; a recipe names it `asking:Asker`."""

from dataclasses import dataclass

import numpy as np

from toys import DIM, corpus, direction
from vecpress.arrays import normalize
from vecpress.compressors.linear import PowerPCA
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe


@dataclass(frozen=True)
class Asker:
    """A text is the sum of its words' random vectors and that of its role."""

    dim: int = DIM

    @property
    def fingerprint(self):
        return "asker"

    def encode(self, texts, *, role="document"):
        words = [[role, *text.split()] for text in texts]
        sums = [sum(direction(word) for word in each) for each in words]
        return normalize(np.array(sums, np.float32).reshape(-1, DIM))


def press(dim=6, n=60):
    """A press of stories, shorter than the model."""
    head = None if dim is None else PowerPCA(dim=dim)
    return Pipeline.fit(Recipe(models=("asking:Asker",), head=head), corpus(n))


def ranked(pipeline, documents, query, k):
    """Rows of the k documents whose float embeddings are nearest to the query's."""
    scores = pipeline.encode(documents) @ pipeline.encode([query], role="query")[0]
    return np.argsort(-scores, kind="stable")[:k].tolist()
