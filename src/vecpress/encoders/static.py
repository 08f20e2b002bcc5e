"""Static token tables: a text is the mean of its tokens' rows. No network, no torch."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from jaxtyping import Float32
from safetensors import SafetensorError
from tokenizers import Tokenizer

from vecpress.arrays import Array, blocks, normalize
from vecpress.encoders.files import locate
from vecpress.encoders.items import only_texts
from vecpress.errors import ConfigError, ModelError
from vecpress.stages import Item, Role


class _Layout(NamedTuple):
    """Where a published kind of table keeps its parts."""

    table: str
    tokenizer: str
    rows: str  # the tensor that holds the rows


_LAYOUTS = (
    _Layout("model.safetensors", "tokenizer.json", "embeddings"),  # model2vec
    _Layout(
        "weights/l2_supercat_256.safetensors",
        "tokenizers/l2_supercat_tokenizer_config.json",
        "embedding.weight",
    ),  # the package wordllama
)


@dataclass(frozen=True, kw_only=True)
class StaticEncoder:
    """A model2vec folder or hub id, or the table inside the package `wordllama`.

    Attributes:
        model: Folder, hub id, or "wordllama".
        revision: Commit or tag on the hub.
        max_length: Tokens kept of a text; None keeps all (a token costs one row's addition).
    """

    model: str
    revision: str | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")

    @cached_property
    def _files(self) -> tuple[Path, _Layout]:
        folder = locate(self.model, revision=self.revision)
        for layout in _LAYOUTS:
            if (folder / layout.table).is_file() and (folder / layout.tokenizer).is_file():
                return folder, layout
        raise ModelError(f"{folder} is not a model2vec folder: no model.safetensors with tokenizer")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        folder, layout = self._files
        try:
            tokenizer = Tokenizer.from_file(str(folder / layout.tokenizer))
        except Exception as error:  # the library raises this very class
            raise ModelError(f"{folder / layout.tokenizer} is not a tokenizer: {error}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()  # done below, after unknown tokens are dropped
        return tokenizer

    @cached_property
    def _table(self) -> Float32[Array, "rows d"]:
        """One row per token id, the token's weight folded in."""
        folder, layout = self._files
        try:
            tensors = safetensors.numpy.load_file(folder / layout.table)
            rows = tensors[layout.rows].astype(np.float32)
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{folder / layout.table} is not a token table: {error}") from error
        if "mapping" in tensors:  # model2vec with a clustered vocabulary: token id -> row
            rows = rows[tensors["mapping"]]
        if "weights" in tensors:
            rows = rows * tensors["weights"].astype(np.float32)[:, None]
        return np.ascontiguousarray(rows)

    @cached_property
    def _unknown(self) -> int:
        """The id of the token for what is not in the vocabulary; it says nothing of a text."""
        name = getattr(self._tokenizer.model, "unk_token", None)
        found = self._tokenizer.token_to_id(name) if name else None
        return -1 if found is None or self._files[1] is not _LAYOUTS[0] else found

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self._table.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the table, the tokenizer and every option."""
        folder, layout = self._files
        files = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in layout[:2]]
        options = [*files, self.max_length]
        return hashlib.sha256(json.dumps(["static", options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order; a text without known tokens becomes a zero row.

        Raises:
            ConfigError: there is an image among them.
        """
        words = only_texts(texts, model=self.model)
        out = np.zeros((len(words), self.dim), np.float32)
        for rows in blocks(len(words), 512):
            encodings = self._tokenizer.encode_batch_fast(words[rows], add_special_tokens=False)
            ids = [[i for i in e.ids if i != self._unknown][: self.max_length] for e in encodings]
            lengths = np.array([len(i) for i in ids])
            filled = np.flatnonzero(lengths)
            if len(filled):
                gathered = self._table[np.concatenate([ids[i] for i in filled])]
                starts = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
                sums = np.add.reduceat(gathered, starts, axis=0)
                out[rows][filled] = sums / lengths[filled, None]
        return normalize(out)
