"""What you get: encoder, head and codec in one, fitted as a `Recipe` asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from vecpress import artifact
from vecpress.arrays import Array, as_embeddings, blocks
from vecpress.card import describe
from vecpress.corpus import Corpus
from vecpress.draws import Drawn
from vecpress.encoders.combine import with_cache, without_cache
from vecpress.errors import ArtifactError, ConfigError
from vecpress.fitting import fit_stages, refuse_unused
from vecpress.index import Hits, Index
from vecpress.limits import block_rows
from vecpress.pairs import Pairs
from vecpress.recipe import Documents, Recipe
from vecpress.sample import Sample, check_encoder, check_width, draw_sample
from vecpress.stages import Codec, Encoder, Head, Item, Log, Progress, Role, silent, unlogged
from vecpress.strings import Numbers
from vecpress.upkeep import check_press


@dataclass(frozen=True, kw_only=True, eq=False)
class Pipeline:
    """A fitted recipe. It is itself an `Encoder`: it can be cached, nested, and evaluated.

    Attributes:
        recipe: What was asked for.
        encoder: Texts to embeddings; None if the embeddings are precomputed.
        head: Embeddings to shorter ones; None leaves them.
        codec: Embeddings to codes; None if there was no quantizer, or after `truncate`.
        fine: Embeddings to finer codes, to rescore hits by; None if there is one code only.
        provenance: What it was fitted on, by which release: plain values for the record.
        log: What was told while the head was trained, row by row; no part of the fingerprint.
    """

    recipe: Recipe
    encoder: Encoder | None
    head: Head | None
    codec: Codec | None
    provenance: Mapping[str, Any]
    fine: Codec | None = None
    log: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def fit(
        cls,
        recipe: Recipe,
        documents: Documents | Drawn,
        *,
        pairs: Pairs | None = None,
        seed: int = 0,
        cache: Path | None = None,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> "Pipeline":
        """Fit on a sample of the documents; the encoders themselves are never trained.

        Args:
            recipe: What to fit.
            documents: Texts if the recipe has models, else vectors, also mapped; or `Drawn` ones.
            pairs: Judgements of the documents, for a head that learns from them.
            seed: Of everything random.
            cache: Folder in which encoders remember what they encode.
            progress: Told about encoding and training.
            log: Told what happens in training, beside the pipeline's own `log`.

        Raises:
            ConfigError: recipe, documents and judgements do not fit each other.
            DataError: the documents or the judgements cannot be used.
        """
        refuse_unused(recipe, pairs)
        sample = draw_sample(
            recipe, documents, pairs=pairs, seed=seed, cache=cache, progress=progress
        )
        return cls.from_sample(recipe, sample, progress=progress, log=log)

    @classmethod
    def from_sample(
        cls,
        recipe: Recipe,
        sample: Sample,
        *,
        above: "Pipeline | None" = None,
        progress: Progress = silent,
        log: Log = unlogged,
    ) -> "Pipeline":
        """Fit head and quantizer on embeddings that are there, perhaps below another's head."""
        head = None if above is None else above.head
        fitted = fit_stages(recipe, sample, above=head, progress=progress, log=log)._asdict()
        provenance = sample.provenance() | {"vecpress": version("vecpress")}
        if above is not None:
            provenance["continues"] = above.fingerprint
        return cls(recipe=recipe, encoder=sample.encoder, provenance=provenance, **fitted)

    @property
    def in_dim(self) -> int:
        """Width of the embeddings that go in: the concatenation's."""
        return int(self.provenance["in_dim"])

    @property
    def dim(self) -> int:
        """Width of the embeddings that come out."""
        return self.in_dim if self.head is None else self.head.dim

    @property
    def bytes_per_vector(self) -> int:
        """Everything stored per document."""
        codecs = [codec for codec in (self.codec, self.fine) if codec is not None]
        return sum(codec.code_bytes for codec in codecs) if codecs else 4 * self.dim

    @property
    def table_bytes(self) -> int:
        """What is stored once, whatever the number of documents: head, cells, rotation."""
        return artifact.tensor_bytes(self._fitted)

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever a text or vector could get another embedding or code."""
        return artifact.fingerprint({"encoder": self.provenance["encoder"], **self._fitted})

    @property
    def _fitted(self) -> dict[str, Any]:
        """Head, codec, and where there is one the finer codec, which format 1 began without."""
        return {"head": self.head, "codec": self.codec} | ({"fine": self.fine} if self.fine else {})

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, and compress it.

        Raises:
            ConfigError: the pipeline was fitted on precomputed vectors, or `texts` is one text.
            MismatchError: the models found here are not those it was fitted on.
        """
        if isinstance(texts, str):
            raise ConfigError(f"encode takes a list of texts, got one: write [{texts[:40]!r}]")
        return self._shorten(self.same_encoder().encode(texts, role=role))

    def compress(self, vectors: Array, *, taken: slice | None = None) -> Float32[Array, "n dim"]:
        """Normalize and compress vectors, perhaps rows `taken` of more, which errors then name.

        Raises:
            ShapeError: they are of another width.
            DataError: one of them is not finite.
        """
        return self._shorten(as_embeddings(np.asarray(vectors), taken=taken))

    def quantize(self, embeddings: Float32[Array, "n dim"]) -> UInt8[Array, "n code_bytes"]:
        """Code what `encode` or `compress` gave.

        Raises:
            ConfigError: the pipeline has no codec.
        """
        return self._need_codec().quantize(embeddings)

    def truncate(self, dim: int) -> "Pipeline":
        """Keep the first `dim` dimensions. A codec does not fit another width: it is dropped.

        Raises:
            ConfigError: there is no head to truncate, or `dim` is out of range.
        """
        if self.head is None:
            raise ConfigError("this press has no head to truncate: fit it with one")
        recipe, head = replace(self.recipe, quantizer=None, fine=None), self.head.truncate(dim)
        told = {**self.provenance, "truncated_to": dim}
        return replace(self, recipe=recipe, head=head, codec=None, fine=None, provenance=told)

    def cached(self, folder: Path, *, progress: Progress = silent) -> "Pipeline":
        """Give the same pipeline with encoders that remember what they encode."""
        if self.encoder is None:
            return self
        return replace(self, encoder=with_cache(self.encoder, folder, progress=progress))

    def quantize_all(
        self, documents: Documents, *, progress: Progress = silent
    ) -> UInt8[Array, "n code_bytes"]:
        """Code a corpus of texts or vectors; only a block of floats is in memory at a time."""
        return self._code_all([self._need_codec()], documents, progress)[0][1]

    def _code_all(
        self, codecs: Sequence[Codec], documents: Documents, progress: Progress
    ) -> list[tuple[Codec, Array]]:
        codes = [np.empty((len(documents), codec.code_bytes), np.uint8) for codec in codecs]
        for rows, embeddings in self._in_blocks(documents, "quantizing", progress):
            for codec, made in zip(codecs, codes, strict=True):
                made[rows] = codec.quantize(embeddings)
        return list(zip(codecs, codes, strict=True))

    def embed_all(
        self, documents: Documents, *, progress: Progress = silent
    ) -> Float32[Array, "n dim"]:
        """Compress a corpus of texts or vectors, without coding it."""
        embeddings = np.empty((len(documents), self.dim), np.float32)
        for rows, block in self._in_blocks(documents, "compressing", progress):
            embeddings[rows] = block
        return embeddings

    def _in_blocks(
        self, documents: Documents, what: str, progress: Progress
    ) -> Iterator[tuple[slice, Array]]:
        for rows in blocks(len(documents), block_rows(self.in_dim)):
            if isinstance(documents, Corpus):
                embeddings = self.encode(documents.texts[rows])
            else:
                embeddings = self.compress(documents[rows], taken=rows)
            yield rows, embeddings
            progress(what, rows.stop, len(documents))

    def index(
        self,
        documents: Documents,
        *,
        ids: Sequence[str] | None = None,
        progress: Progress = silent,
    ) -> Index:
        """Code a corpus and index it, under the corpus's ids, or the ids given with vectors."""
        codecs = [self._need_codec(), *([] if self.fine is None else [self.fine])]
        (codec, codes), *finer = self._code_all(codecs, documents, progress)
        about: dict[str, Any] = {"fingerprint": self.fingerprint, "fine": next(iter(finer), None)}
        if isinstance(documents, Corpus):
            ids, about["snippets"] = documents.ids, [str(text) for text in documents.texts]
        return Index.build(codec, codes, Numbers(len(codes)) if ids is None else ids, **about)

    def search(
        self, index: Index, queries: Item | Sequence[Item] | Array, k: int = 10, **options: Any
    ) -> Hits:
        """Encode queries (texts, images, or vectors of the same model), and search with them.

        Options are those of `Index.search`; an index with finer codes rescores `10 * k` hits.

        Raises:
            MismatchError: the index was made by another pipeline.
        """
        check_press(index, self.fingerprint, advice="search with the press that made it")
        options = options if index.fine is None else {"rescore": 10 * k} | options
        if isinstance(queries, np.ndarray):
            return index.search(self.compress(queries), k, **options)
        items = [queries] if isinstance(queries, Item) else queries
        return index.search(self.encode(items, role="query"), k, **options)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the artifact: config.json, tensors.safetensors, and a card in README.md.

        Raises:
            ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
        """
        content = {
            "recipe": self.recipe.to_dict(),
            "encoder": None if self.encoder is None else without_cache(self.encoder),
            "provenance": self.provenance,
            **self._fitted,
        }
        costs = (self.bytes_per_vector, self.table_bytes)
        card = describe(content["recipe"], self.provenance, costs, self.fingerprint, self.log)
        artifact.save(folder, content, card=card, log=self.log, overwrite=overwrite)

    def save_index(self, index: Index, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write an index and, in its subfolder `press`, the pipeline; fails as `save` does."""
        with artifact.new_folder(folder, overwrite=overwrite) as draft:
            index.write(draft)
            self.save(draft / "press")

    @classmethod
    def load(cls, folder: str | Path) -> "Pipeline":
        """Read what `save` wrote. Models are not loaded before the first text is encoded.

        Raises:
            ArtifactError: it is not an artifact of a pipeline, is damaged, or too new.
        """
        content = artifact.load(folder)
        if content.keys() | {"fine"} != {field.name for field in fields(cls)} - {"log"}:
            raise ArtifactError(f"{folder} is an artifact, but not a press: {sorted(content)}")
        recipe = Recipe.from_dict(content.pop("recipe"))
        return cls(recipe=recipe, log=artifact.read_log(folder), **content)

    def _shorten(self, embeddings: Float32[Array, "n in_dim"]) -> Float32[Array, "n dim"]:
        if self.head is None:
            check_width(embeddings, self.in_dim)
        return embeddings if self.head is None else self.head.compress(embeddings)

    def same_encoder(self) -> Encoder:
        """Give the encoder, if it is the one that the pipeline was fitted on.

        Raises:
            ConfigError: the pipeline was fitted on precomputed vectors.
            MismatchError: the models found here are others.
        """
        return check_encoder(self.encoder, self.provenance["encoder"])

    def _need_codec(self) -> Codec:
        if self.codec is None:
            raise ConfigError("this press has no quantizer, so it makes no codes: fit it with one")
        return self.codec
