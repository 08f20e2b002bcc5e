"""Our measures against trec_eval's own code."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress.evaluate import measure


def reference(run, qrels):
    cut = {
        q: dict(sorted(a.items(), key=lambda x: (x[1], x[0]))[::-1][:10]) for q, a in run.items()
    }
    whole = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100"}).evaluate(run)
    first = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)
    keys = [("ndcg_cut_10", whole), ("recall_100", whole), ("recip_rank", first)]
    return np.array([[values.get(q, {}).get(key, 0.0) for q in qrels] for key, values in keys])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_equal_to_pytrec_eval(data):
    """Ties, graded and negative judgements, unjudged answers, missing queries, long rankings."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n = data.draw(st.sampled_from([1, 3, 30, 150]))
    levels = data.draw(st.sampled_from([2, 5, 1000]))
    qrels, run = {}, {}
    for q in range(4):
        judged = rng.choice(n, size=min(n, 12), replace=False)
        qrels[f"q{q}"] = {f"d{i}": int(rng.integers(-1, 4)) for i in judged}
        qrels[f"q{q}"][f"d{judged[0]}"] = 1
        if q:
            run[f"q{q}"] = {f"d{i}": float(rng.integers(0, levels)) for i in range(n)}
    ours = measure({q: list(a.items()) for q, a in run.items()}, qrels)
    theirs = reference(run, qrels)
    np.testing.assert_allclose([ours.ndcg, ours.recall, ours.mrr], theirs, atol=1e-6)


def test_a_ranking_of_a_thousand_is_cut_as_trec_eval_cuts():
    rng = np.random.default_rng(1)
    run = {"q": {f"d{i}": float(s) for i, s in enumerate(rng.normal(size=1000).round(2))}}
    qrels = {"q": {f"d{i}": int(i % 3) for i in range(0, 1000, 7)}}
    ours = measure({"q": list(run["q"].items())}, qrels)
    np.testing.assert_allclose([ours.ndcg, ours.recall, ours.mrr], reference(run, qrels), atol=1e-6)
    assert ours.unanswered == 0
    assert ours.ndcg[0] == pytest.approx(reference(run, qrels)[0, 0])
