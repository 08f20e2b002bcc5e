"""Load on `vecpress serve`: requests per second and latency, and whether memory stays flat.

    python benchmarks/serve.py --minutes 10

Two servers of one press (minilm:int8, wordllama) take turns: one batches texts of several requests
together, the other each request by itself. Clients keep their connections and ask again as soon as
they are answered. Before any figure, what a server answers is compared with the press. Clients and
server share this machine's cores. Writes benchmarks/results/bench-serve.json; with --seconds below
2 it keeps no results.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import timing  # first: it pins threads

# isort: split
import numpy as np

from vecpress.compressors.linear import PowerPCA
from vecpress.corpus import Corpus
from vecpress.demo import standard_library
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.serve.answers import Answers
from vecpress.serve.logs import write_logs
from vecpress.serve.run import run
from vecpress.serve.settings import Settings

MODELS = ("minilm:int8", "wordllama")
CONCURRENCY = (1, 8, 32)
INPUTS = (1, 32)
WORDS = 40


class Server(NamedTuple):
    """A server process, and where it listens."""

    process: subprocess.Popen[str]
    port: int

    def rss(self) -> float:
        """Give the memory it has now, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in status if x.startswith("VmRSS")).split()[1]) * 1024 / 1e6


def fit(texts: list[str], folder: Path) -> Pipeline:
    """Fit and save the press that is served."""
    corpus = Corpus(ids=tuple(map(str, range(1000))), texts=tuple(texts[:1000]))
    recipe = Recipe(models=MODELS, head=PowerPCA(dim=256), quantizer=Percentile(bits=2))
    press = Pipeline.fit(recipe, corpus)
    press.save(folder)
    return press


def serve(folder: str, *, together: bool) -> None:
    """Be a server."""
    settings = Settings(name="press", together=together, max_queue=65536)
    write_logs("json")
    answers = Answers(pipeline=Pipeline.load(folder), index=None, settings=settings)
    run(answers, host="127.0.0.1", port=0)


@contextlib.contextmanager
def started(folder: Path, *, together: bool) -> Iterator[Server]:
    """Start a server, and wait until it is ready; its log goes into a file."""
    log = folder / f"log-{together}"
    command = [sys.executable, __file__, "--serve", str(folder / "press")]
    with log.open("w") as stderr:
        process = subprocess.Popen(command + ["--together"] * together, stderr=stderr, text=True)
    try:
        told: dict[str, Any] = {}
        while "ready" not in told:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
            told = {json.loads(x)["event"]: json.loads(x) for x in log.read_text().splitlines()}
        yield Server(process, urlsplit(told["listening"]["url"]).port or 0)
    finally:
        process.terminate()
        process.wait(60)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bytes:
    """Send one request, and read its answer."""
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    found = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b" 200 " in found.split(b"\r\n")[0], found
    length = int(found.partition(b"content-length:")[2].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def load(port: int, bodies: list[bytes], *, clients: int, seconds: float) -> list[float]:
    """Ask with so many clients for so long; give the seconds that each answer took."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn = first
        while (start := time.perf_counter()) < end:
            await ask(reader, writer, bodies[turn % len(bodies)])
            taken.append(time.perf_counter() - start)
            turn += clients
        writer.close()

    await asyncio.gather(*(client(i) for i in range(clients)))
    return taken


def request(texts: list[str]) -> bytes:
    """Write what OpenAI's client sends."""
    body = {"model": "press", "input": texts, "encoding_format": "base64"}
    return json.dumps(body).encode()


def requests(texts: list[str], inputs: int) -> list[bytes]:
    """Write requests of so many texts each."""
    starts = range(0, min(len(texts), 64 * inputs) - inputs + 1, inputs)
    return [request(texts[start : start + inputs]) for start in starts]


def check(press: Pipeline, port: int, texts: list[str]) -> float:
    """Give the largest difference between what a server answers and what the press says."""

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = await ask(reader, writer, request(texts))
        writer.close()
        return found

    data = json.loads(asyncio.run(one()))["data"]
    rows = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data]
    return float(np.abs(np.array(rows) - press.encode(texts)).max())


def measure(
    servers: dict[str, Server], bodies: list[bytes], *, clients: int, seconds: float, turns: int
) -> dict[str, dict[str, float]]:
    """Load the servers in turn; the first turn does not count."""
    taken: dict[str, list[float]] = {name: [] for name in servers}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for turn in range(turns + 1):
        for name, server in servers.items():
            start = time.perf_counter()
            found = asyncio.run(load(server.port, bodies, clients=clients, seconds=seconds))
            if turn:
                taken[name] += found
                rates[name].append(len(found) / (time.perf_counter() - start))
    return {
        name: {
            "requests_s": round(max(rates[name]), 2),
            "requests_s_median": round(float(np.median(rates[name])), 2),
            "p50_ms": round(1e3 * float(np.quantile(taken[name], 0.5)), 2),
            "p99_ms": round(1e3 * float(np.quantile(taken[name], 0.99)), 2),
            "answers": len(taken[name]),
        }
        for name in servers
    }


def table(
    servers: dict[str, Server], texts: list[str], *, seconds: float, turns: int
) -> list[dict[str, Any]]:
    """Measure and print every number of inputs and clients."""
    rows = []
    for inputs in INPUTS:
        bodies = requests(texts, inputs)
        for clients in CONCURRENCY:
            found = measure(servers, bodies, clients=clients, seconds=seconds, turns=turns)
            best = {label: figures["requests_s"] for label, figures in found.items()}
            ratio = round(best["together"] / best["one by one"], 2)
            for label, figures in found.items():
                row = {"batching": label, "inputs": inputs, "clients": clients, **figures}
                row["texts_s"] = round(inputs * figures["requests_s"], 1)
                rows.append(row | ({"x_one_by_one": ratio} if label == "together" else {}))
                print(rows[-1], flush=True)
    return rows


def watch(server: Server, bodies: list[bytes], *, minutes: float, every: float) -> dict[str, Any]:
    """Load a server for long, and read its memory meanwhile; its slope is that of the second half.

    Each round opens new connections: what one leaves behind would add up.
    """
    seen = [{"second": 0.0, "rss_mb": round(server.rss(), 1)}]
    start, answers = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < 60 * minutes:
        seconds = min(every, 60 * minutes - now)
        answers += len(asyncio.run(load(server.port, bodies, clients=8, seconds=seconds)))
        now = time.perf_counter() - start
        seen.append({"second": round(now, 1), "rss_mb": round(server.rss(), 1)})
    half = seen[len(seen) // 2 :]
    slope = 0.0
    if len(half) > 1:
        slope = float(np.polyfit([s["second"] for s in half], [s["rss_mb"] for s in half], 1)[0])
    return {
        "minutes": minutes,
        "answers": answers,
        "mb_per_minute": round(60 * slope, 3),
        "rss": seen,
    }


def main() -> None:
    """Measure, print the table, and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load, for memory; 0: none")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--together", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve, together=asked.together)
        return
    documents = standard_library().corpus.texts
    texts = [" ".join(str(text).split()[:WORDS]) for text in documents[:3000]]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        press = fit(texts, Path(name) / "press")
        servers = {
            label: stack.enter_context(started(Path(name), together=together))
            for label, together in (("together", True), ("one by one", False))
        }
        differs = max(check(press, server.port, texts[:100]) for server in servers.values())
        assert differs < 1e-6, differs
        rows = table(servers, texts[1000:], seconds=asked.seconds, turns=asked.turns)
        memory = None
        if asked.minutes:
            memory = watch(servers["together"], requests(texts, 4), minutes=asked.minutes, every=30)
            print(memory, flush=True)
    if asked.seconds < 2:
        print("too short to keep", flush=True)
        return
    command = f"python benchmarks/serve.py --minutes {asked.minutes:g}"
    timing.write(
        "bench-serve",
        rows,
        command=command,
        models=MODELS,
        words=WORDS,
        differs_from_the_press=differs,
        memory=memory,
    )


if __name__ == "__main__":
    main()
