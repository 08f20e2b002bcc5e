"""Any model that the library sentence-transformers loads."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from sentence_transformers import SentenceTransformer

from vecpress.arrays import Array, blocks, normalize
from vecpress.encoders.files import digest, locate
from vecpress.errors import ConfigError, ModelError
from vecpress.stages import Role

Pooling = Literal["cls", "mean"]


@dataclass(frozen=True, kw_only=True)
class SentenceTransformerEncoder:
    """A hub id or folder in the layout of sentence-transformers. Loads at the first `encode`.

    Attributes:
        model: Hub id, or a folder.
        revision: Commit or tag on the hub.
        query_prompt: Put before each query; None takes what the model's own config says.
        document_prompt: Put before each document; None as above.
        query_pooling: How tokens become one vector; None takes the model's own modules.
        document_pooling: As above; some models pool queries and documents differently.
        max_length: Tokens kept of a text; None takes the model's own limit.
    """

    model: str
    revision: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_pooling: Pooling | None = None
    document_pooling: Pooling | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        for pooling in (self.query_pooling, self.document_pooling):
            if pooling not in ("cls", "mean", None):
                raise ConfigError(f"pooling must be 'cls' or 'mean', got {pooling!r}")
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")

    @cached_property
    def _engine(self) -> SentenceTransformer:
        folder = locate(self.model, revision=self.revision)
        try:
            engine = SentenceTransformer(str(folder), local_files_only=True)
        except Exception as error:  # its own, and those of transformers, safetensors and torch
            raise ModelError(
                f"{self.model!r} is not a sentence-transformers model: {error}"
            ) from error
        if self.max_length is not None:
            engine.max_seq_length = self.max_length
        return engine

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.encode(["width"]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model's files and of every option."""
        options: list[Any] = [self.query_prompt, self.document_prompt, self.query_pooling]
        options += [self.document_pooling, self.max_length]
        files = digest(locate(self.model, revision=self.revision))
        return hashlib.sha256(json.dumps(["st", files, options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        pooling = self.query_pooling if role == "query" else self.document_pooling
        common: dict[str, Any] = {
            "prompt": self._prompt(role),
            "task": role,  # some models have a route for each
            "show_progress_bar": False,
        }
        if pooling is None:
            rows = self._engine.encode(list(texts), convert_to_numpy=True, **common)
        else:  # a few at a time: token embeddings take hundreds of times the room of a text's
            parts = [texts[some] for some in blocks(len(texts), 256)]
            rows = np.concatenate([self._pool(list(part), pooling, common) for part in parts])
        return normalize(np.ascontiguousarray(rows, dtype=np.float32))

    def _pool(
        self, texts: list[str], pooling: Pooling, common: dict[str, Any]
    ) -> Float32[Array, "n d"]:
        tokens = self._engine.encode(
            texts, output_value="token_embeddings", convert_to_numpy=False, **common
        )
        rows = [t[0].float() if pooling == "cls" else t.float().mean(dim=0) for t in tokens]
        return torch.stack(rows).cpu().numpy()

    def _prompt(self, role: Role) -> str:
        given = self.query_prompt if role == "query" else self.document_prompt
        if given is not None:
            return given
        own = self._engine.prompts
        names = ["query"] if role == "query" else ["document", "passage", "corpus"]
        return next((prompt for name in names if (prompt := own.get(name))), "")
