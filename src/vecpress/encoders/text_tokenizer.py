"""A tokenizer.json: what splits texts into tokens."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from vecpress.arrays import blocks
from vecpress.encoders.tokens import Ids
from vecpress.errors import ModelError

_AT_ONCE = 1024
"""Texts handed to the library at once: what it says of a token takes a hundred bytes."""


@dataclass(frozen=True, eq=False)
class TextTokenizer:
    """A tokenizer.json, without the padding, the cutting and the ends it asks for.

    Attributes:
        library: What does the work.
    """

    library: Tokenizer

    def __post_init__(self) -> None:
        self.library.no_padding()
        self.library.no_truncation()

    def key(self) -> str:
        """Give the same for two tokenizers only if they split every text alike."""
        return self._key

    @cached_property
    def _key(self) -> str:
        parts = json.loads(self.library.to_str())
        for part in ("padding", "truncation", "post_processor", "decoder"):
            parts.pop(part, None)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """How many tokens it knows."""
        return self.library.get_vocab_size()

    @cached_property
    def ends(self) -> tuple[list[int], list[int]]:
        """What the model wants to see before and after a text."""
        text = self.library.encode("a")
        own = [i for i, special in enumerate(text.special_tokens_mask) if not special]
        return text.ids[: own[0]], text.ids[own[-1] + 1 :]

    def split(self, texts: Sequence[str]) -> list[Ids]:
        """Give the tokens of each text, all of them and nothing else."""
        ids: list[Ids] = []
        for some in blocks(len(texts), _AT_ONCE):
            found = self.library.encode_batch_fast(list(texts[some]), add_special_tokens=False)
            ids += [np.array(text.ids, np.int32) for text in found]
        return ids

    def frame(self, ids: Ids, *, max_length: int) -> Ids:
        """Put the ends around a text's tokens, as many as fit."""
        before, after = self.ends
        room = max(max_length - len(before) - len(after), 0)
        return np.concatenate([before, ids[:room], after]).astype(np.int32)


def read_tokenizer(path: Path) -> TextTokenizer:
    """Read a tokenizer.json.

    Raises:
        ModelError: it is not there, or is none.
    """
    if not path.is_file():
        raise ModelError(f"{path.parent} has no {path.name}")
    try:
        return TextTokenizer(Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises this very class
        raise ModelError(f"{path} is not a tokenizer: {error}") from error
