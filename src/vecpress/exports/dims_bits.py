"""What a press scores at each of its widths and at several bits: the table of its model card."""

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.corpus import Benchmark
from vecpress.evaluate import raw_embeddings, score_codes, score_floats, score_pipeline
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Gaussian, LloydMax, Percentile
from vecpress.stages import Progress, Quantizer, silent

BITS = (32, 8, 4, 2, 1)
"""Bits per dimension; 32 are float32 itself."""

_LEAST = 32  # dimensions of a width nobody named
_WIDTHS = 5  # of them, at most


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One width at so many bits.

    Attributes:
        dim: Dimensions kept.
        bits: Per dimension.
        bytes_per_vector: Everything stored per document.
        ndcg: nDCG@10; None if nothing was measured.
    """

    dim: int
    bits: int
    bytes_per_vector: int
    ndcg: float | None = None


@dataclass(frozen=True, kw_only=True)
class DimsBits:
    """All cells, and what they are measured against.

    Attributes:
        cells: By falling width, then by falling bits.
        dims: Widths, widest first.
        coder: Name of the quantizer whose bits they are.
        benchmark: Name of the data; empty if nothing was measured, and then the rest is 0.
        queries: Judged queries.
        documents: Documents searched.
        baseline: nDCG@10 of the float embeddings that go into the head.
        own_ndcg: nDCG@10 of the press as it was fitted.
        own_bytes: Its bytes per vector.
    """

    cells: tuple[Cell, ...]
    dims: tuple[int, ...]
    coder: str
    benchmark: str = ""
    queries: int = 0
    documents: int = 0
    baseline: float = 0.0
    own_ndcg: float = 0.0
    own_bytes: int = 0

    def at(self, dim: int, bits: int) -> Cell | None:
        """Find a cell; None where there were too few documents to calibrate so many bits on."""
        return next((c for c in self.cells if (c.dim, c.bits) == (dim, bits)), None)

    def recovery(self, ndcg: float) -> float:
        """Give a score as a share of the baseline's."""
        return ndcg / self.baseline if self.baseline else 0.0


def widths(pipeline: Pipeline) -> tuple[int, ...]:
    """List the widths a press is meant for: those of its head, else its own halved and halved."""
    head = pipeline.head
    if head is None:
        return (pipeline.dim,)
    if head.narrower is not None:
        return head.dims
    named = getattr(pipeline.recipe.head, "nested_dims", None)
    if named:
        return tuple(sorted({*named, head.dim} & {*range(1, head.dim + 1)}, reverse=True))
    halved = (head.dim // 2**i for i in range(_WIDTHS))
    return tuple(dim for i, dim in enumerate(halved) if i == 0 or dim >= _LEAST)


def sizes(pipeline: Pipeline) -> DimsBits:
    """Count the bytes of every width and number of bits, without measuring anything."""
    dims = widths(pipeline)
    cells = tuple(
        Cell(dim=dim, bits=bits, bytes_per_vector=-(-dim * bits // 8))
        for dim in dims
        for bits in BITS
    )
    return DimsBits(cells=cells, dims=dims, coder=_name(_quantizer(pipeline, 4)))


def dims_bits_table(
    pipeline: Pipeline, benchmark: Benchmark, *, seed: int = 0, progress: Progress = silent
) -> DimsBits:
    """Score every width at 32, 8, 4, 2 and 1 bits per dimension, on a benchmark's judgements.

    Codes are calibrated on the benchmark's documents, which is what `fit` does with a corpus.
    Judgements only score: nothing is chosen by them.

    Args:
        pipeline: That encodes texts.
        benchmark: Texts and judgements.
        seed: Of random rotations.
        progress: Told about the cells.

    Raises:
        ConfigError: the press was fitted on precomputed vectors.
    """
    documents, queries = raw_embeddings(pipeline, benchmark)
    dims, cells = widths(pipeline), list[Cell]()
    for i, dim in enumerate(dims):
        progress("measuring widths", i, len(dims))
        head = None if pipeline.head is None else pipeline.head.truncate(dim)
        short = [rows if head is None else head.compress(rows) for rows in (documents, queries)]
        cells += _scored(pipeline, dim, (short[0], short[1]), benchmark, seed)
    progress("measuring widths", len(dims), len(dims))
    baseline = score_floats(documents, queries, benchmark)
    own = score_pipeline(pipeline, documents, queries, benchmark)
    return DimsBits(
        cells=tuple(cells),
        dims=dims,
        coder=_name(_quantizer(pipeline, 4)),
        benchmark=benchmark.name,
        queries=len(benchmark.queries),
        documents=len(benchmark.corpus),
        baseline=float(baseline.ndcg.mean()),
        own_ndcg=float(own.ndcg.mean()),
        own_bytes=pipeline.bytes_per_vector,
    )


def _scored(
    pipeline: Pipeline,
    dim: int,
    rows: tuple[Float32[Array, "n d"], Float32[Array, "q d"]],
    benchmark: Benchmark,
    seed: int,
) -> Iterator[Cell]:
    documents, queries = rows
    for bits in BITS:
        if bits == 32:
            ndcg = score_floats(documents, queries, benchmark).ndcg
            yield Cell(dim=dim, bits=32, bytes_per_vector=4 * dim, ndcg=float(ndcg.mean()))
        elif 2**bits <= len(documents):
            codec = _quantizer(pipeline, bits).fit(documents, seed=seed)
            ndcg = score_codes(codec, documents, queries, benchmark).ndcg
            size = codec.code_bytes
            yield Cell(dim=dim, bits=bits, bytes_per_vector=size, ndcg=float(ndcg.mean()))


def _quantizer(pipeline: Pipeline, bits: int) -> Quantizer:
    """Take the press's own quantizer at other bits, where it has so many per dimension."""
    own = pipeline.recipe.quantizer
    if isinstance(own, Percentile | LloydMax | Gaussian):
        return type(own)(bits=bits, rotate=own.rotate)
    return Percentile(bits=bits)


def _name(quantizer: Quantizer) -> str:
    turned = ", rotated" if getattr(quantizer, "rotate", False) else ""
    return f"{type(quantizer).__name__}{turned}"
