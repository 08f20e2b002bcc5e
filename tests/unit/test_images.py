"""Images as files: which count, what their pixels are, and which cannot be read."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pictures import picture, save
from vecpress.errors import DataError, MissingExtraError
from vecpress.images import check_image, find_images, image_digest, open_image
from vecpress.stages import Image


def opened(path):
    picture = open_image(Image(str(path)))
    assert picture.mode == "RGB"
    return np.asarray(picture)


def refusal(path, read=open_image, **options):
    with pytest.raises(DataError) as caught:
        read(Image(str(path)), **options)
    return str(caught.value)


def write(path, data):
    path.write_bytes(data)
    return path


def halved(path):
    return write(path, path.read_bytes()[: path.stat().st_size // 2])


# --- folders ----------------------------------------------------------------------------------


def test_images_of_all_folders_are_named_in_order_and_nothing_else_is(tmp_path):
    names = ["b.PNG", "a/z.jpg", "a/b/c.jpeg", "a.gif", "Z.webp", "a b/\u00e4.bmp", "a/z.jpg.png"]
    others = [".a.png", "a/._z.jpg", ".thumbs/a.png", "a.txt", "png", "a/jpg", "a.png.bak"]
    for name in [*names, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == sorted(names)
    assert find_images(tmp_path / "a") == ["b/c.jpeg", "z.jpg", "z.jpg.png"]


def test_a_hidden_folder_may_be_asked_for_and_the_order_is_that_of_the_whole_path(tmp_path):
    for name in ("a/b.png", "a-b.png", "a.png"):
        save(tmp_path / ".hidden" / name)
    assert find_images(tmp_path / ".hidden") == ["a-b.png", "a.png", "a/b.png"]


def test_a_link_to_a_file_counts_and_one_to_a_folder_does_not(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here")
    assert find_images(tmp_path / "here") == ["link.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError) as caught:
        find_images(tmp_path / "gone")
    assert str(caught.value) == (
        f"cannot read the folder {tmp_path / 'gone'}: No such file or directory"
    )


# --- pixels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "bmp", "webp", "tiff"])
def test_pixels_are_what_was_written(tmp_path, kind):
    options = {"lossless": True} if kind == "webp" else {}
    picture(3).save(tmp_path / f"a.{kind}", **options)
    np.testing.assert_array_equal(opened(tmp_path / f"a.{kind}"), np.asarray(picture(3)))


def test_the_name_says_nothing_of_the_kind(tmp_path):
    path = save(tmp_path / "a.png", 1).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(opened(path), np.asarray(picture(1)))


def test_grey_becomes_three_equal_colours(tmp_path):
    grey = np.asarray(picture(2, mode="L"))
    rows = opened(save(tmp_path / "a.png", 2, mode="L"))
    np.testing.assert_array_equal(rows, np.stack([grey] * 3, axis=2))
    black = opened(save(tmp_path / "b.png", 2, mode="1"))
    assert set(np.unique(black)) <= {0, 255}


def test_transparency_is_dropped_and_the_colours_below_it_stay(tmp_path):
    seen = picture(4, mode="RGBA")
    seen.putalpha(PIL.Image.new("L", seen.size, 7))
    seen.save(tmp_path / "a.png")
    np.testing.assert_array_equal(opened(tmp_path / "a.png"), np.asarray(picture(4)))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    colours = PIL.Image.new("RGBA", (4, 4), (200, 10, 30, 255))
    colours.putpixel((0, 0), (10, 200, 30, 100))
    colours.quantize(4).save(tmp_path / "a.png")
    with PIL.Image.open(tmp_path / "a.png") as palette:
        assert palette.mode == "P"
        assert isinstance(palette.info["transparency"], bytes)
    rows = opened(tmp_path / "a.png")
    assert rows[1, 1].tolist() == [200, 10, 30]
    assert rows[0, 0].tolist() == [10, 200, 30]


def test_sixteen_bits_of_grey_become_eight_and_are_not_cut(tmp_path):
    deep = np.linspace(0, 65535, 24).astype(np.uint16).reshape(4, 6)
    for kind in ("png", "tiff"):
        PIL.Image.fromarray(deep).save(tmp_path / f"a.{kind}")
        rows = opened(tmp_path / f"a.{kind}")
        assert np.abs(rows[..., 1] / 255 - deep / 65535).max() < 1 / 255
        assert (rows == rows[..., :1]).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_of_unknown_range_are_refused(tmp_path, kind):
    path = tmp_path / "a.tiff"
    PIL.Image.fromarray(np.ones((4, 4), kind)).save(path)
    mode = "F" if kind is np.float32 else "I"
    assert refusal(path) == (
        f"cannot read the image {path} (pixels of the mode {mode} may have any range: save 8 "
        "bits): replace it, or leave it out"
    )


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)),
     (8, np.rot90), (2, lambda a: a[:, ::-1])],
)  # fmt: skip
def test_a_picture_is_turned_upright(tmp_path, orientation, upright):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    picture(5).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(opened(tmp_path / "a.png"), upright(np.asarray(picture(5))))


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [PIL.Image.new("RGB", (5, 5), (shade, 0, 0)) for shade in (250, 0, 100)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (opened(tmp_path / "a.gif") == [250, 0, 0]).all()


def test_no_file_is_left_open(tmp_path):
    paths = [save(tmp_path / f"{i}.{kind}", i) for i, kind in enumerate(["png", "jpg", "gif"])]
    before = len(list(Path("/proc/self/fd").iterdir()))
    held = [open_image(Image(str(path))) for path in paths]
    for path in paths:
        check_image(Image(str(path)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(held) == 3


# --- what cannot be read ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp", "gif"])
def test_a_cut_file_is_named_when_its_pixels_are_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(path)
    message = refusal(halved(path))
    assert message.startswith(f"cannot read the image {path} (")
    assert message.endswith("): replace it, or leave it out")
    assert len(message) > len(f"cannot read the image {path} (): replace it, or leave it out")


NOT_IMAGES = {
    "words.jpg": (b"<html>404 Not Found</html>", "not a kind of image that Pillow knows"),
    "empty.png": (b"", "not a kind of image that Pillow knows"),
    "gone.png": (None, "No such file or directory"),
    "nul\0.png": (None, "embedded null byte"),
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_is_no_image_is_named_before_its_pixels_are_read(tmp_path, name):
    data, reason = NOT_IMAGES[name]
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    end = f"({reason}): replace it, or leave it out"
    assert refusal(path) == f"cannot read the image {path} {end}"
    where = " of record 7 of c.jsonl"
    assert refusal(path, check_image, where=where) == f"cannot read the image {path}{where} {end}"


def test_a_folder_is_no_image(tmp_path):
    assert refusal(tmp_path, check_image).startswith(
        f"cannot read the image {tmp_path} (Is a directory)"
    )


def test_a_picture_too_large_to_be_true_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert "exceeds limit of 200 pixels" in refusal(path, check_image)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    for read in (open_image, check_image):
        with pytest.raises(MissingExtraError) as caught:
            read(Image(str(path)))
        assert str(caught.value) == (
            "this needs the package 'PIL', which is not installed: pip install 'vecpress[image]'"
        )


# --- digests ----------------------------------------------------------------------------------


def test_the_digest_is_of_the_bytes(tmp_path):
    path = save(tmp_path / "a.png")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert image_digest(Image(str(path))) == expected
    assert image_digest(Image(str(path.rename(tmp_path / "b.jpg")))) == expected
    save(tmp_path / "b.png", 1)
    assert image_digest(Image(str(tmp_path / "b.png"))) != expected


@pytest.mark.parametrize("name", ["gone.png", "nul\0.png"])
def test_a_digest_of_nothing_has_its_sentence(tmp_path, name):
    message = refusal(tmp_path / name, image_digest)
    assert message.startswith(f"cannot read the image {tmp_path / name} (")
