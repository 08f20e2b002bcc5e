"""The report's plots as SVG: bytes against quality, and query against query.

Places are shares of the plot in percent, sizes are pixels: a plot takes any width, and its marks
and words stay as large as they are.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from vecpress import drawing
from vecpress.drawing import Scale
from vecpress.entries import GROUPS, Entry
from vecpress.per_query import Paired

_SHAPES = {
    "chosen": '<circle r="6.5"/>',
    "trained": '<path d="M0-8.5L7 0L0 8.5L-7 0Z"/>',
    "baseline": '<path d="M-5.8-5.8H5.8V5.8H-5.8Z"/>',
    "single model": '<path d="M0-7.5L7.4 6H-7.4Z"/>',
    "concatenation": '<path d="M0-9L2.6-3.1L8.8-2.6L4.1 1.5L5.6 7.8L0 4.4L-5.6 7.8L-4.1 1.5'
    'L-8.8-2.6L-2.6-3.1Z"/>',
}
_OTHER = '<path d="M-2.4-7H2.4V-2.4H7V2.4H2.4V7H-2.4V2.4H-7V-2.4H-2.4Z"/>'


def css(group: str) -> str:
    """Give the class of a group; groups that are not ours share one."""
    return f"g-{group.replace(' ', '-')}" if group in GROUPS else "g-other"


def mark(group: str) -> str:
    """Draw a group's shape by itself."""
    shape = _SHAPES.get(group, _OTHER)
    return (
        f'<svg class="mark {css(group)}" viewBox="-10 -10 20 20" aria-hidden="true">{shape}</svg>'
    )


def legend(entries: Iterable[Entry]) -> str:
    """Name the shapes and lines in the plot."""
    entries = list(entries)
    present = {entry.group for entry in entries}
    names = GROUPS | {group: group for group in sorted(present - GROUPS.keys())}
    keys = [
        f'<span class="key" data-group="{escape(group)}">{mark(group)}{escape(label)}</span>'
        for group, label in names.items()
        if group in present
    ]
    lines = [("front", "best at its bytes or fewer")]
    if "concatenation" in present:
        lines.append(("raw", "raw concatenation"))
    keys += [
        f'<span><svg class="line" viewBox="0 0 26 10" aria-hidden="true">'
        f'<path class="{name}" d="M0 5H26"/></svg>{label}</span>'
        for name, label in lines
    ]
    return "".join(keys)


def frontier(entries: Sequence[Entry], rows: Sequence[str]) -> str:
    """Draw nDCG@10 over bytes per vector on a log axis; hovering names a point.

    Args:
        entries: At least one.
        rows: For each the id of its row in the table, where a script finds more.
    """
    across = drawing.binary_scale([float(entry.size) for entry in entries])
    up = drawing.linear_scale([entry.ndcg for entry in entries])
    parts = [*_bytes_axis(across), *_score_axis(up)]
    raw = [entry.ndcg for entry in entries if entry.group == "concatenation"]
    parts += [_line("raw", (0.0, up.at(score)), (1.0, up.at(score))) for score in raw[:1]]
    parts += _front(entries, across, up)
    parts += _chosen(entries, across, up)
    order = sorted(zip(entries, rows, strict=True), key=lambda pair: pair[0].group == "chosen")
    parts += [_point(entry, row, _place(entry, across, up)) for entry, row in order]
    return (
        '<div class="plot"><svg width="100%" height="100%" role="group" '
        'aria-label="nDCG@10 over bytes per document; the table below has the same numbers">'
        f"{''.join(parts)}</svg></div>"
    )


def _place(entry: Entry, across: Scale, up: Scale) -> tuple[float, float]:
    return across.at(float(entry.size)), up.at(entry.ndcg)


def _bytes_axis(scale: Scale) -> list[str]:
    parts = []
    for place, (value, name) in enumerate(scale.ticks):
        at = scale.at(value)
        every_other = ' class="odd"' if place % 2 else ""
        parts.append(_line("grid", (at, 0.0), (at, 1.0)))
        parts.append(f'<text{every_other} x="{_percent(at)}" y="100%" dy="20">{name}</text>')
    return [*parts, '<text x="50%" y="100%" dy="41">bytes per document (log scale)</text>']


def _score_axis(scale: Scale) -> list[str]:
    parts = ['<text class="name" x="0" y="0" dx="-44" dy="-14">nDCG@10</text>']
    for value, name in scale.ticks:
        at = scale.at(value)
        parts.append(_line("grid", (0.0, at), (1.0, at)))
        parts.append(f'<text class="y" x="0" y="{_percent(1 - at)}" dx="-8" dy="4">{name}</text>')
    return parts


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _line(name: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """Draw a line between two places, each a share from the left and from below."""
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line class="{name}" x1="{_percent(x1)}" y1="{_percent(1 - y1)}" '
        f'x2="{_percent(x2)}" y2="{_percent(1 - y2)}"/>'
    )


def front_of(entries: Iterable[Entry]) -> list[Entry]:
    """Keep what nothing of as few bytes reaches, fewest bytes first."""
    kept: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: (entry.size, -entry.ndcg)):
        if not kept or entry.ndcg > kept[-1].ndcg:
            kept.append(entry)
    return kept


def _front(entries: Sequence[Entry], across: Scale, up: Scale) -> list[str]:
    """Draw the front as steps: up to it is what so many bytes can buy."""
    places = [_place(entry, across, up) for entry in front_of(entries)]
    parts = []
    for here, after in zip(places, [*places[1:], (1.0, places[-1][1])], strict=True):
        parts.append(_line("front", here, (after[0], here[1])))
        parts.append(_line("front", (after[0], here[1]), after))
    return parts


def _chosen(entries: Sequence[Entry], across: Scale, up: Scale) -> list[str]:
    """Connect what was chosen for each budget."""
    chosen = sorted((e for e in entries if e.group == "chosen"), key=lambda entry: entry.size)
    places = [_place(entry, across, up) for entry in chosen]
    lines = [_line("chosen", *pair) for pair in pairwise(places)]
    return [f'<g data-group="chosen">{"".join(lines)}</g>']


def _point(entry: Entry, row: str, place: tuple[float, float]) -> str:
    x, y = place
    label = escape(f"{entry.method}: {entry.size:,} B, nDCG@10 {entry.ndcg:.4f}")
    return (
        f'<svg class="point {css(entry.group)}" x="{_percent(x)}" y="{_percent(1 - y)}" '
        f'overflow="visible" role="img" aria-label="{label}" data-group="{escape(entry.group)}" '
        f'data-row="{escape(row)}"><title>{label}</title><circle class="hit" r="13"/>'
        f"{_SHAPES.get(entry.group, _OTHER)}</svg>"
    )


def scatter(pairs: Paired, *, label: str) -> str:
    """Draw each query's nDCG@10 in codes over that in raw floats; equal ones share a larger dot."""
    parts = [_line("diagonal", (0.0, 0.0), (1.0, 1.0))]
    for value, name in ((0, "0"), (1, "1")):
        parts.append(f'<text x="{100 * value}%" y="100%" dy="15">{name}</text>')
        parts.append(f'<text class="y" x="0" y="{100 - 100 * value}%" dx="-5" dy="4">{name}</text>')
    counts = Counter((round(raw, 3), round(code, 3)) for raw, code in pairs.drawn)
    for (raw, code), count in counts.most_common():
        place = f'cx="{100 * raw:.4g}%" cy="{100 - 100 * code:.4g}%"'
        parts.append(f'<circle {place} r="{min(2 * math.sqrt(count), 14):.3g}"/>')
    return (
        '<div class="square"><svg width="100%" height="100%" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg></div>'
    )
