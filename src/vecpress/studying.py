"""The verb that runs studies."""

import json as json_lines
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vecpress import arguments, options, screen
from vecpress.report import Ledger, write_page
from vecpress.studies.outcomes import Decision, decide
from vecpress.studies.page import render_study
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.run import beside, run_study
from vecpress.studies.tables import summed_up


def study(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="TOML file of a study: arms and claims.")
    ],
    out: options.Out,
    data: Annotated[
        Path,
        typer.Option(envvar="VECPRESS_DATA", help="Folder of the benchmarks, each in BEIR layout."),
    ] = Path("../shared/data"),
    models: Annotated[
        str, typer.Option(help="Take the place of the study's first models: bge-small,e5-small.")
    ] = "",
    cache: options.Cache = options.CACHE,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Run a study and hold its claims against it: results.jsonl, claims.jsonl, report.html.

    What results.jsonl in --out holds already is not run again: an interrupted study goes on.
    """
    arguments.check_results(out, overwrite=overwrite)
    with beside(recipe.parent):
        plan = StudyRecipe.read(recipe, models=arguments.words(models) if models else ())
        ledger = Ledger(out, anew=overwrite)
        with screen.progress() as progress:
            results = run_study(
                plan,
                data=data,
                cache=cache,
                known=ledger.known,
                keep=ledger.keep,
                progress=progress,
            )
    decisions = decide(plan, results)
    command = arguments.typed("study", str(recipe), models=models, out=str(out))
    write_claims(out / "claims.jsonl", plan, decisions)
    page = render_study(plan, results, decisions, command=command)
    write_page(out / "report.html", page)
    if json:
        screen.dump({"study": plan.name, "claims": [d.to_dict() for d in decisions]})
        return
    for claim, decision in zip(plan.claims, decisions, strict=True):
        told = summed_up(claim, decision)
        screen.OUT.print(decision.status, style="bold", end=": ")
        screen.OUT.print(claim.says, highlight=False, markup=False)
        screen.OUT.print(f"    {told}", highlight=False, markup=False)
    screen.say(f"{ledger.path}, {out}/claims.jsonl, {out}/report.html")


def write_claims(path: Path, plan: StudyRecipe, decisions: Sequence[Decision]) -> None:
    """Write one line per claim.

    Raises:
        DataError: it cannot be written.
    """
    rows: list[dict[str, Any]] = [{"study": plan.name, **d.to_dict()} for d in decisions]
    write_page(path, "".join(json_lines.dumps(row, sort_keys=True) + "\n" for row in rows))
