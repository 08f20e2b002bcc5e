import numpy as np
import pytest
from tokenizers import decoders, normalizers

from helpers import HashEncoder
from served import client, embed, rows
from tiny_models import WORDS, static_folder, wordpiece
from vecpress.compressors.linear import PCA
from vecpress.corpus import Corpus
from vecpress.encoders.combine import Concat
from vecpress.encoders.distilled import DistilledEncoder
from vecpress.encoders.lexical import Lexical
from vecpress.encoders.static import StaticEncoder
from vecpress.encoders.tokens import SharedTokens
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.serve.tokens import Tokens

CORPUS = Corpus(
    ids=tuple("abcdefgh"),
    texts=("the cat sat", "a dog ran", "blue fish", "red tree", "a bird", "mat", "very red fish", "the tree"),
)  # fmt: skip


def ids(*words):
    return [WORDS.index(word) for word in words]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [changed(static_folder(root / str(i), seed=i)) for i in (1, 2)]


def changed(folder, *, lowercase=True):
    """A tokenizer that puts words together again, as those of real models do."""
    tokenizer = wordpiece(folder)
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def press(folders):
    models = tuple(f"static:{folder}" for folder in folders)
    return Pipeline.fit(Recipe(models=models, head=PCA(dim=4)), CORPUS)


@pytest.fixture(scope="module")
def server(press):
    with client(pipeline=press) as opened:
        yield opened


def test_token_ids_are_their_text(server, press):
    wanted = press.encode(["the cat sat"])
    given = ids("the", "cat", "sat")
    np.testing.assert_allclose(rows(embed(server, given)), wanted, atol=1e-6)
    np.testing.assert_allclose(rows(embed(server, [given])), wanted, atol=1e-6)
    ends = [*ids("[CLS]"), *given, *ids("[SEP]")]
    np.testing.assert_allclose(rows(embed(server, ends)), wanted, atol=1e-6)


def test_several_texts_of_token_ids_and_what_they_count(server, press):
    given = [ids("the", "cat", "sat"), ids("cat", "##s"), ids("[UNK]", "fish")]
    answer = embed(server, given)
    wanted = press.encode(["the cat sat", "cats", "[UNK] fish"])
    np.testing.assert_allclose(rows(answer), wanted, atol=1e-6)
    assert answer.json()["usage"]["prompt_tokens"] == 3 + 2 + 2


def test_texts_are_counted_in_tokens(server):
    assert embed(server, "dogs!").json()["usage"]["prompt_tokens"] == 3  # dog ##s !
    assert embed(server, ["the cat", ""]).json()["usage"]["total_tokens"] == 2


def message(response):
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == "input"
    assert error["code"] == "invalid_tokens"
    return error["message"]


def test_ids_of_another_tokenizer_are_not_taken_for_some_text(server, folders):
    most = len(WORDS) - 1
    assert message(embed(server, [1, 100_000])) == (
        f"token ids of this press go from 0 to {most}, got 100000: were they made by another "
        f"tokenizer than that of static:{folders[0]}? Send the texts themselves"
    )
    no_text = ids("##s", "cat", "##er", "[CLS]", "the")
    said = message(embed(server, no_text))
    assert said.startswith(f"no text has the tokens [{', '.join(map(str, no_text))}] of this press")


def test_models_that_share_no_tokenizer_take_no_ids(folders, tmp_path):
    other = changed(static_folder(tmp_path / "other"), lowercase=False)
    models = (f"static:{folders[0]}", f"static:{other}")
    press = Pipeline.fit(Recipe(models=models), CORPUS)
    with client(pipeline=press) as opened:
        said = message(embed(opened, ids("the", "cat")))
        inputs = opened.get("/openapi.json").json()["components"]["schemas"]["EmbeddingsRequest"]
    assert said == (
        f"the models of this press ({models[0]}, {models[1]}) do not share one tokenizer, so token "
        "ids could be meant for one of them only: send the texts themselves"
    )
    assert len(inputs["properties"]["input"]["anyOf"]) == 2


def test_a_model_of_words_takes_no_ids_and_counts_words():
    press = Pipeline.fit(Recipe(models=("lexical:2",)), CORPUS)
    with client(pipeline=press) as opened:
        said = message(embed(opened, [1]))
        assert embed(opened, "the cat sat").json()["usage"]["prompt_tokens"] == 3
    assert (
        said
        == "lexical:2 has no tokenizer, so token ids mean nothing here: send the texts themselves"
    )


def test_the_first_model_with_a_tokenizer_counts(folders, tmp_path):
    lower = StaticEncoder(model=str(folders[0]))
    exact = changed(static_folder(tmp_path / "other"), lowercase=False)
    exact = StaticEncoder(model=str(exact))
    upper = len(exact.tokenizer.split(["CATS"])[0])
    assert upper != 2
    for encoders, count in [((HashEncoder(), lower, exact), 2), ((exact, lower), upper)]:
        tokens = Tokens(Concat(encoders=encoders), ["model"] * len(encoders))
        assert tokens.count(["CATS"], SharedTokens()) == [count]
        assert tokens.size == 0


def test_every_kind_of_model_with_tokens_gives_its_tokenizer(folders, press):
    static = StaticEncoder(model=str(folders[0]))
    made = DistilledEncoder(
        model="tiny",
        fingerprint="f",
        table=np.ones((len(WORDS), 2), np.float16),
        tokenizer=np.frombuffer(static.tokenizer_json().encode(), np.uint8),
    )
    both = Tokens(Concat(encoders=(static, made)), ["a", "b"])
    assert both.refusal == ""
    assert both.size == len(WORDS)
    assert both.texts([ids("blue", "fish")]) == ["blue fish"]
    mixed = Tokens(Concat(encoders=(static, Lexical(dim=2).fit(CORPUS.texts))), ["a", "b"])
    with pytest.raises(ConfigError, match=r"models of this press \(a, b\) do not share one"):
        mixed.texts([[1]])


def test_openapi_says_which_ids_there_are(server):
    schema = server.get("/openapi.json").json()["components"]["schemas"]["EmbeddingsRequest"]
    _, texts, some, many = schema["properties"]["input"]["anyOf"]
    assert some["items"]["maximum"] == len(WORDS) - 1
    assert many["items"]["items"]["maximum"] == len(WORDS) - 1
    assert texts["maxItems"] == many["maxItems"] == 2048
