"""Results as a report shows them: by setting, and those of one method over its seeds together."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

Result = Mapping[str, Any]

GROUPS = {
    "chosen": "chosen by vecpress",
    "trained": "trained head",
    "baseline": "baseline",
    "single model": "single model, float32",
    "concatenation": "concatenation, float32",
}
CHOICE = "the choice"
_FLOATS = ("single model", "concatenation")
_SHAPE = re.compile(r"\s*\b\d+ x \d+ bits?(?:, gamma [\d.]+)?(?:, rotated)?")
_ALONE = r"(?<![\w.-])\d+(?:\.\d+)?(?![\w.-])"
_FOLDS = (re.compile(_ALONE), re.compile(rf"{_ALONE}(?! bits?\b)"))
SURE = 0.05
"""A paired test's p below which a difference is shown as one."""


def number(result: Result, name: str) -> float | None:
    """Give a finite number of a result, or None: older files lack many, and a file may hold any."""
    value = result.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def texts(results: Iterable[Result], name: str) -> list[str]:
    """List the different texts under a name, in the order met."""
    found = (result.get(name) for result in results)
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text))


class Setting(NamedTuple):
    """What rows must share to be compared: the data, the models, what was fitted on."""

    benchmark: str
    models: tuple[str, ...] = ()
    fitted_on: str = ""

    @property
    def conditions(self) -> str:
        """Say which models and what was fitted on, as far as it is known."""
        told = [" + ".join(self.models)] if self.models else []
        if self.fitted_on:
            is_own = self.fitted_on == self.benchmark
            told.append(f"fitted on {'itself' if is_own else self.fitted_on}")
        return ", ".join(told)


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One way to store the documents, with its runs over several seeds.

    Attributes:
        setting: What it is compared within.
        group: A key of `GROUPS`, or a name of somebody's own.
        name: Of the method; at different budgets its numbers may differ and are left out.
        budget: Bytes asked for; None where none was.
        runs: At least one.
    """

    setting: Setting
    group: str
    name: str
    budget: int | None
    runs: tuple[Result, ...]

    @property
    def method(self) -> str:
        """Name the method with its numbers; seeds that chose differently are all named."""
        return "; ".join(texts(self.runs, "method")) or self.name

    @property
    def size(self) -> int:
        """Give bytes per vector, of the largest run."""
        return max(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """List the different bytes per vector, fewest first."""
        return sorted({math.ceil(run["bytes_per_vector"]) for run in self.runs})

    def values(self, name: str) -> list[float]:
        """List a measure over the runs that have it."""
        found = (number(run, name) for run in self.runs)
        return [value for value in found if value is not None]

    def mean(self, name: str) -> float | None:
        """Average a measure over the runs that have it."""
        values = self.values(name)
        return fmean(values) if values else None

    def spread(self, name: str) -> float | None:
        """Give the standard deviation over runs (n - 1), if there are several."""
        values = self.values(name)
        return stdev(values) if len(values) > 1 else None

    @property
    def ndcg(self) -> float:
        """Average nDCG@10, which every result has."""
        return fmean(self.values("ndcg@10"))

    @property
    def recovery(self) -> float:
        """Average recovery, which every result has."""
        return fmean(self.values("recovery"))


class Verdict(NamedTuple):
    """In how many runs a paired test calls a row better, or worse, than the choice."""

    better: int = 0
    worse: int = 0
    tested: int = 0


def judge(entry: Entry, choice: Entry | None) -> Verdict:
    """Count what the tests against the row chosen for the same budget say."""
    if choice is None or entry.group == "chosen":
        return Verdict()
    scores = {str(run.get("seed")): run["ndcg@10"] for run in choice.runs}
    better = worse = tested = 0
    for run in entry.runs:
        p_value = number(run, "p_chosen")
        tested += p_value is not None
        if p_value is not None and p_value < SURE:
            gain = run["ndcg@10"] - scores.get(str(run.get("seed")), choice.ndcg)
            better, worse = better + (gain > 0), worse + (gain < 0)
    return Verdict(better, worse, tested)


def choices(entries: Iterable[Entry]) -> dict[tuple[Setting, int], Entry]:
    """Find the row chosen for each budget of each setting."""
    found = {}
    for entry in entries:
        if entry.group == "chosen" and entry.budget is not None:
            found.setdefault((entry.setting, entry.budget), entry)
    return found


def entries_of(results: Sequence[Result]) -> list[Entry]:
    """Put runs together that differ in nothing but their seed; order and settings stay as met."""
    placed = [(s, run) for s, runs in _settings(results).items() for run in runs]
    names = _names(placed)
    runs = defaultdict(list)
    for setting, run in placed:
        budget = _budget(run)
        name = run["method"] if budget is None else names[run["group"], run["method"]]
        # Without a budget, bytes are all that tells rows of one name apart.
        size = None if budget is not None else run["bytes_per_vector"]
        runs[setting, run["group"], name, budget, size].append(run)
    return [
        Entry(setting=s, group=g, name=n, budget=b, runs=tuple(of))
        for (s, g, n, b, _), of in runs.items()
    ]


def _budget(run: Result) -> int | None:
    budget = number(run, "budget")
    return None if budget is None else int(budget)


def _setting(run: Result) -> Setting:
    models, fitted_on = run.get("models"), run.get("fitted_on")
    named = models if isinstance(models, list | tuple) else ()
    return Setting(
        run["benchmark"],
        tuple(str(model) for model in named),
        fitted_on if isinstance(fitted_on, str) else "",
    )


def _settings(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """Sort results by setting; floats, which nothing is fitted for, join each of their models."""
    of: dict[Setting, list[Result]] = defaultdict(list)
    for run in results:
        of[_setting(run)].append(run)
    homes = [s for s, runs in of.items() if any(r["group"] not in _FLOATS for r in runs)]
    found = {setting: [*_guests(setting, of), *of[setting]] for setting in homes}
    seen = {id(run) for runs in found.values() for run in runs}
    for setting, runs in of.items():
        if left := [run for run in runs if id(run) not in seen]:
            found.setdefault(setting, []).extend(left)
    return found


def _guests(home: Setting, of: Mapping[Setting, Sequence[Result]]) -> Iterator[Result]:
    """Find the floats of other settings that this one lacks."""
    have = {(run["group"], run["method"]) for run in of[home]}
    for other, runs in of.items():
        if other == home or other.benchmark != home.benchmark:
            continue
        new = [r for r in runs if r["group"] in _FLOATS and (r["group"], r["method"]) not in have]
        new = [r for r in new if _suits(r["group"], set(other.models), set(home.models))]
        have |= {(run["group"], run["method"]) for run in new}
        yield from new


def _suits(group: str, models: set[str], home: set[str]) -> bool:
    if not models or not home:
        return True
    return models <= home if group == "single model" else models == home


def _names(placed: Iterable[tuple[Setting, Result]]) -> dict[tuple[str, str], str]:
    """Name methods without the numbers that change with the budget, where no two become one."""
    open_runs = [(s, run) for s, run in placed if _budget(run) is not None]
    names = {(run["group"], run["method"]): run["method"] for _, run in open_runs}
    for fold in _FOLDS:
        families = defaultdict(list)
        for setting, run in open_runs:
            families[run["group"], _fold(run, fold)].append((setting, run))
        open_runs = []
        for (group, name), members in families.items():
            if not _separate(members):
                open_runs += members
            elif len({run["method"] for _, run in members}) > 1 or group == "chosen":
                names |= {(group, run["method"]): name for _, run in members}
    return names


def _fold(run: Result, fold: re.Pattern[str]) -> str:
    if run["group"] == "chosen":
        return CHOICE
    short = _SHAPE.sub("", run["method"]).strip(" ,")
    return fold.sub("n", short) or run["method"]


def _separate(members: Iterable[tuple[Setting, Result]]) -> bool:
    """Say whether at each budget and seed of a setting there is one method only."""
    methods = defaultdict(set)
    for setting, run in members:
        methods[setting, _budget(run), str(run.get("seed"))].add(run["method"])
    return all(len(names) == 1 for names in methods.values())
