import pytest

from served import client, index, press


def described(**options):
    with client(**options) as opened:
        answer = opened.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def fields(described, name):
    return described["components"]["schemas"][name]["properties"]


def test_it_is_openapi_31_and_every_reference_leads_somewhere():
    found = described(index=index())
    assert found["openapi"] == "3.1.0"

    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in set(references(found)):
        place = found
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_every_route_is_described_with_its_errors():
    paths = described(index=index(), api_keys=("one",))["paths"]
    assert {path: set(methods) for path, methods in paths.items()} == {
        "/v1/embeddings": {"post"},
        "/v1/models": {"get"},
        "/v1/models/{model}": {"get"},
        "/search": {"get", "post"},
        "/health": {"get"},
        "/health/ready": {"get"},
        "/metrics": {"get"},
        "/openapi.json": {"get"},
    }
    statuses = set(paths["/v1/embeddings"]["post"]["responses"])
    assert statuses == {str(s) for s in (200, 400, 401, 404, 413, 415, 429, 500, 503, 504)}
    assert "Retry-After" in paths["/v1/embeddings"]["post"]["responses"]["429"]["headers"]
    assert paths["/v1/embeddings"]["post"]["security"] == [{"key": []}]
    assert "security" not in paths["/health"]["get"]


def test_limits_are_those_of_the_press_and_the_index():
    found = described(index=index(), max_inputs=7)
    embeddings = fields(found, "EmbeddingsRequest")
    assert embeddings["model"]["enum"] == ["toy"]
    assert embeddings["dimensions"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 12}
    assert [kind["type"] for kind in embeddings["input"]["anyOf"]] == ["string", "array"]
    assert embeddings["input"]["anyOf"][1]["maxItems"] == 7
    assert "codes" in embeddings["output_dtype"]["enum"]
    search = fields(found, "SearchRequest")
    assert search["k"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 40}
    assert "rescore" not in search
    names = [p["name"] for p in found["paths"]["/search"]["get"]["parameters"]]
    assert names == ["q", "k", "recall"]


def test_what_a_press_cannot_do_is_not_offered():
    found = described(pipeline=press(dim=0, bits=0))
    embeddings = fields(found, "EmbeddingsRequest")
    assert embeddings["dimensions"]["anyOf"][0] == {"type": "integer", "enum": [16]}
    assert "codes" not in embeddings["output_dtype"]["enum"]
    assert "securitySchemes" not in found["components"]


def test_finer_codes_can_be_asked_for():
    found = described(pipeline=press(fine=True), index=index(fine=True))
    assert "rescore" in fields(found, "SearchRequest")


@pytest.mark.parametrize("name", ["EmbeddingsRequest", "SearchRequest", "ErrorResponse"])
def test_nothing_else_may_be_sent(name):
    assert described(index=index())["components"]["schemas"][name]["additionalProperties"] is False
