"""What goes in and out, as pydantic models: they check requests, and describe them in OpenAPI.

Limits that depend on the press (its name, its dimensions) are checked where they are known, and put
into the description by openapi.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Dtype = Literal["float", "int8", "uint8", "binary", "ubinary", "codes"]

_Strict = ConfigDict(extra="forbid", strict=True)
_MOST = 2**31 - 1
Token = Annotated[int, Field(ge=0, le=_MOST)]
_Some = Field(min_length=1, fail_fast=True)  # else a long wrong list has an error for each place


def _whole(value: object) -> object:
    """Take 32.0 for 32, as JSON does, which has one kind of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(ge=1, le=_MOST), BeforeValidator(_whole)]
Tokens = Annotated[list[Token], _Some]
Input = str | Annotated[list[str], _Some] | Tokens | Annotated[list[Tokens], _Some]

DTYPES = (
    "float: unit rows of 32 bits. "
    "int8: each number divided by the row's own `scale` (its largest magnitude / 127) and rounded; "
    "uint8: the same plus 128. "
    "binary: a bit per dimension, 1 where it is above 0, eight in a byte, the first in the highest "
    "bit, the last byte filled with zeros (numpy.packbits), and 128 taken off the byte; "
    "ubinary: the same without that. "
    "codes: the bytes that an index of this press stores, at its full width only."
)
FORMAT = (
    "float: lists of numbers, whole ones unless output_dtype is float. base64: the same numbers as "
    "bytes, floats little-endian; OpenAI's own client asks for this unless it is told otherwise, "
    "and takes what it gets for floats: with another output_dtype, tell it."
)


class EmbeddingsRequest(BaseModel):
    """Texts to embed."""

    model_config = _Strict

    input: Input = Field(
        description="A text, a list of texts, or the token ids of one or several texts."
    )
    model: str = Field(description="One of /v1/models.")
    dimensions: Whole | None = Field(None, description="How many to keep; all if left out.")
    encoding_format: Literal["float", "base64"] = Field("float", description=FORMAT)
    user: str | None = Field(None, description="Taken for compatibility, and ignored.")
    input_type: Literal["query", "document"] = Field(
        "document", description="What the texts are: some models encode the two differently."
    )
    output_dtype: Dtype = Field("float", description=DTYPES)


class Embedding(BaseModel):
    """One text's embedding."""

    model_config = ConfigDict(extra="forbid")

    object: Literal["embedding"]
    index: int = Field(ge=0, description="Of the text in `input`.")
    embedding: list[float] | str
    scale: float | None = Field(
        None, description="With int8 and uint8 only: what a number is to be multiplied with."
    )


class Usage(BaseModel):
    """Tokens of the texts as the press's first model with a tokenizer counts them."""

    model_config = ConfigDict(extra="forbid")

    prompt_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)


class EmbeddingsResponse(BaseModel):
    """Embeddings, in the order of the texts."""

    model_config = ConfigDict(extra="forbid")

    object: Literal["list"]
    data: list[Embedding]
    model: str
    dimensions: int = Field(ge=1)
    output_dtype: Dtype
    fingerprint: str = Field(description="Of the press: another one gives other embeddings.")
    usage: Usage


class Model(BaseModel):
    """A press."""

    model_config = ConfigDict(extra="forbid")

    id: str
    object: Literal["model"]
    created: int = Field(description="Seconds since 1970.")
    owned_by: str
    models: list[str] = Field(description="What it was made of.")
    dimensions: int = Field(ge=1)
    trained_dimensions: list[int] = Field(
        description="Widths that have a map of their own; others cut the next wider one."
    )
    code_bytes: int | None = Field(description="Of a code; none, if the press has no quantizer.")
    fingerprint: str


class ModelList(BaseModel):
    """What `model` may be."""

    model_config = ConfigDict(extra="forbid")

    object: Literal["list"]
    data: list[Model]


class SearchRequest(BaseModel):
    """A query."""

    model_config = _Strict

    query: str = Field(description="A text.")
    k: Whole | None = Field(
        None,
        description="How many hits; 10 unless there are fewer documents.",
    )
    rescore: Whole | None = Field(
        None,
        description="Order so many of the best hits anew by their finer codes, at least `k`; 10 "
        "times `k` if left out.",
    )
    recall: float | None = Field(
        None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the best to find on average, where the index is in lists; all if "
        "left out.",
    )


class SearchParameters(SearchRequest):
    """The same as a request's parameters, which are strings."""

    model_config = ConfigDict(extra="forbid", strict=False)

    query: str = Field(alias="q", description="A text.")


class Hit(BaseModel):
    """A document."""

    model_config = ConfigDict(extra="forbid")

    id: str
    score: float = Field(description="Inner product with the query; higher is better.")
    text: str = Field(description="How it begins; empty if the index keeps no texts.")


class SearchResponse(BaseModel):
    """Hits, best first."""

    model_config = ConfigDict(extra="forbid")

    query: str
    hits: list[Hit]
    model: str
    fingerprint: str
    usage: Usage


class Health(BaseModel):
    """How the server is."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["loading", "ready", "failed"]


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="forbid")

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """An error in OpenAI's shape."""

    model_config = ConfigDict(extra="forbid")

    error: ErrorDetail


MODELS: tuple[type[BaseModel], ...] = (
    EmbeddingsRequest,
    EmbeddingsResponse,
    Model,
    ModelList,
    SearchRequest,
    SearchResponse,
    Health,
    ErrorResponse,
)
Plain = dict[str, Any]
