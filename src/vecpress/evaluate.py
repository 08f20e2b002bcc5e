"""How well an artifact retrieves: standard measures on a BEIR folder, every byte counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from vecpress.arrays import Array, as_embeddings, blocks
from vecpress.corpus import Benchmark, Qrels
from vecpress.errors import ConfigError, DataError
from vecpress.index import Index, Scoring
from vecpress.pipeline import Pipeline
from vecpress.stages import Codec, Progress, silent

Run = Mapping[str, Sequence[tuple[str, float]]]
"""Ranked answers: query id -> (document id, score), best first."""

DEPTH = 100  # answers ranked per query


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Measures per query, in the order of the judged queries.

    Attributes:
        ndcg: nDCG@10 with linear gains, as trec_eval computes it.
        recall: Recall@100.
        mrr: Reciprocal rank of the first answer among the first 10.
        unanswered: Judged queries that got no answers at all; they count as zero.
    """

    ndcg: Float64[Array, " q"]
    recall: Float64[Array, " q"]
    mrr: Float64[Array, " q"]
    unanswered: int

    def means(self) -> dict[str, float]:
        """Average each measure over all judged queries."""
        return {
            "ndcg@10": float(self.ndcg.mean()),
            "recall@100": float(self.recall.mean()),
            "mrr@10": float(self.mrr.mean()),
        }


def measure(run: Run, qrels: Qrels) -> Scores:
    """Judge ranked answers; a judged query that the run leaves out scores zero.

    Like trec_eval: gains are the judgements themselves, equal scores are ordered by document id,
    last first, and a judgement of 0 or less is not relevant.
    """
    rows = [_judge(run.get(query, ()), judged) for query, judged in qrels.items()]
    ndcg, recall, mrr = np.array(rows, np.float64).reshape(-1, 3).T
    unanswered = sum(not run.get(query) for query in qrels)
    return Scores(ndcg=ndcg, recall=recall, mrr=mrr, unanswered=unanswered)


def _judge(
    answers: Sequence[tuple[str, float]], judged: Mapping[str, int]
) -> tuple[float, float, float]:
    by_id = sorted(answers, key=lambda answer: answer[0], reverse=True)
    ranked = [i for i, _ in sorted(by_id, key=lambda answer: answer[1], reverse=True)]
    gains = np.array([max(judged.get(i, 0), 0) for i in ranked[:DEPTH]], np.float64)
    ideal = np.sort([max(score, 0) for score in judged.values()])[::-1]
    relevant = int((ideal > 0).sum())
    if not relevant:
        return 0.0, 0.0, 0.0
    discounts = 1 / np.log2(np.arange(2, 12))
    best = float(ideal[:10] @ discounts[: len(ideal[:10])])
    ndcg = float(gains[:10] @ discounts[: len(gains[:10])]) / best
    first = np.flatnonzero(gains[:10])
    return ndcg, float((gains > 0).sum()) / relevant, 1 / (first[0] + 1) if len(first) else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What an artifact scores on a benchmark, beside the raw float concatenation.

    Attributes:
        benchmark: Name of the data.
        scores: Of the artifact's codes.
        baseline: Of the float embeddings that went in.
        bytes_per_vector: Everything stored per document.
        table_bytes: Stored once: head, cells, rotation.
        compression_factor: float32 bytes of the concatenation / bytes per vector.
        n_queries: Judged queries.
        n_unanswerable: Judged queries without a relevant document in the corpus; they count as 0.
        n_documents: Documents searched.
    """

    benchmark: str
    scores: Scores
    baseline: Scores
    bytes_per_vector: int
    table_bytes: int
    compression_factor: float
    n_queries: int
    n_unanswerable: int
    n_documents: int

    @property
    def recovery(self) -> float:
        """nDCG@10 of the codes / nDCG@10 of the raw concatenation."""
        baseline = float(self.baseline.ndcg.mean())
        return float(self.scores.ndcg.mean()) / baseline if baseline else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Give plain values under the names that `evaluate --json` prints."""
        return {
            "benchmark": self.benchmark,
            **self.scores.means(),
            "bytes_per_vector": self.bytes_per_vector,
            "table_bytes": self.table_bytes,
            "compression_factor": self.compression_factor,
            "baseline_ndcg@10": float(self.baseline.ndcg.mean()),
            "recovery": self.recovery,
            "n_queries": self.n_queries,
            "n_unanswerable": self.n_unanswerable,
            "n_documents": self.n_documents,
        }


def evaluate(
    pipeline: Pipeline,
    benchmark: Benchmark,
    *,
    documents: Array | None = None,
    queries: Array | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score the artifact's codes and the float embeddings they were made from.

    Args:
        pipeline: With a codec, or without one for its float embeddings.
        benchmark: Texts and judgements.
        documents: Vectors of the documents in the order of the corpus, for a pipeline fitted on
            precomputed vectors.
        queries: Vectors of the judged queries, in their order.
        progress: Told about encoding.

    Raises:
        ConfigError: vectors are missing, or given to a pipeline that encodes texts.
        DataError: there are not as many vectors as texts.
    """
    raw_documents, raw_queries = raw_embeddings(
        pipeline, benchmark, documents=documents, queries=queries
    )
    progress("scoring", 0, 2)
    baseline = score_floats(raw_documents, raw_queries, benchmark)
    progress("scoring", 1, 2)
    scores = score_pipeline(pipeline, raw_documents, raw_queries, benchmark)
    progress("scoring", 2, 2)
    return Evaluation(
        benchmark=benchmark.name,
        scores=scores,
        baseline=baseline,
        bytes_per_vector=pipeline.bytes_per_vector,
        table_bytes=pipeline.table_bytes,
        compression_factor=4 * pipeline.in_dim / pipeline.bytes_per_vector,
        n_queries=len(benchmark.queries),
        n_unanswerable=_unanswerable(benchmark),
        n_documents=len(benchmark.corpus),
    )


def _unanswerable(benchmark: Benchmark) -> int:
    """Count the judged queries that no document of the corpus answers: they score zero."""
    known = set(benchmark.corpus.ids)
    relevant = [{d for d, s in judged.items() if s > 0} for judged in benchmark.qrels.values()]
    return sum(not documents & known for documents in relevant)


def raw_embeddings(
    pipeline: Pipeline,
    benchmark: Benchmark,
    *,
    documents: Array | None = None,
    queries: Array | None = None,
) -> tuple[Float32[Array, "n d"], Float32[Array, "q d"]]:
    """Give the float concatenation of documents and judged queries."""
    if pipeline.encoder is not None:
        if documents is not None or queries is not None:
            raise ConfigError("this press encodes texts itself: give it no vectors")
        encoder = pipeline.same_encoder()
        return (
            encoder.encode(benchmark.corpus.texts),
            encoder.encode(benchmark.queries.texts, role="query"),
        )
    if documents is None or queries is None:
        raise ConfigError(
            "this press was fitted on precomputed vectors: give those of the benchmark's documents "
            "and queries too"
        )
    pairs = [(documents, benchmark.corpus, "documents"), (queries, benchmark.queries, "queries")]
    for vectors, texts, name in pairs:
        if len(vectors) != len(texts):
            raise DataError(
                f"{benchmark.name} has {len(texts)} {name} to score, got {len(vectors)} vectors: "
                "give one per line, in the same order"
            )
    return as_embeddings(np.asarray(documents)), as_embeddings(np.asarray(queries))


def score_pipeline(
    pipeline: Pipeline,
    documents: Float32[Array, "n d"],
    queries: Float32[Array, "q d"],
    benchmark: Benchmark,
) -> Scores:
    """Score what the pipeline makes of raw embeddings: its codes, or its floats without a codec."""
    short, asked = pipeline.compress(documents), pipeline.compress(queries)
    if pipeline.codec is None:
        return score_floats(short, asked, benchmark)
    return score_codes(pipeline.codec, short, asked, benchmark, fine=pipeline.fine)


def score_codes(
    codec: Codec,
    documents: Float32[Array, "n d"],
    queries: Float32[Array, "q d"],
    benchmark: Benchmark,
    *,
    scoring: Scoring = "asymmetric",
    fine: Codec | None = None,
) -> Scores:
    """Score a codec's codes of embeddings; "symmetric" quantizes the queries too.

    With a finer codec the ranked answers, which are as many as a search for ten rescores, are
    ordered by its codes.
    """
    finer = None if fine is None else (fine, fine.quantize(documents))
    index = Index.build(codec, codec.quantize(documents), benchmark.corpus.ids, fine=finer)
    own = benchmark.own_documents()
    k = min(DEPTH + bool(own), len(index))
    hits = index.search(queries, k, scoring=scoring, rescore=None if fine is None else k)
    pairs = zip(hits.ids, hits.scores, strict=True)
    return _measure_ranked([(i, s.tolist()) for i, s in pairs], benchmark, own)


def score_rescored(
    pipeline: Pipeline,
    documents: Float32[Array, "n d"],
    queries: Float32[Array, "q d"],
    benchmark: Benchmark,
    *,
    depth: int,
) -> Scores:
    """Score codes whose best `depth` hits are ordered anew by the raw embeddings, kept as well."""
    assert pipeline.codec is not None
    codes = pipeline.quantize(pipeline.compress(documents))
    index = Index.build(pipeline.codec, codes, benchmark.corpus.ids)
    own = benchmark.own_documents()
    hits = index.search(pipeline.compress(queries), min(depth + bool(own), len(index)))
    finer = [documents[rows] @ query for rows, query in zip(hits.rows, queries, strict=True)]
    pairs = zip(hits.ids, finer, strict=True)
    return _measure_ranked([(i, s.tolist()) for i, s in pairs], benchmark, own)


def score_floats(
    documents: Float32[Array, "n d"], queries: Float32[Array, "q d"], benchmark: Benchmark
) -> Scores:
    """Score exact search over float embeddings."""
    own = benchmark.own_documents()
    k = min(DEPTH + bool(own), len(documents))
    ids = benchmark.corpus.ids
    ranked = []
    for rows in blocks(len(queries), 256):
        for scores in queries[rows] @ documents.T:
            best = np.argpartition(-scores, k - 1)[:k]
            ranked.append(([ids[i] for i in best], scores[best].tolist()))
    return _measure_ranked(ranked, benchmark, own)


def _measure_ranked(
    ranked: Sequence[tuple[Sequence[str], Sequence[float]]],
    benchmark: Benchmark,
    own: frozenset[str],
) -> Scores:
    """Judge each query's answers, without the query's own document (ArguAna)."""
    run = {
        query: [(i, s) for i, s in zip(ids, scores, strict=True) if i != query or query not in own]
        for query, (ids, scores) in zip(benchmark.queries.ids, ranked, strict=True)
    }
    cut = {q: sorted(answers, key=lambda a: -a[1])[:DEPTH] for q, answers in run.items()}
    return measure(cut, benchmark.qrels)
