"""How work keeps to a memory limit: what is fixed is measured, and what is left is shared out."""

from dataclasses import replace

import numpy as np

from vecpress import registry
from vecpress.corpus import Corpus
from vecpress.draws import Drawn, draw
from vecpress.encoders.catalogue import find
from vecpress.encoders.vector_files import NpyFile
from vecpress.errors import ConfigError
from vecpress.index_writer import SEGMENT_ROWS
from vecpress.limits import block_rows, peak, show_memory
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.stages import Encoder, FittedOnTexts, Item
from vecpress.streams import Stream, TextStream, VectorStream

_BASE = 24 << 20  # what files, digests and allocators take
_TEXTS = 96 << 20  # a block of texts, its records and its tokens
_SNIPPETS = 500  # of a document in the segment that is being written
_ID = 24  # of a document in an index that is being written, to tell ids apart
_FEWEST = 1000  # documents to fit on
_TRAINING = 384 << 20  # what a training loop takes besides its documents: gradients, held-out pairs
_TRIALS = 64 << 20  # what judging by a budget takes besides its documents
_TRIED = 8192  # documents that a budget is judged by, and that a spectrum takes at a time
_UNTOLD = 1024  # dimensions of an encoder that says them only when it is fitted
_LONG = "memory " * 300  # a text of more tokens than most models keep


def check_memory(
    pipeline: Pipeline, stream: Stream, memory: int, *, is_indexed: bool = False
) -> None:
    """Make sure that a stream can be coded, and perhaps indexed, within so many bytes.

    Models are loaded and tried first, so that what they take is known.

    Raises:
        ConfigError: it cannot.
        DataError: the stream cannot be read.
    """
    if isinstance(stream, VectorStream):
        tried = pipeline.compress(np.ones((1, stream.width), np.float32))
    else:
        tried = pipeline.encode(_probe(stream))
    if pipeline.codec is not None:
        pipeline.quantize(tried)
    rows = block_rows(pipeline.in_dim)
    work = _BASE + rows * ((20 + _raw(stream)) * pipeline.in_dim + 16 * pipeline.dim)
    if isinstance(stream, TextStream):
        work += _TEXTS
    if is_indexed:
        texts = isinstance(stream, TextStream)
        each = 3 * pipeline.bytes_per_vector + 48 + (_SNIPPETS if texts else 0)
        work += SEGMENT_ROWS * each + _ID * stream.source.documents
    _refuse_less(memory, peak(), work)


def draw_within(
    recipe: Recipe, stream: Stream, memory: int, *, seed: int = 0, by_budget: bool = False
) -> tuple[Recipe, Drawn]:
    """Draw what a recipe is fitted on, so that the fit keeps to so many bytes.

    Args:
        recipe: Its models, head and sample are used.
        stream: What to draw from.
        memory: Bytes that the process may take in all.
        seed: Of the draw.
        by_budget: Whether head and quantizer are still to be chosen.

    Returns:
        The recipe, with a smaller sample if its own takes too much; and what was drawn.

    Raises:
        ConfigError: not even a small sample fits.
        DataError: the stream cannot be used.
    """
    width = stream.width if isinstance(stream, VectorStream) else _width(recipe, stream)
    dim = width if recipe.head is None else recipe.head.dim
    each = (8 + _raw(stream)) * width + 16 * dim + (8 * width if _is_trained(recipe) else 0)
    work = _BASE + 32 * width * width + 4 * _TRIED * width
    if _is_trained(recipe):
        work += _TRAINING
    if by_budget:
        work += _TRIALS + 4 * 4 * _TRIED * width
    text_room = None
    least = _FEWEST * each
    if isinstance(stream, TextStream):
        least *= 2
        work += _TEXTS
    left = memory - peak() - work
    _refuse_less(memory, peak(), work + least)
    if isinstance(stream, TextStream):
        fitted = any(isinstance(find(model), FittedOnTexts) for model in recipe.models)
        text_room = left // (8 if fitted else 3)
        left -= left // 3
    most = min(recipe.sample, left // each)
    drawn = draw(stream, most, seed=seed, room=text_room)
    if drawn.number > len(drawn.documents):
        recipe = replace(recipe, sample=len(drawn.documents))
    return recipe, drawn


def _is_trained(recipe: Recipe) -> bool:
    """Say whether the head needs a training loop, as one that is not ours may."""
    if recipe.head is None:
        return False
    kind = registry.kind_of(registry.COMPRESSORS, recipe.head)
    return kind not in registry.COMPRESSORS or bool(registry.COMPRESSORS[kind].needs)


def _raw(stream: Stream) -> int:
    """Give the bytes of a number as it lies on disk, or as an encoder gives it."""
    if isinstance(stream, TextStream):
        return 4
    return stream.file.dtype.itemsize if isinstance(stream.file, NpyFile) else 8


def _width(recipe: Recipe, stream: TextStream) -> int:
    """Load and try the models; those of words come to life later."""
    width = 0
    for model in recipe.models:
        found = find(model)
        if isinstance(found, Encoder):
            width += found.encode(_probe(stream)).shape[1]
        else:
            width += int(getattr(found, "dim", _UNTOLD))
    return width


def _probe(stream: TextStream) -> list[Item]:
    """Give long texts, as many as a batch holds, or an image if there are images."""
    first = next(stream.blocks(1), None)
    if first is not None and isinstance(first.documents, Corpus):
        item = first.documents.texts[0]
        if not isinstance(item, str):
            return [item]
    return [_LONG] * 64


def _refuse_less(memory: int, fixed: int, work: int) -> None:
    if memory < fixed + work:
        raise ConfigError(
            f"a memory limit of {show_memory(memory)} is too low: Python, its packages and the "
            f"models take {show_memory(fixed)}, and the work at least {show_memory(work)} more: "
            f"give --memory {show_memory(int(1.05 * (fixed + work)))}, or a smaller model"
        )
