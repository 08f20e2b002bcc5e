"""Lines of a text file, packed or not."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from vecpress.errors import DataError


def read_lines(path: Path) -> Iterator[str]:
    """Give each line without its end, and without the mark that Windows puts first.

    Raises:
        DataError: the file is not UTF-8 text, or not packed as its name says.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} is not UTF-8 text ({error}): is it a binary file?") from error
