"""What a file holds, as a short name; read again only when the file has changed."""

import hashlib
from functools import lru_cache
from pathlib import Path


def file_digest(path: str | Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    state = Path(path).stat()  # a file written again in its place is another file
    return _digest_of(str(path), state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _digest_of(path: str, place: int, size: int, changed: int) -> str:  # noqa: ARG001 - the key
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
