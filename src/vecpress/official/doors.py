"""A pipeline as an MTEB model, through either of MTEB's doors: encoder or search.

MTEB knows a model by its methods, and takes one that has both sets for a search model. So there
is a class for each door. What MTEB tells beyond what is used here (split, subset, batch sizes, and
whatever it may come to tell) arrives as `context`, and changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from mteb._create_dataloaders import create_dataloader
from mteb.similarity_functions import dot_score, pairwise_dot_score
from mteb.types import PromptType

from vecpress.arrays import Array, blocks
from vecpress.errors import ConfigError, DataError
from vecpress.index import Index
from vecpress.official.meta import describe, search_settings
from vecpress.pipeline import Pipeline
from vecpress.stages import Progress, Role, silent

_ROWS = 4096  # texts whose raw floats are in memory at a time


class EncoderDoor:
    """The float embeddings of a pipeline, for any MTEB task of texts; its codec plays no part."""

    kind = "encoder"

    def __init__(
        self, pipeline: Pipeline, *, dim: int | None = None, name: str | None = None
    ) -> None:
        """Take a pipeline, or its first `dim` dimensions.

        Args:
            pipeline: With models; one fitted on vectors encodes no texts.
            dim: Dimensions kept; None keeps all.
            name: "organization/model" for MTEB's records; made of the models' names if left out.

        Raises:
            ConfigError: the pipeline has no models, cannot be cut to `dim` dimensions, or MTEB
                takes no such name.
        """
        self.pipeline = pipeline if dim is None else pipeline.truncate(dim)
        self.mteb_model_meta = describe(self.pipeline, {"dim": self.pipeline.dim}, name=name)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        prompt_type: PromptType | None = None,
        **context: Any,
    ) -> Float32[Array, "n d"]:
        """Embed the texts of all batches; without a prompt type they are documents.

        Args:
            inputs: Batches with a list of texts under "text", as MTEB's loaders give them.
            prompt_type: Query or document.
            context: Ignored.
        """
        role: Role = "query" if prompt_type == PromptType.query else "document"
        texts = _texts(inputs)
        embeddings = np.empty((len(texts), self.pipeline.dim), np.float32)
        for rows in blocks(len(texts), _ROWS):
            embeddings[rows] = self.pipeline.encode(texts[rows], role=role)
        return embeddings

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Give all inner products, as a tensor: of unit rows these are the cosines."""
        return dot_score(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Give the inner product of each row with its counterpart, as a tensor."""
        return pairwise_dot_score(embeddings1, embeddings2)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Documents:
    """What is kept of a corpus: its codes, and for rescoring its float concatenation."""

    index: Index
    floats: Float32[Array, "n e"] | None

    @cached_property
    def places(self) -> dict[str, int]:
        """Row of each document."""
        return {self.index.ids[row]: row for row in range(len(self.index))}


class SearchDoor:
    """Search over a pipeline's codes with float queries, for MTEB's retrieval and reranking tasks.

    A corpus is encoded once, block by block, and only its codes are kept; with `rescore` also the
    float concatenation, which is 4 bytes per dimension and document.
    """

    kind = "search"

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        rescore: int | None = None,
        name: str | None = None,
        progress: Progress = silent,
    ) -> None:
        """Take a pipeline that makes codes.

        Args:
            pipeline: With models and a codec.
            rescore: How many of the best hits are ordered anew by the raw embeddings; the others
                follow in the order of their codes. None rescores nothing.
            name: "organization/model" for MTEB's records; made of the models' names if left out.
            progress: Told about quantizing.

        Raises:
            ConfigError: the pipeline has no models, no codec or a finer one too, `rescore` is
                below 1, or MTEB takes no such name.
        """
        if pipeline.codec is None:
            raise ConfigError(
                "this press has no quantizer, so there are no codes to search: fit it with one, "
                "or take the encoder door"
            )
        if pipeline.fine is not None:
            raise ConfigError(
                "the search door scans one code, and this press keeps a finer one to rescore by: "
                "leave `fine` out of its recipe"
            )
        if rescore is not None and rescore < 1:
            raise ConfigError(f"rescore must be at least 1, got {rescore}")
        settings = search_settings(pipeline, rescore=rescore)
        self.mteb_model_meta = describe(pipeline, settings, name=name)
        self.pipeline = pipeline
        self.rescore = rescore
        self.progress = progress
        # MTEB hands over a corpus, and asks the same object later: it has to remember.
        self._documents: _Documents | None = None

    def index(
        self, corpus: Any, *, task_metadata: Any, num_proc: int | None = None, **context: Any
    ) -> None:
        """Code a corpus; it takes the place of the one before.

        Args:
            corpus: Rows with an id, a text, and perhaps a title, which comes before the text.
            task_metadata: Of the MTEB task; says how rows become texts.
            num_proc: Processes that load rows.
            context: Ignored.

        Raises:
            DataError: the corpus is empty, or holds an id twice.
        """
        self._documents = None  # first of all, to free the one before
        count, pipeline = len(corpus), self.pipeline
        codes = np.empty((count, pipeline.bytes_per_vector), np.uint8)
        kept = None if self.rescore is None else np.empty((count, pipeline.in_dim), np.float32)
        loader = _batches(corpus, task_metadata, PromptType.document, num_proc=num_proc)
        for rows, batch in zip(blocks(count, _ROWS), loader, strict=True):
            floats = pipeline.same_encoder().encode(_texts([batch]))
            codes[rows] = pipeline.quantize(pipeline.compress(floats))
            if kept is not None:
                kept[rows] = floats
            self.progress("quantizing", rows.stop, count)
        assert pipeline.codec is not None
        index = Index.build(pipeline.codec, codes, [str(id_) for id_ in corpus["id"]])
        self._documents = _Documents(index=index, floats=kept)

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        num_proc: int | None = None,
        **context: Any,
    ) -> dict[str, dict[str, float]]:
        """Give each query's best documents and their scores; no document is encoded again.

        Args:
            queries: Rows with an id and a text, perhaps an instruction.
            task_metadata: Of the MTEB task; says how rows become texts.
            top_k: Most answers to a query.
            top_ranked: The only documents that may answer each query, in a reranking task; a
                query that it leaves out gets no answers.
            num_proc: Processes that load rows.
            context: Ignored.

        Raises:
            ConfigError: there is no corpus yet.
            DataError: a document to rerank is not in the corpus.
        """
        documents = self._documents
        if documents is None:
            raise ConfigError("there is no corpus to search: call index before search")
        loader = _batches(queries, task_metadata, PromptType.query, num_proc=num_proc)
        floats = self.pipeline.same_encoder().encode(_texts(loader), role="query")
        asked = self.pipeline.compress(floats)
        depth = max(top_k, self.rescore or 0)
        if top_ranked is None:
            hits = documents.index.search(asked, min(depth, len(documents.index)))
            ranked = zip(hits.rows, hits.scores, strict=True)
        else:
            allowed = [top_ranked.get(id_, ()) for id_ in queries["id"]]
            ranked = (
                _rank(documents, ids, query[None], depth)
                for ids, query in zip(allowed, asked, strict=True)
            )
        answers = {}
        for id_, (rows, scores), query in zip(queries["id"], ranked, floats, strict=True):
            if documents.floats is not None:
                scores = rescored(scores, documents.floats[rows[: self.rescore]] @ query)
            best = np.argsort(-scores, kind="stable")[:top_k]
            answers[id_] = {documents.index.ids[int(rows[i])]: float(scores[i]) for i in best}
        return answers


def rescored(scores: Float32[Array, " k"], finer: Float32[Array, " m"]) -> Float32[Array, " k"]:
    """Put finer scores in the place of the first; the others sink as far as to stay below them.

    Args:
        scores: Of the codes, best first.
        finer: Of the first of them, of as many as there are.
    """
    made = scores.copy()
    made[: len(finer)] = finer
    if 0 < len(finer) < len(scores):
        gap = finer.min() - scores[len(finer)]
        made[len(finer) :] += min(gap, np.float32(0)) - np.float32(1e-6)
    return made


def _rank(
    documents: _Documents, candidates: Sequence[str], query: Float32[Array, "1 d"], depth: int
) -> tuple[Int64[Array, " k"], Float32[Array, " k"]]:
    """Order by their codes the documents that may answer; give their rows and scores."""
    places = documents.places
    unknown = [id_ for id_ in candidates if id_ not in places]
    if unknown:
        raise DataError(
            f"the task ranks the document {unknown[0]!r}, which is not among the {len(places)} of "
            "its corpus: its data is damaged"
        )
    rows = np.array(sorted({places[id_] for id_ in candidates}), np.int64)
    if len(rows) == 0:
        return rows, np.empty(0, np.float32)
    whole = documents.index
    few = Index.build(whole.codec, whole.codes[rows], [whole.ids[int(row)] for row in rows])
    hits = few.search(query, min(depth, len(few)))
    return rows[hits.rows[0]], hits.scores[0]


def _batches(
    rows: Any, task_metadata: Any, prompt_type: PromptType, *, num_proc: int | None
) -> Iterable[Mapping[str, Any]]:
    """Turn rows into texts exactly as MTEB does for its own models."""
    return create_dataloader(
        rows,
        task_metadata=task_metadata,
        prompt_type=prompt_type,
        batch_size=_ROWS,
        num_proc=num_proc,
    )


def _texts(batches: Iterable[Mapping[str, Any]]) -> list[str]:
    return [text for batch in batches for text in batch["text"]]
