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
from vecpress.corpus import Benchmark
from vecpress.encoders.combine import Concat, concatenate, with_cache
from vecpress.errors import ConfigError
from vecpress.evaluate import Scores, paired_p_value, score_floats, score_pipeline
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Binary, Int8
from vecpress.recipe import Recipe
from vecpress.sample import Sample, make_encoder, sample_rows
from vecpress.stages import Encoder, Progress, silent


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
    heads: Sequence[str] = (),
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Score single models, their concatenation, and compressed forms of it at each budget.

    Heads and quantizers are fitted on the benchmark's documents; its judgements only score.

    Args:
        benchmark: The data.
        recipe: Its models and weights are used; head and quantizer come from the budgets.
        budgets: Bytes per vector.
        heads: Also train these (`concat-decoder`), at the dims and bits chosen for the budget.
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
    fitted_on = documents[sample_rows(len(documents), recipe.sample, seed)]
    table = _Table(
        benchmark=benchmark,
        recipe=replace(recipe, head=None, quantizer=None),
        documents=documents,
        queries=queries,
        baseline=score_floats(documents, queries, benchmark),
        sample=Sample(embeddings=fitted_on, seed=seed),
    )
    rows = []
    if len(blocks) > 1:
        for model, name, (block, asked) in zip(
            recipe.models, recipe.model_names, blocks, strict=True
        ):
            scores = score_floats(block, asked, benchmark)
            alone = replace(table.recipe, models=(model,), weights=None)
            rows.append(table.row("single model", name, alone, 4 * block.shape[1], scores))
    everything = " + ".join(recipe.model_names)
    rows.append(
        table.row("concatenation", everything, table.recipe, 4 * documents.shape[1], table.baseline)
    )
    rows += [table.fitted("baseline", "int8", replace(table.recipe, quantizer=Int8()))]
    rows += [table.fitted("baseline", "sign bits", replace(table.recipe, quantizer=Binary()))]
    for budget in budgets:
        rows += table.at_budget(budget, heads=heads, progress=progress)
    return rows


def _encode_parts(encoder: Encoder, benchmark: Benchmark) -> list[tuple[Array, Array]]:
    """Encode documents and queries with each model of a concatenation."""
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    corpus, queries = benchmark.corpus.texts, benchmark.queries.texts
    return [(part.encode(corpus), part.encode(queries, role="query")) for part in parts]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """What the rows share."""

    benchmark: Benchmark
    recipe: Recipe
    documents: Float32[Array, "n d"]
    queries: Float32[Array, "q d"]
    baseline: Scores
    sample: Sample

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
            method = f"{kind} {shape}"
            yield self.fitted("trained", method, recipe, budget=budget, progress=progress)

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
        pipeline = Pipeline.from_sample(recipe, self.sample, progress=progress)
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
