"""A running press: its answers, the threads that work on them, and how it is."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from vecpress.serve.answers import Answers
from vecpress.serve.batching import Batcher, Encoded
from vecpress.serve.metrics import Metrics
from vecpress.serve.refusals import gone, too_slow
from vecpress.serve.worker import Worker
from vecpress.stages import Role

LOG = logging.getLogger("vecpress.serve")

_Result = TypeVar("_Result")


class Service:
    """What the routes ask.

    The models work in one thread; heads, codes, search and the writing of answers in another.

    Args:
        answers: A press, perhaps with an index.
        on_failure: Called when the models cannot be loaded, or no more batches are made.

    Attributes:
        status: Whether there is an answer yet.
        failure: Why there will be none.
    """

    def __init__(self, answers: Answers, *, on_failure: Callable[[], None] = lambda: None) -> None:
        self.answers = answers
        self.settings = answers.settings
        self.status: Literal["loading", "ready", "failed"] = "loading"
        self.failure: Exception | None = None
        self._on_failure = on_failure
        self._models = Worker("models")
        self._writer = Worker("answers")
        self.batcher = Batcher(
            answers.encode,
            worker=self._models,
            settings=self.settings,
            observe=lambda seen: self.metrics.batch(seen),
        )
        self.metrics = Metrics(lambda: self.batcher.waiting)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Load the models, then make batches; requests may wait for that already."""
        loop = asyncio.create_task(self._run())
        try:
            yield
        finally:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop
            self._models.stop()
            self._writer.stop()

    async def _run(self) -> None:
        try:
            await self._models.run(self.answers.warm)
            self.status = "ready"
            LOG.info("ready", extra={"told": {"event": "ready"}})
            await self.batcher.run()
        except Exception as error:  # noqa: BLE001 - told to whoever started the server
            self.status, self.failure = "failed", error
            self.batcher.close()
            self._on_failure()

    async def answer(
        self,
        texts: list[str],
        *,
        role: Role,
        write: Callable[[Encoded], bytes],
        told: dict[str, Any],
    ) -> bytes:
        """Encode texts when it is their turn, and write the answer."""
        encoded = await self.batcher.submit(texts, role)
        body = await self._writer.run(lambda: write(encoded))
        tokens = sum(encoded.tokens)
        told |= {"texts": len(texts), "tokens": tokens}
        self.metrics.embedded(len(texts), tokens=tokens)
        return body

    async def in_writer(self, do: Callable[[], _Result]) -> _Result:
        """Do something that takes longer than an event loop should wait."""
        return await self._writer.run(do)

    async def limited(self, request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Wait for an answer, but not longer than allowed, and not for a client that has left.

        The request's body must have been read.

        Raises:
            Refusal: time is up, or the client has left; then what is left of the work is not done.
        """
        task, watch = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait(
                {task, watch},
                timeout=self.settings.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return task.result()
            raise gone() if watch.done() else too_slow(self.settings.timeout)
        finally:
            task.cancel()
            watch.cancel()


async def _left(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
