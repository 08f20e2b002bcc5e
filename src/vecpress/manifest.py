"""The files of an index: index.json, and the segments that it lists.

A file of a segment is never changed. A change writes new files, flushes them to disk, and then
puts another index.json in the place of the old one: that is the only moment at which the index
becomes another. What index.json does not list was left behind, and the next writer removes it.
docs/format.md is the specification.
"""

import io
import os
import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from vecpress import artifact
from vecpress.arrays import Array, blocks
from vecpress.errors import ArtifactError
from vecpress.folders import put_file, sync
from vecpress.partition import Partition
from vecpress.segments import Segment
from vecpress.stages import Codec

FORMAT_VERSION = 2
NAME = "index.json"
_LISTS = "partition."  # begins the names of a partition's files
_ROWS = 65536  # written together
_IN_ROOT = ("codes", "ids.data", "ids.ends", "snippets.data", "snippets.ends")  # of format 1
_UNREADABLE = (OSError, ValueError, TypeError, EOFError, SyntaxError, TokenError, MemoryError)

Manifest = dict[str, Any]
"""What index.json holds, but for its digest."""


def read(root: Path) -> Manifest:
    """Read index.json, of this or the earlier format version.

    Raises:
        ArtifactError: it is absent, damaged, or newer than this release.
    """
    found = artifact.read_config(root / NAME, known=FORMAT_VERSION)
    return found if found["format_version"] == FORMAT_VERSION else _from_version_1(found)


def _from_version_1(found: Mapping[str, Any]) -> Manifest:
    """Take an index of one piece as one segment, which lies in the folder itself."""
    files = {name: {"crc32": crc32} for name, crc32 in found["crc32"].items()}
    segment = {"folder": ".", "documents": found["documents"], "files": files}
    return {
        "format_version": FORMAT_VERSION,
        "generation": 0,
        "fingerprint": found["fingerprint"],
        "segments": [segment],
    }


def write(root: Path, generation: int, fingerprint: str, segments: Sequence[Manifest]) -> None:
    """Let the index be these segments from now on."""
    made = {
        "format_version": FORMAT_VERSION,
        "generation": generation,
        "fingerprint": fingerprint,
        "segments": list(segments),
    }
    artifact.write_config(root / f".{NAME}", made)
    put_file(root / f".{NAME}", root / NAME)


def write_all(root: Path, segments: Sequence[Segment], *, fingerprint: str) -> None:
    """Write an index into an empty folder, as it is in memory."""
    listed = []
    for i, segment in enumerate(segments):
        written = write_segment(root, f"1-{i}", [replace(segment, dead=None)])
        if segment.partition is not None:
            written = write_partition(root, written, segment.partition)
        listed.append(write_deleted(root, written, segment, name="deleted-1"))
    write(root, 1, fingerprint, listed)


def write_codec(root: Path, codec: Codec, fine: Codec | None) -> None:
    """Write what the codes mean, also the finer ones."""
    content = {"codec": codec} if fine is None else {"codec": codec, "fine": fine}
    artifact.save(root / "codec", content, card="The codec of an index.\n")


def write_segment(
    root: Path, name: str, segments: Sequence[Segment], *, order: Array | None = None
) -> Manifest:
    """Write the living documents of some segments as one; give what index.json lists of it.

    With `order`, those of one segment without dead rows, in that order.
    """
    parts = (part for segment in segments for part in segment.living_parts())
    if order is not None:
        parts = (segments[0].take(order[rows]) for rows in blocks(len(order), _ROWS))
    home = root / "segments" / name
    home.mkdir(parents=True)
    starts: dict[str, int] = {}
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(_ArrayFile(home / f"{name}.npy", dtype, shape))
            for name, (dtype, shape) in _shapes(segments).items()
        }
        for part in parts:
            for name, rows in part.arrays().items():
                if name.endswith(".ends"):
                    rows = rows + starts.get(name, 0)
                    starts[name] = int(rows[-1])
                files[name].put(rows)
    sync(home)
    sync(home.parent)
    listed = {name: file.listed() for name, file in files.items()}
    rows = sum(segment.living for segment in segments)
    return {"folder": f"segments/{home.name}", "documents": rows, "files": listed}


def _shapes(segments: Sequence[Segment]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Say of each array that is to be written what it holds, and how much."""
    rows, made = sum(segment.living for segment in segments), {}
    for name, array in segments[0].arrays().items():
        size = rows
        if name.endswith(".data"):
            kind = name.removesuffix(".data")
            size = sum(getattr(segment, kind).size(segment.dead) for segment in segments)
        made[name] = array.dtype, (size, *array.shape[1:])
    return made


def write_partition(root: Path, listed: Manifest, partition: Partition) -> Manifest:
    """Write the lists of a segment beside its files; give its new entry."""
    home, files = root / listed["folder"], dict(listed["files"])
    for field, array in vars(partition).items():
        with _ArrayFile(home / f"{_LISTS}{field}.npy", array.dtype, array.shape) as file:
            file.put(array)
        files[f"{_LISTS}{field}"] = file.listed()
    sync(home)
    return {**listed, "files": files}


def write_deleted(root: Path, listed: Manifest, segment: Segment, *, name: str) -> Manifest:
    """Write which documents of a segment are dead, beside its files; give its new entry."""
    files = {name: file for name, file in listed["files"].items() if not _tells_deleted(name)}
    if segment.dead is not None:
        bits = np.packbits(segment.dead, bitorder="little")
        path = root / listed["folder"] / f"{name}.npy"
        with _ArrayFile(path, bits.dtype, bits.shape) as file:
            file.put(bits)
        sync(path.parent)
        files[name] = file.listed()
    return {**listed, "files": files}


def _tells_deleted(name: str) -> bool:
    return name.startswith("deleted-")


class _ArrayFile:
    """An .npy file that is written piece by piece, flushed to disk when it is closed."""

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        header = io.BytesIO()
        described = np.lib.format.dtype_to_descr(dtype)
        about = {"descr": described, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, about)
        self._path, self._header = path, header.getvalue()
        self._size = self._crc32 = 0

    def put(self, rows: Array) -> None:
        """Append rows."""
        self._write(np.ascontiguousarray(rows).data.cast("B") if rows.size else b"")

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._size += len(data)

    def listed(self) -> Manifest:
        """Give what index.json says of the file."""
        return {"bytes": self._size, "crc32": self._crc32}

    def __enter__(self) -> "_ArrayFile":
        self._file = self._path.open("xb")
        try:
            self._write(self._header)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())


def open_segment(
    root: Path, listed: Manifest, *, codec: Codec, fine: Codec | None, verify: bool
) -> Segment:
    """Open the files of a segment; they stay on disk until they are read.

    Raises:
        ArtifactError: one is missing or damaged, as far as its length and its first bytes tell;
            or, with `verify`, as any byte tells.
    """
    home, rows = root / listed["folder"], listed["documents"]
    found = {
        name: _open_array(home / f"{name}.npy", file, verify=verify)
        for name, file in listed["files"].items()
    }
    lists = {name: found.pop(name) for name in list(found) if name.startswith(_LISTS)}
    bits = next((found.pop(name) for name in list(found) if _tells_deleted(name)), None)
    _check(home, found, "codes", np.uint8, (rows, codec.code_bytes))
    if fine is not None:
        _check(home, found, "fine", np.uint8, (rows, fine.code_bytes))
    for kind in ("ids", "snippets") if "snippets.ends" in found else ("ids",):
        _check(home, found, f"{kind}.ends", np.int64, (rows,))
        _check(home, found, f"{kind}.data", np.uint8, (int(found[f"{kind}.ends"][-1]),))
    if bits is not None:
        bits = np.unpackbits(bits, count=rows, bitorder="little").view(bool)
    made = Segment.of_arrays(found, dead=bits)
    return replace(made, partition=_lists(home, lists, rows)) if lists else made


def _lists(home: Path, found: Mapping[str, Array], rows: int) -> Partition:
    """Put a partition together; its arrays must fit each other, and the rows of the segment."""
    lists, depths = (len(found.get(f"{_LISTS}{name}", ())) for name in ("ends", "depths"))
    width = found[f"{_LISTS}centroids"].shape[-1:] if f"{_LISTS}centroids" in found else ()
    _check(home, found, f"{_LISTS}ends", np.int64, (lists,))
    _check(home, found, f"{_LISTS}depths", np.int64, (depths,))
    _check(home, found, f"{_LISTS}centroids", np.float32, (lists, *width))
    _check(home, found, f"{_LISTS}recall", np.float32, (depths, lists))
    made = Partition(**{name.removeprefix(_LISTS): array for name, array in found.items()})
    if not lists or made.ends[-1] != rows:
        raise ArtifactError(
            f"{home / _LISTS}ends.npy is damaged: the lists must end at row {rows}, got "
            f"{made.ends[-1:].tolist()}"
        )
    return made


def _check(
    home: Path, found: Mapping[str, Array], name: str, dtype: type, shape: tuple[int, ...]
) -> None:
    """Make sure that an array is what the others and the codec say it is."""
    array = found.get(name)
    if array is None or array.dtype != dtype or array.shape != shape:
        raise ArtifactError(
            f"{home / name}.npy is damaged: it must hold {np.dtype(dtype)} of shape {shape}, got "
            f"{'nothing' if array is None else f'{array.dtype} of shape {array.shape}'}"
        )


def _open_array(path: Path, listed: Manifest, *, verify: bool) -> Array:
    try:
        size = path.stat().st_size
        whole = size == listed.get("bytes", size) and not (
            verify and _crc32(path) != listed["crc32"]
        )
        array = np.load(path, mmap_mode="r" if size > 128 else None, allow_pickle=False)
    except _UNREADABLE as error:
        raise ArtifactError(f"{path} is damaged or missing: {error}") from error
    if not whole:
        raise ArtifactError(f"{path} is damaged: copy it again, or make the index again")
    return array


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            value = zlib.crc32(part, value)
    return value


def remove_leftovers(root: Path, manifest: Manifest) -> None:
    """Remove the files of ours that index.json does not list; what resists, stays for now."""
    listed = {root / segment["folder"]: segment["files"] for segment in manifest["segments"]}
    left = [root / f".{NAME}"]
    if root not in listed:
        left += [root / f"{name}.npy" for name in _IN_ROOT]
    for home, files in {root: {}, **listed}.items():
        left += [path for path in home.glob("deleted-*.npy") if path.stem not in files]
    for path in left:
        with suppress(OSError):
            path.unlink()
    for home in (root / "segments").glob("*"):
        if home not in listed and re.fullmatch(r"\d+-\d+", home.name):
            shutil.rmtree(home, ignore_errors=True)
