"""ONNX folders: a graph run by onnxruntime, a tokenizer.json, and no torch."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from jaxtyping import Float32
from tokenizers import Tokenizer

from vecpress.arrays import Array, normalize
from vecpress.cores import cores
from vecpress.encoders.files import digest
from vecpress.encoders.items import only_texts
from vecpress.errors import ConfigError, ModelError
from vecpress.stages import Item, Role

_POOLINGS = {
    "cls": "cls",
    "mean": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
}
"""What 1_Pooling/config.json says, today and formerly, and what we call it."""

_GRAPHS = ("model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")


@dataclass(frozen=True, kw_only=True)
class OnnxEncoder:
    """A folder with model.onnx (or onnx/model.onnx) and tokenizer.json.

    An output called `sentence_embedding` is taken as it is; otherwise the token outputs are
    pooled.

    Attributes:
        model: The folder.
        query_prompt: Put before each query; None takes what config_sentence_transformers.json in
            the folder says, if there is one.
        document_prompt: Put before each document; None as above.
        pooling: How tokens become one vector; None reads 1_Pooling/config.json, else "mean".
        max_length: Tokens kept of a text.
        threads: Threads of the engine; 0 takes `OMP_NUM_THREADS`, else the cores there are.
    """

    model: str
    query_prompt: str | None = None
    document_prompt: str | None = None
    pooling: Literal["cls", "mean"] | None = None
    max_length: int = 256
    threads: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in ("cls", "mean", None):
            raise ConfigError(f"pooling must be 'cls' or 'mean', got {self.pooling!r}")
        if self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the session out of what is pickled or copied, which it cannot be: it loads anew."""
        return {name: value for name, value in vars(self).items() if name != "_session"}

    @cached_property
    def _folder(self) -> Path:
        folder = Path(self.model).expanduser()
        if not folder.is_dir():
            raise ModelError(
                f"{self.model!r} is not a folder here: give one with model.onnx and tokenizer.json"
            )
        return folder

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        graph = next((self._folder / g for g in _GRAPHS if (self._folder / g).is_file()), None)
        if graph is None:
            raise ModelError(f"{self._folder} has no model.onnx and no onnx/model.onnx")
        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # it grows with the longest batch and never shrinks
        options.intra_op_num_threads = self.threads or cores()
        options.inter_op_num_threads = 1
        try:
            return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no class in common but this
            raise ModelError(f"{graph} is not a graph that onnxruntime loads: {error}") from error

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        path = self._folder / "tokenizer.json"
        if not path.is_file():
            raise ModelError(f"{self._folder} has no tokenizer.json")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises this very class
            raise ModelError(f"{path} is not a tokenizer: {error}") from error
        tokenizer.enable_truncation(self.max_length)
        config = self._folder / "tokenizer_config.json"
        token = json.loads(config.read_text()).get("pad_token") if config.is_file() else None
        token = token if isinstance(token, str) else "[PAD]"
        tokenizer.enable_padding(pad_token=token, pad_id=tokenizer.token_to_id(token) or 0)
        return tokenizer

    @cached_property
    def _pooling(self) -> str:
        if self.pooling is not None:
            return self.pooling
        path = self._folder / "1_Pooling" / "config.json"
        config = json.loads(path.read_text()) if path.is_file() else {}
        formerly = [name for name, on in config.items() if "pooling_mode_" in name and on]
        asked = config.get("pooling_mode") or formerly or "mean"
        modes = [asked] if isinstance(asked, str) else list(asked)
        if len(modes) > 1 or modes[0] not in _POOLINGS:
            raise ModelError(
                f"{path} asks for the pooling {' and '.join(modes)}: known are cls and mean; a "
                "graph that pools itself gives the output sentence_embedding"
            )
        return _POOLINGS[modes[0]]

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.encode(["width"]).shape[1])

    def tokenizer_json(self) -> str:
        """Give the model's tokenizer in the form of the library tokenizers."""
        return self._tokenizer.to_str()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the folder and of every option that shapes the vectors."""
        options = [self.query_prompt, self.document_prompt, self.pooling, self.max_length]
        parts = ["onnx", digest(self._folder), options]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order; texts of like length share a batch.

        Raises:
            ConfigError: there is an image among them.
        """
        prompt = self._prompt(role)
        prompted = [prompt + text for text in only_texts(texts, model=self.model)]
        order = sorted(range(len(prompted)), key=lambda i: len(prompted[i]))
        rows: list[Array] = [np.empty(0)] * len(prompted)
        for start in range(0, len(order), 16):
            batch = order[start : start + 16]
            for i, row in zip(batch, self._run([prompted[i] for i in batch]), strict=True):
                rows[i] = row
        if not rows:
            return np.empty((0, self.dim), np.float32)
        return normalize(np.ascontiguousarray(np.stack(rows), dtype=np.float32))

    def _prompt(self, role: Role) -> str:
        given = self.query_prompt if role == "query" else self.document_prompt
        path = self._folder / "config_sentence_transformers.json"
        if given is not None or not path.is_file():
            return given or ""
        own = json.loads(path.read_text(encoding="utf-8")).get("prompts") or {}
        names = ["query"] if role == "query" else ["document", "passage", "corpus"]
        return next((prompt for name in names if (prompt := own.get(name))), "")

    def _run(self, texts: list[str]) -> Float32[Array, "b d"]:
        encodings = self._tokenizer.encode_batch(texts)
        mask = np.array([e.attention_mask for e in encodings], np.int64)
        given = {
            "input_ids": np.array([e.ids for e in encodings], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.array([e.type_ids for e in encodings], np.int64),
        }
        names = [output.name for output in self._session.get_outputs()]
        wanted = "sentence_embedding" if "sentence_embedding" in names else names[0]
        inputs = [i.name for i in self._session.get_inputs()]
        if not given.keys() >= set(inputs):
            raise ModelError(
                f"the graph of {self.model!r} takes {', '.join(inputs)}: only {', '.join(given)} "
                "can be given"
            )
        (found,) = self._session.run([wanted], {name: given[name] for name in inputs})
        output = np.asarray(found, np.float32)
        if output.ndim == 2:
            return output
        if self._pooling == "cls":
            return output[:, 0]
        weights = mask[:, :, None].astype(np.float32)
        return (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
