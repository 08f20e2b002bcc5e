"""Make web/test/fixtures: what vecpress computes, for the browser's library to be compared with.

Run `python web/test/make_fixtures.py` after a change of what is computed, and commit the result;
tests/unit/test_web_fixtures.py fails while the two differ.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from fixture_folders import onnx_folder, static_folder
from fixture_tokenizers import TEXTS, tokenizers

from vecpress.arrays import Array, normalize
from vecpress.exports.web_tensors import describe_codec, describe_head
from vecpress.head import Head
from vecpress.index import Index
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.product import ProductCodec
from vecpress.quantizers.scalar import Percentile
from vecpress.stages import Codec

FOLDER = Path(__file__).parent / "fixtures"
_DIM = 11  # no multiple of what fits into a byte
_DOCUMENTS = 40


def main(folder: Path = FOLDER) -> None:
    """Write all fixtures."""
    folder.mkdir(exist_ok=True)
    _write(folder / "codecs.json", codecs())
    _write(folder / "heads.json", heads())
    _write(folder / "tokens.json", tokens())
    static_folder(folder / "static")
    onnx_folder(folder / "onnx")


def stored(array: Array) -> dict[str, Any]:
    """Write an array so that every bit is kept."""
    data = np.ascontiguousarray(array)
    kind = f"{data.dtype.kind}{data.dtype.itemsize}"
    encoded = base64.b64encode(data.tobytes()).decode()
    return {"dtype": kind, "shape": list(data.shape), "data": encoded}


def codecs() -> list[dict[str, Any]]:
    """Rank documents by codes of every kind and bit width, with and without a rotation."""
    rng = np.random.default_rng(7)
    documents = normalize(rng.normal(size=(_DOCUMENTS, _DIM)).astype(np.float32))
    documents[20:23] = documents[10:13]  # equal scores
    documents[30] = 0
    calibration = normalize(rng.normal(size=(300, _DIM)).astype(np.float32))
    queries = normalize(rng.normal(size=(3, _DIM)).astype(np.float32))
    rotation = np.linalg.qr(rng.normal(size=(_DIM, _DIM)))[0].astype(np.float32)
    made = []
    for bits in range(1, 9):
        codec = Percentile(bits=bits).fit(calibration)
        for turn in (None, rotation):
            same = ScalarCodec(levels=codec.levels, borders=codec.borders, bits=bits, rotation=turn)
            made.append(_ranked(same, documents, queries))
    for groups, bits, turn in ((4, 8, None), (5, 4, rotation), (3, 3, rotation), (11, 1, None)):
        made.append(_ranked(_product(groups, bits, turn, rng), documents, queries))
    zeros = ScalarCodec(
        levels=np.zeros((_DIM, 2), np.float32), borders=np.zeros((_DIM, 1), np.float32), bits=1
    )
    return [*made, _ranked(zeros, documents, queries)]


def _product(groups: int, bits: int, rotation: Array | None, rng: np.random.Generator) -> Codec:
    width = -(-_DIM // groups)
    order = np.full(groups * width, -1, np.int32)
    order[rng.permutation(groups * width)[:_DIM]] = rng.permutation(_DIM)
    centroids = rng.normal(size=(groups, 2**bits, width)).astype(np.float32)
    centroids[np.broadcast_to((order < 0).reshape(groups, 1, width), centroids.shape)] = 0
    return ProductCodec(centroids=centroids, dim=_DIM, order=order, rotation=rotation)


def _ranked(codec: Codec, documents: Array, queries: Array) -> dict[str, Any]:
    codes = codec.quantize(documents)
    ids = [str(i) for i in range(len(codes))]
    hits = Index.build(codec, codes, ids).search(queries, len(codes), engine="numpy")
    shape, tensors = describe_codec(codec, name="codec")
    return {
        "codec": shape,
        "tensors": {name: stored(tensor) for name, tensor in tensors.items()},
        "codes": stored(codes),
        "queries": stored(queries),
        "rows": hits.rows.tolist(),
        "scores": stored(hits.scores),
    }


def heads() -> list[dict[str, Any]]:
    """Compress embeddings, zeros among them, by heads of every form."""
    rng = np.random.default_rng(8)
    x = normalize(rng.normal(size=(5, 7)).astype(np.float32))
    x[3] = 0
    one, two = ((4, 7),), ((6, 7), (4, 6))
    skip = rng.normal(size=(4, 7)).astype(np.float32)
    return [
        _compressed(_head(rng, one), x),
        _compressed(_head(rng, one, layer_norm=True), x),
        _compressed(_head(rng, one, residual=True), x),
        _compressed(_head(rng, one, skip=skip), x),
        _compressed(_head(rng, one, activation="relu", activate_last=True), x),
        _compressed(_head(rng, two, activation="relu"), x),
        _compressed(_head(rng, two, activation="leaky_relu", slope=0.3, layer_norm=True), x),
        _compressed(_head(rng, two, activation="leaky_relu", residual=True, skip=skip), x),
    ]


def _head(rng: np.random.Generator, shapes: tuple[tuple[int, int], ...], **form: Any) -> Head:
    return Head(
        weights=tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes),
        biases=tuple(rng.normal(size=shape[0]).astype(np.float32) / 4 for shape in shapes),
        **form,
    )


def _compressed(head: Head, x: Array) -> dict[str, Any]:
    shape, tensors = describe_head(head)
    return {
        "head": shape,
        "tensors": {name: stored(tensor) for name, tensor in tensors.items()},
        "x": stored(x),
        "y": stored(head.compress(x)),
    }


def tokens() -> dict[str, Any]:
    """Split texts by tokenizers of every kind that our models have."""
    return {
        "texts": TEXTS,
        "tokenizers": {
            name: {
                "file": json.loads(tokenizer.to_str()),
                "bare": [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS],
                "framed": [tokenizer.encode(t).ids for t in TEXTS],
            }
            for name, tokenizer in tokenizers().items()
        },
    }


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
