"""A sample drawn in one pass: every set of documents is as likely, and the order is kept."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecpress.corpus import read_corpus
from vecpress.draws import draw, sample_rows
from vecpress.streams import TextStream, open_stream


def texts(path, lengths):
    lines = [json.dumps({"_id": f"d{i}", "text": "x" * n}) for i, n in enumerate(lengths)]
    path.write_text("\n".join(lines))
    return open_stream(str(path), vectors=False)


@pytest.fixture
def in_blocks(monkeypatch):
    """Let texts come in blocks of so many."""
    blocks = TextStream.blocks

    def cut(rows):
        monkeypatch.setattr(TextStream, "blocks", lambda stream: blocks(stream, rows))

    return cut


def numbers(drawn):
    return [int(id_[1:]) for id_ in drawn.documents.ids]


def test_few_texts_are_all_taken_as_they_are(tmp_path):
    stream = texts(tmp_path / "t.jsonl", range(1, 20))
    drawn = draw(stream, 19, seed=3)
    whole = read_corpus(tmp_path / "t.jsonl")
    assert drawn.documents == whole
    assert (drawn.number, drawn.digest) == (19, whole.digest)


def test_every_text_is_as_likely_and_so_is_every_pair(tmp_path):
    stream = texts(tmp_path / "t.jsonl", [1] * 12)
    together = np.zeros((12, 12))
    for seed in range(600):
        rows = numbers(draw(stream, 4, seed=seed))
        assert len(rows) == 4
        assert rows == sorted(rows)
        together[np.ix_(rows, rows)] += 1
    alone = np.diag(together)
    np.testing.assert_allclose(alone, 200, atol=5 * np.sqrt(600 / 3 * 2 / 3))
    pairs = together[~np.eye(12, dtype=bool)]
    chance = 4 / 12 * 3 / 11
    np.testing.assert_allclose(pairs, 600 * chance, atol=5 * np.sqrt(600 * chance))


def test_the_draw_does_not_depend_on_blocks(tmp_path, in_blocks):
    stream = texts(tmp_path / "t.jsonl", [1] * 200)
    whole = draw(stream, 30, seed=1)
    in_blocks(7)
    assert draw(stream, 30, seed=1) == whole
    assert draw(stream, 30, seed=2) != whole
    assert set(numbers(draw(stream, 10, seed=1))) < set(numbers(whole))  # a smaller one is within


def test_long_texts_are_drawn_as_often_as_short_ones_where_room_is_short(tmp_path, in_blocks):
    in_blocks(8)
    stream = texts(tmp_path / "t.jsonl", [10, 4000] * 40)
    drawn = [numbers(draw(stream, 80, seed=seed, room=80_000)) for seed in range(80)]
    assert {len(rows) for rows in drawn} == {80_000 * 80 // (40 * (59 + 4049) + 80 * 150)}
    odd = np.mean([row % 2 for rows in drawn for row in rows])
    assert abs(odd - 0.5) < 0.03


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize("most", [5, 50, 60])
def test_vectors_are_drawn_as_from_the_whole(tmp_path, rng, kind, most):
    matrix = rng.normal(size=(50, 4)).astype(np.float32)
    if kind == "npy":
        np.save(tmp_path / "v.npy", matrix)
    else:
        pq.write_table(pa.table({"v": list(matrix)}), tmp_path / "v.parquet", row_group_size=9)
    drawn = draw(open_stream(str(tmp_path / f"v.{kind}"), vectors=True), most, seed=4)
    np.testing.assert_array_equal(drawn.documents, matrix[sample_rows(50, most, 4)])
    assert drawn.number == 50


def test_texts_are_as_likely_wherever_the_long_ones_stand(tmp_path, in_blocks):
    in_blocks(8)
    stream = texts(tmp_path / "t.jsonl", [4000] * 40 + [10] * 160)
    drawn = [numbers(draw(stream, 200, seed=seed, room=80_000)) for seed in range(60)]
    assert {len(rows) for rows in drawn} == {80_000 // (4049 + 150)}  # as many as fitted once
    first = np.mean([row < 40 for rows in drawn for row in rows])
    assert abs(first - 0.2) < 0.05


def test_one_text_too_many_may_be_any(tmp_path):
    stream = texts(tmp_path / "t.jsonl", [1] * 17)
    left_out = {*range(17)}
    for seed in range(80):
        rows = numbers(draw(stream, 16, seed=seed))
        assert len(rows) == 16
        left_out -= {*range(17)} - {*rows}
    assert not left_out
