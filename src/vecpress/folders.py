"""Folders and files written whole or not at all: under another name, flushed to disk, then renamed.

A folder that several processes change takes turns: who holds its lock may write, anybody may read.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecpress.errors import ArtifactError, VecpressError

try:
    import fcntl
except ImportError:  # Windows: nobody keeps two writers apart
    fcntl = None

_PATIENCE = 10.0  # seconds that a writer waits for another

_OURS = {
    *("config.json", "index.json", "results.jsonl", "manifest.json", "journal.jsonl"),
    "vecpress.json",
}


@contextmanager
def new_folder(folder: str | Path, *, overwrite: bool = False) -> Generator[Path]:
    """Give a draft folder to fill; it takes its name only when the block ends without an error.

    Raises:
        ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not overwrite:
        raise ArtifactError(f"{folder} exists: choose another name, or ask to overwrite it")
    check_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error}") from error
    try:
        yield draft
        put_in_place(draft, folder)
    except VecpressError:
        raise  # what went wrong in the block has its own sentence
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(draft: Path, folder: Path) -> None:
    """Flush a draft to disk and give it the name of a folder, which it replaces if it is there."""
    draft.chmod(0o777 & ~_umask())
    for path in [*draft.rglob("*"), draft]:
        sync(path)
    if folder.exists():
        _replace(folder, draft)
    else:
        draft.rename(folder)
    sync(folder.parent)


def put_file(draft: Path, path: Path) -> None:
    """Flush a draft to disk and give it the name of a file, which it replaces if it is there."""
    sync(draft)
    draft.replace(path)
    sync(path.parent)


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Be the only one who writes to a folder, where there are such locks; a kill frees it.

    The folder gets an empty file `.lock`. Another writer is waited for some seconds.

    Raises:
        ArtifactError: another writer does not come to an end, or the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error}") from error
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _take(descriptor):
            if time.monotonic() >= deadline:
                raise ArtifactError(
                    f"{folder} is being written by another process, still after {_PATIENCE:g} "
                    "seconds: try again when that is done"
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_replaceable(folder: Path) -> None:
    """Let only what is absent, empty or ours be replaced: a press, an index, shards, an export.

    Raises:
        ArtifactError: it is a file, or a folder of something else.
    """
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    names.discard(".lock")  # of a writer that was killed before it wrote
    if names and not (folder.is_dir() and names & _OURS):
        raise ArtifactError(
            f"{folder} holds something that vecpress did not make, and is not overwritten: choose "
            "another name"
        )


def _replace(old: Path, draft: Path) -> None:
    """Put a draft in the place of a folder; the old one goes only once the new one stands."""
    parked = Path(tempfile.mkdtemp(prefix=f".{old.name}.", dir=old.parent)) / "replaced"
    try:
        old.rename(parked)
        draft.rename(old)
    except BaseException:
        if parked.exists() and not old.exists():
            parked.rename(old)
        with suppress(OSError):  # not empty: what could not go back is not thrown away either
            parked.parent.rmdir()
        raise
    shutil.rmtree(parked.parent, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync(path: Path) -> None:
    """Flush a file or the names in a folder to disk."""
    with suppress(PermissionError):  # Windows does not open folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
