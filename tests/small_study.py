"""Studies small enough to work out by hand, results made up for them, and folders to run them on."""

from dataclasses import dataclass
from typing import ClassVar

from recording import Recording, keep
from vecpress.corpus import write_benchmark
from vecpress.studies.recipe import StudyRecipe


@dataclass(frozen=True, kw_only=True)
class Head(Recording):
    """Keeps the first dimensions, and what it was given; a study names it `small_study:Head`."""

    seen: ClassVar[list] = []

    def fit(self, training, *, seed=0, progress=None, log=None):
        self.seen.append(training)
        width = training.documents.shape[1]
        log({"event": "epoch", "stage": "s", "epoch": 1, "held_out": 0.5, "fitted": 0.4})
        log({"event": "kept", "stage": "s", "epoch": 1, "held_out": 0.5})
        return keep(width, range(self.dim))


class Asked(dict):
    """Known results that are never lacking: it keeps the keys asked for, and nothing runs."""

    def __init__(self):
        super().__init__(one="at least")
        self.keys_asked = []

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        self.keys_asked.append(key)
        return {"key": key}


AXES = {
    "head": {"none": {}, "pca": {"head": {"kind": "pca", "dim": 4}}},
    "code": {
        "floats": {},
        "2 bit": {"quantizer": {"kind": "percentile", "bits": 2}},
        "1 bit": {"quantizer": {"kind": "percentile", "bits": 1}},
    },
}
VALUES = {
    "title": "Small",
    "question": "Which?",
    "models": ["toys:A", "toys:B"],
    "benchmarks": ["one"],
    "seeds": [0],
    "axes": AXES,
}


def study(*claims, **changes):
    """A study of these claims, with some of its values changed; None takes one away."""
    values = {**VALUES, "claims": list(claims), **changes}
    kept = {key: value for key, value in values.items() if value is not None}
    return StudyRecipe.from_dict(kept, name="small")


def one_axis(levels, *claims, **changes):
    """A study of one axis, `arm`, whose levels are given by name alone."""
    return study(*claims, axes={"arm": {level: {} for level in levels}}, **changes)


def row(labels, scores, *, benchmark="one", seed=0, training=None, size=32):
    """A result as results.jsonl holds it."""
    return {
        "arm": dict(labels),
        "benchmark": benchmark,
        "seed": seed,
        "per_query": list(scores),
        "ndcg@10": sum(scores) / len(scores),
        "bytes_per_vector": size,
        "training": training or {},
    }


def rows(plan, score, training=None):
    """A result for every arm, benchmark and seed: `score(label, benchmark, seed)` gives queries'."""
    return [
        row(
            arm.labels,
            score(arm.name, benchmark, seed),
            benchmark=benchmark,
            seed=seed,
            training=training and training(arm.name, benchmark, seed),
        )
        for benchmark in plan.benchmarks
        for seed in plan.seeds
        for arm in plan.arms
    ]


def write(data, benchmark, *, split="test"):
    """Write a benchmark into a folder of its name."""
    folder = data / benchmark.name
    folder.mkdir(parents=True, exist_ok=True)
    write_benchmark(folder, benchmark, split=split)
    return folder
