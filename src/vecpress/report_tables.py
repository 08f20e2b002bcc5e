"""The report's tables: methods x budgets, and every row with all its numbers."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from statistics import fmean
from typing import NamedTuple

from vecpress.entries import GROUPS, SURE, Entry, Verdict, choices, judge
from vecpress.report_plots import css, mark
from vecpress.toml import to_toml

_UNITS = ("B", "kB", "MB", "GB", "TB")
MISSING = "&ndash;"
TESTED = (
    f"&#9650; better, &#9660; worse than the choice for the same budget: paired randomization test "
    f"over queries, p &lt; {SURE:g}; hollow (&#9651;, &#9661;) where not every seed says so."
)


class Cell(NamedTuple):
    """A figure of a method at a budget.

    Attributes:
        value: What is compared within a column; None keeps it out.
        html: What is shown.
        note: HTML below it.
    """

    value: float | None
    html: str
    note: str = ""


Lines = Mapping[tuple[str, str], Mapping[int, Cell]]
"""Cells by (group, name) and budget."""


def with_spread(mean: float, spread: float | None, digits: int = 1, *, mark: str = "") -> str:
    """Write a mean with its mark, and the spread around it if there is one."""
    around = "" if spread is None else f" <small>&plusmn;&nbsp;{spread:.{digits}f}</small>"
    return f"{mean:.{digits}f}{mark}{around}"


def cells_of(entries: Iterable[Entry], make: Callable[[Entry], Cell | None]) -> Lines:
    """Make a cell of each row that has a budget."""
    lines: dict[tuple[str, str], dict[int, Cell]] = {}
    for entry in entries:
        cell = None if entry.budget is None else make(entry)
        if entry.budget is not None and cell is not None:
            lines.setdefault((entry.group, entry.name), {})[entry.budget] = cell
    return lines


def recovery_cells(entries: Sequence[Entry]) -> Lines:
    """Give each row's recovery in percent, with the verdict of its tests and the bytes unspent."""
    chosen = choices(entries)

    def cell(entry: Entry) -> Cell:
        assert entry.budget is not None
        spread = entry.spread("recovery")
        shown = with_spread(100 * entry.recovery, None if spread is None else 100 * spread)
        verdict = judge(entry, chosen.get((entry.setting, entry.budget)))
        sizes = " to ".join(f"{size:,}" for size in entry.sizes)
        if entry.size > entry.budget:
            return Cell(None, arrows(verdict) + shown, f"over: {sizes} B")
        note = "" if entry.sizes == [entry.budget] else f"{sizes} B"
        return Cell(entry.recovery, arrows(verdict) + shown, note)

    return cells_of(entries, cell)


def arrows(verdict: Verdict) -> str:
    """Show what tests say as arrows, hollow where they do not all agree."""
    parts = []
    for count, word, shapes in (
        (verdict.better, "better", ("&#9651;", "&#9650;")),
        (verdict.worse, "worse", ("&#9661;", "&#9660;")),
    ):
        if count:
            told = f"significantly {word} in {count} of {verdict.tested}"
            parts.append(
                f'<span class="{word}" role="img" aria-label="{told}" title="{told}">'
                f"{shapes[count == verdict.tested]}</span> "
            )
    return "".join(parts)


def budget_table(lines: Lines, *, caption: str, is_loss: bool = False) -> str:
    """Lay methods out over budgets, group by group; the best of each column is bold."""
    budgets = sorted({budget for cells in lines.values() for budget in cells})
    if not budgets:
        return ""
    best = {}
    for budget in budgets:
        values = [cells[budget].value for cells in lines.values() if budget in cells]
        known = [value for value in values if value is not None]
        best[budget] = (min if is_loss else max)(known, default=None)
    groups = sorted({group for group, _ in lines}, key=_rank)
    bodies = (
        "".join(_line(name, cells, best) for (of, name), cells in lines.items() if of == group)
        for group in groups
    )
    bodies = (
        f'<tbody><tr class="group"><th colspan="{1 + len(budgets)}" scope="rowgroup">{mark(group)}'
        f"{escape(GROUPS.get(group, group))}</th></tr>{body}</tbody>"
        for group, body in zip(groups, bodies, strict=True)
    )
    heads = "".join(f'<th scope="col">{budget:,}&nbsp;B</th>' for budget in budgets)
    head = f'<thead><tr><th scope="col">method</th>{heads}</tr></thead>'
    return _framed(f'<table class="budgets">{head}{"".join(bodies)}</table>', caption)


def _framed(table: str, caption: str) -> str:
    """Let a table that is too wide be moved sideways, by keys too, and its caption stay."""
    return (
        f'<p class="caption">{escape(caption)}</p><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(caption)}">{table}</div>'
    )


def _rank(group: str) -> tuple[int, str]:
    return (list(GROUPS).index(group) if group in GROUPS else len(GROUPS), group)


def _line(name: str, cells: Mapping[int, Cell], best: Mapping[int, float | None]) -> str:
    parts = [f'<tr><th scope="row">{escape(name)}</th>']
    for budget, most in best.items():
        cell = cells.get(budget)
        if cell is None:
            parts.append(f'<td class="none">{MISSING}</td>')
            continue
        # Equal as shown is equal: a digit nobody sees makes no winner.
        is_best = cell.value is not None and most is not None and abs(cell.value - most) < 5e-5
        told = f"<b>{cell.html}</b>" if is_best else cell.html
        note = f'<small class="below">{cell.note}</small>' if cell.note else ""
        parts.append(f"<td>{told}{note}</td>")
    return "".join([*parts, "</tr>"])


def unbudgeted(entries: Iterable[Entry]) -> str:
    """List the rows that no budget was set for, with their bytes."""
    rows = [
        f'<tr><th scope="row">{mark(entry.group)}{escape(entry.name)}'
        f"<small>{escape(GROUPS.get(entry.group, entry.group))}</small></th>"
        f"<td>{_sizes(entry)}</td><td>"
        f"{with_spread(100 * entry.recovery, _percent(entry.spread('recovery')))}</td></tr>"
        for entry in entries
        if entry.budget is None
    ]
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("method", "bytes", "recovery"))
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return _framed(
        f'<table class="budgets">{body}</table>', "Rows without a budget: bytes, and recovery in %"
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _sizes(entry: Entry) -> str:
    return " to ".join(f"{size:,}" for size in entry.sizes)


_COLUMNS = (
    ("nDCG@10", "nDCG@10"),
    ("recall@100", "recall@100"),
    ("bytes", "bytes per document"),
    ("tables", "bytes stored once"),
    ("smaller", "than the raw concatenation"),
    ("kept", "of the raw concatenation's nDCG@10"),
    ("per million", "million documents, with what is stored once"),
    ("ms/query", "milliseconds to encode a query"),
    ("p, raw", "paired test against the raw concatenation"),
    (
        "p, choice",
        "paired test against the choice for the same budget",
    ),
)


def full_table(entries: Sequence[Entry], rows: Sequence[str]) -> str:
    """Show every row with all its numbers and its recipe; a script lets its columns be sorted.

    Args:
        entries: At least one.
        rows: For each the id of its row.
    """
    heads = "".join(
        f'<th scope="col" data-sort="number" title="{escape(title)}">{name}</th>'
        for name, title in _COLUMNS
    )
    body = "".join(_full_line(entry, row) for entry, row in zip(entries, rows, strict=True))
    head = f'<thead><tr><th scope="col" data-sort="text">method</th>{heads}</tr></thead>'
    table = f'<table class="full">{head}<tbody>{body}</tbody></table>'
    return (
        f"<h3>All rows</h3>{_framed(table, 'Everything measured, and the recipes')}"
        "<p class='note'>* differs from the raw concatenation: paired randomization test over "
        f"queries, p &lt; {SURE:g}, in every run; (*) in some. p is the largest of all runs, "
        "&plusmn; the standard deviation over them.</p>"
    )


def _full_line(entry: Entry, row: str) -> str:
    cells = "".join(
        f'<td data-v="{"" if value is None else repr(value)}">{shown}</td>'
        for value, shown in _figures(entry)
    )
    budget = "" if entry.budget is None else f", budget {entry.budget:,}&nbsp;B"
    runs = "" if len(entry.runs) == 1 else f", {len(entry.runs)}&nbsp;runs"
    name = escape(entry.method)
    return (
        f'<tr id="{escape(row)}" class="{css(entry.group)}">'
        f'<th scope="row" data-v="{name}">{mark(entry.group)}<span class="method">{name}</span>'
        f'<div><small class="what">{escape(GROUPS.get(entry.group, entry.group))}{budget}{runs}'
        f"</small>{_recipe(entry)}</div></th>{cells}</tr>"
    )


def _recipe(entry: Entry) -> str:
    """Fold the recipe away: of the first run, where seeds chose differently."""
    recipe = entry.runs[0].get("recipe")
    if not isinstance(recipe, dict) or not recipe:
        return ""
    differ = any(run.get("recipe") != recipe for run in entry.runs)
    told = f"recipe of seed {entry.runs[0].get('seed')}" if differ else "recipe"
    return (
        f"<details><summary>{escape(told)}</summary><pre tabindex='0'>{escape(to_toml(recipe))}"
        "</pre></details>"
    )


def _figures(entry: Entry) -> list[tuple[float | None, str]]:
    """Give each column's value to sort by, and what is shown."""
    tables = entry.mean("table_bytes")
    smaller, cost = entry.mean("compression_factor"), entry.mean("encode_ms")
    recall = fmean(entry.values("recall@100"))
    everything = 1e6 * entry.size + (tables or 0)
    return [
        (entry.ndcg, with_spread(entry.ndcg, entry.spread("ndcg@10"), 4, mark=_differs(entry))),
        (recall, f"{recall:.4f}"),
        (float(entry.size), _sizes(entry)),
        (tables, MISSING if tables is None else size_of(tables)),
        (smaller, MISSING if smaller is None else f"{smaller:,.1f}x"),
        (entry.recovery, f"{100 * entry.recovery:.1f} %"),
        (everything, size_of(everything)),
        (cost, MISSING if cost is None else f"{cost:.3g}"),
        _p_value(entry, "p_value"),
        _p_value(entry, "p_chosen"),
    ]


def _p_value(entry: Entry, name: str) -> tuple[float | None, str]:
    """Give the largest p over the runs."""
    values = entry.values(name)
    if entry.group == "concatenation" or not values:
        return None, MISSING
    return max(values), f"{max(values):.2g}"


def _differs(entry: Entry) -> str:
    """Mark a row whose tests find it to differ from the raw concatenation."""
    tests = [value < SURE for value in entry.values("p_value")]
    if entry.group == "concatenation" or not any(tests):
        return ""
    return " *" if all(tests) else " (*)"


def size_of(size: float) -> str:
    """Write a size with three figures and a decimal unit."""
    power = min(int(math.log10(max(size, 1)) / 3), len(_UNITS) - 1)
    value = size / 1000**power
    return f"{value:.0f} {_UNITS[power]}" if value >= 100 else f"{value:.3g} {_UNITS[power]}"
