"""Every verb as a user types it, and every mistake as a user makes it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import unit
from vecpress import cli

WORDS = [
    "river",
    "bank",
    "loan",
    "money",
    "water",
    "boat",
    "harbour",
    "fish",
    "credit",
    "stream",
    "sail",
    "anchor",
]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a verb in a folder of its own; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words, stdin=None):
        argv = ["vecpress", *map(str, words)]
        if words[0] in ("fit", "encode", "index", "evaluate", "compare", "demo"):
            argv += ["--cache", str(tmp_path / "cache")]
        monkeypatch.setattr(sys, "argv", argv)
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", stdin)
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
    """A small BEIR folder."""
    rng = np.random.default_rng(0)
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    docs = [" ".join(rng.choice(WORDS, 5)) for _ in range(90)]
    lines = [json.dumps({"_id": f"d{i}", "title": "", "text": t}) for i, t in enumerate(docs)]
    (beir / "corpus.jsonl").write_text("\n".join(lines))
    asked = [json.dumps({"_id": f"q{i}", "text": docs[i]}) for i in range(9)]
    (beir / "queries.jsonl").write_text("\n".join(asked))
    judged = "".join(f"q{i}\td{i}\t1\n" for i in range(9))
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return beir


def fit_texts(run):
    return run("fit", "beir", "--models", "lexical:8", "--dim", "6", "--bits", "4", "--out", "p")


def test_texts_from_fit_to_search(run, folder, tmp_path):
    code, out, _ = fit_texts(run)
    assert code == 0
    assert "p: 3 bytes per vector instead of 32 (11x smaller), and" in out
    assert run("index", "p", "beir", "--out", "i")[0] == 0
    code, out, err = run("search", "i", "boat in the harbour", "-k", "4", "--json")
    found = json.loads(out)
    assert (code, err, len(found["hits"]), found["query"]) == (0, "", 4, "boat in the harbour")
    assert set(found["hits"][0]) == {"id", "score", "text"}
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert "harbour" in found["hits"][0]["text"]
    assert run("search", "i", "boat")[1].count("\n") == 20


def test_evaluate_prints_the_promised_keys_and_nothing_else(run, folder):
    fit_texts(run)
    code, out, err = run("evaluate", "p", "beir", "--json")
    result = json.loads(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    promised = {"ndcg@10", "recall@100", "mrr@10", "bytes_per_vector", "compression_factor"}
    promised |= {"baseline_ndcg@10", "recovery", "n_queries", "n_documents"}
    assert promised <= result.keys()
    assert (result["n_queries"], result["n_documents"], result["bytes_per_vector"]) == (9, 90, 3)
    assert "recovery" in run("evaluate", "p", "beir")[1]


def test_vectors_need_only_a_budget(run, tmp_path):
    np.save(tmp_path / "v.npy", unit(300, 32))
    np.save(tmp_path / "q.npy", unit(300, 32)[:2])
    code, out, _ = run("fit", "v.npy", "--budget", "8B", "--out", "p", "--json")
    fitted = json.loads(out)
    assert (code, fitted["bytes_per_vector"] <= 8, fitted["compression_factor"] >= 16) == (
        0,
        True,
        True,
    )
    assert run("index", "p", "v.npy", "--out", "i")[0] == 0
    hits = json.loads(run("search", "i", "q.npy", "--json")[1])["hits"]
    assert [ranked[0]["id"] for ranked in hits] == ["0", "1"]
    assert run("encode", "p", "v.npy", "--out", "codes.npy")[0] == 0
    assert np.load(tmp_path / "codes.npy").shape == (300, fitted["bytes_per_vector"])
    assert run("encode", "p", "v.npy", "--float", "--out", "f.parquet")[0] == 0
    from vecpress.encoders.precomputed import open_vectors

    floats = open_vectors(tmp_path / "f.parquet").array
    np.testing.assert_allclose(np.linalg.norm(floats, axis=1), 1, atol=1e-5)


def test_compare_and_report_make_a_page(run, folder, tmp_path):
    code, out, _ = run("compare", "beir", "--models", "lexical:8,lexical:6", "--budgets", "3,6",
                       "--heads", "pca", "--out", "c")  # fmt: skip
    assert code == 0
    assert "lexical:8 + lexical:6" in out
    rows = [json.loads(line) for line in (tmp_path / "c/results.jsonl").read_text().splitlines()]
    groups = [row["group"] for row in rows]
    assert groups.count("single model") == 2
    assert groups.count("chosen") == groups.count("trained") == 2
    assert all(row["bytes_per_vector"] <= row["budget"] for row in rows if row["budget"])
    page = (tmp_path / "c/report.html").read_text()
    assert page.count("<circle") >= 2 * len(rows)
    assert "http" not in page.replace("http-equiv", "")
    assert run("report", "c/results.jsonl", "--out", "again.html")[0] == 0


def test_a_recipe_file_is_followed_and_the_command_line_wins(run, folder, tmp_path):
    (tmp_path / "r.toml").write_text(
        'models = ["lexical:8"]\n[head]\nkind = "pca"\ndim = 5\n'
        '[quantizer]\nkind = "percentile"\nbits = 2\n'
    )
    words = ("fit", "beir", "--recipe", "r.toml", "--dim", "4")
    recipe = json.loads(run(*words, "--out", "p", "--json")[1])["recipe"]
    assert recipe["head"] == {"kind": "pca", "dim": 4, "centre": False}
    assert recipe["quantizer"] == {"kind": "percentile", "bits": 2, "rotate": False}
    words = (*words, "--head", "truncation", "--bits", "3")
    recipe = json.loads(run(*words, "--out", "q", "--json")[1])["recipe"]
    assert recipe["head"] == {"kind": "truncation", "dim": 4}
    assert recipe["quantizer"]["bits"] == 3


def make_bad_input(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    result = dict(benchmark="b", group="chosen", method="m", bytes_per_vector=8, recovery=0.9,
                  compression_factor=4)  # fmt: skip
    (tmp_path / "results.jsonl").write_text(
        json.dumps({**result, "ndcg@10": 0.5, "recall@100": 0.6})
    )
    (tmp_path / "one.jsonl").write_text('{"text": "green tea"}\n')
    (tmp_path / "binary.jsonl").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "half.jsonl").write_text('{"text": "good"}\n{"text": "bro')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    bad = unit(100, 8)
    bad[40, 3] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    np.save(tmp_path / "wide.npy", unit(100, 9))
    np.save(tmp_path / "good.npy", unit(100, 8))
    np.save(tmp_path / "same.npy", np.ones((100, 8), np.float32))
    np.save(tmp_path / "flat.npy", np.ones(5))
    np.save(tmp_path / "single.npy", unit(1, 8))
    whole = (tmp_path / "good.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-100])


FIT_LEXICAL = ("--models", "lexical:8", "--dim", "4", "--bits", "2", "--out", "new")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "empty.jsonl", *FIT_LEXICAL), "empty.jsonl is empty"),
        (("fit", "one.jsonl", *FIT_LEXICAL), "lexical:8 needs more than 8 texts"),
        (("fit", "binary.jsonl", *FIT_LEXICAL), "is it a binary file?"),
        (("fit", "half.jsonl", *FIT_LEXICAL), "line 2 of half.jsonl is not JSON"),
        (("fit", "picture.png", *FIT_LEXICAL), "cannot read texts from picture.png"),
        (("fit", "absent.jsonl", *FIT_LEXICAL), "absent.jsonl does not exist"),
        (("fit", "beir", "--dim", "4", "--bits", "2", "--out", "new"), "no model to encode them"),
        (("fit", "beir", "--models", "bert", "--dim", "4", "--out", "new"), "unknown model 'bert'"),
        (("fit", "nan.npy", "--budget", "4B", "--out", "new"), "NaN or infinity in 1 of 100 rows"),
        (("fit", "flat.npy", "--budget", "4B", "--out", "new"), "must hold a matrix of numbers"),
        (("fit", "cut.npy", "--budget", "4B", "--out", "new"), "cut.npy is not a readable .npy"),
        (("fit", "single.npy", "--budget", "4B", "--out", "new"), "at least 64 documents, got 1"),
        (("fit", "single.npy", "--dim", "2", "--bits", "2", "--out", "new"), "at least 4 calib"),
        (("fit", "good.npy", "--budget", "big", "--out", "new"), "such as 64B, got 'big'"),
        (("fit", "good.npy", "--out", "new"), "give either --budget, or --dim and --bits"),
        (
            ("fit", "good.npy", "--dim", "4", "--bits", "9", "--out", "new"),
            "between 1 and 8, got 9",
        ),
        (("fit", "good.npy", "--dim", "99", "--bits", "2", "--out", "new"), "at most the 8 dim"),
        (
            ("fit", "good.npy", "--models", "lexical:8", "--dim", "4", "--out", "new"),
            "fit without --models",
        ),
        (("fit", "good.npy", "--budget", "4B", "--out", "taken"), "taken exists: choose another"),
        (("index", "vectors", "wide.npy", "--out", "new"), "takes 8-dimensional embeddings, got 9"),
        (("index", "vectors", "beir", "--out", "new"), "beir holds texts"),
        (("fit", "absent.txt", "--budget", "4B", "--out", "new"), "absent.txt does not exist"),
        (("fit", "good.npy", "--budget", "9" * 5000, "--out", "new"), "such as 64B, got '999"),
        (("fit", "good.npy", "--budget", "4B", "--out", "good.npy/new"), "not a folder to write"),
        (
            ("fit", "good.npy", "--budget", "4B", "--out", "beir", "--overwrite"),
            "beir holds something that vecpress did not make",
        ),
        (("encode", "nowhere", "good.npy", "--out", "new.txt"), "written as .npy or .parquet"),
        (("encode", "nowhere", "good.npy", "--out", "no/new.npy"), "there is no folder no"),
        (("search", "vectors-index", " "), "at least one word, got ' '"),
        (("search", "vectors-index", "\udcff"), "the query is not UTF-8 text"),
        (("report", "results.jsonl", "--out", "no/new.html"), "cannot write no/new.html"),
        (("demo", "--out", "good.npy"), "cannot write good.npy"),
        (("index", "nowhere", "good.npy", "--out", "new"), "nowhere is not a vecpress folder"),
        (("index", "cut", "good.npy", "--out", "new"), "cut is damaged"),
        (("index", "flipped", "good.npy", "--out", "new"), "flipped is damaged"),
        (("search", "vectors-index", "good.npy", "-k", "101"), "between 1 and the 100 documents"),
        (("search", "vectors", "good.npy"), "is not a vecpress folder: no index.json"),
        (("evaluate", "vectors", "beir"), "give those of the benchmark's documents and queries"),
        (
            ("evaluate", "vectors", "beir", "--split", "dev"),
            "no judgements qrels/dev.tsv; there is",
        ),
        (("evaluate", "vectors", "."), "has no judgements qrels/test.tsv"),
        (("compare", "beir", "--models", "", "--out", "new"), "need at least one model"),
        (
            ("compare", "beir", "--models", "lexical:4", "--budgets", ",", "--out", "new"),
            "at least one budget",
        ),
        (("fit", "same.npy", "--budget", "4B", "--out", "new"), "drawn at random are all the same"),
        (("report", "good.npy", "--out", "new"), "cannot read results from good.npy"),
        (("encode", "vectors", "good.npy", "--out", "codes.csv"), "written as .npy or .parquet"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(run, folder, tmp_path, words, message):
    make_bad_input(tmp_path)
    run("fit", "good.npy", "--dim", "4", "--bits", "2", "--out", "vectors")
    run("index", "vectors", "good.npy", "--out", "vectors-index")
    for name in ("taken", "cut", "flipped"):
        run("fit", "good.npy", "--dim", "4", "--bits", "2", "--out", name)
    tensors = tmp_path / "cut" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-7])
    tensors = tmp_path / "flipped" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + bytes([tensors.read_bytes()[-1] ^ 4]))
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert {p for p in tmp_path.rglob("*") if "cache" not in p.parts} == before


def test_a_missing_extra_names_the_package_and_the_remedy(run, folder, monkeypatch):
    class Uninstalled:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "sklearn":
                raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

    for module in [m for m in sys.modules if m.startswith(("sklearn", "vecpress.encoders.lex"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Uninstalled, *sys.meta_path])
    code, _, err = fit_texts(run)
    assert code == 2
    assert "'lexical' needs the package 'sklearn'" in err
    assert "pip install 'vecpress[lexical]'" in err


def test_models_that_cannot_be_had_are_said(tmp_path):
    """Without the test suite's run-time type checks, which would ask a model for its width."""
    (tmp_path / "c.txt").write_text("one\ntwo\nthree\n")
    script = (
        "import sys\n"
        "from vecpress.cli import main\n"
        "for model in ('st:no-org/no-model', 'st:./nowhere'):\n"
        "    sys.argv = ['vecpress', 'fit', 'c.txt', '--models', model, '--dim', '2', '--out', 'p']\n"
        "    try: main()\n"
        "    except SystemExit as end: print(end.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path)},
    )
    hub, folder = done.stderr.splitlines()
    assert done.stdout == "2\n2\n"
    assert "cannot load the model 'no-org/no-model'" in hub
    assert "check the name and the network, or give a folder" in hub
    assert "cannot find the model './nowhere'" in folder
    assert not (tmp_path / "p").exists()


def test_only_our_own_folders_are_overwritten(run, tmp_path):
    np.save(tmp_path / "v.npy", unit(100, 8))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    words = ("fit", "v.npy", "--dim", "4", "--bits", "2", "--overwrite", "--out")
    code, _, err = run(*words, "thesis")
    assert code == 2
    assert "did not make, and is not overwritten" in err
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert run(*words, "p")[0] == run(*words, "p")[0] == 0


def test_usage_errors_exit_with_two(run):
    assert run("fit")[0] == 2
    assert run("fry")[0] == 2
    assert run("--version")[1].startswith("vecpress 0.")


def test_precomputed_vectors_load_no_engine(tmp_path):
    """The largest group of users has neither torch nor a model installed."""
    np.save(tmp_path / "v.npy", unit(200, 16))
    script = (
        "import sys\n"
        "for name in ('torch', 'faiss', 'sklearn', 'sentence_transformers', 'tokenizers',"
        " 'onnxruntime', 'pyarrow', 'huggingface_hub'): sys.modules[name] = None\n"
        "from vecpress.cli import app\n"
        "for words in (['fit', 'v.npy', '--budget', '8B', '--out', 'p'],"
        " ['index', 'p', 'v.npy', '--out', 'i'], ['search', 'i', 'v.npy', '-k', '1', '--json']):\n"
        "    app(words, standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hits = json.loads(done.stdout.splitlines()[-1])["hits"]
    assert sum(ranked[0]["id"] == str(i) for i, ranked in enumerate(hits)) > 150


def test_a_press_without_bits_says_that_it_keeps_floats(run, folder):
    out = run("fit", "beir", "--models", "lexical:8", "--dim", "4", "--out", "p")[1]
    assert "It keeps floats: add --bits 4" in out
    assert "Next" not in out
    code, _, err = run("index", "p", "beir", "--out", "i")
    assert code == 2
    assert "has no quantizer, so it makes no codes" in err
