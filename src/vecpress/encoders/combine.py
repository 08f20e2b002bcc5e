"""Encoders made of encoders: several side by side, and one that remembers."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array, blocks, normalize
from vecpress.errors import ArtifactError, ConfigError
from vecpress.stages import Encoder, Progress, Role, silent


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
        if self.weights is not None and min(self.weights) <= 0:
            raise ConfigError(f"weights must be above 0, got {self.weights}")

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

    def encode(self, texts: Sequence[str], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text with every encoder."""
        return concatenate([e.encode(texts, role=role) for e in self.encoders], self.weights)

    def _scales(self) -> list[float]:
        return [float(w) ** 0.5 for w in self.weights or [1.0] * len(self.encoders)]


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

    Each file holds up to 256 embeddings and appears whole or not at all, so an interrupted run
    goes on where it stopped, and several runs may share one folder.

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
    def _known(self) -> dict[bytes, tuple[Array, int]]:
        """Where each key's embedding is: memory-mapped file and row."""
        known = {}
        for path in sorted((self.folder / self.fingerprint).glob("*.npy")):
            try:
                shard = np.load(path, mmap_mode="r")
            except (ValueError, OSError) as error:
                raise ArtifactError(f"the cache file {path} is damaged: delete it") from error
            raw = shard["key"].tobytes()
            known |= {raw[16 * row : 16 * row + 16]: (shard, row) for row in range(len(shard))}
        return known

    def encode(self, texts: Sequence[str], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, asking the encoder only for those it has not seen in this role."""
        keys = [_key(text, role) for text in texts]
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._known}
        self._encode_missing(missing, role)
        out = np.empty((len(texts), self.dim), np.float32)
        for i, key in enumerate(keys):
            shard, row = self._known[key]
            out[i] = shard[row]["embedding"]
        return out

    def _encode_missing(self, missing: dict[bytes, str], role: Role) -> None:
        """Encode the longest texts first: batches of like length, and no surprise at the end."""
        order = sorted(missing.items(), key=lambda item: (-len(item[1]), item[0]))
        for rows in blocks(len(order), 256):
            keys, texts = zip(*order[rows], strict=True)
            shard = self._store(keys, self.encoder.encode(texts, role=role))
            self._known.update({key: (shard, row) for row, key in enumerate(keys)})
            self.progress("encoding", rows.stop, len(order))

    def _store(self, keys: tuple[bytes, ...], embeddings: Float32[Array, "n d"]) -> Array:
        shard = np.empty(
            len(keys), [("key", "V16"), ("embedding", np.float32, (embeddings.shape[1],))]
        )
        shard["key"] = np.frombuffer(b"".join(keys), "V16")
        shard["embedding"] = embeddings
        folder = self.folder / self.fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.blake2b(b"".join(keys), digest_size=16).hexdigest()
        draft = folder / f".{name}.{os.getpid()}"
        with draft.open("wb") as file:
            np.save(file, shard)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / f"{name}.npy")
        return np.load(folder / f"{name}.npy", mmap_mode="r")


def _key(text: str, role: Role) -> bytes:
    prepared = f"{role}\0{text}".encode(errors="surrogatepass")
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
