"""Images as files: those a folder holds, their digests, and their pixels."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vecpress import registry
from vecpress.digests import file_digest
from vecpress.errors import DataError
from vecpress.stages import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
"""What a folder's images end in, in capitals or not; elsewhere the name does not matter."""


def find_images(folder: Path) -> list[str]:
    """Name the images in a folder and the folders below, relative to it and sorted.

    Names have slashes on every system. Files and folders whose name begins with a dot do not
    count, nor do links to folders, nor files that do not end as an image does.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        chosen = [name for name in names if not name.startswith(".")]
        found += [Path(here, name) for name in chosen if name.lower().endswith(SUFFIXES)]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _refuse(error: OSError) -> None:
    raise DataError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def image_digest(image: Image) -> str:
    """Give the SHA-256 of an image's file, which does not depend on its name.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return file_digest(image.path)
    except (OSError, ValueError) as error:
        raise _unreadable(image, error) from error


def check_image(image: Image, *, where: str = "") -> None:
    """Make sure that a file is there and begins like an image; its pixels are not read.

    Args:
        image: What to check.
        where: It is named, such as " of record 7 of corpus.jsonl".

    Raises:
        DataError: it is not there, or no image that Pillow knows.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow()
    try:
        pillow.open(image.path).close()
    except Exception as error:  # each format of Pillow's raises errors of its own
        raise _unreadable(image, error, where=where) from error


def open_image(image: Image) -> Any:
    """Read an image's pixels as a Pillow image in RGB; the file is closed.

    It is turned upright as its EXIF data say. Of an animation this is the first frame.
    Transparency is dropped, as the published models' own processors do; 16 bits of grey become 8.

    Raises:
        DataError: the file cannot be read to its end, or has pixels without a known range.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _pillow()
    ops = registry.require("PIL.ImageOps", extra="image")
    try:
        with pillow.open(image.path) as opened:
            return _rgb(ops.exif_transpose(opened), pillow)
    except Exception as error:  # each format of Pillow's raises errors of its own
        raise _unreadable(image, error) from error


def _rgb(picture: Any, pillow: ModuleType) -> Any:
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of the mode {picture.mode} may have any range: save 8 bits")
    if picture.mode.startswith("I;16"):  # Pillow would cut these at 255
        picture = pillow.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if "transparency" in picture.info:  # which Pillow wants to be asked for, in a palette
        picture = picture.convert("RGBA")
    return picture.convert("RGB")


def _pillow() -> ModuleType:
    return registry.require("PIL.Image", extra="image")


def _unreadable(image: Image, error: Exception, *, where: str = "") -> DataError:
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        known = type(error).__name__ != "UnidentifiedImageError"
        reason = str(error) if known else "not a kind of image that Pillow knows"
    return DataError(
        f"cannot read the image {image.path}{where} ({reason}): replace it, or leave it out"
    )
