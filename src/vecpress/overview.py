"""All benchmarks of a report at a glance: mean recovery of each method at each budget."""

from collections.abc import Iterable, Sequence
from html import escape
from statistics import fmean, stdev

from vecpress.entries import Entry, choices, judge
from vecpress.frontier_page import KEPT
from vecpress.report_tables import Cell, Lines, budget_table, with_spread


def overview(entries: Sequence[Entry]) -> list[str]:
    """Draw a section for every set of conditions that several benchmarks were run under."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.setting.conditions, []).append(entry)
    several = [group for group in groups.values() if len(_benchmarks(group)) > 1]
    return [_section(group, f"all-{place}") for place, group in enumerate(several)]


def _benchmarks(entries: Iterable[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.setting.benchmark for entry in entries))


def _section(entries: Sequence[Entry], anchor: str) -> str:
    names, conditions = _benchmarks(entries), entries[0].setting.conditions
    told = f"<p class='conditions'>{escape(conditions)}</p>" if conditions else ""
    lines = mean_cells(entries, count=len(names))
    return (
        f'<section id="{anchor}"><h2>All {len(names)} benchmarks</h2>{told}'
        f"{_headline(lines)}{_ties(entries)}"
        f"{budget_table(lines, caption='Mean recovery in %')}"
        f"<p class='note'>Mean over {escape(', '.join(names))}; &plusmn; is the standard deviation "
        "of this mean over seeds. Rows that some of them lack say how many they have, and are "
        "not compared.</p></section>"
    )


def mean_cells(entries: Iterable[Entry], *, count: int) -> Lines:
    """Average each method's recovery over the benchmarks that have it.

    Args:
        entries: Of several benchmarks.
        count: How many benchmarks a row needs to be compared with others.
    """
    rows: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in entries:
        if entry.budget is not None:
            rows.setdefault((entry.group, entry.name, entry.budget), []).append(entry)
    lines: dict[tuple[str, str], dict[int, Cell]] = {}
    for (group, name, budget), found in rows.items():
        mean = fmean(entry.recovery for entry in found)
        has_all = len(found) == count
        shown = with_spread(100 * mean, _spread(found))
        note = "" if has_all else f"{len(found)} of {count}"
        lines.setdefault((group, name), {})[budget] = Cell(mean if has_all else None, shown, note)
    return lines


def _spread(entries: Sequence[Entry]) -> float | None:
    """Give the spread, in percent, of the mean over benchmarks, from seed to seed."""
    scores = [{str(r.get("seed")): r["recovery"] for r in entry.runs} for entry in entries]
    seeds = set.intersection(*(set(of) for of in scores))
    means = [100 * fmean(of[seed] for of in scores) for seed in sorted(seeds)]
    return stdev(means) if len(means) > 1 else None


def _headline(lines: Lines) -> str:
    """Say the fewest bytes at which the choice keeps enough on average, or the best it keeps."""
    chosen = {b: c for (g, _), cells in lines.items() if g == "chosen" for b, c in cells.items()}
    means = {budget: cell.value for budget, cell in chosen.items() if cell.value is not None}
    if not means:
        return ""
    good = [budget for budget, mean in means.items() if mean >= KEPT]
    budget = min(good) if good else max(means, key=means.__getitem__)
    return (
        f"<p class='headline'>At a budget of <b>{budget:,} bytes</b> the choice keeps "
        f"<b>{100 * means[budget]:.1f} %</b> on average.</p>"
    )


def _ties(entries: Sequence[Entry]) -> str:
    """Count the benchmarks and budgets at which nothing is surely better than the choice."""
    chosen = choices(entries)
    tested, lost = set(), {}
    for entry in entries:
        if entry.budget is None or (entry.setting, entry.budget) not in chosen:
            continue
        place = (entry.setting.benchmark, entry.budget)
        verdict = judge(entry, chosen[entry.setting, entry.budget])
        tested |= {place} if verdict.tested else set()
        if verdict.better:
            lost.setdefault(place, []).append(entry.name)
    if not tested:
        return ""
    where = "; ".join(f"{n} at {b:,} B by {' and '.join(names)}" for (n, b), names in lost.items())
    return (
        f"<p class='counterpart'>In {len(tested) - len(lost)} of {len(tested)} tested cells "
        "(benchmark and budget) no row is significantly better than the choice"
        f"{': beaten on ' + escape(where) if where else ''}.</p>"
    )
