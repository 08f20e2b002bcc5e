"""An index larger than memory: whatever comes at a time, and however often it stops, the same."""

import re

import numpy as np
import pytest

from helpers import unit
from vecpress.errors import ArtifactError, DataError, ShapeError
from vecpress.folders import locked
from vecpress.index import Index
from vecpress.index_writer import IndexWriter
from vecpress.quantizers.scalar import Int8, Percentile

X = unit(50, 11)
CODEC, FINE = Percentile(bits=3).fit(X), Int8().fit(X)
CODES, FINE_CODES = CODEC.quantize(X), FINE.quantize(X)
IDS = [f"d{i}" for i in range(50)]
WORDS = [f"text {i}" for i in range(50)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Flush nothing to disk: no test here cuts the power."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


class StoppedError(Exception):
    """The run is over."""


def write(folder, *, at_a_time, stop=None, segment_rows=8, **options):
    """Write what is still missing; stop behind so many documents."""
    with IndexWriter.open(
        folder, CODEC, fine=FINE, fingerprint="f", source="s", segment_rows=segment_rows, **options
    ) as writer:
        began = writer.rows
        for start in range(began, 50, at_a_time):
            if stop is not None and start >= stop:
                raise StoppedError
            rows = slice(start, min(start + at_a_time, 50))
            writer.append(CODES[rows], IDS[rows], snippets=WORDS[rows], fine=FINE_CODES[rows])
        assert writer.rows == 50
        assert not folder.exists()
        (writer.draft / "press").mkdir()
        (writer.draft / "press" / "config.json").write_text("{}")
        writer.finish()
    return began


def write_plain(folder, ids, starts):
    """Write five documents at a time, and finish."""
    with IndexWriter.open(folder, CODEC, segment_rows=8) as writer:
        for start in starts:
            some = ids[start : start + 5]
            writer.append(CODES[: len(some)], some)
        writer.finish()


def everything_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_it_holds_what_an_index_built_at_once_holds(tmp_path):
    assert write(tmp_path / "i", at_a_time=7) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["i"]
    loaded = Index.load(tmp_path / "i", verify=True)
    anew = Index.build(CODEC, CODES, IDS, snippets=WORDS, fine=(FINE, FINE_CODES))
    assert [len(segment) for segment in loaded.segments] == [8] * 6 + [2]
    assert (list(loaded.ids), loaded.fingerprint, loaded.snippet(33)) == (IDS, "f", "text 33")
    for options in ({}, {"rescore": 20}):
        one, other = (index.search(X[:9], 6, **options) for index in (loaded, anew))
        assert one.ids == other.ids
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


@pytest.mark.parametrize("at_a_time", [1, 3, 8, 20, 50])
def test_bytes_do_not_depend_on_how_documents_came(tmp_path, at_a_time):
    write(tmp_path / "whole", at_a_time=50)
    write(tmp_path / "i", at_a_time=at_a_time)
    assert everything_in(tmp_path / "i") == everything_in(tmp_path / "whole")


def test_a_run_goes_on_where_the_one_before_stopped(tmp_path):
    write(tmp_path / "whole", at_a_time=50)
    stops, began = [3, 11, 12, 30, 45], []
    for stop in stops:
        with pytest.raises(StoppedError):
            write(tmp_path / "i", at_a_time=3, stop=stop)
        began.append((tmp_path / ".i.building").exists())
        assert not (tmp_path / "i").exists()
    assert began == [False, True, True, True, True], "what holds nothing is cleared away"
    assert write(tmp_path / "i", at_a_time=4) == 40
    assert everything_in(tmp_path / "i") == everything_in(tmp_path / "whole")
    assert not (tmp_path / ".i.building").exists()


def test_leaving_without_finishing_keeps_what_is_there(tmp_path):
    with IndexWriter.open(tmp_path / "i", CODEC, segment_rows=8) as writer:
        writer.append(CODES[:20], IDS[:20])
    assert not (tmp_path / "i").exists()
    with IndexWriter.open(tmp_path / "i", CODEC, segment_rows=8) as writer:
        assert writer.rows == 16


@pytest.mark.parametrize(
    "options", [{"source": "other"}, {"fingerprint": "g"}, {"segment_rows": 9}, {"fine": None}]
)
def test_an_unfinished_index_of_something_else_is_in_the_way(tmp_path, options):
    with pytest.raises(StoppedError):
        write(tmp_path / "i", at_a_time=3, stop=30)
    asked = {"fine": FINE, "fingerprint": "f", "source": "s", "segment_rows": 8} | options
    home = re.escape(str(tmp_path / ".i.building"))
    sentence = (
        rf"^{home} holds an unfinished index of another corpus or press, or with segments of "
    )
    with (
        pytest.raises(ArtifactError, match=sentence + "another size: finish that, or remove the"),
        IndexWriter.open(tmp_path / "i", CODEC, **asked),
    ):
        pass
    with IndexWriter.open(tmp_path / "i", CODEC, overwrite=True, **asked) as writer:
        assert writer.rows == 0
    assert write(tmp_path / "i", at_a_time=9) == 0


def test_an_index_is_replaced_only_when_asked_and_at_the_end(tmp_path):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "index.json").write_text("old")
    with pytest.raises(ArtifactError, match="i exists: choose another name, or ask to overwrite"):
        write(tmp_path / "i", at_a_time=50)
    with IndexWriter.open(tmp_path / "i", CODEC, overwrite=True) as writer:
        writer.append(CODES, IDS)
        assert (tmp_path / "i" / "index.json").read_text() == "old"
        writer.finish()
    assert list(Index.load(tmp_path / "i").ids) == IDS


@pytest.mark.parametrize(("first", "second"), [(3, 4), (3, 40), (20, 45), (48, 49)])
def test_an_id_that_comes_twice_is_named(tmp_path, first, second):
    ids = list(IDS)
    ids[second] = ids[first]
    sentence = f"^the id 'd{first}' stands for two documents: give each an id of its own$"
    with pytest.raises(DataError, match=sentence):
        write_plain(tmp_path / "i", ids, range(0, 50, 5))
    assert not (tmp_path / "i").exists()


def test_ids_with_equal_hashes_are_not_taken_for_equal(tmp_path, monkeypatch):
    monkeypatch.setattr("vecpress.strings._hash", lambda s: np.zeros(len(s), np.uint64))
    with IndexWriter.open(tmp_path / "i", CODEC, segment_rows=8) as writer:
        writer.append(CODES, IDS)
        writer.finish()
    assert len(Index.load(tmp_path / "i")) == 50


def test_ids_are_compared_with_those_of_the_run_before(tmp_path):
    with IndexWriter.open(tmp_path / "i", CODEC, segment_rows=8) as writer:
        writer.append(CODES[:20], IDS[:20])
    with pytest.raises(DataError, match="the id 'd5' stands for two documents"):
        write_plain(tmp_path / "i", [*IDS[:27], "d5"], [16, 21, 26])


def test_what_does_not_fit_is_one_sentence(tmp_path):
    with IndexWriter.open(tmp_path / "i", CODEC) as writer:
        writer.append(CODES[:0], [])
        with pytest.raises(DataError, match=r"^an index needs at least one document, got none$"):
            writer.finish()
        with pytest.raises(ShapeError, match="rows of 5 bytes, got uint8 of shape"):
            writer.append(FINE_CODES, IDS)
        with pytest.raises(DataError, match="got 50 codes, 49 ids"):
            writer.append(CODES, IDS[:49])
        with pytest.raises(DataError, match="fine codes must be given for all"):
            writer.append(CODES, IDS, fine=FINE_CODES)
        writer.append(CODES[:5], IDS[:5], snippets=WORDS[:5])
        with pytest.raises(DataError, match="snippets must be given for all"):
            writer.append(CODES[5:9], IDS[5:9])
    assert list(tmp_path.iterdir()) == []


def test_damaged_segments_are_not_gone_on_with(tmp_path):
    with pytest.raises(StoppedError):
        write(tmp_path / "i", at_a_time=3, stop=30)
    path = tmp_path / ".i.building" / "index" / "segments" / "1-1" / "codes.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"1-1/codes\.npy is damaged: copy it again, or make"):
        write(tmp_path / "i", at_a_time=3)


def test_two_do_not_write_the_same_index(tmp_path, monkeypatch):
    monkeypatch.setattr("vecpress.folders._PATIENCE", 0.05)
    (tmp_path / ".i.building").mkdir()
    with (
        locked(tmp_path / ".i.building"),
        pytest.raises(ArtifactError, match="is being written by another process"),
    ):
        write(tmp_path / "i", at_a_time=50)
