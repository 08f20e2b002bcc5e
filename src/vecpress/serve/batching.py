"""Texts of several requests, encoded together.

While the models work on one batch, requests gather for the next: nobody waits for company, and a
server with nothing to do starts at once. Requests take turns, half a batch at a time, so a long one
does not hold up short ones behind it, and those that are no longer end in the order they came.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.serve.refusals import queue_full, stopping
from vecpress.serve.settings import Settings
from vecpress.serve.worker import Worker
from vecpress.stages import Role

_CHARACTERS = 1 << 18
"""In one batch, as soon as there are that many: some 65,000 tokens."""


class Encoded(NamedTuple):
    """What the models make of texts: a row for each, and how many tokens each has."""

    rows: Float32[Array, "n d"]
    tokens: list[int]


Encode = Callable[[Sequence[str], Role], Encoded]


class Seen(NamedTuple):
    """A batch, for those who count: its texts, and the requests they came from."""

    texts: int
    requests: int


@dataclass(eq=False)
class _Request:
    """A request: `next` is the first text that is in no batch yet."""

    texts: Sequence[str]
    role: Role
    done: asyncio.Future[Encoded]
    next: int = 0
    parts: list[Encoded] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.texts) - self.next


class _Part(NamedTuple):
    """Some texts of a request."""

    request: _Request
    texts: Sequence[str]


class Batcher:
    """Gives texts to the models.

    Args:
        encode: Called in the worker's thread only; what it gives for a text must not depend on
            the other texts.
        worker: Where the models work.
        settings: How much at a time, and how much may wait.
        observe: Told about each batch.
    """

    def __init__(
        self,
        encode: Encode,
        *,
        worker: Worker,
        settings: Settings,
        observe: Callable[[Seen], None] = lambda _: None,
    ) -> None:
        self._encode = encode
        self._worker = worker
        self._settings = settings
        self._observe = observe
        self._queue: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        most = settings.max_batch
        self._turn = (most + 1) // 2 if settings.together else most
        self._rate = 0.0  # texts per second, lately

    @property
    def waiting(self) -> int:
        """Texts that are in no batch yet."""
        return sum(request.left for request in self._queue if not request.done.done())

    async def submit(self, texts: Sequence[str], role: Role) -> Encoded:
        """Encode texts, together with what else there is; cancelled, what is left is not done.

        Raises:
            Refusal: too many texts are waiting, or no more batches are made.
        """
        if self._closed:
            raise stopping()
        waiting = self.waiting
        if waiting + len(texts) > self._settings.max_queue:
            raise queue_full(waiting, self._patience(waiting))
        request = _Request(texts, role, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._wake.set()
        return await request.done

    async def run(self) -> None:
        """Make batches until cancelled."""
        while True:
            await self._wake.wait()
            parts = self._next_batch()
            if not parts:
                self._wake.clear()
                continue
            for role in ("query", "document"):
                if some := [part for part in parts if part.request.role == role]:
                    await self._work_on(some, role)

    def close(self) -> None:
        """Turn away what waits, and what comes."""
        self._closed = True
        for request in self._queue:
            _fail(request, stopping())

    def _next_batch(self) -> list[_Part]:
        """Take texts of the requests in turn, until there are enough."""
        parts: list[_Part] = []
        texts = characters = 0
        while self._queue and texts < self._settings.max_batch and characters < _CHARACTERS:
            request = self._queue.popleft()
            if request.done.done():  # whoever asked has left
                continue
            room = self._settings.max_batch - texts
            part = _cut(request, min(room, self._turn))
            parts.append(part)
            texts += len(part.texts)
            characters += sum(map(len, part.texts))
            if not self._settings.together:
                if request.left:
                    self._queue.appendleft(request)
                break
            if request.left:
                self._queue.append(request)
        return parts

    async def _work_on(self, parts: list[_Part], role: Role) -> None:
        texts = [text for part in parts for text in part.texts]
        self._observe(Seen(len(texts), len({id(part.request) for part in parts})))
        start = time.monotonic()
        try:
            encoded = await self._worker.run(lambda: self._encode(texts, role))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            if len(parts) == 1:
                _fail(parts[0].request, error)
                return
            for part in parts:  # one text must not spoil the others' answers
                await self._work_on([part], role)
            return
        speed = len(texts) / max(time.monotonic() - start, 1e-6)
        self._rate = 0.8 * self._rate + 0.2 * speed if self._rate else speed
        begin = 0
        for part in parts:
            rows = slice(begin, begin + len(part.texts))
            begin = rows.stop
            _give(part.request, Encoded(encoded.rows[rows], encoded.tokens[rows]))

    def _patience(self, waiting: int) -> float:
        """Give the seconds until half of what waits is done, 1 to 60."""
        return min(max(waiting / 2 / self._rate, 1.0), 60.0) if self._rate else 1.0


def _cut(request: _Request, most: int) -> _Part:
    """Take the next texts of a request, at most so many and not much more than fits a batch."""
    stop, characters = request.next, 0
    while stop < len(request.texts) and stop - request.next < most and characters < _CHARACTERS:
        characters += len(request.texts[stop])
        stop += 1
    part = _Part(request, request.texts[request.next : stop])
    request.next = stop
    return part


def _give(request: _Request, encoded: Encoded) -> None:
    """Hand rows to a request; parts of one come in the order of its texts."""
    if request.done.done():
        return
    request.parts.append(encoded)
    if sum(len(part.tokens) for part in request.parts) == len(request.texts):
        rows = np.concatenate([part.rows for part in request.parts])
        tokens = [count for part in request.parts for count in part.tokens]
        request.done.set_result(Encoded(rows, tokens))


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)
