"""Texts, and the vectors that a press gives them: what an export must give too, on any machine."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from vecpress.arrays import Array
from vecpress.errors import ArtifactError
from vecpress.pipeline import Pipeline
from vecpress.quantizers.rabitq import RaBitQCodec
from vecpress.stages import Role

_LONG = " ".join(f"part {i} of a long text about rivers, engines and birds;" for i in range(120))
_TEXTS: tuple[tuple[Role, str], ...] = (
    ("query", "how do I read a csv file"),
    ("document", "The quick brown fox jumps over the lazy dog, and the dog sleeps on."),
    ("document", ""),
    ("document", _LONG),
    ("query", "Zürich, naïve café: ΑΘΗΝΑ, 東京の天気, Привет 😀 n̈"),
    ("document", "xqzvkw"),
    ("document", "a [CLS] b <s> c [MASK] d\t\n  e"),
)
_FEW: tuple[tuple[Role, str], ...] = (
    ("query", "how do I read a csv file"),
    ("query", "Zürich café, 東京 😀"),
    ("query", "xqzvkw"),
)


def make_golden(pipeline: Pipeline, *, few: bool = False) -> dict[str, Any]:
    """Encode some texts of many kinds with the press itself.

    Args:
        pipeline: The press.
        few: Whether three short queries are enough.

    Returns:
        `texts` and `roles`; `vectors`, float32, and `codes`, uint8 (null where codes are made by
        FAISS alone, or not at all), row by row, little-endian, in base64.
    """
    roles, texts = (list(column) for column in zip(*(_FEW if few else _TEXTS), strict=True))
    vectors = _by_role(texts, roles, lambda some, role: pipeline.encode(some, role=role))
    codec = None if isinstance(pipeline.codec, RaBitQCodec) else pipeline.codec
    codes = None if codec is None else codec.quantize(np.ascontiguousarray(vectors, np.float32))
    return {
        "texts": texts,
        "roles": roles,
        "vectors": _written(vectors.astype("<f4")),
        "codes": None if codes is None else _written(codes),
    }


def golden_cosines(
    golden: Mapping[str, Any], encode: Callable[[Sequence[str], Role], Array]
) -> Float64[Array, " n"]:
    """Give for each golden text the cosine of its vectors; 1 for two zero rows, 0 for one.

    Args:
        golden: What `make_golden` made.
        encode: Gives unit rows (n, dim) for texts in a role.

    Raises:
        ArtifactError: the rows are of another width, or the golden vectors are damaged.
    """
    texts, roles = golden["texts"], golden["roles"]
    raw = np.frombuffer(base64.b64decode(golden["vectors"]), "<f4")
    given = _by_role(texts, roles, encode)
    if raw.size != given.size:
        raise ArtifactError(
            f"the golden vectors hold {raw.size / len(texts):g} dimensions, and the export gives "
            f"{given.shape[1]}: export it again"
        )
    wanted = raw.reshape(given.shape).astype(np.float64)
    cosines = np.einsum("nd,nd->n", wanted, given, dtype=np.float64)
    cosines[~np.isfinite(given).all(axis=1)] = 0
    return np.where(wanted.any(axis=1) | given.any(axis=1), cosines, 1.0)


def check_golden(golden: Mapping[str, Any], encode: Callable[[Sequence[str], Role], Array]) -> None:
    """Compare an export on this machine with what it gave where it was made.

    Raises:
        ArtifactError: a text's vector is further from the press's than it was there, by more than
            the golden `margin`; or the golden vectors are damaged.
    """
    cosines = golden_cosines(golden, encode)
    worst, least = int(cosines.argmin()), golden["cosine"] - golden["margin"]
    if cosines[worst] < least:
        raise ArtifactError(
            f"the vector of {shorten(golden['texts'][worst])} has a cosine of {cosines[worst]:.6f} "
            f"to what the press gives, expected at least {least:.6f}: on this machine the export "
            "does not do what it should; try other releases of onnxruntime and tokenizers, or "
            "export it again"
        )


def shorten(text: str) -> str:
    """Quote the beginning of a text."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _by_role(
    texts: Sequence[str], roles: Sequence[Role], encode: Callable[[Sequence[str], Role], Array]
) -> Array:
    """Encode the texts of each role together, and give the rows in the order of the texts."""
    rows: list[Any] = [None] * len(texts)
    for role in dict.fromkeys(roles):
        places = [i for i, other in enumerate(roles) if other == role]
        for i, row in zip(places, encode([texts[i] for i in places], role), strict=True):
            rows[i] = row
    return np.stack(rows)


def _written(rows: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(rows).tobytes()).decode()
