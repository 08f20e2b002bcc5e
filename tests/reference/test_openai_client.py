"""OpenAI's own client against a real server process: what it sends, and what it makes of answers."""

import asyncio
import json

import numpy as np
import openai
import pytest

from served import TEXTS, listening, press
from vecpress.compressors.linear import PCA
from vecpress.corpus import Corpus
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe

DOCS = (
    "A heap is a binary tree.",
    "Sockets carry bytes between machines.",
    "Regular expressions match text.",
    "The garbage collector frees memory.",
    "Threads share memory, processes do not.",
    "Dictionaries keep the order of insertion.",
)


@pytest.fixture(scope="module")
def address():
    with listening(api_keys=("secret",), max_inputs=100) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=address, api_key="secret", max_retries=0) as made:
        yield made


def vectors(response):
    return np.array([item.embedding for item in response.data])


def test_floats_come_as_base64_unless_asked_otherwise(client):
    wanted = press().encode(TEXTS)
    made = client.embeddings.create(model="toy", input=TEXTS)
    np.testing.assert_allclose(vectors(made), wanted, atol=1e-6)
    listed = client.embeddings.create(model="toy", input=TEXTS, encoding_format="float")
    np.testing.assert_array_equal(vectors(listed).astype("f4"), vectors(made).astype("f4"))
    coded = client.embeddings.create(model="toy", input=TEXTS[0], encoding_format="base64")
    assert isinstance(coded.data[0].embedding, str)
    assert made.usage.prompt_tokens == sum(len(text.split()) for text in TEXTS)
    assert made.model == "toy"
    assert made.fingerprint == press().fingerprint


def test_dimensions(client):
    made = client.embeddings.create(model="toy", input=TEXTS, dimensions=5)
    np.testing.assert_allclose(vectors(made), press().truncate(5).encode(TEXTS), atol=1e-6)


def test_our_own_fields_travel_as_extras(client):
    made = client.embeddings.create(
        model="toy",
        input=TEXTS,
        encoding_format="float",
        extra_body={"output_dtype": "codes", "input_type": "document"},
    )
    assert vectors(made).tolist() == press().quantize(press().encode(TEXTS)).tolist()
    small = client.embeddings.create(
        model="toy", input=TEXTS, encoding_format="float", extra_body={"output_dtype": "int8"}
    )
    scales = np.array([item.scale for item in small.data])
    np.testing.assert_allclose(
        vectors(small) * scales[:, None], press().encode(TEXTS), atol=scales.max()
    )


def test_models(client):
    assert [model.id for model in client.models.list()] == ["toy"]
    assert client.models.retrieve("toy").dimensions == 12


def test_errors_are_the_clients_own(client, address):
    with pytest.raises(openai.BadRequestError, match="must be between 1 and 12, got 99") as raised:
        client.embeddings.create(model="toy", input=TEXTS, dimensions=99)
    assert raised.value.param == "dimensions"
    assert raised.value.code == "invalid_value"
    assert raised.value.type == "invalid_request_error"
    assert raised.value.request_id
    with pytest.raises(openai.NotFoundError, match="use 'toy'"):
        client.embeddings.create(model="text-embedding-3-small", input="a")
    with pytest.raises(openai.BadRequestError, match="input may hold 100 texts here, got 101"):
        client.embeddings.create(model="toy", input=["a"] * 101)
    with pytest.raises(openai.AuthenticationError, match="asks for an API key"):
        openai.OpenAI(base_url=address, api_key="wrong").embeddings.create(model="toy", input="a")


def test_many_at_the_same_time(address):
    async def run():
        async with openai.AsyncOpenAI(base_url=address, api_key="secret") as client:
            asked = [client.embeddings.create(model="toy", input=TEXTS[i % 5]) for i in range(40)]
            return await asyncio.gather(*asked)

    wanted = press().encode(TEXTS)
    for i, made in enumerate(asyncio.run(run())):
        np.testing.assert_allclose(vectors(made), wanted[[i % 5]], atol=1e-6)


def test_the_offline_models():
    documents = Corpus(ids=tuple("abcdef"), texts=DOCS)
    recipe = Recipe(
        models=("minilm:int8", "wordllama"), head=PCA(dim=4), quantizer=Percentile(bits=2)
    )
    made = Pipeline.fit(recipe, documents)
    wanted, query = made.encode(DOCS), made.encode(DOCS[:1], role="query")

    async def run(address):
        async with openai.AsyncOpenAI(base_url=address, api_key="any") as client:
            asked = [client.embeddings.create(model="toy", input=text) for text in DOCS]
            asked.append(client.embeddings.create(model="toy", input=list(DOCS)))
            options = {"model": "toy", "input": DOCS[0], "extra_body": {"input_type": "query"}}
            return await asyncio.gather(*asked, client.embeddings.create(**options))

    with listening(pipeline=made, index=made.index(documents)) as url:
        *single, together, as_query = asyncio.run(run(f"{url}/v1"))
    np.testing.assert_allclose(vectors(together), wanted, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([vectors(s) for s in single]), wanted, atol=1e-6)
    np.testing.assert_allclose(vectors(as_query), query, atol=1e-6)
    assert together.usage.prompt_tokens == sum(s.usage.prompt_tokens for s in single)
    assert json.loads(as_query.model_dump_json())["dimensions"] == 4
