import numpy as np
import pytest

from served import CORPUS, client, index, press
from vecpress.corpus import Corpus
from vecpress.errors import MismatchError
from vecpress.serve.answers import Answers
from vecpress.serve.settings import Settings

QUERY = " ".join(CORPUS.texts[7].split()[:6])


@pytest.fixture(scope="module")
def server():
    with client(index=index()) as opened:
        yield opened


def test_hits_are_the_presss_own(server):
    wanted = press().search(index(), QUERY, 4)
    answer = server.post("/search", json={"query": QUERY, "k": 4}).json()
    assert [hit["id"] for hit in answer["hits"]] == list(wanted.ids[0])
    np.testing.assert_allclose([h["score"] for h in answer["hits"]], wanted.scores[0], atol=1e-6)
    assert [hit["text"] for hit in answer["hits"]] == [
        index().snippet(int(r)) for r in wanted.rows[0]
    ]
    assert answer["query"] == QUERY
    assert answer["model"] == "toy"
    assert answer["fingerprint"] == press().fingerprint
    assert answer["usage"]["prompt_tokens"] == 6


def test_an_address_asks_the_same(server):
    by_body = server.post("/search", json={"query": QUERY, "k": 4}).json()
    assert server.get("/search", params={"q": QUERY, "k": 4}).json() == by_body


def test_ten_hits_unless_told_otherwise(server):
    assert len(server.get("/search", params={"q": QUERY}).json()["hits"]) == 10
    few = press().index(Corpus(ids=CORPUS.ids[:3], texts=CORPUS.texts[:3]))
    with client(index=few) as opened:
        assert len(opened.get("/search", params={"q": QUERY}).json()["hits"]) == 3


def test_k_is_bounded(server):
    answer = server.post("/search", json={"query": QUERY, "k": 41})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "k must be between 1 and 40 here, got 41"
    with client(index=index(), max_k=5) as opened:
        assert len(opened.get("/search", params={"q": QUERY}).json()["hits"]) == 5
        answer = opened.get("/search", params={"q": QUERY, "k": 6})
    assert answer.json()["error"]["message"] == "k must be between 1 and 5 here, got 6"


WRONG = [
    ({}, "the address has no 'q'", "q"),
    ({"q": "a", "k": "0"}, "k should be greater than or equal to 1, got 0", "k"),
    ({"q": "a", "k": "x"}, "k should be a valid integer", "k"),
    ({"q": "a", "recall": "2"}, "recall should be less than or equal to 1, got 2", "recall"),
    ({"q": "a", "recall": "nan"}, "recall should", "recall"),
    ({"query": "a", "q": "b"}, "a field 'query', which is none of q, k, rescore, recall", "query"),
    ({"q": ["a", "b"]}, "q is given twice", "q"),
]


@pytest.mark.parametrize(("params", "said", "param"), WRONG)
def test_what_is_wrong_with_an_address_is_a_sentence(server, params, said, param):
    answer = server.get("/search", params=params)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == param


def test_the_librarys_own_sentence_is_passed_on(server):
    answer = server.post("/search", json={"query": QUERY, "rescore": 20})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "this index keeps no finer codes to rescore 20 hits by: make it with a press "
        "whose recipe has a `fine` quantizer",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_value",
    }


def test_a_whole_number_may_be_written_with_a_point(server):
    assert len(server.post("/search", json={"query": QUERY, "k": 3.0}).json()["hits"]) == 3


def test_finer_codes_rescore_as_the_press_does():
    fine = index(fine=True)
    wanted = press(fine=True).search(fine, QUERY, 3)
    with client(pipeline=press(fine=True), index=fine) as opened:
        hits = opened.get("/search", params={"q": QUERY, "k": 3}).json()["hits"]
        less = opened.get("/search", params={"q": QUERY, "k": 3, "rescore": 2})
        few = opened.get("/search", params={"q": QUERY, "k": 3, "rescore": 3}).json()["hits"]
    assert [hit["id"] for hit in hits] == list(wanted.ids[0])
    np.testing.assert_allclose([h["score"] for h in hits], wanted.scores[0], atol=1e-6)
    assert less.json()["error"]["message"] == "rescore must be at least k, which is 3, got 2"
    wanted = press(fine=True).search(fine, QUERY, 3, rescore=3)
    assert [hit["id"] for hit in few] == list(wanted.ids[0])


def test_recall_reads_lists(server):
    answer = server.get("/search", params={"q": QUERY, "recall": 0.9})
    assert len(answer.json()["hits"]) == 10


def test_without_an_index_nothing_is_searched():
    with client() as opened:
        for answer in (opened.get("/search?q=a"), opened.post("/search", json={"query": "a"})):
            assert answer.status_code == 404
            said = answer.json()["error"]["message"]
            assert said == "nothing can be searched here: start the server with --index"
        assert "/search" not in opened.get("/openapi.json").json()["paths"]


def test_an_index_without_documents_is_not_searched():
    few = press().index(Corpus(ids=CORPUS.ids[:2], texts=CORPUS.texts[:2]))
    with client(index=few.delete(CORPUS.ids[:2])) as opened:
        for answer in (opened.get("/search?q=a"), opened.get("/search?q=a&k=1")):
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "no_documents"
            assert answer.json()["error"]["message"] == (
                "nothing can be searched here: all documents of the index were deleted; add some, "
                "and start the server again"
            )
        assert "/search" not in opened.get("/openapi.json").json()["paths"]


def test_another_presss_index_is_not_served():
    with pytest.raises(MismatchError, match="serve the press that made it, or index again"):
        Answers(pipeline=press(dim=8), index=index(), settings=Settings())
