"""Head, quantizer and encoders as scikit-learn transformers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from vecpress.adapters.opening import open_press
from vecpress.arrays import Array
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.sample import make_encoder
from vecpress.stages import Encoder, Role

_OUTPUTS = ("embedding", "codes", "decoded")


class PressTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Shorter embeddings of vectors, their codes, or what the codes stand for.

    It is fitted on the vectors alone, at most 50,000 of them, drawn at random. Rows are scaled to
    unit length first, so how long they were is not kept; a zero row stays zero. Floats come out as
    float32, codes as packed bytes (uint8).

    Parameters:
        head: Name of a compressor, such as "power-pca" or "pca", or its `kind` and options as a
            recipe has them; None keeps the dimensions as they are.
        dim: Dimensions the head keeps; None without a head.
        bits: Bits per dimension of the codes; None makes no codes, or leaves it to the quantizer.
        quantizer: Name of a quantizer, or its `kind` and options; None means "percentile" if there
            are `bits`.
        output: What `transform` gives: the "embedding" of unit norm, its "codes", or the "decoded"
            embedding that a code stands for.
        random_state: Of everything random. A whole number is the seed of `Pipeline.fit`.

    Attributes:
        pipeline_: The fitted press: `pipeline_.save("press")` writes it.
        n_features_in_: Width of the vectors it was fitted on.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(100, 32))
        >>> PressTransformer(dim=16, bits=4, output="codes").fit_transform(vectors).shape
        (100, 8)
    """

    def __init__(
        self,
        head: str | Mapping[str, Any] | None = "power-pca",
        *,
        dim: int | None = 64,
        bits: int | None = None,
        quantizer: str | Mapping[str, Any] | None = None,
        output: Literal["embedding", "codes", "decoded"] = "embedding",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.head = head
        self.dim = dim
        self.bits = bits
        self.quantizer = quantizer
        self.output = output
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "PressTransformer":
        """Fit head and quantizer on vectors, one per row; `y` is not looked at.

        Raises:
            ConfigError: the parameters do not fit each other, or the vectors.
            ValueError: scikit-learn refuses the vectors: they are no matrix, or not finite.
        """
        recipe = self._recipe()
        vectors = validate_data(self, X, dtype=np.float32)
        state = self.random_state
        if not isinstance(state, int | np.integer):
            state = check_random_state(state).randint(2**31)
        self.pipeline_ = Pipeline.fit(recipe, vectors, seed=int(state))
        return self

    def transform(self, X: Any) -> Array:
        """Give a row per vector, in order: `output` says of what.

        Raises:
            ConfigError: it was fitted without a quantizer, and is now to give codes.
            ValueError: the vectors are of another width, or not finite.
        """
        check_is_fitted(self)
        vectors = validate_data(self, X, dtype=np.float32, reset=False)
        embeddings = self.pipeline_.compress(vectors)
        if self._output() == "embedding":
            return embeddings
        codes = self.pipeline_.quantize(embeddings)
        if self.output == "codes" or self.pipeline_.codec is None:
            return codes
        return self.pipeline_.codec.dequantize(codes)

    def _output(self) -> str:
        if self.output not in _OUTPUTS:
            raise ConfigError(f"output must be one of {', '.join(_OUTPUTS)}, got {self.output!r}")
        return self.output

    def _recipe(self) -> Recipe:
        """Bring the parameters into one recipe.

        Raises:
            ConfigError: they do not fit each other.
        """
        if self.head is None and self.dim is not None:
            raise ConfigError(
                f"without a head all dimensions are kept, got dim={self.dim}: give a head, such as "
                "'power-pca', or dim=None"
            )
        quantizer = self.quantizer
        if quantizer is None and self.bits is not None:
            quantizer = "percentile"
        if self._output() != "embedding" and quantizer is None:
            raise ConfigError(
                f"output={self.output!r} needs a quantizer: give bits=4, or quantizer='int8'"
            )
        return Recipe.from_dict(
            {
                "head": _method(self.head, dim=self.dim),
                "quantizer": _method(quantizer, bits=self.bits),
            }
        )

    @property
    def _n_features_out(self) -> int:
        pipeline = self.pipeline_
        if self.output == "codes" and pipeline.codec is not None:
            return pipeline.codec.code_bytes
        return pipeline.dim

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [] if self.output == "codes" else ["float32"]
        return tags


class TextEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Unit float embeddings of texts, by a press or by models side by side.

    Parameters:
        models: Names of models, such as ["minilm", "wordllama"]; `fit` learns nothing but the words
            of those that are fitted on texts, such as "lexical:256".
        weights: Each model's share of the cosine; None means equal.
        press: Folder of a press, or a pipeline, in place of models.
        role: Whether the texts are each a "document" or a "query".

    Attributes:
        encoder_: What encodes the texts.

    Example:
        >>> texts = ["a cup of tea", "black tea", "a late train", "the train leaves"]
        >>> TextEncoder(["lexical:2"]).fit_transform(texts).shape
        (4, 2)
    """

    def __init__(
        self,
        models: Sequence[str] | None = None,
        *,
        weights: Sequence[float] | None = None,
        press: Pipeline | str | Path | None = None,
        role: Role = "document",
    ) -> None:
        self.models = models
        self.weights = weights
        self.press = press
        self.role = role

    def fit(self, X: Any, y: Any = None) -> "TextEncoder":
        """Open the press, or the models; `y` is not looked at.

        Raises:
            ConfigError: there are models and a press, or neither; a model or the role is unknown.
            ShapeError: the texts do not come as one list.
            DataError: there is no text, or one is no string.
        """
        texts = _texts(X)
        if self.role not in get_args(Role):
            raise ConfigError(f"role must be query or document, got {self.role!r}")
        if (self.models is None) == (self.press is None):
            raise ConfigError(
                "TextEncoder takes either models, such as ['minilm', 'wordllama'], or a press, "
                f"got models={self.models!r} and press={self.press!r}"
            )
        if self.press is not None and self.weights is not None:
            raise ConfigError(
                f"weights go with models, and the press has its own, got {self.weights!r}: leave "
                "them out"
            )
        if self.press is not None:
            self.encoder_: Encoder = open_press(self.press)
        else:
            recipe = Recipe.from_dict({"models": self.models, "weights": self.weights})
            ids = tuple(map(str, range(len(texts))))
            encoder = make_encoder(recipe, Corpus(ids=ids, texts=texts, name="X"))
            assert encoder is not None  # there are texts
            self.encoder_ = encoder
        return self

    def transform(self, X: Any) -> Float32[Array, "n d"]:
        """Embed each text, in order.

        Raises:
            ShapeError: the texts do not come as one list.
            DataError: one is no string.
        """
        check_is_fitted(self)
        return self.encoder_.encode(_texts(X), role=self.role)

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.dim

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _method(given: str | Mapping[str, Any] | None, **option: int | None) -> dict[str, Any] | None:
    """Write a method as recipes do, with its option if that is given here."""
    if given is None:
        return None
    method = {"kind": given} if isinstance(given, str) else dict(given)
    return method | {name: value for name, value in option.items() if value is not None}


def _texts(X: Any) -> tuple[str, ...]:
    """Give the texts of a list, a column or an array.

    Raises:
        ShapeError: they are one text, or a table.
        DataError: one is no string.
    """
    if isinstance(X, str):
        raise ShapeError(f"TextEncoder takes a list of texts, got one: write [{X[:40]!r}]")
    if getattr(X, "ndim", 1) != 1:  # the rows of a table would be the names of its columns
        got = getattr(X, "shape", "")
        raise ShapeError(f"TextEncoder takes a list or one column of texts, got a table of {got}")
    texts = tuple(X)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"TextEncoder takes texts only, got {text!r} in row {row}")
    return texts
