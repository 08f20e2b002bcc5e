"""The same questions asked of Python, onnxruntime, a browser and a server, of the same documents.

    python benchmarks/edge.py            or: make bench-edge

Three presses of 64 bytes on the documentation of this Python's standard library: one of tables
alone, one of MiniLM and a table with weights in few bits, and one of full floats. Each is exported,
and asked the demo's questions in every form, each form in a process of its own with one thread.
What a form is asked first counts as loading. Needs Chromium and the built page (`make web`).
VECPRESS_QUESTIONS makes it shorter, and a shorter run keeps no results. Writes
benchmarks/results/bench-edge.json.
"""

import os

os.environ["VECPRESS_THREADS"] = "1"

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import timing

# isort: split
import numpy as np

from vecpress.demo import standard_library
from vecpress.encoders.combine import Concat
from vecpress.encoders.files import locate
from vecpress.exports.onnx_bundle import OnnxBundle
from vecpress.exports.onnx_export import export_onnx
from vecpress.exports.web import export_web
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.plan import fit_to_budget
from vecpress.recipe import Recipe

HERE = Path(__file__).parent
MOST = int(os.environ.get("VECPRESS_QUESTIONS", "1000"))
CACHE = Path(os.environ.get("VECPRESS_CACHE", "~/.cache/vecpress")).expanduser()
BUDGET = 64
PRESSES: Mapping[str, tuple[Recipe, str]] = {
    "tables": (Recipe(models=("wordllama:int4", "lexical:128:int8")), "int8"),
    "MiniLM ensemble": (Recipe(models=("minilm:w8", "wordllama:int8"), weights=(1, 0.5)), "int8"),
    "MiniLM ensemble, floats": (
        Recipe(models=("minilm", "wordllama"), weights=(1, 0.5)),
        "float16",
    ),
}
"""Recipes, and the precision of what is exported of them."""

Answer = dict[str, Any]


def main() -> None:
    """Fit, export and ask each press in each form."""
    benchmark = standard_library()
    questions = [str(text) for text in benchmark.queries.texts][:MOST]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (recipe, precision) in PRESSES.items():
            home = Path(folder) / name.replace(" ", "-").replace(",", "")
            make(home, recipe, precision, benchmark.corpus)
            asked = home / "questions.json"
            asked.write_text(json.dumps(questions), encoding="utf-8")
            found = {form: FORMS[form](home) for form in FORMS}
            for form, told in found.items():
                rows.append(row(name, form, told, found["python"], size(home, form)))
                print(json.dumps(rows[-1]), flush=True)
    if len(benchmark.queries.texts) > MOST:
        return
    timing.write(
        "bench-edge", rows, command="python benchmarks/edge.py", documents=len(benchmark.corpus),
        questions=len(questions), budget=BUDGET, chromium=chromium_version(),
    )  # fmt: skip


def make(home: Path, recipe: Recipe, precision: Any, corpus: Any) -> None:
    """Fit, index and export: the folders press, index, onnx, web."""
    press, _ = fit_to_budget(recipe, corpus, BUDGET, cache=CACHE)
    index = press.cached(CACHE).index(corpus)
    press.save(home / "press")
    press.save_index(index, home / "index")
    export_onnx(press, home / "onnx", precision=precision)
    export_web(press, index, home / "web", precision=precision)


def row(
    press: str, form: str, told: Mapping[str, Any], python: Mapping[str, Any], size: int
) -> dict[str, Any]:
    """Compare a form's answers with Python's: the same ten in the same order, and in any."""
    pairs = list(zip(told["answers"], python["answers"], strict=True))
    same = [alike(*pair) for pair in pairs]
    shared = [len(set(got["ids"]) & set(expected["ids"])) / 10 for got, expected in pairs]
    times = [answer["ms"] for answer in told["answers"]]
    return {
        "press": press,
        "form": form,
        "bytes": size,
        "load_ms": round(told["load_ms"], 1),
        "ms": round(float(np.median(times)), 2),
        "p99_ms": round(float(np.percentile(times, 99)), 2),
        "same_ten": sum(same) / len(same),
        "overlap": float(np.mean(shared)),
        "engine": told.get("engine", ""),
    }


def alike(got: Answer, expected: Answer) -> bool:
    """Say whether two rankings are the same but for documents of one score (to 1e-5)."""
    known = dict(zip(expected["ids"], expected["scores"], strict=True))
    ranked = zip(got["ids"], expected["scores"], strict=True)
    return all(abs(known.get(id_, np.inf) - score) < 1e-5 for id_, score in ranked)


# --- the forms ----------------------------------------------------------------------------------


def in_process(form: str, home: Path) -> dict[str, Any]:
    """Run this file again, for one form: what it imports and loads is then counted."""
    command = [sys.executable, __file__, form, str(home)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return told | {"load_ms": 1000 * (told.pop("ready") - start)}


def ask(search: Any, home: Path) -> None:
    """Ask every question, one by one, and print the answers; `ready` is after the first."""
    questions = json.loads((home / "questions.json").read_text(encoding="utf-8"))
    search(questions[0])
    ready, answers = time.perf_counter(), []  # one clock for all processes of a machine
    for question in questions:
        start = time.perf_counter()
        ids, scores = search(question)
        ms = 1000 * (time.perf_counter() - start)
        answers.append({"ids": list(ids), "scores": [float(s) for s in scores], "ms": ms})
    print(json.dumps({"ready": ready, "answers": answers}))


def run_python(home: Path) -> None:
    """Ask a press and its index."""
    press, index = Pipeline.load(home / "press"), Index.load(home / "index")

    def search(question: str) -> tuple[Sequence[str], Any]:
        hits = press.search(index, [question], 10)
        return hits.ids[0], hits.scores[0]

    ask(search, home)


def run_onnx(home: Path) -> None:
    """Ask the graph, run by onnxruntime, and the index."""
    bundle, index = OnnxBundle.load(home / "onnx"), Index.load(home / "index")

    def search(question: str) -> tuple[Sequence[str], Any]:
        hits = index.search(bundle.encode([question], role="query"), 10)
        return hits.ids[0], hits.scores[0]

    ask(search, home)


def server(home: Path) -> dict[str, Any]:
    """Start the server as a user would, and ask it over one connection after the other."""
    port, where = free_port(), ("--index", str(home / "index"), "--port")
    command = [sys.executable, "-m", "vecpress", "serve", str(home / "press"), *where, str(port)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            questions = json.loads((home / "questions.json").read_text(encoding="utf-8"))
            wait(partial(post, port, questions[0]))
            load_ms, answers = 1000 * (time.perf_counter() - start), []
            for question in questions:
                begun = time.perf_counter()
                hits = post(port, question)
                ms = 1000 * (time.perf_counter() - begun)
                answers.append(
                    {"ids": [h["id"] for h in hits], "scores": [h["score"] for h in hits], "ms": ms}
                )
        finally:
            process.terminate()
    return {"load_ms": load_ms, "answers": answers}


def post(port: int, question: str) -> list[dict[str, Any]]:
    """Give the hits of one question."""
    body = json.dumps({"query": question, "k": 10}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/search", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["hits"]


def wait(attempt: Any, *, seconds: float = 60) -> None:
    """Try until it works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def chromium(home: Path) -> dict[str, Any]:
    """Open the exported page's library in headless Chromium, and ask it."""
    with served(home / "web") as url:
        command = ["node", str(HERE.parent / "web" / "e2e" / "ask.mjs"), url]
        done = subprocess.run(
            [*command, str(home / "questions.json")], capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as `python -m http.server` does."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def chromium_version() -> str:
    """Give the name and version of the browser."""
    names = (os.environ.get("VECPRESS_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        return ""
    return subprocess.run([found, "--version"], capture_output=True, text=True).stdout.strip()


FORMS = {name: partial(in_process, name) for name in ("python", "onnxruntime")}
FORMS |= {"chromium": chromium, "server": server}


# --- bytes --------------------------------------------------------------------------------------


def size(home: Path, form: str) -> int:
    """Count everything that has to be there: models, press and index, or what holds them."""
    index = weigh(home / "index") - weigh(home / "index" / "press")
    if form == "chromium":
        return weigh(home / "web")
    if form == "onnxruntime":
        return weigh(home / "onnx") + index
    return weigh(home / "press") + index + models(Pipeline.load(home / "press"))


def weigh(folder: Path) -> int:
    """Add up the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def models(press: Pipeline) -> int:
    """Count the files of the models that a press names: weights and tokenizers."""
    encoder = press.encoder
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    total = 0
    for name in {part.model for part in parts if hasattr(part, "model")}:
        folder = locate(name)
        kept = ("*256.safetensors", "l2_supercat_tokenizer*") if name == "wordllama" else ("*",)
        total += sum(p.stat().st_size for glob in kept for p in folder.rglob(glob) if p.is_file())
    return total


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"python": run_python, "onnxruntime": run_onnx}[sys.argv[1]](Path(sys.argv[2]))
    else:
        main()
