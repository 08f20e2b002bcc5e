"""Runs a study: every arm on every benchmark with every seed, what is known left out."""

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from jaxtyping import Float32

from vecpress.arrays import Array, normalize, truncate, unpack
from vecpress.errors import ConfigError
from vecpress.evaluate import Scores, score_codes, score_floats
from vecpress.index import Scoring
from vecpress.quantizers.cells import ScalarCodec
from vecpress.row import run_key
from vecpress.stages import Codec, Progress, silent
from vecpress.studies.arms import Arm
from vecpress.studies.data import Ground
from vecpress.studies.recipe import StudyRecipe

Fit = tuple[Any, list[Mapping[str, Any]], float]
"""A head (a plug-in's may be no `Head`), the log of its training, and the seconds it took."""
_LOW_ROWS = 256  # of a first layer: those that all widths share


def run_study(
    study: StudyRecipe,
    *,
    data: Path,
    cache: Path | None = None,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Score every arm on every benchmark with every seed.

    Nothing is chosen by the queries that score. Models of words learn the documents searched.

    Args:
        study: What is asked.
        data: Folder of the benchmarks and of the corpora to fit on.
        cache: Folder in which encoders remember.
        known: Results by their key, which are not run again.
        keep: Told each new result as soon as it is there.
        progress: Told about encoding and arms.

    Raises:
        ConfigError: an arm is not possible on its data.
        DataError: a benchmark cannot be read.
    """
    results = []
    fits: dict[str, Fit] = {}
    total = len(study.benchmarks) * len(study.seeds) * len(study.arms)
    for name in study.benchmarks:
        ground = Ground.open(
            name,
            data=data,
            queries=study.queries,
            judgements=any(arm.judgements for arm in study.arms),
            cache=cache,
            progress=progress,
        )
        for seed in study.seeds:
            for arm in study.arms:
                progress(f"{name}, seed {seed}: {arm.name}", len(results), total)
                run = _Run(study=study, ground=ground, arm=arm, seed=seed, fits=fits)
                if known and run.key in known:
                    results.append(dict(known[run.key]))
                    continue
                results.append(run())
                if keep is not None:
                    keep(results[-1])
    progress(study.title, total, total)
    return results


class _Run:
    """One arm on one benchmark with one seed."""

    def __init__(
        self, *, study: StudyRecipe, ground: Ground, arm: Arm, seed: int, fits: dict[str, Fit]
    ) -> None:
        self._study, self._ground, self._arm, self._seed = study, ground, arm, seed
        self._fits = fits
        self._fit_key = run_key(
            fitted_on=ground.fitted_on(arm),
            models=arm.models,
            weights=arm.weights,
            head=arm.head,
            sample=arm.sample,
            judgements=arm.judgements,
            seed=seed,
            vecpress=version("vecpress"),
        )
        scored = ground.scored
        self.key = run_key(
            fit=self._fit_key,
            arm=arm.settings(),
            study=study.name,
            labels=dict(arm.labels),
            data=[ground.name, scored.corpus.digest, scored.queries.digest],
            judged=run_key(qrels=scored.qrels),
        )

    def __call__(self) -> dict[str, Any]:
        """Fit, code, search and judge."""
        began = time.perf_counter()
        arm, ground = self._arm, self._ground
        documents, queries = ground.searched(arm)
        head, log, seconds = self._fitted()
        short, asked = (_shortened(x, head, arm.truncate) for x in (documents, queries))
        codec = self._codec(head)
        scores = score_by(arm.scoring, codec, short, asked, ground)
        size = 4 * short.shape[1] if codec is None else codec.code_bytes
        return {
            "key": self.key,
            "study": self._study.name,
            "benchmark": ground.name,
            "group": "study",
            "method": arm.name,
            "arm": dict(arm.labels),
            "settings": arm.settings(),
            "seed": self._seed,
            "dim": int(short.shape[1]),
            "bytes_per_vector": size,
            **{name: round(value, 6) for name, value in scores.means().items()},
            "recovery": float(scores.ndcg.mean()) / (ground.raw_ndcg(arm) or 1.0),
            "per_query": [round(float(value), 4) for value in scores.ndcg],
            "documents": len(documents),
            "queries": len(queries),
            "training": summary(log),
            "fit_seconds": round(seconds, 2),
            "seconds": round(time.perf_counter() - began, 2),
            "date": datetime.now(UTC).date().isoformat(),
            "vecpress": version("vecpress"),
        }

    def _fitted(self) -> Fit:
        compressor = self._arm.compressor()
        if compressor is None:
            return None, [], 0.0
        if self._fit_key not in self._fits:
            log: list[Mapping[str, Any]] = []
            training = self._ground.training(self._arm, seed=self._seed)
            began = time.perf_counter()
            head = compressor.fit(training, seed=self._seed, log=log.append)
            self._fits[self._fit_key] = (head, log, time.perf_counter() - began)
        return self._fits[self._fit_key]

    def _codec(self, head: Any) -> Codec | None:
        quantizer = self._arm.codes()
        if quantizer is None:
            return None
        documents = self._ground.training(self._arm, seed=self._seed).documents
        short = _shortened(documents, head, self._arm.truncate)
        return quantizer.fit(short, seed=self._seed)


def _shortened(
    x: Float32[Array, "n d"], head: Any, kept: int | float | None
) -> Float32[Array, "n e"]:
    """Compress; of a share, keep so much of the raw width, rounded to whole dimensions."""
    dim = max(1, round(kept * x.shape[1])) if isinstance(kept, float) else kept
    if head is None:
        return x if dim is None else truncate(x, dim)
    return (head if dim is None else head.truncate(dim)).compress(x)


def score_by(
    scoring: str,
    codec: Codec | None,
    documents: Float32[Array, "n d"],
    queries: Float32[Array, "q d"],
    ground: Ground,
) -> Scores:
    """Score embeddings, or their codes, compared in one of three ways.

    "cells" is how the code behind arXiv:2510.04626 ranks: the cosine of cell numbers, taken as
    coordinates, of documents and queries alike.

    Raises:
        ConfigError: the codes have no cells, or there are no codes.
    """
    if codec is None:
        if scoring != "asymmetric":
            raise ConfigError(f"scoring {scoring!r} needs a quantizer")
        return score_floats(documents, queries, ground.scored)
    if scoring != "cells":
        how: Scoring = "symmetric" if scoring == "symmetric" else "asymmetric"
        return score_codes(codec, documents, queries, ground.scored, scoring=how)
    if not isinstance(codec, ScalarCodec):
        name = type(codec).__name__
        raise ConfigError(f"scoring 'cells' needs codes of one cell per dimension, got {name}")
    documents, queries = (
        normalize(unpack(codec.quantize(x), codec.bits, codec.dim).astype("float32"))
        for x in (documents, queries)
    )
    return score_floats(documents, queries, ground.scored)


def summary(log: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Tell how a training went in a few numbers; what it did not measure is left out.

    Returns:
        Epochs, the held-out figure at the end, `fitted` the same on rows learned from, their
        relative `gap`; of the gradients of the first layer's first rows the mean size and variance
        over the epochs; and the share of the `important` outputs of each layer that go on.
    """
    epochs = [row for row in log if row.get("event") == "epoch" and row.get("epoch", 0) > 0]
    kept = [row for row in log if row.get("event") == "kept"]
    if not epochs or not kept:
        return {}
    told = {"epochs": float(len(epochs)), "held_out": float(kept[-1]["held_out"])}
    place = (kept[-1]["stage"], kept[-1]["epoch"])  # epoch 0 is the start
    of_epochs = [row for row in log if row.get("event") == "epoch"]
    chosen = next((e for e in of_epochs if (e["stage"], e["epoch"]) == place), {})
    if isinstance(chosen.get("fitted"), int | float) and chosen["fitted"] > 0:
        told["fitted"] = float(chosen["fitted"])
        told["gap"] = chosen["held_out"] / chosen["fitted"] - 1
    first = [e for e in epochs if e["stage"] == epochs[0]["stage"] and e.get("gradients")]
    for what in ("size", "variance"):
        if first:
            told[f"gradient_{what}"] = fmean(_low_rows(e["gradients"], what) for e in first)
    if shares := [row["kept_of_important"] for row in log if "kept_of_important" in row]:
        told["important"] = fmean(shares)
    if isinstance(epochs[-1].get("loss"), int | float):
        told["loss"] = float(epochs[-1]["loss"])
    return told


def _low_rows(bands: Sequence[Mapping[str, Any]], what: str) -> float:
    """Average over the bands of rows below `_LOW_ROWS`, each as wide as it is."""
    total, width = 0.0, 0
    for band in bands:
        first, last = map(int, band["rows"].split("-"))
        if last <= _LOW_ROWS:
            total, width = total + band[what] * (last - first), width + last - first
    return total / max(width, 1)


@contextmanager
def beside(folder: Path) -> Generator[None]:
    """Let a study name classes in modules beside its file, `module:Class`."""
    name = str(folder.resolve())
    sys.path.insert(0, name)
    try:
        yield
    finally:
        sys.path.remove(name)
