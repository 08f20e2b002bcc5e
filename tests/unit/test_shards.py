"""Shards end as the same bytes, however often the run that wrote them was killed."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vecpress import folders, shard_writer
from vecpress.encoders.vector_files import open_vectors
from vecpress.errors import ArtifactError, DataError, MismatchError
from vecpress.folders import locked
from vecpress.shard_writer import open_writer
from vecpress.shards import Header, is_shards, read_manifest
from vecpress.streams import open_stream

ROWS = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float32)
IDS = [f"d{i}\n" for i in range(23)]


@pytest.fixture(autouse=True)
def flushed(monkeypatch):
    """Do not wait for the disk; give what would have been waited for."""
    asked = []
    monkeypatch.setattr(
        os, "fsync", lambda file: asked.append(str(Path(f"/proc/self/fd/{file}").readlink()))
    )
    return asked


def header(**changes):
    return Header(
        **{
            "kind": "embeddings",
            "format": "npy",
            "width": 4,
            "documents": 23,
            "source": "corpus",
            "press": "press",
            "shard_rows": 8,
        }
        | changes
    )


def write(folder, asked, *, upto=23, step=4, ids=IDS, overwrite=False):
    """Write rows up to one, and the manifest if that is the last; give where it began."""
    with open_writer(folder, asked, overwrite=overwrite) as writer:
        begun = writer.rows
        for start in range(begun, upto, step):
            rows = slice(start, min(start + step, 23))
            array = (ROWS[rows] * 100).astype(asked.dtype)
            writer.append(array, None if ids is None else ids[rows])
        if upto == 23:
            writer.finish()
    return begun


def everything_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["embeddings", "codes"])
@pytest.mark.parametrize("format_", ["npy", "parquet"])
@pytest.mark.parametrize("ids", [IDS, None], ids=["named", "numbered"])
def test_shards_hold_what_was_written(tmp_path, kind, format_, ids):
    asked = header(kind=kind, format=format_)
    write(tmp_path / "s", asked, ids=ids)
    manifest = read_manifest(tmp_path / "s")
    assert manifest.header == asked
    assert [shard.rows for shard in manifest.shards] == [8, 8, 7]
    expected = (ROWS * 100).astype(np.float32 if kind == "embeddings" else np.uint8)
    if format_ == "npy":
        found = [np.load(tmp_path / "s" / shard.name) for shard in manifest.shards]
        assert np.concatenate(found).dtype == expected.dtype
    else:
        tables = [pq.read_table(tmp_path / "s" / shard.name) for shard in manifest.shards]
        found = [np.array(table["vector"].to_pylist()) for table in tables]
        assert tables[0].column_names == (["id", "vector"] if ids else ["vector"])
    np.testing.assert_array_equal(np.concatenate(found), expected)
    if kind == "embeddings":
        opened = open_vectors(tmp_path / "s")
        np.testing.assert_array_equal(opened.array, expected)
        assert list(opened.ids) == (ids or [str(i) for i in range(23)])


@pytest.mark.parametrize("format_", ["npy", "parquet"])
@pytest.mark.parametrize("stop", range(0, 23, 4))
def test_a_run_that_stopped_anywhere_goes_on_to_the_same_bytes(tmp_path, format_, stop):
    asked = header(format=format_)
    write(tmp_path / "once", asked)
    assert write(tmp_path / "twice", asked, upto=stop) == 0
    assert not (tmp_path / "twice" / "manifest.json").exists()
    assert write(tmp_path / "twice", asked) == stop // 8 * 8
    assert everything_in(tmp_path / "once") == everything_in(tmp_path / "twice")
    assert "journal.jsonl" not in everything_in(tmp_path / "once")


def test_finished_shards_are_left_as_they_are(tmp_path):
    write(tmp_path / "s", header())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("part*")}
    assert write(tmp_path / "s", header()) == 23
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("part*")}


@pytest.mark.parametrize("upto", [16, 23])
def test_a_deleted_shard_is_made_again(tmp_path, upto):
    write(tmp_path / "whole", header())
    write(tmp_path / "s", header(), upto=upto)
    (tmp_path / "s" / "part-00001.npy").unlink()
    assert write(tmp_path / "s", header()) == 8
    assert everything_in(tmp_path / "s") == everything_in(tmp_path / "whole")


@pytest.mark.parametrize("name", ["part-00000.npy", "part-00001.ids.jsonl"])
@pytest.mark.parametrize("upto", [16, 23])
def test_a_damaged_shard_is_not_gone_on_from(tmp_path, name, upto):
    write(tmp_path / "s", header(), upto=upto)
    path = tmp_path / "s" / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtifactError, match=rf"{name} is damaged: delete it"):
        write(tmp_path / "s", header())
    path.unlink()
    write(tmp_path / "s", header())
    write(tmp_path / "whole", header())
    assert everything_in(tmp_path / "s") == everything_in(tmp_path / "whole")


@pytest.mark.parametrize("upto", [16, 23])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"press": "other"}, "the press press, not other"),
        ({"source": "other"}, "the corpus corpus, not other"),
        ({"kind": "codes"}, "the kind embeddings, not codes"),
        ({"format": "parquet"}, "the format npy, not parquet"),
        ({"width": 5}, "the width 4, not 5"),
        ({"documents": 24}, "the number of documents 23, not 24"),
        ({"shard_rows": 4}, "the number of rows per shard 8, not 4"),
    ],
)
def test_shards_of_something_else_are_refused(tmp_path, upto, changes, told):
    write(tmp_path / "s", header(), upto=upto)
    before = everything_in(tmp_path / "s")
    message = f"was begun with {told}: choose another name, or add --overwrite"
    with pytest.raises(MismatchError, match=message):
        write(tmp_path / "s", header(**changes))
    assert everything_in(tmp_path / "s") == before


def test_overwriting_leaves_nothing_of_the_old(tmp_path):
    write(tmp_path / "s", header())
    write(tmp_path / "s", header(format="parquet"), overwrite=True)
    write(tmp_path / "new", header(format="parquet"))
    assert everything_in(tmp_path / "s") == everything_in(tmp_path / "new")


def test_a_folder_of_something_else_is_never_touched(tmp_path):
    (tmp_path / "part-00000.npy").write_text("a user's")
    with pytest.raises(ArtifactError, match="holds something that vecpress did not make"):
        write(tmp_path, header(), overwrite=True)
    assert everything_in(tmp_path) == {"part-00000.npy": b"a user's"}


def test_a_journal_that_was_cut_off_costs_one_shard(tmp_path):
    write(tmp_path / "whole", header())
    write(tmp_path / "s", header(), upto=16)
    journal = tmp_path / "s" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert write(tmp_path / "s", header()) == 8
    assert everything_in(tmp_path / "s") == everything_in(tmp_path / "whole")


def test_unfinished_shards_are_no_vectors(tmp_path):
    write(tmp_path / "s", header(), upto=16)
    assert is_shards(tmp_path / "s")
    with pytest.raises(ArtifactError, match=r"is not finished: run the command .* again"):
        open_stream(str(tmp_path / "s"), vectors=True)


def test_codes_are_no_vectors(tmp_path):
    write(tmp_path / "s", header(kind="codes"))
    with pytest.raises(DataError, match=r"holds codes, .* `vecpress encode --float`"):
        open_stream(str(tmp_path / "s"), vectors=True)


def test_a_damaged_manifest_is_named(tmp_path):
    write(tmp_path / "s", header())
    path = tmp_path / "s" / "manifest.json"
    path.write_text(path.read_text().replace("press", "pross"))
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path / "s")
    path.write_text(json.dumps({"format_version": 2, "digest": ""}))
    with pytest.raises(ArtifactError, match="format version 2; this release reads up to 1"):
        read_manifest(tmp_path / "s")


@pytest.mark.parametrize("format_", ["npy", "parquet"])
@pytest.mark.parametrize("ids", [IDS, None], ids=["named", "numbered"])
@pytest.mark.parametrize(("rows", "start"), [(1, 0), (5, 0), (8, 16), (100, 0), (5, 15)])
def test_shards_are_streamed(tmp_path, format_, ids, rows, start):
    write(tmp_path / "s", header(format=format_), ids=ids)
    stream = open_stream(str(tmp_path / "s"), vectors=True)
    blocks = list(stream.blocks(rows, start))
    found = np.concatenate([block.documents for block in blocks])
    np.testing.assert_array_equal(found, ROWS[start:] * 100)
    if ids:
        assert [name for block in blocks for name in block.ids] == ids[start:]
    assert stream.source == (23, read_manifest(tmp_path / "s").digest)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_shard(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path / "s", header(), upto=8)
    monkeypatch.setattr(shard_writer, "file_digest", full)
    told = "No space left on device; finished shards are kept: the same command goes on"
    with pytest.raises(ArtifactError, match=re.escape(told)):
        write(tmp_path / "s", header())
    monkeypatch.undo()
    assert set(everything_in(tmp_path / "s")) == {
        ".lock",
        "journal.jsonl",
        "part-00000.ids.jsonl",
        "part-00000.npy",
    }
    assert write(tmp_path / "s", header()) == 8


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"cannot write .*file/s: .*Not a directory"):
        write(tmp_path / "file" / "s", header())


def test_too_few_rows_are_no_whole(tmp_path):
    told = re.escape("s holds 8 of 23 rows: did the corpus change while it was read?")
    with open_writer(tmp_path / "s", header()) as writer:
        writer.append(ROWS[:8], None)
        with pytest.raises(ArtifactError, match=told):
            writer.finish()


def test_two_runs_do_not_write_at_once(tmp_path, monkeypatch):
    (tmp_path / "s").mkdir()
    monkeypatch.setattr(folders, "_PATIENCE", 0.0)
    with locked(tmp_path / "s"), pytest.raises(ArtifactError, match="by another process"):
        write(tmp_path / "s", header())


def test_what_a_journal_vouches_for_is_on_disk(tmp_path, flushed):
    write(tmp_path / "s", header(), upto=8)
    places = [flushed.index(path) for path in flushed if "part-00000" in path]
    names = [path.partition("/s/")[2] for path in flushed]
    assert len(places) == 2  # the shard and its ids
    assert names.index("journal.jsonl") > max(places)
    assert flushed.index(str(tmp_path / "s"), max(places)) < names.index("journal.jsonl")


def test_a_run_killed_again_and_again_ends_as_the_same_bytes(tmp_path):
    """Killed for good, at times drawn at random, while it writes as slowly as a disk may."""
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        import numpy as np
        from vecpress.shard_writer import open_writer
        from vecpress.shards import Header
        fields = dict(kind="embeddings", format="npy", width=4, documents=400, source="c", press="p")
        with open_writer(Path(sys.argv[1]), Header(**fields, shard_rows=8)) as writer:
            print(writer.rows, flush=True)
            for row in range(writer.rows, 400):
                writer.append(np.full((1, 4), row, np.float32), [f"d{row}"])
                time.sleep(float(sys.argv[2]))
            writer.finish()
    """)

    def start(folder, pause):
        command = [sys.executable, "-c", script, str(folder), str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    rng, begun = np.random.default_rng(0), [-1]
    for _ in range(4):
        process = start(tmp_path / "s", 0.001)
        begun.append(int(process.stdout.readline()))
        time.sleep(rng.uniform(0.03, 0.2))
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
    assert begun[1] == 0 < begun[-1] < 400  # it went on, and was not done
    for folder in ("s", "whole"):
        with start(tmp_path / folder, 0) as process:
            assert process.wait() == 0
    assert everything_in(tmp_path / "s") == everything_in(tmp_path / "whole")
    assert read_manifest(tmp_path / "s").documents == 400
