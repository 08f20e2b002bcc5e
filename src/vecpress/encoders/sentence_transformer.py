"""Any model that the library sentence-transformers loads: of texts, of images, or of both."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from sentence_transformers import SentenceTransformer

from vecpress.arrays import Array, blocks, normalize
from vecpress.encoders.files import digest, locate
from vecpress.encoders.items import no_images, split
from vecpress.errors import ConfigError, ModelError
from vecpress.head import LATER
from vecpress.images import open_image
from vecpress.stages import Image, Item, Role

Pooling = Literal["cls", "mean"]

_OPEN = 32
"""Images in memory at once: the engine's batch; a photograph takes 36 MB."""


@dataclass(frozen=True, kw_only=True)
class SentenceTransformerEncoder:
    """A hub id or folder in the layout of sentence-transformers. Loads at the first `encode`.

    Prompts, pooling and length are for texts: an image goes through the model's own modules.

    Attributes:
        model: Hub id, or a folder.
        revision: Commit or tag on the hub.
        query_prompt: Put before each query; None takes what the model's own config says.
        document_prompt: Put before each document; None as above.
        query_pooling: How tokens become one vector; None takes the model's own modules.
        document_pooling: As above; some models pool queries and documents differently.
        max_length: Tokens kept of a text; None takes the model's own limit.
        image_model: Hub id or folder of what encodes images, where `model` was trained to put
            texts into its space; None takes `model`.
    """

    model: str
    revision: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_pooling: Pooling | None = None
    document_pooling: Pooling | None = None
    max_length: int | None = None
    image_model: str | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        for pooling in (self.query_pooling, self.document_pooling):
            if pooling not in ("cls", "mean", None):
                raise ConfigError(f"pooling must be 'cls' or 'mean', got {pooling!r}")
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")

    @cached_property
    def _engine(self) -> SentenceTransformer:
        engine = _load(self.model, self.revision)
        if self.max_length is not None:
            engine.max_seq_length = self.max_length
        return engine

    @cached_property
    def _image_engine(self) -> SentenceTransformer:
        return self._engine if self.image_model is None else _load(self.image_model)

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        if self._engine.supports("text"):
            return int(self.encode(["width"]).shape[1])
        blank: list[Any] = [np.zeros((32, 32, 3), np.uint8)]
        return int(self._engine.encode(blank, show_progress_bar=False).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the models' files and of every option."""
        options: list[Any] = [self.query_prompt, self.document_prompt, self.query_pooling]
        options += [self.document_pooling, self.max_length]
        if self.image_model is not None:
            options.append(digest(locate(self.image_model)))
        files = digest(locate(self.model, revision=self.revision))
        return hashlib.sha256(json.dumps(["st", files, options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, in order.

        Raises:
            ConfigError: the model does not encode what there is among them.
            DataError: an image cannot be read.
            ModelError: a model cannot be loaded, or texts and images get different widths.
        """
        if not texts:
            return np.empty((0, self.dim), np.float32)
        words, images = split(texts)
        self._check(words, images)
        parts = [self._embed_texts(words, role)] if words else []
        parts += [self._embed_images(images, role)] if images else []
        if len({part.shape[1] for part in parts}) > 1:
            raise ModelError(
                f"{self.model!r} gives texts {parts[0].shape[1]} dimensions and images "
                f"{parts[1].shape[1]}: they are not in one space"
            )
        rows = np.concatenate(parts)
        if words and images:  # back into the order they came in
            is_image = [isinstance(item, Image) for item in texts]
            rows = rows[np.argsort(np.argsort(is_image, kind="stable"))]
        return normalize(np.ascontiguousarray(rows, dtype=np.float32))

    def tokenizer_json(self) -> str:
        """Give the model's tokenizer in the form of the library tokenizers.

        Raises:
            ConfigError: the model has none.
            ModelError: the model cannot be loaded.
        """
        return self._tokenizer.to_str()

    def encode_tokens(self, ids: Sequence[int]) -> Float32[Array, "n d"]:
        """Embed each token alone, between those that begin and end a text; no prompt.

        Pooled as a document is; rows are as the model gives them, not always of unit norm.

        Raises:
            ConfigError: the model has no tokenizer to name the tokens.
            ModelError: the model cannot be loaded.
        """
        text = self._tokenizer.encode("a")
        seen = [i for i, mask in enumerate(text.attention_mask) if mask]  # without padding
        own = [i for i in seen if not text.special_tokens_mask[i]]
        before = [text.ids[i] for i in seen if i < own[0]]
        after = [text.ids[i] for i in seen if i > own[-1]]
        self._engine.eval()
        parts = [self._embed_ids([[*before, i, *after] for i in ids[some]])
                 for some in blocks(len(ids), 1024)]  # fmt: skip
        return np.concatenate(parts)

    @property
    def _tokenizer(self) -> Any:
        tokenizer = getattr(self._engine.tokenizer, "backend_tokenizer", None)
        if tokenizer is None or not self._engine.supports("text"):
            raise ConfigError(
                f"{self.model!r} cannot be distilled: it is no transformer of texts with a "
                "tokenizer.json"
            )
        return tokenizer

    @torch.inference_mode()
    def _embed_ids(self, rows: list[list[int]]) -> Float32[Array, "n d"]:
        ids = torch.tensor(rows, device=self._engine.device)
        features: dict[str, Any] = dict(self._engine.preprocess(["a"]))  # what this model takes
        filled = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        filled["token_type_ids"] = torch.zeros_like(ids)
        given = self._engine(features | {k: v for k, v in filled.items() if k in features})
        tokens, pooling = given.get("token_embeddings"), self.document_pooling
        if pooling is None:
            pooled = given["sentence_embedding"]
        else:
            pooled = tokens[:, 0] if pooling == "cls" else tokens.mean(dim=1)
        return pooled.float().cpu().numpy()

    def _check(self, words: list[str], images: list[Image]) -> None:
        """Refuse what the model does not encode, before it encodes the rest."""
        if words and not self._engine.supports("text"):
            raise ConfigError(
                f"{self.model!r} encodes images, got the text {words[0][:40]!r}: choose a model of "
                "both, such as clip-vit-b-32"
            )
        if images and not self._image_engine.supports("image"):
            raise no_images(self.image_model or self.model, images[0])

    def _embed_images(self, images: list[Image], role: Role) -> Float32[Array, "n d"]:
        parts = []
        for some in blocks(len(images), _OPEN):
            pictures: list[Any] = [open_image(image) for image in images[some]]
            parts.append(
                self._image_engine.encode(
                    pictures, prompt="", task=role, show_progress_bar=False, convert_to_numpy=True
                )
            )
        return np.concatenate(parts)

    def _embed_texts(self, texts: list[str], role: Role) -> Float32[Array, "n d"]:
        common: dict[str, Any] = {
            "prompt": self._prompt(role),
            "task": role,  # some models have a route for each
            "show_progress_bar": False,
        }
        pooling = self.query_pooling if role == "query" else self.document_pooling
        if pooling is None:
            return self._engine.encode(self._as_texts(texts), convert_to_numpy=True, **common)
        # a few at a time: token embeddings take hundreds of times the room of a text's
        parts = [texts[some] for some in blocks(len(texts), 256)]
        return np.concatenate([self._pool(part, pooling, common) for part in parts])

    def _as_texts(self, texts: list[str]) -> list[Any]:
        """Say that they are texts, where the engine would open one that is a path or an address."""
        if self._engine.modalities == ["text"]:
            return texts
        return [{"text": text} for text in texts]

    def _pool(
        self, texts: list[str], pooling: Pooling, common: dict[str, Any]
    ) -> Float32[Array, "n d"]:
        try:
            tokens = self._engine.encode(
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

    def _prompt(self, role: Role) -> str:
        given = self.query_prompt if role == "query" else self.document_prompt
        if given is not None:
            return given
        own = self._engine.prompts
        names = ["query"] if role == "query" else ["document", "passage", "corpus"]
        return next((prompt for name in names if (prompt := own.get(name))), "")


def _load(model: str, revision: str | None = None) -> SentenceTransformer:
    folder = locate(model, revision=revision)
    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except Exception as error:  # its own, and those of transformers, safetensors and torch
        raise ModelError(f"{model!r} is not a sentence-transformers model: {error}") from error
