"""The tables of the frontier, from its committed results: part of docs/generate.py."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
Rows = list[dict[str, Any]]
MEAN_OVER = ("cranfield", "scifact", "squad11-dev")
CHOICE = "vecpress --budget"


def read(name: str) -> Rows:
    """Read a committed results file."""
    lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def head(*titles: str) -> list[str]:
    """Begin a table."""
    return ["|" + "|".join(f" {title} " if title else " " for title in titles) + "|",
            "|---" * len(titles) + "|"]  # fmt: skip


def spread(values: list[float]) -> str:
    """Give a mean, and how far apart several are."""
    if len(values) < 2:
        return f"{fmean(values):.1f}"
    return f"{fmean(values):.1f} ± {stdev(values):.1f}"


def float_table() -> str:
    """Show nDCG@10 of single models and their concatenation, in float32."""
    rows = [r for r in read("frontier.jsonl") if r["fitted_on"] == r["benchmark"]]
    rows = [r for r in rows if r["group"] in ("single model", "concatenation")]
    names = list(dict.fromkeys(r["benchmark"] for r in rows))
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for row in sorted(rows, key=lambda r: (len(r["models"]), r["group"] == "concatenation")):
        scores[row["method"]][row["benchmark"]] = row["ndcg@10"]
    order = sorted(scores, key=lambda method: method.count("+"))
    lines = head("nDCG@10, float32", *names)
    for method in order:
        cells = (f"{scores[method][name]:.4f}" for name in names)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def mean_table() -> str:
    """Show the mean recovery of every method with two models, fitted on the collection."""
    rows = [r for r in read("frontier.jsonl") if r["budget"] and len(r["models"]) == 2]
    lines = []
    for fitted_on, title in ((None, "the collection"), ("wikipedia-29k", "Wikipedia")):
        mine = [r for r in rows if (r["fitted_on"] == (fitted_on or r["benchmark"]))]
        mine = [r for r in mine if r["benchmark"] in MEAN_OVER]
        budgets = sorted({r["budget"] for r in mine})
        if not lines:
            lines += head("nDCG@10 kept, %; fitted on", *(f"{b} B" for b in budgets))
        table = {}
        for method in dict.fromkeys(r["method"] for r in mine):
            cells = [_mean([r for r in mine if (r["method"], r["budget"]) == (method, b)])
                     for b in budgets]  # fmt: skip
            table[method] = cells
        for method in sorted(table, key=lambda m: (m != CHOICE, -(table[m][-1] or 0))):
            cells = [("-" if c is None else f"{c:.1f}") for c in table[method]]
            name = f"**{method}**" if method == CHOICE else method
            lines.append(f"| {name}; {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(rows: Rows) -> float | None:
    """Average over seeds, then over collections; None unless all are there."""
    by_name = defaultdict(list)
    for row in rows:
        by_name[row["benchmark"]].append(100 * row["recovery"])
    return fmean(map(fmean, by_name.values())) if len(by_name) == len(MEAN_OVER) else None


def short_table() -> str:
    """Show two models fitted on the collection."""
    rows = [r for r in read("frontier.jsonl") if r["fitted_on"] == r["benchmark"]]
    return _cells([r for r in rows if r["budget"] and len(r["models"]) == 2])


def frontier_table() -> str:
    """Show in every cell the choice, and the best baseline with its paired test."""
    return _cells([r for r in read("frontier.jsonl") if r["budget"]])


def _cells(rows: Rows) -> str:
    budgets = sorted({r["budget"] for r in rows})
    lines = head("nDCG@10 kept, %: the choice / best baseline", *(f"{b} B" for b in budgets))
    settings = dict.fromkeys((r["benchmark"], tuple(r["models"]), r["fitted_on"]) for r in rows)
    for name, models, fitted_on in sorted(settings, key=lambda s: (len(s[1]), s[2] != s[0], s[0])):
        cells = []
        for budget in budgets:
            cell = [r for r in rows if (r["benchmark"], tuple(r["models"]), r["fitted_on"],
                    r["budget"]) == (name, models, fitted_on, budget)]  # fmt: skip
            cells.append(_cell(cell))
        where = "itself" if fitted_on == name else "Wikipedia"
        lines.append(f"| {name}, {len(models)} models, {where} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Rows) -> str:
    """Write the choice, the best baseline, and a sign where a paired test tells them apart."""
    chosen = [100 * r["recovery"] for r in rows if r["group"] == "chosen"]
    others: dict[str, Rows] = defaultdict(list)
    for row in rows:
        if row["group"] == "baseline":
            others[row["method"]].append(row)
    best = max(others, key=lambda m: fmean(r["recovery"] for r in others[m]))
    value = 100 * fmean(r["recovery"] for r in others[best])
    p = others[best][0]["p_choice"]
    sign = "=" if p >= 0.05 else ("+" if fmean(chosen) > value else "-")
    return f"{spread(chosen)} {sign} {value:.1f} ({best})"


def proxy_table() -> str:
    """Show how well each label-free rule ranks, and what its choice loses."""
    rows = [r for r in read("proxies.jsonl") if "rule" in r]
    lines = head("rule", "regret, mean", "worst", "fair regret, mean", "worst",
                 "rank correlation, mean", "least")  # fmt: skip
    for rule in dict.fromkeys(r["rule"] for r in rows):
        mine = [r for r in rows if r["rule"] == rule]
        regret, fair, rank = (
            [r[name] for r in mine] for name in ("regret", "fair_regret", "rank_correlation")
        )
        lines.append(
            f"| {rule} | {fmean(regret):.2f} | {max(regret):.2f} | {fmean(fair):.2f} | "
            f"{max(fair):.2f} | {fmean(rank):.2f} | {min(rank):.2f} |"
        )
    return "\n".join(lines)


def weight_table() -> str:
    """Show the float score of equal weights, of what was chosen with each seed, and the best."""
    rows = read("weights.jsonl")
    titles = ("best single", "equal", "chosen, three draws", "best of all", "rank correlation")
    lines = head("nDCG@10 x 100, float32", *titles)
    for name, models in dict.fromkeys((r["benchmark"], tuple(r["models"])) for r in rows):
        mine = [r for r in rows if (r["benchmark"], tuple(r["models"])) == (name, models)]
        tried = [r for r in mine if "weights" in r]
        score = [r["ndcg@10"] for r in tried]
        equal = next(r for r in tried if list(r["weights"].values()) == [1.0] * len(models))
        alone = max(r["ndcg@10"] for r in tried if len(r["weights"]) == 1)
        chosen = ", ".join(f"{100 * r['ndcg@10']:.1f}" for r in mine if "chosen" in r)
        ranks = fmean(_rank_correlation([r["quality"][s] for r in tried], score) for s in range(3))
        lines.append(
            f"| {name}, {len(models)} models | {100 * alone:.1f} | {100 * equal['ndcg@10']:.1f} | "
            f"{chosen} | {100 * max(score):.1f} | {ranks:.2f} |"
        )
    return "\n".join(lines)


def _rank_correlation(one: list[float], other: list[float]) -> float:
    """Correlate ranks (Spearman); there are no ties here."""
    ranks = [sorted(range(len(x)), key=x.__getitem__) for x in (one, other)]
    places = [{i: place for place, i in enumerate(order)} for order in ranks]
    n = len(one)
    total = sum((places[0][i] - places[1][i]) ** 2 for i in range(n))
    return 1 - 6 * total / (n * (n * n - 1))


def listwise_table() -> str:
    """Show what training a head for its codes gains."""
    rows = read("listwise.jsonl")
    names = list(dict.fromkeys(r["benchmark"] for r in rows))
    lines = head("nDCG@10 kept, %", "way", *names, "mean")
    for code, way in dict.fromkeys((r["code"], r["way"]) for r in rows):
        found = [100 * r["recovery"] for name in names for r in rows
                 if (r["benchmark"], r["code"], r["way"]) == (name, code, way)]  # fmt: skip
        cells = [f"{value:.1f}" for value in (*found, fmean(found))]
        lines.append(f"| {code} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def codes_table() -> str:
    """Show quantizers at equal bytes behind the same head: the mean over collections."""
    rows = read("codes.jsonl")
    budgets = sorted({r["budget"] for r in rows})
    lines = head("nDCG@10 kept, %", *(f"{b} B" for b in budgets), "tables at 64 B, kB")
    for quantizer in dict.fromkeys(r["quantizer"] for r in rows):
        mine = [r for r in rows if r["quantizer"] == quantizer]
        found = [[100 * r["recovery"] for r in mine if r["budget"] == b] for b in budgets]
        tables = [r["table_bytes"] / 1000 for r in mine if r["budget"] == 64]
        cells = [f"{fmean(values):.1f}" if values else "-" for values in found]
        cells.append(f"{tables[0]:,.0f}" if tables else "-")
        lines.append(f"| {quantizer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed_table() -> str:
    """Show how long the choice takes."""
    lines = head("29,494 x 640, two cores", "ways tried", "seconds to choose", "to fit", "chosen")
    for r in read("budget-speed.jsonl"):
        lines.append(
            f"| {r['budget']} B | {r['tried']} | {r['choose_seconds']} | {r['fit_seconds']} | "
            f"{r['chosen']} |"
        )
    return "\n".join(lines)


TABLES = {
    "budget-speed": speed_table,
    "floats": float_table,
    "frontier": frontier_table,
    "frontier-short": short_table,
    "frontier-mean": mean_table,
    "proxies": proxy_table,
    "weights": weight_table,
    "listwise": listwise_table,
    "codes": codes_table,
}
