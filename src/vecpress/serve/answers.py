"""What a press and an index answer: everything but HTTP."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.encoders.tokens import SharedTokens, SharesTokens
from vecpress.errors import ConfigError
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.serve.batching import Encoded
from vecpress.serve.numbers import Numbers, convert, to_data
from vecpress.serve.refusals import Refusal
from vecpress.serve.schemas import EmbeddingsRequest, Plain, SearchRequest
from vecpress.serve.settings import Settings
from vecpress.serve.tokens import Tokens
from vecpress.stages import Encoder, Role
from vecpress.upkeep import check_press

_LONGEST = 1_000_000
"""Characters in one text: splitting more holds up everybody, and no model reads them all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A press, and perhaps an index that it made.

    Attributes:
        pipeline: The press.
        index: What is searched; None if nothing is.
        settings: Its name, and limits.
        created: When it was made, in seconds since 1970.
    """

    pipeline: Pipeline
    index: Index | None
    settings: Settings
    created: int = 0

    def __post_init__(self) -> None:
        if self.pipeline.encoder is None:
            raise ConfigError(
                "this press was fitted on precomputed vectors and knows no model to encode texts "
                "with, so there is nothing to serve: fit one with --models"
            )
        if self.index is not None:
            check_press(
                self.index, self.pipeline.fingerprint, advice="serve the press that made it"
            )

    @cached_property
    def encoder(self) -> Encoder:
        """The models, checked to be those that the press was fitted on."""
        return self.pipeline.same_encoder()

    @cached_property
    def tokens(self) -> Tokens:
        """How texts are counted."""
        return Tokens(self.encoder, self.pipeline.recipe.model_names)

    def warm(self) -> None:
        """Load every model, and use everything once."""
        for role in ("document", "query"):
            encoded = self.encode(["a text"], role)
            self.shorten(encoded.rows, None)
        if self.index is not None and len(self.index):
            self.search(SearchRequest(query="a text"), encoded)

    def encode(self, texts: Sequence[str], role: Role) -> Encoded:
        """Encode texts with the models alone, and count their tokens."""
        seen = SharedTokens()
        if isinstance(self.encoder, SharesTokens):
            rows = self.encoder.encode_sharing(texts, role=role, tokens=seen)
        else:
            rows = self.encoder.encode(texts, role=role)
        return Encoded(rows, self.tokens.count(texts, seen))

    def shorten(
        self, rows: Float32[Array, "n in_dim"], dimensions: int | None
    ) -> Float32[Array, "n _"]:
        """Compress what the models gave, perhaps to fewer dimensions than the press keeps."""
        head = self.pipeline.head
        if head is None:
            return rows
        return (head if dimensions is None else head.truncate(dimensions)).compress(rows)

    def check(self, asked: EmbeddingsRequest) -> None:
        """Make sure that an answer can be given.

        Raises:
            Refusal: the press is another, or cannot give such dimensions or numbers.
        """
        self.check_model(asked.model)
        self._check_dimensions(asked.dimensions)
        if asked.output_dtype == "codes":
            self._check_codes(asked.dimensions)

    def check_model(self, name: str) -> None:
        """Make sure that a name is that of the press.

        Raises:
            Refusal: it is not.
        """
        if name != self.settings.name:
            raise Refusal(
                404,
                f"the model {name[:100]!r} is not served here: use {self.settings.name!r}",
                param="model",
                code="model_not_found",
            )

    def _check_dimensions(self, asked: int | None) -> None:
        dim, head = self.pipeline.dim, self.pipeline.head
        if asked is None or asked == dim or (head is not None and asked <= dim):
            return
        if head is None:
            allowed = f"{dim}, for this press has no head to truncate"
        elif len(head.dims) > 1:
            widths = ", ".join(map(str, head.dims))
            allowed = f"between 1 and {dim} (it was trained for {widths})"
        else:
            allowed = f"between 1 and {dim}"
        message = f"dimensions must be {allowed}, got {asked}"
        raise Refusal(400, message, param="dimensions", code="invalid_value")

    def _check_codes(self, dimensions: int | None) -> None:
        codec, dim = self.pipeline.codec, self.pipeline.dim
        if codec is None:
            message = "this press has no quantizer, so it makes no codes: ask for another type"
            raise Refusal(400, message, param="output_dtype", code="invalid_value")
        if dimensions not in (None, dim):
            message = (
                f"codes are made of all {dim} dimensions, got dimensions {dimensions}: leave it out"
            )
            raise Refusal(400, message, param="dimensions", code="invalid_value")

    def texts(self, asked: EmbeddingsRequest) -> list[str]:
        """Give the texts of a request, decoded if they are token ids.

        Raises:
            Refusal: they are too many, one is too long, or ids stand for no text.
        """
        given: Any = [asked.input] if isinstance(asked.input, str) else asked.input
        if isinstance(given[0], int):
            given = [given]
        most = self.settings.max_inputs
        if len(given) > most:
            message = f"input may hold {most} texts here, got {len(given)}: send fewer at a time"
            raise Refusal(400, message, param="input", code="too_many_inputs")
        if not isinstance(given[0], str):
            try:
                given = self.tokens.texts(given)
            except ConfigError as error:
                raise Refusal(400, str(error), param="input", code="invalid_tokens") from error
        for text in given:
            _check_length(text, param="input")
        return given

    def embeddings(self, asked: EmbeddingsRequest, encoded: Encoded) -> bytes:
        """Write the answer."""
        rows = self.shorten(encoded.rows, asked.dimensions)
        if asked.output_dtype == "codes":
            numbers = Numbers(self.pipeline.quantize(rows))
        else:
            numbers = convert(rows, asked.output_dtype)
        data = to_data(numbers, as_base64=asked.encoding_format == "base64")
        about = _json(
            {
                "object": "list",
                "model": self.settings.name,
                "dimensions": rows.shape[1],
                "output_dtype": asked.output_dtype,
                "fingerprint": self.pipeline.fingerprint,
                "usage": _usage(encoded),
            }
        )
        # row by row: other threads have their turn in between, which one long call would deny them
        return about[:-1] + b',"data":[' + b",".join(map(_json, data)) + b"]}"

    def check_search(self, asked: SearchRequest) -> Index:
        """Give the index, if it can be searched so.

        Raises:
            Refusal: there is none, or none with documents, the query is too long, or `k` too large.
        """
        if self.index is None:
            message = "nothing can be searched here: start the server with --index"
            raise Refusal(404, message, code="no_index")
        if not len(self.index):
            message = (
                "nothing can be searched here: all documents of the index were deleted; add some, "
                "and start the server again"
            )
            raise Refusal(404, message, code="no_documents")
        _check_length(asked.query, param="query")
        most = min(self.settings.max_k, len(self.index))
        if asked.k is not None and asked.k > most:
            message = f"k must be between 1 and {most} here, got {asked.k}"
            raise Refusal(400, message, param="k", code="invalid_value")
        return self.index

    def search(self, asked: SearchRequest, encoded: Encoded) -> bytes:
        """Search, and write the hits.

        Raises:
            ConfigError: `rescore` does not fit the index, or `k`.
        """
        index = self.check_search(asked)
        k = min(10, self.settings.max_k, len(index)) if asked.k is None else asked.k
        given = {"rescore": asked.rescore, "recall": asked.recall}
        options: Plain = {} if index.fine is None else {"rescore": 10 * k}
        options |= {name: value for name, value in given.items() if value is not None}
        hits = index.search(self.shorten(encoded.rows, None), k, **options)
        found = zip(hits.ids[0], hits.scores[0], hits.rows[0], strict=True)
        return _json(
            {
                "query": asked.query,
                "hits": [
                    {"id": i, "score": float(s), "text": index.snippet(int(r))} for i, s, r in found
                ],
                "model": self.settings.name,
                "fingerprint": self.pipeline.fingerprint,
                "usage": _usage(encoded),
            }
        )

    def model(self) -> Plain:
        """Describe the press."""
        head, codec = self.pipeline.head, self.pipeline.codec
        return {
            "id": self.settings.name,
            "object": "model",
            "created": self.created,
            "owned_by": "vecpress",
            "models": list(self.pipeline.recipe.model_names),
            "dimensions": self.pipeline.dim,
            "trained_dimensions": [self.pipeline.dim] if head is None else list(head.dims),
            "code_bytes": None if codec is None else codec.code_bytes,
            "fingerprint": self.pipeline.fingerprint,
        }


def _usage(encoded: Encoded) -> dict[str, int]:
    total = int(np.sum(encoded.tokens, dtype=np.int64))
    return {"prompt_tokens": total, "total_tokens": total}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _check_length(text: str, *, param: str) -> None:
    if len(text) > _LONGEST:
        message = f"a text may have {_LONGEST} characters here, got {len(text)}: cut it into parts"
        raise Refusal(400, message, param=param, code="text_too_long")
