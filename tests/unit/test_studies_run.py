"""A study run on texts made up: every figure worked out again without it."""

import json
import sys

import numpy as np
import pytest

import toys
from small_study import Asked, Head, study, write
from vecpress.arrays import normalize, unpack
from vecpress.compressors.linear import PCA
from vecpress.errors import ConfigError
from vecpress.quantizers.hashing import LSH
from vecpress.quantizers.scalar import Percentile
from vecpress.stages import TrainingSet
from vecpress.studies.arms import SCORINGS
from vecpress.studies.data import Ground
from vecpress.studies.run import beside, run_study, score_by

CODED = {"quantizer": {"kind": "percentile", "bits": 2}}
RECORDING = {"head": {"kind": "small_study:Head", "dim": 6}}


@pytest.fixture
def data(tmp_path):
    """Two benchmarks: query i is answered by document i."""
    for seed, name in enumerate(("one", "two")):
        write(tmp_path, toys.benchmark(60, queries=20, seed=seed, name=name))
    return tmp_path


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(Head, "seen", [])


def levels(**given):
    """A study of one axis with these levels."""
    return {"axes": {"arm": given}}


def run(data, *, known=None, **changes):
    """Run a study; give its results by arm, and all that was kept."""
    kept = []
    results = run_study(study(**changes), data=data, known=known, keep=kept.append)
    return {r["arm"]["arm"]: r for r in results}, kept


def ndcg(scores):
    """nDCG@10 where query i is answered by document i alone."""
    ranks = (scores > np.diagonal(scores)[:, None]).sum(axis=1) + 1
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0)


def assert_ndcg(found, scores):
    """Where a document has the answer's very score, it may stand before or after it."""
    others = 1e-6 * (1 - np.eye(*scores.shape))
    assert (ndcg(scores + others) - 1e-4 <= np.array(found)).all()
    assert (np.array(found) <= ndcg(scores - others) + 1e-4).all()


def embedded(n=60, seed=0, model=toys.A):
    """Documents and queries of a benchmark as a study embeds them."""
    made = toys.benchmark(n, queries=20, seed=seed)
    return (normalize(model().encode(part.texts)) for part in (made.corpus, made.queries))


def test_every_arm_runs_on_every_benchmark_with_every_seed(data):
    told = []
    plan = study(benchmarks=["one", "two"], seeds=[4, 1], **levels(raw={}, short={"truncate": 4}))
    results = run_study(
        plan, data=data, progress=lambda what, done, total: told.append((what, done, total))
    )
    order = [(r["benchmark"], r["seed"], r["method"]) for r in results]
    assert order == [
        (name, seed, arm) for name in ("one", "two") for seed in (4, 1) for arm in ("raw", "short")
    ]
    assert told[0] == ("one, seed 4: raw", 0, 8)
    assert told[-1] == ("Small", 8, 8)
    assert len({r["key"] for r in results}) == 8
    json.dumps(results, allow_nan=False)


def test_a_result_says_what_was_run_and_what_came_of_it(data):
    found = run(data, **levels(raw={}))[0]["raw"]
    documents, queries = embedded()
    scores = ndcg(queries @ documents.T)
    np.testing.assert_allclose(found["per_query"], scores, atol=5e-5)
    assert found["ndcg@10"] == pytest.approx(scores.mean(), abs=1e-6)
    assert (found["study"], found["benchmark"], found["group"]) == ("small", "one", "study")
    assert (found["method"], found["arm"]) == ("raw", {"arm": "raw"})
    assert (found["documents"], found["queries"], found["seed"]) == (60, 20, 0)
    assert (found["dim"], found["bytes_per_vector"]) == (8, 32)
    assert (found["recovery"], found["training"], found["fit_seconds"]) == (1, {}, 0)
    assert found["settings"]["models"] == ("toys:A",)


def test_heads_cuts_and_codes_score_as_worked_out_again(data):
    coded = {"head": {"kind": "pca", "dim": 5}, "truncate": 3, **CODED}
    arms, _ = run(
        data, seeds=[2], **levels(cut={"truncate": 3}, pca=coded, part={**coded, "sample": 30})
    )
    documents, queries = embedded()
    cut = normalize(queries[:, :3]) @ normalize(documents[:, :3]).T
    np.testing.assert_allclose(arms["cut"]["per_query"], ndcg(cut), atol=5e-5)
    for name, rows in [
        ("pca", np.arange(60)),
        ("part", np.sort(np.random.default_rng(2).choice(60, 30, replace=False))),
    ]:
        head = PCA(dim=3).fit(TrainingSet(documents=documents[rows]))
        codec = Percentile(bits=2).fit(head.compress(documents[rows]), seed=2)
        back = codec.dequantize(codec.quantize(head.compress(documents)))
        assert_ndcg(arms[name]["per_query"], head.compress(queries) @ back.T)
        assert (arms[name]["dim"], arms[name]["bytes_per_vector"]) == (3, 1)
    whole = ndcg(queries @ documents.T).mean()
    assert arms["pca"]["recovery"] == pytest.approx(arms["pca"]["ndcg@10"] / whole, abs=1e-5)


def test_codes_are_compared_in_three_ways(data):
    arms, _ = run(data, **levels(**{how: {**CODED, "scoring": how} for how in SCORINGS}))
    documents, queries = embedded()
    codec = Percentile(bits=2).fit(documents)
    coded = [codec.quantize(x) for x in (documents, queries)]
    decoded = [codec.dequantize(codes) for codes in coded]
    cells = [unpack(codes, 2, 8).astype(np.float64) for codes in coded]
    cells = [c / np.linalg.norm(c, axis=1, keepdims=True) for c in cells]
    wanted = {
        "asymmetric": queries @ decoded[0].T,
        "symmetric": decoded[1] @ decoded[0].T,
        "cells": cells[1] @ cells[0].T,
    }
    for how, scores in wanted.items():
        assert_ndcg(arms[how]["per_query"], scores)
    assert len({arms[how]["ndcg@10"] for how in SCORINGS}) == 3


def test_one_fit_serves_every_cut_of_a_head_and_every_benchmark_it_does_not_depend_on(data):
    cuts = {str(dim): {"truncate": dim} for dim in (2, 4, 6)}
    shared = {"arms": RECORDING, "seeds": [0, 1], **levels(**cuts)}
    run(data, benchmarks=["one", "two"], **shared)
    assert len(Head.seen) == 4  # benchmarks x seeds
    Head.seen.clear()
    elsewhere = {**shared, "arms": {**RECORDING, "fit_on": ["two"]}}
    found, _ = run(data, benchmarks=["one", "two"], **elsewhere)
    assert len(Head.seen) == 2
    np.testing.assert_array_equal(
        Head.seen[0].documents, normalize(toys.A().encode(toys.corpus(60, seed=1).texts))
    )
    assert {name: r["dim"] for name, r in found.items()} == {"2": 2, "4": 4, "6": 6}


def test_what_changes_a_fit_is_fitted_anew(data):
    given = {"same": {}, "again": {"truncate": 3}, "wide": {"head": {"dim": 7}},
             "few": {"sample": 9}, "both": {"models": [1, 2]}, "heavy": {"models": [1, 2],
             "weights": [1.0, 2.0]}, "taught": {"judgements": True}}  # fmt: skip
    run(data, arms=RECORDING, **levels(**given))
    assert len(Head.seen) == 6
    assert [len(seen.documents) for seen in Head.seen] == [60, 60, 9, 60, 60, 60]
    assert [seen.queries is None for seen in Head.seen] == [True] * 5 + [False]


def test_known_results_are_given_back_and_nothing_runs_twice(data):
    plan = {"arms": RECORDING, "seeds": [0, 1], **levels(raw={}, short={"truncate": 3})}
    first, kept = run(data, **plan)
    assert len(kept) == 4
    known = {r["key"]: json.loads(json.dumps({**r, "mark": "known"})) for r in kept}
    del known[kept[2]["key"]]
    Head.seen.clear()
    second, new = run(data, known=known, **plan)
    assert [r["key"] for r in new] == [kept[2]["key"]]
    assert len(Head.seen) == 1
    assert second["short"]["mark"] == "known"
    assert "mark" not in second["raw"]
    assert second["short"]["per_query"] == first["short"]["per_query"]
    assert run(data, known={r["key"]: r for r in kept}, **plan)[1] == []


def test_an_interrupted_study_keeps_what_it_had(data):
    kept = []

    def keep(result):
        if len(kept) == 3:
            raise KeyboardInterrupt
        kept.append(result)

    plan = study(seeds=[0, 1, 2], **levels(raw={}, short={"truncate": 3}))
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, data=data, keep=keep)
    rest = []
    results = run_study(plan, data=data, known={r["key"]: r for r in kept}, keep=rest.append)
    assert (len(kept), len(rest), len(results)) == (3, 3, 6)
    assert results[:3] == kept


CHANGES = [
    {"seeds": [1]},
    {"queries": 5},
    {"benchmarks": ["two"]},
    {"models": ["toys:B", "toys:A"]},
    levels(other=CODED),
    *(
        levels(it={**CODED, **level})
        for level in (
            {"models": [1, 2]},
            {"weights": [2.0]},
            {"head": {"kind": "pca", "dim": 4}},
            {"truncate": 4},
            {"quantizer": {"kind": "percentile", "bits": 1}},
            {"quantizer": {"kind": "lloyd-max", "bits": 2}},
            {"scoring": "cells"},
            {"fit_on": ["two"]},
            {"sample": 20},
        )
    ),
]


def key_of(data, **changes):
    """The key of a study's one result, without running it."""
    (result,) = run_study(study(**changes), data=data, known=Asked())
    return result["key"]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_a_result_is_known_by_all_that_it_depends_on(data, change):
    before = key_of(data, **levels(it=CODED))
    assert before == key_of(data, title="Other", notes="n", question="q", **levels(it=CODED))
    assert key_of(data, **{**levels(it=CODED), **change}) != before


def test_other_texts_and_judgements_are_other_results(data):
    before, file = key_of(data, **levels(it={})), data / "one" / "qrels" / "test.tsv"
    file.write_text(file.read_text(encoding="utf-8").replace("q3\td3\t1", "q3\td4\t1"))
    judged_otherwise = key_of(data, **levels(it={}))
    corpus = data / "one" / "corpus.jsonl"
    corpus.write_text(corpus.read_text(encoding="utf-8").replace("word", "wort", 1))
    other_documents = key_of(data, **levels(it={}))
    queries = data / "one" / "queries.jsonl"
    queries.write_text(queries.read_text(encoding="utf-8").replace("word", "wort", 1))
    asked_otherwise = key_of(data, **levels(it={}))
    assert len({before, judged_otherwise, other_documents, asked_otherwise}) == 4


def test_where_some_arm_learns_from_judgements_all_score_the_other_half(data):
    arms, _ = run(data, arms=RECORDING, **levels(plain={}, taught={"judgements": True}))
    assert [r["queries"] for r in arms.values()] == [10, 10]
    taught = Head.seen[1]
    assert len(taught.queries) == 10
    ground = Ground.open("one", data=data, queries=None, judgements=True, cache=None)
    scored = ground.scored.corpus
    learned_from = {scored.ids[row] for row in taught.positives[:, 1]}
    assert not learned_from & {d for found in ground.scored.qrels.values() for d in found}


def opened(data):
    return Ground.open("one", data=data, queries=None, judgements=False, cache=None)


def test_what_cannot_be_compared_so_is_said(data):
    documents, queries = embedded()
    with pytest.raises(ConfigError, match=r"^scoring 'cells' needs a quantizer$"):
        score_by("cells", None, documents, queries, opened(data))
    codec = LSH(bits=16).fit(documents)
    with pytest.raises(ConfigError) as caught:
        score_by("cells", codec, documents, queries, opened(data))
    assert str(caught.value) == (
        "scoring 'cells' needs codes of one cell per dimension, got HashCodec"
    )


def test_a_width_that_the_head_has_not_is_refused(data):
    with pytest.raises(ConfigError, match=r"^dim must be between 1 and 6, got 7$"):
        run(data, arms=RECORDING, **levels(it={"truncate": 7}))


def test_modules_beside_a_study_are_found_only_while_it_runs(tmp_path):
    before = list(sys.path)
    with beside(tmp_path):
        assert sys.path[0] == str(tmp_path.resolve())
    with pytest.raises(ZeroDivisionError), beside(tmp_path):
        _ = 1 / 0
    assert sys.path == before


def test_a_share_of_the_raw_width_is_a_number_of_dimensions(data):
    """The toy models are 8 dimensions wide each: a quarter of one, of both, an eighth of both."""
    arms = {
        "one": {"truncate": 0.25},
        "the same": {"truncate": 2},
        "both": {"models": [1, 2], "truncate": 0.25},
        "head": {"models": [1, 2], "truncate": 0.125, "head": {"kind": "pca", "dim": 10}},
    }
    by_arm, _ = run(data, **levels(**arms), benchmarks=["one"])
    assert {name: r["dim"] for name, r in by_arm.items()} == dict(
        zip(arms, (2, 2, 4, 2), strict=True)
    )
    assert by_arm["one"]["per_query"] == by_arm["the same"]["per_query"]
