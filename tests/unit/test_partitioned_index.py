"""An index whose documents stand in lists: the same answers, by reading fewer of them if asked."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecpress import Pipeline, Recipe, cli, upkeep
from vecpress.arrays import normalize
from vecpress.compressors.linear import PCA
from vecpress.errors import ArtifactError, ConfigError
from vecpress.index import Index
from vecpress.quantizers.scalar import Percentile
from vecpress.scan import Scanner
from vecpress.strings import Strings


def drawn(n, *, seed=0):
    """Unit rows around 30 directions, those of one direction far apart in the order."""
    centres = np.random.default_rng(9).normal(size=(30, 16))
    noise = 0.4 * np.random.default_rng(seed).normal(size=(n, 16))
    return normalize((centres[np.arange(n) % 30] + noise).astype(np.float32))


X, QUERIES = drawn(2000), drawn(40, seed=1)
CODEC, FINE = Percentile(bits=2).fit(X), Percentile(bits=8).fit(X)


def index_of(rows):
    """Index documents whose id, snippet and finer code all tell which one it is."""
    return Index.build(
        CODEC,
        CODEC.quantize(X[rows]),
        [f"d{i}" for i in rows],
        snippets=[f"text {i}" for i in rows],
        fine=(FINE, FINE.quantize(X[rows])),
    )


@pytest.fixture(scope="module", autouse=True)
def _measured_on_less():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vecpress.partitioning._DEPTHS", (10, 100))
        patch.setattr("vecpress.partitioning._ASKED", 300)
        yield


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """An index of two parts with deleted documents, and the same one put into lists on disk."""
    folder = tmp_path_factory.mktemp("partitioned") / "i"
    more = index_of(range(1200, 2000)).segments[0]
    index = index_of(range(1200)).with_segment(more).delete(["d3", "d1300"])
    index.save(folder)
    upkeep.partition(folder, lists=30)
    return folder, index


@pytest.fixture
def saved(example, tmp_path):
    """The example, in a folder that may be changed."""
    folder, index = example
    Index.load(folder).save(tmp_path / "i")
    return tmp_path / "i", index


@pytest.fixture
def rows_read(monkeypatch):
    """How many rows each scan looks at."""
    seen, scan = [], Scanner.scan_parts

    def spy(self, parts, *rest, **options):
        seen.append(sum(int(np.diff(part.whole(), axis=1).sum()) for part in parts))
        return scan(self, parts, *rest, **options)

    each = Scanner.scan_each

    def spy_on_each(self, codes, queries, k, ranges, **options):
        seen.extend(np.diff(ranges, axis=2).sum(axis=(1, 2)).tolist())
        return each(self, codes, queries, k, ranges, **options)

    monkeypatch.setattr(Scanner, "scan_parts", spy)
    monkeypatch.setattr(Scanner, "scan_each", spy_on_each)
    return seen


@pytest.mark.parametrize("options", [{}, {"recall": 1.0}, {"rescore": 30}], ids=str)
def test_lists_do_not_change_exact_answers(saved, options):
    folder, before = saved
    after = Index.load(folder, verify=True)
    assert [len(segment) for segment in after.segments] == [len(after)] == [1998]
    assert len(after.segments[0].partition) > 10
    one, other = (index.search(QUERIES, 10, **options) for index in (before, after))
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    apart = np.diff(one.scores, axis=1, append=-9).min(axis=1) < -1e-6
    assert apart.any()
    for i in np.flatnonzero(apart):
        assert one.ids[i] == other.ids[i]


def test_all_that_belongs_to_a_document_moves_with_it(saved):
    index = Index.load(saved[0])
    (segment,) = index.segments
    rows = [int(name[1:]) for name in segment.ids]
    assert sorted(rows) == [i for i in range(2000) if i not in (3, 1300)]
    assert rows != sorted(rows)
    np.testing.assert_array_equal(segment.codes, CODEC.quantize(X[rows]))
    np.testing.assert_array_equal(segment.fine, FINE.quantize(X[rows]))
    assert [segment.snippets[i] for i in range(1998)] == [f"text {i}" for i in rows]
    lists = np.split(np.array(rows), segment.partition.ends[:-1])
    assert all((np.diff(some) > 0).all() for some in lists)


def test_a_recall_is_reached_by_reading_less(saved, rows_read):
    index = Index.load(saved[0])
    truth = index.search(QUERIES, 10)
    assert rows_read == [1998]
    del rows_read[:]
    found = index.search(QUERIES, 10, recall=0.9)
    assert len(rows_read) == len(QUERIES)
    assert np.mean(rows_read) < 1998 / 2
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(truth.ids, found.ids, strict=True)]
    assert np.mean(shares) >= 0.9
    for ids, rows in zip(found.ids, found.rows, strict=True):
        assert ids == tuple(index.ids[int(row)] for row in rows)


def test_what_is_added_is_always_read_and_what_is_deleted_never_found(saved):
    folder, _ = saved
    upkeep.delete(folder, ["d7", "d8"])
    extra = Index.build(
        CODEC,
        CODEC.quantize(QUERIES),
        [f"q{i}" for i in range(40)],
        snippets=[""] * 40,
        fine=(FINE, FINE.quantize(QUERIES)),
        fingerprint="",
    )
    upkeep.add(folder, extra)
    index = Index.load(folder)
    assert [s.partition is None for s in index.segments] == [False, True]
    asked = np.concatenate([QUERIES, X[7:9]])
    hits = index.search(asked, 10, recall=0.5)
    assert all(f"q{i}" in ids for i, ids in enumerate(hits.ids[:40]))
    assert not {"d7", "d8"} & {name for ids in hits.ids for name in ids}
    assert len(index.search(asked[:1], len(index), recall=0.5).ids[0]) == 2036
    upkeep.compact(folder)
    (segment,) = Index.load(folder).segments
    assert segment.partition is None
    upkeep.partition(folder)
    (segment,) = Index.load(folder).segments
    assert len(segment) == segment.partition.ends[-1] == 2036


def test_without_lists_a_recall_is_the_exact_answer():
    index = index_of(range(300))
    one, other = index.search(QUERIES, 10), index.search(QUERIES, 10, recall=0.5)
    np.testing.assert_array_equal(one.rows, other.rows)
    for recall in (0.0, 1.1):
        with pytest.raises(ConfigError, match=rf"^recall must be above 0 .*, got {recall}$"):
            index.search(QUERIES, 10, recall=recall)


def test_partitioning_again_gives_the_same_bytes(saved, tmp_path):
    folder, index = saved
    index.save(tmp_path / "again")
    upkeep.partition(tmp_path / "again", lists=30)
    one, other = (Index.load(where).segments[0] for where in (folder, tmp_path / "again"))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
    for name, array in vars(one.partition).items():
        np.testing.assert_array_equal(array, getattr(other.partition, name))


@pytest.mark.parametrize("name", ["centroids", "ends", "depths", "recall"])
def test_damaged_lists_are_noticed(saved, name):
    folder, _ = saved
    (path,) = folder.rglob(f"partition.{name}.npy")
    whole = path.read_bytes()
    for damaged in (whole[:-4], b""):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"is damaged"):
            Index.load(folder)
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ArtifactError, match=r"is damaged"):
        Index.load(folder, verify=name != "ends")  # where the last list ends is known anyway
    path.unlink()
    with pytest.raises(ArtifactError, match=rf"partition\.{name}\.npy is damaged or missing"):
        Index.load(folder)


@given(words=st.lists(st.text(max_size=5), min_size=1, max_size=20), data=st.data())
def test_strings_are_taken_in_any_order(words, data):
    rows = data.draw(st.lists(st.integers(0, len(words) - 1), max_size=30))
    taken = Strings.of(words).take(np.array(rows, np.int64))
    assert list(taken) == [words[row] for row in rows]


def test_an_index_is_put_into_lists_and_searched_from_the_command_line(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    press = Pipeline.fit(Recipe(head=PCA(dim=12), quantizer=Percentile(bits=4)), X[:500])
    press.save_index(press.index(X), tmp_path / "i")
    np.save(tmp_path / "q.npy", QUERIES[:3])

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["vecpress", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    code, out, _ = run("partition", "i", "--lists", "20")
    sizes = Index.load("i").segments[0].partition.sizes
    assert (code, out) == (
        0,
        f"i: 2000 documents in {len(sizes)} lists, {sizes.max()} in the largest\n"
        "Next: vecpress search i ... --recall 0.95\n",
    )
    code, out, _ = run("search", "i", "q.npy", "--recall", "0.6", "--json")
    expected = press.search(Index.load("i"), QUERIES[:3], recall=0.6).ids
    assert [[hit["id"] for hit in hits] for hits in json.loads(out)["hits"]] == [
        *map(list, expected)
    ]
    code, _, err = run("search", "i", "q.npy", "--recall", "2")
    assert code == 2
    assert err.startswith("error: recall must be above 0 and at most 1 (exact), got 2.0")
    code, _, err = run("partition", "i", "--lists", "2001")
    assert code == 2
    assert err.startswith("error: lists must be between 1 and the 2000 documents, got 2001")
    assert run("compact", "i")[1] == (
        "i: 2000 documents in one piece\nIt is in lists no more. Next: vecpress partition i\n"
    )
