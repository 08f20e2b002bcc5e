"""Run by test_upkeep.py: kills writers of an index with SIGKILL, and looks at what they left.

    python tests/crashing.py FOLDER

Each change is tried on a copy of an index again and again, killed at its first step, at its
second, and so on until it gets through: in the middle of each write, before each flush, each
renaming, each removal. Then one index is changed on and on by writers that are killed whenever it
happens. Prints how often it killed.
"""

import os
import shutil
import signal
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

from vecpress import artifact, manifest, upkeep
from vecpress.index import Index
from vecpress.index_writer import IndexWriter
from vecpress.quantizers.scalar import Percentile

CODEC = Percentile(bits=4).fit(np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32))


def codes(ids):
    """Give each id a code of its own."""
    rows = [np.random.default_rng(list(name.encode())).bytes(3) for name in ids]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 3)


def index_of(ids):
    return Index.build(CODEC, codes(ids), ids)


def check(folder, allowed):
    """Open an index: it is one of those allowed, to the last byte, and takes another document."""
    opened = Index.load(folder, verify=True)
    rows = np.concatenate([np.ones(len(s), bool) if s.dead is None else ~s.dead
                           for s in opened.segments])  # fmt: skip
    held = [name for name, living in zip(opened.ids, rows, strict=True) if living]
    assert held in allowed, (held, allowed)
    np.testing.assert_array_equal(opened.codes[rows], codes(held))
    return held


def check_usable(folder, allowed):
    held = check(folder, allowed)
    upkeep.add(folder, index_of(["more"]))
    check(folder, [[*held, "more"]])
    listed = manifest.read(folder)
    known = {folder / "index.json", folder / ".lock"}
    for segment in listed["segments"]:
        known |= {folder / segment["folder"] / f"{name}.npy" for name in segment["files"]}
    left = {p for p in folder.rglob("*") if p.is_file() and p.parent.name not in ("codec", "press")}
    assert left == known, left ^ known


def die_at(step):
    """Let this process be killed at its n-th step on the way to the disk."""
    steps = count(1)

    def counted(function):
        def called(*args, **options):
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return called

    for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    whole = manifest._ArrayFile._write

    def half(file, data):
        if next(steps) == step:
            whole(file, data[: len(data) // 2])
            file._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        whole(file, data)

    manifest._ArrayFile._write = half


def in_a_child(work):
    """Run something in a process of its own; say whether it came through."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            sys.stderr.write(f"{error!r}\n")
            os._exit(3)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == 0


def kill_at_every_step(folder, make, change, allowed, *, stride=1):
    for step in count(1, stride):
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)

        def work(step=step):
            die_at(step)
            change(folder)

        through = in_a_child(work)
        check_usable(folder, [allowed[1]] if through else allowed)
        if through:
            assert step > 10, f"only {step} steps were seen"
            return step // stride
    return 0


def next_state(held, generation):
    """Say what the index holds after its n-th change: two adds, a deletion, compaction, again."""
    if generation % 4 in (0, 1):
        return held + [f"{generation}-{i}" for i in range(40)]
    return held[30:] if generation % 4 == 2 else held


def change_on_and_on(folder):
    while True:
        generation = manifest.read(folder)["generation"]
        if generation % 4 in (0, 1):
            ids = [f"{generation}-{i}" for i in range(40)]
            upkeep.add(folder, index_of(ids))
        elif generation % 4 == 2:
            index = Index.load(folder)
            dead = [
                s.dead if s.dead is not None else np.zeros(len(s), bool) for s in index.segments
            ]
            living = np.flatnonzero(~np.concatenate(dead))
            upkeep.delete(folder, [index.ids[int(row)] for row in living[:30]])
        else:
            upkeep.compact(folder)


def kill_at_random(folder, times):
    rng, held, seen = np.random.default_rng(int(time.time())), ["a", "b"], 1
    index_of(held).save(folder)
    for _ in range(times):
        child = os.fork()
        if child == 0:
            change_on_and_on(folder)
        time.sleep(rng.uniform(0.001, 0.05))
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer ended by itself"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        generation = manifest.read(folder)["generation"]
        while seen < generation:
            held = next_state(held, seen)
            seen += 1
        check(folder, [held])
    assert seen > times / 2, f"only {seen} changes got through"


def write(folder, ids):
    """Write an index three documents at a time."""
    with IndexWriter.open(folder, CODEC, segment_rows=3) as writer:
        rest = ids[writer.rows :]
        for i in range(0, len(rest), 2):
            writer.append(codes(rest[i : i + 2]), rest[i : i + 2])
        writer.finish()


def kill_the_writer_of_a_new_index(folder):
    """Killed at every step, and then let through, it ends as the same bytes."""
    ids, home = [f"{i}" for i in range(8)], folder.with_name(f".{folder.name}.building")
    whole = folder.with_name("whole")
    write(whole, ids)
    expected = {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    for step in count(1):
        shutil.rmtree(folder, ignore_errors=True)

        def work(step=step):
            die_at(step)
            write(folder, ids)

        through = in_a_child(work)
        if not folder.exists():
            write(folder, ids)
        found = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert found == expected, found.keys() ^ expected.keys()
        if through:
            assert not home.exists()
            return step - 1
    return 0


def to_version_1(folder):
    """Lay an index of one segment out as format 1 had it."""
    listed = manifest.read(folder)
    (segment,) = listed["segments"]
    for name in segment["files"]:
        (folder / segment["folder"] / f"{name}.npy").rename(folder / f"{name}.npy")
    shutil.rmtree(folder / "segments")
    config = {
        "format_version": 1,
        "documents": segment["documents"],
        "norms": [0.5, 1.5],
        "fingerprint": listed["fingerprint"],
        "crc32": {name: file["crc32"] for name, file in segment["files"].items()},
    }
    artifact.write_config(folder / "index.json", config)


def main():
    home = Path(sys.argv[1])
    os.fsync = lambda descriptor: None  # a killed process loses nothing that it has written
    first, last = ["a", "b", "c", "d"], ["e", "f", "g"]

    def two_segments(folder):
        index_of(first).add(codes(last), last).delete(["b"]).save(folder)

    before = ["a", "c", "d", *last]
    changes = {
        "add": (lambda f: upkeep.add(f, index_of(["x", "y"])), [*before, "x", "y"]),
        "delete": (lambda f: upkeep.delete(f, ["c", "g"]), ["a", "d", "e", "f"]),
        "compact": (upkeep.compact, before),
    }
    killed = 0
    for name, (change, after) in changes.items():
        allowed = [before, after]
        killed += kill_at_every_step(home / name, two_segments, change, allowed)

    def first_format(folder):
        index_of(first).save(folder)
        to_version_1(folder)

    held = list(first)
    for name, change, after in (
        ("old-add", lambda f: upkeep.add(f, index_of(["x"])), [*held, "x"]),
        ("old-compact", upkeep.compact, held),
    ):
        killed += kill_at_every_step(home / name, first_format, change, [held, after], stride=3)
    killed += kill_the_writer_of_a_new_index(home / "new")
    kill_at_random(home / "random", 12)
    sys.stdout.write(f"{killed + 12}\n")


if __name__ == "__main__":
    main()
