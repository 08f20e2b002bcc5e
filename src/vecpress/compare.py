"""Methods x budgets on one benchmark: every row scored on the same embeddings and queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float32

from vecpress import registry
from vecpress.arrays import Array
from vecpress.budget import choose
from vecpress.compressors.linear import PCA
from vecpress.corpus import Benchmark, Corpus
from vecpress.encoders.combine import Concat, concatenate, with_cache
from vecpress.errors import ConfigError
from vecpress.evaluate import Scores, score_floats, score_pipeline
from vecpress.fitting import learns_from_pairs
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Binary, Int8
from vecpress.recipe import Recipe
from vecpress.sample import Sample, choose_rows, make_encoder, sample_rows, with_pairs
from vecpress.significance import paired_p_value
from vecpress.stages import Encoder, Progress, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """Heads to train and score too.

    Attributes:
        heads: Names of methods, such as `concat-decoder`.
        pairs: Judgements of the same corpus, of other queries than those that are scored; those
            heads that can learn from them do.
    """

    heads: Sequence[str] = ()
    pairs: Pairs | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the comparison.

    Attributes:
        benchmark: Name of the data.
        group: "single model", "concatenation", "chosen" (by budget), "trained" or "baseline".
        method: What it is, for people.
        recipe: What it is, for `vecpress fit --recipe`.
        budget: Bytes asked for; None where none was.
        bytes_per_vector: Everything stored per document.
        compression_factor: float32 bytes of the concatenation / bytes per vector.
        measures: nDCG@10, recall@100 and MRR@10, under those names in lower case.
        recovery: nDCG@10 / that of the raw concatenation.
        p_value: Of a paired randomization test of nDCG@10 against the raw concatenation.
        seed: Of everything random.
        pairs: Number of judgements learned from, and their digest; None where there were none.
    """

    benchmark: str
    group: str
    method: str
    recipe: dict[str, Any]
    budget: int | None
    bytes_per_vector: int
    compression_factor: float
    measures: dict[str, float]
    recovery: float
    p_value: float
    seed: int
    pairs: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, the measures among them."""
        values = dict(vars(self))
        measures = values.pop("measures")
        return values | measures


def compare(
    benchmark: Benchmark,
    recipe: Recipe,
    budgets: Sequence[int],
    *,
    trained: Trained | None = None,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Score single models, their concatenation, and compressed forms of it at each budget.

    Heads and quantizers are fitted on the benchmark's documents; its judgements only score. Heads
    that can learn from judgements learn from those of other queries, if they are given.

    Args:
        benchmark: The data.
        recipe: Its models and weights are used; head and quantizer come from the budgets.
        budgets: Bytes per vector.
        trained: Heads to train too, at the dims and bits chosen for the budget.
        seed: Of everything random.
        cache: Folder in which encoders remember what they encode.
        progress: Told about encoding, choosing and training.

    Raises:
        ConfigError: the recipe has no models, or a head is unknown.
    """
    encoder = make_encoder(recipe, benchmark.corpus, progress=progress)
    if encoder is None:
        raise ConfigError("a comparison needs models, such as minilm,wordllama")
    if cache is not None:
        encoder = with_cache(encoder, cache, progress=progress)
    blocks = _encode_parts(encoder, benchmark)
    documents = concatenate([d for d, _ in blocks], recipe.weights)
    queries = concatenate([q for _, q in blocks], recipe.weights)
    trained = trained or Trained()
    widths = [int(block.shape[1]) for block, _ in blocks]
    sample = Sample(
        embeddings=documents[sample_rows(len(documents), recipe.sample, seed)],
        seed=seed,
        models=tuple(zip(recipe.model_names, widths, strict=True)),
    )
    table = _Table(
        benchmark=benchmark,
        recipe=replace(recipe, head=None, quantizer=None),
        documents=documents,
        queries=queries,
        baseline=score_floats(documents, queries, benchmark),
        sample=sample,
        judged=_judged(sample, recipe, documents, encoder, trained.pairs),
    )
    rows = list(table.in_floats(blocks))
    rows += [table.fitted("baseline", "int8", replace(table.recipe, quantizer=Int8()))]
    rows += [table.fitted("baseline", "sign bits", replace(table.recipe, quantizer=Binary()))]
    for budget in budgets:
        rows += table.at_budget(budget, heads=trained.heads, progress=progress)
    return rows


def _encode_parts(encoder: Encoder, benchmark: Benchmark) -> list[tuple[Array, Array]]:
    """Encode documents and queries with each model of a concatenation."""
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    corpus, queries = benchmark.corpus.texts, benchmark.queries.texts
    return [(part.encode(corpus), part.encode(queries, role="query")) for part in parts]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """What the rows share."""

    benchmark: Benchmark
    recipe: Recipe
    documents: Float32[Array, "n d"]
    queries: Float32[Array, "q d"]
    baseline: Scores
    sample: Sample
    judged: Sample

    def in_floats(self, blocks: Sequence[tuple[Array, Array]]) -> Iterator[Row]:
        """Score each model alone, if there are several, and the concatenation."""
        names, models = self.recipe.model_names, self.recipe.models
        for model, name, (block, asked) in zip(models, names, blocks, strict=True):
            if len(blocks) > 1:
                scores = score_floats(block, asked, self.benchmark)
                alone = replace(self.recipe, models=(model,), weights=None)
                yield self.row("single model", name, alone, 4 * block.shape[1], scores)
        size, everything = 4 * self.documents.shape[1], " + ".join(names)
        yield self.row("concatenation", everything, self.recipe, size, self.baseline)

    def at_budget(self, budget: int, *, heads: Sequence[str], progress: Progress) -> Iterator[Row]:
        """Score the choice, plain PCA with the same dims and bits, and the trained heads."""
        choice = choose(self.sample.embeddings, budget, seed=self.sample.seed, progress=progress)
        best, chosen = choice.best, choice.apply(self.recipe)
        yield self.fitted("chosen", str(best), chosen, budget=budget)
        shape = f"{best.head.dim} x {best.quantizer.bits} bit"
        plain = replace(best.quantizer, rotate=False)
        recipe = replace(self.recipe, head=PCA(dim=best.head.dim), quantizer=plain)
        yield self.fitted("baseline", f"PCA {shape}", recipe, budget=budget)
        for kind in heads:
            head = registry.build(registry.COMPRESSORS, {"kind": kind, "dim": best.head.dim})
            recipe = replace(self.recipe, head=head, quantizer=best.quantizer)
            method, pairs = f"{kind} {shape}", None
            if learns_from_pairs(head):
                pairs = dict(self.judged.pairs) or None
                method += f", {'with' if pairs else 'without'} judgements"
            row = self.fitted("trained", method, recipe, budget=budget, progress=progress)
            yield replace(row, pairs=pairs)

    def fitted(
        self,
        group: str,
        method: str,
        recipe: Recipe,
        *,
        budget: int | None = None,
        progress: Progress = silent,
    ) -> Row:
        """Fit a recipe on the documents, and score it."""
        learns = recipe.head is not None and learns_from_pairs(recipe.head)
        sample = self.judged if learns else self.sample
        pipeline = Pipeline.from_sample(recipe, sample, progress=progress)
        scores = score_pipeline(pipeline, self.documents, self.queries, self.benchmark)
        return self.row(group, method, recipe, pipeline.bytes_per_vector, scores, budget=budget)

    def row(
        self,
        group: str,
        method: str,
        recipe: Recipe,
        bytes_per_vector: int,
        scores: Scores,
        *,
        budget: int | None = None,
    ) -> Row:
        """Set scores beside the raw concatenation's."""
        best = float(self.baseline.ndcg.mean())
        return Row(
            benchmark=self.benchmark.name,
            group=group,
            method=method,
            recipe=recipe.to_dict(),
            budget=budget,
            bytes_per_vector=bytes_per_vector,
            compression_factor=4 * self.documents.shape[1] / bytes_per_vector,
            measures=scores.means(),
            recovery=float(scores.ndcg.mean()) / best if best else 0.0,
            p_value=paired_p_value(scores.ndcg, self.baseline.ndcg),
            seed=self.sample.seed,
        )
