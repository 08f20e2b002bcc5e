"""The verb `study` as a user types it, with a module of the user's own beside the recipe."""

import json
import sys

import numpy as np
import pytest

import toys
from small_study import write
from vecpress import cli

MODULE = """
from dataclasses import dataclass

import numpy as np

from vecpress.head import Head


@dataclass(frozen=True)
class Last:
    dim: int

    def fit(self, training, *, seed=0, progress=None, log=None):
        print("fitted", end="", file=__import__("sys").stderr)
        rows = np.eye(training.documents.shape[1], dtype=np.float32)[-self.dim :]
        return Head(weights=(rows,), biases=(np.zeros(self.dim, np.float32),))
"""
RECIPE = """
title = "Last or first"
question = "Which half?"
models = ["toys:A", "toys:Noise"]
benchmarks = ["one"]
seeds = [0, 1]

[axes.kept]
"all" = {}
"first" = { truncate = 4 }
"last" = { head = { kind = "own_of_this_study:Last", dim = 4 } }

[[claims]]
says = "All of it [bold]is[/] better than [half]."
higher = { kept = "all" }
than = { kept = ["first", "last"] }

[[claims]]
says = "Half keeps a tenth."
keeps = { kept = "first" }
of = { kept = "all" }
at_least = 0.1

[[claims]]
says = "On the hub too."
untestable = "needs the hub"
"""


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the verb beside a folder of data; give exit code, stdout and stderr."""
    write(tmp_path / "data", toys.benchmark(60, queries=30, name="one"))
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "halves.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "own_of_this_study.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delitem(sys.modules, "own_of_this_study", raising=False)

    def run(*words, recipe="recipes/halves.toml", out="out"):
        argv = ["vecpress", "study", recipe, "--out", out, "--data", "data", "--cache", "cache"]
        monkeypatch.setattr(sys, "argv", [*argv, *words])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_study_from_recipe_to_page(run, tmp_path):
    code, out, err = run()
    assert (code, err) == (0, "fitted" * 2)
    results = lines(tmp_path / "out" / "results.jsonl")
    assert len(results) == 2 * 3
    told = [line for line in out.splitlines() if line]
    assert told[0].startswith("reproduced: All of it [bold]is[/] better than [half].")
    assert told[1].startswith("    2 of 2 hold: +")
    assert told[4:6] == ["not testable offline: On the hub too.", "    needs the hub"]
    assert told[-1] == "out/results.jsonl, out/claims.jsonl, out/report.html"
    claims = lines(tmp_path / "out" / "claims.jsonl")
    assert [(c["study"], c["claim"], c["status"]) for c in claims] == [
        ("halves", 1, "reproduced"),
        ("halves", 2, "reproduced"),
        ("halves", 3, "not testable offline"),
    ]
    of = {
        arm: np.mean([r["ndcg@10"] for r in results if r["method"] == arm])
        for arm in ("all", "first", "last")
    }
    assert claims[0]["outcomes"][1]["estimate"] == pytest.approx(of["all"] - of["last"], abs=1e-4)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "vecpress study recipes/halves.toml --out out" in page
    assert "All of it [bold]is[/] better" in page
    assert str(tmp_path) not in page


def test_the_heads_of_a_users_own_module_are_used(run, tmp_path):
    run()
    results = lines(tmp_path / "out" / "results.jsonl")
    last = next(r for r in results if r["method"] == "last")
    made = toys.benchmark(60, queries=30, name="one")
    documents, queries = (
        toys.A().encode(part.texts)[:, 4:] for part in (made.corpus, made.queries)
    )
    scores = queries @ (documents / np.linalg.norm(documents, axis=1, keepdims=True)).T
    ranks = (scores > np.diagonal(scores)[:, None]).sum(axis=1) + 1
    wanted = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)
    np.testing.assert_allclose(last["per_query"], wanted, atol=5e-5)


def test_an_interrupted_study_goes_on(run, tmp_path):
    run()
    path = tmp_path / "out" / "results.jsonl"
    whole = path.read_bytes()
    claims = (tmp_path / "out" / "claims.jsonl").read_bytes()
    rows = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(rows[:4]) + rows[4][:40])  # killed while it wrote
    code, _, err = run()
    assert (code, err) == (0, "fitted")  # the head of the other seed
    now = lines(path)
    assert [r["key"] for r in now] == [json.loads(row)["key"] for row in rows]
    assert [r["per_query"] for r in now] == [json.loads(row)["per_query"] for row in rows]
    assert (tmp_path / "out" / "claims.jsonl").read_bytes() == claims
    before = path.read_bytes()
    assert run()[2] == ""
    assert path.read_bytes() == before


def test_json_is_one_object(run):
    code, out, _ = run("--json")
    told = json.loads(out)
    assert (code, told["study"]) == (0, "halves")
    assert [c["status"] for c in told["claims"]][2] == "not testable offline"
    assert {"estimate", "low", "high", "p", "p_holm", "verdict"} <= told["claims"][0]["outcomes"][
        0
    ].keys()


def test_other_models_and_overwriting(run, tmp_path):
    run()
    path = tmp_path / "out" / "results.jsonl"
    before = [r["key"] for r in lines(path)]
    assert run("--models", "toys:B")[0] == 0
    both = lines(path)
    assert [r["key"] for r in both[:6]] == before
    assert {tuple(r["settings"]["models"]) for r in both[6:]} == {("toys:B",)}
    assert "--models toys:B" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert run("--overwrite")[0] == 0
    assert [r["key"] for r in lines(path)] == before


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (
            ["--models", "a,b,c"],
            {},
            "the study halves has 2 models, so it takes no 3: a, b, c",
        ),
        ([], {"recipe": "recipes/none.toml"}, "cannot read the study recipes/none.toml: "),
        ([], {"out": "data"}, "data exists: choose another name, or add --overwrite"),
        (["--data", "elsewhere"], {}, "elsewhere/one is not a BEIR folder"),
        (["--models", "nope"], {}, "unknown model 'nope'; known: "),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(run, tmp_path, words, options, message):
    code, out, err = run(*words, **options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_fit_is_refused(run, tmp_path):
    (tmp_path / "fit.toml").write_text('models = ["lexical:8"]\n', encoding="utf-8")
    code, _, err = run(recipe="fit.toml")
    assert (code, err.strip()) == (
        2,
        "error: fit.toml has no [axes], so it is no study: is it a recipe for `vecpress fit`?",
    )


def test_a_module_that_is_not_there_is_named(run, tmp_path):
    (tmp_path / "recipes" / "own_of_this_study.py").unlink()
    code, _, err = run()
    assert code == 2
    assert err.startswith("error: cannot import 'own_of_this_study:Last': No module named ")
