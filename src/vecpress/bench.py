"""One benchmark, encoded once, on which every row of a comparison is run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.budget import choose
from vecpress.comparison import RESCORED, Comparison, Job
from vecpress.corpus import Benchmark, Corpus
from vecpress.encoders.combine import Concat, concatenate, with_cache, without_cache
from vecpress.errors import ConfigError
from vecpress.evaluate import Scores, score_floats, score_pipeline, score_rescored
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.plan import Prepared, prepare
from vecpress.recipe import Recipe
from vecpress.row import Row, run_key
from vecpress.sample import Sample, choose_rows, make_encoder, sample_rows, with_pairs
from vecpress.significance import paired_p_value
from vecpress.stages import Encoder, Item, Progress, silent
from vecpress.suggest import time_query

Fits = dict[str, tuple[Pipeline, float]]
"""Pipelines, and the seconds it took to choose and fit each, by what they depend on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """What the rows of one seed share.

    Attributes:
        benchmark: The data.
        comparison: What is compared.
        encoder: All models.
        documents: Of the benchmark, as each model encodes them.
        queries: The same.
        sample: What heads and codes are fitted on.
        texts: Of the sample.
        judged: The sample with judgements.
        chosen: Rows chosen so far, by budget.
        fits: Pipelines fitted so far by what they depend on, perhaps for another benchmark.
        progress: Told about encoding and trials.
    """

    benchmark: Benchmark
    comparison: Comparison
    encoder: Encoder
    documents: Sequence[Float32[Array, "n _"]]
    queries: Sequence[Float32[Array, "q _"]]
    sample: Sample
    texts: Sequence[Item]
    judged: Sample
    fits: Fits
    chosen: dict[int | None, Row] = field(default_factory=dict)
    progress: Progress = silent

    @classmethod
    def of(
        cls,
        benchmark: Benchmark,
        comparison: Comparison,
        *,
        seed: int,
        fits: Fits,
        progress: Progress = silent,
    ) -> "Bench":
        """Encode everything.

        Raises:
            ConfigError: the recipe has no models.
        """
        recipe, fit_on = comparison.recipe, comparison.fit_on or benchmark.corpus
        encoder = make_encoder(recipe, fit_on, progress=progress)
        if encoder is None:
            raise ConfigError("a comparison needs models, such as minilm,wordllama")
        if comparison.cache is not None:
            encoder = with_cache(encoder, comparison.cache, progress=progress)
        documents = [part.encode(benchmark.corpus.texts) for part in parts_of(encoder)]
        queries = [part.encode(benchmark.queries.texts, role="query") for part in parts_of(encoder)]
        whole = concatenate(documents, recipe.weights)
        rows = sample_rows(len(fit_on), recipe.sample, seed)
        numbers = range(len(fit_on))[rows] if isinstance(rows, slice) else rows
        texts = [fit_on.texts[int(i)] for i in numbers]
        widths = [int(block.shape[1]) for block in documents]
        sample = Sample(
            embeddings=whole[rows] if comparison.fit_on is None else encoder.encode(texts),
            encoder=encoder,
            seed=seed,
            models=tuple(zip(recipe.model_names, widths, strict=True)),
        )
        return cls(
            benchmark=benchmark,
            comparison=comparison,
            encoder=encoder,
            documents=documents,
            queries=queries,
            sample=sample,
            texts=texts,
            judged=_judged(sample, recipe, whole, encoder, comparison.trained.pairs),
            fits=fits,
            progress=progress,
        )

    @property
    def widths(self) -> list[int]:
        """Of each model's embeddings."""
        return [width for _, width in self.sample.models]

    @property
    def best(self) -> int:
        """Number of the model that scores best alone."""
        pairs = zip(self.documents, self.queries, strict=True)
        return int(np.argmax([score_floats(d, q, self.benchmark).ndcg.mean() for d, q in pairs]))

    @cached_property
    def baseline(self) -> Scores:
        """What the raw concatenation scores."""
        return score_floats(*self._embeddings(self.comparison.recipe), self.benchmark)

    @cached_property
    def prepared(self) -> Prepared:
        """Models and weights chosen, the same for every budget."""
        return prepare(self.comparison.recipe, self.sample, self.texts, progress=self.progress)

    def key(self, job: Job) -> str:
        """Name a run by its data, method, seed and release."""
        return run_key(fit=self._fit_key(job), data=self._data)

    @cached_property
    def _data(self) -> list[str]:
        """Name of what is searched and by what it is judged, read once: a corpus may be large."""
        data = self.benchmark
        judged = run_key(qrels=data.qrels)
        return [data.name, data.corpus.digest, data.queries.digest, judged]

    @cached_property
    def _fit_on(self) -> list[str]:
        return [(self.comparison.fit_on or self.benchmark.corpus).digest, self.encoder.fingerprint]

    def _fit_key(self, job: Job) -> str:
        return run_key(
            fit_on=self._fit_on,
            concatenation=self.comparison.recipe.to_dict(),
            group=job.group,
            method=job.method,
            recipe=job.recipe.to_dict(),
            budget=job.budget,
            seed=self.sample.seed,
            pairs=dict(self.judged.pairs) if job.learns else None,
            vecpress=version("vecpress"),
        )

    def run(self, job: Job, key: str) -> Row:
        """Fit, code, search and judge."""
        if job.recipe.head is None and job.recipe.quantizer is None and job.group != "chosen":
            documents, queries = self._embeddings(job.recipe)
            scores = score_floats(documents, queries, self.benchmark)
            return self._row(job, key, scores, size=4 * documents.shape[1])
        name = self._fit_key(job)
        if name not in self.fits:
            self.fits[name] = self._fit(job)
        pipeline, seconds = self.fits[name]
        documents, queries = self._embeddings(pipeline.recipe)
        size = pipeline.bytes_per_vector
        if job.is_rescored:
            size += 4 * pipeline.in_dim
            scores = score_rescored(pipeline, documents, queries, self.benchmark, depth=RESCORED)
        else:
            scores = score_pipeline(pipeline, documents, queries, self.benchmark)
        done = replace(job, recipe=pipeline.recipe)
        return self._row(
            done, key, scores, size=size, table_bytes=pipeline.table_bytes, seconds=seconds
        )

    def _fit(self, job: Job) -> tuple[Pipeline, float]:
        began = time.perf_counter()
        recipe, sample = self._chosen(job) if job.group == "chosen" else self._given(job)
        pipeline = Pipeline.from_sample(recipe, sample, progress=self.progress)
        return pipeline, time.perf_counter() - began

    @property
    def _is_unseen(self) -> bool:
        """Whether the documents that are searched are mostly others than the sample."""
        few = len(self.benchmark.corpus) <= self.comparison.recipe.sample
        return self.comparison.fit_on is not None or not few

    def _chosen(self, job: Job) -> tuple[Recipe, Sample]:
        """Choose models, weights, head and quantizer, without a judgement."""
        assert job.budget is not None
        prepared, seed = self.prepared, self.sample.seed
        choice = choose(
            prepared.sample.embeddings,
            job.budget,
            probes=prepared.probes,
            is_unseen=self._is_unseen,
            seed=seed,
            progress=self.progress,
        )
        return choice.apply(prepared.recipe), prepared.sample

    def _given(self, job: Job) -> tuple[Recipe, Sample]:
        """Take the sample as it is, or only one model's block of it."""
        sample = self.judged if job.learns else self.sample
        if job.recipe.models == self.comparison.recipe.models:
            return job.recipe, sample
        number = self.comparison.recipe.models.index(job.recipe.models[0])
        start = sum(self.widths[:number])
        block = sample.embeddings[:, start : start + self.widths[number]]
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        unit = np.ascontiguousarray(block / np.maximum(norms, 1e-12), dtype=np.float32)
        return job.recipe, replace(sample, embeddings=unit, models=(sample.models[number],))

    def _embeddings(self, recipe: Recipe) -> tuple[Array, Array]:
        """Concatenate what a recipe's models make of documents and queries."""
        numbers = [self.comparison.recipe.models.index(model) for model in recipe.models]
        sides = ([side[i] for i in numbers] for side in (self.documents, self.queries))
        documents, queries = (concatenate(side, recipe.weights) for side in sides)
        return documents, queries

    def _row(
        self,
        job: Job,
        key: str,
        scores: Scores,
        *,
        size: int,
        table_bytes: int = 0,
        seconds: float | None = None,
    ) -> Row:
        """Set scores beside the raw concatenation's, and the choice's for the same budget."""
        best = float(self.baseline.ndcg.mean())
        rival = self.chosen.get(job.budget)
        kept = np.round(scores.ndcg, 3)  # as a rival's are: rounding is no difference
        recipe, comparison = job.recipe, self.comparison
        return Row(
            key=key,
            benchmark=self.benchmark.name,
            fitted_on=self.benchmark.name if comparison.fit_on is None else comparison.fit_on.name,
            models=comparison.recipe.model_names,
            group=job.group,
            method=job.method,
            recipe=recipe.to_dict(),
            budget=job.budget,
            bytes_per_vector=size,
            table_bytes=table_bytes,
            compression_factor=4 * sum(self.widths) / size,
            measures=scores.means(),
            recovery=float(scores.ndcg.mean()) / best if best else 0.0,
            p_value=paired_p_value(scores.ndcg, self.baseline.ndcg),
            p_chosen=None if rival is None else paired_p_value(kept, rival.ndcg),
            per_query=tuple(kept.tolist()),
            documents=len(self.benchmark.corpus),
            encode_ms=round(self._encode_ms(recipe), 2),
            fit_seconds=None if seconds is None else round(seconds, 2),
            seed=self.sample.seed,
            pairs=dict(self.judged.pairs) or None if job.learns else None,
            command=comparison.command,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            vecpress=version("vecpress"),
        )

    def _encode_ms(self, recipe: Recipe) -> float:
        return sum(self._model_ms[self.comparison.recipe.models.index(m)] for m in recipe.models)

    @cached_property
    def _model_ms(self) -> list[float]:
        texts = self.benchmark.queries.texts
        return [time_query(without_cache(part), texts) for part in parts_of(self.encoder)]


def parts_of(encoder: Encoder) -> Sequence[Encoder]:
    """Give the models of a concatenation."""
    return encoder.encoders if isinstance(encoder, Concat) else (encoder,)


def _judged(
    sample: Sample,
    recipe: Recipe,
    documents: Float32[Array, "n d"],
    encoder: Encoder,
    pairs: Pairs | None,
) -> Sample:
    """Add judgements, and the documents that they are of, for the heads that learn from them."""
    if pairs is None:
        return sample
    assert isinstance(pairs.queries, Corpus)
    queries = encoder.encode(pairs.queries.texts, role="query")
    rows, drawn = choose_rows(len(documents), recipe.sample, seed=sample.seed, pairs=pairs)
    more = replace(sample, embeddings=documents[rows])
    return with_pairs(more, pairs, queries, rows=rows, drawn=drawn)
