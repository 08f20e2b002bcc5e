"""One line of a comparison: a run of one method, as results.jsonl keeps it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64

from vecpress.arrays import Array

_MEASURES = ("ndcg@10", "recall@100", "mrr@10")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was run, and what came of it. The fields are described in docs/format.md.

    Attributes:
        key: Identifies the run: the same data, method, seed and release give the same.
        benchmark: Name of the data.
        fitted_on: Name of the data that heads and codes were fitted on.
        models: Names of all models of the concatenation.
        group: "single model", "concatenation", "chosen" (by budget), "trained" or "baseline".
        method: What it is, for people; the same at every budget.
        recipe: What it is, for `vecpress fit --recipe`.
        budget: Bytes asked for; None where none was.
        bytes_per_vector: Everything stored per document.
        table_bytes: What is stored once: head, cells, rotation, centroids.
        compression_factor: float32 bytes of the concatenation / bytes per vector.
        measures: nDCG@10, recall@100 and MRR@10, under those names in lower case.
        recovery: nDCG@10 / that of the raw concatenation.
        p_value: Of a paired randomization test of nDCG@10 against the raw concatenation.
        p_chosen: The same against what was chosen for the budget; None where nothing was.
        per_query: nDCG@10 of each judged query, in their order.
        documents: Number of documents searched.
        encode_ms: Milliseconds to encode one query with all models of the row.
        fit_seconds: Time to choose, fit and code nothing yet; None where nothing was fitted.
        seed: Of everything random.
        pairs: Number of judgements learned from, and their digest; None where there were none.
        command: What a user typed.
        date: When, as year-month-day.
        vecpress: Release.
    """

    key: str
    benchmark: str
    fitted_on: str
    models: tuple[str, ...]
    group: str
    method: str
    recipe: Mapping[str, Any]
    budget: int | None
    bytes_per_vector: int
    table_bytes: int
    compression_factor: float
    measures: Mapping[str, float]
    recovery: float
    p_value: float
    p_chosen: float | None
    per_query: tuple[float, ...]
    documents: int
    encode_ms: float | None
    fit_seconds: float | None
    seed: int
    pairs: Mapping[str, Any] | None
    command: str
    date: str
    vecpress: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, the measures among them."""
        values = dict(vars(self))
        measures = values.pop("measures")
        return values | {"models": list(self.models), "per_query": list(self.per_query)} | measures

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Row":
        """Invert `to_dict`, as far as it was not rounded."""
        given: dict[str, Any] = {
            f.name: values.get(f.name) for f in fields(cls) if f.name != "measures"
        }
        given["models"] = tuple(values.get("models") or ())
        given["per_query"] = tuple(values.get("per_query") or ())
        return cls(measures={name: float(values[name]) for name in _MEASURES}, **given)

    @property
    def ndcg(self) -> Float64[Array, " q"]:
        """nDCG@10 of each judged query, rounded as it is kept."""
        return np.array(self.per_query, np.float64)


def run_key(**parts: Any) -> str:
    """Name a run by all that it depends on."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
