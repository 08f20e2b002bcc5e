"""Whole folders as `vecpress export --to web` writes them, small, and what is found in them."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import safetensors.numpy
from fixture_graph import tiny_graph
from fixture_tokenizers import wordpiece
from tokenizers import Tokenizer

from vecpress.arrays import Array, Rounded, normalize, round_rows
from vecpress.encoders.combine import Concat
from vecpress.encoders.lexical import LexicalEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.exports.web_tensors import describe_codec, describe_head, describe_table
from vecpress.exports.words import word_tokenizer
from vecpress.head import Head
from vecpress.index import Index
from vecpress.quantizers.cells import ScalarCodec
from vecpress.quantizers.scalar import Percentile
from vecpress.stages import Codec, Role

DOCUMENTS = [
    "the cat sat on the mat",
    "a dog ran under the red tree",
    "blue fish and red fish",
    "the bird sat on the dog and the dog ran",
    "cats and dogs",
    "a very very red mat",
    "the cat sat on the mat",
    "",
]
QUESTIONS = ["red cat", "dogs running under a tree", "fish fish fish bird", "zzz ☃", ""]
_TERMS = ["bird", "blue", "cat", "cats", "dog", "fish", "mat", "ran", "red", "sat", "tree", "very"]
_UNKNOWN = 1  # the id of [UNK]
_BOTH: tuple[Role, Role] = ("query", "document")

Encode = Callable[[Sequence[str], Role], Array]


def static_folder(folder: Path) -> None:
    """Write a folder of two tables (4 and 8 bits), a head, and codes with finer ones."""
    rng = np.random.default_rng(9)
    table = rng.normal(size=(wordpiece().get_vocab_size(), 10)).astype(np.float32)
    words = round_rows(rng.normal(size=(len(_TERMS), 6)).astype(np.float32), bits=8)
    head = Head(
        weights=(rng.normal(size=(9, 16)).astype(np.float32),),
        biases=(rng.normal(size=9).astype(np.float32) / 8,),
    )
    with TemporaryDirectory() as place:
        subwords = _static(Path(place), table)
        encoder = Concat(encoders=(subwords, _lexical(words)), weights=(1.0, 0.25))

        def encode(texts: Sequence[str], role: Role) -> Array:
            return head.compress(encoder.encode(texts, role=role))

        assert subwords.rounded is not None
        parts = [_branch(0, subwords.rounded, max_tokens=5), _branch(1, _with_zeros(words))]
        shape, tensors = describe_head(head)
        bare = json.loads(wordpiece().to_str())  # its ends are put around, and left out again
        manifest = {
            "engine": "static",
            "graph": None,
            "branches": [told for told, _ in parts],
            "head": shape,
            "inputs": [_input(0, framed=True), _input(1)],
        }
        _folder(
            folder,
            manifest,
            {name: array for _, made in parts for name, array in made.items()} | tensors,
            {"tokenizer.json": bare, "tokenizer_2.json": json.loads(_words().to_str())},
            encode,
            rescored=True,
        )


def _static(place: Path, table: Array) -> StaticEncoder:
    safetensors.numpy.save_file({"embeddings": table}, place / "model.safetensors")
    wordpiece().save(str(place / "tokenizer.json"))
    return StaticEncoder(model=str(place), max_length=5, precision="int4")


def _lexical(words: Rounded) -> LexicalEncoder:
    """Make a lexical model whose table is in whole numbers already."""
    return LexicalEncoder(
        vocabulary=np.frombuffer("\n".join(_TERMS).encode(), np.uint8),
        idf=np.ones(len(_TERMS), np.float32),
        components=np.ascontiguousarray(words.rows.T),
    )


def _with_zeros(words: Rounded) -> Rounded:
    numbers = np.concatenate([words.numbers, np.zeros((1, 6), np.int8)])
    return Rounded(numbers=numbers, scales=np.append(words.scales, np.float32(1)), bits=8)


def _words() -> Tokenizer:
    return word_tokenizer(_TERMS)


def _branch(i: int, table: Rounded, *, max_tokens: int | None = None) -> tuple[dict, dict]:
    told, tensors = describe_table(table, name=f"branch.{i}")
    told |= {"input": i, "unknown": len(_TERMS) if i else _UNKNOWN, "max_tokens": max_tokens}
    return told | {"sublinear": i == 1, "scale": 0.5 if i else 1.0}, tensors


def onnx_folder(folder: Path) -> None:
    """Write a folder whose embeddings come from a graph, which knows the two roles apart."""
    rng = np.random.default_rng(10)
    tokenizer = wordpiece()
    table = rng.normal(size=(tokenizer.get_vocab_size(), 9)).astype(np.float32)
    graph = tiny_graph(table).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def encode(texts: Sequence[str], role: Role) -> Array:
        prompt = "very " if role == "query" else ""
        rows = []
        for text in texts:
            ids = np.array([tokenizer.encode(prompt + text).ids], np.int64)
            feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            feeds["role"] = np.array(role == "query", np.int64)
            rows.append(session.run(["sentence_embedding"], feeds)[0][0])
        return np.stack(rows)

    manifest = {
        "engine": "onnx",
        "graph": "model.onnx.gz",
        "branches": None,
        "head": None,
        "role_input": "role",
        "inputs": [_input(0, framed=True) | {"prompts": {"query": "very ", "document": ""}}],
    }
    files = {"tokenizer.json": json.loads(tokenizer.to_str()), "model.onnx": graph}
    _folder(folder, manifest, {}, files, encode, rescored=False)


def _folder(
    folder: Path,
    told: dict[str, Any],
    tensors: dict[str, Array],
    files: dict[str, Any],
    encode: Encode,
    *,
    rescored: bool,
) -> None:
    documents = encode(DOCUMENTS, "document")
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(9, 9)))[0].astype(np.float32)
    codec, fine = _codec(2, rotation), _codec(8, None) if rescored else None
    shape, levels = describe_codec(codec, name="codec")
    finer, more = (None, {}) if fine is None else describe_codec(fine, name="fine")
    content = {
        name: data if isinstance(data, bytes) else _json(data) for name, data in files.items()
    }
    content["tensors.safetensors"] = safetensors.numpy.save(tensors | levels | more)
    content["codes.bin"] = codec.quantize(documents).tobytes()
    if fine is not None:
        content["fine.bin"] = fine.quantize(documents).tobytes()
    ids = [f"document {i}" for i in range(len(DOCUMENTS))]
    content["documents.json"] = _json({"ids": ids, "texts": DOCUMENTS})
    folder.mkdir(exist_ok=True)
    packed = {f"{name}.gz": gzip.compress(data, 9, mtime=0) for name, data in content.items()}
    for name, data in packed.items():
        (folder / name).write_bytes(data)
    manifest = told | {
        "codec": shape,
        "fine": finer,
        "golden": _golden(encode),
        "press": _press(codec, in_dim=16 if rescored else 9),
        "documents": _about(rescored=rescored),
        "files": {
            name: _facts(data, content[name.removesuffix(".gz")]) for name, data in packed.items()
        },
    }
    (folder / "manifest.json").write_bytes(_json(_common() | manifest))
    found = _found(codec, fine, documents, encode)
    (folder / "expected.json").write_bytes(_json(found))


def _codec(bits: int, rotation: Array | None) -> Codec:
    rows = np.random.default_rng(4).normal(size=(300, 9)).astype(np.float32)
    codec = Percentile(bits=bits).fit(normalize(rows))
    return ScalarCodec(levels=codec.levels, borders=codec.borders, bits=bits, rotation=rotation)


def _found(codec: Codec, fine: Codec | None, documents: Array, encode: Encode) -> dict[str, Any]:
    """Search as Python does: all that is found, and the vectors of both roles."""
    finer = None if fine is None else (fine, fine.quantize(documents))
    ids = [f"document {i}" for i in range(len(documents))]
    index = Index.build(codec, codec.quantize(documents), ids, fine=finer)
    queries = encode(QUESTIONS, "query")
    depth = None if fine is None else 2 * 3
    hits = index.search(queries, 3, engine="numpy", rescore=depth)
    return {
        "questions": QUESTIONS,
        "k": 3,
        "ids": [list(row) for row in hits.ids],
        "rows": hits.rows.tolist(),
        "scores": hits.scores.astype(float).round(6).tolist(),
        "vectors": {
            role: encode(QUESTIONS, role).astype(float).round(6).tolist() for role in _BOTH
        },
    }


def _input(i: int, *, framed: bool = False) -> dict[str, Any]:
    suffix = f"_{i + 1}" if i else ""
    return {
        "ids": f"input_ids{suffix}",
        "mask": f"attention_mask{suffix}",
        "tokenizer": f"tokenizer{suffix}.json.gz",
        "special_tokens": framed,
        "ends": [1, 1] if framed else [0, 0],
        "prompts": {"query": "", "document": ""},
        "max_tokens": None,
        "pad_id": 0,
    }


def _golden(encode: Encode) -> dict[str, Any]:
    vectors = encode(QUESTIONS[:2], "query").astype("<f4")
    return {
        "texts": QUESTIONS[:2],
        "roles": ["query", "query"],
        "vectors": base64.b64encode(vectors.tobytes()).decode(),
        "codes": None,
        "cosine": 1.0,
        "margin": 1e-5,
    }


def _press(codec: Codec, *, in_dim: int) -> dict[str, Any]:
    return {
        "fingerprint": "tiny",
        "models": ["tiny"],
        "dim": codec.dim,
        "in_dim": in_dim,
        "code_bytes": codec.code_bytes,
        "vecpress": "0.1.0",
    }


def _about(*, rescored: bool) -> dict[str, Any]:
    return {
        "count": len(DOCUMENTS),
        "codes": "codes.bin.gz",
        "fine": "fine.bin.gz" if rescored else None,
        "texts": "documents.json.gz",
    }


def _common() -> dict[str, Any]:
    return {
        "format_version": 1,
        "kind": "web",
        "title": "Animals",
        "precision": "int8",
        "role_input": None,
        "rescore": 2,
        "tensors": "tensors.safetensors.gz",
        "questions": QUESTIONS[:3],
    }


def _facts(packed: bytes, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(packed).hexdigest()
    return {"bytes": len(packed), "sha256": digest, "unpacked": len(data)}


def _json(value: object) -> bytes:
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()
