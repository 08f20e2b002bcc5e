"""Some of many documents, drawn at random while all of them pass by once."""

from sys import getsizeof
from typing import NamedTuple

import numpy as np

from vecpress.arrays import Array
from vecpress.corpus import Corpus
from vecpress.encoders.vector_files import NpyFile
from vecpress.recipe import Documents
from vecpress.stages import Item
from vecpress.streams import Reading, Stream, TextStream, VectorStream

_OVERHEAD = 150  # bytes of a text's id, number, and places in lists


class Drawn(NamedTuple):
    """Documents drawn from more, as a fit takes them in place of all.

    Attributes:
        documents: In the order in which they stood.
        number: How many they were drawn from.
        digest: Of all of these; None for vectors, whose sample alone is recorded.
    """

    documents: Documents
    number: int
    digest: str | None


def draw(stream: Stream, most: int, *, seed: int = 0, room: int | None = None) -> Drawn:
    """Draw at most `most` documents, each set of them as likely as any other.

    Of vectors, whose number is known beforehand, these are the rows that `Pipeline.fit` draws of
    the whole. Of texts, which pass by once, they are others; both take all there are if they are
    no more than `most`.

    Args:
        stream: What to draw from.
        most: Documents to draw.
        seed: Of the draw.
        room: Bytes that texts may take: fewer are drawn if they are long.

    Raises:
        DataError: the stream cannot be read, holds nothing, or uses an id twice.
    """
    if isinstance(stream, VectorStream):
        rows = sample_rows(len(stream), most, seed)
        stream.check_names()
        return Drawn(_take(stream, rows), len(stream), None)
    return _draw_texts(stream, most, seed=seed, room=room)


def sample_rows(n: int, most: int, seed: int) -> Array | slice:
    """Draw at most `most` of n rows, ascending; all of them if they are few enough."""
    if n <= most:
        return slice(0, n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _draw_texts(stream: TextStream, most: int, *, seed: int, room: int | None) -> Drawn:
    """Give every text a random number, and keep those with the least.

    How many fit into the room is judged by all texts that passed by, never by those that were
    kept: long ones are as likely as short ones.

    Source: bottom-k sampling, Cohen and Kaplan 2007, doi:10.1145/1281100.1281133.
    """
    rng, reading = np.random.default_rng(seed), Reading(stream)
    kept: list[_Ticket] = []
    passed = size = 0
    least = 1.0  # no number above it can be kept any more
    for block in stream.blocks():
        reading.add(block)
        assert isinstance(block.documents, Corpus)
        ids, texts = block.documents.ids, block.documents.texts
        passed += len(texts)
        size += sum(getsizeof(str(text)) for text in texts) + _OVERHEAD * len(texts)
        if room is not None:
            most = max(min(most, room * passed // size), 1)
        numbers = rng.random(len(texts))
        kept += [(numbers[i], ids[i], texts[i]) for i in np.flatnonzero(numbers <= least)]
        if len(kept) > most + most // 16:
            kept, least = _least(kept, most)
    kept, _ = _least(kept, most)
    source = reading.source()
    _, ids, texts = zip(*kept, strict=True)
    drawn = Corpus(ids=ids, texts=texts, name=str(stream.path))
    return Drawn(drawn, source.documents, source.digest)


_Ticket = tuple[float, str, Item]


def _least(kept: list[_Ticket], most: int) -> tuple[list[_Ticket], float]:
    """Keep those with the least numbers, in their order, and give the greatest of these."""
    if len(kept) <= most:
        return kept, 1.0
    numbers = np.array([ticket[0] for ticket in kept])
    last = float(np.partition(numbers, most - 1)[most - 1])
    return [ticket for ticket in kept if ticket[0] <= last], last


def _take(stream: VectorStream, rows: Array | slice) -> Array:
    """Read some rows of the vectors."""
    if isinstance(rows, slice):
        rows = np.arange(len(stream))[rows]
    if isinstance(stream.file, NpyFile):
        return stream.file.take(rows)
    found: Array | None = None
    for block in stream.blocks():
        first, last = np.searchsorted(rows, [block.rows.start, block.rows.stop])
        part = np.asarray(block.documents)[rows[first:last] - block.rows.start]
        if found is None:
            found = np.empty((len(rows), stream.width), part.dtype)
        found[first:last] = part
    assert found is not None
    return found
