"""Compressors that remember what they were given; a recipe names them `recording:Recording`."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from vecpress.head import Head


def keep(in_dim, rows):
    """A head that keeps some of its inputs."""
    return Head(
        weights=(np.eye(in_dim, dtype=np.float32)[rows],), biases=(np.zeros(len(rows), np.float32),)
    )


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Keeps the first dimensions; continued, it keeps the last ones, so that one sees which."""

    dim: int
    nested_dims: tuple[int, ...] | None = None
    what: str = "trained"
    learns_from_pairs: ClassVar[bool] = True
    seen: ClassVar[list] = []

    def _tell(self, training, progress, log, start):
        self.seen.append(training)
        stage = f"{start} -> {self.dim}"
        progress(stage, 1, 1)
        log({"event": "epoch", "stage": stage, "epoch": 1, "loss": 0.5})
        log({"event": "kept", "stage": stage, "what": self.what, "epoch": 7, "held_out": 0.74,
             "start": 0.71, "figure": "held-out nDCG@10"})  # fmt: skip

    def fit(self, training, *, seed=0, progress=None, log=None):
        width = training.documents.shape[1]
        self._tell(training, progress, log, width)
        return keep(width, range(self.dim))

    def extend(self, head, training, *, seed=0, progress=None, log=None):
        self._tell(training, progress, log, head.dims[-1])
        chain = keep(head.in_dim, range(head.in_dim - self.dim, head.in_dim))
        links = [head]
        while links[-1].narrower is not None:
            links.append(links[-1].narrower)
        for link in reversed(links):
            chain = replace(link, narrower=chain)
        return chain


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Learns nothing from judgements, and cannot continue another head."""

    dim: int

    def fit(self, training, *, seed=0, progress=None, log=None):
        return keep(training.documents.shape[1], range(self.dim))
