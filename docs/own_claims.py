"""What vecpress says of itself, decided of committed results: rows for CLAIMS.md."""

from collections import defaultdict
from collections.abc import Callable
from statistics import fmean
from typing import Any, NamedTuple

from frontier_tables import CHOICE, MEAN_OVER, read

Verdict = tuple[bool | str, str]
"""Whether it holds, or a status of its own, and the figures."""


class Own(NamedTuple):
    """A claim, what replays it, the file that decides it, and how."""

    says: str
    command: str
    file: str
    decide: Callable[[], Verdict]
    section: str = ""
    published: str = ""

    def line(self) -> tuple[str, ...]:
        """Give the cells of its row."""
        holds, figures = self.decide()
        status = holds if isinstance(holds, str) else "reproduced" if holds else "not reproduced"
        results = f"[results](benchmarks/results/{self.file})"
        replay = f"`{self.command}`, {results}"
        return (self.says, self.published, figures, f"**{status}**", replay)


def _cells() -> list[list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in read("frontier.jsonl"):
        if row["budget"]:
            where = (row["benchmark"], tuple(row["models"]), row["fitted_on"], row["budget"])
            found[where].append(row)
    return list(found.values())


def _first_or_tied() -> Verdict:
    """Count cells where no baseline is better in a paired test."""
    cells = _cells()
    lost = 0
    for rows in cells:
        chosen = fmean(r["recovery"] for r in rows if r["group"] == "chosen")
        others = defaultdict(list)
        for row in rows:
            if row["group"] == "baseline":
                others[row["method"]].append(row)
        beaten = [
            fmean(r["recovery"] for r in mine) > chosen and mine[0]["p_choice"] < 0.05
            for mine in others.values()
        ]
        lost += any(beaten)
    return lost == 0, f"in {len(cells) - lost} of {len(cells)} cells"


def _recovery() -> Verdict:
    """Compare the mean recovery of the choice with what it is to reach."""
    asked = {16: 89.0, 32: 95.0, 64: 98.5, 128: 100.0}
    means = {}
    for budget in asked:
        by_name = defaultdict(list)
        for row in read("frontier.jsonl"):
            mine = row["method"] == CHOICE and row["budget"] == budget and len(row["models"]) == 2
            if mine and row["fitted_on"] == row["benchmark"] in MEAN_OVER:
                by_name[row["benchmark"]].append(100 * row["recovery"])
        means[budget] = fmean(map(fmean, by_name.values()))
    told = ", ".join(f"{means[b]:.1f} % at {b} B" for b in asked)
    return all(means[b] >= asked[b] for b in asked), told


def _regret() -> Verdict:
    """Take the worst cell's loss by choosing without labels."""
    rows = [r for r in read("proxies.jsonl") if r.get("rule", "").startswith("shipped")]
    regret = [r["regret"] for r in rows]
    told = f"mean {fmean(regret):.2f}, worst {max(regret):.2f} over {len(regret)} cells"
    return max(regret) <= 1.0, told


def _weights() -> Verdict:
    """Compare the weights chosen without labels with the best of those tried."""
    rows = read("weights.jsonl")
    short = []
    for name, models in dict.fromkeys((r["benchmark"], tuple(r["models"])) for r in rows):
        mine = [r for r in rows if (r["benchmark"], tuple(r["models"])) == (name, models)]
        best = max(r["ndcg@10"] for r in mine if "weights" in r)
        short += [100 * (best - r["ndcg@10"]) for r in mine if "chosen" in r]
    return max(short) <= 1.5, f"at most {max(short):.1f} points below, mean {fmean(short):.1f}"


def _speed() -> Verdict:
    seconds = [r["choose_seconds"] for r in read("budget-speed.jsonl")]
    return max(seconds) < 180, f"{min(seconds):.0f} to {max(seconds):.0f} s"


def _few() -> Verdict:
    """Look for a guarded fit on few judgements that lost anything."""
    gains = [100 * r["gain"] for r in read("few-labels.jsonl") if r["guard"]]
    free = [100 * r["gain"] for r in read("few-labels.jsonl") if not r["guard"]]
    told = f"worst of {len(gains)} fits {min(gains):+.1f} points; unguarded {min(free):+.1f}"
    return min(gains) >= 0, told.replace("-", "\N{MINUS SIGN}")


def _order(other: str) -> Verdict:
    """Compare SMEC with an adaptor at 128 and 256 dimensions, by the means over seeds."""
    rows = [r for r in read("adaptors-scores.jsonl") if r["group"] == "supervised"]
    told, held = [], []
    for name in dict.fromkeys(r["benchmark"] for r in rows):
        gains = []
        for dim in (128, 256):
            one, two = (
                fmean(100 * r["ndcg@10"] for r in rows
                      if (r["benchmark"], r["method"], r["dim"]) == (name, method, dim))
                for method in ("SMEC", other)
            )  # fmt: skip
            gains.append(one - two)
        held += [gain > 0 for gain in gains]
        told.append(f"{name} " + " and ".join(map(_signed, gains)))
    status = "partly reproduced" if any(held) else "not reproduced"
    return status, ", ".join(told) + " points: means of seeds, no test between the two"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _pass() -> Verdict:
    seconds = next(r["seconds"] for r in read("adaptors-speed.jsonl") if r["sequential"])
    return seconds < 60, f"{seconds:.0f} s"


OWN = (
    Own(
        "SMEC is better than the Matryoshka-Adaptor at 128 and 256 dimensions.",
        "python benchmarks/adaptors.py scores",
        "adaptors-scores.jsonl",
        lambda: _order("matryoshka-adaptor"),
        "arXiv:2510.12474",
        "+1.9 and +1.1 points",
    ),
    Own(
        "SMEC is better than Search-Adaptor at 128 and 256 dimensions.",
        "python benchmarks/adaptors.py scores",
        "adaptors-scores.jsonl",
        lambda: _order("search-adaptor"),
        "arXiv:2510.12474",
        "+2.7 points at 256",
    ),
    Own(
        "`--budget` finds a point that no baseline of its size beats in a paired test.",
        "python benchmarks/frontier.py",
        "frontier.jsonl",
        _first_or_tied,
    ),
    Own(
        "`--budget` keeps 89, 95, 98.5 and 100 % of the raw floats in 16, 32, 64 and 128 bytes "
        "(two models, mean of three collections).",
        "python benchmarks/frontier.py",
        "frontier.jsonl",
        _recovery,
    ),
    Own(
        "Choosing without labels costs at most one point against choosing by the test queries.",
        "python benchmarks/proxies.py",
        "proxies.jsonl",
        _regret,
    ),
    Own(
        "Weights found without labels are within 1.5 points of the best.",
        "python benchmarks/weights.py",
        "weights.jsonl",
        _weights,
    ),
    Own(
        "The choice for 29,494 x 640 takes less than three minutes.",
        "python benchmarks/budget_speed.py",
        "budget-speed.jsonl",
        _speed,
    ),
    Own(
        "Heads that learn from few judgements never end below their start.",
        "python benchmarks/few_labels.py",
        "few-labels.jsonl",
        _few,
    ),
    Own(
        "One pass of SMEC over 29,494 x 640 with six widths takes less than a minute.",
        "python benchmarks/adaptors.py speed",
        "adaptors-speed.jsonl",
        _pass,
    ),
)
