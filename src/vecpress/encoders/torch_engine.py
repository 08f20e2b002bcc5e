"""Runs any model that the library sentence-transformers loads: of texts, of images, or of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from vecpress.arrays import Array, blocks
from vecpress.encoders.files import locate
from vecpress.errors import ConfigError, ModelError
from vecpress.images import open_image
from vecpress.stages import Image, Role

_OPEN = 32
"""Images in memory at once: the engine's batch; a photograph takes 36 MB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TorchEngine:
    """A model as its own library runs it, on as many threads as torch was given.

    Attributes:
        model: Hub id, or a folder.
        revision: Commit or tag on the hub.
        max_length: Tokens kept of a text; None takes the model's own limit.
    """

    model: str
    revision: str | None = None
    max_length: int | None = None

    @cached_property
    def library(self) -> SentenceTransformer:
        """The loaded model."""
        loaded = _load(self.model, self.revision)
        if self.max_length is not None:
            loaded.max_seq_length = self.max_length
        return loaded

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        given: list[Any] = ["width"]
        if not self.library.supports("text"):
            given = [np.zeros((32, 32, 3), np.uint8)]
        return int(self.library.encode(given, show_progress_bar=False).shape[1])

    @property
    def prompts(self) -> dict[str, str]:
        """The model's own, by name."""
        return {name: prompt or "" for name, prompt in self.library.prompts.items()}

    def supports(self, kind: Literal["text", "image"]) -> bool:
        """Say whether it encodes "text" or "image"."""
        return bool(self.library.supports(kind))

    def embed(
        self, texts: list[str], *, prompt: str, pooling: str | None, role: Role
    ) -> Float32[Array, "n d"]:
        """Embed each text, in order; the library sorts them by length.

        Raises:
            ConfigError: a pooling is asked of a model that gives no tokens.
        """
        common: dict[str, Any] = {
            "prompt": prompt,
            "task": role,  # some models have a route for each
            "show_progress_bar": False,
        }
        if pooling is None:
            return self.library.encode(self._as_texts(texts), convert_to_numpy=True, **common)
        # a few at a time: token embeddings take hundreds of times the room of a text's
        parts = [texts[some] for some in blocks(len(texts), 256)]
        return np.concatenate([self._pool(part, pooling, common) for part in parts])

    def embed_images(self, images: list[Image], *, role: Role) -> Float32[Array, "n d"]:
        """Embed each image, in order.

        Raises:
            DataError: one cannot be read.
        """
        parts = []
        for some in blocks(len(images), _OPEN):
            pictures: list[Any] = [open_image(image) for image in images[some]]
            parts.append(
                self.library.encode(
                    pictures, prompt="", task=role, show_progress_bar=False, convert_to_numpy=True
                )
            )
        return np.concatenate(parts)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, as the library tokenizers knows it.

        Raises:
            ConfigError: the model has none.
        """
        tokenizer = getattr(self.library.tokenizer, "backend_tokenizer", None)
        if tokenizer is None or not self.supports("text"):
            raise ConfigError(
                f"{self.model!r} cannot be distilled: it is no transformer of texts with a "
                "tokenizer.json"
            )
        return tokenizer

    @torch.inference_mode()
    def embed_ids(
        self, rows: Sequence[Sequence[int]], *, pooling: str | None
    ) -> Float32[Array, "n d"]:
        """Embed texts of one length that are tokens already, their ends included."""
        self.library.eval()
        ids = torch.tensor(rows, device=self.library.device)
        features: dict[str, Any] = dict(self.library.preprocess(["a"]))  # what this model takes
        filled = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        filled["token_type_ids"] = torch.zeros_like(ids)
        given = self.library(features | {k: v for k, v in filled.items() if k in features})
        tokens = given.get("token_embeddings")
        if pooling is None:
            pooled = given["sentence_embedding"]
        else:
            pooled = tokens[:, 0] if pooling == "cls" else tokens.mean(dim=1)
        return pooled.float().cpu().numpy()

    def _as_texts(self, texts: list[str]) -> list[Any]:
        """Say that they are texts, where the engine would open one that is a path or an address."""
        if self.library.modalities == ["text"]:
            return texts
        return [{"text": text} for text in texts]

    def _pool(
        self, texts: list[str], pooling: str, common: dict[str, Any]
    ) -> Float32[Array, "n d"]:
        try:
            tokens = self.library.encode(
                self._as_texts(texts),
                output_value="token_embeddings",
                convert_to_numpy=False,
                **common,
            )
        except KeyError as error:
            raise ConfigError(
                f"{self.model!r} gives no tokens to pool, as CLIP-style models do not: leave the "
                f"pooling {pooling!r} out"
            ) from error
        rows = [t[0].float() if pooling == "cls" else t.float().mean(dim=0) for t in tokens]
        return torch.stack(rows).cpu().numpy()


def _load(model: str, revision: str | None) -> SentenceTransformer:
    folder = locate(model, revision=revision)
    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except Exception as error:  # its own, and those of transformers, safetensors and torch
        raise ModelError(f"{model!r} is not a sentence-transformers model: {error}") from error
