"""Write what can be derived: docs/cli.md from --help, the tables of README and docs from results.

python docs/generate.py            writes
python docs/generate.py --check    exits 1 if a file is not current
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import edge_tables
import frontier_tables
import method_tables
import performance_tables
import study_pages
from frontier_tables import head, read, spread

ROOT = Path(__file__).parents[1]
VERBS = (
    *("demo", "fit", "encode", "index", "delete", "compact", "partition", "check", "search"),
    *("evaluate", "suggest", "compare", "report", "study", "export", "push", "serve"),
)


FILLED = (
    "README.md",
    *(f"docs/{name}.md" for name in ("edge", "experiments", "methods", "performance")),
)
"""Pages written by hand, but for their tables."""


def cli_page() -> str:
    """Print every verb's help, as a terminal of 90 columns shows it."""
    parts = ["# The commands\n\nGenerated from `--help` by `make docs`.\n"]
    for verb in ("", *VERBS):
        words = ["vecpress", *([verb] if verb else []), "--help"]
        shown = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "90", "TERM": "dumb", "NO_COLOR": "1"},
        ).stdout
        usage = "\n".join(line.rstrip() for line in shown.splitlines()).strip()
        usage = usage.replace("python -m vecpress", "vecpress")
        parts.append(f"## `{' '.join(words)}`\n\n```text\n{usage}\n```\n")
    return "\n".join(parts)


def head_table() -> str:
    """Show recovery of heads without codes: mean over seeds."""
    rows = read("spine-heads.jsonl")
    dims = sorted({r["dim"] for r in rows})
    lines = head("nDCG@10 kept, %", "trained on", *(f"{d} dims" for d in dims))
    keys = dict.fromkeys((r["benchmark"], r["method"], r["trained_on"]) for r in rows)
    for name, method, corpus in sorted(keys, key=lambda key: (key[0], key[2] == key[0])):
        cells = [
            spread([100 * r["recovery"] for r in rows if r["dim"] == dim
                     and (r["benchmark"], r["method"], r["trained_on"]) == (name, method, corpus)])
            for dim in dims
        ]  # fmt: skip
        trained_on = "itself" if corpus == name else "Wikipedia"
        lines.append(f"| {name}: {method} | {trained_on} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def loss_table() -> str:
    """Show the paper's loss per width, on unseen Wikipedia passages."""
    rows = read("spine-losses.jsonl")
    dims = sorted({r["dim"] for r in rows})
    lines = head("loss x 1000, Wikipedia", *(f"{d} dims" for d in dims))
    for method in dict.fromkeys(r["method"] for r in rows):
        by_dim = {r["dim"]: 1000 * r["loss"] for r in rows if r["method"] == method}
        lines.append(f"| {method} | " + " | ".join(f"{by_dim[d]:.2f}" for d in dims) + " |")
    return "\n".join(lines)


def adaptor_table() -> str:
    """Show nDCG@10 of trained and untrained heads; marks say where a paired test is sure."""
    rows = read("adaptors-scores.jsonl")
    dims = sorted({r["dim"] for r in rows if r["group"] != "raw"})
    lines = head("nDCG@10 x 100", "", *(f"{d} dims" for d in dims))
    keys = dict.fromkeys((r["benchmark"], r["group"], r["method"]) for r in rows)
    for name, group, method in keys:
        mine = [
            r for r in rows if (r["benchmark"], r["group"], r["method"]) == (name, group, method)
        ]
        if group == "raw":
            raw = f"raw concatenation: {100 * mine[0]['ndcg@10']:.1f}"
            lines.append(f"| **{name}**, {raw} | " + "| " * len(dims) + "|")
            continue
        cells = []
        for dim in dims:
            found = [r for r in mine if r["dim"] == dim]
            sure = all(r["p_value"] < 0.05 for r in found)
            same = {r["better"] for r in found}
            mark = {True: " +", False: " -"}[same.pop()] if sure and len(same) == 1 else ""
            cells.append(spread([100 * r["ndcg@10"] for r in found]) + mark)
        lines.append(f"| {method} | {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fresh_table() -> str:
    """Show the same on the test queries none of whose answers was one in training."""
    rows = [r for r in read("adaptors-scores.jsonl") if r["benchmark"] == "scifact"]
    dims = sorted({r["dim"] for r in rows if r["group"] != "raw"})
    queries = f"scifact, {rows[0]['fresh_queries']} of {rows[0]['queries']} test queries"
    lines = head(queries, "", *(f"{d} dims" for d in dims))
    for group, method in dict.fromkeys((r["group"], r["method"]) for r in rows):
        if group in ("untrained", "supervised"):
            cells = [
                spread([100 * r["fresh_ndcg@10"] for r in rows
                         if (r["group"], r["method"], r["dim"]) == (group, method, dim)])
                for dim in dims
            ]  # fmt: skip
            lines.append(f"| {method} | {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gradient_table() -> str:
    """Show how much larger and noisier the first layer's gradients are with all widths at once."""
    rows = read("adaptors-gradients.jsonl")
    epochs = [e for e in (1, 2, 5, 10) if e <= max(r["epoch"] for r in rows)]
    found = {(r["benchmark"], r["method"], r["epoch"]): r for r in rows}
    lines = head("MRL / SMRL, rows 0-255", *(f"epoch {e}" for e in epochs))
    for name in dict.fromkeys(r["benchmark"] for r in rows):
        pairs = [(found[name, "MRL", e], found[name, "SMRL", e]) for e in epochs]
        size, variance = (
            [_low_rows(mrl, what) / _low_rows(smrl, what) for mrl, smrl in pairs]
            for what in ("size", "variance")
        )
        relative = [v / s**2 for v, s in zip(variance, size, strict=True)]
        for label, ratios in (
            ("size", size),
            ("variance", variance),
            ("variance / size squared", relative),
        ):
            lines.append(f"| {name}: {label} | " + " | ".join(f"{r:.1f}" for r in ratios) + " |")
    return "\n".join(lines)


def _low_rows(row: dict[str, Any], what: str) -> float:
    """Average a figure over the bands of rows below 256, each as wide as it is."""
    total, width = 0.0, 0
    for band in row["gradients"]:
        first, last = map(int, band["rows"].split("-"))
        if last <= 256:
            total, width = total + band[what] * (last - first), width + last - first
    return total / width


def tuning_table() -> str:
    """Show the held-out figure, averaged over SMEC's layers, by temperature and learning rate."""
    rows = read("adaptors-tuning.jsonl")
    rates = sorted({r["learning_rate"] for r in rows})
    lines = head("held-out nDCG@10 x 100", *(f"rate {r:g}" for r in rates))
    for name, heat in dict.fromkeys((r["benchmark"], r["temperature"]) for r in rows):
        mine = [r for r in rows if (r["benchmark"], r["temperature"]) == (name, heat)]
        by_rate = [[r["held_out"] for r in mine if r["learning_rate"] == rate] for rate in rates]
        cells = [f"{100 * fmean(held_out):.1f}" for held_out in by_rate]
        lines.append(f"| {name}, temperature {heat:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def few_table() -> str:
    """Show what training on few judgements gains, with the guard and without."""
    rows = read("few-labels.jsonl")
    labels = sorted({r["labels"] for r in rows})
    lines = head("gain in nDCG@10 x 100", *(f"{n} queries" for n in labels))
    for name, method, guard in dict.fromkeys(
        (r["benchmark"], r["method"], r["guard"]) for r in rows
    ):
        cells = []
        for n in labels:
            gains = [100 * r["gain"] for r in rows if (r["benchmark"], r["method"], r["guard"],
                     r["labels"]) == (name, method, guard, n)]  # fmt: skip
            told = f"{fmean(gains):+.1f} (worst {min(gains):+.1f})" if gains else "not that many"
            cells.append(told)
        what = "guarded" if guard else "best epoch, whatever its margin"
        lines.append(f"| {name}: {method}, {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed_table() -> str:
    """Show how long a pass over 29 thousand embeddings takes."""
    lines = head("one pass over 29,494 x 640, six widths", "layers", "seconds")
    for r in read("adaptors-speed.jsonl"):
        what = "a chain, a pass per layer" if r["sequential"] else "all widths at once"
        lines.append(f"| {what} | {r['layers']} | {r['seconds']} |")
    return "\n".join(lines)


TABLES = (
    {
        "adaptors": adaptor_table,
        "few": few_table,
        "adaptor-speed": speed_table,
        "fresh": fresh_table,
        "gradients": gradient_table,
        "tuning": tuning_table,
        "heads": head_table,
        "losses": loss_table,
        "claims": study_pages.count_table,
    }
    | frontier_tables.TABLES
    | method_tables.TABLES
    | performance_tables.TABLES
    | edge_tables.TABLES
)


def filled(text: str) -> str:
    """Put fresh tables between their markers."""
    for name, table in TABLES.items():
        pattern = rf"(<!-- table:{name} -->\n)(?:\|.*?)?(<!-- end -->)"
        fresh = table() if f"<!-- table:{name} -->" in text else ""
        text = re.sub(pattern, lambda m, t=fresh: f"{m[1]}{t}\n{m[2]}", text, flags=re.DOTALL)
    return text


def pages() -> dict[Path, str]:
    """Give every generated page as it should be."""
    made = {
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "studies.md": study_pages.studies_page(),
        ROOT / "CLAIMS.md": study_pages.claims_page(),
    }
    for name in FILLED:
        made[ROOT / name] = filled((ROOT / name).read_text(encoding="utf-8"))
    return made


def main() -> int:
    """Write the pages, or check them."""
    stale = [p for p, t in pages().items() if not p.exists() or p.read_text("utf-8") != t]
    if "--check" in sys.argv:
        print("not current, run `make docs`:" if stale else "current", *stale)
        return len(stale)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
