"""The files of a page, read by a reader that shares no code with what wrote them."""

import base64
import gzip
import json
import re
import shutil
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

import tiny_models
from helpers import HashEncoder
from tiny_models import WORDS
from vecpress.arrays import normalize
from vecpress.compressors.linear import PowerPCA
from vecpress.corpus import Corpus
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import Concat
from vecpress.encoders.distilled import DistilledEncoder
from vecpress.encoders.lexical import Lexical
from vecpress.errors import ArtifactError, ConfigError, DataError, MismatchError
from vecpress.exports import web, web_data
from vecpress.exports.web import export_web, export_web_data
from vecpress.head import Head
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.quantizers.hashing import LSH
from vecpress.quantizers.itq import ITQ
from vecpress.quantizers.product import OPQ, PQ
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Binary, Int8, Percentile
from vecpress.quantizers.variable import VariableBits
from vecpress.recipe import Recipe
from vecpress.sample import Sample
from web_folder import Reader

PLAIN_WORDS = [word for word in WORDS if word.isalpha() and len(word) > 1]
QUERIES = ["the cat sat", "a very blue fish", "red", "bird or dog under the tree tree tree"]


def corpus(n=60, *, seed=0):
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(rng.choice(PLAIN_WORDS, rng.integers(3, 9))) for _ in range(n))
    return Corpus(ids=tuple(f"d{i}" for i in range(n)), texts=texts)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return str(tiny_models.static_folder(tmp_path_factory.mktemp("static") / "m", weights=True))


@pytest.fixture(scope="module")
def press(table):
    """Of a table that computes in 8 bits itself, so that a page gives the same numbers."""
    return Pipeline.fit(
        Recipe(models=(f"static:{table}:int8",), quantizer=Percentile(bits=2)), corpus()
    )


def with_codec(pipeline, quantizer, *, fine=None):
    x = pipeline.encode(corpus(300, seed=1).texts)
    finer = None if fine is None else fine.fit(x)
    return replace(pipeline, codec=quantizer.fit(x), fine=finer)


def with_encoder(pipeline, encoder):
    return replace(
        pipeline,
        encoder=encoder,
        provenance={**pipeline.provenance, "encoder": encoder.fingerprint, "in_dim": encoder.dim},
    )


def same_answers(found, reader, k=10):
    """Compare the page's answers with those of Python."""
    for row, text in enumerate(QUERIES):
        ids, scores = reader.search(reader.encode(text), k)
        np.testing.assert_allclose(scores, found.scores[row], atol=2e-6)
        assert ids == list(found.ids[row])


@pytest.mark.parametrize(
    "quantizer",
    [
        *(Percentile(bits=bits) for bits in range(1, 9)),
        *(Percentile(bits=bits, rotate=True) for bits in range(1, 9)),
        ITQ(),
        Int8(),
        PQ(m=5, bits=4),
        PQ(m=7, bits=3),
        OPQ(m=6, bits=5, iterations=2),
        VariableBits(code_bytes=6),
    ],
    ids=str,
)
def test_a_page_scans_as_python_does(press, quantizer, tmp_path):
    pipeline = with_codec(press, quantizer)
    index = pipeline.index(corpus())
    export_web_data(pipeline, index, tmp_path / "page")
    same_answers(pipeline.search(index, QUERIES, 10), Reader(tmp_path / "page"))


@pytest.mark.parametrize(
    ("first", "fine"),
    [
        (Binary(), Percentile(bits=5, rotate=True)),
        (PQ(m=3, bits=4), OPQ(m=9, bits=6, iterations=1)),
    ],
)
def test_a_page_rescores_as_python_does(press, first, fine, tmp_path):
    pipeline = with_codec(press, first, fine=fine)
    index = pipeline.index(corpus(90))
    export_web_data(pipeline, index, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    for k in (1, 4):  # of which 10 and 40 of 90 are rescored
        same_answers(pipeline.search(index, QUERIES, k), reader, k)


def test_deleted_documents_are_nowhere_and_segments_follow_each_other(press, tmp_path):
    more = corpus(20, seed=3)
    index = press.index(corpus())
    index = index.add(
        press.quantize(press.encode(more.texts)),
        [f"more{i}" for i in range(20)],
        snippets=list(more.texts),
    )
    index = index.delete(["d0", "d59", "more0", "d17"])
    export_web_data(press, index, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    same_answers(press.search(index, QUERIES, 10), reader)
    texts = dict(zip(corpus().ids, corpus().texts, strict=True))
    texts |= {f"more{i}": text for i, text in enumerate(more.texts)}
    kept = [name for name in texts if name not in ("d0", "d59", "more0", "d17")]
    assert reader.ids == kept
    assert reader.texts == [texts[name] for name in kept]
    assert reader.told["documents"]["count"] == len(kept) == 76


HEADS = {
    "layers": {"activation": "relu"},
    "leaky": {"activation": "leaky_relu", "slope": 0.3, "activate_last": True},
    "norm": {"layer_norm": True, "residual": True},
}


@pytest.mark.parametrize("about", HEADS, ids=str)
@pytest.mark.parametrize("skip", [False, True])
def test_every_head_is_computed_alike(press, about, skip, tmp_path, rng):
    width, dims = press.in_dim, (17, 9)
    shapes = [(dims[0], width), (dims[1], dims[0])]
    head = Head(
        weights=tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes),
        biases=tuple(rng.normal(size=dim).astype(np.float32) for dim in dims),
        skip=rng.normal(size=(dims[1], width)).astype(np.float32) if skip else None,
        **HEADS[about],
    )
    pipeline = with_codec(replace(press, head=head), Percentile(bits=4))
    index = pipeline.index(corpus())
    export_web_data(pipeline, index, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    same_answers(pipeline.search(index, QUERIES, 10), reader)
    assert not reader.encode("zzyzx 777").any()
    assert not pipeline.encode(["zzyzx 777"]).any()


def test_several_tables_and_words_are_weighed_alike(table, tmp_path):
    """The page rounds the tables that the press keeps in float: so does this test, its own way."""
    documents = corpus(80)
    static, lexical = find(f"static:{table}"), Lexical(dim=5).fit(documents.texts)
    weighed = lexical.components * lexical.idf
    scales = np.abs(weighed).max(axis=0) / 127
    rounded = np.rint(weighed / scales) * scales
    near = Concat(
        encoders=(
            find(f"static:{table}:int8"),
            replace(lexical, components=(rounded / lexical.idf).astype(np.float32)),
        ),
        weights=(1.0, 0.5),
    )
    recipe = Recipe(
        models=(f"static:{table}", "lexical:5"),
        weights=(1.0, 0.5),
        head=PowerPCA(dim=12),
        quantizer=Percentile(bits=3),
    )
    pipeline = Pipeline.fit(recipe, documents)
    assert pipeline.encoder.encoders[0] == static
    index = pipeline.index(documents)
    export_web_data(pipeline, index, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    queries = pipeline.compress(near.encode(QUERIES, role="query"))
    same_answers(index.search(queries, 10), reader)
    golden = reader.told["golden"]
    wanted = pipeline.encode(golden["texts"], role="query")
    near = [float(reader.encode(t) @ row) for t, row in zip(golden["texts"], wanted, strict=True)]
    assert golden["cosine"] == pytest.approx(min(c for c in near if c), abs=2e-7)
    assert 0.9999 < golden["cosine"] < 0.999999
    assert reader.told["press"]["models"] == ["static:m", "lexical:5"]
    assert [b["bits"] for b in reader.told["branches"]] == [8, 8]


@pytest.mark.parametrize(("precision", "bits"), [("int8", 8), ("int4", 4)])
def test_a_rounded_table_is_kept_as_it_is(table, precision, bits, tmp_path):
    recipe = Recipe(models=(f"static:{table}:{precision}",), quantizer=Percentile(bits=4))
    pipeline = Pipeline.fit(recipe, corpus())
    index = pipeline.index(corpus())
    export_web_data(pipeline, index, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    same_answers(pipeline.search(index, QUERIES, 10), reader)
    assert [b["bits"] for b in reader.told["branches"]] == [bits]
    assert reader.tensors["branch.0.rows"].shape == (len(WORDS), 24 * bits // 8)
    assert reader.told["golden"]["cosine"] == pytest.approx(1, abs=1e-6)


def test_a_distilled_table_is_a_table(tmp_path):
    rng = np.random.default_rng(5)
    tokenizer = tiny_models.wordpiece(tmp_path).to_str().encode()
    numbers = rng.integers(-127, 128, size=(len(WORDS), 12))
    numbers[:, 0] = 127  # so that rounding to 8 bits gives the same rows again
    encoder = DistilledEncoder(
        model="tiny",
        fingerprint="tiny",
        table=(numbers / 128).astype(np.float16),
        tokenizer=np.frombuffer(tokenizer, np.uint8),
    )
    recipe = Recipe(models=("wordllama",), quantizer=Percentile(bits=4))
    sample = Sample(embeddings=encoder.encode(corpus().texts), encoder=encoder)
    pipeline = Pipeline.from_sample(recipe, sample)
    index = pipeline.index(corpus())
    export_web_data(pipeline, index, tmp_path / "page")
    same_answers(pipeline.search(index, QUERIES, 10), Reader(tmp_path / "page"))


def test_of_a_long_text_the_first_known_tokens_are_read(table, tmp_path):
    models = ({"kind": "static", "model": table, "max_length": 3, "precision": "int8"},)
    pipeline = Pipeline.fit(Recipe(models=models, quantizer=Percentile(bits=4)), corpus())
    export_web_data(pipeline, pipeline.index(corpus()), tmp_path / "page")
    reader = Reader(tmp_path / "page")
    text = "zzyzx the 7 cat sat on the mat"  # of which zzyzx and 7 are not known
    assert reader.told["branches"][0]["unknown"] == WORDS.index("[UNK]")
    np.testing.assert_allclose(reader.encode(text), pipeline.encode([text])[0], atol=1e-6)
    np.testing.assert_allclose(reader.encode("the cat sat"), reader.encode(text), atol=1e-12)


def test_the_manifest_says_what_there_is(press, tmp_path):
    index = press.index(corpus())
    export_web_data(
        press, index, tmp_path / "page", title="Cats & <dogs>", questions=["a cat?", "the dog"]
    )
    told = Reader(tmp_path / "page").told
    kept = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    names = ["codes.bin.gz", "documents.json.gz", "tensors.safetensors.gz", "tokenizer.json.gz"]
    assert sorted(kept) == ["codes.bin.gz", "documents.json.gz", "manifest.json", *names[2:]]
    assert sorted(told.pop("files")) == names
    golden = told.pop("golden")
    assert golden["roles"] == ["query"] * len(golden["texts"]) == ["query"] * 3
    assert golden["codes"] is None
    vectors = np.frombuffer(base64.b64decode(golden["vectors"]), "<f4").reshape(3, press.dim)
    np.testing.assert_array_equal(vectors, press.encode(golden["texts"], role="query"))
    assert vectors[0].any()
    assert told == {
        "format_version": 1,
        "kind": "web",
        "title": "Cats & <dogs>",
        "engine": "static",
        "precision": "int8",
        "press": {
            "fingerprint": press.fingerprint,
            "models": ["static:m:int8"],  # no path of this machine
            "dim": 24,
            "in_dim": 24,
            "code_bytes": 6,
            "vecpress": version("vecpress"),
        },
        "inputs": [
            {
                "ids": "input_ids",
                "mask": "attention_mask",
                "tokenizer": "tokenizer.json.gz",
                "special_tokens": False,
                "ends": [0, 0],
                "prompts": {"query": "", "document": ""},
                "max_tokens": None,
                "pad_id": 0,
            }
        ],
        "role_input": None,
        "graph": None,
        "branches": [
            {
                "input": 0,
                "rows": "branch.0.rows",
                "scales": "branch.0.scales",
                "bits": 8,
                "dim": 24,
                "unknown": 1,
                "max_tokens": None,
                "sublinear": False,
                "scale": 1.0,
            }
        ],
        "head": None,
        "codec": {"kind": "scalar", "dim": 24, "bits": 2, "rotation": False},
        "fine": None,
        "rescore": 10,
        "tensors": "tensors.safetensors.gz",
        "documents": {
            "count": 60,
            "codes": "codes.bin.gz",
            "fine": None,
            "texts": "documents.json.gz",
        },
        "questions": ["a cat?", "the dog"],
    }


def test_the_same_index_gives_the_same_bytes(press, tmp_path):
    for name in ("a", "b"):
        export_web_data(press, press.index(corpus()), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        if path.suffix == ".gz":
            assert path.read_bytes()[4:8] == bytes(4)  # no time
            assert len(path.read_bytes()) <= len(
                gzip.compress(gzip.decompress(path.read_bytes()), 6)
            )


def test_strings_that_utf8_cannot_hold_are_escaped(press, tmp_path):
    odd = Corpus(ids=("\udcff", "ü\u2028", "c"), texts=("the cat", "a dög 🐟", "red"))
    index = press.index(odd)
    strange = index.add(index.codes[:1], ["x"], snippets=["half \ud83d"])
    export_web_data(press, strange, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    assert reader.ids == ["\udcff", "ü\u2028", "c", "x"]
    assert reader.texts == ["the cat", "a dög 🐟", "red", "half \ud83d"]
    assert b"\\udcff" in gzip.decompress((tmp_path / "page/documents.json.gz").read_bytes())
    assert reader.told["title"] == "4 documents"


def test_an_index_without_snippets_has_empty_texts(press, tmp_path):
    plain = Index.build(
        press.codec,
        press.quantize(press.encode(corpus(2).texts)),
        ["a", "b"],
        fingerprint=press.fingerprint,
    )
    export_web_data(press, plain, tmp_path / "page")
    reader = Reader(tmp_path / "page")
    assert reader.texts == ["", ""]


def failing(tmp_path, *args, **options):
    """Export what cannot be; nothing may be left."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        export_web_data(*args, tmp_path / "page", **options)
    assert not list(tmp_path.iterdir())
    return caught.value


def test_an_index_of_another_press_is_refused(press, tmp_path):
    other = replace(press, codec=with_codec(press, Binary()).codec)
    error = failing(tmp_path, other, press.index(corpus()))
    assert isinstance(error, MismatchError)
    assert str(error) == (
        f"the index was made by the press {press.fingerprint}, this one is {other.fingerprint}: "
        "export it with the press that made it, or index again"
    )


def test_vectors_cannot_be_searched_by_text(tmp_path, rng):
    x = normalize(rng.normal(size=(40, 8)).astype(np.float32))
    pipeline = Pipeline.fit(Recipe(quantizer=Binary()), x)
    error = failing(tmp_path, pipeline, pipeline.index(x))
    assert isinstance(error, ConfigError)
    assert str(error) == (
        "this press was fitted on precomputed vectors, so a page of it has no model to encode "
        "what is typed: fit a press on texts, with models such as wordllama"
    )


@pytest.mark.parametrize("quantizer", [RaBitQ(), LSH(bits=20)])
@pytest.mark.parametrize("is_fine", [False, True])
def test_codes_that_no_page_scans_are_refused(press, quantizer, is_fine, tmp_path):
    pair = (Binary(), quantizer) if is_fine else (quantizer, None)
    pipeline = with_codec(press, pair[0], fine=pair[1])
    error = failing(tmp_path, pipeline, pipeline.index(corpus()))
    assert isinstance(error, ConfigError)
    assert str(error) == (
        f"a page cannot scan the codes of a {type(quantizer).__name__.replace('LSH', 'Hash')}Codec,"
        " only those of scalar and product quantizers: fit the press with one, such as percentile, "
        "lloyd-max or pq"
    )


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_tables_are_not_kept_in_float(press, precision, tmp_path):
    error = failing(tmp_path, press, press.index(corpus()), precision=precision)
    assert isinstance(error, ConfigError)
    assert str(error) == (
        f"a page keeps tables in at most 8 bits a number, got the precision {precision!r}: leave "
        "it out; the models here, static:m:int8, are all tables"
    )


def test_questions_are_texts(press, tmp_path):
    index = press.index(corpus())
    error = failing(tmp_path, press, index, questions="why?")
    assert str(error) == "questions are a list of texts, got one: write ['why?']"
    error = failing(tmp_path, press, index, questions=["why?", " "])
    assert str(error) == "questions are texts to choose from, got ' ': leave it out"


def test_an_index_of_deleted_documents_is_refused(press, tmp_path):
    index = press.index(corpus(2)).delete(["d0", "d1"])
    error = failing(tmp_path, press, index)
    assert isinstance(error, DataError)
    assert str(error) == "all documents of this index were deleted: add some first"


def test_models_that_no_page_can_run_are_refused(tmp_path):
    encoder = HashEncoder()
    recipe = Recipe(models=("wordllama",), quantizer=Binary())
    sample = Sample(embeddings=encoder.encode(corpus().texts), encoder=encoder)
    pipeline = Pipeline.from_sample(recipe, sample)
    error = failing(tmp_path, pipeline, pipeline.index(corpus()))
    assert isinstance(error, ConfigError)
    assert "HashEncoder" in str(error)


def test_a_page_far_from_the_press_is_refused(press, tmp_path, monkeypatch):
    make = web_data.make_engine

    def wrong(*args, **options):
        engine = make(*args, **options)
        return replace(engine, encode=lambda texts, role: -engine.encode(texts, role))

    monkeypatch.setattr(web_data, "make_engine", wrong)
    error = failing(tmp_path, press, press.index(corpus()))
    assert isinstance(error, ArtifactError)
    assert re.fullmatch(
        r"in int8, the page would give 'how do I read a csv file' a vector whose cosine to the "
        r"press's is -\d\.\d{6}, expected at least 0.9: report it",
        str(error),
    )


HTML = '<!doctype html>\n<title>Search</title>\n<h1 id="title">Search</h1><h1>Search</h1>\n'


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A built page, where the package has its own."""
    home = tmp_path / "package" / "page"
    (home / "assets").mkdir(parents=True)
    (home / "index.html").write_text(HTML)
    (home / "manifest.webmanifest").write_text('{"name": "Search", "start_url": "./"}')
    (home / "assets" / "main.js").write_text("go()")
    (home / "assets" / "ort-1.js").write_text("graph()")
    (home / "runtime").mkdir()
    (home / "runtime" / "ort-2.wasm.gz").write_bytes(bytes(9))
    monkeypatch.setattr(web, "_PAGE", tmp_path / "package" / "page")
    return home


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_page_of_tables_comes_without_what_runs_graphs(press, page, tmp_path):
    index = press.index(corpus())
    export_web(press, index, tmp_path / "out")
    export_web_data(press, index, tmp_path / "data")
    made = content(tmp_path / "out")
    about = json.loads(made.pop("vecpress.json"))
    assert about == {
        "format_version": 1,
        "kind": "web",
        "fingerprint": press.fingerprint,
        "data": "data/",
    }
    del made["index.html"], made["manifest.webmanifest"]
    assert made.pop("assets/main.js") == b"go()"
    assert made == {f"data/{name}": data for name, data in content(tmp_path / "data").items()}
    assert not (tmp_path / "out" / "runtime").exists()


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("", b"60 documents"),
        (r"Cats & <dogs> \1 </title>", rb"Cats &amp; &lt;dogs&gt; \1 &lt;/title&gt;"),
        ("caf\u00e9 \udcff", b"caf\xc3\xa9 &#56575;"),  # the half of a character is shown as one
    ],
)
def test_a_page_has_its_title_before_its_data(press, page, tmp_path, title, shown):
    export_web(press, press.index(corpus()), tmp_path / "out", title=title)
    made = content(tmp_path / "out")
    expected = b'<!doctype html>\n<title>%b</title>\n<h1 id="title">%b</h1><h1>Search</h1>\n'
    assert made["index.html"] == expected % (shown, shown)
    named = title or "60 documents"
    app = {"name": named, "short_name": named, "start_url": "./"}
    assert json.loads(made["manifest.webmanifest"]) == app
    assert (page / "index.html").read_text() == HTML


def test_a_package_without_a_page_says_what_to_do(press, page, tmp_path):
    assert web.has_page()
    shutil.rmtree(page)
    assert not web.has_page()
    with pytest.raises(ConfigError) as caught:
        export_web(press, press.index(corpus()), tmp_path / "out")
    assert str(caught.value) == (
        "this vecpress was installed without its search page: install a released wheel, or run "
        "`make web` in the checkout; for a page of your own `export_web_data` does without"
    )
    assert not (tmp_path / "out").exists()


def test_only_a_folder_of_ours_is_replaced_and_only_if_asked(press, page, tmp_path):
    index, out = press.index(corpus()), tmp_path / "out"
    export_web(press, index, out)
    with pytest.raises(ArtifactError, match="exists: choose another name, or ask to overwrite it"):
        export_web(press, index, out)
    export_web(press, index, out, title="new", overwrite=True)
    assert Reader(out / "data").told["title"] == "new"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("my own page")
    with pytest.raises(ArtifactError, match="vecpress did not make, and is not overwritten"):
        export_web(press, index, mine, overwrite=True)
    assert (mine / "index.html").read_text() == "my own page"


def test_a_page_is_written_whole_or_not_at_all(press, page, tmp_path, monkeypatch):
    index, out = press.index(corpus()), tmp_path / "out"
    export_web(press, index, out, title="old")
    before = content(out)

    def fail(made, folder):
        (folder / "codes.bin.gz").write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(web, "_write", fail)
    with pytest.raises(ArtifactError, match="the disk is full"):
        export_web(press, index, out, overwrite=True)
    assert content(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "package"]
