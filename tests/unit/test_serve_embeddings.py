import base64
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from served import TEXTS, client, embed, press, rows
from vecpress.errors import ConfigError
from vecpress.head import chain
from vecpress.serve.answers import Answers
from vecpress.serve.settings import Settings


@pytest.fixture(scope="module")
def server():
    with client() as opened:
        yield opened


def error(response):
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return body["error"]


def test_one_text_and_many(server):
    wanted = press().encode(TEXTS)
    np.testing.assert_allclose(rows(embed(server, TEXTS[0])), wanted[:1], atol=1e-6)
    np.testing.assert_allclose(rows(embed(server, TEXTS)), wanted, atol=1e-6)


def test_the_answer_has_openais_shape_and_says_what_made_it(server):
    answer = embed(server, TEXTS[:2], user="somebody").json()
    assert answer.keys() == {
        *("object", "data", "model", "usage"),
        *("dimensions", "output_dtype", "fingerprint"),
    }
    assert answer["object"] == "list"
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert {item["object"] for item in answer["data"]} == {"embedding"}
    assert answer["model"] == "toy"
    assert answer["dimensions"] == 12
    assert answer["fingerprint"] == press().fingerprint
    words = sum(len(text.split()) for text in TEXTS[:2])  # toy models have no tokens
    assert answer["usage"] == {"prompt_tokens": words, "total_tokens": words}


@pytest.mark.parametrize("dim", [1, 5, 11, 12])
def test_dimensions_are_the_presss_own_truncation(server, dim):
    answer = embed(server, TEXTS, dimensions=dim)
    np.testing.assert_allclose(rows(answer), press().truncate(dim).encode(TEXTS), atol=1e-6)
    assert answer.json()["dimensions"] == dim


def test_a_whole_number_may_be_written_with_a_point(server):
    assert rows(embed(server, TEXTS, dimensions=5.0)).shape == (5, 5)


def test_dimensions_that_cannot_be_had(server):
    answer = embed(server, TEXTS, dimensions=13)
    assert answer.status_code == 400
    assert error(answer) == {
        "message": "dimensions must be between 1 and 12, got 13",
        "type": "invalid_request_error",
        "param": "dimensions",
        "code": "invalid_value",
    }
    assert error(embed(server, TEXTS, dimensions=0))["param"] == "dimensions"


def test_a_press_without_a_head_has_one_width():
    with client(pipeline=press(dim=0, bits=0)) as opened:
        assert rows(embed(opened, TEXTS, dimensions=16)).shape == (5, 16)
        said = error(embed(opened, TEXTS, dimensions=4))["message"]
    assert said == "dimensions must be 16, for this press has no head to truncate, got 4"


def test_a_chained_head_takes_its_own_map_for_a_width_and_names_its_widths():
    whole = press()
    chained = chain([whole.head, press(dim=6).head])
    from dataclasses import replace

    chained_press = replace(whole, head=chained)
    with client(pipeline=chained_press) as opened:
        for dim in (12, 8, 6, 3):
            wanted = chained_press.truncate(dim).encode(TEXTS)
            np.testing.assert_allclose(
                rows(embed(opened, TEXTS, dimensions=dim)), wanted, atol=1e-6
            )
        said = error(embed(opened, TEXTS, dimensions=13))["message"]
        model = opened.get("/v1/models/toy").json()
    assert said == "dimensions must be between 1 and 12 (it was trained for 12, 6), got 13"
    assert model["trained_dimensions"] == [12, 6]


def test_base64_is_little_endian_float32(server):
    answer = embed(server, TEXTS, encoding_format="base64").json()
    read = [np.frombuffer(base64.b64decode(d["embedding"]), "<f4") for d in answer["data"]]
    np.testing.assert_allclose(np.array(read), press().encode(TEXTS), atol=1e-6)


def test_codes_are_what_an_index_stores(server):
    wanted = press().quantize(press().encode(TEXTS))
    answer = embed(server, TEXTS, output_dtype="codes")
    assert rows(answer).tolist() == wanted.tolist()
    coded = embed(server, TEXTS, output_dtype="codes", encoding_format="base64").json()
    assert [base64.b64decode(d["embedding"]) for d in coded["data"]] == [
        r.tobytes() for r in wanted
    ]
    assert coded["output_dtype"] == "codes"


def test_codes_need_a_quantizer_and_the_full_width(server):
    said = error(embed(server, TEXTS, output_dtype="codes", dimensions=4))
    assert said["message"] == "codes are made of all 12 dimensions, got dimensions 4: leave it out"
    assert embed(server, TEXTS, output_dtype="codes", dimensions=12).status_code == 200
    with client(pipeline=press(bits=0)) as opened:
        said = error(embed(opened, TEXTS, output_dtype="codes"))
    assert said["message"].startswith("this press has no quantizer, so it makes no codes")


def test_int8_is_made_of_the_shortened_rows_and_gives_its_scale(server):
    answer = embed(server, TEXTS, output_dtype="int8", dimensions=5)
    scales = np.array([item["scale"] for item in answer.json()["data"]])
    wanted = press().truncate(5).encode(TEXTS)
    assert np.abs(rows(answer) * scales[:, None] - wanted).max() < 0.5001 * scales.max()
    assert np.abs(rows(answer)).max() == 127


def test_binary_is_the_signs(server):
    wanted = np.packbits(press().encode(TEXTS) > 0, axis=1)
    assert rows(embed(server, TEXTS, output_dtype="ubinary")).tolist() == wanted.tolist()
    signed = rows(embed(server, TEXTS, output_dtype="binary"))
    assert (signed + 128).tolist() == wanted.tolist()


def test_queries_are_encoded_as_queries():
    class Roles:
        dim, fingerprint = 2, "roles"

        def encode(self, texts, *, role="document"):
            return np.array([[1, 0] if role == "query" else [0, 1]] * len(texts), np.float32)

    from dataclasses import replace

    provenance = {**press().provenance, "encoder": "roles", "in_dim": 2}
    roles = replace(press(), encoder=Roles(), head=None, codec=None, provenance=provenance)
    with client(pipeline=roles) as opened:
        assert rows(embed(opened, "a", input_type="query")).tolist() == [[1, 0]]
        assert rows(embed(opened, "a", input_type="document")).tolist() == [[0, 1]]
        assert rows(embed(opened, "a")).tolist() == [[0, 1]]


WRONG = [
    ({"model": "toy"}, "the body has no 'input'", "input"),
    ({"input": "a"}, "the body has no 'model'", "model"),
    ({"input": [], "model": "toy"}, "input must be a text, a list of texts", "input"),
    ({"input": ["a", 1], "model": "toy"}, "got 1 at place 1", "input"),
    ({"input": [[]], "model": "toy"}, "no list empty; got [] at place 0", "input"),
    ({"input": None, "model": "toy"}, "got None", "input"),
    ({"input": [-1], "model": "toy"}, "got -1 at place 0", "input"),
    ({"input": [[1, 2], [3, "a"]], "model": "toy"}, "got a at place 1 at place 1", "input"),
    ({"input": [True], "model": "toy"}, "got True at place 0", "input"),
    ({"input": "a", "model": 1}, "model should be a valid string, got 1", "model"),
    ({"input": "a", "model": "toy", "dimensions": "3"}, "dimensions should be a valid integer, got 3", "dimensions"),
    ({"input": "a", "model": "toy", "dimensions": 1.5}, "dimensions should be a valid integer, got 1.5", "dimensions"),
    ({"input": "a", "model": "toy", "output_dtype": "int4"}, "got int4", "output_dtype"),
    ({"input": "a", "model": "toy", "encoding_format": "hex"}, "encoding_format should be 'float' or 'base64', got hex", "encoding_format"),
    ({"input": "a", "model": "toy", "truncate": True}, "the body has a field 'truncate', which is none of input, model,", "truncate"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said", "param"), WRONG)
def test_what_is_wrong_with_a_body_is_a_sentence(server, body, said, param):
    answer = server.post("/v1/embeddings", json=body)
    assert answer.status_code == 400
    told = error(answer)
    assert said in told["message"]
    assert told["param"] == param
    assert told["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"a"',
        b"\xff\xfe",
        b'{"input":"\\ud800","model":"toy"}',
        b"[" * 5000,
    ],
)
def test_a_body_that_is_no_json_object(server, body):
    answer = server.post(
        "/v1/embeddings", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert "JSON" in error(answer)["message"]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json(server, kind):
    headers = {} if kind is None else {"content-type": kind}
    content = json.dumps({"input": "a", "model": "toy"}).encode()
    answer = server.post("/v1/embeddings", content=content, headers=headers)
    assert answer.status_code == 415
    assert "Content-Type: application/json" in error(answer)["message"]
    assert str(kind or "none") in error(answer)["message"]


def test_json_may_say_its_character_set(server):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    content = json.dumps({"input": "a", "model": "toy"}).encode()
    assert server.post("/v1/embeddings", content=content, headers=headers).status_code == 200


def test_another_model_is_not_there(server):
    answer = server.post("/v1/embeddings", json={"input": "a", "model": "ada"})
    assert answer.status_code == 404
    assert error(answer) == {
        "message": "the model 'ada' is not served here: use 'toy'",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_models(server):
    (model,) = server.get("/v1/models").json()["data"]
    assert model == server.get("/v1/models/toy").json()
    assert model["id"] == "toy"
    assert model["object"] == "model"
    assert model["models"] == ["served:A", "served:B"]
    assert model["dimensions"] == 12
    assert model["code_bytes"] == 3
    assert model["fingerprint"] == press().fingerprint
    assert server.get("/v1/models/ada").status_code == 404


def test_a_press_of_vectors_is_not_served():
    from dataclasses import replace

    with pytest.raises(ConfigError, match="nothing to serve: fit one with --models"):
        Answers(pipeline=replace(press(), encoder=None), index=None, settings=Settings())


LEAVES = st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
)
FIELDS = st.sampled_from(
    ["input", "model", "dimensions", "encoding_format", "user", "input_type", "output_dtype"]
)


@given(st.dictionaries(FIELDS, VALUES, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_body_is_our_fault(server, fields):
    body = json.dumps({"input": "a", "model": "toy"} | fields).encode()
    answer = server.post(
        "/v1/embeddings", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        assert error(answer)["message"]


def test_a_long_wrong_list_is_not_read_to_its_end(server):
    answer = server.post("/v1/embeddings", json={"input": [None] * 200_000, "model": "toy"})
    assert answer.status_code == 400
    assert error(answer)["message"].endswith("got None at place 0")


@pytest.mark.parametrize("field", ["dimensions", "input", "user"])
@pytest.mark.parametrize("number", ["9" * 400, "9" * 6000, "-" + "9" * 6000, "1e999"])
def test_numbers_of_any_length_are_answered(server, field, number):
    body = {"input": '"a"', "model": '"toy"', field: number}
    written = "{" + ",".join(f'"{k}":{v}' for k, v in body.items()) + "}"
    answer = server.post(
        "/v1/embeddings", content=written, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert len(error(answer)["message"]) < 400
