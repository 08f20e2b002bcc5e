"""Retrieval problems whose answer is known: what is to be learned was put in."""

import numpy as np

from helpers import unit
from vecpress.arrays import normalize
from vecpress.stages import TrainingSet


def rotated(*, queries=120, documents=200, dim=12, hidden=True, seed=0):
    """Queries are documents under a hidden reflection: only judgements can undo it.

    The reflection turns half of the coordinates round; a map that drops those finds everything.
    With `hidden=False` there is none, and so nothing to learn.
    """
    rng = np.random.default_rng(seed)
    rows = unit(documents, dim, seed)
    answers = rng.permutation(documents)[:queries]
    turned = rows[answers].copy()
    if hidden:
        turned[:, ::2] *= -1
    noise = 0.1 * rng.normal(size=turned.shape)
    asked = normalize((turned + noise).astype(np.float32))
    return TrainingSet(
        documents=rows,
        queries=asked,
        positives=np.stack([np.arange(queries), answers], axis=1),
        models=(("first", dim // 2), ("second", dim - dim // 2)),
    )


def misleading(*, seed=0):
    """Something to learn at 16 dimensions, nothing at 4: PCA's first 4 are right, the rest turned.

    A head judged at 16 dimensions would be kept, and serve worse at 4.
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(600, 16)) * np.array([2] * 4 + [0.8] * 12)
    answers = rng.permutation(600)[:300]
    asked = rows[answers].copy()
    asked[:, 4:] *= -1
    asked += 0.3 * rng.normal(size=asked.shape)
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    documents, queries = (normalize((x @ turn).astype(np.float32)) for x in (rows, asked))
    return TrainingSet(
        documents=documents,
        queries=queries,
        positives=np.stack([np.arange(300), answers], axis=1),
    )
