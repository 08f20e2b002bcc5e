"""A static table made of a transformer, which then sees every token once, and no text.

The idea is model2vec's (Tulkens and van Dongen 2024, github.com/MinishLab/model2vec): a text costs
a few additions, and needs neither torch nor the transformer.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

import numpy as np
import safetensors.numpy
from jaxtyping import Float16, Float32, Float64, UInt8
from safetensors import SafetensorError
from tokenizers import Tokenizer

from vecpress.arrays import Array, blocks
from vecpress.artifact import read_config, write_config
from vecpress.encoders.catalogue import find
from vecpress.encoders.items import only_texts
from vecpress.encoders.kept import cache_of, keep, make_room
from vecpress.encoders.static import StaticEncoder
from vecpress.encoders.tokens import SharedTokens
from vecpress.errors import ArtifactError, ConfigError, ModelError
from vecpress.stages import Encoder, FittedOnTexts, Item, Role

_RECIPE = 1
"""Another number here whenever the same model would give another table."""

_LAYOUT = 1
"""Of the config.json that is kept."""

_SIF = 1e-4
_UNUSED = re.compile(r"\[unused\d+\]")
_FILES = ("model.safetensors", "tokenizer.json")


@runtime_checkable
class _Transformer(Protocol):
    """What can be distilled: an encoder that also encodes one token."""

    def tokenizer_json(self) -> str: ...

    def encode_tokens(self, ids: Sequence[int]) -> Float32[Array, "n d"]: ...


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """A transformer whose tokens become a table. Fitted on no texts: its vocabulary is enough.

    Attributes:
        model: Name of the transformer, such as `minilm` or `st:FOLDER`.
        dim: Principal directions of the tokens' embeddings kept.
    """

    model: str
    dim: int = 256

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ConfigError(f"dim must be at least 1, got {self.dim}")
        self._source()

    def fit(self, texts: Sequence[Item] = ()) -> "DistilledEncoder":
        """Make the table, or read it where it was made before: `~/.cache/vecpress/tables`.

        Making it takes about a minute for 30,000 tokens. It is kept in the layout of model2vec, so
        `static:FOLDER` reads it too.

        Args:
            texts: Not looked at.

        Raises:
            ArtifactError: the table kept is damaged, or cannot be kept.
            ConfigError: the model has fewer directions than `dim`, or no tokens.
            ModelError: the model cannot be loaded, or gives numbers that are not finite.
        """
        source = self._source()
        assert isinstance(source, _Transformer)
        parts = json.dumps(["distilled", source.fingerprint, self.dim, _RECIPE])
        fingerprint = hashlib.sha256(parts.encode()).hexdigest()[:32]
        home = cache_of("tables") / fingerprint
        if not home.exists():
            make_room(home.parent, what="table")
            tokenizer = json.loads(source.tokenizer_json()) | {"padding": None, "truncation": None}
            stored = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
            _keep(home, self._distil(source, stored), stored, self.model)
        return _read(home, model=self.model)

    def _source(self) -> Encoder:
        """Give the transformer; nothing is loaded yet."""
        found = find(self.model)
        if not isinstance(found, _Transformer) or isinstance(found, FittedOnTexts):
            raise ConfigError(
                "only a transformer can be distilled, such as distilled:minilm or "
                f"distilled:st:ID_OR_FOLDER, got {self.model!r}"
            )
        return found

    def _distil(self, source: _Transformer, tokenizer: str) -> Float16[Array, "vocabulary d"]:
        """Embed every word of the vocabulary, reduce, weigh; the rows of other ids stay zero."""
        names, words = _vocabulary(tokenizer)
        width = source.encode_tokens(words[:1]).shape[1]
        most = min(width, len(words) - 1)
        if self.dim > most:
            raise ConfigError(
                f"distilled:{self.model} has at most {most} dimensions ({len(words)} tokens, "
                f"{width} dimensions of the model), got dim {self.dim}: write {{ kind = "
                f'"distilled", model = "{self.model}", dim = {most} }} in a recipe, or less'
            )
        rows = source.encode_tokens(words)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise ModelError(
                f"{self.model!r} gives embeddings that are not finite for {int((~finite).sum())} "
                f"of its {len(words)} tokens, the first is {names[words[int(np.argmin(finite))]]!r}"
            )
        weighed = principal(rows, self.dim) * zipf_weights(len(words))[:, None]
        table = np.zeros((max(names) + 1, self.dim), np.float16)
        # One scale for all rows changes no cosine, and float16 then holds the smallest rows too.
        table[words] = weighed / (np.abs(weighed).max() or 1.0)
        return table


@dataclass(frozen=True, kw_only=True, eq=False)
class DistilledEncoder:
    """A fitted `Distilled`: it holds its table, so an artifact answers the same everywhere.

    Attributes:
        model: What it was distilled from, for people.
        fingerprint: Digest of that model's files and options, `dim`, and the way of distilling.
        table: A row per token id, the token's weight folded in; zero for what says nothing.
        tokenizer: A tokenizer.json, in UTF-8.
    """

    model: str
    fingerprint: str
    table: Float16[Array, "vocabulary d"]
    tokenizer: UInt8[Array, " bytes"]

    @cached_property
    def static(self) -> StaticEncoder:
        """The table, as what reads a folder at its first `encode`, and then no more."""
        with TemporaryDirectory() as folder:
            _write(Path(folder), self.table, self.tokenizer.tobytes())
            static = StaticEncoder(model=folder)
            static.encode(["now"])
        return static

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.table.shape[1])

    def tokenizer_json(self) -> str:
        """Give the model's tokenizer in the form of the library tokenizers."""
        return self.tokenizer.tobytes().decode()

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order; a text without known tokens becomes a zero row.

        Raises:
            ConfigError: there is an image among them.
        """
        return self.encode_sharing(texts, role=role, tokens=SharedTokens())

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        words = only_texts(texts, model=f"distilled:{self.model}")
        return self.static.encode_sharing(words, role=role, tokens=tokens)


def principal(rows: Float32[Array, "n d"], dim: int) -> Float64[Array, "n {dim}"]:
    """Centre rows and turn them to their `dim` directions of most variance.

    Of a direction's two signs the one is taken that makes its largest number positive.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((rows.shape[1],) * 2)
    for some in blocks(len(rows), 8192):
        centred = rows[some] - mean
        scatter += centred.T @ centred
    directions = np.linalg.eigh(scatter)[1][:, ::-1][:, :dim]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(dim)])
    return np.concatenate([(rows[some] - mean) @ directions for some in blocks(len(rows), 8192)])


def zipf_weights(n: int) -> Float64[Array, " {n}"]:
    """Weigh n tokens, most frequent first, by a / (a + p) with a = 1e-4.

    The weight is that of smooth inverse frequency (Arora et al. 2017, "A Simple but Tough-to-Beat
    Baseline for Sentence Embeddings"); p is not counted but taken from Zipf's law, proportional to
    1 / (rank + 1), rank from 1, as model2vec has it.
    """
    p = 1 / np.arange(2, n + 2)
    return _SIF / (_SIF + p / p.sum())


def _vocabulary(tokenizer: str) -> tuple[dict[int, str], list[int]]:
    """Give every token by its id, and the ids of those that stand for text.

    Left out are the tokenizer's special tokens ([PAD], [UNK], [CLS] ...) and BERT's [unused12].
    """
    engine = Tokenizer.from_str(tokenizer)
    names = {i: token for token, i in engine.get_vocab(with_added_tokens=True).items()}
    added = engine.get_added_tokens_decoder()
    special = {i for i, token in added.items() if token.special}
    return names, [i for i in sorted(names) if i not in special and not _UNUSED.match(names[i])]


def _write(folder: Path, table: Float16[Array, "vocabulary d"], tokenizer: bytes) -> None:
    stored = safetensors.numpy.save({"embeddings": np.ascontiguousarray(table)})
    (folder / _FILES[0]).write_bytes(stored)  # `save_file` would keep it from other users
    (folder / _FILES[1]).write_bytes(tokenizer)


def _keep(home: Path, table: Float16[Array, "vocabulary d"], tokenizer: str, model: str) -> None:
    """Write a folder that model2vec can read, unless another process was quicker."""
    with keep(home) as folder:
        _write(folder, table, tokenizer.encode())
        digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in _FILES}
        config = {
            "model_type": "model2vec",
            "architectures": ["StaticModel"],
            "tokenizer_name": model,
            "apply_pca": table.shape[1],
            "apply_zipf": True,
            "sif_coefficient": _SIF,
            "hidden_dim": table.shape[1],
            "seq_length": 1_000_000,
            "normalize": True,
            "format_version": _LAYOUT,
            "sha256": digests,
        }
        write_config(folder / "config.json", config)


def _read(home: Path, *, model: str) -> DistilledEncoder:
    """Read a kept folder, and check that it is what was written."""
    try:
        digests = read_config(home / "config.json", known=_LAYOUT)["sha256"]
        table, tokenizer = ((home / name).read_bytes() for name in _FILES)
        for name, data in zip(_FILES, (table, tokenizer), strict=True):
            if hashlib.sha256(data).hexdigest() != digests[name]:
                raise ArtifactError(f"{name} ({len(data)} bytes) is not what was written")
        rows = safetensors.numpy.load(table)["embeddings"]
    except (OSError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"the table of {model!r} kept in {home} is damaged: delete this folder, and it is made "
            f"again ({error})"
        ) from error
    return DistilledEncoder(
        model=model,
        fingerprint=home.name,
        table=rows,
        tokenizer=np.frombuffer(tokenizer, np.uint8),
    )
