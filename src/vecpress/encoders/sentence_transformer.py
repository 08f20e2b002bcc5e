"""Any model in the layout of sentence-transformers: of texts, of images, or of both.

A plain BERT of texts runs without torch, where onnxruntime is installed: see onnx_engine.py.
Everything else runs as its own library runs it: see torch_engine.py.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32

from vecpress import registry
from vecpress.arrays import Array, blocks, normalize
from vecpress.encoders.bert_folder import BertFolder, NotPlain, read_bert
from vecpress.encoders.files import digest, locate
from vecpress.encoders.graphs import Precision, can_make, graph_version
from vecpress.encoders.items import no_images, split
from vecpress.encoders.tokens import SharedTokens
from vecpress.errors import ConfigError, ModelError
from vecpress.head import LATER
from vecpress.stages import Image, Item, Role

if TYPE_CHECKING:  # each loads a large library
    from tokenizers import Tokenizer

    from vecpress.encoders.onnx_engine import OnnxEngine
    from vecpress.encoders.torch_engine import TorchEngine

Pooling = Literal["cls", "mean"]

_PRECISIONS: Mapping[Precision, str] = {"int8": "in 8 bits", "w8": "with weights of 8 bits"}


@dataclass(frozen=True, kw_only=True)
class SentenceTransformerEncoder:
    """A hub id or folder in the layout of sentence-transformers. Loads at the first `encode`.

    Prompts, pooling and length are for texts: an image goes through the model's own modules.

    Attributes:
        model: Hub id, or a folder.
        revision: Commit or tag on the hub.
        query_prompt: Put before each query; None takes what the model's own config says.
        document_prompt: Put before each document; None as above.
        query_pooling: How tokens become one vector; None takes the model's own modules.
        document_pooling: As above; some models pool queries and documents differently.
        max_length: Tokens kept of a text; None takes the model's own limit.
        image_model: Hub id or folder of what encodes images, where `model` was trained to put
            texts into its space; None takes `model`.
        precision: "int8" computes in 8 bits: other vectors (cosine to the full ones about .995 for
            MiniLM), two to three times as fast. "w8" computes in floats with weights of 8 bits:
            about .9994, and every export gives the same vectors at a quarter of the bytes. None
            computes in 32 bits.
        engine: "onnx" or "torch"; None takes onnx where it is installed, the model is a plain BERT,
            and the vectors are those of torch (to 1e-5).
    """

    model: str
    revision: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_pooling: Pooling | None = None
    document_pooling: Pooling | None = None
    max_length: int | None = None
    image_model: str | None = field(default=None, metadata=LATER)
    precision: Precision | None = field(default=None, metadata=LATER)
    engine: Literal["onnx", "torch"] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        for pooling in (self.query_pooling, self.document_pooling):
            if pooling not in ("cls", "mean", None):
                raise ConfigError(f"pooling must be 'cls' or 'mean', got {pooling!r}")
        if self.max_length is not None and self.max_length < 1:
            raise ConfigError(f"max_length must be at least 1, got {self.max_length}")
        if self.precision not in (*_PRECISIONS, None):
            raise ConfigError(f"precision must be 'int8', 'w8' or none, got {self.precision!r}")
        if self.engine not in ("onnx", "torch", None):
            raise ConfigError(f"engine must be 'onnx', 'torch' or none, got {self.engine!r}")
        if self.engine == "torch" and self.precision is not None:
            raise ConfigError(
                f"the engine 'torch' computes in 32 bits, got the precision {self.precision!r}: "
                "leave one of the two out"
            )

    @cached_property
    def _bert(self) -> BertFolder | None:
        """The model, where onnxruntime is to run it."""
        if self.engine == "torch":
            return None
        asked = self.engine == "onnx" or self.precision is not None
        if asked:
            for package in ("onnxruntime", "tokenizers"):
                registry.require(package, extra="onnx")
        elif not (find_spec("onnxruntime") and find_spec("tokenizers")):
            return None
        try:
            bert = self.plain()
        except NotPlain as reason:
            if not asked:
                return None
            what = "by onnxruntime" if self.precision is None else _PRECISIONS[self.precision]
            raise ConfigError(
                f"{self.model!r} cannot be run {what}, which takes a plain BERT of texts: {reason}"
            ) from reason
        if asked or (not bert.differs and can_make(bert, precision=None)):
            return bert
        return None

    def plain(self) -> BertFolder:
        """Read the model's folder as a plain BERT of texts.

        Raises:
            NotPlain: it is none.
            ModelError: it is nowhere to be had.
        """
        bert = read_bert(locate(self.model, revision=self.revision))
        if bert.pooling is None and None in (self.query_pooling, self.document_pooling):
            raise NotPlain("its pooling is neither 'cls' nor 'mean'")
        if (length := self.max_length or bert.max_length) > bert.positions:
            raise NotPlain(f"it reads at most {bert.positions} tokens, got max_length {length}")
        return bert

    @cached_property
    def _onnx(self) -> "OnnxEngine | None":
        if self._bert is None:
            return None
        from vecpress.encoders.onnx_engine import OnnxEngine

        length = self.max_length or self._bert.max_length
        return OnnxEngine(bert=self._bert, precision=self.precision, max_length=length)

    @cached_property
    def _torch(self) -> "TorchEngine":
        return _torch_engine(self.model, self.revision, self.max_length)

    @cached_property
    def _image_engine(self) -> "TorchEngine":
        return self._torch if self.image_model is None else _torch_engine(self.image_model)

    @cached_property
    def dim(self) -> int:
        """Width of an embedding."""
        if self._onnx is not None:
            return self._onnx.dim
        if self._torch.supports("text"):
            return int(self.encode(["width"]).shape[1])
        return self._torch.dim

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the models' files and of every option that shapes the vectors."""
        options: list[object] = [self.query_prompt, self.document_prompt, self.query_pooling]
        options += [self.document_pooling, self.max_length]
        if self.image_model is not None:
            options.append(digest(locate(self.image_model)))
        if self.precision is not None:
            options.append([self.precision, graph_version()])
        elif self._bert is not None and self._bert.differs:
            options.append("onnx")
        files = digest(locate(self.model, revision=self.revision))
        return hashlib.sha256(json.dumps(["st", files, options]).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, in order.

        Raises:
            ArtifactError: the graph kept of the model is damaged.
            ConfigError: the model does not encode what there is among them.
            DataError: an image cannot be read.
            ModelError: a model cannot be loaded, or texts and images get different widths.
        """
        return self.encode_sharing(texts, role=role, tokens=SharedTokens())

    def encode_sharing(
        self, texts: Sequence[Item], *, role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Do as `encode` does; texts that are in `tokens` already are not split again."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        words, images = split(texts)
        self._check(words, images)
        parts = [self._embed_texts(words, role, tokens)] if words else []
        parts += [self._image_engine.embed_images(images, role=role)] if images else []
        if len({part.shape[1] for part in parts}) > 1:
            raise ModelError(
                f"{self.model!r} gives texts {parts[0].shape[1]} dimensions and images "
                f"{parts[1].shape[1]}: they are not in one space"
            )
        rows = np.concatenate(parts)
        if words and images:  # back into the order they came in
            is_image = [isinstance(item, Image) for item in texts]
            rows = rows[np.argsort(np.argsort(is_image, kind="stable"))]
        return normalize(np.ascontiguousarray(rows, dtype=np.float32))

    def tokenizer_json(self) -> str:
        """Give the model's tokenizer in the form of the library tokenizers.

        Raises:
            ConfigError: the model has none.
            ModelError: the model cannot be loaded.
        """
        return self._tokenizer.to_str()

    def encode_tokens(self, ids: Sequence[int]) -> Float32[Array, "n d"]:
        """Embed each token alone, between those that begin and end a text; no prompt.

        Pooled as a document is; rows are as the model gives them, not always of unit norm.

        Raises:
            ConfigError: the model has no tokenizer to name the tokens.
            ModelError: the model cannot be loaded.
        """
        text = self._tokenizer.encode("a")
        seen = [i for i, mask in enumerate(text.attention_mask) if mask]  # without padding
        own = [i for i in seen if not text.special_tokens_mask[i]]
        before = [text.ids[i] for i in seen if i < own[0]]
        after = [text.ids[i] for i in seen if i > own[-1]]
        parts = [self._embed_ids([[*before, i, *after] for i in ids[some]])
                 for some in blocks(len(ids), 1024)]  # fmt: skip
        return np.concatenate(parts)

    @property
    def _tokenizer(self) -> "Tokenizer":
        return self._torch.tokenizer if self._onnx is None else self._onnx.tokenizer.library

    def _embed_ids(self, rows: list[list[int]]) -> Float32[Array, "n d"]:
        if self._onnx is None:
            return self._torch.embed_ids(rows, pooling=self.document_pooling)
        pooling = self.document_pooling or self._onnx.bert.pooling or "mean"
        return self._onnx.embed_ids([np.array(row, np.int32) for row in rows], pooling=pooling)

    def _check(self, words: list[str], images: list[Image]) -> None:
        """Refuse what the model does not encode, before it encodes the rest."""
        if words and self._onnx is None and not self._torch.supports("text"):
            raise ConfigError(
                f"{self.model!r} encodes images, got the text {words[0][:40]!r}: choose a model of "
                "both, such as clip-vit-b-32"
            )
        if not images:
            return
        only_texts = self.image_model is None and self._onnx is not None
        if only_texts or not self._image_engine.supports("image"):
            raise no_images(self.image_model or self.model, images[0])

    def _embed_texts(
        self, texts: list[str], role: Role, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        pooling = self.query_pooling if role == "query" else self.document_pooling
        if self._onnx is None:
            prompt = self.prompt(role, self._torch.prompts)
            return self._torch.embed(texts, prompt=prompt, pooling=pooling, role=role)
        prompt = self.prompt(role, self._onnx.bert.prompts)
        prompted = [prompt + text for text in texts]
        pooling = pooling or self._onnx.bert.pooling or "mean"
        return self._onnx.embed(prompted, pooling=pooling, tokens=tokens)

    def prompt(self, role: Role, own: Mapping[str, str]) -> str:
        """Give what is put before a text, of a model that has prompts of its `own`."""
        given = self.query_prompt if role == "query" else self.document_prompt
        if given is not None:
            return given
        names = ["query"] if role == "query" else ["document", "passage", "corpus"]
        return next((prompt for name in names if (prompt := own.get(name))), "")


def _torch_engine(
    model: str, revision: str | None = None, max_length: int | None = None
) -> "TorchEngine":
    for package in ("torch", "sentence_transformers"):
        registry.require(package, extra="encode")
    from vecpress.encoders.torch_engine import TorchEngine

    return TorchEngine(model=model, revision=revision, max_length=max_length)
