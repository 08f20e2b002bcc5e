"""The verbs that change an index, as a user types them."""

import io
import json
import sys

import numpy as np
import pytest

from helpers import unit
from vecpress import Index, Pipeline, Recipe, cli
from vecpress.compressors.linear import PCA
from vecpress.quantizers.scalar import Percentile

X = unit(120, 9)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a verb in a folder of its own; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "argv", ["vecpress", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def vectors(tmp_path):
    """A press of vectors, an index of the first hundred, and files to add from."""
    recipe = Recipe(head=PCA(dim=6), quantizer=Percentile(bits=4))
    press = Pipeline.fit(recipe, X)
    press.save(tmp_path / "p")
    press.save_index(press.index(X[:100], ids=[f"v{i}" for i in range(100)]), tmp_path / "i")
    Pipeline.fit(recipe, X[:50]).save(tmp_path / "other")
    np.savez(tmp_path / "more.npz", embeddings=X[100:], ids=[f"v{i}" for i in range(100, 120)])
    np.savez(tmp_path / "again.npz", embeddings=X[98:], ids=[f"v{i}" for i in range(98, 120)])
    np.save(tmp_path / "bare.npy", X[100:])
    return press


@pytest.fixture
def texts(tmp_path):
    """Two files of texts, and a press of the first."""
    words = ["river", "bank", "loan", "money", "water", "boat", "fish", "credit", "sail", "anchor"]
    rows = [f"{words[i % 10]} {words[(i * 3 + 1) % 10]} {words[i * i % 10]} {i}" for i in range(60)]
    lines = [json.dumps({"_id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(rows)]
    (tmp_path / "one.jsonl").write_text("".join(lines[:50]))
    (tmp_path / "two.jsonl").write_text("".join(lines[50:]))
    return rows


def test_vectors_are_added_deleted_and_found(run, vectors):
    code, out, _ = run("index", "p", "more.npz", "--out", "i", "--add")
    assert (code, out) == (0, "i: 20 documents added, 120 in all\n")
    opened = Index.load("i", verify=True)
    assert list(opened.ids) == [f"v{i}" for i in range(120)]
    np.testing.assert_array_equal(opened.codes, vectors.quantize(vectors.compress(X)))
    code, out, _ = run("delete", "i", "v3", "v110", "v3")
    assert (code, out) == (0, "i: 2 documents deleted, 118 left\nNext: vecpress compact i\n")
    assert run("delete", "i", "-", stdin="v4\n\nv5\n")[1].startswith("i: 2 documents deleted, 116")
    expected = {
        "index": "i", "documents": 116, "deleted": 4, "segments": 2, "bytes_per_vector": 3,
        "fingerprint": vectors.fingerprint,
    }  # fmt: skip
    assert json.loads(run("check", "i", "--json")[1]) == expected
    assert run("check", "i")[1] == (
        "i: whole; 116 documents at 3 bytes in 2 segments, and 4 deleted ones\n"
    )
    assert run("compact", "i")[1] == "i: 116 documents in one piece\n"
    assert json.loads(run("check", "i", "--json")[1]) == expected | {"deleted": 0, "segments": 1}


def test_texts_are_added_with_their_snippets(run, texts):
    assert run("fit", "one.jsonl", "--models", "lexical:8", "--bits", "4", "--out", "p",
               "--cache", "c")[0] == 0  # fmt: skip
    assert run("index", "p", "one.jsonl", "--out", "i", "--cache", "c")[0] == 0
    assert run("index", "p", "two.jsonl", "--out", "i", "--cache", "c", "--add")[0] == 0
    hits = json.loads(run("search", "i", texts[57], "--json")[1])["hits"]
    assert {"d57"} <= {hit["id"] for hit in hits}
    assert all(hit["text"] == texts[int(hit["id"][1:])] for hit in hits)
    assert run("delete", "i", "d57")[0] == 0
    hits = json.loads(run("search", "i", texts[57], "--json")[1])["hits"]
    assert "d57" not in {hit["id"] for hit in hits}
    assert len(hits) == 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("index", "other", "more.npz", "--out", "i", "--add"),
         ": code what is added by the press that made it, or index again"),
        (("index", "p", "again.npz", "--out", "i", "--add"),
         "the id 'v98' (and 1 more) is already in the index: delete what it stands for first, or "
         "give another id"),
        (("index", "p", "bare.npy", "--out", "i", "--add"),
         "the vectors of bare.npy have no ids, so nothing tells them from those in i: give an .npz "
         "with `ids`, or a .parquet with a column `id`"),
        (("index", "p", "more.npz", "--out", "i", "--add", "--overwrite"),
         "--add changes the index that is there: leave out --overwrite"),
        (("index", "p", "more.npz", "--out", "i", "--add", "--memory", "2GB"),
         "--add changes the index that is there: leave out --memory"),
        (("index", "p", "more.npz", "--out", "p", "--add"),
         "p is not a vecpress folder: no index.json"),
        (("delete", "i", "v1", "u", "w"),
         "the id 'u' (and 1 more) is not in the index: nothing was deleted"),
        (("delete", "i", "-"), "there is no id on stdin: give one on each line"),
        (("compact", "nowhere"), "nowhere is not a vecpress folder: no index.json"),
        (("check", "p"), "p is not a vecpress folder: no index.json"),
        (("check", "flipped"), "flipped/segments/1-0/codes.npy is damaged: copy it again, or make the "
         "index again"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_change_nothing(run, vectors, tmp_path, words, sentence):
    vectors.save_index(vectors.index(X), tmp_path / "flipped")
    path = tmp_path / "flipped" / "segments" / "1-0" / "codes.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert list(Index.load(tmp_path / "i", verify=True).ids) == [f"v{i}" for i in range(100)]
