"""A folder is there whole or not at all, and what is not ours is never replaced."""

import re
import signal
import subprocess
import sys
import textwrap

import pytest

from vecpress.errors import ArtifactError, ModelError
from vecpress.folders import check_replaceable, new_folder


def everything_in(folder):
    """Name every file under a folder, with its bytes, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def saved(tmp_path):
    (tmp_path / "saved" / "deep").mkdir(parents=True)
    (tmp_path / "saved" / "config.json").write_text("old")
    (tmp_path / "saved" / "deep" / "numbers").write_bytes(b"123")
    return tmp_path / "saved"


def write_half(folder, error):
    with new_folder(folder, overwrite=True) as draft:
        (draft / "config.json").write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_draft_leaves_nothing_behind(saved, error):
    before = everything_in(saved.parent)
    for name in ("saved", "other"):
        with pytest.raises(error):
            write_half(saved.parent / name, error)
    assert everything_in(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_draft_is_not_there_under_its_name_before_it_is_whole(tmp_path):
    with new_folder(tmp_path / "a") as draft:
        (draft / "x").write_text("x")
        assert not (tmp_path / "a").exists()
        assert draft.parent == tmp_path
    assert everything_in(tmp_path) == {"a/x": b"x"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_leaves_the_old_folder_as_it_was(saved):
    before = everything_in(saved)
    code = """
        import os, signal, sys
        from vecpress.folders import new_folder
        with new_folder(sys.argv[1], overwrite=True) as draft:
            (draft / "config.json").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(saved)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert everything_in(saved) == before


def test_a_full_disk_says_what_could_not_be_written(tmp_path):
    with (
        pytest.raises(ArtifactError, match=r"^cannot write .*a: \[Errno 28\] No space left"),
        new_folder(tmp_path / "a"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_an_error_with_a_sentence_of_its_own_keeps_it(tmp_path):
    """ModelError and ArtifactError are OSErrors, but no failures to write."""
    with (
        pytest.raises(ModelError, match=r"^minilm has no weights$"),
        new_folder(tmp_path / "a"),
    ):
        raise ModelError("minilm has no weights")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["config.json", "index.json", "results.jsonl", "vecpress.json", None]
)
def test_what_is_ours_or_empty_may_be_replaced(tmp_path, name):
    (tmp_path / "a").mkdir()
    if name:
        (tmp_path / "a" / name).write_text("x")
    check_replaceable(tmp_path / "a")
    check_replaceable(tmp_path / "absent")
    with new_folder(tmp_path / "a", overwrite=True) as draft:
        (draft / "new").write_text("x")
    assert everything_in(tmp_path) == {"a/new": b"x"}


@pytest.mark.parametrize("path", ["thesis", "thesis/chapter.txt"])
def test_what_is_not_ours_is_never_replaced(tmp_path, path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    sentence = (
        rf"^{re.escape(str(tmp_path / path))} holds something that vecpress did not make, and is "
        "not overwritten: choose another name$"
    )
    with pytest.raises(ArtifactError, match=sentence):
        check_replaceable(tmp_path / path)
    with (
        pytest.raises(ArtifactError, match=sentence),
        new_folder(tmp_path / path, overwrite=True),
    ):
        pass
    assert everything_in(tmp_path) == {"thesis/chapter.txt": b"years of work"}
