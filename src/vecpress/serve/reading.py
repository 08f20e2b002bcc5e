"""Requests in, checked models out; what is wrong with one is a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from vecpress.serve.refusals import Refusal, gone, not_json
from vecpress.serve.schemas import SearchParameters

_Model = TypeVar("_Model", bound=BaseModel)
_INPUT = "a text, a list of texts, a list of token ids, or a list of such lists; no list empty"
_SHOWN = 60


async def read_body(request: Request, model: type[_Model]) -> _Model:
    """Read the JSON that a request carries.

    Raises:
        Refusal: it carries something else.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise not_json(_short(kind) if kind else "none")
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise gone() from error
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error, model, where="the body") from error


def read_query(request: Request) -> SearchParameters:
    """Read what stands behind the question mark of an address.

    Raises:
        Refusal: something there is missing, unknown, given twice, or no such value.
    """
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise Refusal(400, f"{_short(name)} is given twice", param=name, code="invalid_value")
        given[name] = value
    try:
        return SearchParameters.model_validate(given)
    except ValidationError as error:
        raise _refusal(error, SearchParameters, where="the address") from error


def _refusal(error: ValidationError, model: type[BaseModel], *, where: str) -> Refusal:
    found = error.errors(include_url=False, include_context=False)
    first = found[0]
    if not first["loc"]:
        return Refusal(400, f"{where} is no JSON object: {first['msg']}", code="invalid_json")
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        known = ", ".join(field.alias or key for key, field in model.model_fields.items())
        message = f"{where} has a field {_short(name)!r}, which is none of {known}"
        return Refusal(400, message, param=name[:100], code="unknown_parameter")
    if first["type"] == "missing":
        return Refusal(400, f"{where} has no {name!r}", param=name, code="missing_parameter")
    message = _input(found) if name == "input" else _sentence(name, first)
    return Refusal(400, message, param=name, code="invalid_value")


def _sentence(name: str, error: Mapping[str, Any]) -> str:
    said = error["msg"].removeprefix("Input ").removeprefix("should ")
    return f"{name} should {said}, got {_short(error['input'])}"


def _input(errors: Sequence[Mapping[str, Any]]) -> str:
    """Say what `input` may be, and what of it is not: of each reading, what went well longest."""
    wrong = max((e for e in errors if e["loc"][0] == "input"), key=_place)
    at = "".join(f" at place {place}" for place in _place(wrong))
    return f"input must be {_INPUT}; got {_short(wrong['input'])}{at}"


def _place(error: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(part for part in error["loc"] if isinstance(part, int))


def _short(value: object) -> str:
    shown = value if isinstance(value, str) else repr(value)
    shown = shown.encode("utf-8", "replace").decode()
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
