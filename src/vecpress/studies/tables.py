"""Studies as tables of plain text: what pages and documents show of them."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from vecpress.studies.claims import Claim
from vecpress.studies.outcomes import Decision, Outcome
from vecpress.studies.recipe import StudyRecipe

Result = Mapping[str, Any]
_MINUS = "\N{MINUS SIGN}"
_VERDICTS = {
    "yes": "yes",
    "no": "no",
    "opposite": "no: the opposite",
    "unsure": "no sure difference",
    "mean": "in the mean, not surely",
}


class Table(NamedTuple):
    """A caption, the names of the columns, and the cells; the first column names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Write it as GitHub reads it."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def mean_table(study: StudyRecipe, results: Sequence[Result]) -> Table:
    """Average over benchmarks; of one axis, show each benchmark beside the mean."""
    caption = "nDCG@10 x 100, mean over benchmarks" + (
        ", ± standard deviation over seeds" if len(study.seeds) > 1 else ""
    )
    if len(study.axes) > 1:
        return _crossed(study, results, caption=caption, benchmarks=study.benchmarks)
    axis = next(iter(study.axes))
    rows = []
    for arm in study.arms:
        of_arm = [r for r in results if r["arm"] == dict(arm.labels)]
        cells = [_cell(of_arm, [name]) for name in study.benchmarks]
        rows.append((arm.name, *cells, _cell(of_arm, study.benchmarks), _size(of_arm)))
    head = (axis, *study.benchmarks, "mean", "bytes")
    return Table(caption, head, tuple(rows))


def benchmark_tables(study: StudyRecipe, results: Sequence[Result]) -> list[Table]:
    """Show each benchmark on its own; none where the table of means does so already."""
    if len(study.axes) == 1:
        return []
    return [
        _crossed(study, results, caption=f"{name}: nDCG@10 x 100", benchmarks=[name])
        for name in study.benchmarks
    ]


def training_table(study: StudyRecipe, results: Sequence[Result]) -> Table | None:
    """Show the figures of training that claims are about; None where there are none.

    Where the last axis changes none of them, such as a truncation, it is left out.
    """
    names = list(
        dict.fromkeys(
            claim.measure.removeprefix("training.")
            for claim in study.claims
            if claim.measure.startswith("training.")
        )
    )
    told: dict[tuple[str, ...], list[str]] = {}
    for arm in study.arms if names else ():
        trained = [r["training"] for r in results if r["arm"] == dict(arm.labels) and r["training"]]
        found = [[t[name] for t in trained if t.get(name) is not None] for name in names]
        if any(found):
            figures = [f"{fmean(values):.3g}" if values else "" for values in found]
            told[tuple(arm.labels.values())] = figures
    if not told:
        return None
    axes = list(study.axes)
    without = {name[:-1]: figures for name, figures in told.items()}
    if len(axes) > 1 and all(without[name[:-1]] == figures for name, figures in told.items()):
        told = without
        axes.pop()
    rows = tuple((", ".join(name), *figures) for name, figures in told.items())
    head = (", ".join(axes), *(name.replace("_", " ") for name in names))
    return Table("Training, mean over benchmarks and seeds", head, rows)


def _crossed(
    study: StudyRecipe, results: Sequence[Result], *, caption: str, benchmarks: Sequence[str]
) -> Table:
    """Put the last axis into columns, all others into rows."""
    *outer, last = study.axes
    levels = list(study.axes[last])
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for arm in study.arms:
        of_arm = [r for r in results if r["arm"] == dict(arm.labels)]
        row = found.setdefault(tuple(arm.labels[axis] for axis in outer), {})
        row[arm.labels[last]] = _cell(of_arm, benchmarks)
    rows = [(", ".join(name), *(row.get(v, "") for v in levels)) for name, row in found.items()]
    return Table(caption, (", ".join(outer) + f" \\ {last}", *levels), tuple(rows))


def _cell(results: Sequence[Result], benchmarks: Sequence[str]) -> str:
    """Average over benchmarks, seed by seed."""
    seeds = sorted({r["seed"] for r in results})
    means = [
        100
        * fmean(r["ndcg@10"] for r in results if r["seed"] == s and r["benchmark"] in benchmarks)
        for s in seeds
    ]
    spread = f" ± {stdev(means):.1f}" if len(means) > 1 and stdev(means) >= 0.05 else ""
    return f"{fmean(means):.1f}{spread}"


def _size(results: Sequence[Result]) -> str:
    sizes = sorted({r["bytes_per_vector"] for r in results})
    return " to ".join(f"{size:,}" for size in dict.fromkeys([sizes[0], sizes[-1]]))


def claims_table(study: StudyRecipe, decisions: Sequence[Decision]) -> Table:
    """Show every contrast of every claim."""
    rows: list[tuple[str, ...]] = []
    for claim, decision in zip(study.claims, decisions, strict=True):
        told = f"**{claim.says}** ({claim.source})"
        if claim.published:
            told += f" Published: {claim.published}."
        rows.append((told, "", "", "", "", f"**{decision.status}**"))
        rows += [_outcome(claim, outcome) for outcome in decision.outcomes]
    head = ("claim, and the arms compared", "estimate", "95 % interval", "p", "seeds", "verdict")
    caption = (
        "p: randomization test over queries; of thresholds by the interval's draws, of figures of "
        "the training by Student's t over fits; corrected over the study (Holm)"
    )
    return Table(caption, head, tuple(rows))


def _outcome(claim: Claim, outcome: Outcome) -> tuple[str, ...]:
    told = outcome.arms
    if outcome.minus:
        told += f"{': ' if told else ''}{outcome.plus} against {outcome.minus}"
    ends = f"{scaled(claim, outcome.low)} to {scaled(claim, outcome.high)}"
    return (
        told,
        scaled(claim, outcome.estimate) + unit(claim),
        ends,
        "< .001" if outcome.p_holm < 0.001 else f"{outcome.p_holm:.3f}",
        f"{100 * outcome.seeds:.0f} %",
        _VERDICTS[outcome.verdict],
    )


def scaled(claim: Claim, value: float) -> str:
    """Write an estimate in points or percent, or a figure of training with three digits."""
    if claim.measure != "ndcg@10":
        text = f"{value:+.3g}"
    elif claim.shape == "keeps":
        text = f"{100 * value:.1f}"
    else:
        text = f"{100 * value:+.1f}"
    return text.replace("-", _MINUS)


def unit(claim: Claim) -> str:
    """Name what an estimate counts."""
    if claim.measure != "ndcg@10":
        return ""
    return " %" if "of" in claim.terms else " points"


def summed_up(claim: Claim, decision: Decision) -> str:
    """Tell a claim's figures in one line: one estimate, or the range of several."""
    outcomes = decision.outcomes
    if not outcomes:
        return str(claim.terms.get("untestable", ""))
    held = sum(outcome.verdict == "yes" for outcome in outcomes)
    if len(outcomes) == 1:
        one = outcomes[0]
        ends = f"{scaled(claim, one.low)} to {scaled(claim, one.high)}"
        return f"{scaled(claim, one.estimate)}{unit(claim)} ({ends})"
    values = sorted(outcome.estimate for outcome in outcomes)
    ends = f"{scaled(claim, values[0])} to {scaled(claim, values[-1])}{unit(claim)}"
    near = sum(outcome.verdict == "mean" for outcome in outcomes)
    and_near = f", {near} in the mean" if near else ""
    return f"{held} of {len(outcomes)} hold{and_near}: {ends}"
