"""results.jsonl in, one HTML file out: no script, no network, readable on a phone.

Knows the plain values that `compare` writes, and nothing of pipelines.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from vecpress import drawing
from vecpress.errors import DataError

Result = Mapping[str, Any]

_GROUPS = {
    "chosen": "chosen by vecpress",
    "trained": "trained head",
    "baseline": "baseline",
    "single model": "single model, float32",
    "concatenation": "concatenation, float32",
}
_LEAD = """Every point is one way to store the same documents. Heads and codes are fitted on
the documents, and where a row says so on other judged questions; those scored here only score.
Queries stay in float. Bytes count all that
is kept per document; the dashed line is the raw float concatenation."""
_UNITS = ("B", "kB", "MB", "GB")
_NEEDED = ("benchmark", "group", "method", "bytes_per_vector", "ndcg@10", "recall@100", "recovery")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 430, 64, 32, 38, 62


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write one JSON object per line."""
    lines = [json.dumps(dict(result), sort_keys=True) + "\n" for result in results]
    path.write_text("".join(lines), encoding="utf-8")


def read_results(path: str | Path) -> list[Result]:
    """Read what `write_results` wrote.

    Raises:
        DataError: the file is absent, empty, or a line is not a result.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read results from {path}: {error}") from error
    results = []
    for number, line in enumerate(lines, start=1):
        try:
            result = json.loads(line)
            wrong = [name for name in _NEEDED if not _usable(name, result.get(name))]
        except (json.JSONDecodeError, AttributeError) as error:
            raise DataError(f"line {number} of {path} is not JSON: {line[:60]!r}") from error
        if wrong:
            got = result.get(wrong[0])
            raise DataError(f"line {number} of {path} is not a result: {wrong[0]!r} is {got!r}")
        results.append(result)
    if not results:
        raise DataError(f"{path} holds no results: make them with `vecpress compare`")
    return results


def _usable(name: str, value: Any) -> bool:
    """Say whether a value can be shown: a text, or a number; of bytes there are some."""
    if name in ("benchmark", "group", "method"):
        return isinstance(value, str)
    number = isinstance(value, int | float) and math.isfinite(value)
    return number and (name != "bytes_per_vector" or value >= 1)


def write_page(path: Path, page: str) -> None:
    """Write what `render` drew.

    Raises:
        DataError: it cannot be written there.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}") from error


def render(results: Sequence[Result], *, command: str = "") -> str:
    """Draw every benchmark's plot and table."""
    names = list(dict.fromkeys(str(r["benchmark"]) for r in results))
    return drawing.page(
        [_section(n, [r for r in results if r["benchmark"] == n]) for n in names],
        title=", ".join(names),
        heading="Bytes against quality",
        lead=_LEAD,
        hint="Points show their method when hovered.",
        command=command,
    )


def _section(name: str, results: Sequence[Result]) -> str:
    return (
        f"<section><h2>{escape(name)}</h2>{_headline(results)}"
        f"<figure>{_plot(results)}<figcaption>{_legend(results)}</figcaption></figure>"
        f"{_table(results)}</section>"
    )


def _headline(results: Sequence[Result]) -> str:
    """Say in one sentence what was won: the smallest code that keeps 95 %, or the best there is."""
    chosen = [r for r in results if r["group"] == "chosen"]
    if not chosen:
        return ""
    good = [r for r in chosen if r["recovery"] >= 0.95] or [max(chosen, key=_recovery)]
    best = min(good, key=lambda r: r["bytes_per_vector"])
    return (
        f"<p class='headline'><b>{best['bytes_per_vector']} bytes</b> per document keep "
        f"<b>{100 * best['recovery']:.1f} %</b> of the raw concatenation's nDCG@10: "
        f"{best['compression_factor']:.0f} times smaller.</p>"
    )


def _recovery(result: Result) -> float:
    return float(result["recovery"])


def _plot(results: Sequence[Result]) -> str:
    """Scatter nDCG@10 over bytes per vector (log scale); hovering names the point."""
    sizes = [math.log2(r["bytes_per_vector"]) for r in results]
    scores = [r["ndcg@10"] for r in results]
    low_x, high_x = math.floor(min(sizes) - 0.2), math.ceil(max(sizes) + 0.2)
    step = drawing.step(max(max(scores) - min(scores), 0.01))
    low_y = math.floor(min(scores) / step - 0.3) * step
    high_y = math.ceil(max(scores) / step + 0.3) * step

    def x(size: float) -> float:
        return _LEFT + (size - low_x) / (high_x - low_x) * (_WIDTH - _LEFT - _RIGHT)

    def y(score: float) -> float:
        return _TOP + (high_y - score) / (high_y - low_y) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="nDCG over bytes">']
    for power in range(low_x, high_x + 1):
        parts.append(f'<path class="grid" d="M{x(float(power)):.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text x="{x(float(power)):.1f}" y="{_HEIGHT - _BOTTOM + 26}">{2**power:,}</text>'
        )
    for i in range(round((high_y - low_y) / step) + 1):
        value = low_y + i * step
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{y(value) + 4:.1f}">{value:.2f}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}">bytes per document</text>')
    parts.append(f'<text class="name" x="8" y="{_TOP - 14}">nDCG@10</text>')
    raw = next((r for r in results if r["group"] == "concatenation"), None)
    if raw:
        height = y(raw["ndcg@10"])
        parts.append(f'<path class="raw" d="M{_LEFT} {height:.1f}H{_WIDTH - _RIGHT}"/>')
    line = sorted((r["bytes_per_vector"], r["ndcg@10"]) for r in results if r["group"] == "chosen")
    points = " ".join(f"{x(math.log2(b)):.1f},{y(s):.1f}" for b, s in line)
    parts.append(f'<polyline class="frontier" points="{points}"/>')
    for result in sorted(results, key=lambda r: r["group"] == "chosen"):
        label = f"{result['method']}: {result['bytes_per_vector']} B, {result['ndcg@10']:.4f}"
        parts.append(
            f'<circle class="{_class(result)}" cx="{x(math.log2(result["bytes_per_vector"])):.1f}" '
            f'cy="{y(result["ndcg@10"]):.1f}" r="6"><title>{escape(label)}</title></circle>'
        )
    return "".join([*parts, "</svg>"])


def _legend(results: Sequence[Result]) -> str:
    present = {r["group"] for r in results}
    return " ".join(
        f'<span><svg viewBox="0 0 14 14"><circle class="{group.replace(" ", "-")}" cx="7" cy="7" '
        f'r="5"/></svg>{escape(label)}</span>'
        for group, label in _GROUPS.items()
        if group in present
    )


def _table(results: Sequence[Result]) -> str:
    head = ["", "method", "nDCG@10", "recall@100", "bytes", "smaller", "kept", "per million"]
    rows = []
    for r in results:
        mark = " *" if r.get("p_value", 1.0) < 0.05 and r["group"] != "concatenation" else ""
        size = r["bytes_per_vector"]
        cells = [
            f"{r['ndcg@10']:.4f}{mark}",
            f"{r['recall@100']:.4f}",
            f"{size:,}",
            f"{r.get('compression_factor', 0):.1f}x",
            f"{100 * r['recovery']:.1f} %",
            _bytes(size * 1e6),
        ]
        rows.append(
            f'<tr><td><svg viewBox="0 0 14 14"><circle class="{_class(r)}" cx="7" cy="7" r="5"/>'
            f"</svg></td><th>{escape(str(r['method']))}<small>{_GROUPS.get(r['group'], '')}"
            f"</small></th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        )
    heads = "".join(f"<th>{h}</th>" for h in head)
    return (
        f"<div class='scroll'><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table></div><p class='note'>* differs from the raw concatenation: paired randomization "
        "test over queries, p &lt; .05.</p>"
    )


def _class(result: Result) -> str:
    return str(result["group"]).replace(" ", "-")


def _bytes(size: float) -> str:
    """Write a size with three figures and a decimal unit."""
    power = min(int(math.log10(max(size, 1)) / 3), 3)
    value = size / 1000**power
    return f"{value:.0f} {_UNITS[power]}" if value >= 100 else f"{value:.3g} {_UNITS[power]}"
