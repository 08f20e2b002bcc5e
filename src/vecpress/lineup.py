"""What any choice has to beat at a number of bytes: the baselines, as recipes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

from vecpress import registry
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.quantizers.product import OPQ
from vecpress.quantizers.rabitq import RaBitQ
from vecpress.quantizers.scalar import Int8, Percentile
from vecpress.recipe import Recipe

_BITS = (1, 2, 4)
_GAMMA = 0.25
_CENTROIDS = 256  # of a group of product codes: at least as many documents
_FEWEST = 64  # documents to train the decoder on
_FACTORS = (8, 20)  # bytes of RaBitQ beside its codes, for one bit and for more


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A way to build codes that people know.

    Attributes:
        method: Its name, the same at every budget.
        recipe: What it is.
        is_seeded: Whether it is worth running with several seeds: its seed changes it, and it is
            quick.
    """

    method: str
    recipe: Recipe
    is_seeded: bool = False


def lineup(
    recipe: Recipe, budget: int, *, width: int, single: tuple[int, int], documents: int
) -> list[Baseline]:
    """List the baselines that a budget has room for.

    Args:
        recipe: Models and weights; no head, no quantizer.
        budget: Bytes per vector.
        width: Of the concatenation.
        single: Number of the best single model, and its width.
        documents: How many there are to calibrate on.
    """
    return [
        *_cut(recipe, budget, *single),
        *_scalar(recipe, budget, width, documents),
        *_rabitq(recipe, budget, width),
        *_opq(recipe, budget, width, documents),
        *_decoder(recipe, budget, width, documents),
    ]


def _cut(recipe: Recipe, budget: int, model: int, width: int) -> Iterator[Baseline]:
    """Cut the embeddings of one model, in floats and in int8."""
    alone = replace(recipe, models=(recipe.models[model],), weights=None)
    name = recipe.model_names[model]
    for label, dim, quantizer in (("float32", budget // 4, None), ("int8", budget, Int8())):
        if dim >= 1:
            head = Truncation(dim=min(dim, width))
            yield Baseline(
                method=f"{name} cut, {label}",
                recipe=replace(alone, head=head, quantizer=quantizer),
            )


def _scalar(recipe: Recipe, budget: int, width: int, documents: int) -> Iterator[Baseline]:
    """Cut each dimension of PCA, scaled or not, into cells of equal mass."""
    for bits in _BITS:
        if 2**bits > documents:
            continue
        dim = min(8 * budget // bits, width)
        for label, head in (("PCA", PCA(dim=dim)), ("power-PCA", PowerPCA(dim=dim, gamma=_GAMMA))):
            coded = replace(recipe, head=head, quantizer=Percentile(bits=bits))
            yield Baseline(method=f"{label}, {bits} bit", recipe=coded)


def _rabitq(recipe: Recipe, budget: int, width: int) -> Iterator[Baseline]:
    """PCA, rotation and RaBitQ, its factors counted."""
    if find_spec("faiss") is None:
        return
    for bits in _BITS:
        quantizer = RaBitQ(bits=bits)
        dim = min((budget - _FACTORS[bits > 1]) * 8 // bits // 8 * 8, width)
        if dim >= 8:
            coded = replace(recipe, head=PCA(dim=dim), quantizer=quantizer)
            yield Baseline(method=f"PCA, RaBitQ {bits} bit", recipe=coded, is_seeded=True)


def _opq(recipe: Recipe, budget: int, width: int, documents: int) -> Iterator[Baseline]:
    """A learned rotation and product quantization of as many dimensions as FAISS advises."""
    if find_spec("faiss") is None or budget > width or documents < _CENTROIDS:
        return
    quantizer = OPQ(m=budget, iterations=5)
    head = PCA(dim=min(4 * budget, width))
    coded = replace(recipe, head=head, quantizer=quantizer)
    yield Baseline(method="OPQ, PQ", recipe=coded)


def _decoder(recipe: Recipe, budget: int, width: int, documents: int) -> Iterator[Baseline]:
    """The concatenation paper's decoder and cells of four bits (arXiv:2510.04626)."""
    dim = 2 * budget
    if find_spec("torch") is not None and dim <= width and documents >= _FEWEST:
        head = registry.build(registry.COMPRESSORS, {"kind": "concat-decoder", "dim": dim})
        coded = replace(recipe, head=head, quantizer=Percentile(bits=4))
        yield Baseline(method="concat-decoder, 4 bit", recipe=coded)
