"""What the pages share: the template around their sections, scales, and charts of curves as SVG."""

import base64
import hashlib
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 236, 62, 14, 26, 46
_DOTS = 100  # points of a curve above which they are not drawn one by one
LEAST = 1e-30
"""What a log scale takes for a positive value; anything below is as good as zero."""

_MINUS = "\N{MINUS SIGN}"
_NO_SCRIPT = "script-src 'none'"
_HIGH_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(
    sections: Sequence[str],
    *,
    title: str,
    heading: str,
    lead: str,
    hint: str = "",
    command: str = "",
    style: str = "",
) -> str:
    """Put sections into the one template: no script, no network, readable on a phone.

    Args:
        sections: HTML.
        title: Plain text, for the browser's tab.
        heading: Plain text, above all.
        lead: HTML of the first paragraph.
        hint: HTML at the end of the last paragraph.
        command: Plain text: what made the page.
        style: CSS beyond the template's own.
    """
    template = Template(files("vecpress").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        heading=escape(heading),
        lead=lead,
        hint=hint,
        style=style,
        sections="\n".join(sections),
        command=f"<p>Made by <code>{escape(command)}</code></p>" if command else "",
    )


def with_script(page: str, script: str) -> str:
    """Let a page run one script, and by its policy no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    policy, found, rest = page.partition(_NO_SCRIPT)
    body, end, after = rest.rpartition("</body>")
    assert found, "the template has a policy"
    assert end, "the template has a body"
    return f"{policy}script-src 'sha256-{digest}'{body}<script>{script}</script>\n{end}{after}"


class Scale(NamedTuple):
    """An axis: its ends, its labelled values, and whether it counts powers."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """Place a value: 0 at the lower end, 1 at the upper, never outside."""
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = (math.log10(max(v, 1e-300)) for v in (value, low, high))
        return min(max((value - low) / (high - low), 0.0), 1.0)


def step(span: float) -> float:
    """Choose a round distance between grid lines: about five of them."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)


def linear_scale(values: Sequence[float]) -> Scale:
    """Span the values, at least one percent of the greatest: less is shown as no change."""
    low, high = min(values), max(values)
    span = max(high - low, 0.01 * max(abs(low), abs(high)))
    by = step(span if span >= LEAST else 1.0)
    first = math.floor(low / by - 0.1) if low < 0 or low > 0.1 * by else 0
    last = max(math.ceil(high / by + 0.1), first + 1)
    ticks = [by * number for number in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], tuple((tick, _plain(tick, by)) for tick in ticks))


def log_scale(values: Sequence[float]) -> Scale:
    """Span values of at least `LEAST`; ticks at powers of ten, and at 2 and 5 if they are few."""
    fine = [(m, e) for e in _exponents(min(values), max(values)) for m in (1, 2, 5)]
    places = [m * 10.0**e for m, e in fine]
    first = max(i for i, place in enumerate(places) if place <= min(values) * 1.001)
    last = min(i for i, place in enumerate(places) if place >= max(values) * 0.999)
    last = max(last, first + 1)
    chosen = fine[first : last + 1]
    if last - first > 4:
        powers = [(m, e) for m, e in chosen if m == 1]
        chosen = powers[:: math.ceil(len(powers) / 5)]
    named = tuple((m * 10.0**e, _power(m, e)) for m, e in chosen)
    return Scale(places[first], places[last], named, is_log=True)


def binary_scale(values: Sequence[float]) -> Scale:
    """Span values of at least 1 by powers of two; ticks at each, or at some if they are many."""
    first = math.floor(math.log2(min(values)) - 0.2)
    last = math.ceil(math.log2(max(values)) + 0.2)
    powers = range(first, last + 1, math.ceil((last - first) / 14))
    ticks = tuple((2.0**p, f"{2**p:,}") for p in powers if p >= 0)
    return Scale(2.0**first, 2.0**last, ticks, is_log=True)


def _exponents(low: float, high: float) -> range:
    return range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)


def _power(factor: int, exponent: int) -> str:
    power = "10" + str(exponent).translate(_HIGH_DIGITS)
    return power if factor == 1 else f"{factor}·{power}"


def _plain(value: float, by: float) -> str:
    """Write a value of an axis with as many digits as its steps need."""
    if by < 1e-4 or by >= 1e5:
        digits, _, exponent = f"{value:.3e}".partition("e")
        text = f"{digits.rstrip('0').rstrip('.')}·{_power(1, int(exponent))}" if value else "0"
    else:
        text = f"{value:,.{max(0, -math.floor(math.log10(by) + 1e-9))}f}"
    return text.replace("-", _MINUS)


def figure(value: float) -> str:
    """Write a measured value: four decimals, or three digits and a power of ten."""
    if value == 0 or 0.01 <= abs(value) < 1e5:
        text = f"{value:.4f}"
    else:
        digits, _, exponent = f"{value:.2e}".partition("e")
        text = f"{digits}·{_power(1, int(exponent))}"
    return text.replace("-", _MINUS)


class Curve(NamedTuple):
    """Values over epochs, in order; where there is none the line breaks."""

    name: str
    css: str
    points: Sequence[tuple[int, float | None]]


class Mark(NamedTuple):
    """An epoch that stands out in a chart, and what its curve says there."""

    epoch: int
    value: float | None = None
    label: str = ""


class _Frame(NamedTuple):
    """Where epochs and values lie in a chart."""

    scale: Scale
    last: int

    def x(self, epoch: int) -> float:
        return round(_LEFT + epoch / self.last * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_TOP + (1 - self.scale.at(value)) * (_HEIGHT - _TOP - _BOTTOM), 1)


def line_chart(
    curves: Sequence[Curve],
    scale: Scale,
    *,
    label: str,
    last: int,
    mark: Mark | None = None,
    level: float | None = None,
) -> str:
    """Draw curves over the epochs from 0 to `last`; hovering a point names it.

    Args:
        curves: What is drawn.
        scale: Of the values.
        label: What is drawn, for those who cannot see it.
        last: At least 1.
        mark: Shown as a dashed line upwards, and a ring where it has a value.
        level: Shown as a dashed line across.
    """
    frame = _Frame(scale, last)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">']
    parts += _axes(frame)
    if level is not None:
        parts.append(f'<path class="level" d="M{_LEFT} {frame.y(level)}H{_WIDTH - _RIGHT}"/>')
    if mark is not None:
        parts.append(f'<path class="mark" d="M{frame.x(mark.epoch)} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
    for curve in curves:
        parts += _curve(frame, curve)
    if mark is not None and mark.value is not None:
        parts += _ring(frame, mark.epoch, mark.value, mark.label)
    return "".join([*parts, "</svg>"])


def _axes(frame: _Frame) -> list[str]:
    parts = []
    for value, name in frame.scale.ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {frame.y(value)}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{frame.y(value) + 4:.1f}">{name}</text>')
    for epoch in range(0, frame.last + 1, max(1, round(step(float(frame.last))))):
        parts.append(f'<text x="{frame.x(epoch)}" y="{_HEIGHT - _BOTTOM + 19}">{epoch:,}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<path class="axis" d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"/>')
    return [*parts, f'<text x="{middle}" y="{_HEIGHT - 6}">epoch</text>']


def _curve(frame: _Frame, curve: Curve) -> list[str]:
    """Draw a line through neighbouring values, and dots where they are few or stand alone."""
    line, dots = "", []
    values = [None, *(value for _, value in curve.points), None]
    for i, (epoch, value) in enumerate(curve.points):
        if value is None:
            continue
        line += f"{'M' if values[i] is None else 'L'}{frame.x(epoch)} {frame.y(value)}"
        if len(curve.points) <= _DOTS or values[i] is values[i + 2] is None:
            name = escape(f"{curve.name}, epoch {epoch}: {figure(value)}")
            dots.append(
                f'<circle class="{curve.css}" cx="{frame.x(epoch)}" cy="{frame.y(value)}" r="2">'
                f"<title>{name}</title></circle>"
            )
    return [f'<path class="curve {curve.css}" d="{line}"/>', *dots]


def _ring(frame: _Frame, epoch: int, value: float, label: str) -> list[str]:
    """Mark a point; its label stands above all curves."""
    x, share = frame.x(epoch), epoch / frame.last
    side = "start" if share < 0.3 else "end" if share > 0.7 else "middle"
    return [
        f'<circle class="ring" cx="{x}" cy="{frame.y(value)}" r="6"/>',
        f'<text class="told {side}" x="{x}" y="{_TOP - 9}">{escape(label)}</text>',
    ]
