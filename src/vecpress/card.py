"""What people read first in an artifact's folder: its README.md."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vecpress.significance import FEWEST


def describe(
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    costs: tuple[int, int],
    fingerprint: str,
    log: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Write the card: what goes in, what it was fitted on, what it costs.

    Args:
        recipe: What was asked for.
        provenance: What it was fitted on.
        costs: Bytes per vector, and bytes stored once.
        fingerprint: Of the pipeline.
        log: What was told while the head was trained.
    """
    bytes_per_vector, table_bytes = costs
    in_dim = provenance["in_dim"]
    models = ", ".join(m if isinstance(m, str) else _options(m) for m in recipe["models"])
    corpus = provenance["corpus"]
    lines = [
        "# A vecpress artifact",
        "",
        f"- Input: {models or 'precomputed vectors'} ({in_dim} dimensions)",
        f"- Head: {_options(recipe.get('head'))}",
        f"- Quantizer: {_options(recipe.get('quantizer'))}",
        f"- Bytes per vector: {bytes_per_vector} ({4 * in_dim / bytes_per_vector:.1f}x smaller "
        f"than float32), plus {table_bytes:,} bytes once",
        f"- Fitted on {provenance['sample']:,} of {corpus.get('documents', '?')} documents (digest "
        f"`{corpus.get('digest', 'unknown')}`), seed {provenance['seed']}",
        *_training(provenance, log),
        f"- Fingerprint: `{fingerprint}`, made by vecpress {provenance['vecpress']}",
        "",
        "Load it with `vecpress.Pipeline.load(folder)`.",
        "",
    ]
    return "\n".join(lines)


def _training(provenance: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what the head learned from beside documents, what it goes on from, and what was kept."""
    lines = []
    if "pairs" in provenance:
        digest = provenance["pairs"]["digest"]
        lines.append(f"- Was given {judged(provenance['pairs'])} (digest `{digest}`)")
    if "continues" in provenance:
        lines.append(f"- Continues the press with the fingerprint `{provenance['continues']}`")
    return lines + [f"- Head {sentence}" for sentence in kept(log)]


def judged(pairs: Mapping[str, Any]) -> str:
    """Count judgements, and those that could not be used."""
    told = f"{pairs['judgements']:,} judgements of {pairs['queries']:,} queries"
    if pairs["skipped"]:
        told += f"; left out: {pairs['skipped']:,} of documents that are not in the corpus"
    if pairs["shared"]:
        told += f"; left out: {pairs['shared']:,} queries that are scored"
    return told


def kept(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say of each stage of training which state was kept, and by what figure."""
    lines = []
    known = {"stage", "what", "epoch", "held_out", "start", "figure"}
    for row in (row for row in log if row.get("event") == "kept" and row.keys() >= known):
        held_out, start = (_figure(row[name]) for name in ("held_out", "start"))
        if row["what"] == "trained":
            told = f"trained to epoch {row['epoch']}, {row['figure']} {held_out} (start {start}"
        else:
            why = f"no epoch surely improved {row['figure']}"
            if row.get("p_value") is not None and row.get("cases", FEWEST) < FEWEST:
                few = f"{row['cases']} held-out queries are too few to be sure of a gain"
                why = f"{few}: give more pairs, so that {FEWEST} judge"
            told = f"kept the starting point; {why} ({start}"
        chance = row.get("p_value")
        told += ")" if chance in (None, 1) else f", p = {_figure(chance)})"
        lines.append(f"{row['stage']}: {told}")
    return lines


def _figure(value: float | int) -> str:
    """Write .740 for most figures, and small ones with their exponent."""
    text = f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2e}"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def _options(method: Mapping[str, Any] | None) -> str:
    if method is None:
        return "none"
    options = [f"{key} {value}" for key, value in method.items() if key != "kind"]
    return f"{method['kind']} ({', '.join(options)})" if options else str(method["kind"])
