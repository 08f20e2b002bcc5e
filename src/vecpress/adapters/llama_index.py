"""A press as a LlamaIndex embedding model."""

import asyncio
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from vecpress.adapters.opening import as_lists, open_press
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline


class VecpressEmbedding(BaseEmbedding):
    """The unit float embeddings of a press, for any LlamaIndex index.

    The codec of the press plays no part: a vector store keeps floats, or codes of its own. A model
    made of a folder can be stored and made again (`to_dict`, `from_dict`), one made of a pipeline
    cannot.

    A text of which no model knows a word has a zero embedding, which LlamaIndex's own store scores
    NaN: put a transformer among the models, for it reads every text.

    Attributes:
        press: Folder of the press; None if it was given as a pipeline.
        dim: Dimensions kept; None if all are.

    Example:
        >>> from llama_index.core import Document, VectorStoreIndex
        >>> documents = [Document(text="the train leaves at noon")]
        >>> model = VecpressEmbedding("press")  # doctest: +SKIP
        >>> VectorStoreIndex.from_documents(documents, embed_model=model)  # doctest: +SKIP
    """

    press: str | None = Field(default=None, description="Folder of the press.")
    dim: int | None = Field(default=None, description="Dimensions kept; None keeps all.")
    _pipeline: Pipeline = PrivateAttr()

    def __init__(
        self,
        press: Pipeline | str | Path | None = None,
        *,
        dim: int | None = None,
        embed_batch_size: int = 256,
        **options: Any,
    ) -> None:
        """Take a press, or its first `dim` dimensions; models load with the first text.

        Args:
            press: Fitted with models: its folder, or the pipeline itself.
            dim: Dimensions kept; None keeps all.
            embed_batch_size: Texts encoded together; LlamaIndex takes up to 2048.
            options: Of every `BaseEmbedding`, such as `callback_manager`. The `model_name` is the
                fingerprint of the press unless it is given, so that LlamaIndex's caches keep
                presses apart.

        Raises:
            ArtifactError: the folder is none of a press, is damaged, or too new.
            ConfigError: the press has no models, or cannot be cut to `dim` dimensions.
        """
        if press is None:
            raise ConfigError(
                "this embedding model was made of a press in memory, which is not stored with it: "
                "save the press, and make the model of its folder"
            )
        pipeline = open_press(press, dim=dim)
        super().__init__(
            **{"model_name": f"vecpress-{pipeline.fingerprint}"} | options,
            press=None if isinstance(press, Pipeline) else str(press),
            dim=dim,
            embed_batch_size=embed_batch_size,
        )
        self._pipeline = pipeline

    @classmethod
    def class_name(cls) -> str:
        """Name the class in what LlamaIndex stores."""
        return "VecpressEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return as_lists(self._pipeline, [query], role="query")[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return as_lists(self._pipeline, texts, role="document")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
