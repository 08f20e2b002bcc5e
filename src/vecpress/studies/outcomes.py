"""What a study's claims come to: estimates, intervals, tests corrected over the family."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from vecpress.arrays import Array
from vecpress.errors import DataError
from vecpress.significance import SURE, holm, paired_t, student_interval
from vecpress.studies.claims import Claim, Contrast
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.scored import Scored, Table, key_of, pooled

Result = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one contrast comes to.

    Attributes:
        arms: The levels that both sides share.
        plus: Levels of what is claimed to be higher.
        minus: Levels of what it is compared with.
        estimate: Mean over benchmarks, seeds and queries: nDCG@10 points, or shares if `kept`.
        low: Lower end of the 95 % interval, over queries and seeds, or over fits.
        high: Upper end.
        p: Of a randomization test over queries, two-sided. Of a threshold, twice the share of
            resampled values on its rarer side; of sameness, the larger share beyond either limit
            (Schuirmann 1987).
        p_holm: The same, corrected over all contrasts of the study (Holm 1979).
        effect: Mean difference / standard deviation of the differences, over queries.
        seeds: Share of the seeds that agree with the sign.
        benchmarks: Estimate on each.
        verdict: "yes", "no", "opposite", "unsure", or of a share that is kept "mean": it is there,
            but the interval reaches below it.
    """

    arms: str
    plus: str
    minus: str
    estimate: float
    low: float
    high: float
    p: float
    p_holm: float
    effect: float | None
    seeds: float
    benchmarks: Mapping[str, float]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a claim comes to.

    Attributes:
        claim: Number of the claim in its study, from 1.
        says: The claim.
        shape: As in `Claim`.
        status: "reproduced", "partly reproduced", "not reproduced" or "not testable offline".
        outcomes: One per contrast.
    """

    claim: int
    says: str
    shape: str
    status: str
    outcomes: tuple[Outcome, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {**vars(self), "outcomes": [dict(vars(o)) for o in self.outcomes]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Decision":
        """Invert `to_dict`."""
        known: dict[str, Any] = {field.name: values[field.name] for field in fields(cls)}
        known["outcomes"] = tuple(Outcome(**outcome) for outcome in known["outcomes"])
        return cls(**known)


def decide(study: StudyRecipe, results: Iterable[Result]) -> list[Decision]:
    """Hold every claim of a study against its results.

    The family that p-values are corrected over is all contrasts of all claims of the study.

    Raises:
        DataError: results of an arm are missing.
    """
    rows = list(results)
    measures = {claim.measure: _table(study, rows, claim.measure) for claim in study.claims}
    labels = [arm.labels for arm in study.arms]
    drafts = [
        (claim, [_weigh(claim, c, measures[claim.measure]) for c in claim.contrasts(labels)])
        for claim in study.claims
    ]
    corrected = iter(holm([draft["p"] for _, found in drafts for draft in found]))
    decisions = []
    for number, (claim, found) in enumerate(drafts, start=1):
        outcomes = []
        for draft in found:
            p_holm = next(corrected)
            verdict = _verdict(claim, draft, p_holm)
            outcomes.append(Outcome(**draft, p_holm=p_holm, verdict=verdict))
        decisions.append(
            Decision(
                claim=number,
                says=claim.says,
                shape=claim.shape,
                status=_status(outcomes),
                outcomes=tuple(outcomes),
            )
        )
    return decisions


def _table(study: StudyRecipe, rows: Sequence[Result], measure: str) -> Table:
    """Gather the scores of every arm: per query, or a figure of the training per seed."""
    found: dict[Any, dict[str, dict[int, Array]]] = {}
    for row in rows:
        if measure == "ndcg@10":
            scores = np.array(row["per_query"], np.float64)
        else:
            value = row.get("training", {}).get(measure.removeprefix("training."))
            scores = np.array([np.nan if value is None else value], np.float64)
        seeds = found.setdefault(key_of(row["arm"]), {}).setdefault(row["benchmark"], {})
        seeds[row["seed"]] = scores
    table: dict[Any, dict[str, Array]] = {}
    cases: dict[str, int] = {}
    for arm in study.arms:
        for benchmark in study.benchmarks:
            seeds = found.get(key_of(arm.labels), {}).get(benchmark, {})
            if missing := [seed for seed in study.seeds if seed not in seeds]:
                raise DataError(
                    f"there is no result of {arm.name!r} on {benchmark} with seed {missing[0]}: "
                    "run the study to its end"
                )
            many = cases.setdefault(benchmark, len(seeds[study.seeds[0]]))
            if other := [len(seeds[seed]) for seed in study.seeds if len(seeds[seed]) != many]:
                raise DataError(
                    f"the results of {arm.name!r} on {benchmark} are of {other[0]} queries, others "
                    f"of {many}: run the study anew"
                )
            stacked = np.stack([seeds[seed] for seed in study.seeds])
            table.setdefault(key_of(arm.labels), {})[benchmark] = stacked
    return table


def _weigh(claim: Claim, contrast: Contrast, table: Table) -> dict[str, Any]:
    """Estimate, resample and test one contrast."""
    benchmarks = list(next(iter(table.values())))
    parts = [Scored.of(contrast, table, name) for name in benchmarks]
    if any(np.isnan(part.plus - part.minus).any() for part in parts):
        raise DataError(
            f"the claim {claim.says!r} is about {claim.measure}, which the training of "
            f"{' or '.join(', '.join(arm.values()) for arm in contrast.arms)} did not measure"
        )
    by_seed = np.mean([part.by_seed() for part in parts], axis=0)
    if claim.measure != "ndcg@10":
        return _told(contrast) | _of_training(pooled(parts), by_seed)
    per_benchmark = [part.estimate() for part in parts]
    estimate = float(np.mean(per_benchmark))
    drawn = np.mean([part.resampled(seed) for seed, part in enumerate(parts)], axis=0)
    low, high = (float(v) for v in np.quantile(drawn, [0.025, 0.975]))
    if claim.shape == "keeps":
        target = claim.terms["at_least"]
        least = min((drawn < target).sum(), (drawn >= target).sum())
        p = min(1.0, 2 * (float(least) + 1) / (len(drawn) + 1))
        agree = (by_seed >= target) == (estimate >= target)
    elif claim.shape == "same":
        within = claim.terms["within"] / 100
        outside = max((drawn > within).sum(), (drawn < -within).sum())
        p = (float(outside) + 1) / (len(drawn) + 1)
        agree = np.abs(by_seed) <= within
    else:
        turned = np.mean([part.swapped(seed) for seed, part in enumerate(parts)], axis=0)
        p = (float((np.abs(turned) >= abs(estimate) - 1e-12).sum()) + 1) / (len(turned) + 1)
        agree = np.sign(by_seed) == np.sign(estimate)
    effects = [part.effect() for part in parts]
    return {
        **_told(contrast),
        "estimate": estimate,
        "low": low,
        "high": high,
        "p": p,
        "effect": None if contrast.of else float(np.mean(effects)),
        "seeds": float(np.mean(agree)),
        "benchmarks": dict(zip(benchmarks, per_benchmark, strict=True)),
    }


def _of_training(fits: Scored, by_seed: Array) -> dict[str, Any]:
    """Weigh figures of the training: the fits are the cases, too few to be shuffled."""
    differences = (fits.plus - fits.minus).ravel()
    low, high = student_interval(differences)
    return {
        "estimate": fits.estimate(),
        "low": low,
        "high": high,
        "p": paired_t(differences),
        "effect": fits.effect(),
        "seeds": float(np.mean(np.sign(by_seed) == np.sign(fits.estimate()))),
        "benchmarks": {},
    }


def _told(contrast: Contrast) -> dict[str, str]:
    """Name both sides, axis and level: what they share once, then where they differ."""
    named = [*contrast.plus, *contrast.minus]
    shared = {k: v for k, v in named[0].items() if all(arm[k] == v for arm in named)}
    if len(named) == 1:
        return {"arms": _named(shared), "plus": "", "minus": ""}
    sides = [
        " and ".join(_named({k: v for k, v in arm.items() if k not in shared}) for arm in arms)
        for arms in (contrast.plus, contrast.minus)
    ]
    return {"arms": _named(shared), "plus": sides[0], "minus": sides[1]}


def _named(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis} {label}" for axis, label in labels.items())


def _verdict(claim: Claim, draft: Mapping[str, Any], p_holm: float) -> str:
    """Decide by the corrected p-value, and by the interval, which knows of seeds."""
    low, high = draft["low"], draft["high"]
    if claim.shape == "same":
        within = claim.terms["within"] / 100
        if low > within or high < -within:
            return "no"
        return "yes" if p_holm < SURE and -within <= low and high <= within else "unsure"
    border = claim.terms["at_least"] if claim.shape == "keeps" else 0.0
    is_there = draft["estimate"] >= border
    if p_holm >= SURE or low < border <= high:
        return "mean" if claim.shape == "keeps" and is_there else "unsure"
    if is_there:
        return "yes"
    return "no" if claim.shape == "keeps" else "opposite"


def _status(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "not testable offline"
    held = [outcome.verdict == "yes" for outcome in outcomes]
    if all(held):
        return "reproduced"
    some = any(outcome.verdict in ("yes", "mean") for outcome in outcomes)
    return "partly reproduced" if some else "not reproduced"
