"""A model of words alone: TF-IDF and truncated SVD, fitted on the corpus it will search."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from vecpress.arrays import Array, normalize, round_rows
from vecpress.encoders.items import only_texts
from vecpress.errors import ConfigError, DataError
from vecpress.head import LATER
from vecpress.stages import Item, Role


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """Latent semantic analysis (Deerwester et al. 1990), with sublinear term frequencies.

    Attributes:
        dim: Singular directions kept.
        max_terms: Most frequent terms kept as the vocabulary.
        precision: "int8" rounds what is fitted of each term to whole numbers times a scale, so that
            an exported table in 8 bits gives the same answers; None keeps it as it is.
    """

    dim: int = 256
    max_terms: int = 50_000
    precision: Literal["int8"] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ConfigError(f"dim must be at least 1, got {self.dim}")
        if self.max_terms < 1:
            raise ConfigError(f"max_terms must be at least 1, got {self.max_terms}")
        if self.precision not in ("int8", None):
            raise ConfigError(f"precision must be 'int8' or none, got {self.precision!r}")

    def fit(self, texts: Sequence[Item]) -> "LexicalEncoder":
        """Learn vocabulary, term weights and directions from the texts.

        Raises:
            ConfigError: there is an image among them.
            DataError: the texts are too few, or have too few distinct terms, for `dim`.
        """
        words = only_texts(texts, model=f"lexical:{self.dim}")
        vectorizer = _vectorizer(max_features=self.max_terms)
        try:
            counts = vectorizer.fit_transform(words)
        except ValueError as error:  # an empty vocabulary
            raise DataError(f"lexical:{self.dim} found no words in the corpus: {error}") from error
        most = min(counts.shape) - 1
        if self.dim > most:
            less = f"ask for lexical:{most} or less, or " if most else ""
            raise DataError(
                f"lexical:{self.dim} needs more than {self.dim} texts and distinct terms, got "
                f"{counts.shape[0]} texts with {counts.shape[1]} terms: {less}leave it out"
            )
        with np.errstate(invalid="ignore"):  # texts all alike have no variance to explain
            svd = TruncatedSVD(self.dim, random_state=0).fit(counts)
        terms = "\n".join(vectorizer.get_feature_names_out()).encode()
        components = svd.components_.astype(np.float32)
        if self.precision is not None:
            components = round_rows(components.T, bits=8).rows.T
        return LexicalEncoder(
            vocabulary=np.frombuffer(terms, np.uint8),
            idf=vectorizer.idf_.astype(np.float32),
            components=np.ascontiguousarray(components),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LexicalEncoder:
    """A fitted `Lexical`.

    Attributes:
        vocabulary: The terms in UTF-8, separated by newlines.
        idf: Weight of each term.
        components: Singular directions, largest first.
    """

    vocabulary: UInt8[Array, " bytes"]
    idf: Float32[Array, " terms"]
    components: Float32[Array, "d terms"]

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = _vectorizer(vocabulary=self.vocabulary.tobytes().decode().split("\n"))
        vectorizer.idf_ = self.idf
        return vectorizer

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.components.shape[0])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything fitted."""
        digest = hashlib.sha256(b"lexical")  # another word here whenever `_vectorizer` changes
        for array in (self.vocabulary, self.idf, self.components):
            digest.update(array.tobytes())
        return digest.hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order; a text without known terms becomes a zero row.

        Raises:
            ConfigError: there is an image among them.
        """
        words = only_texts(texts, model=f"lexical:{self.dim}")
        if not texts:
            return np.empty((0, self.dim), np.float32)
        counts = self._vectorizer.transform(words).astype(np.float32)
        return normalize(np.ascontiguousarray(counts @ self.components.T, dtype=np.float32))


def _vectorizer(
    *, max_features: int | None = None, vocabulary: list[str] | None = None
) -> TfidfVectorizer:
    return TfidfVectorizer(
        sublinear_tf=True,
        stop_words="english",
        token_pattern=r"(?u)\b\w+\b",
        max_features=max_features,
        vocabulary=vocabulary,
    )
