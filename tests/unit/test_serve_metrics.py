import io
import json
import logging
import re

import pytest

from served import TEXTS, client, embed, index
from vecpress.serve.batching import Seen
from vecpress.serve.logs import Lines
from vecpress.serve.metrics import Metrics

_LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")


def figures(text):
    """Read Prometheus's text format: name and labels to value."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = _LINE.fullmatch(line).groups()
            found[name, *sorted(re.findall(r'="([^"]*)"', labels or ""))] = float(value)
    return found


def test_what_was_answered_is_counted():
    with client(index=index()) as opened:
        embed(opened, TEXTS)
        embed(opened, TEXTS[0])
        embed(opened, [])
        opened.get("/search?q=a+b")
        opened.get("/v1/models/toy")
        opened.get("/v1/models/ada")
        opened.get("/made/up/1")
        opened.get("/made/up/2")
        opened.request("HACK", "/health")
        answer = opened.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = figures(answer.text)
    total = "vecpress_requests_total"
    assert found[total, "/v1/embeddings", "200", "POST"] == 2
    assert found[total, "/v1/embeddings", "400", "POST"] == 1
    assert found[total, "/search", "200", "GET"] == 1
    assert found[total, "/v1/models/{model}", "200", "GET"] == 1
    assert found[total, "/v1/models/{model}", "404", "GET"] == 1
    assert found[total, "404", "GET", "other"] == 2
    assert found[total, "/health", "405", "other"] == 1
    assert found["vecpress_request_seconds_count", "/v1/embeddings", "POST"] == 3
    assert 0 < found["vecpress_request_seconds_sum", "/v1/embeddings", "POST"] < 10
    assert found["vecpress_requests_in_flight",] == 1  # this one
    assert found["vecpress_batch_texts_count",] == 3
    assert found["vecpress_batch_texts_sum",] == 5 + 1 + 1
    assert found["vecpress_batch_requests_sum",] == 3
    assert found["vecpress_texts_total",] == 7
    words = sum(len(text.split()) for text in [*TEXTS, TEXTS[0]]) + 2
    assert found["vecpress_tokens_total",] == words
    assert found["vecpress_queue_texts",] == 0
    assert not [key for key in found if "/made/up/1" in key]


def test_what_waits_is_asked_for_when_it_is_shown():
    waiting = [3]
    metrics = Metrics(lambda: waiting[0])
    assert figures(metrics.text().decode())["vecpress_queue_texts",] == 3
    waiting[0] = 5
    assert figures(metrics.text().decode())["vecpress_queue_texts",] == 5


def test_buckets_hold_what_is_not_above_them():
    metrics = Metrics(lambda: 0)
    for texts in (1, 2, 3, 64, 65):
        metrics.batch(Seen(texts, 1))
    metrics.answered("GET", route="/", status=200, seconds=0.003)
    found = figures(metrics.text().decode())
    bucket = "vecpress_batch_texts_bucket"
    assert [found[bucket, b] for b in ("1.0", "2.0", "4.0", "64.0", "128.0")] == [1, 2, 3, 4, 5]
    assert found["vecpress_request_seconds_bucket", "/", "0.0025", "GET"] == 0
    assert found["vecpress_request_seconds_bucket", "/", "0.005", "GET"] == 1


@pytest.fixture
def written():
    """What the server logs, in lines, in a format to be chosen."""
    logger = logging.getLogger("vecpress.serve")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)

    def lines(style, scenario):
        handler.setFormatter(Lines(style))
        scenario()
        return stream.getvalue().splitlines()

    yield lines
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_each_request_is_one_line_of_json(written):
    def scenario():
        with client(index=index(), api_keys=("secret",)) as opened:
            opened.headers["authorization"] = "Bearer secret"
            embed(opened, TEXTS, dimensions=3)
            opened.get("/search?q=private", headers={"x-request-id": "mine"})
            opened.get("/no%0Awhere")
            opened.get("/v1/models", headers={"authorization": "Bearer wrong"})

    lines = [json.loads(line) for line in written("json", scenario)]
    assert lines[0].keys() == {"time", "level", "event"}
    assert lines[0]["event"] == "ready"
    requests = lines[1:]
    assert [line["status"] for line in requests] == [200, 200, 404, 401]
    first = requests[0]
    assert first.keys() == {
        *("time", "level", "event", "id", "method", "path", "status", "ms", "texts", "tokens")
    }
    assert first["method"] == "POST"
    assert first["path"] == "/v1/embeddings"
    assert first["texts"] == 5
    assert first["tokens"] == sum(len(text.split()) for text in TEXTS)
    assert 0 < first["ms"] < 10_000
    assert first["time"].endswith("+00:00")
    assert requests[1]["id"] == "mine"
    assert requests[2]["path"] == "/no\nwhere"
    everything = json.dumps(lines)
    assert "private" not in everything  # queries are what people think
    assert "secret" not in everything
    assert "wrong" not in everything


def test_text_is_one_line_too_whatever_the_path(written):
    def scenario():
        with client() as opened:
            opened.get("/no%0Awhere%1b[31m", headers={"x-request-id": "mine"})

    ready, line = written("text", scenario)
    assert ready.endswith(" info ready")
    assert re.fullmatch(
        r"\S+ info request id=mine method=GET path=/no\\nwhere\\x1b\[31m status=404 ms=[\d.]+", line
    )


def test_what_others_say_is_a_line_too():
    record = logging.makeLogRecord({"msg": "two\nlines", "levelname": "WARNING"})
    line = json.loads(Lines("json").format(record))
    assert line["event"] == "note"
    assert line["message"] == "two\nlines"
    assert line["level"] == "warning"
    assert "\n" not in Lines("text").format(record)
