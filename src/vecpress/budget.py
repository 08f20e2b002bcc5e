"""The best use of N bytes per vector, chosen on the user's own embeddings, without labels.

First which models should count and how much (weighing.py), then what to do with the bytes: heads
and quantizers that keep to the budget (candidates.py) code the documents, and are judged by what
they keep of the float search (proxy.py). Judgements of a test collection are never looked at. What
this is worth is measured in docs/experiments.md.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array, normalize
from vecpress.candidates import Candidate, climb, shapes
from vecpress.compressors.linear import Spectrum
from vecpress.errors import ConfigError
from vecpress.proxy import SEARCHED, Judged, Proxy
from vecpress.pseudo import FEWEST, Probes
from vecpress.quantizers.product import OPQ, PQ
from vecpress.recipe import Recipe
from vecpress.stages import Progress, TrainingSet, silent

_FITTED = 8192  # documents that candidates are fitted on
_JUDGED = 2000  # judged queries that count
_ROUNDS = 10  # of k-means for a trial; what is chosen gets all
_ROTATIONS = 6  # for a trial


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to spend the budget, and how much of the float search it kept.

    Attributes:
        candidate: Head and quantizer.
        kept: What `Proxy.kept` found, by question; 1 is as good as the floats.
        worth: Their mean: what trials are ordered by.
        seconds: It took to try.
    """

    candidate: Candidate
    kept: Mapping[str, float]
    worth: float
    seconds: float

    def __str__(self) -> str:
        return str(self.candidate)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was tried, best first, and so what is recommended.

    Attributes:
        budget: Bytes per vector allowed.
        trials: All candidates by falling worth.
        fitted_on: Documents that each was fitted on.
        searched: Documents that each was judged on.
        shared: How many of them are among those it was fitted on.
    """

    budget: int
    trials: tuple[Trial, ...]
    fitted_on: int
    searched: int
    shared: int

    @property
    def best(self) -> Candidate:
        """What kept most."""
        return self.trials[0].candidate

    def apply(self, recipe: Recipe) -> Recipe:
        """Put the best head and quantizer into a recipe."""
        return replace(recipe, head=self.best.head, quantizer=self.best.quantizer)


def parse_budget(text: str) -> int:
    """Read "64", "64B" or "64 bytes" as a number of bytes.

    Raises:
        ConfigError: it is not a whole number of bytes, at least 1.
    """
    found = re.fullmatch(r"\s*(\d{1,18})\s*(b|bytes?)?\s*", text, re.IGNORECASE)
    if found is None or int(found[1]) < 1:
        raise ConfigError(f"a budget is a number of bytes per vector such as 64B, got {text!r}")
    return int(found[1])


def choose(
    embeddings: Float32[Array, "n d"],
    budget: int,
    *,
    probes: Probes | None = None,
    judged: Judged | None = None,
    is_unseen: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Choice:
    """Try power-scaled PCA with scalar and product codes of at most `budget` bytes.

    Args:
        embeddings: Unit rows, such as the sample a pipeline is fitted on.
        budget: Bytes per vector.
        probes: Sentences that stand for queries, and the rows they are from.
        judged: Queries that were judged, and the rows that answer them.
        is_unseen: Whether the documents that will be served are mostly others than these. A code
            that was fitted on a document knows it, so then it is judged on those held out.
        seed: Of the sample, of the documents that play queries, and of k-means.
        progress: Told about each trial.

    Raises:
        ConfigError: the budget is below 1 byte, or there are too few embeddings to judge by.
    """
    _check(embeddings, budget, seed)
    if probes is not None and is_unseen:  # or all documents would be needed to search
        probes = probes.first(len(embeddings) // 2)
    judged = None if judged is None else judged.drawn(_JUDGED, seed=seed)
    fitted, searched = _split(len(embeddings), probes, judged, is_unseen, seed)
    proxy = _proxy(embeddings, searched, probes, judged, seed)
    bed = _Bed.of(embeddings[fitted], proxy, seed=seed)
    candidates = shapes(embeddings.shape[1], budget, len(fitted))
    trials: list[Trial] = []

    def judge(candidate: Candidate) -> float:
        trials.append(bed.trial(candidate))
        progress(f"trying ways to spend {budget} bytes", len(trials), len(candidates) + 10)
        return trials[-1].worth

    climb(candidates, judge)
    progress(f"trying ways to spend {budget} bytes", len(trials), len(trials))
    return Choice(
        budget=budget,
        trials=tuple(sorted(trials, key=lambda t: (-t.worth, t.candidate.code_bytes))),
        fitted_on=len(fitted),
        searched=len(searched),
        shared=len(np.intersect1d(fitted, searched)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bed:
    """What all trials share: one spectrum, and the documents turned by it once."""

    proxy: Proxy
    spectrum: Spectrum
    axes: Float32[Array, "d d"]
    turned: Mapping[int, Float32[Array, "n d"]]  # by identity of what was turned
    calibration: Float32[Array, "n d"]
    seed: int

    @classmethod
    def of(cls, calibration: Float32[Array, "n d"], proxy: Proxy, *, seed: int) -> "_Bed":
        spectrum = Spectrum.of(TrainingSet(documents=calibration))
        axes = spectrum.axes.T.astype(np.float32)
        turned = {id(x): x @ axes for x in (calibration, proxy.documents)}
        return cls(
            proxy=proxy,
            spectrum=spectrum,
            axes=axes,
            turned=turned,
            calibration=calibration,
            seed=seed,
        )

    def trial(self, candidate: Candidate) -> Trial:
        """Fit a candidate, with fewer rounds than if it is chosen, and judge it."""
        began = time.perf_counter()
        dim, quantizer = candidate.head.dim, candidate.quantizer
        scale = self.spectrum.scale(dim, candidate.head.gamma).astype(np.float32)

        def shorten(x: Float32[Array, "n d"]) -> Float32[Array, "n e"]:
            turned = self.turned.get(id(x))
            return normalize(
                (x @ self.axes[:, :dim] if turned is None else turned[:, :dim]) * scale
            )

        if isinstance(quantizer, PQ | OPQ):
            rounds = _ROUNDS if isinstance(quantizer, PQ) else _ROTATIONS
            quantizer = replace(quantizer, iterations=rounds)
        codec = quantizer.fit(shorten(self.calibration), seed=self.seed)
        decoded = codec.dequantize(codec.quantize(shorten(self.proxy.documents)))
        kept = self.proxy.kept(decoded, shorten)
        took = time.perf_counter() - began
        worth = self.proxy.mean(kept)
        return Trial(candidate=candidate, kept=kept, worth=worth, seconds=took)


def _check(embeddings: Float32[Array, "n d"], budget: int, seed: int) -> None:
    if budget < 1:
        raise ConfigError(f"a budget must be at least 1 byte per vector, got {budget}")
    if len(embeddings) < FEWEST:
        raise ConfigError(
            f"choosing by budget needs at least {FEWEST} documents, got {len(embeddings)}: give "
            "more, or give --dim and --bits yourself"
        )
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:FEWEST]
    if np.array_equal(embeddings[rows], embeddings[rows[:1]].repeat(FEWEST, axis=0)):
        raise ConfigError(
            f"there is nothing to choose by: {FEWEST} embeddings drawn at random are all the same"
        )


def _split(
    n: int, probes: Probes | None, judged: Judged | None, is_unseen: bool, seed: int
) -> tuple[Int64[Array, " f"], Int64[Array, " s"]]:
    """Choose the rows to fit on and those to search: all for both if they are few and are served.

    Else those that are searched, among them all that answer something, come last in one random
    order, and those that are fitted on come first.
    """
    needed = [np.empty(0, np.int64)]
    needed += [probes.answers] if probes is not None else []
    needed += [judged.positives[:, 1]] if judged is not None else []
    must = np.unique(np.concatenate(needed))
    rng = np.random.default_rng(seed)
    others = rng.permutation(np.setdiff1d(np.arange(n), must))
    order = np.concatenate([others, rng.permutation(must)])
    searched = max(min(SEARCHED, n // 2) if is_unseen else SEARCHED, len(must))
    fitted = order[: max(n - searched, n // 4)] if is_unseen else order
    return fitted[:_FITTED], np.sort(order[-searched:])


def _proxy(
    embeddings: Array,
    searched: Int64[Array, " s"],
    probes: Probes | None,
    judged: Judged | None,
    seed: int,
) -> Proxy:
    """Let probes and judgements name the rows that are searched."""
    if probes is not None:
        probes = replace(probes, answers=np.searchsorted(searched, probes.answers))
    if judged is not None:
        query, document = judged.positives.T
        rows = np.stack([query, np.searchsorted(searched, document)], axis=1)
        judged = replace(judged, positives=rows)
    return Proxy.of(embeddings[searched], probes=probes, judged=judged, seed=seed)
