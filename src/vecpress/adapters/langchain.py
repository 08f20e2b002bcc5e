"""A press as a LangChain embedding model."""

from pathlib import Path

from langchain_core.embeddings import Embeddings

from vecpress.adapters.opening import as_lists, open_press
from vecpress.pipeline import Pipeline


class VecpressEmbeddings(Embeddings):
    """The unit float embeddings of a press, for any LangChain vector store.

    The codec of the press plays no part: a vector store keeps floats, or codes of its own.

    A text of which no model knows a word has a zero embedding, which some stores refuse, such as
    InMemoryVectorStore: put a transformer among the models, for it reads every text.

    Attributes:
        pipeline: The press, as it encodes. Its `fingerprint` is the namespace for
            `CacheBackedEmbeddings`.

    Example:
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> store = InMemoryVectorStore(VecpressEmbeddings("press"))  # doctest: +SKIP
        >>> store.add_texts(["the train leaves at noon"])  # doctest: +SKIP
    """

    pipeline: Pipeline

    def __init__(self, press: Pipeline | str | Path, *, dim: int | None = None) -> None:
        """Take a press, or its first `dim` dimensions; models load with the first text.

        Args:
            press: Fitted with models: its folder, or the pipeline itself.
            dim: Dimensions kept; None keeps all.

        Raises:
            ArtifactError: the folder is none of a press, is damaged, or too new.
            ConfigError: the press has no models, or cannot be cut to `dim` dimensions.
        """
        self.pipeline = open_press(press, dim=dim)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents, in order."""
        return as_lists(self.pipeline, texts, role="document")

    def embed_query(self, text: str) -> list[float]:
        """Embed a query."""
        return as_lists(self.pipeline, [text], role="query")[0]
