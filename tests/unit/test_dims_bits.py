"""The table of widths and bits, against what `evaluate` says of presses fitted to each cell."""

from dataclasses import replace

import numpy as np
import pytest

import toys
from helpers import unit
from vecpress.compressors.concat_decoder import ConcatDecoder
from vecpress.compressors.linear import PCA
from vecpress.errors import ConfigError
from vecpress.evaluate import evaluate, score_floats
from vecpress.exports.dims_bits import BITS, dims_bits_table, sizes, widths
from vecpress.head import chain
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Gaussian, Int8, Percentile
from vecpress.recipe import Recipe

BENCHMARK = toys.benchmark(n=300, queries=30)


def fit(quantizer=None, head=None):
    recipe = Recipe(models=("toys:A", "toys:B"), head=head or PCA(dim=12), quantizer=quantizer)
    return Pipeline.fit(recipe, BENCHMARK.corpus)


@pytest.fixture(scope="module")
def pipeline():
    return fit(Percentile(bits=2))


@pytest.fixture(scope="module")
def table(pipeline):
    return dims_bits_table(pipeline, BENCHMARK)


def test_every_cell_is_what_evaluate_says_of_a_press_of_that_width_and_those_bits(pipeline, table):
    raw = pipeline.encoder.encode(BENCHMARK.corpus.texts)
    wide = replace(pipeline, head=pipeline.head.truncate(12))
    for cell in table.cells:
        cut = wide.truncate(cell.dim)
        if cell.bits < 32:
            codec = Percentile(bits=cell.bits).fit(cut.compress(raw))
            cut = replace(cut, codec=codec)
            assert cell.bytes_per_vector == codec.code_bytes
        told = evaluate(cut, BENCHMARK)
        np.testing.assert_allclose(cell.ndcg, told.scores.means()["ndcg@10"], rtol=1e-6)
        np.testing.assert_allclose(table.recovery(cell.ndcg), told.recovery, rtol=1e-6)


def test_the_press_itself_and_what_it_is_measured_against_are_told(pipeline, table):
    told = evaluate(pipeline, BENCHMARK)
    assert table.own_ndcg == pytest.approx(told.scores.means()["ndcg@10"])
    assert table.own_bytes == told.bytes_per_vector == 3
    assert table.baseline == pytest.approx(told.baseline.means()["ndcg@10"])
    assert (table.benchmark, table.queries, table.documents) == ("stories", 30, 300)


def test_widths_and_bits_stand_in_their_order(table):
    assert [(c.dim, c.bits) for c in table.cells] == [(12, bits) for bits in BITS]
    assert table.dims == (12,)
    assert table.at(12, 4).bytes_per_vector == 6
    assert table.at(7, 4) is None


def test_too_few_documents_leave_a_cell_out():
    small = toys.benchmark(n=40, queries=5)
    table = dims_bits_table(fit(), small)
    assert [cell.bits for cell in table.cells] == [32, 4, 2, 1]
    assert table.at(12, 8) is None


def test_judgements_choose_nothing():
    """Other judgements, the same bytes; the scores alone move."""
    pipeline = fit(Percentile(bits=2))
    other = replace(BENCHMARK, qrels={q: {"d9": 1} for q in BENCHMARK.qrels})
    one, two = (dims_bits_table(pipeline, data) for data in (BENCHMARK, other))
    kept = [[(c.dim, c.bits, c.bytes_per_vector) for c in table.cells] for table in (one, two)]
    assert kept[0] == kept[1]
    assert one.baseline != two.baseline


def test_bytes_are_counted_without_a_benchmark(pipeline):
    counted = sizes(pipeline)
    assert {(c.bits, c.bytes_per_vector) for c in counted.cells} == {
        *((32, 48), (8, 12), (4, 6), (2, 3), (1, 2))
    }
    assert all(cell.ndcg is None for cell in counted.cells)


@pytest.mark.parametrize(
    ("quantizer", "name"),
    [
        (Percentile(bits=2, rotate=True), "Percentile, rotated"),
        (Gaussian(bits=3), "Gaussian, rotated"),
        (Int8(), "Percentile"),
        (None, "Percentile"),
    ],
)
def test_the_press_s_own_quantizer_is_asked_where_it_has_bits_per_dimension(quantizer, name):
    assert sizes(fit(quantizer)).coder == name


def test_widths_are_those_of_the_head():
    pipeline = fit()
    assert widths(replace(pipeline, head=None)) == (16,)
    chained = replace(pipeline, head=chain([pipeline.head, pipeline.head.truncate(5)]))
    assert widths(chained) == (12, 5)
    named = ConcatDecoder(dim=12, nested_dims=(4, 12))
    assert widths(replace(pipeline, recipe=replace(pipeline.recipe, head=named))) == (12, 4)
    cut = replace(pipeline.truncate(6), recipe=replace(pipeline.recipe, head=named))
    assert widths(cut) == (6, 4)


def test_widths_that_nobody_named_are_halved_down_to_32():
    rows = unit(600, 300)
    wide = Pipeline.fit(Recipe(head=PCA(dim=300)), rows)
    assert widths(wide) == (300, 150, 75, 37)


def test_a_chained_width_is_measured_by_its_own_map():
    pipeline = fit()
    lower = replace(fit(head=PCA(dim=5, centre=True)).head)
    chained = replace(pipeline, head=chain([pipeline.head, lower]))
    table = dims_bits_table(chained, BENCHMARK)
    rows = [pipeline.encoder.encode(t.texts) for t in (BENCHMARK.corpus, BENCHMARK.queries)]
    wanted = score_floats(lower.compress(rows[0]), lower.compress(rows[1]), BENCHMARK)
    assert table.at(5, 32).ndcg == pytest.approx(wanted.means()["ndcg@10"])


def test_a_press_of_vectors_has_no_texts_to_measure():
    pipeline = Pipeline.fit(Recipe(head=PCA(dim=4)), unit(50, 8))
    with pytest.raises(ConfigError, match="this press was fitted on precomputed vectors"):
        dims_bits_table(pipeline, BENCHMARK)
