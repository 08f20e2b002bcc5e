"""A thread that does one thing at a time, for an event loop that must not wait."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Worker:
    """One thread. It never keeps the process from ending, as those of an executor would."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None]
        self._jobs = SimpleQueue()
        threading.Thread(target=self._work, name=f"vecpress-{name}", daemon=True).start()

    async def run(self, do: Callable[[], _Result]) -> _Result:
        """Do a thing in the thread, after those asked for before; raises what it raised.

        What was cancelled before its turn is not done.
        """
        future = asyncio.get_running_loop().create_future()
        self._jobs.put((future, do))
        return await future

    def stop(self) -> None:
        """Let the thread end after what it does now, and what waits for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, do = job
            if future.cancelled():
                continue
            try:
                outcome = (do(), None)
            except Exception as error:  # noqa: BLE001 - whoever awaits it is told
                outcome = (None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_settle, future, *outcome)
            del job, future, do, outcome  # or the last answer stays in memory until the next


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
