"""A training log in, one HTML file out: what each stage learned, and why it kept what it kept."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

from vecpress import drawing
from vecpress.coordinates import draw_coordinates, shares_of
from vecpress.drawing import LEAST, Curve, Mark, figure
from vecpress.training_log import Row, Stage, listed, stages_of

_LEAD = """Each stage is judged on rows it never trains on, before its first epoch and after each.
It keeps its best epoch (its last, where that was asked for), or its starting point where the best
epoch's gain may be luck (a paired test over the rows that judge, p &ge; 0.05)."""
_COLOURS = 8
_MISSING = "&ndash;"


def render_log(rows: Iterable[Row], *, title: str, command: str = "") -> str:
    """Draw every stage of a training log, after a table of them all.

    Args:
        rows: In the order told; see docs/format.md.
        title: What was trained.
        command: What makes the page, for its last line.
    """
    stages = stages_of(rows)
    models = dict.fromkeys(name for stage in stages for name in shares_of(stage.coordinates))
    colours = {name: f"c{place % _COLOURS}" for place, name in enumerate(models)}
    sections = [_section(stage, place, colours) for place, stage in enumerate(stages, start=1)]
    return drawing.page(
        [_overview(stages) if stages else "<p>This log tells of no stage.</p>", *sections],
        title=f"training of {title}",
        heading=f"Training of {title}",
        lead=_LEAD,
        hint="Points show their value when hovered.",
        command=command,
        style=files("vecpress").joinpath("training.css").read_text(encoding="utf-8"),
    )


def _overview(stages: Sequence[Stage]) -> str:
    head = [
        "",
        "stage",
        "kept",
        "epochs run",
        "figure at start",
        "figure kept",
        "change",
        "coordinates kept",
    ]
    heads = "".join(f"<th>{name}</th>" for name in head)
    rows = "".join(_overview_row(stage, place) for place, stage in enumerate(stages, start=1))
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _overview_row(stage: Stage, place: int) -> str:
    css = "chosen" if stage.kept_epoch else "single-model"
    kept = "?" if stage.kept_epoch is None else f"epoch {stage.kept_epoch}"
    start, held_out, change = stage.start, stage.held_out, _MISSING
    if stage.kept_epoch and start is not None and held_out is not None:
        change = ("+" if held_out >= start else "") + figure(held_out - start)
    row = stage.coordinates or {}
    widths = [len(listed(row.get(name))) for name in ("kept", "importance")]
    cells = [
        "start" if stage.kept_epoch == 0 else kept,
        f"{stage.last:,}",
        *(_MISSING if value is None else figure(value) for value in (start, held_out)),
        change,
        f"{widths[0]:,} of {widths[1]:,}" if all(widths) else _MISSING,
    ]
    return (
        f'<tr><td><svg viewBox="0 0 14 14"><circle class="{css}" cx="7" cy="7" r="5"/></svg></td>'
        f'<th><a href="#stage-{place}">{escape(stage.name)}</a>'
        f"<small>{escape(stage.figure)}</small></th>"
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _section(stage: Stage, place: int, colours: Mapping[str, str]) -> str:
    return (
        f'<section id="stage-{place}"><h2>{escape(stage.name)}</h2>'
        f'<p class="headline">{_sentence(stage)}</p>{_curves(stage)}{_gradients(stage)}'
        f"{draw_coordinates(stage.coordinates, colours=colours)}</section>"
    )


def _sentence(stage: Stage) -> str:
    """Say which epoch was kept, and why."""
    name, start, held_out = escape(stage.figure), stage.start, stage.held_out
    if stage.kept_epoch is None:
        return "The log does not say what was kept: did training end early?"
    if stage.kept_epoch == 0:
        told = "" if start is None else f" ({figure(start)})"
        return (
            f"Kept the <b>starting point</b>: in {_epochs(stage.last)}, training did not surely "
            f"improve its {name}{told}."
        )
    told = f"Kept <b>epoch {stage.kept_epoch}</b> of {stage.last}"
    if start is None or held_out is None:
        return f"{told}."
    told += f": {name} went from {figure(start)} to <b>{figure(held_out)}</b>"
    after = stage.last - stage.kept_epoch
    return f"{told}; {after:,} more brought nothing better." if after > 0 else f"{told}."


def _epochs(count: int) -> str:
    return f"{count:,} epoch{'s' * (count != 1)}"


def _curves(stage: Stage) -> str:
    """Draw loss and held-out figure side by side, with what was kept."""
    if not stage.epochs:
        return ""
    losses = [(epoch.number, epoch.loss) for epoch in stage.epochs]
    judged = [(epoch.number, epoch.held_out) for epoch in stage.epochs]
    kept, held_out = stage.kept_epoch, stage.held_out
    mark = None if kept is None or kept > stage.last else Mark(kept)
    full = None
    if mark is not None and held_out is not None:
        what = f"epoch {kept}" if kept else "start"
        full = Mark(mark.epoch, held_out, f"{what}: {figure(held_out)}")
    charts = [
        _chart("Training loss", [Curve("loss", "c0", losses)], stage.last, mark=mark),
        _chart(
            stage.figure[:1].upper() + stage.figure[1:],
            [Curve(stage.figure, "c2", judged)],
            stage.last,
            mark=full or mark,
            level=stage.start,
        ),
    ]
    notes = [
        f"{name}: no finite number in {_epochs(count)}."
        for name, curve in (("Loss", losses), (stage.figure, judged))
        if (count := sum(value is None for epoch, value in curve if epoch or curve is judged))
    ]
    return _figure(charts, "".join(f"<p>{escape(note)}</p>" for note in notes))


def _gradients(stage: Stage) -> str:
    """Draw size and variance of the gradients, a curve for each band of rows."""
    names = list(dict.fromkeys(name for epoch in stage.epochs for name in epoch.bands))
    if not names:
        return ""
    charts, notes = [], []
    for place, title in enumerate(("Gradient size", "Gradient variance")):
        curves, zeros = [], 0
        for number, name in enumerate(names):
            told = [(e.number, e.bands.get(name, (None, None))[place]) for e in stage.epochs]
            shown = [(n, v if v is not None and v >= LEAST else None) for n, v in told]
            zeros += sum(v is not None for _, v in told) - sum(v is not None for _, v in shown)
            curves.append(Curve(f"rows {name}", f"c{number % _COLOURS}", shown))
        charts.append(_chart(title, curves, stage.last, is_log=True))
        if zeros:
            notes.append(f"<p>{title}: {zeros:,} zeros are not drawn.</p>")
    keys = "".join(
        f'<span class="key"><i class="c{number % _COLOURS}"></i>rows {escape(name)}</span>'
        for number, name in enumerate(names)
    )
    return _figure(charts, keys + "".join(notes))


def _chart(
    title: str,
    curves: Sequence[Curve],
    last: int,
    *,
    is_log: bool = False,
    mark: Mark | None = None,
    level: float | None = None,
) -> str:
    values = [value for curve in curves for _, value in curve.points if value is not None]
    head = f"<h3>{escape(title)}{' <small>log scale</small>' if is_log else ''}</h3>"
    if not values:
        return f"<div>{head}<p>Nothing to draw.</p></div>"
    extra = [value for value in (level, None if mark is None else mark.value) if value is not None]
    scale = drawing.log_scale(values) if is_log else drawing.linear_scale(values + extra)
    chart = drawing.line_chart(
        curves, scale, label=f"{title} over epochs", last=max(last, 1), mark=mark, level=level
    )
    return f"<div>{head}{chart}</div>"


def _figure(charts: Sequence[str], caption: str) -> str:
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><div class="pair">{"".join(charts)}</div>{told}</figure>'
