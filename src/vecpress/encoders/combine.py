"""Encoders made of encoders: several side by side, and one that remembers."""

import hashlib
import json
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, blocks, normalize
from vecpress.encoders.tokens import SharedTokens, SharesTokens
from vecpress.errors import ArtifactError, ConfigError
from vecpress.images import image_digest
from vecpress.stages import Encoder, Image, Item, Progress, Role, silent


@dataclass(frozen=True, kw_only=True)
class Concat:
    """Encoders side by side: each block of unit norm, then the whole (arXiv:2510.04626).

    The cosine of two concatenations is the weighted mean of their blocks' cosines. Equal weights
    are the paper's choice; a weaker model often deserves less.

    Attributes:
        encoders: In the order of the blocks.
        weights: Each model's share of the cosine, up to a common factor; None means equal.
    """

    encoders: tuple[Encoder, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.encoders:
            raise ConfigError("a concatenation needs at least one encoder, got none")
        if self.weights is not None and len(self.weights) != len(self.encoders):
            raise ConfigError(
                f"a concatenation of {len(self.encoders)} encoders needs as many weights, got "
                f"{len(self.weights)}"
            )
        if self.weights is not None and not all(0 < w < math.inf for w in self.weights):
            raise ConfigError(f"weights must be above 0 and finite, got {self.weights}")

    @property
    def dim(self) -> int:
        """Width of the concatenation."""
        return sum(encoder.dim for encoder in self.encoders)

    @property
    def fingerprint(self) -> str:
        """Digest of the encoders' fingerprints and the weights' ratios."""
        scale = self._scales()
        parts = [[e.fingerprint for e in self.encoders], [f"{s / scale[0]:.9f}" for s in scale]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image with every encoder, one after the other on all cores.

        Encoders that share a tokenizer share its work.
        """
        return self.encode_sharing(texts, role=role, tokens=SharedTokens())

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        parts = [_encode(encoder, texts, role, tokens) for encoder in self.encoders]
        return concatenate(parts, self.weights)

    def _scales(self) -> list[float]:
        return [float(w) ** 0.5 for w in self.weights or [1.0] * len(self.encoders)]


def _encode(
    encoder: Encoder, texts: Sequence[Item], role: Role, tokens: SharedTokens
) -> Float32[Array, "n d"]:
    if isinstance(encoder, SharesTokens):
        return encoder.encode_sharing(texts, role=role, tokens=tokens)
    return encoder.encode(texts, role=role)


def concatenate(
    embeddings: Sequence[Float32[Array, "n _"]], weights: Sequence[float] | None = None
) -> Float32[Array, "n d"]:
    """Put unit rows side by side, each block scaled by the root of its weight, and normalize."""
    roots = np.sqrt(np.asarray(weights or [1.0] * len(embeddings), np.float32))
    return normalize(
        np.concatenate([r * e for r, e in zip(roots, embeddings, strict=True)], axis=1)
    )


@dataclass(frozen=True, kw_only=True)
class Cached:
    """An encoder that keeps what it has encoded on disk, by text and role.

    An image is known by the bytes of its file, whatever its name. Each file of the cache holds up
    to 256 embeddings and appears whole or not at all, so an interrupted run goes on where it
    stopped, and several runs may share one folder.

    Attributes:
        encoder: What is asked for texts not yet seen.
        folder: Root of the cache; each fingerprint has a folder of its own below it.
        progress: Told about the texts that must be encoded.
    """

    encoder: Encoder
    folder: Path
    progress: Progress = silent

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        """The encoder's own: remembering changes no vector."""
        return self.encoder.fingerprint

    @cached_property
    def _home(self) -> Path:
        """The fingerprint's folder; quoted, for another's encoder may have a path in its name."""
        return self.folder / quote(self.fingerprint, safe="")

    @cached_property
    def _known(self) -> dict[bytes, tuple[Path, int]]:
        """Where each key's embedding is: file and row."""
        known = {}
        for path in sorted(self._home.glob("*.npy")):
            raw = _open(path)["key"].tobytes()
            known |= {raw[16 * row : 16 * row + 16]: (path, row) for row in range(len(raw) // 16)}
        return known

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, asking the encoder only for what is new in this role.

        Raises:
            ArtifactError: the cache is damaged, or cannot be written.
            DataError: an image cannot be read.
        """
        return self.encode_sharing(texts, role=role, tokens=SharedTokens())

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        keys = [_key(text, role) for text in texts]
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._known}
        self._encode_missing(missing, role, tokens)
        if not keys:
            return np.empty((0, self.dim), np.float32)
        return _gather([self._known[key] for key in keys])

    def _encode_missing(self, missing: dict[bytes, Item], role: Role, tokens: SharedTokens) -> None:
        """Encode images, then the longest texts: like batches, and no surprise at the end."""
        order = sorted(missing.items(), key=_turn)
        if order:
            self.progress("encoding", 0, len(order))
        for rows in blocks(len(order), 256):
            keys, texts = zip(*order[rows], strict=True)
            path = self._store(keys, _encode(self.encoder, texts, role, tokens))
            self._known.update({key: (path, row) for row, key in enumerate(keys)})
            self.progress("encoding", rows.stop, len(order))

    def _store(self, keys: tuple[bytes, ...], embeddings: Float32[Array, "n d"]) -> Path:
        shard = np.empty(
            len(keys), [("key", "V16"), ("embedding", np.float32, (embeddings.shape[1],))]
        )
        shard["key"] = np.frombuffer(b"".join(keys), "V16")
        shard["embedding"] = embeddings
        name = hashlib.blake2b(b"".join(keys), digest_size=16).hexdigest()
        draft = self._home / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                np.save(file, shard)
                file.flush()
                os.fsync(file.fileno())
            return draft.replace(self._home / f"{name}.npy")
        except OSError as error:
            raise ArtifactError(f"cannot write the cache {self.folder}: {error}") from error


def _open(path: Path) -> Array:
    try:
        shard = np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise ArtifactError(f"the cache file {path} is damaged: delete it ({error})") from error
    if not isinstance(shard, np.ndarray) or shard.dtype.names != ("key", "embedding"):
        raise ArtifactError(f"the cache file {path} is not ours: delete it")
    return shard


def _gather(places: Sequence[tuple[Path, int]]) -> Float32[Array, "n d"]:
    """Read embeddings file by file, leaving none open: a large cache has more than may be."""
    out = np.empty((len(places), 0), np.float32)
    order = sorted(range(len(places)), key=places.__getitem__)
    for path, group in groupby(order, key=lambda i: places[i][0]):
        rows = list(group)
        embeddings = _open(path)["embedding"][[places[i][1] for i in rows]]
        out = out if out.shape[1] else np.empty((len(places), embeddings.shape[1]), np.float32)
        out[rows] = embeddings
    return out


def _turn(entry: tuple[bytes, Item]) -> tuple[float, bytes]:
    """Images keep their order."""
    key, item = entry
    return (-math.inf, b"") if isinstance(item, Image) else (-float(len(item)), key)


def _key(item: Item, role: Role) -> bytes:
    """Name what is encoded; no text's name begins as an image's does."""
    if isinstance(item, Image):
        prepared = f"image\0{role}\0{image_digest(item)}".encode()
    else:
        prepared = f"{role}\0{item}".encode(errors="surrogatepass")
    return hashlib.blake2b(prepared, digest_size=16).digest()


def with_cache(encoder: Encoder, folder: Path, *, progress: Progress = silent) -> Encoder:
    """Let an encoder, or each part of a concatenation, remember what it encodes."""
    if isinstance(encoder, Concat):
        parts = tuple(with_cache(e, folder, progress=progress) for e in encoder.encoders)
        return replace(encoder, encoders=parts)
    return Cached(encoder=encoder, folder=folder, progress=progress)


def without_cache(encoder: Encoder) -> Encoder:
    """Invert `with_cache`."""
    if isinstance(encoder, Concat):
        return replace(encoder, encoders=tuple(without_cache(e) for e in encoder.encoders))
    return encoder.encoder if isinstance(encoder, Cached) else encoder
