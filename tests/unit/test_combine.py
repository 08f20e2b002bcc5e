"""Concat by its arithmetic; Cached by what it asks of its encoder, and what it survives."""

import dataclasses
import hashlib
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import HashEncoder, unit
from pictures import save
from vecpress import registry
from vecpress.encoders.combine import Cached, Concat, concatenate, with_cache
from vecpress.errors import ArtifactError, ConfigError, DataError
from vecpress.stages import Image

TEXTS = ["a cat sat", "the dog", "a fish or a bird", "", "cat"]
THOUSAND = [f"{'very ' * (i % 9)}{i}" for i in range(1000)]
EXPECTED = HashEncoder().encode(THOUSAND)
EXPECTED.flags.writeable = False


class Dying(HashEncoder):
    """Is killed after some calls."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def encode(self, texts, *, role="document"):
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return super().encode(texts, role=role)


class Unasked(HashEncoder):
    """Must not be asked."""

    def encode(self, texts, *, role="document"):
        pytest.fail(f"asked for {texts}")


class ByRole(HashEncoder):
    """Embeds queries otherwise than documents."""

    def encode(self, texts, *, role="document"):
        return super().encode([f"{role}: {text}" for text in texts], role=role)


class Seeing(HashEncoder):
    """Embeds an image as the digest of its file."""

    def __init__(self, dim=16):
        super().__init__(dim=dim)
        self.asked = []

    def encode(self, texts, *, role="document"):
        self.asked += texts
        return super().encode([self.words(item) for item in texts], role=role)

    def words(self, item):
        if isinstance(item, Image):
            return hashlib.sha256(Path(item.path).read_bytes()).hexdigest()
        return item


def parts(*dims):
    return tuple(HashEncoder(dim=dim, salt=str(i)) for i, dim in enumerate(dims))


# --- Concat -----------------------------------------------------------------------------------


@given(
    n=st.integers(1, 5),
    dims=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_the_cosine_is_the_weighted_mean_of_the_blocks_cosines(n, dims, seed, data):
    share = st.floats(0.01, 100)
    weights = data.draw(st.lists(share, min_size=len(dims), max_size=len(dims)))
    embeddings = [unit(n, dim, seed=seed + i) for i, dim in enumerate(dims)]
    rows = concatenate(embeddings, weights)
    expected = sum(w * (e @ e.T) for w, e in zip(weights, embeddings, strict=True)) / sum(weights)
    np.testing.assert_allclose(rows @ rows.T, expected, atol=2e-6)
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float32


def test_equal_weights_by_hand():
    rows = concatenate([np.array([[1, 0]], np.float32), np.array([[0.6, 0.8]], np.float32)])
    np.testing.assert_allclose(rows, np.array([[1, 0, 0.6, 0.8]]) / 2**0.5, rtol=1e-6)


def test_unequal_weights_by_hand():
    rows = concatenate([np.eye(1, 2, dtype=np.float32), np.eye(1, 1, dtype=np.float32)], (3.0, 1.0))
    np.testing.assert_allclose(rows, [[0.75**0.5, 0, 0.5]], rtol=1e-6)


def test_a_zero_block_leaves_the_others_at_unit_norm_and_all_zero_stays_zero():
    one, none = np.eye(1, 2, dtype=np.float32), np.zeros((1, 3), np.float32)
    np.testing.assert_array_equal(concatenate([one, none]), [[1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(concatenate([none, none]), np.zeros((1, 6)))


def test_blocks_stand_in_the_order_of_the_encoders_and_roles_reach_them():
    first, second = parts(3, 2)
    both = Concat(encoders=(first, second))
    assert both.dim == 5
    blocks = [first.encode(TEXTS), second.encode(TEXTS)]
    np.testing.assert_array_equal(both.encode(TEXTS), concatenate(blocks))
    asked = Concat(encoders=(ByRole(), second)).encode(TEXTS, role="query")
    blocks = [ByRole().encode(TEXTS, role="query"), second.encode(TEXTS)]
    np.testing.assert_array_equal(asked, concatenate(blocks))


def test_images_reach_every_encoder_in_their_place(tmp_path):
    items = ["a cat", Image(str(save(tmp_path / "a.png"))), "the dog"]
    first, second = Seeing(3), Seeing(2)
    rows = Concat(encoders=(first, second)).encode(items)
    blocks = [Seeing(3).encode(items), Seeing(2).encode(items)]
    np.testing.assert_array_equal(rows, concatenate(blocks))
    assert first.asked == second.asked == items


def test_one_encoder_alone_is_itself():
    (only,) = parts(4)
    rows = Concat(encoders=(only,), weights=(7.0,)).encode(TEXTS)
    np.testing.assert_allclose(rows, only.encode(TEXTS), atol=1e-6)


def test_a_recipe_can_name_weights(monkeypatch):
    both = registry.build(
        registry.FITTED, {"kind": "concat", "encoders": list(parts(2, 3)), "weights": [1.0, 0.5]}
    )
    assert both.weights == (1.0, 0.5)


def test_no_encoders_are_refused():
    with pytest.raises(
        ConfigError, match=r"^a concatenation needs at least one encoder, got none$"
    ):
        Concat(encoders=())


def test_as_many_weights_as_encoders_are_needed():
    message = "^a concatenation of 2 encoders needs as many weights, got 3$"
    with pytest.raises(ConfigError, match=message):
        Concat(encoders=parts(2, 3), weights=(1.0, 2.0, 3.0))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused(weight):
    message = rf"^weights must be above 0 and finite, got \(1\.0, {weight}\)$"
    with pytest.raises(ConfigError, match=message):
        Concat(encoders=parts(2, 3), weights=(1.0, weight))


# --- Cached -----------------------------------------------------------------------------------


def shards(folder):
    return sorted(folder.rglob("*.npy"))


def test_it_gives_what_its_encoder_gives_and_asks_once(tmp_path):
    inner = HashEncoder()
    cached = Cached(encoder=inner, folder=tmp_path)
    np.testing.assert_array_equal(cached.encode(THOUSAND), EXPECTED)
    assert inner.encoded == 1000
    np.testing.assert_array_equal(cached.encode(THOUSAND[::-1]), EXPECTED[::-1])
    assert inner.encoded == 1000


def test_a_second_run_encodes_nothing_and_does_not_even_ask_for_the_width(tmp_path):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(THOUSAND)

    class Unloaded:
        fingerprint = HashEncoder().fingerprint

        @property
        def dim(self):
            pytest.fail("a model would be loaded to tell its width")

        def encode(self, texts, *, role="document"):
            pytest.fail("a model would be loaded")

    # jaxtyping would ask a protocol's properties: so the object is made around its check.
    again = object.__new__(Cached)
    for name, value in {"encoder": Unloaded(), "folder": tmp_path, "progress": None}.items():
        object.__setattr__(again, name, value)
    np.testing.assert_array_equal(again.encode(THOUSAND), EXPECTED)


def test_only_what_is_new_is_encoded(tmp_path):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(THOUSAND[:300])
    inner = HashEncoder()
    rows = Cached(encoder=inner, folder=tmp_path).encode(THOUSAND[200:400])
    assert inner.encoded == 100
    np.testing.assert_array_equal(rows, EXPECTED[200:400])


def test_the_same_text_many_times_is_encoded_once(tmp_path):
    inner = HashEncoder()
    rows = Cached(encoder=inner, folder=tmp_path).encode(TEXTS * 3)
    assert inner.encoded == len(TEXTS)
    np.testing.assert_array_equal(rows, HashEncoder().encode(TEXTS * 3))


def test_no_texts_write_nothing(tmp_path):
    rows = Cached(encoder=HashEncoder(), folder=tmp_path).encode([])
    assert rows.shape == (0, 16)
    assert not list(tmp_path.iterdir())


def test_queries_and_documents_are_kept_apart(tmp_path):
    inner = ByRole()
    cached = Cached(encoder=inner, folder=tmp_path)
    for role in ("query", "document", "query"):
        expected = ByRole().encode(TEXTS, role=role)
        np.testing.assert_array_equal(cached.encode(TEXTS, role=role), expected)
    assert inner.encoded == 2 * len(TEXTS)
    assert np.abs(cached.encode(["cat"], role="query") - cached.encode(["cat"])).max() > 0.01


def test_encoders_are_kept_apart(tmp_path):
    for salt in "ab":
        rows = Cached(encoder=HashEncoder(salt=salt), folder=tmp_path).encode(TEXTS)
        np.testing.assert_array_equal(rows, HashEncoder(salt=salt).encode(TEXTS))


def test_it_goes_on_where_a_killed_run_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Cached(encoder=Dying(calls=2), folder=tmp_path).encode(THOUSAND)
    assert len(shards(tmp_path)) == 2
    inner = HashEncoder()
    rows = Cached(encoder=inner, folder=tmp_path).encode(THOUSAND)
    assert inner.encoded == 1000 - 2 * 256
    np.testing.assert_array_equal(rows, EXPECTED)


def test_the_longest_texts_are_encoded_first_and_progress_is_told_from_nothing_on(tmp_path):
    told, lengths = [], []

    class Watched(HashEncoder):
        def encode(self, texts, *, role="document"):
            lengths.append([len(text) for text in texts])
            return super().encode(texts, role=role)

    def progress(what, done, total):
        told.append((what, done, total))

    Cached(encoder=Watched(), folder=tmp_path, progress=progress).encode(THOUSAND)
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat, reverse=True)
    assert told == [("encoding", done, 1000) for done in (0, 256, 512, 768, 1000)]


def test_the_draft_of_a_killed_run_is_ignored(tmp_path):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(TEXTS)
    (shard,) = shards(tmp_path)
    (shard.parent / f".{shard.stem}.4711").write_bytes(b"\x93NUMPY half")
    inner = HashEncoder()
    rows = Cached(encoder=inner, folder=tmp_path).encode(TEXTS)
    assert inner.encoded == 0
    np.testing.assert_array_equal(rows, HashEncoder().encode(TEXTS))


def test_no_draft_is_left_behind(tmp_path):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(THOUSAND)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(path.suffix == ".npy" for path in files)


def truncated(data):
    return data[:-5]


def beheaded(data):
    return data[:40]


@pytest.mark.parametrize("spoil", [truncated, beheaded, lambda _: b"", lambda _: b"\0" * 500])
def test_a_damaged_file_is_named(tmp_path, spoil):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(TEXTS)
    (shard,) = shards(tmp_path)
    shard.write_bytes(spoil(shard.read_bytes()))
    with pytest.raises(ArtifactError, match=f"^the cache file {shard} is damaged: delete it"):
        Cached(encoder=HashEncoder(), folder=tmp_path).encode(TEXTS)


def test_a_file_of_another_kind_is_named(tmp_path):
    Cached(encoder=HashEncoder(), folder=tmp_path).encode(TEXTS)
    (shard,) = shards(tmp_path)
    for write in (np.save, np.savez):
        with shard.open("wb") as file:
            write(file, np.eye(3))
        with pytest.raises(ArtifactError, match=f"^the cache file {shard} is not ours: delete it"):
            Cached(encoder=HashEncoder(), folder=tmp_path).encode(TEXTS)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=f"^cannot write the cache {tmp_path}/file: "):
        Cached(encoder=HashEncoder(), folder=tmp_path / "file").encode(TEXTS)


def test_two_at_once_on_one_folder_agree(tmp_path):
    first, second = (Cached(encoder=HashEncoder(), folder=tmp_path) for _ in range(2))
    first.encode(THOUSAND[:10])
    second.encode(THOUSAND[:10])  # both have looked at the folder by now
    np.testing.assert_array_equal(first.encode(THOUSAND), EXPECTED)
    np.testing.assert_array_equal(second.encode(THOUSAND), EXPECTED)
    third = Cached(encoder=Dying(calls=0), folder=tmp_path)
    np.testing.assert_array_equal(third.encode(THOUSAND), EXPECTED)


def test_threads_on_one_folder_do_not_trip_over_each_others_drafts(tmp_path):
    caches = [Cached(encoder=HashEncoder(), folder=tmp_path) for _ in range(4)]
    found, start = {}, threading.Barrier(4)

    def work(i):
        start.wait()
        for part in range(10):
            found[i, part] = caches[i].encode(THOUSAND[20 * part : 20 * part + 20])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for (_, part), rows in found.items():
        expected = EXPECTED[20 * part : 20 * part + 20]
        np.testing.assert_array_equal(rows, expected)


def test_a_large_cache_keeps_no_file_open(tmp_path):
    cached = Cached(encoder=HashEncoder(dim=2), folder=tmp_path)
    texts = [str(i) for i in range(60)]
    for text in texts:
        cached.encode([text])  # a file each
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
    try:
        rows = Cached(encoder=HashEncoder(dim=2), folder=tmp_path).encode(texts)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(shards(tmp_path)) == 60
    np.testing.assert_array_equal(rows, HashEncoder(dim=2).encode(texts))


def test_a_cache_may_be_moved(tmp_path):
    rows = Cached(encoder=HashEncoder(), folder=tmp_path / "a").encode(TEXTS)
    shutil.move(tmp_path / "a", tmp_path / "b")
    again = Cached(encoder=Dying(calls=0), folder=tmp_path / "b")
    np.testing.assert_array_equal(again.encode(TEXTS), rows)


@pytest.mark.parametrize("fingerprint", ["/tmp/outside", "../outside", "org/model@main", "ü ?*"])
def test_a_foreign_fingerprint_stays_inside_the_folder(tmp_path, fingerprint):
    encoder = HashEncoder()
    encoder.fingerprint = fingerprint
    cached = Cached(encoder=encoder, folder=tmp_path / "cache")
    assert cached.fingerprint == fingerprint
    cached.encode(TEXTS)
    (shard,) = shards(tmp_path)
    assert shard.parent.parent == tmp_path / "cache"


def test_texts_that_differ_in_one_character_are_other_texts(tmp_path):
    texts = ["", " ", "\0", "a", "a ", "a\0", "à", "a\u0300", "document\0a", "\ud800", "\udfff"]
    inner = HashEncoder()
    Cached(encoder=ByRole(), folder=tmp_path).encode(texts[:-2])
    assert Cached(encoder=inner, folder=tmp_path / "b")._known == {}
    keys = {key for shard in shards(tmp_path) for key in np.load(shard)["key"].tolist()}
    assert len(keys) == len(texts) - 2


def test_the_names_of_texts_are_what_they_were_and_will_be(tmp_path):
    """What was cached by an earlier release must be found: here it is written by hand."""
    rows = unit(4, 16)
    items = [("document", "a cat"), ("query", "a cat"), ("document", ""), ("query", "\ud800 x")]
    names = [f"{role}\0{text}".encode(errors="surrogatepass") for role, text in items]
    keys = [hashlib.blake2b(name, digest_size=16).digest() for name in names]
    assert keys[0].hex() == "1240ea8a6d4aae49464567088dc98e90"
    shard = np.empty(4, [("key", "V16"), ("embedding", np.float32, (16,))])
    shard["key"] = np.frombuffer(b"".join(keys), "V16")
    shard["embedding"] = rows
    (tmp_path / "hash-16-").mkdir()
    np.save(tmp_path / "hash-16-" / "old.npy", shard)
    cached = Cached(encoder=Unasked(), folder=tmp_path)
    for (role, text), row in zip(items, rows, strict=True):
        np.testing.assert_array_equal(cached.encode([text], role=role), row[None])


def test_an_image_is_known_by_its_bytes_whatever_its_name(tmp_path):
    paths = [save(tmp_path / name, seed) for name, seed in [("a.png", 1), ("b.png", 2)]]
    copy = tmp_path / "copy.png"
    copy.write_bytes(paths[0].read_bytes())
    items = [*(Image(str(path)) for path in paths), "a cat", Image(str(copy))]
    inner = Seeing()
    rows = Cached(encoder=inner, folder=tmp_path / "cache").encode(items)
    np.testing.assert_array_equal(rows, Seeing().encode(items))
    assert len(inner.asked) == 3
    renamed = Image(str(paths[1].rename(tmp_path / "renamed.jpg")))
    paths[0].unlink()
    again = Cached(encoder=Unasked(), folder=tmp_path / "cache")
    np.testing.assert_array_equal(again.encode([renamed, items[3]]), rows[[1, 3]])


def test_another_picture_under_the_same_name_is_encoded_anew(tmp_path):
    image = Image(str(save(tmp_path / "a.png", 1)))
    cached = Cached(encoder=Seeing(), folder=tmp_path / "cache")
    before = cached.encode([image])
    save(tmp_path / "a.png", 2)
    np.testing.assert_array_equal(cached.encode([image]), Seeing().encode([image]))
    assert np.abs(cached.encode([image]) - before).max() > 0.01


def test_images_are_kept_apart_from_texts_and_queries_from_documents(tmp_path):
    path = save(tmp_path / "a.png")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    likes = [str(path), digest, f"image\0{digest}", f"image\0document\0{digest}"]
    inner = Seeing()
    cached = Cached(encoder=inner, folder=tmp_path / "cache")
    for role in ("document", "query"):
        cached.encode([Image(str(path)), *likes], role=role)
        cached.encode([Image(str(path))], role=role)
    assert len(inner.asked) == 2 * (1 + len(likes))


def test_images_are_encoded_first_in_their_order(tmp_path):
    """So an encoder that knows none refuses the first of them, and before it has encoded texts."""
    images = [Image(str(save(tmp_path / f"{i}.png", i))) for i in range(9)]
    inner = Seeing()
    items = ["a cat", *images[5:], "the dog ran", *images[:5]]
    Cached(encoder=inner, folder=tmp_path / "cache").encode(items)
    assert inner.asked == [*images[5:], *images[:5], "the dog ran", "a cat"]


def test_an_image_that_is_not_there_has_its_sentence(tmp_path):
    cached = Cached(encoder=Seeing(), folder=tmp_path / "cache")
    with pytest.raises(DataError, match=r"^cannot read the image gone\.png \(No such file or dir"):
        cached.encode(["a cat", Image("gone.png")])


def test_each_part_of_a_concatenation_gets_a_cache_of_its_own(tmp_path):
    first, second = parts(3, 2)
    both = with_cache(Concat(encoders=(first, second), weights=(2.0, 1.0)), tmp_path)
    assert both.fingerprint == Concat(encoders=(first, second), weights=(2.0, 1.0)).fingerprint
    rows = both.encode(TEXTS)
    alone = with_cache(second, tmp_path)
    assert isinstance(alone, Cached)
    before = second.encoded
    np.testing.assert_array_equal(alone.encode(TEXTS), parts(3, 2)[1].encode(TEXTS))
    assert second.encoded == before
    plain = Concat(encoders=parts(3, 2), weights=(2.0, 1.0)).encode(TEXTS)
    np.testing.assert_array_equal(rows, plain)


def test_with_cache_tells_progress_from_every_part(tmp_path):
    told = []
    both = with_cache(
        Concat(encoders=parts(3, 2)), tmp_path, progress=lambda *what: told.append(what)
    )
    both.encode(TEXTS)
    assert told == [("encoding", 0, 5), ("encoding", 5, 5)] * 2
    assert dataclasses.replace(both.encoders[0], folder=tmp_path).dim == 3
