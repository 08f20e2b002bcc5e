"""What head and quantizer are fitted on: some of the documents, encoded."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, as_embeddings
from vecpress.corpus import Corpus
from vecpress.encoders.catalogue import combine, find
from vecpress.encoders.combine import with_cache
from vecpress.errors import ConfigError, MismatchError
from vecpress.recipe import Documents, Recipe
from vecpress.stages import Encoder, FittedOnTexts, Progress, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Embeddings to fit on, and where they came from.

    Attributes:
        embeddings: Unit rows.
        encoder: What made them; None if they were precomputed.
        seed: Of the sample, and of everything fitted on it.
        corpus: Number of documents and their digest, for the record.
    """

    embeddings: Float32[Array, "n d"]
    encoder: Encoder | None = None
    seed: int = 0
    corpus: Mapping[str, Any] = field(default_factory=dict)

    def provenance(self) -> dict[str, Any]:
        """Record what is fitted on, as plain values."""
        encoder = self.encoder
        return {
            "in_dim": int(self.embeddings.shape[1]),
            "seed": self.seed,
            "sample": len(self.embeddings),
            "corpus": dict(self.corpus),
            "encoder": encoder.fingerprint if encoder is not None else "precomputed",
        }


def draw_sample(
    recipe: Recipe,
    documents: Documents,
    *,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Sample:
    """Encode, or read, at most `recipe.sample` of the documents.

    Raises:
        ConfigError: the recipe and the documents do not fit each other.
        DataError: the documents cannot be used.
    """
    encoder = make_encoder(recipe, documents, progress=progress)
    if encoder is not None and cache is not None:
        encoder = with_cache(encoder, cache, progress=progress)
    embeddings = _embed(encoder, documents, sample_rows(len(documents), recipe.sample, seed))
    digest = documents.digest if isinstance(documents, Corpus) else _digest(embeddings)
    corpus = {"documents": len(documents), "digest": digest}
    return Sample(embeddings=embeddings, encoder=encoder, seed=seed, corpus=corpus)


def make_encoder(
    recipe: Recipe, documents: Documents, *, progress: Progress = silent
) -> Encoder | None:
    """Make the encoders of a recipe; those of words are fitted on the texts.

    Raises:
        ConfigError: models without texts, or texts without models.
    """
    if not isinstance(documents, Corpus):
        if recipe.models:
            raise ConfigError(
                f"vectors are already encoded, so they take no models, got "
                f"{', '.join(recipe.model_names)}"
            )
        return None
    if not recipe.models:
        raise ConfigError("texts need at least one model, such as minilm,wordllama; got none")
    fitted = []
    for done, name in enumerate(recipe.models):
        progress("loading models", done, len(recipe.models))
        found = find(name)
        fitted.append(found.fit(documents.texts) if isinstance(found, FittedOnTexts) else found)
    progress("loading models", len(recipe.models), len(recipe.models))
    return combine(fitted, recipe.weights)


def _embed(
    encoder: Encoder | None, documents: Documents, rows: Array | slice
) -> Float32[Array, "n d"]:
    """Give the unit embeddings of some documents, in order.

    Raises:
        DataError: a vector is not finite.
    """
    if isinstance(documents, Corpus):
        assert encoder is not None
        numbers = range(len(documents))[rows] if isinstance(rows, slice) else rows
        return encoder.encode([documents.texts[int(i)] for i in numbers])
    return as_embeddings(np.asarray(documents[rows]), taken=rows)


def check_fingerprint(encoder: Encoder, recorded: str) -> None:
    """Make sure that the models found here are those that something was fitted on.

    Raises:
        MismatchError: they are not.
    """
    if encoder.fingerprint != recorded:
        raise MismatchError(
            f"this press was fitted on models with the fingerprint {recorded}, those found here "
            f"have {encoder.fingerprint}: install the same weights, or fit again"
        )


def sample_rows(n: int, most: int, seed: int) -> Array | slice:
    """Draw at most `most` of n rows, ascending; all of them if they are few enough."""
    if n <= most:
        return slice(0, n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _digest(embeddings: Float32[Array, "n d"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(embeddings).tobytes()).hexdigest()[:32]
