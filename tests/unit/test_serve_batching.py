import asyncio
import threading

import numpy as np
import pytest

from served import until
from vecpress.serve.batching import _CHARACTERS, Batcher, Encoded
from vecpress.serve.refusals import Refusal
from vecpress.serve.settings import Settings
from vecpress.serve.worker import Worker


class Models:
    """Gives a text its number; a batch waits until it is let through."""

    def __init__(self):
        self.batches = []
        self.threads = set()
        self.gate = threading.Semaphore(0)
        self.asked = 0

    def __call__(self, texts, role):
        self.asked += 1
        assert self.gate.acquire(timeout=60)
        self.threads.add(threading.get_ident())
        self.batches.append((role, list(texts)))
        if "bad" in texts:
            raise ValueError("this text is bad")
        rows = np.array([[float(text.split()[0])] for text in texts], np.float32)
        return Encoded(rows, [len(text) for text in texts])


def batched(scenario, **settings):
    """Run a scenario with a batcher whose models wait."""
    models, seen = Models(), []

    async def run():
        worker = Worker("test")
        settings_ = Settings(**{"max_batch": 4, "max_inputs": 20, "max_queue": 30} | settings)
        batcher = Batcher(models, worker=worker, settings=settings_, observe=seen.append)
        loop = asyncio.create_task(batcher.run())
        try:
            await asyncio.wait_for(scenario(batcher, models), 60)
        finally:
            loop.cancel()
            models.gate.release(100)
            worker.stop()

    asyncio.run(run())
    return models.batches, seen


def names(*numbers):
    return [str(n) for n in numbers]


async def held(batcher, models):
    """Give the models something to do, so that others gather behind it."""
    first = asyncio.create_task(batcher.submit(["0"], "document"))
    await until(lambda: models.asked)
    return first


def test_a_request_that_is_alone_starts_at_once():
    async def scenario(batcher, models):
        models.gate.release()
        rows, tokens = await batcher.submit(names(1, 2), "query")
        assert rows.tolist() == [[1], [2]]
        assert tokens == [1, 1]

    assert batched(scenario)[0] == [("query", ["1", "2"])]


def test_requests_that_arrive_meanwhile_share_the_next_batch():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        others = [asyncio.create_task(batcher.submit([str(i)], "document")) for i in (1, 2, 3)]
        await until(lambda: batcher.waiting == 3)
        models.gate.release(2)
        found = await asyncio.gather(first, *others)
        assert [encoded.rows.tolist() for encoded in found] == [[[0]], [[1]], [[2]], [[3]]]

    batches, seen = batched(scenario)
    assert batches == [("document", ["0"]), ("document", ["1", "2", "3"])]
    assert seen == [(1, 1), (3, 3)]


def test_without_sharing_each_request_is_a_batch():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        others = [
            asyncio.create_task(batcher.submit(names(*some), "document"))
            for some in ((1,), (2, 3), range(4, 10))
        ]
        await until(lambda: batcher.waiting == 9)
        models.gate.release(5)
        found = await asyncio.gather(first, *others)
        assert found[3].rows.ravel().tolist() == [4, 5, 6, 7, 8, 9]

    batches, _ = batched(scenario, together=False)
    texts = [texts for _, texts in batches]
    assert texts == [["0"], ["1"], ["2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


def test_a_long_request_does_not_hold_up_a_short_one():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        long = asyncio.create_task(batcher.submit(names(*range(100, 120)), "document"))
        await until(lambda: batcher.waiting == 20)
        models.gate.release(1)
        await first
        await until(lambda: batcher.waiting == 4)  # 16 texts of the long one are being encoded
        short = asyncio.create_task(batcher.submit(["7"], "document"))
        await until(lambda: batcher.waiting == 5)
        models.gate.release(2)
        assert (await short).rows.tolist() == [[7]]
        assert (await long).rows.ravel().tolist() == list(range(100, 120))

    batches, _ = batched(scenario, max_batch=16)
    assert batches[2] == ("document", [*names(116, 117, 118, 119), "7"])


def test_requests_take_turns_of_half_a_batch():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        long = asyncio.create_task(batcher.submit(names(*range(100, 120)), "document"))
        short = asyncio.create_task(batcher.submit(names(7, 8), "document"))
        await until(lambda: batcher.waiting == 22)
        models.gate.release(2)
        await asyncio.gather(first, short)
        assert not long.done()
        models.gate.release(1)
        assert (await long).rows.ravel().tolist() == list(range(100, 120))
        assert (await long).tokens == [3] * 20

    batches, seen = batched(scenario, max_batch=16)
    assert batches[1][1] == [*names(*range(100, 108)), "7", "8", *names(*range(108, 114))]
    assert seen[1] == (16, 2)


def test_roles_are_not_mixed():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        others = [
            asyncio.create_task(batcher.submit([str(i)], "query" if i % 2 else "document"))
            for i in range(1, 5)
        ]
        await until(lambda: batcher.waiting == 4)
        models.gate.release(3)
        found = await asyncio.gather(first, *others)
        assert [e.rows.item() for e in found] == [0, 1, 2, 3, 4]

    assert batched(scenario)[0][1:] == [("query", ["1", "3"]), ("document", ["2", "4"])]


def test_a_bad_text_spoils_no_other_request():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        good = asyncio.create_task(batcher.submit(names(1, 2), "document"))
        bad = asyncio.create_task(batcher.submit(["bad"], "document"))
        await until(lambda: batcher.waiting == 3)
        models.gate.release(4)
        await first
        assert (await good).rows.tolist() == [[1], [2]]
        with pytest.raises(ValueError, match="this text is bad"):
            await bad
        models.gate.release(1)
        assert (await batcher.submit(["3"], "document")).rows.tolist() == [[3]]

    batched(scenario)


def test_who_leaves_is_not_encoded():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        gone = asyncio.create_task(batcher.submit(names(1, 2), "document"))
        stays = asyncio.create_task(batcher.submit(["3"], "document"))
        await until(lambda: batcher.waiting == 3)
        gone.cancel()
        await until(lambda: batcher.waiting == 1)
        models.gate.release(2)
        await asyncio.gather(first, stays)

    assert [texts for _, texts in batched(scenario)[0]] == [["0"], ["3"]]


def test_who_leaves_half_way_is_not_finished():
    async def scenario(batcher, models):
        long = asyncio.create_task(batcher.submit(names(*range(20)), "document"))
        await until(lambda: batcher.waiting == 16)
        long.cancel()
        models.gate.release(1)
        await until(lambda: models.batches)
        models.gate.release(1)
        await batcher.submit(["99"], "document")

    assert [texts for _, texts in batched(scenario)[0]] == [names(0, 1, 2, 3), ["99"]]


def test_a_full_queue_turns_away_and_says_when_to_come_again():
    async def scenario(batcher, models):
        first = await held(batcher, models)
        waits = asyncio.create_task(batcher.submit(names(*range(20)), "document"))
        await until(lambda: batcher.waiting == 20)
        with pytest.raises(Refusal, match="20 texts are waiting already") as raised:
            await batcher.submit(names(*range(11)), "document")
        assert raised.value.status == 429
        assert 1 <= int(raised.value.headers["Retry-After"]) <= 60
        just = asyncio.create_task(batcher.submit(names(*range(10)), "document"))
        await until(lambda: batcher.waiting == 30)
        models.gate.release(100)
        await asyncio.gather(first, waits, just)
        assert batcher.waiting == 0

    batched(scenario)


def test_very_long_texts_fill_a_batch_sooner():
    long = "1 " + "x" * (_CHARACTERS // 2)

    async def scenario(batcher, models):
        first = await held(batcher, models)
        others = [asyncio.create_task(batcher.submit([long], "document")) for _ in range(4)]
        await until(lambda: batcher.waiting == 4)
        models.gate.release(3)
        await asyncio.gather(first, *others)

    assert [len(texts) for _, texts in batched(scenario)[0]] == [1, 2, 2]


def test_the_models_work_in_one_thread_and_never_in_the_loops():
    models_seen = []

    async def scenario(batcher, models):
        models.gate.release(20)
        some = [batcher.submit(names(i, i + 1), "document") for i in range(10)]
        await asyncio.gather(*some)
        models_seen.append(models)

    batched(scenario)
    (threads,) = [models.threads for models in models_seen]
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
