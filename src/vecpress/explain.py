"""What the command line shows of a choice: which models, which head and code, and why."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from vecpress.budget import Choice
from vecpress.plan import Plan, Prepared
from vecpress.screen import OUT, say, start_table
from vecpress.suggest import Suggestion
from vecpress.weighing import Step

_SHOWN = 5  # trials, unless all are asked for


def planned(plan: Plan | None, *, explain: bool) -> None:
    """Show the models and codes that were tried, best first; all of them if that is asked for."""
    if plan is None:
        return
    for line in weighed(plan.prepared):
        say(escape(line))
    if explain and plan.prepared.steps:
        OUT.print(steps_table(plan.prepared.steps, plan.prepared.models))
    OUT.print(trials_table(plan.choice, shown=None if explain else _SHOWN))
    if explain:
        for line in meaning(plan):
            say(line)


def weighed(prepared: Prepared) -> list[str]:
    """Say which models count, how much, and which were left out."""
    weights = prepared.weights
    if weights is None:
        return [prepared.note] if prepared.note else []
    said = ", ".join(f"{prepared.models[i]} {share:g}" for i, share in sorted(weights.items()))
    lines = [f"Models by their share of the cosine: {said}."]
    left_out = [name for i, name in enumerate(prepared.models) if i not in weights]
    if left_out:
        lines.append(
            f"Left out, for sentences found their documents no better with them: "
            f"{', '.join(left_out)}. To keep every model: --weights "
            f"{','.join('1' for _ in prepared.models)}"
        )
    return lines


def steps_table(steps: Sequence[Step], models: Sequence[str]) -> Table:
    """Show how models were added, one after another."""
    table = start_table("Models, added one after another:", "share of each model")
    for heading in ("quality", "p"):
        table.add_column(heading, justify="right")
    for number, step in enumerate(steps):
        shares = ", ".join(f"{models[i]} {share:g}" for i, share in step.weights.items())
        p_value = "" if number == 0 else f"{step.p_value:.3f}"
        table.add_row(escape(shares), f"{step.quality:.3f}", p_value)
    return table


def trials_table(choice: Choice, *, shown: int | None) -> Table:
    """Show ways to spend a budget, best first."""
    trials = choice.trials[:shown]
    title = f"{len(choice.trials)} ways to spend {choice.budget} bytes were tried"
    table = start_table(title + ("; the best:" if len(trials) < len(choice.trials) else ":"), "")
    table.columns[0].header = "head and code"
    table.add_column("bytes", justify="right")
    asked = list(trials[0].kept)
    for name in [*asked, "mean"]:
        table.add_column(f"{name} %", justify="right")
    table.add_column("s", justify="right")
    for i, trial in enumerate(trials):
        mark = "[bold green]" if i == 0 else ""
        kept = [f"{100 * value:.1f}" for value in (*trial.kept.values(), trial.worth)]
        cells = (str(trial), str(trial.candidate.code_bytes), *kept, f"{trial.seconds:.1f}")
        table.add_row(*(f"{mark}{cell}" for cell in cells))
    return table


def meaning(plan: Plan) -> list[str]:
    """Say in words what the columns mean, and what was fitted and searched."""
    choice = plan.choice
    others = choice.searched - choice.shared
    where = f"{choice.searched:,}, {others:,} of them others" if others else "the same"
    lines = [
        f"Every way was fitted on {choice.fitted_on:,} documents and judged on {where}. 100 % is "
        "as good as the floats; above it, better."
    ]
    probes = plan.prepared.probes
    played = "Documents" if probes is None else f"{len(probes.queries):,} sentences of them"
    lines.append(
        f"{played} played the queries. First: they find the document that they find in float; "
        "ten: the ten that they find in float, the first counting most."
    )
    if probes is not None:
        lines.append("Source: they find the document that they were taken from.")
    if "judged" in choice.trials[0].kept:
        lines.append(
            "Judged: nDCG@10 of the judgements given, which count the more the more there are."
        )
    lines.append("Chosen: the way that keeps most.")
    return lines


def suggestion(found: Suggestion, corpus: str) -> None:
    """Show what each model adds and costs, and what to type next."""
    names = [cost.model for cost in found.costs]
    title = f"{found.questions:,} sentences looked for what is left of their documents:"
    table = start_table(title, "models and shares")
    table.columns[0].no_wrap = False  # figures are never cut; names may wrap
    for heading in ("quality", "gain", "p", "query ms", "floats B"):
        table.add_column(heading, justify="right", no_wrap=True)
    alone = sorted(found.alone, key=lambda s: -s.quality)
    groups = [("alone", alone), ("added one after another", found.steps[1:])]
    groups.append(("left out: adding it would give", found.rejected))
    for title, steps in groups:
        if steps:
            table.add_row(f"[dim]{title}[/dim]")
        before = found.steps[0].quality if title.startswith("added") else found.steps[-1].quality
        for step in steps:
            shares = ", ".join(f"{names[i]} {share:g}" for i, share in step.weights.items())
            gain = "" if title == "alone" else f"{step.quality - before:+.3f}"
            before = step.quality if title.startswith("added") else before
            table.add_row(
                f"  {escape(shares)}",
                f"{step.quality:.3f}",
                gain,
                "" if title == "alone" else f"{step.p_value:.3f}",
                f"{found.query_ms(step):.1f}",
                f"{found.float_bytes(step):,}",
            )
    OUT.print(table)
    models, weights = ",".join(found.models), ",".join(f"{w:g}" for w in found.weights)
    shares = f" --weights {weights}" if len(found.models) > 1 else ""
    said = f"vecpress fit {corpus} --models {models}{shares} --budget 64B --out PRESS"
    say(f"Next: {escape(said)}")
