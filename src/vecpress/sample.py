"""What head and quantizer are fitted on: some of the documents and judged queries, encoded."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from vecpress.arrays import Array, as_embeddings
from vecpress.corpus import Corpus
from vecpress.draws import Drawn, sample_rows
from vecpress.encoders.catalogue import combine, find
from vecpress.encoders.combine import Concat, with_cache
from vecpress.errors import ConfigError, DataError, MismatchError
from vecpress.pairs import Pairs
from vecpress.recipe import Documents, Recipe
from vecpress.stages import Encoder, FittedOnTexts, Item, Progress, TrainingSet, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Embeddings to fit on, and where they came from.

    Attributes:
        embeddings: Unit rows: the documents drawn at random, then judged ones that were not.
        encoder: What made them; None if they were precomputed.
        seed: Of the sample, and of everything fitted on it.
        corpus: Number of documents and their digest, for the record.
        queries: Unit rows of the queries that were judged.
        positives: Query and document of each judgement, as rows of `queries` and `embeddings`.
        grades: How well each of these documents answers, 0 for not at all.
        models: Name and width of each block of the concatenation; none for precomputed vectors.
        drawn: How many of the embeddings were drawn at random; None for all.
        pairs: Number of judgements and their digest, for the record; empty without any.
    """

    embeddings: Float32[Array, "n d"]
    encoder: Encoder | None = None
    seed: int = 0
    corpus: Mapping[str, Any] = field(default_factory=dict)
    queries: Float32[Array, "m d"] | None = None
    positives: Int64[Array, "p 2"] | None = None
    grades: Float32[Array, " p"] | None = None
    models: tuple[tuple[str, int], ...] = ()
    drawn: int | None = None
    pairs: Mapping[str, Any] = field(default_factory=dict)

    def training(self) -> TrainingSet:
        """Give what a compressor learns from: all of it."""
        return TrainingSet(
            documents=self.embeddings,
            queries=self.queries,
            positives=self.positives,
            grades=self.grades,
            models=self.models,
        )

    def calibration(self) -> Float32[Array, "n d"]:
        """Give what stands for the corpus: the documents drawn at random, not those added."""
        return self.embeddings[: self.drawn]

    def provenance(self) -> dict[str, Any]:
        """Record what is fitted on, as plain values."""
        encoder = self.encoder
        recorded = {
            "in_dim": int(self.embeddings.shape[1]),
            "seed": self.seed,
            "sample": len(self.embeddings),
            "corpus": dict(self.corpus),
            "encoder": encoder.fingerprint if encoder is not None else "precomputed",
        }
        return recorded | {"pairs": dict(self.pairs)} if self.pairs else recorded


def draw_sample(
    recipe: Recipe,
    documents: Documents | Drawn,
    *,
    pairs: Pairs | None = None,
    encoder: Encoder | None = None,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Sample:
    """Encode, or read, at most `recipe.sample` of the documents, and all that were judged.

    Args:
        recipe: Its models, weights and sample are used.
        documents: What is drawn from, or what was drawn already.
        pairs: Judgements of the documents.
        encoder: Already fitted, in place of the one that the recipe's models make.
        seed: Of the draw.
        cache: Folder in which encoders remember what they encode.
        progress: Told about encoding.

    Raises:
        ConfigError: the recipe and the documents do not fit each other.
        DataError: the documents or the judgements cannot be used.
    """
    given = documents if isinstance(documents, Drawn) else Drawn(documents, len(documents), None)
    documents, number, told = given
    rows, drawn = choose_rows(len(documents), recipe.sample, seed=seed, pairs=pairs)
    if encoder is None:
        encoder = make_encoder(recipe, documents, progress=progress)
    if encoder is not None and cache is not None:
        encoder = with_cache(encoder, cache, progress=progress)
    embeddings = _embed(encoder, documents, rows)
    if told is None:
        told = documents.digest if isinstance(documents, Corpus) else _digest(embeddings[:drawn])
    sample = Sample(
        embeddings=embeddings,
        encoder=encoder,
        seed=seed,
        corpus={"documents": number, "digest": told},
    )
    if isinstance(documents, Corpus) and encoder is not None:
        first = documents.texts[0 if isinstance(rows, slice) else int(rows[0])]
        sample = replace(sample, models=_models(recipe, encoder, first))
    if pairs is None:
        return sample
    return with_pairs(sample, pairs, _ask(encoder, pairs), rows=rows, drawn=drawn)


def choose_rows(n: int, most: int, *, seed: int, pairs: Pairs | None) -> tuple[Array | slice, int]:
    """Draw at most `most` of n documents, and add the judged ones that were not drawn.

    Returns:
        The rows, drawn ones first, and how many were drawn.

    Raises:
        DataError: a judgement is of a document that is not there.
    """
    rows = sample_rows(n, most, seed)
    drawn = min(n, most)
    if pairs is None:
        return rows, drawn
    judged = np.unique(pairs.rows[:, 1])
    if judged[0] < 0 or judged[-1] >= n:
        raise DataError(
            f"{pairs.name} judge the documents {judged[0]} to {judged[-1]}, but the corpus has {n}"
        )
    if isinstance(rows, slice):
        return rows, drawn
    return np.concatenate([rows, np.setdiff1d(judged, rows)]), drawn


def with_pairs(
    sample: Sample,
    pairs: Pairs,
    queries: Float32[Array, "m d"],
    *,
    rows: Array | slice,
    drawn: int,
) -> Sample:
    """Add judgements to a sample of these rows of the corpus.

    Raises:
        DataError: the queries are not as wide as the documents.
    """
    wide, width = queries.shape[1], sample.embeddings.shape[1]
    if wide != width:
        raise DataError(
            f"the queries of {pairs.name} have {wide} dimensions, the documents {width}: were they "
            "made by the same model?"
        )
    positives = pairs.rows.astype(np.int64)
    if not isinstance(rows, slice):
        order = np.argsort(rows)
        positives[:, 1] = order[np.searchsorted(rows, positives[:, 1], sorter=order)]
    return replace(
        sample,
        queries=queries,
        positives=positives,
        grades=pairs.grades,
        drawn=drawn,
        pairs=pairs.record(),
    )


def _ask(encoder: Encoder | None, pairs: Pairs) -> Float32[Array, "m d"]:
    """Encode queries as queries, or take them as the vectors they are.

    Raises:
        ConfigError: queries and documents are not both texts, or both vectors.
    """
    queries = pairs.queries
    if isinstance(queries, Corpus) and encoder is not None:
        return encoder.encode(queries.texts, role="query")
    if isinstance(queries, Corpus) or encoder is not None:
        given, taken = ("texts", "vectors") if encoder is None else ("vectors", "texts")
        raise ConfigError(f"the documents are {taken}, so their queries must be too, got {given}")
    return as_embeddings(np.asarray(queries), name="the query vectors")


def _models(recipe: Recipe, encoder: Encoder, text: Item) -> tuple[tuple[str, int], ...]:
    """Name the blocks of a concatenation, and measure them on a text that was just encoded.

    To ask an encoder for its `dim` would load a model whose embeddings all came from the cache.
    """
    names = recipe.model_names
    parts = encoder.encoders if isinstance(encoder, Concat) and len(names) > 1 else (encoder,)
    if len(parts) != len(names):  # a pipeline of somebody's own encoder, which has no name
        return ()
    return tuple((n, int(p.encode([text]).shape[1])) for n, p in zip(names, parts, strict=True))


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


def check_encoder(encoder: Encoder | None, recorded: str) -> Encoder:
    """Make sure that the models found here are those that something was fitted on.

    Raises:
        ConfigError: it was fitted on precomputed vectors.
        MismatchError: they are others.
    """
    if encoder is None:
        raise ConfigError(
            "this press was fitted on precomputed vectors and knows no model to encode texts "
            "with: give vectors of the same model instead"
        )
    if encoder.fingerprint != recorded:
        raise MismatchError(
            f"this press was fitted on models with the fingerprint {recorded}, those found here "
            f"have {encoder.fingerprint}: install the same weights, or fit again"
        )
    return encoder


def check_width(embeddings: Float32[Array, "n d"], width: int) -> None:
    """Make sure that embeddings are as wide as those that something was fitted on.

    Raises:
        DataError: they are not.
    """
    if embeddings.shape[1] != width:
        raise DataError(
            f"this press takes {width}-dimensional vectors, got {embeddings.shape[1]}: were they "
            "made by the same models, in the same order?"
        )


def _digest(embeddings: Float32[Array, "n d"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(embeddings).tobytes()).hexdigest()[:32]
