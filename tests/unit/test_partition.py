"""Reading some lists only: which ones, how many, and that nothing in them is missed."""

import numpy as np
import pytest

from helpers import unit
from vecpress.decoded_scan import scan_blocks
from vecpress.errors import ConfigError, ShapeError
from vecpress.partition import Partition, search_partitioned
from vecpress.quantizers.hashing import LearnedHash
from vecpress.quantizers.scalar import Percentile
from vecpress.scan import Scanner

ENDS = (30, 31, 90, 150, 151, 300)


class Lists:
    """300 codes in six lists, put together by hand, and what scans them."""

    def __init__(self, quantizer=None, *, dead=None):
        documents = unit(300, 12)
        self.codec = (quantizer or Percentile(bits=4)).fit(documents)
        self.codes = self.codec.quantize(documents)
        self.partition = Partition(
            centroids=unit(6, 12, seed=1),
            ends=np.array(ENDS, np.int64),
            depths=np.array([10, 100], np.int64),
            recall=np.array(
                [[0.5, 0.8, 0.9, 0.95, 1, 1], [0.3, 0.5, 0.7, 0.8, 0.9, 1]], np.float32
            ),
        )
        self.scanner, self.dead, self.scans = Scanner(self.codec), dead, 0

    def scan(self, ranges, queries, k):
        self.scans += 1
        if ranges is None:
            return self.scanner.scan(self.codes, queries, k, dead=self.dead)
        return self.scanner.scan_each(self.codes, queries, k, ranges, dead=self.dead)

    def best(self, query, nprobe):
        """List the rows of the best lists, straight from the definition."""
        lists = np.argsort(-(self.partition.centroids @ query))[:nprobe]
        starts = (0, *ENDS)
        return np.sort(np.concatenate([np.arange(starts[i], ENDS[i]) for i in lists]))


@pytest.mark.parametrize(
    ("recall", "k", "nprobe"),
    [
        *((0.4, 10, 1), (0.5, 10, 1), (0.51, 10, 2), (0.9, 10, 3), (0.95, 3, 4), (0.96, 10, 5)),
        *((0.9, 11, 5), (0.3, 100, 1), (0.3, 101, 6), (1.0, 1, 6)),
    ],
)
def test_as_few_lists_are_read_as_were_measured_to_be_enough(recall, k, nprobe):
    assert Lists().partition.nprobe_for(recall, k=k) == nprobe


@pytest.mark.parametrize("nprobe", [1, 2, 5, 6])
def test_the_best_lists_are_read_from_first_row_to_last(nprobe):
    lists, queries = Lists(), unit(9, 12, seed=2)
    ranges = lists.partition.probe(queries, nprobe=nprobe)
    assert ranges.shape == (9, nprobe, 2)
    assert ranges.dtype == np.int64
    for query, mine in zip(queries, ranges, strict=True):
        rows = np.concatenate([np.arange(start, end) for start, end in mine])
        np.testing.assert_array_equal(rows, lists.best(query, nprobe))


@pytest.mark.parametrize("quantizer", [Percentile(bits=4), LearnedHash(bits=12)], ids=str)
def test_nothing_in_the_lists_that_are_read_is_missed(quantizer, monkeypatch):
    monkeypatch.setattr("vecpress.partition._QUERIES", 4)
    lists = Lists(quantizer)
    queries = lists.codec.project(unit(9, 12, seed=2))
    rows, scores = search_partitioned(lists.scan, lists.partition, queries, 20, nprobe=3)
    for query, found, score in zip(queries, rows, scores, strict=True):
        read = lists.best(query, 3)
        expected, right = scan_blocks(lists.codec, lists.codes[read], query[None], 20)
        np.testing.assert_allclose(score, right[0], atol=1e-6)
        np.testing.assert_array_equal(found, read[expected[0]])


def test_a_recall_of_1_is_the_exact_answer_in_one_scan():
    lists, queries = Lists(), unit(9, 12, seed=2)
    rows, scores = search_partitioned(lists.scan, lists.partition, queries, 20, recall=1.0)
    expected, right = scan_blocks(lists.codec, lists.codes, queries, 20)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, right, atol=1e-6)
    assert lists.scans == 1


def test_of_equal_scores_the_lower_row_comes_first():
    lists = Lists()
    lists.codes[:] = lists.codes[:1]
    rows, _ = search_partitioned(lists.scan, lists.partition, unit(5, 12, seed=2), 20, nprobe=4)
    for query, found in zip(unit(5, 12, seed=2), rows, strict=True):
        np.testing.assert_array_equal(found, lists.best(query, 4)[:20])


def test_more_lists_are_read_where_the_best_hold_too_few():
    lists = Lists()
    query = lists.partition.centroids[1:2]  # the list of one document
    rows, _ = search_partitioned(lists.scan, lists.partition, query, 20, nprobe=1)
    widened = lists.best(query[0], 2)
    assert len(widened) > 20
    expected, _ = scan_blocks(lists.codec, lists.codes[widened], query, 20)
    np.testing.assert_array_equal(rows[0], widened[expected[0]])


def test_the_deleted_are_no_answer_and_fewer_are_given_where_fewer_live():
    dead = np.ones(300, bool)
    dead[[5, 30, 200, 299]] = False
    lists = Lists(dead=dead)
    rows, scores = search_partitioned(
        lists.scan, lists.partition, unit(7, 12, seed=2), 20, nprobe=1
    )
    assert rows.shape == scores.shape == (7, 4)
    np.testing.assert_array_equal(np.sort(rows), np.tile([5, 30, 200, 299], (7, 1)))
    assert (np.diff(scores) <= 0).all()


def test_no_queries_have_no_answers():
    lists = Lists()
    none = np.zeros((0, 12), np.float32)
    rows, scores = search_partitioned(lists.scan, lists.partition, none, 20, nprobe=2)
    assert rows.shape == scores.shape == (0, 20)


def test_bad_requests_name_the_values():
    lists, queries = Lists(), unit(2, 12)
    partition = lists.partition
    for recall in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=rf"^recall must be above 0 .*, got {recall}$"):
            partition.nprobe_for(recall)
    for nprobe in (0, 7):
        with pytest.raises(
            ConfigError, match=rf"^nprobe must be between 1 and the 6 lists, got {nprobe}$"
        ):
            search_partitioned(lists.scan, partition, queries, 3, nprobe=nprobe)
    with pytest.raises(ConfigError, match=r"^give either recall or nprobe, got 0\.9 and 3$"):
        search_partitioned(lists.scan, partition, queries, 3, recall=0.9, nprobe=3)
    with pytest.raises(ConfigError, match=r"^give either recall or nprobe, got None and None$"):
        search_partitioned(lists.scan, partition, queries, 3)
    with pytest.raises(
        ShapeError, match=r"^this partition takes projected queries of 12 dim.*, got shape \(2, 5\)"
    ):
        search_partitioned(lists.scan, partition, unit(2, 5), 3, recall=0.9)
