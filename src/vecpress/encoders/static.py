"""Static token tables: a text is the mean of its tokens' rows. No network, no torch."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import safetensors.numpy
from jaxtyping import Float32, Int64
from safetensors import SafetensorError

from vecpress.arrays import Array, Rounded, blocks, normalize, round_rows
from vecpress.encoders.files import locate
from vecpress.encoders.items import only_texts
from vecpress.encoders.text_tokenizer import TextTokenizer, read_tokenizer
from vecpress.encoders.tokens import Ids, SharedTokens
from vecpress.errors import ConfigError, ModelError
from vecpress.head import LATER
from vecpress.stages import Item, Role

_AT_ONCE = 1024
"""Texts looked up at a time."""

_TOKENS = 4096
"""Rows of the table added up at a time."""


class _Layout(NamedTuple):
    """Where a published kind of table keeps its parts."""

    table: str
    tokenizer: str
    rows: str  # the tensor that holds the rows


_BITS = {"int8": 8, "int4": 4}

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
        precision: "int8" or "int4" rounds each row to whole numbers times a scale, so that an
            exported table takes a quarter or an eighth of the bytes; None keeps it as it is.
    """

    model: str
    revision: str | None = None
    max_length: int | None = None
    precision: Literal["int8", "int4"] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")
        if self.precision not in (*_BITS, None):
            raise ConfigError(
                f"precision must be {', '.join(map(repr, _BITS))} or none, got {self.precision!r}"
            )

    @cached_property
    def _files(self) -> tuple[Path, _Layout]:
        folder = locate(self.model, revision=self.revision)
        for layout in _LAYOUTS:
            if (folder / layout.table).is_file() and (folder / layout.tokenizer).is_file():
                return folder, layout
        raise ModelError(f"{folder} is not a model2vec folder: no model.safetensors with tokenizer")

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """What splits texts."""
        folder, layout = self._files
        return read_tokenizer(folder / layout.tokenizer)

    @cached_property
    def table(self) -> Float32[Array, "rows d"]:
        """One row per token id, the token's weight folded in."""
        return self._unrounded if self.rounded is None else self.rounded.rows

    @cached_property
    def rounded(self) -> Rounded | None:
        """The table in whole numbers, if it is used so."""
        if self.precision is None:
            return None
        return round_rows(self._unrounded, bits=_BITS[self.precision])

    @property
    def _unrounded(self) -> Float32[Array, "rows d"]:
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
    def unknown(self) -> int:
        """The id of the token for what is not in the vocabulary; it says nothing of a text."""
        library = self.tokenizer.library
        name = getattr(library.model, "unk_token", None)
        found = library.token_to_id(name) if name else None
        return -1 if found is None or self._files[1] is not _LAYOUTS[0] else found

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.table.shape[1])

    def tokenizer_json(self) -> str:
        """Give the model's tokenizer in the form of the library tokenizers."""
        return self.tokenizer.library.to_str()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the table, the tokenizer and every option."""
        folder, layout = self._files
        files = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in layout[:2]]
        options = [*files, self.max_length, *([] if self.precision is None else [self.precision])]
        return hashlib.sha256(json.dumps(["static", options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order; a text without known tokens becomes a zero row.

        Raises:
            ConfigError: there is an image among them.
        """
        return self.encode_sharing(texts, role=role, tokens=SharedTokens())

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        words = only_texts(texts, model=self.model)
        out = np.zeros((len(words), self.dim), np.float32)
        for rows in blocks(len(words), _AT_ONCE):
            ids, lengths = self._known(tokens.of(self.tokenizer, words[rows]))
            out[rows] = sums(self.table, ids, lengths)
        return normalize(out)

    def _known(self, split: Sequence[Ids]) -> tuple[Ids, Int64[Array, " n"]]:
        """Drop what is unknown, then what is too long; give the ids end to end, and how many."""
        lengths = np.array([len(ids) for ids in split])
        ids = np.concatenate(split) if split else np.empty(0, np.int32)
        text = np.repeat(np.arange(len(split)), lengths)
        known = ids != self.unknown
        ids, text = ids[known], text[known]
        lengths = np.bincount(text, minlength=len(split))
        if self.max_length is None:
            return ids, lengths
        place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return ids[place < self.max_length], np.minimum(lengths, self.max_length)


def sums(
    table: Float32[Array, "rows d"], ids: Ids, lengths: Int64[Array, " n"]
) -> Float32[Array, "n d"]:
    """Add up the rows of each text, whose ids lie end to end; no ids, a zero row.

    Texts of one length are gathered and added together, a few thousand tokens at a time: they stay
    in the processor's cache, where all rows of all texts would be written out and read back.
    """
    out = np.zeros((len(lengths), table.shape[1]), np.float32)
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(lengths, kind="stable")
    for length, first in zip(*np.unique(lengths[order], return_index=True), strict=True):
        if length == 0:
            continue
        same = order[first : np.searchsorted(lengths[order], length, side="right")]
        ones = np.ones((1, length), np.float32)
        for some in blocks(len(same), max(1, _TOKENS // int(length))):
            found = ids[starts[same[some], None] + np.arange(length)]
            out[same[some]] = (ones @ table.take(found, axis=0))[:, 0]
    return out
