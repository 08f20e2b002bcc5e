"""A study's page: its question, what its claims come to, its tables."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vecpress import drawing
from vecpress.studies.outcomes import Decision
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.tables import (
    Table,
    benchmark_tables,
    claims_table,
    mean_table,
    training_table,
)

_STYLE = """
td:first-child, th:first-child { text-align: left; }
table.claims tr.claim td { border-top: 1px solid currentColor; padding-top: .6rem; }
table.claims tr.claim td { white-space: normal; }
table.claims td:first-child { white-space: normal; min-width: 16rem; }
table.claims td:last-child { white-space: normal; }
"""


def render_study(
    study: StudyRecipe,
    results: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decision],
    *,
    command: str = "",
) -> str:
    """Draw a study as one HTML file: no script, no network."""
    sections = [_claims(study, decisions), _section("Means", [mean_table(study, results)])]
    if trained := training_table(study, results):
        sections.append(_section("Training", [trained]))
    if tables := benchmark_tables(study, results):
        sections.append(_section("Each benchmark", tables))
    seeds = f"{len(study.seeds)} seeds" if len(study.seeds) > 1 else "one seed"
    lead = f"{escape(study.question)} {escape(study.notes)}".strip()
    hint = f"{escape(', '.join(study.benchmarks))}; {seeds}. Test judgements only score."
    return drawing.page(
        sections,
        title=study.title,
        heading=study.title,
        lead=lead,
        hint=hint,
        command=command,
        style=_STYLE,
    )


def _claims(study: StudyRecipe, decisions: Sequence[Decision]) -> str:
    if not decisions:
        return ""
    table = claims_table(study, decisions)
    findings = "".join(
        f"<p><b>{escape(claim.says)}</b> {escape(claim.finding)}</p>"
        for claim in study.claims
        if claim.finding
    )
    return f'<section id="claims"><h2>Claims</h2>{_html(table, css="claims")}{findings}</section>'


def _section(heading: str, tables: Sequence[Table]) -> str:
    return f"<section><h2>{escape(heading)}</h2>{''.join(map(_html, tables))}</section>"


def _html(table: Table, *, css: str = "") -> str:
    lines = []
    for row in table.rows:
        css_class = ' class="claim"' if row[0].startswith("**") else ""
        cells = "".join(f"<td>{_bold(cell)}</td>" for cell in row)
        lines.append(f"<tr{css_class}>{cells}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    return (
        f'<div class="scroll"><table class="{css}"><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _bold(cell: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(cell))
