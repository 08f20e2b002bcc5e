"""The verb, in a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from served import CORPUS, press
from vecpress.errors import ConfigError, MismatchError
from vecpress.limits import parse_memory
from vecpress.serving import serve

SLOW = """
import time
from dataclasses import dataclass
from pathlib import Path
import toys
from vecpress.errors import ModelError

@dataclass(frozen=True)
class Slow(toys.A):
    fingerprint = "slow"
    def encode(self, texts, *, role="document"):
        if "slowly" in texts:
            time.sleep(1.5)
        if "for ever" in texts:
            time.sleep(60)
        return super().encode(texts, role=role)

@dataclass(frozen=True)
class Fading(toys.A):
    fingerprint = "fading"
    def encode(self, texts, *, role="document"):
        if (Path(__file__).parent / "gone").exists():
            raise ModelError("the weights of 'fading' are not here")
        return super().encode(texts, role=role)
"""
START = """
import slowly, sys, typer
from vecpress.errors import VecpressError
from vecpress.serving import serve
try:
    typer.run(serve)
except VecpressError as error:
    print("error:", error, file=sys.stderr)
    sys.exit(2)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    (root / "slowly.py").write_text(SLOW)
    sys.path.insert(0, str(root))
    slow = press(models=("slowly:Slow",), dim=4)
    slow.save(root / "slow")
    press(models=("slowly:Slow",), dim=6).save(root / "other")
    slow.save_index(slow.index(CORPUS), root / "index")
    press(models=("slowly:Fading",), dim=4).save(root / "fading")
    (root / "gone").touch()
    yield root
    sys.path.remove(str(root))


class Process:
    """A server, its address, and what it logs."""

    def __init__(self, root, *options, env=None):
        path = [str(root), str(Path(__file__).parents[1]), *sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, options), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))} | (env or {}),
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
        self.process.stderr.close()

    def told(self, event, timeout=60):
        """Wait for a line, and give it."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in list(self.lines):
                if line.startswith("{") and json.loads(line)["event"] == event:
                    return json.loads(line)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {event}: {self.lines}")

    @property
    def url(self):
        return self.told("listening")["url"]

    def end(self, timeout=60):
        """Wait for the process's end, and give its code."""
        code = self.process.wait(timeout)
        self._reader.join(5)
        return code


@contextlib.contextmanager
def started(*options, **others):
    made = Process(*options, **others)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.end()


def ask(url, input, found):
    """Ask in a thread; what was answered, or the error, is put into `found`."""

    def run():
        body = {"input": input, "model": "slow"}
        try:
            found.append(httpx2.post(f"{url}/v1/embeddings", json=body, timeout=30))
        except httpx2.HTTPError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def in_flight(url):
    lines = httpx2.get(f"{url}/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("vecpress_requests_in_flight ")]
    return float(line.split()[1]) - 1


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_answers_finishes_what_it_does_and_ends(root):
    with started(root, root / "slow", "--name", "slow") as server:
        server.told("ready")
        found = []
        asking = ask(server.url, ["slowly"], found)
        until(lambda: in_flight(server.url) == 1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), 1):  # noqa: PT011
            pass
        asking.join(60)
        assert server.end() == 0
        (answer,) = found
        assert answer.status_code == 200
        assert len(answer.json()["data"][0]["embedding"]) == 4
        assert all(json.loads(line) for line in server.lines)
        assert [json.loads(line)["event"] for line in server.lines][-2:] == ["request", "stopped"]
        assert "Traceback" not in "".join(server.lines)


def test_what_takes_longer_than_the_grace_is_given_up(root):
    with started(root, root / "slow", "--name", "slow", "--grace", "1") as server:
        server.told("ready")
        found = []
        asking = ask(server.url, ["for ever"], found)
        until(lambda: in_flight(server.url) == 1)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
        assert 0.9 < time.monotonic() - start < 30  # of the 60 that it would take
        asking.join(60)
        assert found[0].status_code == 503
        assert found[0].json()["error"]["code"] == "stopping"
        assert json.loads(server.lines[-2])["status"] == 503
        assert "for ever" not in "".join(server.lines)


def test_models_that_cannot_be_loaded_end_the_server_with_a_sentence(root):
    with started(root, root / "fading") as server:
        assert server.end() == 2
    assert server.lines[-1] == "error: the weights of 'fading' are not here"


def test_a_key_comes_from_the_environment_and_the_index_is_searched(root):
    options = (root / "slow", "--index", root / "index", "--log-format", "text")
    with started(root, *options, env={"VECPRESS_API_KEY": "one two"}) as server:
        until(lambda: any("listening" in line for line in server.lines))
        (line,) = [line for line in server.lines if "listening" in line]
        url = line.rpartition("url=")[2]
        assert httpx2.get(f"{url}/search?q=a").status_code == 401
        for key in ("one", "two"):
            headers = {"authorization": f"Bearer {key}"}
            hits = httpx2.get(
                f"{url}/search", params={"q": CORPUS.texts[3], "k": 1}, headers=headers
            )
            assert hits.json()["hits"][0]["id"] == "d3"
        models = httpx2.get(f"{url}/v1/models", headers=headers).json()["data"]
        assert [model["id"] for model in models] == ["slow"]
        assert abs(models[0]["created"] - time.time()) < 3600
        server.process.send_signal(signal.SIGINT)
        assert server.end() == 0
    assert " info request id=" in "\n".join(server.lines)
    assert not [line for line in server.lines if "Traceback" in line]


def verb(*options):
    import typer

    app = typer.Typer()
    app.command()(serve)
    return CliRunner().invoke(app, [str(option) for option in options])


def test_a_port_that_is_taken(root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = verb(root / "slow", "--port", port).exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"cannot listen on 127.0.0.1 port {port}: ")
    assert str(error).endswith("choose another --host or --port, or 0 for any port that is free")
    error = verb(root / "slow", "--port", "70000").exception
    assert str(error) == "a port is a whole number from 0 to 65535, got 70000"
    assert "cannot listen on no.such" in str(verb(root / "slow", "--host", "no.such").exception)


def test_what_does_not_belong_together_is_not_served(root):
    error = verb(root / "other", "--index", root / "index").exception
    assert isinstance(error, MismatchError)
    assert "serve the press that made it" in str(error)


def test_limits_are_read_as_written(root, monkeypatch):
    told = []
    monkeypatch.setattr(
        "vecpress.serve.run.run", lambda answers, **where: told.append((answers, where))
    )
    options = ["--max-body", "2MB", "--max-inputs", "5", "--max-queue", "6", "--max-batch", "3"]
    options += ["--timeout", "1.5", "--grace", "2", "--cors-origin", "https://a.example"]
    options += ["--api-key", "one", "--api-key", "two", "--host", "::1", "--port", "9"]
    made = verb(root / "slow", *options)
    assert made.exception is None
    ((answers, where),) = told
    settings = answers.settings
    assert where == {"host": "::1", "port": 9}
    assert settings.name == "slow"
    assert settings.max_body == parse_memory("2MB")
    assert (settings.max_inputs, settings.max_queue, settings.max_batch) == (5, 6, 3)
    assert (settings.timeout, settings.grace) == (1.5, 2.0)
    assert settings.origins == ("https://a.example",)
    assert settings.api_keys == ("one", "two")
    assert answers.index is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("much", "--max-body is written like 500MB, 2GB or 2GiB, got 'much'"),
        ("0B", "--max-body must be at least 1B, got '0B'"),
    ],
)
def test_a_length_that_is_none(root, given, message):
    error = verb(root / "slow", "--max-body", given).exception
    assert isinstance(error, ConfigError)
    assert str(error) == message


def test_a_folder_whose_name_is_no_name(root, tmp_path):
    shutil.copytree(root / "slow", tmp_path / "a press")
    error = verb(tmp_path / "a press").exception
    assert "got 'a press': choose one with --name" in str(error)
