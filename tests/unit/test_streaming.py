"""With a memory limit the verbs read in parts, and come to what they come to without."""

import json
import re
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers import unit
from toys import stories
from vecpress import Pipeline, cli
from vecpress.encoders.vector_files import open_vectors
from vecpress.index import Index
from vecpress.shards import read_manifest

MEMORY = ("--memory", "8GB")
TEXTS = ("fit", "beir", "--models", "lexical:8", "--dim", "6", "--bits", "4")
VECTORS = ("fit", "v.npy", "--dim", "6", "--bits", "4")


def everything_in(place):
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a verb in a folder of its own; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        cache = () if words[0] == "search" else ("--cache", str(tmp_path / "cache"))
        monkeypatch.setattr(sys, "argv", ["vecpress", *map(str, words), *cache])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def folder(tmp_path):
    """A corpus of 90 texts."""
    (tmp_path / "beir").mkdir()
    lines = [json.dumps({"_id": f"d{i}", "text": t}) for i, t in enumerate(stories(90))]
    (tmp_path / "beir" / "corpus.jsonl").write_text("\n".join(lines))


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "v.npy", unit(900, 16))


@pytest.mark.parametrize(
    "asked", [TEXTS, ("fit", "beir", "--models", "lexical:8,lexical:5", "--budget", "6B")]
)
def test_a_press_of_few_texts_is_the_same_with_a_limit(run, folder, tmp_path, asked):
    assert run(*asked, "--out", "plain")[0] == 0
    assert run(*asked, "--out", "limited", *MEMORY)[0] == 0
    assert everything_in(tmp_path / "plain") == everything_in(tmp_path / "limited")


@pytest.mark.parametrize("asked", [VECTORS, ("fit", "v.npy", "--budget", "6B")])
@pytest.mark.parametrize("most", [900, 400])
def test_a_press_of_vectors_is_the_same_with_a_limit(run, vectors, tmp_path, asked, most):
    (tmp_path / "r.toml").write_text(f"sample = {most}\n")  # 900 vectors, or fewer
    asked = (*asked, "--recipe", "r.toml")
    assert run(*asked, "--out", "plain")[0] == 0
    code, _, err = run(*asked, "--out", "limited", *MEMORY)
    assert (code, err) == (0, "")
    assert everything_in(tmp_path / "plain") == everything_in(tmp_path / "limited")


def test_more_texts_than_the_sample_are_drawn_in_one_pass(run, folder, tmp_path):
    (tmp_path / "r.toml").write_text("sample = 40\n")
    assert run(*TEXTS, "--recipe", "r.toml", "--out", "p", *MEMORY)[0] == 0
    press = Pipeline.load(tmp_path / "p")
    assert press.provenance["sample"] == 40
    assert press.provenance["corpus"]["documents"] == 90
    assert press.recipe.sample == 40


def test_a_press_is_continued_within_a_limit(run, vectors, tmp_path):
    assert run("fit", "v.npy", "--head", "pca", "--dim", "8", "--out", "p")[0] == 0
    (tmp_path / "r.toml").write_text('head = {kind = "smec", dim = 4, epochs = 1}\n')
    for name, limit in (("plain", ()), ("limited", MEMORY)):
        words = ("fit", "v.npy", "--continue", "p", "--recipe", "r.toml", "--out", name, *limit)
        assert run(*words)[0] == 0
    assert everything_in(tmp_path / "plain") == everything_in(tmp_path / "limited")


@pytest.mark.parametrize("format_", ["npy", "parquet"])
@pytest.mark.parametrize("limit", [(), MEMORY])
def test_shards_hold_what_one_file_would(run, folder, tmp_path, format_, limit):
    run(*TEXTS, "--out", "p")
    run("encode", "p", "beir", "--out", "codes.parquet")
    code, out, _ = run("encode", "p", "beir", "--out", "codes", "--format", format_, *limit)
    assert (code, out) == (0, "codes: 90 x 3 uint8 in 1 shard\n")
    whole = pq.read_table(tmp_path / "codes.parquet")
    if format_ == "parquet":
        assert pq.read_table(tmp_path / "codes" / "part-00000.parquet").equals(whole)
    else:
        rows = np.load(tmp_path / "codes" / "part-00000.npy")
        np.testing.assert_array_equal(rows, np.array(whole["vector"].to_pylist()))
        lines = (tmp_path / "codes" / "part-00000.ids.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == whole["id"].to_pylist()
    press = Pipeline.load(tmp_path / "p")
    header = read_manifest(tmp_path / "codes").header
    assert (header.press, header.source) == (
        press.fingerprint,
        press.provenance["corpus"]["digest"],
    )


def test_embeddings_in_shards_are_vectors_again(run, vectors, tmp_path):
    run(*VECTORS, "--out", "p")
    run("encode", "p", "v.npy", "--float", "--out", "f.npy")
    assert run("encode", "p", "v.npy", "--float", "--out", "floats", *MEMORY)[0] == 0
    whole = np.load(tmp_path / "f.npy")
    np.testing.assert_array_equal(open_vectors(tmp_path / "floats").array, whole)
    for limit, out in (((), "plain"), (MEMORY, "limited")):
        words = ("fit", "floats", "--dim", "3", "--bits", "4", "--out", out, *limit)
        assert run(*words)[0] == 0
    assert run("fit", "f.npy", "--dim", "3", "--bits", "4", "--out", "whole")[0] == 0
    for name in ("plain", "limited"):
        assert everything_in(tmp_path / name) == everything_in(tmp_path / "whole")


@pytest.mark.parametrize("what", ["texts", "vectors"])
def test_an_index_within_a_limit_holds_the_same(run, folder, vectors, tmp_path, what):
    asked, corpus = (TEXTS, "beir") if what == "texts" else (VECTORS, "v.npy")
    run(*asked, "--out", "p")
    _, said, _ = run("index", "p", corpus, "--out", "plain")
    code, out, _ = run("index", "p", corpus, "--out", "limited", *MEMORY)
    assert (code, out) == (0, said.replace("plain", "limited"))
    plain, limited = Index.load(tmp_path / "plain"), Index.load(tmp_path / "limited")
    np.testing.assert_array_equal(limited.codes, plain.codes)
    assert list(limited.ids) == list(plain.ids)
    assert [limited.snippet(i) for i in range(9)] == [plain.snippet(i) for i in range(9)]
    asked = "word7 word9" if what == "texts" else "v.npy"
    if what == "texts":
        hits = [run("search", name, asked, "--json")[1] for name in ("plain", "limited")]
        assert hits[0] == hits[1]


def test_finer_codes_are_indexed_too(run, vectors, tmp_path):
    codes = 'quantizer = {kind = "percentile", bits = 4}\nfine = {kind = "int8"}\n'
    (tmp_path / "r.toml").write_text(f'{codes}head = {{kind = "pca", dim = 6}}\n')
    assert run("fit", "v.npy", "--recipe", "r.toml", "--out", "p")[0] == 0
    run("index", "p", "v.npy", "--out", "plain")
    assert run("index", "p", "v.npy", "--out", "limited", *MEMORY)[0] == 0
    hits = [run("search", name, "v.npy", "--json", "-k", "3")[1] for name in ("plain", "limited")]
    assert hits[0] == hits[1]
    assert Index.load(tmp_path / "limited").bytes_per_vector == 3 + 6


def test_a_row_that_is_not_finite_is_named(run, vectors, tmp_path):
    run(*VECTORS, "--out", "p")
    rows = unit(9000, 16)
    rows[8765, 3] = np.nan
    np.save(tmp_path / "bad.npy", rows)
    for words in (
        ("encode", "p", "bad.npy", "--out", "c"),
        ("index", "p", "bad.npy", "--out", "i"),
    ):
        code, _, err = run(*words, *MEMORY)
        assert code == 2
        assert "the first is row 8765" in err
    assert not (tmp_path / "i").exists()
    assert not (tmp_path / "c" / "manifest.json").exists()


def test_a_bad_line_is_named_before_anything_is_written(run, folder, tmp_path):
    run(*TEXTS, "--out", "p")
    lines = (tmp_path / "beir" / "corpus.jsonl").read_text().splitlines()
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines, "{bad"]))
    code, _, err = run("encode", "p", "bad.jsonl", "--out", "c", *MEMORY)
    assert code == 2
    assert re.search(r"line 91 of bad\.jsonl is not JSON", err)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("encode", "p", "v.npy", "--out", "c.npy", *MEMORY), "--memory goes with shards in a"),
        (
            ("encode", "p", "v.npy", "--out", "c.npy", "--format", "npy"),
            "--format goes with shards",
        ),
        (("encode", "p", "v.npy", "--out", "c", "--memory", "2 apples"), "got '2 apples'"),
        (
            ("encode", "p", "v.npy", "--out", "c", "--memory", "9MB"),
            "limit of 9MB is too low: Pyth",
        ),
        (("index", "p", "v.npy", "--out", "c", "--memory", "9MB"), "give --memory "),
        ((*VECTORS, "--out", "c", "--memory", "9MB"), "limit of 9MB is too low"),
        (
            (*VECTORS, "--out", "c", "--pairs", "j.csv", *MEMORY),
            "--pairs j.csv needs all documents",
        ),
        (("encode", "p", "-", "--out", "c"), "stdin can be read only once, and work in parts"),
        (("fit", "-", "--models", "lexical:4", "--dim", "2", "--out", "c", *MEMORY), "only once"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run, vectors, words, told):
    run(*VECTORS, "--out", "p")
    code, _, err = run(*words)
    assert code == 2
    assert told in err


def test_another_press_does_not_go_on_with_shards(run, vectors, tmp_path):
    run(*VECTORS, "--out", "p")
    run(*VECTORS, "--seed", "5", "--out", "other")
    run("fit", "v.npy", "--dim", "5", "--bits", "4", "--out", "other", "--overwrite")
    run("encode", "p", "v.npy", "--out", "c")
    before = everything_in(tmp_path / "c")
    code, _, err = run("encode", "other", "v.npy", "--out", "c")
    assert code == 2
    assert "c was begun with the press " in err
    assert everything_in(tmp_path / "c") == before
    assert run("encode", "other", "v.npy", "--out", "c", "--overwrite")[0] == 0
    assert run("encode", "other", "v.npy", "--out", "c")[0] == 0
