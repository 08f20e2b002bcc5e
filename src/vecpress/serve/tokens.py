"""Tokens of texts: how many there are, and texts from token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from vecpress.encoders.combine import Concat, without_cache
from vecpress.encoders.tokens import SharedTokens
from vecpress.errors import ConfigError
from vecpress.stages import Encoder

if TYPE_CHECKING:  # a press of words alone does without the library tokenizers
    from vecpress.encoders.text_tokenizer import TextTokenizer


@runtime_checkable
class Tokenized(Protocol):
    """An encoder that reads tokens of a tokenizer.json."""

    def tokenizer_json(self) -> str:
        """Give the tokenizer in the form of the library tokenizers."""
        ...


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokenizers of an encoder's models, each of which is read when it is first needed.

    Attributes:
        encoder: One model, or several side by side.
        names: What the models are called.
    """

    encoder: Encoder
    names: Sequence[str]

    @cached_property
    def _splitters(self) -> "tuple[TextTokenizer | None, ...]":
        """One for each model; None for a model that knows no tokens."""
        plain = without_cache(self.encoder)
        return tuple(map(_splitter, plain.encoders if isinstance(plain, Concat) else (plain,)))

    def count(self, texts: Sequence[str], seen: SharedTokens) -> list[int]:
        """Count the tokens of each text, as the first model does that has a tokenizer.

        All of the text, without prompts and what a model puts at its ends; words, where no model
        has a tokenizer.
        """
        first = next((splitter for splitter in self._splitters if splitter is not None), None)
        if first is None:
            return [len(text.split()) for text in texts]
        return [len(ids) for ids in seen.of(first, texts)]

    @cached_property
    def refusal(self) -> str:
        """Why token ids cannot be taken; nothing, if they can."""
        splitters, models = self._splitters, ", ".join(self.names)
        advice = "send the texts themselves"
        if len(splitters) == 1 and splitters[0] is None:
            return f"{models} has no tokenizer, so token ids mean nothing here: {advice}"
        first = splitters[0]
        for splitter in splitters:
            if first is None or splitter is None or splitter.key() != first.key():
                return (
                    f"the models of this press ({models}) do not share one tokenizer, so token ids "
                    f"could be meant for one of them only: {advice}"
                )
        return ""

    @property
    def size(self) -> int:
        """How many tokens there are, where token ids can be taken."""
        splitter = self._splitters[0]
        return 0 if self.refusal or splitter is None else splitter.size

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Give the texts that token ids stand for, perhaps with the model's ends around them.

        Raises:
            ConfigError: the models share no tokenizer, or no text has these tokens.
        """
        splitter = self._splitters[0]
        if self.refusal or splitter is None:
            raise ConfigError(self.refusal)
        return [_text(splitter, row, model=self.names[0]) for row in rows]


def _splitter(model: Encoder) -> "TextTokenizer | None":
    if not isinstance(model, Tokenized):
        return None
    try:
        written = model.tokenizer_json()
    except ConfigError:  # one of images
        return None
    from tokenizers import Tokenizer

    from vecpress.encoders.text_tokenizer import TextTokenizer

    return TextTokenizer(Tokenizer.from_str(written))


def _text(splitter: "TextTokenizer", ids: Sequence[int], *, model: str) -> str:
    """Decode, and make sure that the text has just these tokens.

    Ids of another tokenizer, which clients of OpenAI's models send, would else pass for some text.
    """
    if max(ids) >= splitter.size:
        raise ConfigError(
            f"token ids of this press go from 0 to {splitter.size - 1}, got {max(ids)}: were they "
            f"made by another tokenizer than that of {model}? Send the texts themselves"
        )
    before, after = splitter.ends
    own = list(ids)
    if before + after and own[: len(before)] == before and own[len(own) - len(after) :] == after:
        own = own[len(before) : len(own) - len(after)]
    text = splitter.library.decode(own, skip_special_tokens=False)
    if not np.array_equal(splitter.split([text])[0], own):
        shown = ", ".join(map(str, own[:8])) + (", ..." if len(own) > 8 else "")
        raise ConfigError(
            f"no text has the tokens [{shown}] of this press: were they made by another tokenizer "
            f"than that of {model}, or cut in the middle of a word? Send the texts themselves"
        )
    return text
