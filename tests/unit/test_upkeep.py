"""A saved index is changed where it lies: whole, one writer at a time, with readers about."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from helpers import unit
from vecpress import folders, manifest, upkeep
from vecpress.errors import ArtifactError, DataError, MismatchError
from vecpress.index import Index
from vecpress.quantizers.scalar import Int8, Percentile

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "index_v1"
X = unit(300, 11)
CODEC, FINE = Percentile(bits=3).fit(X), Int8().fit(X)
CODES, FINE_CODES = CODEC.quantize(X), FINE.quantize(X)
QUERIES = unit(6, 11, 4)


def names(rows):
    return [f"{i}" for i in rows]


@pytest.fixture
def saved(tmp_path):
    """Forty documents, with snippets and fine codes."""
    rows = range(40)
    fine = FINE, FINE_CODES[:40]
    made = Index.build(
        CODEC, CODES[:40], names(rows), snippets=names(rows), fingerprint="f", fine=fine
    )
    made.save(tmp_path / "i")
    return tmp_path / "i"


def add(folder, rows, *, fingerprint="f"):
    rows = list(rows)
    fine = FINE, FINE_CODES[rows]
    made = Index.build(
        CODEC, CODES[rows], names(rows), snippets=names(rows), fingerprint=fingerprint, fine=fine
    )
    upkeep.add(folder, made)


def same(folder, rows):
    """Compare a saved index with one built of these rows at once."""
    loaded, rows = Index.load(folder, verify=True), list(rows)
    anew = Index.build(CODEC, CODES[rows], names(rows), fine=(FINE, FINE_CODES[rows]))
    assert len(loaded) == len(anew)
    for options in ({}, {"rescore": 30}):
        one, other = (index.search(QUERIES, 10, **options) for index in (loaded, anew))
        assert one.ids == other.ids
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    for ids, found in zip(one.ids, one.rows, strict=True):
        assert list(ids) == [loaded.snippet(int(row)) for row in found]


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_changes_are_found_by_who_opens_it_next(saved):
    add(saved, range(40, 90))
    same(saved, range(90))
    upkeep.delete(saved, names([0, 39, 40, 89, 50]))
    left = [i for i in range(90) if i not in (0, 39, 40, 89, 50)]
    same(saved, left)
    upkeep.delete(saved, ["41"])
    add(saved, [41, 50])
    same(saved, [i for i in left if i != 41] + [41, 50])
    before = Index.load(saved)
    assert len(before.segments) == 3
    upkeep.compact(saved)
    same(saved, [i for i in left if i != 41] + [41, 50])
    assert len(Index.load(saved).segments) == 1
    same_as_before = before.search(QUERIES, 10, rescore=20)  # its files are gone, its maps are not
    assert same_as_before.ids == Index.load(saved).search(QUERIES, 10, rescore=20).ids


def test_the_files_are_those_of_the_format(saved):
    """docs/format.md, An index."""
    add(saved, [40])
    upkeep.delete(saved, ["3"])
    segment = {"codes.npy", "fine.npy", "ids.data.npy", "ids.ends.npy", "snippets.data.npy",
               "snippets.ends.npy"}  # fmt: skip
    codec = {"codec/config.json", "codec/tensors.safetensors", "codec/README.md"}
    held = {f"segments/{name}/{file}" for name in ("1-0", "2-0") for file in segment}
    deleted = "segments/1-0/deleted-3.npy"
    assert files(saved) == {"index.json", ".lock", deleted, *codec, *held}
    bits = np.unpackbits(np.load(saved / deleted), bitorder="little")
    assert np.flatnonzero(bits).tolist() == [3]
    for file in ("1-0/codes", "2-0/ids.ends", "1-0/snippets.data"):
        path = saved / "segments" / f"{file}.npy"
        again = path.parent / "again.npy"
        np.save(again, np.load(path))
        assert again.read_bytes() == path.read_bytes(), "as NumPy itself writes it"
        again.unlink()


def test_the_same_changes_give_the_same_bytes(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "twin")
    for folder in (saved, tmp_path / "twin"):
        add(folder, [40, 41])
        upkeep.delete(folder, ["40", "2"])
    assert files(saved) == files(tmp_path / "twin")
    for name in files(saved):
        assert (saved / name).read_bytes() == (tmp_path / "twin" / name).read_bytes()
    upkeep.compact(saved)
    upkeep.compact(tmp_path / "twin")
    for name in files(saved):
        assert (saved / name).read_bytes() == (tmp_path / "twin" / name).read_bytes()


def test_an_index_of_format_1_is_changed_too(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "old")
    before = Index.load(tmp_path / "old", verify=True)
    code = np.asarray(before.codes[:1])
    new = Index.build(before.codec, code, ["new"], fingerprint=before.fingerprint)
    upkeep.add(tmp_path / "old", new)
    upkeep.delete(tmp_path / "old", ["299", "0"])
    assert len(Index.load(tmp_path / "old", verify=True)) == 299
    upkeep.compact(tmp_path / "old")
    after = Index.load(tmp_path / "old", verify=True)
    assert list(after.ids) == [*names(range(1, 299)), "new"]
    np.testing.assert_array_equal(after.codes[:-1], before.codes[1:299])
    assert {p.name for p in (tmp_path / "old").iterdir()} == {
        "codec", "press", "segments", "index.json", ".lock"
    }  # fmt: skip


def test_a_damaged_index_is_not_compacted(saved):
    path = saved / "segments" / "1-0" / "ids.data.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"1-0/ids\.data\.npy is damaged: copy it again, or"):
        upkeep.compact(saved)
    path.write_bytes(whole)
    same(saved, range(40))


def test_what_others_put_there_stays(saved):
    (saved / "notes.txt").write_text("mine")
    (saved / "segments" / "mine").mkdir()
    (saved / "segments" / "7-0").mkdir()  # a writer's that was killed
    (saved / ".index.json").write_text("half")
    add(saved, [40])
    assert (saved / "notes.txt").exists()
    assert (saved / "segments" / "mine").exists()
    assert not (saved / "segments" / "7-0").exists()
    assert not (saved / ".index.json").exists()


def test_what_cannot_be_changed_is_one_sentence(saved, tmp_path):
    with pytest.raises(
        MismatchError,
        match=r"^the index was made by the press f, this one is other: code what is added by the "
        r"press that made it, or index again$",
    ):
        add(saved, [40], fingerprint="other")
    with pytest.raises(DataError, match="the id '3' is already in the index"):
        add(saved, [3])
    with pytest.raises(DataError, match="the id '99' is not in the index: nothing was deleted"):
        upkeep.delete(saved, ["1", "99"])
    with pytest.raises(ArtifactError, match=r"is not a vecpress folder: no index\.json"):
        upkeep.compact(tmp_path)
    assert not list(tmp_path.glob(".lock"))
    same(saved, range(40))
    upkeep.delete(saved, names(range(40)))
    with pytest.raises(DataError, match="all documents of this index were deleted: add some first"):
        upkeep.compact(saved)
    add(saved, range(20))
    same(saved, range(20))


@pytest.mark.skipif(folders.fcntl is None, reason="no locks of that kind here")
def test_writers_take_turns(saved, monkeypatch):
    """Whoever does not come to turn is told so; who waits, comes."""
    monkeypatch.setattr(folders, "_PATIENCE", 0.05)
    with (
        folders.locked(saved),
        pytest.raises(
            ArtifactError,
            match=rf"^{re.escape(str(saved))} is being written by another process, still after 0\.05 "
            "seconds: try again when that is done$",
        ),
    ):
        add(saved, [40])
    monkeypatch.setattr(folders, "_PATIENCE", 60.0)
    threads = [threading.Thread(target=add, args=(saved, [40 + i])) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Index.load(saved).ids, key=int) == names(range(46))


def failing_at(step, monkeypatch):
    """Let the n-th step on the way to the disk fail, as it does on a full one."""
    steps = count(1)

    def counted(function):
        def called(*args, **options):
            if next(steps) == step:
                raise OSError(28, "No space left on device")
            return function(*args, **options)

        return called

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # slow, and not what is tested
    for name in ("fsync", "replace", "mkdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(manifest._ArrayFile, "_write", counted(manifest._ArrayFile._write))
    return steps


@pytest.mark.parametrize("change", ["add", "delete", "compact"])
def test_a_full_disk_leaves_the_old_index_or_the_new(saved, tmp_path, change):
    changes = {
        "add": (lambda folder: add(folder, [50]), [*range(40), 50]),
        "delete": (lambda folder: upkeep.delete(folder, ["5"]), [i for i in range(40) if i != 5]),
        "compact": (upkeep.compact, range(40)),
    }
    work, after = changes[change]
    for step in count(1):
        folder = tmp_path / f"{step}"
        shutil.copytree(saved, folder)
        with pytest.MonkeyPatch.context() as patch:
            steps = failing_at(step, patch)
            try:
                work(folder)
                failed = False
            except ArtifactError as error:
                failed = str(error).startswith(f"cannot write {folder}: [Errno 28]")
                assert failed
        held = len(Index.load(folder, verify=True))
        assert held in ({40, len(after)} if failed else {len(after)})
        assert len(files(folder)) < 20, "what was begun is cleared away"
        if next(steps) <= step:
            break
        if held == 40:
            work(folder)
        same(folder, after)
    assert step > 5


def test_what_index_json_lists_was_flushed_before(saved, monkeypatch):
    """A power cut then loses nothing that the index is said to have."""
    flushed, at_commit = set(), []

    def sync(descriptor, real=os.fsync):
        flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    def replace(source, target, real=os.replace):
        assert Path(source).stat().st_ino in flushed
        at_commit.append(set(flushed))
        flushed.clear()
        real(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    add(saved, [40])
    upkeep.delete(saved, ["1"])
    upkeep.compact(saved)
    assert len(at_commit) == 3
    written = saved / "segments" / "4-0"
    assert {
        p.stat().st_ino for p in [saved / "segments", written, *written.iterdir()]
    } <= at_commit[2]
    assert saved.stat().st_ino in flushed, "the folder itself, after the last renaming"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_writers_leave_the_old_index_or_the_new():
    memory = Path("/dev/shm")  # thousands of small files: four times faster there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        done = subprocess.run(
            [sys.executable, str(TESTS / "crashing.py"), folder],
            capture_output=True, text=True, timeout=300,
            env=os.environ | {"PYTHONPATH": str(TESTS.parent / "src"), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX keeps what is open")
def test_readers_in_other_processes_see_one_state_or_another(saved):
    """They open the index again and again, and search it, while it is added to and compacted."""
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from vecpress.index import Index\n"
        "x = np.load(sys.argv[2])\n"
        "print('ready', flush=True)\n"
        "seen = set()\n"
        "while True:\n"
        "    index = Index.load(sys.argv[1], verify=True)\n"
        "    hits = index.search(x, 1)\n"
        "    held = {i for i, s in zip(index.ids, range(10**9))}\n"
        "    assert all(ids[0] == str(i) for i, ids in enumerate(hits.ids)), hits.ids\n"
        "    seen.add(len(index))\n"
        "    if len(index) == 60:\n"
        "        break\n"
        "print(len(seen))\n"
    )
    np.save(saved.parent / "x.npy", X[:20])
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(saved), str(saved.parent / "x.npy")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(TESTS.parent / "src"), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]  # fmt: skip
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    for i in range(40, 60):
        add(saved, [i])
        if i % 3 == 0:
            upkeep.compact(saved)
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
        assert int(out) > 1
