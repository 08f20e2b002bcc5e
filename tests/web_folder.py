"""What a browser does with an exported page: no code is shared with what writes the folder."""

import hashlib
import json
import math
import struct
import zlib
from collections import Counter

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Reader:
    """What a browser does with the folder, in plain loops and float64."""

    def __init__(self, data):
        self.data = data
        self.told = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
        self.tensors = self._tensors(self._open(self.told["tensors"]))
        about = json.loads(self._open(self.told["documents"]["texts"]))
        self.ids, self.texts = about["ids"], about["texts"]
        self.tokenizers = [
            Tokenizer.from_str(self._open(i["tokenizer"]).decode()) for i in self.told["inputs"]
        ]

    def _open(self, name):
        packed, said = (self.data / name).read_bytes(), self.told["files"][name]
        assert len(packed) == said["bytes"]
        assert hashlib.sha256(packed).hexdigest() == said["sha256"]
        data = zlib.decompress(packed, 31)
        assert len(data) == said["unpacked"]
        return data

    @staticmethod
    def _tensors(data):
        size = struct.unpack("<Q", data[:8])[0]
        kinds = {"F32": "<f4", "U8": "u1", "I32": "<i4"}
        made = {}
        for name, about in json.loads(data[8 : 8 + size]).items():
            start, end = (8 + size + place for place in about["data_offsets"])
            kind = kinds[about["dtype"]]
            made[name] = np.frombuffer(data[start:end], kind).reshape(about["shape"])
        return made

    @staticmethod
    def numbers(row, bits, count):
        whole = int.from_bytes(row.tobytes(), "little")
        return [(whole >> (i * bits)) % 2**bits for i in range(count)]

    def encode(self, text, role="query"):
        if self.told["engine"] == "onnx":
            return self._run(text, role)
        blocks = [self._branch(branch, text, role) for branch in self.told["branches"]]
        x = unit(np.concatenate(blocks)) if len(blocks) > 1 else unit(blocks[0])
        return x if self.told["head"] is None else self._head(x)

    def _run(self, text, role):
        """Let onnxruntime run the graph on all tokens of a text, ends included."""
        feeds = {}
        for said, tokenizer in zip(self.told["inputs"], self.tokenizers, strict=True):
            whole = said["prompts"][role] + text
            ids = tokenizer.encode(whole, add_special_tokens=said["special_tokens"]).ids
            feeds[said["ids"]] = np.array([ids or [said["pad_id"]]], np.int64)
            feeds[said["mask"]] = np.array([[1] * len(ids) or [0]], np.int64)
        if self.told["role_input"] is not None:
            feeds[self.told["role_input"]] = np.array(["document", "query"].index(role), np.int64)
        session = onnxruntime.InferenceSession(
            self._open(self.told["graph"]), providers=["CPUExecutionProvider"]
        )
        return session.run(["sentence_embedding"], feeds)[0][0].astype(float)

    def _branch(self, branch, text, role):
        said = self.told["inputs"][branch["input"]]
        tokenizer = self.tokenizers[branch["input"]]
        ids = tokenizer.encode(said["prompts"][role] + text, add_special_tokens=False).ids
        ids = [i for i in ids if i != branch["unknown"]][: branch["max_tokens"]]
        rows, half = self.tensors[branch["rows"]], 2 ** (branch["bits"] - 1)
        scales, out = self.tensors[branch["scales"]], np.zeros(branch["dim"])
        for i, times in Counter(ids).items():
            cells = np.array(self.numbers(rows[i], branch["bits"], branch["dim"]))
            weight = 1 + math.log(times) if branch["sublinear"] else times
            out += weight * (cells - half) * float(scales[i])
        return branch["scale"] * unit(out)

    def _head(self, x):
        said, h = self.told["head"], x
        if said["layer_norm"]:
            h = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        slope = {"identity": 1, "relu": 0, "leaky_relu": said["slope"]}[said["activation"]]
        for i in range(said["layers"]):
            h = (
                self.tensors[f"head.weights.{i}"].astype(float) @ h
                + self.tensors[f"head.biases.{i}"]
            )
            if i < said["layers"] - 1 or said["activate_last"]:
                h = np.where(h > 0, h, slope * h)
        if said["residual"]:
            h = h + x[: len(h)]
        if said["skip"]:
            h = h + self.tensors["head.skip"].astype(float) @ x
        return unit(h) if x.any() else np.zeros(len(h))

    def _scores(self, query, kind, rows):
        """Score documents by their first or finer codes."""
        codec = self.told[kind]
        name = self.told["documents"]["codes" if kind == "codec" else "fine"]
        data = np.frombuffer(self._open(name), np.uint8).reshape(
            self.told["documents"]["count"], -1
        )
        p = query
        if codec["rotation"]:
            p = query @ self.tensors[f"{kind}.rotation"].astype(float)
        if codec["kind"] == "product":
            p = np.array([0.0 if d < 0 else p[d] for d in self.tensors[f"{kind}.order"]])
            tables, count = self.tensors[f"{kind}.centroids"], codec["groups"]
        else:
            tables, count = self.tensors[f"{kind}.levels"][:, :, None], codec["dim"]
        scores = []
        for row in rows:
            numbers = self.numbers(data[row], codec["bits"], count)
            decoded = np.concatenate([tables[i, n].astype(float) for i, n in enumerate(numbers)])
            scores.append(float(p @ unit(decoded)))
        return np.array(scores)

    def search(self, query, k):
        rows = np.arange(self.told["documents"]["count"])
        scores = self._scores(query, "codec", rows)
        if self.told["fine"] is not None:
            depth = min(self.told["rescore"] * k, len(rows))
            rows = np.sort(np.argsort(-scores, kind="stable")[:depth])
            scores = self._scores(query, "fine", rows)
        best = np.argsort(-scores, kind="stable")[:k]
        return [self.ids[rows[i]] for i in best], scores[best]


def unit(x):
    norm = np.linalg.norm(x)
    return x / norm if norm else x
