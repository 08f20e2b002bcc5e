"""The spine's claims on real collections: `pytest -m slow tests/claims` (about 15 minutes of encoding)."""

import os
from pathlib import Path

import pytest

from vecpress import Recipe, read_benchmark
from vecpress.compare import compare
from vecpress.comparison import Comparison

pytestmark = pytest.mark.slow
DATA = Path(os.environ.get("VECPRESS_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    if not (DATA / "scifact").is_dir():
        pytest.skip(f"no collections in {DATA}: set VECPRESS_DATA")
    cache = Path(os.environ.get("VECPRESS_CACHE", tmp_path_factory.mktemp("cache")))
    benchmark = read_benchmark(DATA / "scifact")
    recipe = Recipe(models=("minilm", "wordllama"))
    return compare(benchmark, Comparison(recipe=recipe, budgets=(64, 128), cache=cache))


def test_two_models_side_by_side_beat_each_alone(rows):
    score = {row.group: row.measures["ndcg@10"] for row in rows}
    singles = [row.measures["ndcg@10"] for row in rows if row.group == "single model"]
    assert len(singles) == 2
    assert score["concatenation"] >= 0.655
    assert score["concatenation"] > max(singles)


def test_chosen_codes_keep_what_was_promised(rows):
    kept = {row.budget: row.recovery for row in rows if row.group == "chosen"}
    assert kept[128] >= 0.98
    assert kept[64] >= 0.96
    assert all(row.bytes_per_vector <= row.budget for row in rows if row.budget)
