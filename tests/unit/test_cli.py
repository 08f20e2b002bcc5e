"""Every verb as a user types it, and every mistake as a user makes it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from helpers import unit
from recording import Recording
from vecpress import Pipeline, arguments, cli, registry
from vecpress.arrays import normalize

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
        if words[0] in ("fit", "encode", "index", "evaluate", "compare", "suggest", "demo"):
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
    assert page.count('<svg class="point') == len(rows)
    assert "http" not in page.replace("http-equiv", "")
    assert run("report", "c/results.jsonl", "--out", "again.html")[0] == 0


def test_an_interrupted_comparison_goes_on(run, folder, tmp_path):
    words = ("compare", "beir", "--models", "lexical:8,lexical:6", "--budgets", "3")
    assert run(*words, "--out", "c")[0] == 0
    path = tmp_path / "c/results.jsonl"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + lines[5][:40])  # killed while it wrote the sixth
    code, out, _ = run(*words, "--out", "c")
    assert code == 0
    assert "9 documents" not in out
    again = path.read_text().splitlines(keepends=True)
    assert again[:5] == lines[:5]
    same = ("key", "method", "ndcg@10", "bytes_per_vector", "recipe")
    for one, other in zip(map(json.loads, lines), map(json.loads, again), strict=True):
        assert [one[name] for name in same] == [other[name] for name in same]
    assert run(*words, "--out", "c")[0] == 0  # nothing to do
    assert path.read_text() == "".join(again)
    assert run(*words, "--out", "c", "--seeds", "0,1")[0] == 0
    more = path.read_text()
    assert more.startswith("".join(again))
    assert {json.loads(line)["seed"] for line in more.splitlines()} == {0, 1}
    assert run(*words, "--out", "c", "--overwrite")[0] == 0
    assert len(path.read_text().splitlines()) == len(lines)


def test_heads_are_fitted_on_other_texts(run, folder, tmp_path):
    texts = [f"{a} {b} and {c}. The {b} of a {a}." for a in WORDS for b in WORDS for c in WORDS[:2]]
    (tmp_path / "other.txt").write_text("\n".join(texts))
    code, _, err = run("compare", "beir", "--models", "lexical:8,lexical:6", "--budgets", "3",
                       "--fit-on", "other.txt", "--out", "c")  # fmt: skip
    assert (code, err) == (0, "")
    rows = [json.loads(x) for x in (tmp_path / "c/results.jsonl").read_text().splitlines()]
    assert {row["fitted_on"] for row in rows} == {"other.txt"}
    assert {row["documents"] for row in rows} == {90}


def test_models_are_suggested(run, tmp_path, monkeypatch):
    monkeypatch.setattr("vecpress.weighing._FEW", 0)
    texts = [f"{a} {b} and {c}. The {b} of a {a}." for a in WORDS for b in WORDS for c in WORDS[:2]]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    words = ("suggest", "t.txt", "--models", "lexical:9,lexical:1")
    code, out, err = run(*words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["models"] == ["lexical:9"]
    assert [cost["dim"] for cost in found["costs"]] == [9, 1]
    out = run(*words)[1]
    assert "Next: vecpress fit t.txt --models lexical:9 --budget 64B --out PRESS" in out
    assert "left out: adding it would give" in out
    for bad, message in [
        (("suggest", "t.txt", "--models", "lexical:9"), "give at least two models, got 1"),
        ((*words, "--by", "colour"), "by must be quality, ms or byte, got 'colour'"),
        (("suggest", "absent.txt", "--models", "lexical:2,lexical:3"), "absent.txt does not exist"),
    ]:
        code, out, err = run(*bad)
        assert (code, out) == (2, "")
        assert message in err


def test_options_of_a_choice_are_refused_where_there_is_none(run, folder):
    code, out, err = run(
        "fit", "beir", "--models", "lexical:8", "--dim", "4", "--explain", "--out", "p"
    )
    assert (code, out) == (2, "")
    assert "--explain shows what was tried for a budget: give --budget 64B, say" in err


def test_a_choice_is_explained(run, folder, tmp_path):
    words = ("fit", "beir", "--models", "lexical:8,lexical:6", "--budget", "3B")
    short = run(*words, "--out", "p")[1]
    assert "; the best:" in short
    code, out, _ = run(*words, "--out", "q", "--explain")
    assert code == 0
    assert "; the best:" not in out
    assert "Every way was fitted on 90 documents and judged on the same." in out
    plan = json.loads(run(*words, "--out", "r", "--json")[1])["plan"]
    assert len(plan["trials"]) > 5
    assert plan["trials"][0]["worth"] == max(trial["worth"] for trial in plan["trials"])
    judged = json.loads(
        run(*words, "--out", "s", "--pairs", "beir", "--split", "test", "--json")[1]
    )
    assert "judged" in judged["plan"]["trials"][0]["kept"]


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
    (tmp_path / "training.jsonl").write_text('{"ndcg": 1}')
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
        (("encode", "vectors", "good.npy", "--out", "good.npy"), "good.npy exists: choose another"),
        (("report", "results.jsonl", "--out", "good.npy"), "good.npy exists: choose another"),
        (("report", "good.npy", "--out", "new"), "cannot read results from good.npy"),
        (("report", "vectors", "--out", "new"), "vectors has no training log: only a head that is"),
        (("report", "beir", "--out", "new"), "beir is not a vecpress folder: no config.json"),
        (("report", "training.jsonl", "--out", "new"), "training.jsonl is not a training log"),
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


RECORDING = ("--models", "lexical:8", "--head", "recording:Recording", "--dim", "4", "--out", "new")
VECTORS = ("--head", "recording:Recording", "--dim", "4", "--out", "new")
TRAINED = "trained to epoch 7, held-out nDCG@10 .740 (start .710)"


@pytest.fixture
def judged(folder):
    """The folder with judgements to learn from: q0 is scored too, and one document is unknown."""
    rows = ["q0\td1\t1", "q9\td2\t2", "q9\td3\t0", "q10\td4\t1", "q10\tgone\t1"]
    (folder / "qrels" / "train.tsv").write_text("\n".join(rows))
    with (folder / "queries.jsonl").open("a") as file:
        file.write('\n{"_id": "q9", "text": "boat"}\n{"_id": "q10", "text": "loan"}')
    Recording.seen.clear()
    return folder


FIT_RECORDING = ("--models", "lexical:8", "--head", "recording:Recording", "--dim", "4")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_is_a_number_that_every_part_takes(run, folder, seed):
    code, _, err = run("fit", "good.npy", "--budget", "4B", "--out", "new", "--seed", seed)
    assert code == 2
    assert err == f"error: a seed is a whole number from 0 to 4294967295, got {seed}\n"


def test_a_refusal_leaves_no_curves(run, judged):
    words = ("--report-to", "tensorboard", "--out", "p")
    too_wide = ("--models", "lexical:8", "--head", "smec", "--dim", "99")
    assert run("fit", "beir", *too_wide, *words)[0] == 2
    assert not Path("p.tensorboard").exists()
    Path("p.tensorboard").mkdir()
    code, _, err = run("fit", "beir", *FIT_RECORDING, *words)
    assert (code, err.startswith("error: p.tensorboard exists: remove it")) == (2, True)


def test_a_head_learns_from_a_folders_judgements(run, judged):
    code, out, err = run("fit", "beir", *FIT_RECORDING, "--pairs", "beir", "--out", "p")
    assert (code, err) == (0, "")
    assert (
        "It was given 4 judgements of 3 queries; left out: 1 of documents that are not in the corpus.\n"
        f"8 -> 4: {TRAINED}\n"
    ) in out
    (training,) = Recording.seen
    np.testing.assert_array_equal(training.positives, [[0, 1], [1, 2], [1, 3], [2, 4]])
    np.testing.assert_array_equal(training.grades, [1, 2, 0, 1])
    asked = Pipeline.load("p").encoder.encode(["boat", "loan"], role="query")
    np.testing.assert_array_equal(training.queries[1:], asked)
    assert Pipeline.load("p").log[-1]["what"] == "trained"


def test_fitting_tells_machines_what_it_tells_people(run, judged):
    words = ("fit", "beir", *FIT_RECORDING, "--pairs", "beir", "--out", "p", "--json")
    code, out, err = run(*words)
    told = json.loads(out)
    assert code == 0
    assert (
        err == "4 judgements of 3 queries; left out: 1 of documents that are not in the corpus.\n"
    )
    assert told["pairs"] == Pipeline.load("p").provenance["pairs"]
    assert (told["pairs"]["judgements"], told["pairs"]["skipped"]) == (4, 1)
    assert [row["stage"] for row in told["kept"]] == ["8 -> 4"]
    assert (told["continues"], told["tensorboard"]) == (None, None)
    plain = json.loads(run("fit", "beir", *FIT_LEXICAL, "--json")[1])
    assert (plain["pairs"], plain["kept"]) == (None, [])


def test_judgements_of_vectors(run, judged, tmp_path):
    np.save(tmp_path / "v.npy", unit(90, 6))
    np.save(tmp_path / "q.npy", unit(3, 6, seed=1))
    head = ("--head", "recording:Recording", "--dim", "4", "--out")
    assert run("fit", "v.npy", "--pairs", "beir", "--queries", "q.npy", *head, "p")[0] == 0
    (tmp_path / "rows.csv").write_text("query,document\n2,7\n")
    assert run("fit", "v.npy", "--pairs", "rows.csv", "--queries", "q.npy", *head, "r")[0] == 0
    folder, rows = Recording.seen
    np.testing.assert_array_equal(folder.positives, [[0, 1], [1, 2], [1, 3], [2, 4]])
    np.testing.assert_allclose(folder.queries, unit(3, 6, seed=1), atol=1e-6)
    np.testing.assert_array_equal(rows.positives, [[0, 7]])
    np.testing.assert_allclose(rows.queries, unit(3, 6, seed=1)[[2]], atol=1e-6)


def test_a_press_is_continued_and_searched(run, judged, tmp_path):
    run("fit", "beir", *FIT_RECORDING, "--bits", "2", "--out", "wide")
    before = {p.name: p.read_bytes() for p in (tmp_path / "wide").iterdir()}
    words = ("fit", "beir", "--continue", "wide", "--dim", "2", "--bits", "4", "--out", "p")
    code, out, _ = run(*words, "--pairs", "beir")
    assert code == 0
    assert f"4 -> 2: {TRAINED}\n" in out
    assert Recording.seen[-1].is_supervised
    assert {p.name: p.read_bytes() for p in (tmp_path / "wide").iterdir()} == before
    wide, short = Pipeline.load("wide"), Pipeline.load("p")
    assert short.recipe.head == Recording(dim=2)  # the press's own method
    assert short.provenance["continues"] == wide.fingerprint
    texts = ["boat in the harbour"]
    expected = normalize(wide.encoder.encode(texts)[:, [6, 7]])
    np.testing.assert_allclose(short.encode(texts), expected, atol=1e-6)
    told = json.loads(run(*words, "--overwrite", "--json")[1])
    assert told["continues"] == wide.fingerprint
    assert run("index", "p", "beir", "--out", "i")[0] == 0
    assert len(json.loads(run("search", "i", "boat", "--json")[1])["hits"]) == 10


def test_what_continues_a_press_may_be_named(run, judged, monkeypatch):
    monkeypatch.setitem(registry.COMPRESSORS, "smec", registry.Entry("recording:Recording"))
    run("fit", "beir", "--models", "lexical:8", "--dim", "6", "--out", "wide")
    assert run("fit", "beir", "--continue", "wide", "--dim", "3", "--out", "p")[0] == 0
    assert Pipeline.load("p").recipe.to_dict()["head"]["kind"] == "smec"
    words = ("fit", "beir", "--continue", "wide", "--head", "smec", "--dim", "3", "--models")
    assert run(*words, "lexical:8", "--out", "q")[0] == 0
    assert Pipeline.load("q").fingerprint == Pipeline.load("p").fingerprint
    monkeypatch.setitem(registry.COMPRESSORS, "smec", registry.Entry("nowhere:SMEC"))
    words = ("fit", "beir", "--continue", "wide", "--head", "recording:Recording", "--dim", "3")
    assert run(*words, "--out", "r")[0] == 0  # without what is not asked for


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("beir", *FIT_LEXICAL, "--pairs", "beir"),
            "the head 'power-pca' learns nothing from judgements: take a head that learns from",
        ),
        (
            ("beir", "--models", "lexical:8", "--bits", "2", "--out", "new", "--pairs", "beir"),
            "judgements train a head, and this recipe has none",
        ),
        (("beir", *RECORDING, "--pairs", "none.csv"), "none.csv does not exist: give a BEIR folder"),
        (("beir", *RECORDING, "--pairs", "other.csv"), "none of the 1 judgements in other.csv is of"),
        (("beir", *RECORDING, "--pairs", "beir", "--split", "dev"), "no judgements qrels/dev.tsv"),
        (("beir", *RECORDING, "--split", "dev"), "--split dev is one of a folder's: give the folder"),
        (
            ("beir", *RECORDING, "--pairs", "other.csv", "--split", "train"),
            "give the folder with --pairs, got other.csv",
        ),
        (
            ("beir", *RECORDING, "--queries", "v.npy"),
            "v.npy holds queries without judgements: say with --pairs what answers them",
        ),
        (("beir", *RECORDING, "--pairs", "beir", "--queries", "v.npy"), "leave their vectors out"),
        (("beir", *RECORDING, "--report-to", "wandb"), "--report-to takes tensorboard, got 'wandb'"),
        (
            ("v.npy", *VECTORS, "--pairs", "beir"),
            "documents given as vectors need their queries as vectors too: --queries queries.npy",
        ),
        (
            ("v.npy", *VECTORS, "--pairs", "beir", "--queries", "v.npy"),
            "beir has 3 judged queries, got 90 vectors",
        ),
        (
            ("v.npy", *VECTORS, "--pairs", "beir", "--queries", "wide.npy"),
            "have 7 dimensions, the documents 6: were they made by the same model?",
        ),
        (
            ("short.npy", *VECTORS, "--pairs", "beir", "--queries", "q.npy"),
            "beir has 90 documents, got 20 vectors",
        ),
        (("beir", "--continue", "none", "--dim", "2", "--out", "new"), "none is not a vecpress fold"),
        (("beir", "--continue", "text", "--out", "new"), "to continue text give its new width: --dim"),
        (
            ("beir", "--continue", "text", "--budget", "4B", "--out", "new"),
            "to continue a press give its new width instead, --dim 32, and --bits 4 for codes",
        ),
        (
            ("beir", "--continue", "text", "--dim", "4", "--out", "new"),
            "already goes down to 4 dimensions, so it is continued to fewer, got 4",
        ),
        (
            ("beir", "--continue", "text", "--dim", "2", "--models", "lexical:9", "--out", "new"),
            "continued with its own models, lexical:8; got lexical:9",
        ),
        (
            ("beir", "--continue", "text", "--dim", "2", "--head", "pca", "--out", "new"),
            "such as smec, got pca: leave the choice out",
        ),
        (
            ("beir", "--continue", "text", "--dim", "2", "--out", "text", "--overwrite"),
            "text is the press that is continued, and stays as it is: choose another --out",
        ),
        (("beir", "--continue", "vectors", "--dim", "2", "--out", "new"), "beir holds texts"),
        (("v.npy", "--continue", "text", "--dim", "2", "--out", "new"), "v.npy holds vectors, which"),
        (("wide.npy", "--continue", "vectors", "--dim", "2", "--out", "new"), "6-dimensional vect"),
        (
            ("beir", "--continue", "headless", "--dim", "2", "--head", "recording:Recording",
             "--out", "new"),
            "this press has no head to continue",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_training_that_cannot_be_is_said(run, judged, tmp_path, words, message):
    np.save(tmp_path / "v.npy", unit(90, 6))
    np.save(tmp_path / "short.npy", unit(20, 6))
    np.save(tmp_path / "q.npy", unit(3, 6))
    np.save(tmp_path / "wide.npy", unit(3, 7))
    (tmp_path / "other.csv").write_text("query,document\nboat,somewhere\n")
    run("fit", "beir", *RECORDING[:-1], "text")
    run("fit", "v.npy", *VECTORS[:-1], "vectors")
    run("fit", "beir", "--models", "lexical:8", "--bits", "2", "--out", "headless")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if "cache" not in p.parts}
    code, out, err = run("fit", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if "cache" not in p.parts}
    assert after == before


def test_training_is_drawn_beside_the_press(run, judged, monkeypatch):
    rows = []

    @contextmanager
    def tensorboard(folder):
        rows.append(str(folder))
        yield rows.append
        rows.append("closed")

    monkeypatch.setattr(arguments, "tensorboard", tensorboard)
    words = ("fit", "beir", *FIT_RECORDING, "--report-to", "tensorboard", "--out", "made/p")
    code, out, _ = run(*words)
    assert code == 0
    folder = "made/p.tensorboard"
    assert f"The training is drawn in {folder}: tensorboard --logdir {folder}\n" in out
    assert [rows[0], *(row["event"] for row in rows[1:3]), rows[3]] == [
        folder, "epoch", "kept", "closed"
    ]  # fmt: skip
    told = json.loads(run(*words, "--overwrite", "--json")[1])
    assert told["tensorboard"] == folder
    out = run("fit", "beir", *FIT_LEXICAL, "--report-to", "tensorboard")[1]
    assert "This head is not trained, so new.tensorboard holds no curves.\n" in out


def test_training_is_drawn_for_tensorboard_and_as_a_page(run, judged, tmp_path):
    pytest.importorskip("tensorboard")
    words = ("fit", "beir", *FIT_RECORDING, "--out", "p", "--report-to", "tensorboard")
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert [path.name[:16] for path in (tmp_path / "p.tensorboard").iterdir()] == [
        "events.out.tfeve"
    ]
    assert "How it went: vecpress report p --out training.html\n" in out
    assert run("report", "p", "--out", "one.html")[0] == 0
    shutil.copy("p/training.jsonl", "another.jsonl")  # known by what it holds
    assert run("report", "another.jsonl", "--out", "two.html")[0] == 0
    assert run("report", "p/training.jsonl", "--out", "two.html", "--overwrite")[0] == 0
    one, two = ((tmp_path / f"{name}.html").read_text() for name in ("one", "two"))
    assert "8 -&gt; 4" in one
    assert "Training of p" in one
    assert "vecpress report p/training.jsonl" not in one
    assert "vecpress report p/training.jsonl" in two


COMPARE = ("compare", "beir", "--models", "lexical:8,lexical:6", "--budgets", "3")


def compared(tmp_path, out):
    lines = (tmp_path / out / "results.jsonl").read_text().splitlines()
    return {row["method"]: row for row in map(json.loads, lines) if row["group"] == "trained"}


def test_heads_are_compared_after_learning_from_other_queries(run, judged, tmp_path):
    words = (*COMPARE, "--heads", "recording:Recording,pca", "--out", "c")
    code, out, _ = run(*words)
    assert code == 0
    assert (
        "Judgements: 3 judgements of 2 queries; left out: 1 of documents that are not in the "
        "corpus; left out: 1 queries that are scored.\n"
    ) in out
    (training,) = Recording.seen
    np.testing.assert_array_equal(training.positives, [[0, 2], [0, 3], [1, 4]])
    assert training.models == (("lexical:8", 8), ("lexical:6", 6))
    assert len(training.documents) == 90
    rows = compared(tmp_path, "c")
    assert sorted(name.partition(",")[0] for name in rows) == ["pca", "recording:Recording"]
    name = next(name for name in rows if name.startswith("recording"))
    assert name.endswith(", with judgements")
    assert rows[name]["pairs"]["judgements"] == 3
    assert rows[name]["pairs"]["shared"] == 1
    assert next(row for name, row in rows.items() if name.startswith("pca"))["pairs"] is None
    assert run(*words, "--split", "train", "--overwrite")[0] == 0
    assert not Recording.seen[1].is_supervised  # what scores does not teach


def test_without_other_judgements_heads_are_compared_without(run, judged, tmp_path):
    (judged / "qrels" / "train.tsv").unlink()
    words = (*COMPARE, "--heads", "recording:Recording", "--out")
    assert "Judgements" not in run(*words, "c")[1]
    assert not Recording.seen[0].is_supervised
    ((name, row),) = compared(tmp_path, "c").items()
    assert name.endswith(", without judgements")
    assert row["pairs"] is None
    (judged / "qrels" / "dev.tsv").write_text("q9\td2\t1")
    assert run(*words, "d", "--pairs-split", "dev")[0] == 0
    assert Recording.seen[1].is_supervised
    assert run(*words, "e", "--split", "dev")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--heads", "recording:Recording", "--pairs-split", "test"),
            "the judgements of the split 'test' score, so nothing may learn from them: give another",
        ),
        (("--heads", "pca", "--pairs-split", "train"), "no head learns from the judgements of the"),
        (("--pairs-split", "train"), "such as --heads smec, or leave --pairs-split out"),
        (("--heads", "recording:Recording", "--pairs-split", "dev"), "has no judgements qrels/dev"),
        (
            ("--heads", "recording:Recording", "--pairs-split", "same"),
            "every query of beir/qrels/sa",
        ),
        (("--heads", "nope"), "unknown method 'nope'"),
    ],
)
def test_a_comparison_learns_from_nothing_that_it_scores(run, judged, tmp_path, words, message):
    (judged / "qrels" / "same.tsv").write_text("q1\td50\t1")
    code, out, err = run(*COMPARE, *words, "--out", "new")
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "new").exists()


def test_the_help_names_every_method(run):
    text = " ".join(run("fit", "--help")[1].split())
    assert ", ".join(registry.COMPRESSORS) in text.replace("- ", "-")
    for word in ("image folder", "column `image`", "--continue", "--pairs", "--report-to"):
        assert word in text
