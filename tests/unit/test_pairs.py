import json
import re

import numpy as np
import pytest

from helpers import unit
from vecpress.corpus import Corpus
from vecpress.encoders.precomputed import Vectors, open_vectors, write_vectors
from vecpress.errors import ConfigError, DataError, ShapeError
from vecpress.pairs import Pairs, read_pairs
from vecpress.stages import Image
from vecpress.strings import Numbers

PNG = bytes.fromhex(  # one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)
CORPUS = Corpus(
    ids=("d0", "d1", "d2", "d3", "d4"),
    texts=("green tea", "black tea", "coffee", "green tea", "7"),
)


@pytest.fixture
def beir(tmp_path):
    """Three judged queries, q9 first in the file of queries; one document is not in the corpus."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    lines = [{"_id": i, "text": t} for i, t in [("q9", "nine"), ("q5", "unjudged"), ("q1", "one"),
                                                 ("q3", "three")]]  # fmt: skip
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    documents = [{"_id": i, "text": t} for i, t in zip(CORPUS.ids, CORPUS.texts, strict=True)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    rows = ["q1\td2\t2", "q1\td0\t1", "q9\tgone\t1", "q9\td2\t0", "q3\td4\t-1", "q3\td1\t3"]
    (folder / "qrels" / "train.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n"
    )
    return folder


def by_text(pairs):
    """Give each judgement as query, row of the document and grade."""
    names = pairs.queries.texts
    return {
        (names[q], int(d)): float(g) for (q, d), g in zip(pairs.rows, pairs.grades, strict=True)
    }


def test_a_folder_is_read_with_its_grades(beir):
    pairs = read_pairs(beir, CORPUS)
    assert by_text(pairs) == {
        ("one", 2): 2, ("one", 0): 1, ("nine", 2): 0, ("three", 4): 0, ("three", 1): 3
    }  # fmt: skip
    assert pairs.queries.ids == ("q1", "q9", "q3")
    assert (pairs.skipped, len(pairs), pairs.rows.dtype) == (1, 5, np.int64)
    assert pairs.grades.dtype == np.float32
    assert pairs.name == f"{beir}/qrels/train.tsv"


def test_another_corpus_keeps_the_judgements_of_its_own_documents(beir):
    pairs = read_pairs(beir, Corpus(ids=("x", "d1"), texts=("", "black tea")))
    assert by_text(pairs) == {("three", 1): 3}
    assert pairs.skipped == 5


def test_another_split(beir):
    (beir / "qrels" / "dev.tsv").write_text("q5\td3\t1\n")
    assert by_text(read_pairs(beir, CORPUS, split="dev")) == {("unjudged", 3): 1}
    with pytest.raises(DataError, match=r"no judgements qrels/new.tsv; there is dev, train"):
        read_pairs(beir, CORPUS, split="new")


ROWS = [("what wakes", "d2", 2), ("what is green", "green tea", 1.5), ("what wakes", "lost", 1),
        ("what wakes", "7", -3), ("what is green", "d1", 0)]  # fmt: skip


def write_rows(path, rows, names=("query", "document", "score")):
    records = [dict(zip(names, row, strict=False)) for row in rows]
    if path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(records), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, records)))
    else:
        between = {".csv": ",", ".tsv": "\t"}[path.suffix]
        path.write_text("\n".join(between.join(map(str, row)) for row in [names, *rows]))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet"])
def test_rows_name_a_document_by_id_or_by_its_text(tmp_path, kind):
    """A text that two documents have judges both; an id comes before a text."""
    pairs = read_pairs(write_rows(tmp_path / f"p.{kind}", ROWS), CORPUS)
    assert by_text(pairs) == {
        ("what wakes", 2): 2, ("what wakes", 4): 0, ("what is green", 0): 1.5,
        ("what is green", 3): 1.5, ("what is green", 1): 0,
    }  # fmt: skip
    assert pairs.skipped == 1
    assert pairs.queries.ids == ("0", "1")


def test_an_id_comes_before_a_text(tmp_path):
    corpus = Corpus(ids=("a", "b"), texts=("b", "x"))
    assert by_text(read_pairs(write_rows(tmp_path / "p.csv", [("q", "b", 1)]), corpus)) == {
        ("q", 1): 1
    }


def test_images_are_judged_by_id_or_path_and_may_ask(tmp_path, beir):
    images = Corpus(ids=("a.png", "b.png"), texts=(Image("x/a.png"), Image("x/b.png")))
    rows = [("cat", "a.png", 1), ("cat", "x/b.png", 2)]
    pairs = read_pairs(write_rows(tmp_path / "p.csv", rows), images)
    assert by_text(pairs) == {("cat", 0): 1, ("cat", 1): 2}
    (beir / "qrels" / "train.tsv").write_text("q1\ta.png\t1")
    (beir / "cat.png").write_bytes(PNG)
    (beir / "queries.jsonl").write_text('{"_id": "q1", "image": "cat.png"}')
    asked = read_pairs(beir, images)
    assert asked.queries.texts == (Image(str(beir / "cat.png")),)
    with pytest.raises(DataError, match="every query of"):
        asked.without(asked.queries.texts)


def test_rows_without_scores_are_answers(tmp_path):
    path = write_rows(tmp_path / "p.jsonl", [("a", "d0"), ("a", "d1"), ("b", "d2")])
    pairs = read_pairs(path, CORPUS)
    np.testing.assert_array_equal(pairs.grades, [1, 1, 1])
    np.testing.assert_array_equal(pairs.rows, [[0, 0], [0, 1], [1, 2]])


def test_the_same_judgement_twice_counts_once(tmp_path):
    rows = [("a", "d0", 1), ("a", "d0", 1.0), ("a", "green tea", 1), ("a", "d1", 2)]
    pairs = read_pairs(write_rows(tmp_path / "p.jsonl", rows), CORPUS)
    assert by_text(pairs) == {("a", 0): 1, ("a", 3): 1, ("a", 1): 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", "d0", 1), ("a", "d0", 2)],
            "record 2 of p.jsonl grades the document 'd0' with 2 for the query 'a', and an earlier "
            "record with 1: keep one of them",
        ),
        ([("a", "d0", 1), ("a", "green tea", 2)], "the document 'green tea' with 2 for the query"),
        ([("a", "d0", 1), (" ", "d1", 1)], "record 2 of p.jsonl has an empty query: fill it in"),
        ([("a", "", 1)], "record 1 of p.jsonl has an empty document"),
        (
            [("a", "d0", float("nan"))],
            "score of record 1 of p.jsonl must be a finite number, got n",
        ),
        ([("a", "d0", "high")], "must be a finite number, got 'high'"),
        ([("a", "d0", 1), ("b", "d1")], "record 2 of p.jsonl has no score, but others have"),
        ([("a", "d0", None), ("b", "d1", 1)], "record 1 of p.jsonl has no score, but others have"),
        ([("a",)], "needs the fields 'query' and 'document', and 'score' if they are graded; got"),
        (
            [(["a"], "d0", 1)],
            "got ['a'] as 'query' among the fields ['document', 'query', 'score']",
        ),
        (
            [("a", "x", 1), ("b", "y", 1)],
            "none of the 2 judgements in p.jsonl is of a document in the corpus, such as 'x'",
        ),
        ([("a", "d0", 0), ("b", "d1", -1)], "p.jsonl hold no score above 0"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path, monkeypatch, rows, message):
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "p.jsonl", rows)
    with pytest.raises(DataError) as raised:
        read_pairs("p.jsonl", CORPUS)
    assert message in str(raised.value)


def test_a_folder_that_cannot_be_used_is_said(beir, tmp_path):
    with pytest.raises(DataError, match=r"gone does not exist: give a BEIR folder, or a .jsonl"):
        read_pairs(tmp_path / "gone", CORPUS)
    qrels = beir / "qrels" / "train.tsv"
    qrels.write_text("q7\td0\t1\n")
    with pytest.raises(DataError, match="judges the query 'q7', which is not in its queries"):
        read_pairs(beir, CORPUS)
    (beir / "queries.jsonl").write_text('{"_id": "q7", "text": " "}')
    with pytest.raises(DataError, match=r"the query 'q7' of .* is empty: fill it in, or remove it"):
        read_pairs(beir, CORPUS)


def test_a_row_may_name_vectors_by_number(tmp_path):
    path = write_rows(tmp_path / "p.jsonl", [(3, 10, 2), (1, 0, 1), (3, "11", 1), (1, 12, 1)])
    queries = unit(5, 4, seed=1)
    pairs = read_pairs(path, unit(12, 4), queries=queries * 3)
    np.testing.assert_allclose(pairs.queries, queries[[3, 1]], atol=1e-6)
    np.testing.assert_array_equal(pairs.rows, [[0, 10], [1, 0], [0, 11]])
    np.testing.assert_array_equal(pairs.grades, [2, 1, 1])
    assert pairs.skipped == 1


def test_vectors_with_ids_are_named_by_them(tmp_path):
    write_vectors(tmp_path / "d.parquet", unit(3, 4), ("x", "y", "0"))
    write_vectors(tmp_path / "q.parquet", unit(3, 4, seed=1), ("2", "1", "0"))
    documents, queries = (open_vectors(tmp_path / f"{n}.parquet") for n in "dq")
    path = write_rows(tmp_path / "p.csv", [("2", "y", 1), ("0", "0", 1)])
    pairs = read_pairs(path, documents, queries=queries)
    np.testing.assert_allclose(pairs.queries, queries.array[[0, 2]], atol=1e-6)
    np.testing.assert_array_equal(pairs.rows, [[0, 1], [1, 2]])


@pytest.mark.parametrize("name", ["5", "-1", "1.0", "01", "\u0661", "1" * 5000, "x"])
def test_what_is_no_row_number_is_no_query(tmp_path, name):
    path = write_rows(tmp_path / "p.jsonl", [(name, 0, 1)])
    if name == "01":  # a row number all the same
        assert len(read_pairs(path, unit(12, 4), queries=unit(10, 4))) == 1
        return
    with pytest.raises(DataError, match="which is not among the 5 query vectors: name queries by"):
        read_pairs(path, unit(12, 4), queries=unit(5, 4))


def test_a_folders_vectors_stand_in_its_order(beir):
    """As for `evaluate`: the queries judged in the split, in the order of queries.jsonl."""
    queries = unit(3, 4, seed=1)  # q9, q1, q3
    pairs = read_pairs(beir, unit(5, 4), queries=queries)
    np.testing.assert_allclose(pairs.queries, queries[[1, 0, 2]], atol=1e-6)
    np.testing.assert_array_equal(pairs.rows, [[0, 2], [0, 0], [1, 2], [2, 4], [2, 1]])
    assert pairs.skipped == 1


def test_a_folders_vectors_may_have_ids_of_their_own(beir):
    documents = Vectors(unit(2, 4), ("d1", "d2"))
    queries = Vectors(unit(4, 4, seed=1), ("q5", "q3", "q1", "q9"))
    (beir / "corpus.jsonl").unlink()
    pairs = read_pairs(beir, documents, queries=queries)
    np.testing.assert_allclose(pairs.queries, queries.array[[2, 3, 1]], atol=1e-6)
    np.testing.assert_array_equal(pairs.rows, [[0, 1], [1, 1], [2, 0]])
    assert pairs.skipped == 3


def test_vectors_that_do_not_fit_are_said(beir, tmp_path):
    five, three = unit(5, 4), unit(3, 4)
    with pytest.raises(ConfigError, match="documents given as vectors need their queries as vec"):
        read_pairs(beir, five)
    with pytest.raises(ConfigError, match="encode the queries too: leave their vectors out"):
        read_pairs(beir, CORPUS, queries=three)
    with pytest.raises(DataError, match="has 5 documents, got 6 vectors: give one per line of its"):
        read_pairs(beir, unit(6, 4), queries=three)
    with pytest.raises(DataError, match="has 3 judged queries, got 4 vectors: give one per query"):
        read_pairs(beir, five, queries=unit(4, 4))
    with pytest.raises(DataError, match="asks the query 'q9', which is not among the 3 query vec"):
        read_pairs(beir, five, queries=Vectors(three, ("q1", "q3", "q5")))
    bad = three.copy()
    bad[0, 1] = np.inf
    with pytest.raises(DataError, match=r"the query vectors must be finite.* the first is row 0:"):
        read_pairs(beir, five, queries=bad)


def test_only_the_judged_rows_of_a_memory_map_are_read(tmp_path):
    queries = unit(9, 4, seed=1)
    queries[0] = np.nan
    np.save(tmp_path / "q.npy", queries)
    path = write_rows(tmp_path / "p.csv", [(8, 1, 1)])
    pairs = read_pairs(path, unit(3, 4), queries=open_vectors(tmp_path / "q.npy"))
    np.testing.assert_allclose(pairs.queries, queries[[8]], atol=1e-6)


def make(rows=((0, 1), (1, 0)), grades=(1, 0), queries=2, dtype=np.int64):
    names = tuple(f"q{i}" for i in range(queries))
    return Pairs(
        queries=Corpus(ids=names, texts=tuple(f"text of {n}" for n in names)),
        rows=np.array(rows, dtype),
        grades=np.array(grades, np.float32),
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(grades=(1, 0, 1)), ShapeError, "got int64 of shape (2, 2) and 3 grades"),
        (dict(rows=((0, 1, 2), (1, 0, 2))), ShapeError, "got int64 of shape (2, 3) and 2 grades"),
        (dict(dtype=np.float32), ShapeError, "got float32 of shape (2, 2) and 2 grades"),
        (dict(grades=(1, -1)), DataError, "must have finite grades of at least 0"),
        (dict(grades=(1, np.nan)), DataError, "must have finite grades of at least 0"),
        (dict(grades=(0, 0)), DataError, "the judgements hold no score above 0"),
        (dict(rows=((0, 1), (0, 1))), DataError, "hold a pair of query and document twice"),
        (dict(rows=((0, 1), (2, 1))), DataError, "ask with the queries 0 to 2, but there are 2"),
        (dict(rows=((0, 1), (-1, 1))), DataError, "ask with the queries -1 to 0, but there are 2"),
    ],
)
def test_pairs_that_contradict_themselves_are_refused(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make(**options)


def test_the_digest_sees_every_part():
    one = make()
    others = [make(rows=((0, 1), (1, 2))), make(grades=(1, 0.5)), make(queries=3)]
    assert one.digest == make().digest
    assert len({one.digest, *(other.digest for other in others)}) == 4
    x = unit(2, 4)
    vectors = [Pairs(queries=v, rows=one.rows, grades=one.grades) for v in (x, -x)]
    assert vectors[0].digest != vectors[1].digest


def test_queries_that_are_scored_are_left_out():
    pairs = make(rows=((0, 5), (1, 6), (2, 7), (2, 5)), grades=(1, 1, 2, 0), queries=3)
    left = pairs.without(["text of q1", "another"])
    assert left.queries.texts == ("text of q0", "text of q2")
    np.testing.assert_array_equal(left.rows, [[0, 5], [1, 7], [1, 5]])
    np.testing.assert_array_equal(left.grades, [1, 2, 0])
    assert (left.shared, left.record()["shared"], pairs.shared) == (1, 1, 0)
    np.testing.assert_array_equal(pairs.rows, [[0, 5], [1, 6], [2, 7], [2, 5]])
    assert pairs.without(["another"]).shared == 0
    with pytest.raises(DataError, match="every query of the judgements is among those that are"):
        pairs.without(pairs.queries.texts)


def test_they_are_counted():
    pairs = make(rows=((0, 5), (1, 5), (1, 7)), grades=(1, 1, 2))
    record = pairs.record()
    assert record.pop("digest") == pairs.digest
    assert record == {"judgements": 3, "queries": 2, "documents": 2, "skipped": 0, "shared": 0}


def test_bare_vectors_and_numbered_ones_are_the_same(tmp_path):
    path = write_rows(tmp_path / "p.csv", [(0, 1, 1)])
    x, q = unit(3, 4), unit(2, 4)
    one = read_pairs(path, x, queries=q)
    other = read_pairs(path, Vectors(x, Numbers(3)), queries=Vectors(q, Numbers(2)))
    assert one.digest == other.digest
