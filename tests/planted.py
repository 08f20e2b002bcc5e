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
