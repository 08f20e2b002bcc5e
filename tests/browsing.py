"""A real browser for tests: a folder behind a file server on this machine, and jobs in its page."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from vecpress.exports.web import export_web
from vecpress.pipeline import Pipeline

WEB = Path(__file__).parents[1] / "web"
QUERY = "how do I split a file path into folder and name?"
TITLE = "Python’s <b>standard</b> library"  # markup is text
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser():
    """Name the browser's program; None if there is none."""
    named = os.environ.get("VECPRESS_CHROMIUM")
    return named or next(filter(None, map(shutil.which, _BROWSERS)), None)


def missing():
    """Say what is not here that these tests need; nothing if all is."""
    needs = {
        "node: https://nodejs.org": shutil.which("node"),
        "web/node_modules: run `make web`": (WEB / "node_modules" / "playwright-core").is_dir(),
        "the built page: run `make web`": (files("vecpress") / "page" / "index.html").is_file(),
        "Chromium: install it, or name it in VECPRESS_CHROMIUM": browser(),
    }
    return [what for what, found in needs.items() if not found]


def require():
    """Skip tests for which something is missing, or fail where VECPRESS_REQUIRE_BROWSER is set."""
    if lacking := missing():
        told = "tests in a browser need " + "; ".join(lacking)
        if os.environ.get("VECPRESS_REQUIRE_BROWSER"):
            pytest.fail(told)
        pytest.skip(told)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of browsers that go away in the middle of a file."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Site:
    """A folder served at `url` until `stop`; paths asked for are kept in `asked`."""

    def __init__(self, folder):
        self.asked = asked = []

        class Handler(_Quiet):
            def do_GET(self):
                asked.append(self.path)
                super().do_GET()

        self._server = _Server(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def stop(self):
        """Close the port: whoever asks is refused."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@contextmanager
def serve(folder):
    """Serve a folder inside the block."""
    site = Site(folder)
    try:
        yield site
    finally:
        site.stop()


def drive(job, *, url, profile, changes=None, **options):
    """Do a job of web/e2e/run.mjs in a browser with an empty profile, and give what it saw.

    `changes` are called, by name, where the job waits for something to be changed.
    """
    about = {"job": job, "url": url, "profile": str(profile), "chromium": browser(), **options}
    with subprocess.Popen(
        ["node", str(WEB / "e2e" / "run.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        timer = threading.Timer(120, process.kill)
        timer.start()
        try:
            return _converse(process, about, changes or {})
        finally:
            timer.cancel()
            process.kill()


def _converse(process, about, changes):
    process.stdin.write(json.dumps(about) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        told = json.loads(line)
        if "seen" in told:
            return told["seen"]
        changes[told["waiting"]]()
        process.stdin.write("done\n")
        process.stdin.flush()
    raise AssertionError(f"{about['job']} at {about['url']} failed:\n{process.stderr.read()}")


class Exported:
    """A press, its index, and the page made of them."""

    def __init__(self, folder, corpus, recipe, **options):
        self.pipeline = Pipeline.fit(recipe, corpus)
        self.index = self.pipeline.index(corpus)
        self.folder = folder
        export_web(self.pipeline, self.index, folder, **options)

    def differences(self, answers):
        """Say by how much, at each place of each list, Python's own document scores higher."""
        hits = self.pipeline.search(self.index, [a["query"] for a in answers], len(self.index))
        lost, wrong = [], []
        for ids, scores, answer in zip(hits.ids, hits.scores, answers, strict=True):
            by_id = dict(zip(ids, scores, strict=True))
            own = np.array([by_id[hit["id"]] for hit in answer["hits"]])
            lost.append(np.abs(scores[: len(own)] - own))
            wrong.append(np.abs(own - [hit["score"] for hit in answer["hits"]]))
            assert [hit["shown"] for hit in answer["hits"]] == [
                f"{hit['score']:.3f}" for hit in answer["hits"]
            ]
        return np.stack(lost), np.stack(wrong)


def check_calm(seen):
    """Nothing was complained of, and nobody else was asked for anything."""
    assert seen["complaints"] == []
    assert {urlsplit(url).hostname for url in seen["requests"]} == {"127.0.0.1"}
