"""Folders written whole or not at all: filled under another name, flushed to disk, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecpress.errors import ArtifactError, VecpressError


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
        draft.chmod(0o777 & ~_umask())
        for path in [*draft.rglob("*"), draft]:
            _sync(path)
        if folder.exists():
            _replace(folder, draft)
        else:
            draft.rename(folder)
        _sync(folder.parent)
    except VecpressError:
        raise  # what went wrong in the block has its own sentence
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """Let only what is absent, empty or ours be replaced: a press, an index, a comparison.

    Raises:
        ArtifactError: it is a file, or a folder of something else.
    """
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if names and not (folder.is_dir() and names & {"config.json", "index.json", "results.jsonl"}):
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


def _sync(path: Path) -> None:
    with suppress(PermissionError):  # Windows does not open folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
