"""Embeddings in the number types that clients ask for, as lists or as base64."""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.serve.schemas import Dtype


class Numbers(NamedTuple):
    """Rows in a number type; `scales` where whole numbers stand for floats."""

    rows: Array
    scales: Array | None = None


def convert(embeddings: Float32[Array, "n d"], dtype: Dtype) -> Numbers:
    """Give unit rows in a number type; "codes" is for those who have a codec."""
    if dtype in ("int8", "uint8"):
        peaks = np.abs(embeddings).max(axis=1, initial=0).astype(np.float64)
        scales = np.where(peaks == 0, 1.0, peaks) / 127
        whole = np.rint(embeddings / scales[:, None])
        return Numbers(whole.astype(np.int8) if dtype == "int8" else _raised(whole), scales)
    if dtype in ("binary", "ubinary"):
        packed = np.packbits(embeddings > 0, axis=1)
        return Numbers(packed if dtype == "ubinary" else (packed ^ np.uint8(128)).view(np.int8))
    return Numbers(embeddings)


def _raised(whole: Array) -> Array:
    return (whole + 128).astype(np.uint8)


def to_data(numbers: Numbers, *, as_base64: bool) -> Iterator[dict[str, Any]]:
    """Write each row as OpenAI does; a float's value survives in either form."""
    rows = numbers.rows
    if rows.dtype == np.float32:
        rows = rows.astype("<f4", copy=False)
    for i, row in enumerate(rows):
        written = base64.b64encode(row.tobytes()).decode() if as_base64 else row.tolist()
        item: dict[str, Any] = {"object": "embedding", "index": i, "embedding": written}
        if numbers.scales is not None:
            item["scale"] = float(numbers.scales[i])
        yield item
