"""One benchmark of the report: what was won, what was lost, and how the numbers were made."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from statistics import fmean, stdev

from vecpress.entries import SURE, Entry, Result, Verdict, choices, judge, number, texts
from vecpress.per_query import MOST, has_queries, paired
from vecpress.report_plots import frontier, legend, scatter
from vecpress.report_tables import (
    TESTED,
    Cell,
    budget_table,
    cells_of,
    full_table,
    recovery_cells,
    unbudgeted,
    with_spread,
)

KEPT = 0.95
"""The recovery that the headline asks for."""


def section(entries: Sequence[Entry], *, anchor: str) -> str:
    """Draw what is known of one setting.

    Args:
        entries: At least one, all of it.
        anchor: Id of the section, and beginning of its rows' ids.
    """
    setting = entries[0].setting
    rows = [f"{anchor}-{number}" for number in range(len(entries))]
    told = f"<p class='conditions'>{escape(setting.conditions)}</p>" if setting.conditions else ""
    return (
        f'<section id="{anchor}"><h2>{escape(setting.benchmark)}</h2>{told}'
        f"{headline(entries)}{counterpart(entries)}"
        f'<figure class="pareto" data-start="{_start(entries, rows)}">'
        f'<div>{frontier(entries, rows)}<figcaption class="legend">{legend(entries)}</figcaption>'
        '</div><div class="panel" aria-live="polite" hidden></div></figure>'
        f"{_recoveries(entries)}{full_table(entries, rows)}{_queries(entries)}"
        f"{_making([run for entry in entries for run in entry.runs])}</section>"
    )


def headline(entries: Iterable[Entry]) -> str:
    """Say in one sentence what was won: the smallest code that keeps 95 %, or the best there is."""
    best = _best(entries)
    if best is None:
        return ""
    factor = best.mean("compression_factor")
    smaller = "" if factor is None else f": {factor:,.0f} times smaller"
    return (
        f"<p class='headline'><b>{best.size:,} bytes</b> per document keep "
        f"<b>{100 * best.recovery:.1f} %</b> of the raw concatenation's nDCG@10{smaller}.</p>"
    )


def _best(entries: Iterable[Entry]) -> Entry | None:
    chosen = [entry for entry in entries if entry.group == "chosen"]
    good = [entry for entry in chosen if entry.recovery >= KEPT]
    if good:
        return min(good, key=lambda entry: entry.size)
    return max(chosen, key=lambda entry: entry.recovery, default=None)


def _start(entries: Sequence[Entry], rows: Sequence[str]) -> str:
    """Give the row that the panel shows first: the headline's."""
    best = _best(entries)
    return rows[0 if best is None else list(entries).index(best)]


def counterpart(entries: Sequence[Entry]) -> str:
    """Say in one sentence what beats the choice at its own budget, or that nothing does."""
    chosen = choices(entries)
    if not chosen:
        return ""
    rivals = [e for e in entries if e.budget is not None and e.group != "chosen"]
    judged = [(e, judge(e, chosen.get((e.setting, e.budget)))) for e in rivals if e.budget]
    beaten = [(entry, verdict) for entry, verdict in judged if verdict.better]
    if beaten:
        return f"<p class='counterpart'>{_beaten(beaten)}</p>"
    tested = sum(verdict.tested > 0 for _, verdict in judged)
    if not tested:
        return _untested(rivals, chosen.values())
    left = len(judged) - tested
    more = f" ({left} of {len(judged)} rows were not tested)" if left else ""
    return (
        "<p class='counterpart'>No row is significantly better than the choice for the same "
        f"budget{more}.</p>"
    )


def _beaten(beaten: Iterable[tuple[Entry, Verdict]]) -> str:
    """Name what beats the choice, budget by budget."""
    told: dict[int, list[str]] = {}
    for entry, verdict in sorted(beaten, key=lambda pair: pair[0].budget or 0):
        runs = f" in {verdict.better} of {verdict.tested} runs" if verdict.tested > 1 else ""
        told.setdefault(entry.budget or 0, []).append(f"<b>{escape(entry.name)}</b>{runs}")
    parts = [f"at {budget:,} B {' and '.join(names)}" for budget, names in told.items()]
    return f"Significantly better than the choice (p &lt; {SURE:g}): {'; '.join(parts)}."


def _untested(rivals: Iterable[Entry], chosen: Iterable[Entry]) -> str:
    """Say where others score higher, if no test was recorded."""
    scores = {entry.budget: entry.ndcg for entry in chosen}
    higher = {e.budget for e in rivals if e.budget in scores and e.ndcg > scores[e.budget]}
    if not higher:
        return ""
    named = " and ".join(f"{budget:,}" for budget in sorted(filter(None, higher)))
    return (
        f"<p class='counterpart'>At {named} B another row scores higher than the choice; "
        "whether that is luck was not tested.</p>"
    )


def _recoveries(entries: Sequence[Entry]) -> str:
    lines = recovery_cells(entries)
    table = budget_table(lines, caption="Recovery in % of the raw concatenation's nDCG@10")
    has_tests = any(number(run, "p_chosen") is not None for e in entries for run in e.runs)
    note = f"<p class='note'>{TESTED}</p>" if table and has_tests else ""
    return f"<h3>What each budget keeps</h3>{table}{note}{unbudgeted(entries)}"


def _queries(entries: Sequence[Entry]) -> str:
    """Draw the choices query by query, and what the worst tenth of queries loses."""
    raw = next((entry for entry in entries if entry.group == "concatenation"), None)
    plots = [_query_plot(e, raw) for e in entries if e.group == "chosen" and e.budget is not None]
    lines = cells_of(entries, lambda entry: _worst(entry, raw))
    if not lines:
        return ""
    fits = len([entry for entry in entries if paired(entry, raw)])
    left = len([entry for entry in entries if any(map(has_queries, entry.runs))]) - fits
    rows = "1 row is" if left == 1 else f"{left} rows are"
    odd = f" {rows} left out: the queries do not fit." if left else ""
    drawn = "".join(plots)
    return (
        "<h3>Query by query</h3>"
        + (f'<figure class="queries">{drawn}</figure>' if drawn else "")
        + (f"<p class='note'>{_READING}</p>" if drawn else "")
        + budget_table(
            lines, caption="Mean loss of nDCG@10 over the tenth that loses most", is_loss=True
        )
        + f"<p class='note'>Over all queries, against the raw concatenation.{odd}</p>"
    )


_READING = """Each dot is a query, or several that score the same (the more, the larger): across its
nDCG@10 with the raw concatenation, upwards with the choice's codes. Above the line codes are
better."""


def _query_plot(entry: Entry, raw: Entry | None) -> str:
    found = paired(entry, raw)
    if not found:
        return ""
    pairs = found[0]
    better, equal, worse = (f"{100 * share:.0f} %" for share in pairs.shares)
    seed = f", seed {entry.runs[0].get('seed')}" if len(entry.runs) > 1 else ""
    count = len(pairs.raw)
    drawn = f"{count:,}" if count <= MOST else f"{MOST:,} of {count:,}, evenly drawn"
    told = f"of queries {better} better, {equal} equal, {worse} worse"
    label = f"{entry.budget} bytes{seed}: {told} with codes than with the raw concatenation"
    return (
        f"<div><h4>{entry.budget:,} B<small>{escape(seed)}</small></h4>"
        f"{scatter(pairs, label=label)}"
        f"<p>{better} better, {equal} equal, {worse} worse<small>{drawn} queries</small></p></div>"
    )


def _worst(entry: Entry, raw: Entry | None) -> Cell | None:
    losses = [pairs.worst_tenth for pairs in paired(entry, raw)]
    if not losses:
        return None
    mean = fmean(losses)
    return Cell(mean, with_spread(mean, stdev(losses) if len(losses) > 1 else None, 3))


def _making(runs: Sequence[Result]) -> str:
    """Say how the rows were made, as far as they tell."""
    terms = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _made_with(runs) if value)
    return f"<h3>How it was made</h3><dl class='making'>{terms}</dl>"


def _made_with(runs: Sequence[Result]) -> Iterator[tuple[str, str]]:
    yield "command", "<br>".join(f"<code>{escape(c)}</code>" for c in texts(runs, "command"))
    yield "date", escape(", ".join(texts(runs, "date")))
    versions = [run["versions"] for run in runs if isinstance(run.get("versions"), dict)]
    yield "vecpress", escape(", ".join(texts([*runs, *versions], "vecpress")))
    yield "machine", escape(", ".join(texts(runs, "machine")))
    seeds = {int(seed) for run in runs if (seed := number(run, "seed")) is not None}
    yield "seeds" if len(seeds) > 1 else "seed", ", ".join(str(seed) for seed in sorted(seeds))
    yield "fitted on", escape(", ".join(texts(runs, "fitted_on")))
    documents = {int(n) for run in runs if (n := number(run, "documents")) is not None}
    yield "documents", ", ".join(f"{count:,}" for count in sorted(documents))
    learned = {str(p["judgements"]) for run in runs if "judgements" in (p := _pairs(run))}
    yield "judgements learned from", escape(", ".join(sorted(learned)))


def _pairs(run: Result) -> dict[str, object]:
    pairs = run.get("pairs")
    return pairs if isinstance(pairs, dict) else {}
