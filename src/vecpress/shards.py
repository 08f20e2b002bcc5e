"""What a folder of shards holds: consecutive rows, cut into files, and a manifest of them.

How they are written, and go on after a run was killed, is in shard_writer.py.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecpress import artifact
from vecpress.digests import file_digest
from vecpress.errors import ArtifactError

FORMAT_VERSION = 1
SHARD_ROWS = 65536
"""Rows of a shard, the last one excepted: what a killed run does again, at most."""

MANIFEST, JOURNAL = "manifest.json", "journal.jsonl"

Kind = Literal["codes", "embeddings"]
Format = Literal["npy", "parquet"]


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the shards of a folder hold: it must be the same when a run goes on.

    Attributes:
        kind: Codes, or compressed embeddings.
        format: Ending of the shards: npy or parquet.
        width: Of a row.
        documents: Rows in all.
        source: Digest of what was encoded.
        press: Fingerprint of the press that made them.
        shard_rows: Rows of a shard, the last one excepted.
    """

    kind: Kind
    format: Format
    width: int
    documents: int
    source: str
    press: str
    shard_rows: int = SHARD_ROWS

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers."""
        return np.dtype(np.uint8 if self.kind == "codes" else np.float32)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A finished shard.

    Attributes:
        name: Of its file.
        rows: How many it holds.
        sha256: Of its file.
        ids: SHA-256 of the file of its ids; None if they are in the shard, or only numbers.
    """

    name: str
    rows: int
    sha256: str
    ids: str | None = None

    def read_ids(self, folder: Path) -> list[str] | None:
        """Give the ids that lie beside it, if any do."""
        if self.ids is None:
            return None
        with (folder / ids_name(self.name)).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def check(self, folder: Path) -> bool:
        """Say whether it is there, and is what it was.

        Raises:
            ArtifactError: it is damaged.
        """
        for name, sha256 in ((self.name, self.sha256), (ids_name(self.name), self.ids)):
            if sha256 is None:
                continue
            if not (folder / name).is_file():
                return False
            if file_digest(folder / name) != sha256:
                raise ArtifactError(f"{folder / name} is damaged: delete it, and it is made again")
        return True


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that a folder of shards holds."""

    header: Header
    shards: tuple[Shard, ...]

    @property
    def documents(self) -> int:
        """Rows in all."""
        return self.header.documents

    @property
    def digest(self) -> str:
        """Changes whenever a shard does."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        shards = [asdict(shard) for shard in self.shards]
        return {"format_version": FORMAT_VERSION, **asdict(self.header), "shards": shards}


def is_shards(path: Path) -> bool:
    """Say whether a folder holds shards, finished or not."""
    return (path / MANIFEST).is_file() or (path / JOURNAL).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read what finished shards hold.

    Raises:
        ArtifactError: they are unfinished, damaged, or newer than this release.
    """
    if not (folder / MANIFEST).is_file() and (folder / JOURNAL).is_file():
        raise ArtifactError(
            f"{folder} is not finished: run the command that writes it again, and it goes on"
        )
    config = artifact.read_config(folder / MANIFEST, known=FORMAT_VERSION)
    try:
        return Manifest(
            header=Header(**{field.name: config[field.name] for field in fields(Header)}),
            shards=tuple(Shard(**shard) for shard in config["shards"]),
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / MANIFEST} is damaged: it lacks {error}") from error


def ids_name(shard: str) -> str:
    """Name the file of a shard's ids."""
    return f"{shard.rpartition('.')[0]}.ids.jsonl"
