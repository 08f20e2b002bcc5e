"""Work that was interrupted after any block goes on, and ends as the same bytes."""

from functools import partial

import numpy as np
import pytest

from helpers import unit
from toys import stories
from vecpress import bulk
from vecpress.bulk import write_index, write_shards
from vecpress.compressors.linear import PCA
from vecpress.corpus import Corpus
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.shards import Header
from vecpress.streams import open_stream

STAGES = {"head": PCA(dim=5), "quantizer": Percentile(bits=4)}


@pytest.fixture
def small(monkeypatch):
    """Make blocks of 4 rows, and shards and segments of 8."""
    monkeypatch.setattr(bulk, "block_rows", lambda width: 4)
    monkeypatch.setattr(bulk, "Header", partial(Header, shard_rows=8))
    monkeypatch.setattr(bulk.IndexWriter, "open", partial(bulk.IndexWriter.open, segment_rows=8))


@pytest.fixture(params=["texts", "vectors"])
def work(request, tmp_path):
    """A pipeline and a stream of 30 documents."""
    if request.param == "texts":
        (tmp_path / "t.txt").write_text("\n".join(stories(30)))
        corpus = Corpus(ids=tuple(map(str, range(30))), texts=tuple(stories(30)))
        recipe = Recipe(models=("lexical:6", "lexical:4"), **STAGES)
        return Pipeline.fit(recipe, corpus), open_stream(str(tmp_path / "t.txt"), vectors=False)
    np.save(tmp_path / "v.npy", unit(30, 9))
    pipeline = Pipeline.fit(Recipe(**STAGES), np.load(tmp_path / "v.npy"))
    return pipeline, open_stream(str(tmp_path / "v.npy"), vectors=True)


def everything_in(place):
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


class Killed(BaseException):
    """What no code of ours may catch."""


def stop_after(blocks):
    """Give a progress that ends the run after so many blocks."""
    told = []

    def progress(what, done, total):
        told.append(done)
        assert (done - told[0], total) == (4 * (len(told) - 1), 30) or done == 30
        if len(told) == blocks:
            raise Killed

    return progress


@pytest.mark.parametrize("make", [write_shards, write_index])
@pytest.mark.parametrize("after", [1, 2, 3, 5, 7])
def test_a_run_that_was_interrupted_goes_on(small, work, tmp_path, make, after):
    pipeline, stream = work
    make(pipeline, stream, tmp_path / "once")
    with pytest.raises(Killed):
        make(pipeline, stream, tmp_path / "twice", progress=stop_after(after))
    begun = []
    make(pipeline, stream, tmp_path / "twice", progress=lambda _, done, __: begun.append(done))
    assert begun[0] == after // 2 * 8 + 4
    assert everything_in(tmp_path / "once") == everything_in(tmp_path / "twice")


def test_shards_hold_what_quantize_all_gives(small, work, tmp_path):
    pipeline, stream = work
    documents = np.load(stream.path) if stream.path.suffix == ".npy" else None
    if documents is None:
        documents = Corpus(ids=tuple(map(str, range(30))), texts=tuple(stories(30)))
    write_shards(pipeline, stream, tmp_path / "s")
    parts = [np.load(path) for path in sorted((tmp_path / "s").glob("part-*.npy"))]
    np.testing.assert_array_equal(np.concatenate(parts), pipeline.quantize_all(documents))


@pytest.mark.parametrize("make", [write_shards, write_index])
def test_a_press_of_floats_makes_no_codes(work, tmp_path, make):
    pipeline, stream = work
    with pytest.raises(ConfigError, match="has no quantizer, so it makes no codes"):
        make(pipeline.truncate(3), stream, tmp_path / "s")
    assert not (tmp_path / "s").exists()
