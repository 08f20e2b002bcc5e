"""Make an index larger than memory; a killed run is gone on with where it stood.

Documents are written in segments of a fixed size, into a folder beside the index's place. So what
ends up on disk depends neither on how many came at a time nor on how often the run was killed.
"""

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vecpress import artifact, manifest
from vecpress.arrays import Array
from vecpress.errors import ArtifactError, DataError, VecpressError
from vecpress.folders import check_replaceable, locked, put_file, put_in_place
from vecpress.segments import Segment, check_codes, check_different, named, taken
from vecpress.stages import Codec
from vecpress.strings import Strings, among

SEGMENT_ROWS = 1 << 18
_STATE = "state.json"
_FORMAT_VERSION = 1  # of the state; the index has its own


class IndexWriter:
    """Takes the codes of a corpus, some at a time. In memory: one segment, 8 bytes per document.

    Attributes:
        draft: The folder that becomes the index; more may be put into it, such as the press.
    """

    def __init__(self, folder: Path, codec: Codec, fine: Codec | None, state: Any) -> None:
        """Go on with an unfinished index; `open` finds out which."""
        self._folder, self._codec, self._fine, self._state = folder, codec, fine, state
        self._home = _home(folder)
        self.draft = self._home / "index"
        self.draft.mkdir(exist_ok=True)
        for path in self.draft.iterdir():  # what a run left that was killed while it finished
            if path.name != "segments":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        manifest.remove_leftovers(self.draft, state)
        self._waiting: list[Segment] = []
        self._has_snippets: bool | None = None
        self._seen = np.empty(0, np.uint64)
        for segment in self._written(verify=True):
            self._has_snippets = segment.snippets is not None
            self._see(segment.ids)

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: str | Path,
        codec: Codec,
        *,
        fine: Codec | None = None,
        fingerprint: str = "",
        source: str = "",
        segment_rows: int = SEGMENT_ROWS,
        overwrite: bool = False,
    ) -> "Generator[IndexWriter]":
        """Begin an index, or go on with the same one; nothing is at its place before `finish`.

        Args:
            folder: Where it will be.
            codec: What the codes mean.
            fine: What the finer codes mean, if there are any.
            fingerprint: Of the pipeline that makes the codes.
            source: Digest of the corpus. What a killed run left is gone on with where this, the
                codecs, the fingerprint and the size of segments are the same.
            segment_rows: Documents written at a time; so many are lost, at most, in a killed run.
            overwrite: Whether an index may be replaced, or an unfinished one of something else
                thrown away.

        Raises:
            ArtifactError: the folder exists and `overwrite` is false, or cannot be written; an
                unfinished index of something else is in the way, or another process at work.
        """
        folder = Path(folder)
        made_of = {
            "format_version": _FORMAT_VERSION,
            "codec": artifact.fingerprint({"codec": codec, "fine": fine}),
            "fingerprint": fingerprint,
            "source": source,
            "segment_rows": segment_rows,
        }
        _check_place(folder, overwrite=overwrite)
        try:
            _home(folder).mkdir(parents=True, exist_ok=True)
            with locked(_home(folder)):
                _check_place(folder, overwrite=overwrite)
                writer = cls(folder, codec, fine, _state(folder, made_of, overwrite=overwrite))
                try:
                    yield writer
                finally:
                    writer._leave()
        except VecpressError:
            raise
        except OSError as error:
            raise ArtifactError(f"cannot write {folder}: {error}") from error

    @property
    def rows(self) -> int:
        """How many documents it holds; just opened, those that a killed run has left."""
        written = sum(segment["documents"] for segment in self._state["segments"])
        return written + sum(map(len, self._waiting))

    def append(
        self,
        codes: UInt8[Array, "m code_bytes"],
        ids: Sequence[str],
        *,
        snippets: Sequence[str] | None = None,
        fine: UInt8[Array, "_ fine_bytes"] | None = None,
    ) -> None:
        """Take the next documents of the corpus.

        Raises:
            DataError: not one id for each; an id stands for two documents (that is found out when
                a segment is full); or snippets or finer codes are given for some documents only.
            ShapeError: the codes are not as long as the codec's.
        """
        if len(codes) == 0 and len(ids) == 0:
            return
        made = Segment.of(codes, ids, snippets=snippets, fine=fine)
        if self._has_snippets not in (None, snippets is not None):
            raise DataError("snippets must be given for all documents of an index, or for none")
        if (fine is None) != (self._fine is None):
            raise DataError("fine codes must be given for all documents of an index, or for none")
        check_codes(self._codec, made.codes)
        if self._fine is not None and made.fine is not None:
            check_codes(self._fine, made.fine, name="fine codes")
        self._has_snippets = snippets is not None
        self._waiting.append(made)
        size = self._state["segment_rows"]
        if sum(map(len, self._waiting)) >= size:
            joined = Segment.join(self._waiting)
            whole = len(joined) // size * size
            for start in range(0, whole, size):
                self._commit(self._write(joined.cut(slice(start, start + size))))
            self._waiting = [joined.cut(slice(whole, len(joined)))] if whole < len(joined) else []

    def finish(self) -> None:
        """Write what is left, and put the index in its place.

        Raises:
            DataError: there are no documents, or an id stands for two.
            ArtifactError: it cannot be written.
        """
        if not self.rows:
            raise DataError("an index needs at least one document, got none")
        segments = list(self._state["segments"])
        if self._waiting:
            segments.append(self._write(Segment.join(self._waiting)))
        manifest.write_codec(self.draft, self._codec, self._fine)
        manifest.write(self.draft, 1, self._state["fingerprint"], segments)
        put_in_place(self.draft, self._folder)
        self._state["segments"] = []

    def _write(self, segment: Segment) -> manifest.Manifest:
        """Write a segment, if its ids are new."""
        self._see(segment.ids)
        return manifest.write_segment(self.draft, f"1-{len(self._state['segments'])}", [segment])

    def _see(self, ids: Strings) -> None:
        """Remember ids, if they are new."""
        check_different(ids)
        if among(ids.hashes, self._seen).any():
            for segment in self._written():
                if there := taken(ids, [segment]):
                    raise DataError(
                        f"{named(there)} stands for two documents: give each an id of its own"
                    )
        both = np.concatenate([self._seen, np.sort(ids.hashes)])
        self._seen = np.sort(both, kind="stable")  # merges what is sorted

    def _commit(self, written: manifest.Manifest) -> None:
        """Let a killed run go on behind this segment."""
        self._state["segments"].append(written)
        draft = self._home / f".{_STATE}"
        artifact.write_config(draft, self._state)
        put_file(draft, self._home / _STATE)

    def _written(self, *, verify: bool = False) -> Generator[Segment]:
        for segment in list(self._state["segments"]):
            yield manifest.open_segment(
                self.draft, segment, codec=self._codec, fine=self._fine, verify=verify
            )

    def _leave(self) -> None:
        """Keep what can be gone on with."""
        if not self._state["segments"]:
            with suppress(OSError):
                shutil.rmtree(self._home)


def _home(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.building")


def _check_place(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise ArtifactError(f"{folder} exists: choose another name, or ask to overwrite it")
    check_replaceable(folder)


def _state(folder: Path, made_of: dict[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """Read how far a killed run came with the same index; begin where there is none."""
    home, fresh = _home(folder), {**made_of, "segments": []}
    if (home / _STATE).exists() and (home / "index" / "segments").is_dir():
        state = artifact.read_config(home / _STATE, known=_FORMAT_VERSION)
        if {**state, "segments": []} == fresh:
            return state
        if not overwrite:
            raise ArtifactError(
                f"{home} holds an unfinished index of another corpus or press, or with segments "
                "of another size: finish that, or remove the folder"
            )
    shutil.rmtree(home / "index", ignore_errors=True)
    return fresh
