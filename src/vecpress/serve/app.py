"""The routes, and the application made of them. Start reading here."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.serve.metrics import CONTENT_TYPE
from vecpress.serve.middleware import Bounded, Keyed, Recorded
from vecpress.serve.openapi import describe
from vecpress.serve.reading import read_body, read_query
from vecpress.serve.refusals import Refusal, slow_body
from vecpress.serve.schemas import EmbeddingsRequest, SearchRequest
from vecpress.serve.service import Service
from vecpress.serve.settings import Settings

_Model = TypeVar("_Model", bound=BaseModel)

OPEN = frozenset({"/health", "/health/ready", "/metrics", "/openapi.json"})
"""What needs no key."""


class _Routes:
    """What is answered, and how."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answers = service.answers
        self._description = json.dumps(describe(service.answers)).encode()

    async def embeddings(self, request: Request) -> Response:
        """Embed texts."""
        asked = await self._read(request, EmbeddingsRequest)
        self._answers.check(asked)
        return await self._json(request, self._embed(asked, request.scope["vecpress"]))

    async def _embed(self, asked: EmbeddingsRequest, told: dict[str, Any]) -> bytes:
        texts = self._answers.texts
        return await self._service.answer(
            await self._service.in_writer(lambda: texts(asked)),
            role=asked.input_type,
            write=lambda encoded: self._answers.embeddings(asked, encoded),
            told=told,
        )

    async def search(self, request: Request) -> Response:
        """Find documents, asked by a body or by an address."""
        if request.method == "POST":
            asked = await self._read(request, SearchRequest)
        else:
            asked = read_query(request)
        self._answers.check_search(asked)
        work = self._service.answer(
            [asked.query],
            role="query",
            write=lambda encoded: self._answers.search(asked, encoded),
            told=request.scope["vecpress"],
        )
        return await self._json(request, work)

    async def models(self, request: Request) -> Response:
        """List the press."""
        return JSONResponse({"object": "list", "data": [self._answers.model()]})

    async def model(self, request: Request) -> Response:
        """Describe the press."""
        self._answers.check_model(request.path_params["model"])
        return JSONResponse(self._answers.model())

    async def health(self, request: Request) -> Response:
        """Say that the server lives."""
        return JSONResponse({"status": self._service.status})

    async def ready(self, request: Request) -> Response:
        """Say whether the models are loaded."""
        status = self._service.status
        return JSONResponse({"status": status}, status_code=200 if status == "ready" else 503)

    async def metrics(self, request: Request) -> Response:
        """Give the figures."""
        return Response(self._service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """Describe all of this."""
        return Response(self._description, media_type="application/json")

    async def _read(self, request: Request, model: type[_Model]) -> _Model:
        limit = self._service.settings.timeout
        try:
            async with asyncio.timeout(limit):
                return await read_body(request, model)
        except TimeoutError as error:
            raise slow_body(limit) from error

    async def _json(self, request: Request, work: Any) -> Response:
        body = await self._service.limited(request, work)
        return Response(body, media_type="application/json")

    def table(self) -> list[Route]:
        """Give each route its address."""
        return [
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{model}", self.model),
            Route("/search", self.search, methods=["GET", "POST"]),
            Route("/health", self.health),
            Route("/health/ready", self.ready),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
        ]


def create_app(service: Service) -> Starlette:
    """Make the ASGI application of a service, which it runs as long as it lives."""
    settings, routes = service.settings, _Routes(service).table()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with service.running():
            yield

    paths = sorted({route.path for route in routes})
    middleware = [
        Middleware(Recorded, metrics=service.metrics, routes=paths),
        *_cors(settings),
        Middleware(Keyed, keys=settings.api_keys, open=OPEN),
        Middleware(Bounded, limit=settings.max_body),
    ]
    app = Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={
            Refusal: _refused,
            HTTPException: _unrouted,
            **dict.fromkeys((ConfigError, DataError, ShapeError), _not_usable),
        },
    )
    app.router.redirect_slashes = False
    return app


def _cors(settings: Settings) -> list[Middleware]:
    """Let web pages ask, if any may; before the key is asked for, which a preflight has not."""
    if not settings.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    ]


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _not_usable(_: Request, error: Exception) -> Response:
    """Say what the library says of what a client gave it."""
    return Refusal(400, str(error), code="invalid_value").response()


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
    path = request.scope["path"][:100]
    message = f"{path} takes {allowed}, got {request.method[:20]}"
    if error.status_code == 404:
        message = f"there is nothing at {path}: see /openapi.json"
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    return Refusal(error.status_code, message, code=code, headers=error.headers).response()
