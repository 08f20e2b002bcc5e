import json
from dataclasses import replace

import numpy as np
import pytest

from vecpress.row import Row, run_key

ROW = Row(
    key="k",
    benchmark="b",
    fitted_on="c",
    models=("one", "two"),
    group="chosen",
    method="m",
    recipe={"models": ["one"], "sample": 5},
    budget=8,
    bytes_per_vector=7,
    table_bytes=100,
    compression_factor=16.0,
    measures={"ndcg@10": 0.5, "recall@100": 0.75, "mrr@10": 0.25},
    recovery=0.9,
    p_value=0.04,
    p_chosen=None,
    per_query=(0.631, 0.0, 1.0),
    documents=90,
    encode_ms=1.25,
    fit_seconds=None,
    seed=3,
    pairs={"judgements": 4},
    command="vecpress compare b",
    date="2026-01-02",
    vecpress="0.1",
)


def test_a_row_survives_json():
    assert Row.from_dict(json.loads(json.dumps(ROW.to_dict()))) == ROW
    np.testing.assert_array_equal(ROW.ndcg, [0.631, 0.0, 1.0])


def test_measures_stand_beside_the_rest_under_their_own_names():
    values = ROW.to_dict()
    assert (values["ndcg@10"], values["recall@100"], values["mrr@10"]) == (0.5, 0.75, 0.25)
    assert "measures" not in values
    assert (values["models"], values["per_query"]) == (["one", "two"], [0.631, 0.0, 1.0])


def test_what_an_older_release_did_not_write_is_none():
    values = {k: v for k, v in ROW.to_dict().items() if k not in ("p_chosen", "per_query", "pairs")}
    assert Row.from_dict(values) == replace(ROW, per_query=(), pairs=None)


def test_a_run_is_named_by_all_that_it_depends_on_in_any_order():
    key = run_key(seed=0, recipe={"bits": 4, "dim": 2})
    assert key == run_key(recipe={"dim": 2, "bits": 4}, seed=0)
    others = [
        run_key(seed=1, recipe={"bits": 4, "dim": 2}),
        run_key(seed=0, recipe={"bits": 2, "dim": 4}),
        run_key(seed=0, recipe={"bits": 4, "dim": 2}, pairs=None),
    ]
    assert len({key, *others}) == 4
    assert len(key) == 24


@pytest.mark.parametrize("models", [("one", "two"), ["one", "two"]])
def test_a_tuple_and_what_json_makes_of_it_are_one_run(models):
    assert run_key(models=models) == run_key(models=("one", "two"))
