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
.caption { color: var(--soft); font-size: .85rem; margin: 1.5rem 0 0; }
.caption + .scroll { margin-top: 0; }
table.claims td:first-child { white-space: normal; min-width: 14rem; }
table.claims td:last-child { white-space: normal; }
table.claims tr.claim td { padding-top: 1rem; }
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
    asked = f"Source: {escape(study.source)}. " if study.source else ""
    hint = f"{asked}{escape(', '.join(study.benchmarks))}; {seeds}. Test judgements only score."
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
    head = "".join(f"<th>{escape(name)}</th>" for name in table.head)
    caption = escape(table.caption)
    return (
        f'<p class="caption">{caption}</p><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{caption}"><table class="{css}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(map(_line, table.rows))}</tbody></table></div>"
    )


def _line(row: Sequence[str]) -> str:
    """Write a row; a claim takes all columns but that of its verdict."""
    first, *others, last = (_bold(cell) for cell in row)
    if row[0].startswith("**") and not any(others):
        wide = len(row) - 1
        return f'<tr class="claim"><td colspan="{wide}">{first}</td><td>{last}</td></tr>'
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in (first, *others, last))}</tr>"


def _bold(cell: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(cell))
