import asyncio
import threading
import weakref

import numpy as np
import pytest

from served import until
from vecpress.serve.worker import Worker


def run(scenario):
    async def body():
        worker = Worker("test")
        try:
            await asyncio.wait_for(scenario(worker), 10)
        finally:
            worker.stop()

    asyncio.run(body())


def test_things_are_done_in_their_order_in_one_other_thread():
    seen = []

    def note(i):
        seen.append((i, threading.get_ident()))
        return i

    async def scenario(worker):
        assert await asyncio.gather(*(worker.run(lambda i=i: note(i)) for i in range(5))) == [
            *range(5)
        ]

    run(scenario)
    assert [i for i, _ in seen] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in seen} | {threading.get_ident()}) == 2


def test_what_it_raises_is_raised_where_it_is_awaited():
    def fail():
        raise ValueError("no")

    async def scenario(worker):
        with pytest.raises(ValueError, match="no"):
            await worker.run(fail)
        assert await worker.run(lambda: 1) == 1

    run(scenario)


def test_what_was_cancelled_before_its_turn_is_not_done():
    gate, done = threading.Event(), []

    async def scenario(worker):
        first = asyncio.create_task(worker.run(lambda: gate.wait(5)))
        second = asyncio.create_task(worker.run(lambda: done.append(2)))
        third = asyncio.create_task(worker.run(lambda: done.append(3)))
        await asyncio.sleep(0.05)
        second.cancel()
        first.cancel()  # its turn has come: it is done, and nobody is told
        await asyncio.sleep(0)
        gate.set()
        await third

    run(scenario)
    assert done == [3]


def test_the_last_answer_is_not_kept():
    async def scenario(worker):
        rows = await worker.run(lambda: np.ones(10))
        kept = weakref.ref(rows)
        del rows
        await until(lambda: kept() is None)

    run(scenario)


def test_its_thread_keeps_no_process_from_ending():
    worker = Worker("daemon")
    (thread,) = [t for t in threading.enumerate() if t.name == "vecpress-daemon"]
    assert thread.daemon
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()
