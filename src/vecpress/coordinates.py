"""Which coordinates a stage keeps, how much each matters, and whose they are: drawn as HTML.

Lines wrap like text, so that a thousand coordinates stay legible on a phone; labels are HTML beside
stretched SVG for the same reason.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vecpress.drawing import LEAST, Scale, log_scale
from vecpress.training_log import Row, listed, number

_LINE, _LINES, _SHORTEST = 128, 8, 32  # coordinates a line, lines at most, coordinates at least
_RANGE = 1e5  # between the greatest stem and the axis, at most


def draw_coordinates(row: Row | None, *, colours: Mapping[str, str]) -> str:
    """Draw the importance of each coordinate, and each model's share of what is kept.

    Args:
        row: Of the event "coordinates".
        colours: CSS class of each model.
    """
    if row is None:
        return ""
    worths = [number(value) for value in listed(row.get("importance"))]
    kept = set(range(len(worths))) & {p for p in listed(row.get("kept")) if isinstance(p, int)}
    return (_importance(row, worths, kept) if worths else "") + _shares(row, colours)


def shares_of(row: Row | None) -> dict[str, float]:
    """Give each model's share of what is kept, greatest first."""
    told: Any = {} if row is None else row.get("models")
    found = told.items() if isinstance(told, Mapping) else ()
    shares = {str(name): number(value) or 0.0 for name, value in found}
    return dict(sorted(shares.items(), key=lambda item: -item[1])) if any(shares.values()) else {}


def _importance(row: Row, worths: Sequence[float | None], kept: set[int]) -> str:
    head = (
        f"<figure><h3>Importance of the {len(worths):,} coordinates <small>log scale</small></h3>"
        f"<p>{_words(row, len(worths), len(kept))}</p>"
    )
    positive = [worth for worth in worths if worth is not None and worth >= LEAST]
    if not positive:
        return f"{head}<p>Nothing to draw: none of them has an importance.</p></figure>"
    least, most = min(positive), max(positive)
    scale = log_scale([max(least / 1.5, most / _RANGE, LEAST), most])
    flat = sum(worth is None or worth <= scale.low for worth in worths)
    return (
        f"{head}{_lines(worths, kept, scale)}<figcaption>{_key(len(kept))}"
        f"<p>Importance: how much similarities change without the coordinate.{_flat(flat)} "
        "Last strip: the same coordinates, the most important first.</p></figcaption></figure>"
    )


def _words(row: Row, width: int, below: int) -> str:
    """Say how many survive, and whether they are the ones that matter."""
    told = f"{below:,} of {width:,} survive."
    found, prefix = (number(row.get(f"{name}_of_important")) for name in ("kept", "prefix"))
    if found is not None:
        told += f" They hold <b>{_percent(found)}</b> of the {below:,} that matter most"
        told += "." if prefix is None else f"; the first {below:,} hold <b>{_percent(prefix)}</b>."
    return told


def _flat(count: int) -> str:
    if not count:
        return ""
    return f" {count:,} {'is' if count == 1 else 'are'} too small to have a stem."


def _key(below: int) -> str:
    return (
        '<span class="key"><i class="kept"></i>survives</span>'
        '<span class="key"><i class="dropped"></i>dropped</span>'
        f'<span class="key"><i class="prefix"></i>end of the first {below:,}</span>'
    )


def _lines(worths: Sequence[float | None], kept: set[int], scale: Scale) -> str:
    """Draw the coordinates in their order, as many lines as it takes, then the strip of ranks."""
    per_line = len(worths)
    if per_line > _LINE:
        per_line = math.ceil(per_line / min(math.ceil(per_line / _LINE), _LINES) / 16) * 16
    per_line = max(per_line, _SHORTEST)
    ruler = "".join(
        f'<b style="top:{100 - 100 * scale.at(value):.1f}%">{name}</b>'
        for value, name in scale.ticks
    )
    parts = []
    for first in range(0, len(worths), per_line):
        part = worths[first : first + per_line]
        parts.append(
            f'<span>{first:,}</span><svg viewBox="0 0 {per_line} 100" preserveAspectRatio="none" '
            f'role="img" aria-label="coordinates {first} to {first + len(part) - 1}">'
            f"{_grid(scale, per_line)}{_stems(part, kept, first, scale)}"
            f'{_prefix_end(len(kept) - first, len(part))}</svg><div class="scale">{ruler}</div>'
        )
    return f'<div class="stems">{"".join(parts)}{_ranks(worths, kept)}</div>'


def _grid(scale: Scale, width: int) -> str:
    heights = [100 - 100 * scale.at(value) for value, _ in scale.ticks]
    return "".join(f'<path class="grid" d="M0 {height:.1f}H{width}"/>' for height in heights)


def _stems(part: Sequence[float | None], kept: set[int], first: int, scale: Scale) -> str:
    paths = {"dropped": "", "kept": ""}
    for place, worth in enumerate(part):
        height = 0.0 if worth is None else 100 * scale.at(worth)
        if height:
            css = "kept" if first + place in kept else "dropped"
            paths[css] += f"M{place + 0.15:.2f} 100v-{height:.1f}h.7V100z"
    return "".join(f'<path class="{css}" d="{path}"/>' for css, path in paths.items())


def _prefix_end(place: int, width: int) -> str:
    return f'<path class="prefix" d="M{place} 0V100"/>' if 0 < place <= width else ""


def _ranks(worths: Sequence[float | None], kept: set[int]) -> str:
    """Draw which of the ranks survive: all green first where the selection is the best."""
    order = sorted(range(len(worths)), key=lambda place: -(worths[place] or 0.0))
    green = "".join(f"M{rank} 3h1v7h-1z" for rank, place in enumerate(order) if place in kept)
    cut = f'<path class="prefix" d="M{len(kept)} 0V10"/>'
    return (
        f'<span class="of-ranks">ranked</span><svg class="ranks" viewBox="0 0 {len(worths)} 10" '
        f'preserveAspectRatio="none" role="img" aria-label="survivors by rank"><path '
        f'class="dropped" d="M0 3H{len(worths)}V10H0z"/><path class="kept" d="{green}"/>{cut}</svg>'
        "<span></span>"
    )


def _shares(row: Row, colours: Mapping[str, str]) -> str:
    shares = shares_of(row)
    if not shares:
        return ""
    bars = "".join(
        f'<span class="{colours[name]}" style="flex-grow:{max(share, 0.0):.4f}">'
        f"{_percent(share) if share >= 0.12 else ''}</span>"
        for name, share in shares.items()
    )
    keys = "".join(
        f'<span class="key"><i class="{colours[name]}"></i>{escape(name)} {_percent(share)}</span>'
        for name, share in shares.items()
    )
    return (
        "<figure><h3>Models <small>share of the energy of what is kept</small></h3>"
        f'<div class="shares">{bars}</div><figcaption>{keys}</figcaption></figure>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
