import asyncio
import logging

import numpy as np
import pytest

from served import TEXTS, async_client, client, embed, gated, index, press, rows, until
from vecpress.errors import ModelError
from vecpress.serve.app import create_app

OPEN = ["/health", "/health/ready", "/metrics", "/openapi.json"]
ASKED = [("GET", "/v1/models"), ("GET", "/v1/models/toy"), ("GET", "/search"), ("POST", "/search"),
         ("POST", "/v1/embeddings"), ("GET", "/nowhere")]  # fmt: skip


def said(response):
    return response.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_without_a_key_nothing_is_answered(method, path):
    with client(api_keys=("one", "two"), index=index()) as opened:
        given = [None, "Bearer three", "Bearer", "Bearer ", "Basic one", "one", "Bearer onetwo"]
        for value in given:
            headers = {} if value is None else {"authorization": value}
            answer = opened.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert "one" not in said(answer).split("'")[0]


def test_any_of_the_keys_opens():
    with client(api_keys=("one", "two")) as opened:
        for value in ("Bearer one", "Bearer two", "bearer two"):
            assert opened.get("/v1/models", headers={"authorization": value}).status_code == 200
        for path in OPEN:
            assert opened.get(path).status_code == 200


def test_a_key_that_is_no_ascii_is_no_key():
    with client(api_keys=("one",)) as opened:
        answer = opened.get("/v1/models", headers={"authorization": "Bearer käse".encode()})
        assert answer.status_code == 401


def test_a_body_has_a_limit_whether_it_says_its_length_or_not():
    with client(max_body=100) as opened:
        assert embed(opened, "a").status_code == 200
        answer = embed(opened, "a" * 100)
        assert answer.status_code == 413
        assert said(answer).startswith("the body of a request may have 100 bytes here")

        def chunks():
            yield b'{"model": "toy", "input": "'
            for _ in range(10):
                yield b"a" * 20

        headers = {"content-type": "application/json"}
        answer = opened.post("/v1/embeddings", content=chunks(), headers=headers)
        assert "content-length" not in answer.request.headers
        assert answer.status_code == 413
        for length in ("9" * 5000, "00101", "101"):  # what is announced is refused before it comes
            lying = headers | {"content-length": length}
            assert opened.post("/v1/embeddings", content=b"{}", headers=lying).status_code == 413


@pytest.mark.parametrize("length", [None, b"230"])
def test_a_client_that_sends_too_much_is_heard_out_for_a_while(length):
    async def scenario(opened, made, gate):
        messages, sent = asyncio.Queue(), []
        for i in range(6):
            message = {"type": "http.request", "body": b"x" * 60, "more_body": i < 5}
            messages.put_nowait(message)
        await ask_raw(create_app(made), messages, sent, length=length)
        assert sent[0]["status"] == 413
        assert messages.empty()
        for _ in range(100):  # but not for ever
            messages.put_nowait({"type": "http.request", "body": b"x" * 60, "more_body": True})
        await ask_raw(create_app(made), messages, sent, length=length)
        assert sent[2]["status"] == 413
        assert messages.qsize() > 80

    run(scenario, max_body=100)


def test_a_request_has_a_limit_of_texts():
    with client(max_inputs=3) as opened:
        assert rows(embed(opened, TEXTS[:3])).shape == (3, 12)
        answer = embed(opened, TEXTS[:4])
        assert answer.status_code == 400
        assert said(answer) == "input may hold 3 texts here, got 4: send fewer at a time"
        assert embed(opened, [1, 2, 3, 4]).json()["error"]["code"] == "invalid_tokens"


def run(scenario, **options):
    """Run a scenario with a client, a service and the gate before its models, which is closed."""

    async def body():
        made, gate = gated(**options)
        async with async_client(made) as opened:
            await until(lambda: made.status == "ready")
            gate.open.clear()
            try:
                await asyncio.wait_for(scenario(opened, made, gate), 60)
            finally:
                gate.open.set()

    asyncio.run(body())


def asked(client, input, **fields):
    body = {"input": input, "model": "toy"} | fields
    return asyncio.create_task(client.post("/v1/embeddings", json=body))


def test_requests_share_batches_and_each_gets_its_own_answer():
    async def scenario(opened, made, gate):
        others = [asked(opened, TEXTS[0], dimensions=1)]
        await until(lambda: gate.asked)
        others += [asked(opened, TEXTS[i % 5], dimensions=1 + i % 12) for i in range(1, 30)]
        await until(lambda: made.batcher.waiting == 29)
        gate.open.set()
        answers = await asyncio.gather(*others)
        alone = [await asked(opened, TEXTS[i % 5], dimensions=1 + i % 12) for i in range(30)]
        for answer, single in zip(answers, alone, strict=True):
            assert rows(answer).tolist() == rows(single).tolist()
        sizes = [len(texts) for _, texts in gate.batches]
        assert sizes == [1, 29] + [1] * 30
        figures = (await opened.get("/metrics")).text.splitlines()
        assert "vecpress_batch_texts_sum 60.0" in figures
        assert "vecpress_batch_texts_count 32.0" in figures

    run(scenario)


def test_a_full_queue_answers_429():
    async def scenario(opened, made, gate):
        first = asked(opened, "a")
        await until(lambda: gate.asked)
        waits = asked(opened, TEXTS)
        await until(lambda: made.batcher.waiting == 5)
        refused = await asked(opened, TEXTS)
        assert refused.status_code == 429
        assert refused.headers["retry-after"].isdecimal()
        assert refused.json()["error"]["code"] == "queue_full"
        assert said(refused).startswith("5 texts are waiting already: try again in ")
        gate.open.set()
        assert [(await task).status_code for task in (first, waits)] == [200, 200]

    run(scenario, max_inputs=5, max_queue=8)


def test_a_request_has_a_limit_of_time_and_what_waits_is_not_encoded():
    async def scenario(opened, made, gate):
        first = asked(opened, "a")
        await until(lambda: gate.asked)
        late = await asked(opened, "late")
        assert late.status_code == 504
        assert said(late).startswith("this took longer than the 0.2 s that a request may take")
        assert (await first).status_code == 504
        assert made.batcher.waiting == 0
        gate.open.set()
        await asked(opened, "b")
        assert [texts for _, texts in gate.batches] == [["a"], ["b"]]

    run(scenario, timeout=0.2)


def test_a_body_that_does_not_come_has_a_limit_of_time():
    async def scenario(opened, made, gate):
        async def slow():
            yield b'{"input"'
            await asyncio.sleep(5)

        headers = {"content-type": "application/json"}
        answer = await opened.post("/v1/embeddings", content=slow(), headers=headers)
        assert answer.status_code == 504
        assert said(answer).startswith("the body of the request did not come within the 0.2 s")
        assert answer.headers["connection"] == "close"  # what still drips in is not waited for

    run(scenario, timeout=0.2)


def ask_raw(app, messages, sent, *, length=None):
    """Call the application with messages of our own."""
    scope = {"type": "http", "method": "POST", "path": "/v1/embeddings", "query_string": b"",
             "headers": [(b"content-type", b"application/json")], "scheme": "http",
             "http_version": "1.1", "root_path": ""}  # fmt: skip
    if length is not None:
        scope["headers"].append((b"content-length", length))

    async def receive():
        return await messages.get()

    async def send(message):
        sent.append(message)

    return asyncio.create_task(app(scope, receive, send))


def test_who_leaves_is_not_encoded_and_logged_so(caplog):
    async def scenario(opened, made, gate):
        app, sent, messages = create_app(made), [], asyncio.Queue()
        first = asked(opened, "a")
        await until(lambda: gate.asked)
        messages.put_nowait({"type": "http.request", "body": b'{"input":"b","model":"toy"}'})
        call = ask_raw(app, messages, sent)
        await until(lambda: made.batcher.waiting == 1)
        messages.put_nowait({"type": "http.disconnect"})
        await call
        assert made.batcher.waiting == 0
        gate.open.set()
        await first
        await asked(opened, "c")
        assert [texts for _, texts in gate.batches] == [["a"], ["c"]]

    caplog.set_level(logging.INFO, "vecpress.serve")
    run(scenario)
    told = [record.told for record in caplog.records if record.told["event"] == "request"]
    assert [line["status"] for line in told] == [499, 200, 200]


def test_who_leaves_within_the_body_is_no_error(caplog):
    async def scenario(opened, made, gate):
        messages = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        messages.put_nowait({"type": "http.disconnect"})
        await ask_raw(create_app(made), messages, [])

    caplog.set_level(logging.INFO, "vecpress.serve")
    run(scenario)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


class Broken:
    """Models that break at certain texts."""

    def __init__(self, error):
        self.error = error

    def __call__(self, texts, role):
        from vecpress.serve.batching import Encoded

        if "break" in texts:
            raise self.error
        return Encoded(np.ones((len(texts), press().in_dim), np.float32), [1] * len(texts))


@pytest.mark.parametrize("error", [RuntimeError("a secret"), ModelError("/home/secret is gone")])
def test_what_is_our_fault_is_logged_and_not_told(error, caplog):
    with client(encode=Broken(error)) as opened:
        answer = embed(opened, "break")
        assert answer.status_code == 500
        told = answer.json()["error"]
        assert told["type"] == "server_error"
        assert told["code"] == "internal_error"
        assert "secret" not in answer.text
        request_id = answer.headers["x-request-id"]
        assert request_id in told["message"]
        assert embed(opened, "well").status_code == 200
    (line,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert line.told == {"event": "error", "id": request_id}
    assert "secret" in str(line.exc_info[1])


def test_a_request_keeps_its_id():
    with client() as opened:
        given = {"x-request-id": "abc-123.X:y_z"}
        assert opened.get("/health", headers=given).headers["x-request-id"] == "abc-123.X:y_z"
        for bad in ("", "a b", "x" * 129, 'a"b'):
            made = opened.get("/health", headers={"x-request-id": bad}).headers["x-request-id"]
            assert made != bad
            assert len(made) == 32
        assert opened.get("/nowhere", headers=given).headers["x-request-id"] == "abc-123.X:y_z"


def test_pages_may_ask_only_from_where_they_are_told():
    asks = {"origin": "https://a.example", "access-control-request-method": "POST"}
    with client(origins=("https://a.example",), api_keys=("one",)) as opened:
        answer = opened.options("/v1/embeddings", headers=asks)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        refused = opened.options("/v1/embeddings", headers=asks | {"origin": "https://b.example"})
        assert refused.status_code == 400
        answer = opened.get("/v1/models", headers={"origin": "https://a.example"})
        assert answer.status_code == 401  # the page may read that it needs a key
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    with client() as opened:
        answer = opened.get("/v1/models", headers={"origin": "https://a.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert opened.options("/v1/embeddings", headers=asks).status_code == 405


def test_addresses_and_methods_that_are_not_there():
    with client(index=index()) as opened:
        answer = opened.get("/v1/nowhere")
        assert answer.status_code == 404
        assert said(answer) == "there is nothing at /v1/nowhere: see /openapi.json"
        assert opened.get("/v1/models/").status_code == 404
        assert opened.get("/nowhere", headers={"host": "[::"}).status_code == 404
        answer = opened.put("/v1/embeddings")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert said(answer) == "/v1/embeddings takes POST, got PUT"
        answer = opened.delete("/search")
        assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD", "POST"]
        assert said(answer) == "/search takes GET, HEAD, POST, got DELETE"


def test_health_says_when_the_models_are_there():
    async def body():
        made, gate = gated()
        object.__setattr__(made.answers, "warm", lambda: gate.open.wait(10))
        gate.open.clear()
        async with async_client(made) as opened:
            health = await opened.get("/health")
            assert (health.status_code, health.json()) == (200, {"status": "loading"})
            ready = await opened.get("/health/ready")
            assert (ready.status_code, ready.json()) == (503, {"status": "loading"})
            early = asked(opened, "a")
            await until(lambda: made.batcher.waiting == 1)
            gate.open.set()
            assert (await early).status_code == 200
            ready = await opened.get("/health/ready")
            assert (ready.status_code, ready.json()) == (200, {"status": "ready"})

    asyncio.run(body())


def test_who_waits_for_models_that_cannot_be_loaded_is_told():
    async def body():
        made, gate = gated()

        def warm():
            gate.open.wait(10)
            raise ModelError("the weights are not here")

        object.__setattr__(made.answers, "warm", warm)
        gate.open.clear()
        async with async_client(made) as opened:
            early = asked(opened, "a")
            await until(lambda: made.batcher.waiting == 1)
            gate.open.set()
            for answer in (await early, await asked(opened, "b")):
                assert answer.status_code == 503
                assert answer.json()["error"]["code"] == "stopping"
                assert answer.headers["retry-after"] == "1"
            assert (await opened.get("/health")).json() == {"status": "failed"}
            assert (await opened.get("/health/ready")).status_code == 503
        assert str(made.failure) == "the weights are not here"

    asyncio.run(body())


def test_other_clients_are_served_while_the_models_work():
    async def scenario(opened, made, gate):
        first = asked(opened, "a")
        await until(lambda: gate.asked)
        assert (await opened.get("/health")).status_code == 200
        assert (await asked(opened, "a", dimensions=99)).status_code == 400
        gate.open.set()
        assert (await first).status_code == 200

    run(scenario)


def test_one_text_has_a_limit(monkeypatch):
    monkeypatch.setattr("vecpress.serve.answers._LONGEST", 20)
    with client(index=index()) as opened:
        assert embed(opened, "a" * 20).status_code == 200
        assert opened.post("/search", json={"query": "a" * 20}).status_code == 200
        asked = {"input": embed(opened, ["a", "a" * 21])}
        asked["query"] = opened.post("/search", json={"query": "a" * 21})
        for param, answer in asked.items():
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert (error["param"], error["code"]) == (param, "text_too_long")
            assert said(answer) == "a text may have 20 characters here, got 21: cut it into parts"
