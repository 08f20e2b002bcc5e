"""The server in OpenAPI 3.1: made of the pydantic models, and of what the press can do."""

from typing import Any

from pydantic.json_schema import models_json_schema

from vecpress import __version__
from vecpress.serve.answers import Answers
from vecpress.serve.schemas import MODELS, Plain

_ERRORS = {
    400: "Something in the request cannot be answered.",
    401: "No valid API key.",
    404: "There is no such thing here.",
    413: "The body is too long.",
    415: "The body is not sent as JSON.",
    429: "Too many texts are waiting.",
    500: "Something is wrong with the server.",
    503: "The server stops.",
    504: "It took too long.",
}
_ID = {"X-Request-Id": {"description": "As given, or made up.", "schema": {"type": "string"}}}
_WAIT = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}


def describe(answers: Answers) -> Plain:
    """Give the description of the server of a press."""
    _, made = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
    )
    schemas = made["$defs"]
    _narrow_embeddings(schemas["EmbeddingsRequest"], answers)
    _narrow_search(schemas["SearchRequest"], answers)
    components: Plain = {"schemas": schemas}
    if answers.settings.api_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vecpress",
            "version": __version__,
            "description": "Embeddings in OpenAI's shape, and search, of one press.",
        },
        "paths": _paths(answers, schemas),
        "components": components,
    }


def _narrow_embeddings(schema: Plain, answers: Answers) -> None:
    """Put in what depends on the press."""
    pipeline, fields = answers.pipeline, schema["properties"]
    fields["model"]["enum"] = [answers.settings.name]
    widths: Plain = {"type": "integer", "minimum": 1, "maximum": pipeline.dim}
    if pipeline.head is None:
        widths = {"type": "integer", "enum": [pipeline.dim]}
    fields["dimensions"]["anyOf"][0] = widths
    _narrow_input(fields["input"], answers)
    types = fields["output_dtype"]["enum"]
    if pipeline.codec is None:
        types.remove("codes")
    elif pipeline.head is not None:  # codes are made at the full width only
        schema["if"] = {
            "properties": {"output_dtype": {"const": "codes"}},
            "required": ["output_dtype"],
        }
        schema["then"] = {"properties": {"dimensions": {"enum": [None, pipeline.dim]}}}


def _narrow_input(field: Plain, answers: Answers) -> None:
    """Say how many texts there may be, and leave token ids out where they mean nothing."""
    text, texts, ids, rows = field["anyOf"]
    texts["maxItems"] = rows["maxItems"] = answers.settings.max_inputs
    if size := answers.tokens.size:
        ids["items"]["maximum"] = rows["items"]["items"]["maximum"] = size - 1
    else:
        field["anyOf"] = [text, texts]


def _narrow_search(schema: Plain, answers: Answers) -> None:
    fields, index = schema["properties"], answers.index
    if not index:  # none, or one whose documents were all deleted
        return
    fields["k"]["anyOf"][0]["maximum"] = min(answers.settings.max_k, len(index))
    if index.fine is None:
        del fields["rescore"]


def _paths(answers: Answers, schemas: Plain) -> Plain:
    keyed = bool(answers.settings.api_keys)
    embed = _operation(
        "createEmbeddings", "Embed texts.", "EmbeddingsResponse", body="EmbeddingsRequest",
        errors=(404,), keyed=keyed,
    )  # fmt: skip
    one = _operation("getModel", "Describe the press.", "Model", errors=(404,), keyed=keyed)
    name = {"type": "string", "enum": [answers.settings.name]}
    one["parameters"] = [{"name": "model", "in": "path", "required": True, "schema": name}]
    ready = _operation("isReady", "Say whether the models are loaded.", "Health")
    ready["responses"]["503"] = _answer("Not yet.", "Health")
    figures = _operation("getMetrics", "Give figures for Prometheus.", None)
    described = _operation("getDescription", "Give this description.", None)
    described["responses"]["200"]["content"] = {"application/json": {"schema": {"type": "object"}}}
    models = _operation("listModels", "List the press.", "ModelList", keyed=keyed)
    paths = {
        "/v1/embeddings": {"post": embed},
        "/v1/models": {"get": models},
        "/v1/models/{model}": {"get": one},
        "/health": {"get": _operation("isAlive", "Say that the server lives.", "Health")},
        "/health/ready": {"get": ready},
        "/metrics": {"get": figures},
        "/openapi.json": {"get": described},
    }
    if answers.index:
        paths["/search"] = _search(schemas["SearchRequest"], keyed=keyed)
    return paths


def _search(schema: Plain, *, keyed: bool) -> Plain:
    post = _operation(
        "search", "Find documents.", "SearchResponse", body="SearchRequest", keyed=keyed
    )
    get = _operation(
        "searchByAddress", "Find documents.", "SearchResponse", waits=True, keyed=keyed
    )
    get["parameters"] = [
        {
            "name": "q" if name == "query" else name,
            "in": "query",
            "required": name == "query",
            "schema": field["anyOf"][0] if "anyOf" in field else {"type": "string"},
            "description": field["description"],
        }
        for name, field in schema["properties"].items()
    ]
    return {"post": post, "get": get}


def _operation(
    name: str,
    summary: str,
    schema: str | None,
    *,
    body: str = "",
    errors: tuple[int, ...] = (),
    waits: bool = False,
    keyed: bool = False,
) -> Plain:
    """Describe what one method of one address does."""
    statuses = {500, *errors, *((401,) if keyed else ())}
    statuses |= {413, 415} if body else set()
    statuses |= {400, 429, 503, 504} if body or waits else set()
    found: Plain = {"operationId": name, "summary": summary}
    if body:
        found["requestBody"] = {"required": True, "content": _content(body)}
    if keyed:
        found["security"] = [{"key": []}]
    responses: Plain = {"200": _answer("An answer.", schema)}
    for status in sorted(statuses):
        responses[str(status)] = _answer(_ERRORS[status], "ErrorResponse")
        if status in (429, 503):
            responses[str(status)]["headers"] = _ID | _WAIT
    return found | {"responses": responses}


def _answer(description: str, schema: str | None) -> Plain:
    content = {"text/plain": {"schema": {"type": "string"}}} if schema is None else _content(schema)
    return {"description": description, "headers": _ID, "content": content}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
