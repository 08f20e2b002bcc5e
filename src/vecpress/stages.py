"""READ FIRST. The stages of the pipeline, as the promises they make to each other.

    texts --Encoder.encode--> embeddings --Head.compress--> embeddings --Codec.quantize--> codes
                              Compressor.fit -> Head                     Quantizer.fit -> Codec

What you ask for is a frozen config (`Compressor`, `Quantizer`); `fit` turns it into what you
keep (`Head`, `Codec`). So nothing here is ever half-fitted.

The invariant at every border: **float32, C-contiguous, shape (n, d), rows of unit L2 norm; a zero
row stays zero.** Hence similarity is the inner product, higher is better, and the cosine of a
concatenation is the (weighted) mean of its blocks' cosines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float32, Int64, UInt8

from vecpress.arrays import Array
from vecpress.head import Head

Role = Literal["query", "document"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing: the `Progress` of a library."""


Log = Callable[[Mapping[str, Any]], None]
"""Told what happened in training, one row of plain values at a time: see docs/format.md."""


def unlogged(row: Mapping[str, Any]) -> None:
    """Keep nothing: the `Log` of who asks for none."""


@dataclass(frozen=True)
class Image:
    """An image file, where a text could stand.

    Attributes:
        path: Of a file that Pillow opens.
    """

    path: str

    def __str__(self) -> str:
        return self.path


Item = str | Image
"""What an encoder encodes."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into embeddings. Frozen: no stage ever trains it."""

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text could get another embedding; the cache key."""
        ...

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, in order."""
        ...


@runtime_checkable
class FittedOnTexts(Protocol):
    """An encoder still to be fitted on the corpus it will encode (TF-IDF)."""

    def fit(self, texts: Sequence[Item]) -> Encoder:
        """Learn the vocabulary of the texts."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """What a compressor may learn from; only `documents` is always there.

    Attributes:
        documents: Embeddings, possibly a memory map larger than memory.
        queries: Embeddings of training queries.
        positives: Rows (query index, document index): this document was judged for this query.
        grades: How well each of them answers, 0 for not at all; None means 1 for all.
        models: Name and width of each block of the concatenation, for the record.
    """

    documents: Float32[Array, "n d"]
    queries: Float32[Array, "m d"] | None = None
    positives: Int64[Array, "p 2"] | None = None
    grades: Float32[Array, " p"] | None = None
    models: tuple[tuple[str, int], ...] = ()

    @property
    def is_supervised(self) -> bool:
        """Whether there is a judged pair to learn from."""
        return self.queries is not None and self.positives is not None and len(self.positives) > 0


@runtime_checkable
class Compressor(Protocol):
    """A config that learns a `Head`; one that learns from judgements has `learns_from_pairs`."""

    @property
    def dim(self) -> int:
        """Width of the embeddings its head will give."""
        ...

    def fit(
        self,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Learn a head; the same seed and data give the same head."""
        ...


@runtime_checkable
class Extending(Protocol):
    """A compressor that can also continue below the last width of a head it did not fit."""

    def extend(
        self,
        head: Head,
        training: TrainingSet,
        *,
        seed: int = 0,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> Head:
        """Give the head with narrower widths down to `dim`; what it had stays bit for bit."""
        ...


@runtime_checkable
class Codec(Protocol):
    """A fitted quantizer: embeddings to codes and back.

    A codec may code in a space of its own (a rotation of the embeddings). An index works there:
    `project(query) . decode(code)` is `query . dequantize(code)`, without turning every document
    back.
    """

    @property
    def dim(self) -> int:
        """Width of the embeddings it takes."""
        ...

    @property
    def code_bytes(self) -> int:
        """ALL bytes stored per vector: codes, norms, factors."""
        ...

    def quantize(self, embeddings: Float32[Array, "n d"]) -> UInt8[Array, "n code_bytes"]:
        """Give each row its code."""
        ...

    def dequantize(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n d"]:
        """Give the unit embedding that each code stands for."""
        ...

    def project(self, queries: Float32[Array, "q d"]) -> Float32[Array, "q e"]:
        """Turn float queries into the space the codes live in; inner products are kept."""
        ...

    def decode(self, codes: UInt8[Array, "n code_bytes"]) -> Float32[Array, "n e"]:
        """Give what each code stands for in that space, NOT renormalized."""
        ...

    def tables(self) -> Float32[Array, "m k w"] | None:
        """Describe `decode` as table look-ups, the form in which codes are scanned fast.

        A code is `m` numbers of `log2(k)` bits each, lowest bits first; number `i` stands for the
        `w` coordinates `tables[i, number]`. Bits past the end of a code are 0, and so are
        coordinates past the last. None where `decode` is no such thing: such codes are decoded
        block by block.
        """
        ...


@runtime_checkable
class Quantizer(Protocol):
    """A config that calibrates a `Codec`."""

    def fit(self, calibration: Float32[Array, "n d"], *, seed: int = 0) -> Codec:
        """Calibrate a codec on embeddings like those it will see."""
        ...
