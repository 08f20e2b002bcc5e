"""What every request passes: a record of it, its key, and the size of its body."""

import asyncio
import hmac
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vecpress.serve.metrics import Metrics
from vecpress.serve.refusals import broken, no_key, stopping, too_large
from vecpress.serve.service import LOG

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
_CLOSED = 0
_DIGITS = 18
_AFTER = 4
_LINGER = 5.0


class Recorded:
    """Gives each request an id, a line in the log, and its place in the figures.

    It is the outermost: what nobody caught becomes an error here that says nothing but the id.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, routes: Sequence[str]) -> None:
        self.app = app
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        start, status = time.perf_counter(), _CLOSED
        told: dict[str, Any] = {}
        scope["vecpress"] = told

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        self._metrics.running.inc()
        try:
            await self.app(scope, receive, answer)
        except asyncio.CancelledError:  # the server's grace is over
            if status != _CLOSED:
                raise
            await stopping().response()(scope, receive, answer)
        except Exception:  # noqa: BLE001 - nobody is behind this to catch it
            LOG.exception("error", extra={"told": {"event": "error", "id": request_id}})
            if status == _CLOSED:
                await broken(request_id).response()(scope, receive, answer)
        finally:
            self._metrics.running.dec()
            self._record(scope, request_id, status, time.perf_counter() - start)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        path, method = scope["path"], scope["method"]
        route = self._route(path)
        known = method if method in _METHODS else "other"
        self._metrics.answered(known, route=route, status=status, seconds=seconds)
        line = {"event": "request", "id": request_id, "method": method, "path": path}
        line |= {"status": status, "ms": round(1e3 * seconds, 2), **scope["vecpress"]}
        LOG.info("%s %s %s", method, path, status, extra={"told": line})

    def _route(self, path: str) -> str:
        """Name the route, never the path: a client could make up as many as it likes."""
        if path in self._routes:
            return path
        parent = f"{path.rpartition('/')[0]}/{{"
        return next((route for route in self._routes if route.startswith(parent)), "other")


class Keyed:
    """Turns requests without a valid key away; what is `open` needs none."""

    def __init__(self, app: ASGIApp, *, keys: Sequence[str], open: frozenset[str]) -> None:
        self.app = app
        self._keys = [key.encode() for key in keys]
        self._open = open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or not."""
        if scope["type"] == "http" and self._keys and scope["path"] not in self._open:
            given = Headers(scope=scope).get("authorization", "")
            scheme, _, key = given.partition(" ")
            if scheme.lower() != "bearer" or not self._is_valid(key.strip()):
                await no_key().response()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_valid(self, key: str) -> bool:
        """Compare with every key, in a time that tells nothing about any of them."""
        raw = key.encode("utf-8", "replace")
        return sum([hmac.compare_digest(raw, known) for known in self._keys]) > 0


class Bounded:
    """Refuses a body that is too long, also one that does not say how long it is."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "").lstrip("0")
        if announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > self._limit):
            await _drain(receive, _AFTER * self._limit)
            await too_large(self._limit).response()(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self._limit:
                    if message.get("more_body"):
                        await _drain(receive, _AFTER * self._limit)
                    raise too_large(self._limit)
            return message

        await self.app(scope, bounded, send)


async def _drain(receive: Receive, most: int) -> None:
    """Read and forget what still comes: a client that is cut off while it sends sees no answer."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while read < most:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
