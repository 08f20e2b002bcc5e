"""Folders that are made once and kept beside what the command line keeps: tables, graphs."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from vecpress.errors import ArtifactError
from vecpress.folders import new_folder


def cache_of(kind: str) -> Path:
    """Name the folder of a kind of kept thing: `~/.cache/vecpress/KIND`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vecpress" / kind


def make_room(folder: Path, *, what: str) -> None:
    """Find out before the work, not after it, whether its result can be kept.

    Raises:
        ArtifactError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        raise ArtifactError(
            f"cannot keep a {what} in {folder}: {error}: set XDG_CACHE_HOME to a folder that can "
            "be written"
        ) from error


@contextmanager
def keep(home: Path) -> Generator[Path]:
    """Give a draft folder that becomes `home`, unless another process was quicker.

    Raises:
        ArtifactError: it cannot be written.
    """
    draft = home.with_name(f"{home.name}.{os.getpid()}")
    with new_folder(draft, overwrite=True) as folder:
        yield folder
    try:
        draft.rename(home)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not home.is_dir():
            raise ArtifactError(f"cannot write {home}: {error}") from error
