"""A press in LangChain: the same embeddings, the same ranking, by its own classes."""

import asyncio
import inspect

import numpy as np
import pytest

pytest.importorskip("langchain_core", reason="pip install 'vecpress[langchain]'")

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

import asking
from toys import stories
from vecpress.adapters import VecpressEmbeddings
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

TEXTS = stories(60)


@pytest.fixture(scope="module")
def pipeline():
    return asking.press()


@pytest.fixture(scope="module")
def model(pipeline):
    return VecpressEmbeddings(pipeline)


def is_plain(rows):
    return all(type(row) is list and all(type(x) is float for x in row) for row in rows)


def test_documents_and_queries_are_encoded_as_such(pipeline, model):
    assert isinstance(model, Embeddings)
    rows, query = model.embed_documents(TEXTS[:5]), model.embed_query(TEXTS[0])
    assert is_plain([*rows, query])
    assert np.array_equal(np.float32(rows), pipeline.encode(TEXTS[:5], role="document"))
    assert np.array_equal(np.float32(query), pipeline.encode(TEXTS[:1], role="query")[0])
    assert not np.allclose(rows[0], query)
    assert model.embed_documents([]) == []


def test_the_asynchronous_methods_give_the_same(model):
    rows = asyncio.run(model.aembed_documents(TEXTS[:3]))
    assert rows == model.embed_documents(TEXTS[:3])
    assert asyncio.run(model.aembed_query(TEXTS[0])) == model.embed_query(TEXTS[0])


def test_a_folder_and_fewer_dimensions(pipeline, model, tmp_path):
    pipeline.save(tmp_path / "press")
    assert VecpressEmbeddings(press=tmp_path / "press").embed_query("word1 word2") == (
        model.embed_query("word1 word2")
    )
    cut = VecpressEmbeddings(str(tmp_path / "press"), dim=3).embed_query("word1 word2")
    whole = np.array(model.embed_query("word1 word2")[:3])
    np.testing.assert_allclose(cut, whole / np.linalg.norm(whole), atol=1e-6)


def test_one_text_for_a_list_is_refused(model):
    with pytest.raises(ConfigError, match=r"^encode takes a list of texts, got one: write \["):
        inspect.unwrap(VecpressEmbeddings.embed_documents)(model, "a cup of tea")


@pytest.mark.parametrize("k", [1, 10])
def test_a_vector_store_ranks_as_the_press_does(pipeline, model, k):
    store = InMemoryVectorStore(model)
    store.add_documents([Document(id=str(i), page_content=t) for i, t in enumerate(TEXTS)])
    for text in TEXTS[::6]:
        query = " ".join(text.split()[3:9])
        found = store.similarity_search_with_score(query, k=k)
        rows = asking.ranked(pipeline, TEXTS, query, k)
        assert [int(document.id) for document, _ in found] == rows
        scores = pipeline.encode(TEXTS)[rows] @ pipeline.encode([query], role="query")[0]
        np.testing.assert_allclose([score for _, score in found], scores, atol=1e-5)


def test_a_text_without_a_known_word_stays_a_zero_row():
    corpus = Corpus(ids=tuple("abcd"), texts=("a cat", "a dog", "a cat and a dog", "a bird"))
    model = VecpressEmbeddings(Pipeline.fit(Recipe(models=("lexical:2",)), corpus))
    known, unknown = model.embed_documents(["cat", "zzz"])
    assert unknown == [0.0, 0.0] == model.embed_query("zzz")
    assert any(known)
