"""What a server answers when it does not answer: OpenAI's shape of an error."""

import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

_SERVER = 500


class Refusal(Exception):
    """A request that gets an error.

    Attributes:
        status: Of HTTP.
        message: One sentence for whoever asked.
        param: The field it is about.
        code: A word for programs.
        headers: To be sent with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give what is sent."""
        kind = "server_error" if self.status >= _SERVER else "invalid_request_error"
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    def response(self) -> JSONResponse:
        """Give what is sent, as a response."""
        return JSONResponse(self.body(), status_code=self.status, headers=self.headers)


def no_key() -> Refusal:
    """Say that no valid key was given."""
    return Refusal(
        401,
        "this server asks for an API key: send the header 'Authorization: Bearer KEY' with one of "
        "those it was started with",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def too_large(limit: int) -> Refusal:
    """Say how long a body may be."""
    return Refusal(
        413,
        f"the body of a request may have {limit} bytes here: send fewer texts at a time",
        code="body_too_large",
        headers={"Connection": "close"},  # the rest of the body is not read
    )


def not_json(given: str) -> Refusal:
    """Say what a body must be."""
    return Refusal(
        415,
        f"the body must be JSON, sent with 'Content-Type: application/json', got {given!r}",
        code="unsupported_media_type",
    )


def queue_full(waiting: int, seconds: float) -> Refusal:
    """Say when to come again."""
    return Refusal(
        429,
        f"{waiting} texts are waiting already: try again in {math.ceil(seconds)} s",
        code="queue_full",
        headers={"Retry-After": str(math.ceil(seconds))},
    )


def too_slow(limit: float) -> Refusal:
    """Say that time is up."""
    return Refusal(
        504,
        f"this took longer than the {limit:g} s that a request may take here: send fewer texts at "
        "a time, or try again when there is less to do",
        code="timeout",
    )


def slow_body(limit: float) -> Refusal:
    """Say that the request itself takes too long to come."""
    return Refusal(
        504,
        f"the body of the request did not come within the {limit:g} s that a request may take "
        "here: send it faster, or in smaller parts",
        code="timeout",
        headers={"Connection": "close"},  # the rest of the body is not read
    )


def stopping() -> Refusal:
    """Say that this request is not finished any more."""
    return Refusal(
        503,
        "the server stops before this is done: send it again",
        code="stopping",
        headers={"Retry-After": "1"},
    )


def gone() -> Refusal:
    """End the work for a client that has left; nobody reads this but the log."""
    return Refusal(499, "the client has left", code="client_left")


def broken(request_id: str) -> Refusal:
    """Say that it is our fault, and nothing else."""
    return Refusal(
        500,
        f"something went wrong here: the server's log says more under the id {request_id}",
        code="internal_error",
    )
