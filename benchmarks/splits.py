"""What trained heads learn from and are scored on: SciFact, squad11-dev by paragraph, images."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import images
import numpy as np

from vecpress.arrays import Array
from vecpress.corpus import Benchmark, Corpus, read_benchmark
from vecpress.encoders.combine import with_cache
from vecpress.recipe import Recipe
from vecpress.sample import make_encoder
from vecpress.stages import TrainingSet

MODELS = ("minilm", "wordllama")
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """What heads learn from, and what they are scored on.

    Attributes:
        name: Of the data.
        training: Documents, and judged queries.
        test: Judgements that nothing learned from.
        documents: Embeddings searched.
        queries: Embeddings of the test queries.
        held_out_by: What future answers will be: judged documents or new ones.
        fresh: Of each test query: whether none of its answers is one in training.
    """

    name: str
    training: TrainingSet
    test: Benchmark
    documents: Array
    queries: Array
    held_out_by: str
    fresh: Array

    @property
    def unsupervised(self) -> TrainingSet:
        """The same documents, without judgements."""
        return TrainingSet(documents=self.training.documents, models=self.training.models)


def scifact(data: Path, cache: Path) -> Split:
    """Train on the train judgements; the test claims search the same abstracts."""
    learn, test = (read_benchmark(data / "scifact", split=s) for s in ("train", "test"))
    return _split(learn, test, cache, held_out_by="query")


def squad(data: Path, cache: Path) -> Split:
    """Train on the questions of half the paragraphs."""
    whole = read_benchmark(data / "squad11-dev")
    order = np.random.default_rng(0).permutation(len(whole.corpus))
    half = {whole.corpus.ids[i] for i in order[: len(order) // 2]}
    parts = []
    for inside in (True, False):
        qrels = {
            q: judged for q, judged in whole.qrels.items() if (next(iter(judged)) in half) == inside
        }
        kept = [
            (i, t)
            for i, t in zip(whole.queries.ids, whole.queries.texts, strict=True)
            if i in qrels
        ]
        queries = Corpus(ids=tuple(i for i, _ in kept), texts=tuple(t for _, t in kept))
        parts.append(Benchmark(name=whole.name, corpus=whole.corpus, queries=queries, qrels=qrels))
    return _split(*parts, cache, held_out_by="document")


def cifar(data: Path, cache: Path) -> Split:  # noqa: ARG001 - nothing is cached
    """Train on images of the fitting part, and test on others."""
    read = images.read(data)
    training = TrainingSet(
        documents=read.documents,
        queries=read.queries,
        positives=read.positives,
        models=images.MODELS,
    )
    return Split(
        name=read.test.name,
        training=training,
        test=read.test,
        documents=read.test_documents,
        queries=read.test_queries,
        held_out_by="query",
        fresh=np.ones(len(read.test_queries), bool),
    )


SETS = {"scifact": scifact, "squad11-dev": squad, "cifar10-images": cifar}


def _split(learn: Benchmark, test: Benchmark, cache: Path, *, held_out_by: str) -> Split:
    made = make_encoder(Recipe(models=MODELS), test.corpus)
    assert made is not None
    encoder = with_cache(made, cache)
    documents = encoder.encode(test.corpus.texts)
    place = {id_: row for row, id_ in enumerate(test.corpus.ids)}
    judged = [
        (q, place[d], s)
        for q, name in enumerate(learn.queries.ids)
        for d, s in learn.qrels[name].items()
    ]
    rows = np.array(judged)
    seen = {test.corpus.ids[d] for _, d, s in judged if s > 0}
    fresh = [not any(s > 0 and d in seen for d, s in test.qrels[q].items()) for q in test.qrels]
    return Split(
        name=test.name,
        training=TrainingSet(
            documents=documents,
            queries=encoder.encode(learn.queries.texts, role="query"),
            positives=rows[:, :2].astype(np.int64),
            grades=rows[:, 2].astype(np.float32),
            models=(("minilm", 384), ("wordllama", 256)),
        ),
        test=test,
        documents=documents,
        queries=encoder.encode(test.queries.texts, role="query"),
        held_out_by=held_out_by,
        fresh=np.array(fresh),
    )


def stamped() -> dict[str, Any]:
    """Say when, where and by what a line was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {p: version(p) for p in ("vecpress", "numpy", "torch")},
    }
