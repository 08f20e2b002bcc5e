"""A stream gives, in parts, what reading the whole file gives."""

import csv
import gzip
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress import streams
from vecpress.corpus import Corpus, read_corpus
from vecpress.encoders.precomputed import open_vectors, write_vectors
from vecpress.errors import ConfigError, DataError
from vecpress.streams import open_stream

KINDS = ["jsonl", "jsonl.gz", "csv", "parquet", "txt"]


def write(path, records):
    """Write records as the file's name says."""
    lines = "".join(json.dumps(record) + "\n" for record in records)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines.encode()))
    elif path.suffix == ".jsonl":
        path.write_text(lines)
    elif path.suffix == ".txt":
        path.write_text("".join(record["text"] + "\n" for record in records))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["_id", "title", "text"])
            table.writeheader()
            table.writerows(records)
    else:
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=5)
    return path


def records(n):
    return [
        {"_id": f"d{i}", "title": f"title {i}" if i % 3 else "", "text": f"text {i} " + "é" * i}
        for i in range(n)
    ]


def joined(stream, rows, start=0):
    """Put the blocks of a stream of texts together, and check that they follow each other."""
    blocks = list(stream.blocks(rows, start))
    ids, texts = [], []
    for block in blocks:
        assert block.rows.start == start + len(ids)
        assert block.rows.stop // rows * rows == block.rows.stop or block is blocks[-1]
        ids += block.ids
        texts += block.documents.texts
        assert block.rows.stop == start + len(ids)
    return tuple(ids), tuple(texts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "start"), [(1, 0), (4, 0), (4, 8), (100, 0), (7, 21), (5, 23)])
def test_blocks_of_texts_are_the_corpus(tmp_path, kind, rows, start):
    path = write(tmp_path / f"texts.{kind}", records(23))
    whole = read_corpus(path)
    assert joined(open_stream(str(path), vectors=False), rows, start) == (
        whole.ids[start:],
        whole.texts[start:],
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_blocks_of_any_file_are_the_corpus(tmp_path_factory, data):
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    ids = data.draw(st.lists(text, unique=True, min_size=1, max_size=30))
    made = [{"_id": id_, "text": data.draw(text), "title": data.draw(text)} for id_ in ids]
    for record in made:
        if data.draw(st.integers(0, 9)) == 0:
            record["_id"] = None
    path = write(tmp_path_factory.mktemp("any") / "texts.jsonl", made)
    stream = open_stream(str(path), vectors=False)
    try:
        whole = read_corpus(path)
    except DataError as error:  # a number that a record got is another's id
        with pytest.raises(DataError, match=re.escape(str(error))):
            _ = stream.source
        return
    assert joined(stream, data.draw(st.integers(1, 40))) == (whole.ids, whole.texts)
    assert stream.source == (len(whole), whole.digest)


@pytest.mark.parametrize("kind", KINDS)
def test_a_survey_gives_number_and_digest_of_the_corpus(tmp_path, kind):
    path = write(tmp_path / f"texts.{kind}", records(40))
    whole = read_corpus(path)
    assert open_stream(str(path), vectors=False).source == (40, whole.digest)


def test_long_texts_make_short_blocks_that_still_end_at_multiples(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_CHARACTERS", 30)
    path = write(tmp_path / "t.jsonl", [{"text": "x" * 14} for _ in range(20)])
    ends = [b.rows.stop for b in open_stream(str(path), vectors=False).blocks(8)]
    assert ends == [3, 6, 8, 11, 14, 16, 19, 20]


def test_the_corpus_of_a_folder_is_streamed(tmp_path):
    write(tmp_path / "corpus.jsonl", records(5))
    stream = open_stream(str(tmp_path), vectors=False)
    assert stream.source == (5, read_corpus(tmp_path).digest)


@pytest.mark.parametrize(
    "lines",
    [
        [{"text": "a"}, {"title": "no text"}],
        [{"text": "a"}, {"text": "b", "_id": "0"}],
        [{"_id": "same", "text": "a"}, {"_id": "x", "text": "b"}, {"_id": "same", "text": "c"}],
        [{"text": "a"}, {"text": "half \ud800"}],
    ],
)
def test_what_a_corpus_refuses_a_stream_refuses_in_the_same_words(tmp_path, lines):
    path = write(tmp_path / "bad.jsonl", lines)
    with pytest.raises(DataError) as whole:
        read_corpus(path)
    with pytest.raises(DataError) as parts:
        _ = open_stream(str(path), vectors=False).source
    assert str(parts.value) == str(whole.value)


def test_a_bad_record_is_numbered_through_all_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_ROWS", 4)
    path = write(tmp_path / "bad.jsonl", [*records(10), {"_id": "x"}])
    with pytest.raises(DataError, match=f"record 11 of {re.escape(str(path))} needs a string"):
        _ = open_stream(str(path), vectors=False).source
    path.write_text('{"text": "good"}\n' * 6 + "{bad\n")
    with pytest.raises(DataError, match=r"line 7 of .* is not JSON"):
        _ = open_stream(str(path), vectors=False).source


def test_blank_lines_alone_are_no_texts(tmp_path):
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"blank\.txt is empty: it must hold at least one text"):
        _ = open_stream(str(tmp_path / "blank.txt"), vectors=False).source


def test_stdin_cannot_be_read_twice():
    with pytest.raises(ConfigError, match="stdin can be read only once"):
        open_stream("-", vectors=False)


def gathered(stream, rows=None, start=0):
    """Put blocks of vectors together."""
    arrays, ids, number = [], [], start
    for block in stream.blocks(rows, start):
        assert block.rows == slice(number, number + len(block.documents))
        number = block.rows.stop
        assert rows is None or number % rows == 0 or number == len(stream)
        arrays.append(block.documents)
        ids += block.ids or ()
    return np.concatenate(arrays), ids


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2", ">f4", "i1"])
@pytest.mark.parametrize(("rows", "start"), [(1, 0), (5, 0), (5, 10), (100, 0), (7, 3)])
def test_blocks_of_vectors_are_the_matrix(tmp_path, rng, dtype, rows, start):
    matrix = rng.normal(0, 9, size=(23, 6)).astype(dtype)
    np.save(tmp_path / "v.npy", matrix)
    found, ids = gathered(open_stream(str(tmp_path / "v.npy"), vectors=True), rows, start)
    np.testing.assert_array_equal(found, matrix[start:])
    assert found.dtype == matrix.dtype.newbyteorder("=")
    assert ids == []


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40),
    group=st.integers(1, 20),
    rows=st.integers(1, 50),
    start=st.integers(0, 40),
    named=st.booleans(),
)
def test_blocks_of_a_table_are_its_vectors(tmp_path_factory, n, group, rows, start, named):
    matrix = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    table = {"vector": list(matrix)} | ({"id": [f"r{i}" for i in range(n)]} if named else {})
    path = tmp_path_factory.mktemp("table") / "v.parquet"
    pq.write_table(pa.table(table), path, row_group_size=group)
    stream = open_stream(str(path), vectors=True)
    if start >= n:
        assert list(stream.blocks(rows, start)) == []
        return
    found, ids = gathered(stream, rows, start)
    np.testing.assert_array_equal(found, matrix[start:])
    assert ids == ([f"r{i}" for i in range(start, n)] if named else [])
    assert stream.source.documents == n


def test_twins_among_the_ids_are_found_over_row_groups(tmp_path):
    table = pa.table({"id": ["a", "b", "c", "a"], "vector": [[1.0], [2.0], [3.0], [4.0]]})
    pq.write_table(table, tmp_path / "v.parquet", row_group_size=1)
    stream = open_stream(str(tmp_path / "v.parquet"), vectors=True)
    with pytest.raises(DataError, match="uses the id 'a' twice: ids must be unique"):
        _ = stream.source


def test_lists_that_change_their_length_are_refused(tmp_path):
    table = pa.table({"vector": [[1.0, 2.0], [2.0, 1.0], [3.0]]})
    pq.write_table(table, tmp_path / "v.parquet", row_group_size=1)
    with pytest.raises(DataError, match="must all have the same length, without nulls"):
        gathered(open_stream(str(tmp_path / "v.parquet"), vectors=True))


def test_another_file_has_another_digest(tmp_path, rng):
    digests = set()
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", rng.normal(size=(4, 2)))
        digests.add(open_stream(str(tmp_path / f"{i}.npy"), vectors=True).source.digest)
    assert len(digests) == 3


@pytest.mark.parametrize("length", [0, 5, 90, 200])
def test_a_truncated_file_is_refused(tmp_path, length):
    np.save(tmp_path / "v.npy", np.ones((20, 4)))
    (tmp_path / "v.npy").write_bytes((tmp_path / "v.npy").read_bytes()[:length])
    with pytest.raises(DataError, match=r"is not a readable \.npy file"):
        open_stream(str(tmp_path / "v.npy"), vectors=True)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.asfortranarray(np.ones((4, 3))), "stored column by column"),
        (np.ones(4), r"must hold a matrix of numbers, .* got float64 of shape \(4,\)"),
        (np.ones((0, 4)), r"got float64 of shape \(0, 4\)"),
        (np.array([["a"]]), "got <U1 of shape"),
    ],
)
def test_what_is_no_matrix_by_rows_is_refused(tmp_path, array, message):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(DataError, match=message):
        open_stream(str(tmp_path / "v.npy"), vectors=True)


def test_what_cannot_be_read_in_parts_is_refused(tmp_path):
    np.savez(tmp_path / "v.npz", np.ones((2, 2)))
    with pytest.raises(DataError, match=r"v\.npz cannot be read in parts"):
        open_stream(str(tmp_path / "v.npz"), vectors=True)
    with pytest.raises(DataError, match=r"none\.npy does not exist"):
        open_stream(str(tmp_path / "none.npy"), vectors=True)


def test_what_is_written_is_streamed(tmp_path, rng):
    matrix = rng.normal(size=(9, 3)).astype(np.float32)
    write_vectors(tmp_path / "v.parquet", matrix, [f"r{i}" for i in range(9)])
    found, ids = gathered(open_stream(str(tmp_path / "v.parquet"), vectors=True), 4)
    np.testing.assert_array_equal(found, open_vectors(tmp_path / "v.parquet").array)
    assert ids == list(open_vectors(tmp_path / "v.parquet").ids)


def test_a_part_of_a_corpus_is_numbered_on():
    part = Corpus.from_records([{"text": "a"}, {"text": "b"}], start=5)
    assert part.ids == ("5", "6")
