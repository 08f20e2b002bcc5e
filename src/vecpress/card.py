"""What people read first in an artifact's folder: its README.md."""

from collections.abc import Mapping
from typing import Any


def describe(
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    costs: tuple[int, int],
    fingerprint: str,
) -> str:
    """Write the card: what goes in, what it was fitted on, what it costs.

    Args:
        recipe: What was asked for.
        provenance: What it was fitted on.
        costs: Bytes per vector, and bytes stored once.
        fingerprint: Of the pipeline.
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
        f"- Fingerprint: `{fingerprint}`, made by vecpress {provenance['vecpress']}",
        "",
        "Load it with `vecpress.Pipeline.load(folder)`.",
        "",
    ]
    return "\n".join(lines)


def _options(method: Mapping[str, Any] | None) -> str:
    if method is None:
        return "none"
    options = [f"{key} {value}" for key, value in method.items() if key != "kind"]
    return f"{method['kind']} ({', '.join(options)})" if options else str(method["kind"])
