"""Texts in tokens: each text once, for all the models that share a tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float32, Int32

from vecpress.arrays import Array
from vecpress.stages import Item, Role

Ids = Int32[Array, " _"]


@runtime_checkable
class Splitter(Protocol):
    """What splits texts into tokens."""

    @property
    def size(self) -> int:
        """How many tokens it knows."""
        ...

    def key(self) -> str:
        """Give the same for two of them only if they give every text the same tokens."""
        ...

    def split(self, texts: Sequence[str]) -> list[Ids]:
        """Give the tokens of each text, all of them and nothing else."""
        ...


@dataclass(frozen=True, eq=False)
class SharedTokens:
    """What texts are in tokens, remembered as long as this object lives."""

    _seen: list[tuple[Splitter, dict[str, Ids]]] = field(default_factory=list)

    def of(self, splitter: Splitter, texts: Sequence[str]) -> list[Ids]:
        """Give the tokens of each text, of which only those not yet seen are split."""
        known = self._known(splitter)
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, splitter.split(new), strict=True))
        return [known[text] for text in texts]

    def _known(self, splitter: Splitter) -> dict[str, Ids]:
        for other, known in self._seen:
            if other is splitter or (other.size == splitter.size and other.key() == splitter.key()):
                return known
        self._seen.append((splitter, {}))
        return self._seen[-1][1]


@runtime_checkable
class SharesTokens(Protocol):
    """An encoder that does not split again what another one has split."""

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        ...
