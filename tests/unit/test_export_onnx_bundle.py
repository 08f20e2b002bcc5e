"""The folder of an exported graph: what is in it, what reads it, and what is refused."""

import base64
import inspect
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest

import tiny_models
from export_graphs import assert_codes_agree, cosines
from helpers import unit
from vecpress.artifact import read_config, write_config
from vecpress.compressors.linear import PowerPCA
from vecpress.corpus import Corpus
from vecpress.digests import file_digest
from vecpress.errors import ArtifactError, ConfigError, DataError
from vecpress.exports import onnx_export
from vecpress.exports.branches import branches_of
from vecpress.exports.golden import check_golden, golden_cosines, make_golden
from vecpress.exports.graph import build_graph
from vecpress.exports.onnx_bundle import OnnxBundle
from vecpress.exports.onnx_export import export_onnx
from vecpress.pipeline import Pipeline
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Int8, Percentile
from vecpress.recipe import Recipe
from vecpress.stages import Encoder, Image

ODD = [*tiny_models.TEXTS, "the dog ran and " * 60, "日本 😀 cat", "\t\n", "[CLS] cat [SEP]", "dog"]


def corpus(n=80):
    rng = np.random.default_rng(0)
    words = tiny_models.WORDS[5:23]
    texts = tuple(" ".join(rng.choice(words, rng.integers(2, 25))) for _ in range(n))
    return Corpus(ids=tuple(map(str, range(n))), texts=texts)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    bert = tiny_models.bert_folder(folder / "b", prompts={"query": "query "})
    static = tiny_models.static_folder(folder / "s")
    return {"bert": f"st:{bert}", "static": f"static:{static}", "lexical": "lexical:8"}


def fitted(models, *names, quantizer=None, fine=None, dim=12):
    found = tuple(models.get(name, name) if isinstance(name, str) else name for name in names)
    recipe = Recipe(
        models=found, head=PowerPCA(dim=dim), quantizer=quantizer or Percentile(bits=3), fine=fine
    )
    return Pipeline.fit(recipe, corpus())


@pytest.fixture(scope="module")
def press(models):
    """Three tokenizers; queries are pooled otherwise than documents; finer codes."""
    mixed = {"kind": "sentence-transformer", "model": models["bert"][3:]}
    mixed |= {"query_pooling": "mean", "document_pooling": "cls"}
    return fitted(models, mixed, "static", "lexical", fine=Int8())


@pytest.fixture(scope="module")
def folder(press, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "graph"
    assert export_onnx(press, out) == ()
    return out


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("role", ["query", "document"])
def test_it_gives_what_the_press_gives(press, folder, role):
    bundle = OnnxBundle.load(folder)
    assert isinstance(bundle, Encoder)
    wanted = press.encode(ODD, role=role)
    np.testing.assert_allclose(bundle.encode(ODD, role=role), wanted, atol=2e-6)
    assert_codes_agree(press.codec, bundle.quantize_texts(ODD, role=role), wanted)
    assert (bundle.dim, bundle.code_bytes, bundle.press) == (12, 5, press.fingerprint)


def test_finer_codes_are_the_third_output(press, folder):
    bundle = OnnxBundle.load(folder)
    assert bundle.manifest["outputs"] == {
        "embedding": "sentence_embedding", "codes": "codes", "fine_codes": "fine_codes"
    }  # fmt: skip
    fine = bundle._graph.run("fine_codes", ODD, role="document")
    assert_codes_agree(press.fine, fine, press.encode(ODD))
    outputs = onnx.load(folder / "model.onnx").graph.output
    assert [out.name for out in outputs] == ["sentence_embedding", "codes", "fine_codes"]


def test_neither_order_nor_company_nor_threads_change_a_vector(folder, monkeypatch):
    bundle = OnnxBundle.load(folder)
    alone = np.concatenate([bundle.encode([text]) for text in ODD])
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        np.testing.assert_allclose(bundle.encode(ODD * 9)[-len(ODD) :], alone, atol=1e-6)
        np.testing.assert_allclose(bundle.encode(ODD[::-1])[::-1], alone, atol=1e-6)
    assert bundle.encode([]).shape == (0, 12)
    assert bundle.quantize_texts([]).shape == (0, 5)


def test_the_manifest_says_how_to_feed_it(press, folder):
    manifest = read_config(folder / "vecpress.json", known=1)
    assert manifest["format_version"] == 1
    assert manifest["kind"] == "onnx"
    assert manifest["fingerprint"] == press.fingerprint
    assert manifest["role_input"] == "role"
    assert manifest["precision"] == "float32"
    assert (manifest["dim"], manifest["in_dim"], manifest["code_bytes"]) == (12, 64, 5)
    assert manifest["codec"] == {
        "kind": "scalar", "dim": 12, "bits": 3, "code_bytes": 5, "rotation": False
    }  # fmt: skip
    assert manifest["fine"]["bits"] == 8
    assert manifest["without"] == {}
    first, second, third = manifest["inputs"]
    assert first == {
        "ids": "input_ids",
        "mask": "attention_mask",
        "tokenizer": "tokenizer.json",
        "special_tokens": True,
        "ends": [1, 1],
        "prompts": {"query": "query ", "document": ""},
        "max_tokens": 64,
        "pad_id": 0,
    }
    assert second["tokenizer"] == "tokenizer_2.json"
    assert third["ids"] == "input_ids_3"
    for name, known in manifest["files"].items():
        assert known["bytes"] == (folder / name).stat().st_size
        assert known["sha256"] == file_digest(folder / name)
    assert set(manifest["files"]) == {
        "model.onnx", "golden.json", "tokenizer.json", "tokenizer_2.json", "tokenizer_3.json"
    }  # fmt: skip


def test_the_card_runs_as_it_stands(press, folder, monkeypatch):
    card = (folder / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    monkeypatch.chdir(folder)
    names = {}
    exec(example, names)
    texts = ["how do I read a csv file"]
    wanted = press.encode(texts, role="query")
    np.testing.assert_allclose(names["sentence_embedding"], wanted, atol=2e-6)
    assert_codes_agree(press.codec, names["codes"], wanted)
    assert_codes_agree(press.fine, names["fine_codes"], wanted)
    for role in ("query", "document"):
        np.testing.assert_allclose(
            names["run"](ODD, role)[0], press.encode(ODD, role=role), atol=2e-6
        )
    assert "| `role` | int64, scalar | 1 for queries, else 0 |" in card
    assert "- Left out" not in card


def test_neither_torch_nor_onnx_is_needed_to_run_it(folder):
    code = (
        "import sys; from vecpress.exports.onnx_bundle import OnnxBundle\n"
        f"print(OnnxBundle.load({str(folder)!r}).encode(['cat']).shape)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'onnx', 'sklearn', 'faiss'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 12)\n[]\n"


def test_the_same_press_gives_the_same_bytes(press, folder, tmp_path):
    export_onnx(press, tmp_path / "again")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_folder_of_ours_is_replaced_only_if_asked(press, copy, tmp_path):
    with pytest.raises(ArtifactError, match="exists: choose another name, or ask to overwrite it"):
        export_onnx(press, copy)
    export_onnx(press, copy, overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="holds something that vecpress did not make"):
        export_onnx(press, tmp_path / "other", overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


# --- other presses ----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_fewer_bits_are_smaller_and_near_and_told_apart(press, folder, tmp_path, precision):
    export_onnx(press, tmp_path / "g", precision=precision)
    bundle, full = OnnxBundle.load(tmp_path / "g"), OnnxBundle.load(folder)
    near = cosines(bundle.encode(ODD), press.encode(ODD))
    assert near.min() > (0.99 if precision == "int8" else 0.9999)
    assert bundle.manifest["precision"] == precision
    assert bundle.fingerprint != full.fingerprint
    assert bundle.press == full.press
    golden = json.loads((tmp_path / "g" / "golden.json").read_text())
    assert golden["cosine"] == bundle.manifest["cosine"] < 1
    assert golden["margin"] == 1e-5
    size = (tmp_path / "g" / "model.onnx").stat().st_size
    assert size < (folder / "model.onnx").stat().st_size


@pytest.mark.parametrize(("own", "margin", "least"), [("w8", 1e-5, 1 - 1e-6), ("int8", 0.03, 0.99)])
def test_a_press_in_8_bits_is_the_same_at_every_precision(models, tmp_path, own, margin, least):
    press, graphs = fitted(models, f"{models['bert']}:{own}"), set()
    for precision in ("float32", "float16", "int8"):
        export_onnx(press, tmp_path / precision, precision=precision)
        bundle = OnnxBundle.load(tmp_path / precision)
        assert cosines(bundle.encode(ODD), press.encode(ODD)).min() > least
        assert json.loads((tmp_path / precision / "golden.json").read_text())["margin"] == margin
        graphs.add((tmp_path / precision / "model.onnx").read_bytes())
    assert len(graphs) == 1


def test_models_that_share_a_tokenizer_share_its_ids(models, tmp_path):
    alike = {"kind": "sentence-transformer", "model": models["bert"][3:]}
    alike |= {"query_prompt": "", "document_prompt": "", "max_length": 10}
    press = fitted(models, alike, "static")
    export_onnx(press, tmp_path / "g")
    bundle = OnnxBundle.load(tmp_path / "g")
    (put,) = bundle.manifest["inputs"]  # one model reads the ends, the other reads more tokens
    assert put["special_tokens"]
    assert put["max_tokens"] is None
    for role in ("query", "document"):
        wanted = press.encode(ODD, role=role)
        np.testing.assert_allclose(bundle.encode(ODD, role=role), wanted, atol=2e-6)


def test_a_press_without_a_quantizer_gives_no_codes(models, tmp_path):
    press = fitted(models, "static").truncate(6)
    assert export_onnx(press, tmp_path / "g") == ()
    bundle = OnnxBundle.load(tmp_path / "g")
    np.testing.assert_allclose(bundle.encode(ODD), press.encode(ODD), atol=1e-6)
    for ask in (lambda: bundle.quantize_texts(ODD), lambda: bundle.code_bytes):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value) == (
            f"the graph in {tmp_path / 'g'} makes no codes: the press has no quantizer"
        )
    assert json.loads((tmp_path / "g" / "golden.json").read_text())["codes"] is None
    assert bundle.manifest["codec"] is None


def test_a_press_without_a_head_or_with_one_model_only(models, tmp_path):
    recipe = Recipe(models=(models["static"],), quantizer=Percentile(bits=2))
    press = Pipeline.fit(recipe, corpus())
    export_onnx(press, tmp_path / "g")
    bundle = OnnxBundle.load(tmp_path / "g")
    wanted = press.encode(ODD)
    assert not wanted.any(axis=1).all()  # one text has no known token: its row is zero
    np.testing.assert_allclose(bundle.encode(ODD), wanted, atol=1e-6)
    assert_codes_agree(press.codec, bundle.quantize_texts(ODD), wanted)
    export_onnx(press, tmp_path / "g", precision="int8", overwrite=True)
    golden = json.loads((tmp_path / "g" / "golden.json").read_text())
    assert golden["margin"] == 1e-5  # rows are rounded, but what is made of them is not
    assert 0.999 < golden["cosine"] < 1


def test_codes_that_only_faiss_makes_are_left_out_and_that_is_told(models, tmp_path):
    press = fitted(models, "static", quantizer=RaBitQ(), fine=Int8())
    sentence = (
        "rabitq codes are made by FAISS and have no graph: code the embeddings with the press"
    )
    assert export_onnx(press, tmp_path / "g") == (sentence,)
    bundle = OnnxBundle.load(tmp_path / "g")
    assert bundle.manifest["outputs"]["codes"] is None
    assert bundle.manifest["without"] == {"codes": sentence}
    assert bundle.manifest["codec"]["kind"] == "rabitq"
    assert f"- Left out: {sentence}" in (tmp_path / "g" / "README.md").read_text()
    with pytest.raises(ConfigError, match=f"makes no codes: {sentence}$"):
        bundle.quantize_texts(["cat"])
    fine = bundle._graph.run("fine_codes", ODD, role="document")
    assert_codes_agree(press.fine, fine, press.encode(ODD))
    onnx_outputs = onnx.load(tmp_path / "g" / "model.onnx").graph.output
    assert [out.name for out in onnx_outputs] == ["sentence_embedding", "fine_codes"]


def test_transformers_reads_the_tokenizer_of_a_folder_with_one(models, tmp_path):
    from transformers import AutoTokenizer

    press = fitted(models, "bert")
    export_onnx(press, tmp_path / "g")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "g")
    bundle = OnnxBundle.load(tmp_path / "g")
    (put,) = bundle.manifest["inputs"]
    own = [bundle._graph._ids(put, bundle._graph.tokenizers[0], [text], "document") for text in ODD]
    given = tokenizer(ODD, padding=True, truncation=True)
    for (ids,), row, mask in zip(own, given["input_ids"], given["attention_mask"], strict=True):
        np.testing.assert_array_equal(ids, np.array(row)[np.array(mask) == 1])
    assert tokenizer.model_max_length == 64
    assert tokenizer.pad_token == "[PAD]"


@pytest.mark.parametrize("name", ["static", "lexical"])
def test_also_where_no_end_tokens_are_wanted(models, tmp_path, name):
    from transformers import AutoTokenizer

    press = fitted(models, name, dim=6)
    export_onnx(press, tmp_path / "g")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "g")
    bundle = OnnxBundle.load(tmp_path / "g")
    for text in ODD:
        (put,) = bundle.manifest["inputs"]
        (ids,) = bundle._graph._ids(put, bundle._graph.tokenizers[0], [text], "document")
        np.testing.assert_array_equal(tokenizer(text)["input_ids"], ids)


# --- what is refused --------------------------------------------------------------------------


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "tokenizer_2.json"])
def test_a_damaged_or_missing_file_is_named(copy, name):
    size = (copy / name).stat().st_size
    damage(copy / name)
    with pytest.raises(ArtifactError) as caught:
        OnnxBundle.load(copy)
    assert str(caught.value) == (
        f"{copy} is damaged: {name} ({size} bytes) is not what was exported: copy it again, or "
        "export it again"
    )
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"^{copy} has no readable {name}: "):
        OnnxBundle.load(copy)


def test_a_damaged_manifest_another_kind_and_a_newer_format_are_told_apart(copy, tmp_path):
    manifest = read_config(copy / "vecpress.json", known=1)
    write_config(copy / "vecpress.json", manifest | {"kind": "web"})
    with pytest.raises(ArtifactError) as caught:
        OnnxBundle.load(copy)
    assert str(caught.value) == (
        f"{copy} is an export of the kind 'web', not a graph: make one with `vecpress export PRESS "
        "--to onnx`"
    )
    write_config(copy / "vecpress.json", manifest | {"format_version": 2})
    with pytest.raises(ArtifactError, match="has format version 2; this release reads up to 1"):
        OnnxBundle.load(copy)
    write_config(copy / "vecpress.json", manifest)
    written = (copy / "vecpress.json").read_text()
    (copy / "vecpress.json").write_text(written.replace('"dim": 12', '"dim": 13'))
    with pytest.raises(
        ArtifactError, match=r"vecpress\.json is damaged: its digest does not match"
    ):
        OnnxBundle.load(copy)
    with pytest.raises(ArtifactError, match=r"is not a vecpress folder: no vecpress\.json"):
        OnnxBundle.load(tmp_path / "nowhere")


def sign_again(folder, **changes):
    """Make the manifest agree with files that were changed."""
    manifest = read_config(folder / "vecpress.json", known=1) | changes
    for name in manifest["files"]:
        manifest["files"][name]["sha256"] = file_digest(folder / name)
    write_config(folder / "vecpress.json", manifest)


def test_a_graph_that_gives_other_vectors_is_refused_by_name_and_cosine(copy):
    golden = json.loads((copy / "golden.json").read_text())
    rows = np.frombuffer(base64.b64decode(golden["vectors"]), "<f4").reshape(-1, 12).copy()
    rows[1] = unit(1, 12)[0]
    golden["vectors"] = base64.b64encode(rows.tobytes()).decode()
    (copy / "golden.json").write_text(json.dumps(golden))
    sign_again(copy)
    with pytest.raises(ArtifactError) as caught:
        OnnxBundle.load(copy)
    text = golden["texts"][1][:40]
    assert re.fullmatch(
        re.escape(f"{copy} cannot be used: the vector of {f'{text}...'!r} has a cosine of ")
        + r"-?0\.\d{6}"
        + re.escape(
            " to what the press gives, expected at least 0.999990: on this machine the export does "
            "not do what it should; try other releases of onnxruntime and tokenizers, or export it "
            "again"
        ),
        str(caught.value),
    )


def test_a_tokenizer_of_another_model_is_noticed(copy):
    tokenizer = json.loads((copy / "tokenizer_2.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["the"], words["dog"] = words["dog"], words["the"]
    (copy / "tokenizer_2.json").write_text(json.dumps(tokenizer))
    sign_again(copy)
    with pytest.raises(ArtifactError, match=f"^{copy} cannot be used: the vector of '"):
        OnnxBundle.load(copy)


def test_a_graph_that_cannot_be_run_is_named(copy):
    (copy / "model.onnx").write_bytes(b"nothing")
    sign_again(copy)
    with pytest.raises(ArtifactError, match=rf"cannot run {copy}/model\.onnx: "):
        OnnxBundle.load(copy)


def test_what_is_no_text_is_refused(folder):
    bundle = OnnxBundle.load(folder)
    with pytest.raises(ConfigError, match=r"^encode takes a list of texts, got one: write \['cat'"):
        bundle.encode("cat")
    with pytest.raises(ConfigError, match=r"encodes texts, got the image a\.png"):
        bundle.encode(["cat", Image("a.png")])
    with pytest.raises(DataError, match=r"^a text cannot be split into tokens: "):
        bundle.encode(["\ud800"])


def test_what_has_no_graph_is_refused_and_leaves_nothing(tmp_path):
    plain = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), unit(60, 8))
    with pytest.raises(ConfigError, match="precomputed vectors"):
        export_onnx(plain, tmp_path / "g")
    assert not list(tmp_path.iterdir())


def test_an_unknown_precision_is_refused(press):
    call = inspect.unwrap(build_graph)  # past the run-time type checker, which would speak first
    with pytest.raises(ConfigError) as caught:
        call(branches_of(press), None, None, None, precision="int4")
    assert str(caught.value) == "precision must be one of float32, float16, int8, got 'int4'"


def test_a_graph_far_from_its_press_is_not_written(press, tmp_path, monkeypatch):
    wrong = unit(7, 12)

    def encode(texts, role):
        return wrong[: len(texts)]

    monkeypatch.setattr(onnx_export.OnnxBundle, "encode", lambda self, t, role: encode(t, role))
    with pytest.raises(ArtifactError) as caught:
        export_onnx(press, tmp_path / "g", precision="float16")
    assert re.fullmatch(
        r"in float16, the graph gives '.*' a vector whose cosine to the press's is -0\.\d{6}, "
        r"expected at least 0\.999: export it in float32",
        str(caught.value),
    )
    assert not list(tmp_path.iterdir())


# --- golden texts -----------------------------------------------------------------------------


def test_golden_vectors_are_the_presss_in_little_endian_base64(press):
    golden = make_golden(press)
    assert len(golden["texts"]) == len(golden["roles"]) == 7
    assert "" in golden["texts"]
    assert max(len(text.split()) for text in golden["texts"]) > 512
    assert {"query", "document"} == set(golden["roles"])
    rows = np.frombuffer(base64.b64decode(golden["vectors"]), "<f4").reshape(7, 12)
    codes = np.frombuffer(base64.b64decode(golden["codes"]), np.uint8).reshape(7, 5)
    for text, role, row, code in zip(golden["texts"], golden["roles"], rows, codes, strict=True):
        wanted = press.encode([text], role=role)
        np.testing.assert_allclose(row, wanted[0], atol=1e-6)
        assert_codes_agree(press.codec, code[None], row[None])
    few = make_golden(press, few=True)
    assert set(few["roles"]) == {"query"}
    assert max(len(text) for text in few["texts"]) < 40


def test_zero_rows_are_alike_only_among_themselves(press):
    golden = make_golden(press, few=True)
    rows = unit(3, 12)
    rows[1] = 0
    golden["vectors"] = base64.b64encode(rows.astype("<f4").tobytes()).decode()
    other = rows.copy()
    other[0], other[2] = 0, np.nan
    np.testing.assert_allclose(golden_cosines(golden, lambda *_: rows), 1, atol=1e-6)
    np.testing.assert_allclose(golden_cosines(golden, lambda *_: other), [0, 1, 0], atol=1e-6)
    check_golden(golden | {"cosine": 1.0, "margin": 1e-5}, lambda *_: rows)
    with pytest.raises(ArtifactError, match=r"has a cosine of 0\.000000 to what the press gives"):
        check_golden(golden | {"cosine": 1.0, "margin": 1e-5}, lambda *_: other)
    with pytest.raises(ArtifactError, match="hold 12 dimensions, and the export gives 5: export"):
        golden_cosines(golden, lambda *_: unit(3, 5))
