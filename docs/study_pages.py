"""docs/studies.md and CLAIMS.md: written of the studies' recipes and their committed results."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from own_claims import OWN

from vecpress.studies.claims import Claim
from vecpress.studies.outcomes import Decision
from vecpress.studies.recipe import StudyRecipe
from vecpress.studies.tables import (
    Table,
    claims_table,
    mean_table,
    summed_up,
    training_table,
)

_HEAD = """# The studies

Generated from the studies' recipes and committed results by `make docs`; one command replays each.
Test judgements only score. How a claim is decided:
[decision 9](decisions/0009-claims-as-contrasts.md). All of them again, and the files below:
`python benchmarks/studies.py`."""
_CLAIMS_HEAD = """# Claims

Every claim of the two papers' summaries that we know of, the open questions they leave, and our
own: what was published, what was found here, and the command that replays it. Generated from the
studies' recipes and committed results by `make docs`.

A claim is *reproduced* if every comparison it stands for holds at p < .05, corrected over its
study, and with a 95 % interval on the claim's side; *partly* if some do; *not* if none does.
Estimates are points of nDCG@10 (x 100), or percent kept; in brackets the 95 % interval over queries
and seeds. The rule: [decision 9](docs/decisions/0009-claims-as-contrasts.md); tables and reasons:
[docs/studies.md](docs/studies.md).

Models are small ones that can be had offline (MiniLM, WordLlama, a static table distilled from
MiniLM, TF-IDF + SVD): each recipe names the papers' own, for where the hub can be reached. So "not
reproduced" means: not with these models, on these collections."""

ROOT = Path(__file__).parents[1]
RECIPES, RESULTS = ROOT / "recipes", ROOT / "benchmarks" / "results"
ORDER = (
    *("concatenation", "badly-fed", "robustness", "robustness-factor", "codes-48x", "cells"),
    *("depth", "width", "corpus", "fusion", "finetuned", "smec-parts", "smec-memory"),
)
SECTIONS = (
    ("arXiv:2510.04626", "Compressed Concatenation of Small Embedding Models (arXiv:2510.04626)"),
    ("arXiv:2510.12474", "SMEC (arXiv:2510.12474)"),
    ("", "Ours, and open questions"),
)


class Studied(NamedTuple):
    """A study and what came of it."""

    study: StudyRecipe
    made: dict[str, Any]
    results: list[dict[str, Any]]
    decisions: list[Decision]

    @property
    def file(self) -> str:
        """Where the results are kept, from the root."""
        return f"benchmarks/results/study-{self.study.name}.jsonl"

    @property
    def command(self) -> str:
        """What replays it."""
        return f"vecpress study recipes/{self.study.name}.toml --out studies/{self.study.name}"


def studied() -> list[Studied]:
    """Read all studies, in the order they are told."""
    if str(RECIPES) not in sys.path:
        sys.path.insert(0, str(RECIPES))
    found = []
    for name in ORDER:
        lines = (RESULTS / f"study-{name}.jsonl").read_text(encoding="utf-8").splitlines()
        made, *rows = map(json.loads, lines)
        results = [row for row in rows if "arm" in row]
        decisions = [Decision.from_dict(row) for row in rows if "outcomes" in row]
        study = StudyRecipe.read(RECIPES / f"{name}.toml")
        says = [claim.says for claim in study.claims]
        assert says == [d.says for d in decisions], f"{name}: run it again, its claims changed"
        found.append(Studied(study, made, results, decisions))
    return found


def studies_page() -> str:
    """Write docs/studies.md: every study with its tables."""
    parts = [_HEAD]
    for one in studied():
        study = one.study
        parts += [f"## {study.title}", study.question.replace("\n", " ")]
        if study.notes:
            parts.append(study.notes.replace("\n", " "))
        models = ", ".join(m if isinstance(m, str) else _spelled(m) for m in study.pool)
        seeds = "three seeds" if len(study.seeds) == 3 else f"{len(study.seeds)} seed"
        minutes = max(1, round(one.made["seconds"] / 60))
        parts.append(
            f"Source: {study.source}. Models: {models}. "
            f"Data: {', '.join(study.benchmarks)}; {seeds}. "
            f"Replay: `{one.command}` ({minutes} minutes on one core). "
            f"Results of {one.made['date']}: [{one.file}](../{one.file})."
        )
        parts += _captioned(mean_table(study, one.results))
        if trained := training_table(study, one.results):
            parts += _captioned(trained)
        parts += _captioned(claims_table(study, one.decisions))
        parts += [f"*{c.says}* {c.finding}" for c in study.claims if c.finding]
    return "\n\n".join(parts) + "\n"


def _captioned(table: Table) -> list[str]:
    return [f"{table.caption}:", table.to_markdown()]


def _spelled(model: Any) -> str:
    options = ", ".join(f"{k} {v}" for k, v in model.items() if k not in ("kind", "model"))
    return f"{model['kind']}:{model.get('model', '')} ({options})"


def claims_page() -> str:
    """Write CLAIMS.md: every claim, its replay, and what it came to."""
    found = studied()
    parts = [_CLAIMS_HEAD, _counts(found)]
    for prefix, title in SECTIONS:
        lines = []
        for one in found:
            for claim, decision in zip(one.study.claims, one.decisions, strict=True):
                if _section(claim) == prefix:
                    lines.append(_line(one, claim, decision))
        lines += [own.line() for own in OWN if own.section == prefix]
        head = ("claim", "published", "here", "verdict", "replay")
        parts += [f"## {title}", Table(title, head, tuple(lines)).to_markdown()]
    seconds = sum(one.made["seconds"] for one in found)
    parts.append(
        f"All studies together took {seconds / 3600:.1f} hours of one core; two run side by side."
    )
    return "\n\n".join(parts) + "\n"


def _section(claim: Claim) -> str:
    return next(p for p, _ in SECTIONS if claim.source.startswith(p))


def _line(one: Studied, claim: Claim, decision: Decision) -> tuple[str, ...]:
    name = one.study.name
    told = f"{claim.says}<br>*{claim.finding}*" if claim.finding else claim.says
    return (
        told,
        claim.published,
        summed_up(claim, decision),
        f"**{decision.status}**",
        f"[{name}](recipes/{name}.toml), [results]({one.file})",
    )


def _counts(found: list[Studied]) -> str:
    counts: dict[str, Counter[str]] = {}
    for one in found:
        for claim, decision in zip(one.study.claims, one.decisions, strict=True):
            counts.setdefault(_section(claim), Counter())[decision.status] += 1
    for own in OWN:
        counts.setdefault(own.section, Counter())[own.line()[3].strip("*")] += 1
    names = ("reproduced", "partly reproduced", "not reproduced", "not testable offline")
    lines = [
        (title, *(str(counts.get(prefix, Counter())[name]) for name in names))
        for prefix, title in SECTIONS
    ]
    return Table("Claims", ("", *names), tuple(lines)).to_markdown()


def count_table() -> str:
    """Count the claims by what they came to, for the README."""
    return _counts(studied())
