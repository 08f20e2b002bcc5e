"""A press of toy models behind HTTP, without a network."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from functools import cache

import httpx2
import numpy as np
import uvicorn
from starlette.testclient import TestClient

import toys
from vecpress.compressors.linear import PCA
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Int8, Percentile
from vecpress.recipe import Recipe
from vecpress.serve.answers import Answers
from vecpress.serve.app import create_app
from vecpress.serve.service import Service
from vecpress.serve.settings import Settings

CORPUS = toys.corpus(40)
TEXTS = list(CORPUS.texts[:5])


class A(toys.A):
    """The toy model, which has something to say of an empty text too."""

    def encode(self, texts, *, role="document"):
        return super().encode([text if text.split() else "-" for text in texts], role=role)


class B(A):
    fingerprint = "b"


@cache
def press(models=("served:A", "served:B"), dim=12, bits=2, fine=False):
    """A press of toy models; `bits=0` makes no codes, `dim=0` has no head."""
    recipe = Recipe(
        models=models,
        head=PCA(dim=dim) if dim else None,
        quantizer=Percentile(bits=bits) if bits else None,
        fine=Int8() if fine else None,
    )
    return Pipeline.fit(recipe, CORPUS)


@cache
def index(**options):
    return press(**options).index(CORPUS)


def service(*, pipeline=None, index=None, encode=None, **settings):
    """A service; `encode` stands in for the models."""
    settings = {"name": "toy"} | settings
    answers = Answers(pipeline=pipeline or press(), index=index, settings=Settings(**settings))
    if encode is not None:
        object.__setattr__(answers, "encode", encode)
    return Service(answers)


@contextmanager
def client(**options):
    """A client of it, with the service running."""
    headers = options.pop("headers", {})
    made = service(**options)
    with TestClient(create_app(made), headers=headers) as opened:
        while made.status == "loading":
            time.sleep(0.005)
        yield opened


@asynccontextmanager
async def async_client(made):
    """A client that can ask several things at the same time."""
    async with made.running():
        transport = httpx2.ASGITransport(create_app(made))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as opened:
            yield opened


@contextmanager
def listening(**options):
    """Serve on a port of this machine, in a thread; give its address."""
    config = uvicorn.Config(create_app(service(**options)), port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def embed(client, input, **fields):
    """What is answered to a request for embeddings."""
    return client.post("/v1/embeddings", json={"input": input, "model": "toy"} | fields)


def rows(response):
    """The embeddings of an answer in lists."""
    assert response.status_code == 200, response.text
    return np.array([item["embedding"] for item in response.json()["data"]])


class Gate:
    """Models that wait until they are let through, and remember what they were given."""

    def __init__(self, answers):
        self._answers = answers
        self.open = threading.Event()
        self.open.set()
        self.batches = []
        self.asked = 0

    def __call__(self, texts, role):
        self.asked += 1
        assert self.open.wait(10)
        self.batches.append((role, list(texts)))
        return Answers.encode(self._answers, texts, role)


def gated(**options):
    """A service and the gate before its models, which is open."""
    made = service(**options)
    gate = Gate(made.answers)
    made.batcher._encode = gate
    return made, gate


async def until(condition):
    """Wait for something to become true."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")
