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

from vecpress.arrays import Array, normalize
from vecpress.encoders.files import digest, locate
from vecpress.errors import ModelError
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

    @cached_property
    def _engine(self) -> SentenceTransformer:
        folder = locate(self.model, revision=self.revision)
        try:
            engine = SentenceTransformer(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
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
        options = [self.query_prompt, self.document_prompt, self.query_pooling]
        options += [self.document_pooling, self.max_length]
        files = digest(locate(self.model, revision=self.revision))
        return hashlib.sha256(json.dumps(["st", files, options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[str], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order."""
        pooling = self.query_pooling if role == "query" else self.document_pooling
        common: dict[str, Any] = {"prompt": self._prompt(role), "show_progress_bar": False}
        if not texts:
            return np.empty((0, self.dim), np.float32)
        if pooling is None:
            rows = self._engine.encode(list(texts), convert_to_numpy=True, **common)
        else:
            tokens = self._engine.encode(
                list(texts), output_value="token_embeddings", convert_to_numpy=False, **common
            )
            rows = torch.stack([t[0] if pooling == "cls" else t.mean(dim=0) for t in tokens])
            rows = rows.cpu().numpy()
        return normalize(np.ascontiguousarray(rows, dtype=np.float32))

    def _prompt(self, role: Role) -> str:
        given = self.query_prompt if role == "query" else self.document_prompt
        if given is not None:
            return given
        own = self._engine.prompts
        names = ["query"] if role == "query" else ["document", "passage", "corpus"]
        return next((own[name] for name in names if own.get(name)), "")
