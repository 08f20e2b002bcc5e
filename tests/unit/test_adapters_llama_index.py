"""A press in LlamaIndex: the same embeddings, the same ranking, stored and made again."""

import asyncio
import pickle

import numpy as np
import pytest

pytest.importorskip("llama_index.core", reason="pip install 'vecpress[llama-index]'")

from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

import asking
from toys import stories
from vecpress.adapters import VecpressEmbedding
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

TEXTS = stories(60)


@pytest.fixture(scope="module")
def pipeline():
    return asking.press()


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presses") / "press"
    pipeline.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(pipeline):
    return VecpressEmbedding(pipeline, embed_batch_size=7)


def test_documents_and_queries_are_encoded_as_such(pipeline, model):
    assert isinstance(model, BaseEmbedding)
    rows = model.get_text_embedding_batch(TEXTS[:20])  # more than two batches
    assert np.array_equal(np.float32(rows), pipeline.encode(TEXTS[:20], role="document"))
    assert all(type(x) is float for row in rows for x in row)
    np.testing.assert_allclose(model.get_text_embedding(TEXTS[3]), rows[3], atol=1e-6)
    query = model.get_query_embedding(TEXTS[0])
    assert np.array_equal(np.float32(query), pipeline.encode(TEXTS[:1], role="query")[0])
    assert not np.allclose(rows[0], query)


def test_the_asynchronous_methods_give_the_same(model):
    texts = TEXTS[:20]
    assert asyncio.run(model.aget_text_embedding_batch(texts)) == (
        model.get_text_embedding_batch(texts)
    )
    assert asyncio.run(model.aget_text_embedding(texts[0])) == model.get_text_embedding(texts[0])
    assert asyncio.run(model.aget_query_embedding(texts[0])) == model.get_query_embedding(texts[0])


def test_an_index_ranks_as_the_press_does(pipeline, model):
    nodes = [TextNode(id_=str(i), text=text) for i, text in enumerate(TEXTS)]
    retriever = VectorStoreIndex(nodes, embed_model=model).as_retriever(similarity_top_k=10)
    for text in TEXTS[::6]:
        query = " ".join(text.split()[3:9])
        hits = retriever.retrieve(query)
        rows = asking.ranked(pipeline, TEXTS, query, 10)
        assert [int(hit.node_id) for hit in hits] == rows
        scores = pipeline.encode(TEXTS)[rows] @ pipeline.encode([query], role="query")[0]
        np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-5)


def test_it_is_a_step_of_an_ingestion(pipeline, model):
    nodes = IngestionPipeline(transformations=[model]).run(
        nodes=[TextNode(text=text) for text in TEXTS[:9]]
    )
    found = np.float32([node.embedding for node in nodes])
    assert np.array_equal(found, pipeline.encode(TEXTS[:9]))


def test_a_model_of_a_folder_is_stored_and_made_again(folder, model):
    made = VecpressEmbedding(folder, dim=3, embed_batch_size=9)
    stored = made.to_dict()
    assert stored["class_name"] == "VecpressEmbedding"
    assert (stored["press"], stored["dim"], stored["embed_batch_size"]) == (str(folder), 3, 9)
    for again in (
        VecpressEmbedding.from_dict(stored),
        VecpressEmbedding.from_json(made.to_json()),
        pickle.loads(pickle.dumps(made)),
    ):
        assert again.get_text_embedding(TEXTS[0]) == made.get_text_embedding(TEXTS[0])
        assert again.to_dict() == stored
    whole = np.array(model.get_text_embedding(TEXTS[0])[:3])
    np.testing.assert_allclose(
        made.get_text_embedding(TEXTS[0]), whole / np.linalg.norm(whole), atol=1e-6
    )


def test_the_name_tells_presses_apart_unless_one_is_given(pipeline, folder):
    whole, cut = VecpressEmbedding(folder), VecpressEmbedding(folder, dim=3)
    assert whole.model_name == f"vecpress-{pipeline.fingerprint}"
    assert cut.model_name == f"vecpress-{pipeline.truncate(3).fingerprint}" != whole.model_name
    assert VecpressEmbedding(folder, model_name="mine").model_name == "mine"


def test_a_model_of_a_press_in_memory_cannot_be_made_again(model):
    with pytest.raises(ConfigError) as caught:
        VecpressEmbedding.from_dict(model.to_dict())
    assert str(caught.value) == (
        "this embedding model was made of a press in memory, which is not stored with it: save the "
        "press, and make the model of its folder"
    )


def test_a_text_without_a_known_word_stays_a_zero_row():
    corpus = Corpus(ids=tuple("abcd"), texts=("a cat", "a dog", "a cat and a dog", "a bird"))
    model = VecpressEmbedding(Pipeline.fit(Recipe(models=("lexical:2",)), corpus))
    known, unknown = model.get_text_embedding_batch(["cat", "zzz"])
    assert unknown == [0.0, 0.0] == model.get_query_embedding("zzz")
    assert any(known)
