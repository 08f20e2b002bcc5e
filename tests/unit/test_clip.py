"""SentenceTransformerEncoder on images, against the plain model of transformers."""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import CLIPModel, CLIPProcessor, ViTConfig, ViTImageProcessor, ViTModel

import tiny_models
from pictures import picture, save
from tiny_models import HIDDEN, PIXELS, TEXTS
from vecpress import artifact
from vecpress.encoders import torch_engine
from vecpress.encoders.lexical import Lexical
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.errors import ConfigError, DataError, ModelError
from vecpress.stages import Image


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return tiny_models.clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_models.bert_folder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Seven images of several sizes."""
    folder = tmp_path_factory.mktemp("photos")
    sizes = [(24, 20), (16, 16), (40, 17), (9, 30), (64, 64), (16, 31), (33, 33)]
    paths = [save(folder / f"{i}.png", i, size=size) for i, size in enumerate(sizes)]
    return [Image(str(path)) for path in paths]


def encoder(folder, **options):
    return SentenceTransformerEncoder(model=str(folder), **options)


def unit(features):
    rows = getattr(features, "pooler_output", features).double().numpy()
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))


def of_pictures(folder, pictures):
    """Embed Pillow images one after another by transformers alone."""
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPProcessor.from_pretrained(folder)
    with torch.inference_mode():
        inputs = [processor(images=[p], return_tensors="pt") for p in pictures]
        return np.concatenate([unit(model.get_image_features(**i)) for i in inputs])


def of_texts(folder, texts):
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPProcessor.from_pretrained(folder)
    with torch.inference_mode():
        inputs = [
            processor(text=[t], return_tensors="pt", truncation=True, max_length=77) for t in texts
        ]
        return np.concatenate([unit(model.get_text_features(**i)) for i in inputs])


def opened(image):
    with PIL.Image.open(image.path) as picture:
        return picture.convert("RGB")


# --- values -----------------------------------------------------------------------------------


def test_images_and_texts_are_embedded_as_by_the_plain_model(clip, photos):
    ours = encoder(clip)
    for role in ("query", "document"):
        expected = of_pictures(clip, map(opened, photos))
        np.testing.assert_allclose(ours.encode(photos, role=role), expected, atol=2e-6)
        np.testing.assert_allclose(ours.encode(TEXTS, role=role), of_texts(clip, TEXTS), atol=2e-6)
    similar = expected @ expected.T
    assert similar[~np.eye(len(photos), dtype=bool)].max() < 0.97  # so an order is tested
    assert ours.dim == HIDDEN


def test_a_folder_of_the_former_layout_gives_the_same(clip, photos, tmp_path):
    former = encoder(tiny_models.clip_folder(tmp_path, legacy=True))
    ours = encoder(clip)
    items = [*photos[:2], "a cat"]
    np.testing.assert_allclose(former.encode(items), ours.encode(items), atol=1e-6)


def test_texts_and_images_keep_their_order(clip, photos):
    ours = encoder(clip)
    items = [TEXTS[0], photos[0], photos[1], TEXTS[2], TEXTS[1], photos[6], TEXTS[0], photos[0]]
    rows = ours.encode(items)
    assert rows.shape == (8, HIDDEN)
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float32
    for item, row in zip(items, rows, strict=True):
        np.testing.assert_allclose(ours.encode([item])[0], row, atol=2e-6)
    np.testing.assert_allclose(ours.encode(items[::-1])[::-1], rows, atol=2e-6)


def test_the_same_picture_in_two_files_gets_the_same_row(clip, tmp_path):
    paths = [save(tmp_path / name, 4) for name in ("a.png", "b/c.bmp", "d.tiff")]
    rows = encoder(clip).encode([Image(str(path)) for path in paths])
    np.testing.assert_array_equal(rows, rows[[0, 0, 0]])


def test_only_a_few_images_are_in_memory_at_once(clip, photos, monkeypatch):
    ours = encoder(clip)
    expected = ours.encode(photos * 10)
    monkeypatch.setattr(torch_engine, "_OPEN", 3)
    asked, own = [], ours._torch.library.encode
    monkeypatch.setattr(
        ours._torch.library, "encode", lambda i, **kw: asked.append(len(i)) or own(i, **kw)
    )
    np.testing.assert_allclose(ours.encode(photos), expected[:7], atol=2e-6)
    assert asked == [3, 3, 1]
    np.testing.assert_allclose(expected, np.tile(expected[:7], (10, 1)), atol=2e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "1", "CMYK"])
def test_pictures_of_other_modes_are_embedded_as_rgb(clip, tmp_path, mode):
    path = tmp_path / "a.tiff"
    picture(3, mode=mode).save(path)
    row = encoder(clip).encode([Image(str(path))])
    expected = of_pictures(clip, [picture(3, mode=mode).convert("RGB")])
    np.testing.assert_allclose(row, expected, atol=2e-6)


def test_a_picture_is_embedded_upright(clip, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # as a telephone writes what was taken upright
    sideways = picture(1, size=(PIXELS, PIXELS))
    sideways.save(tmp_path / "a.png", exif=exif)
    row = encoder(clip).encode([Image(str(tmp_path / "a.png"))])
    upright = of_pictures(clip, [sideways.transpose(PIL.Image.Transpose.ROTATE_270)])
    np.testing.assert_allclose(row, upright, atol=2e-6)
    assert np.abs(of_pictures(clip, [sideways]) - upright).max() > 0.01


def test_prompts_go_before_texts_only(clip, photos):
    plain = encoder(clip)
    prompted = encoder(clip, query_prompt="a photo of ", document_prompt="the ")
    for role, prompt in [("query", "a photo of "), ("document", "the ")]:
        rows = prompted.encode([photos[0], "a cat", photos[1]], role=role)
        np.testing.assert_allclose(rows, plain.encode([photos[0], f"{prompt}a cat", photos[1]]),
                                   atol=2e-6)  # fmt: skip


def test_the_folders_own_default_prompt_is_not_for_images(clip, photos, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(clip, tmp_path / "copy"))
    path = copy / "config_sentence_transformers.json"
    prompts = {"prompts": {"query": "find: "}, "default_prompt_name": "query"}
    path.write_text(json.dumps(json.loads(path.read_text()) | prompts))
    ours, told = encoder(copy), []
    np.testing.assert_allclose(ours.encode(photos), encoder(clip).encode(photos), atol=1e-6)
    # A model of chats would take it for images too, and None would let the default in.
    own = ours._torch.library.encode
    monkeypatch.setattr(
        ours._torch.library, "encode", lambda i, **kw: told.append(kw["prompt"]) or own(i, **kw)
    )
    ours.encode(photos)
    assert told == [""]


def test_a_text_that_is_the_name_of_an_image_is_a_text(clip, photos, monkeypatch):
    monkeypatch.chdir(Path(photos[0].path).parent)
    texts = ["0.png", "https://example.com/a.png", "data:image/png;base64,AAAA", photos[1].path]
    np.testing.assert_allclose(encoder(clip).encode(texts), of_texts(clip, texts), atol=2e-6)


def test_texts_are_cut_at_max_length(clip):
    cut = encoder(clip, max_length=6).encode(["a b c d e f"])  # two tokens are its ends
    np.testing.assert_allclose(cut, encoder(clip).encode(["a b c d"]), atol=2e-6)
    assert np.abs(cut - encoder(clip).encode(["a b c d e f"])).max() > 1e-3


def test_no_images_load_no_second_model(clip, bert):
    ours = encoder(bert, image_model="/no/such/folder")
    np.testing.assert_array_equal(ours.encode(TEXTS), encoder(bert).encode(TEXTS))


# --- texts and images by two models, and images alone ------------------------------------------


def test_a_model_of_texts_may_share_the_space_of_another_of_images(clip, bert, photos):
    ours = encoder(bert, image_model=str(clip), query_prompt="the ")
    rows = ours.encode([photos[1], "cat", photos[0], "dog"], role="query")
    np.testing.assert_allclose(rows[[0, 2]], encoder(clip).encode(photos[1::-1]), atol=2e-6)
    expected = encoder(bert).encode(["the cat", "the dog"])
    np.testing.assert_allclose(rows[[1, 3]], expected, atol=2e-6)


def test_the_model_of_images_is_in_the_fingerprint(clip, bert, tmp_path):
    other = tiny_models.clip_folder(tmp_path, seed=1)
    made = [encoder(bert), encoder(bert, image_model=str(clip)), encoder(bert, image_model=str(other))]  # fmt: skip
    assert len({e.fingerprint for e in made}) == 3


def test_an_artifact_names_the_model_of_images_only_if_there_is_one(clip, bert, tmp_path):
    """So what earlier releases wrote and what they read stays the same, byte for byte."""
    for name, options in [("without", {}), ("with", {"image_model": str(clip)})]:
        artifact.save(tmp_path / name, {"encoder": encoder(bert, **options)})
        written = (tmp_path / name / "config.json").read_text()
        assert ("image_model" in written) == (name == "with")
        assert artifact.load(tmp_path / name)["encoder"] == encoder(bert, **options)


def test_texts_and_images_of_unequal_width_are_refused(clip, photos, tmp_path, monkeypatch):
    wide = encoder(clip)
    monkeypatch.setattr(
        SentenceTransformerEncoder, "_embed_texts", lambda self, texts, *_: np.ones((1, 7))
    )
    with pytest.raises(ModelError) as caught:
        wide.encode([photos[0], "a cat"])
    assert str(caught.value) == (
        f"{str(clip)!r} gives texts 7 dimensions and images {HIDDEN}: they are not in one space"
    )


def test_a_model_of_images_alone_embeds_them_and_refuses_texts(photos, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=24, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        image_size=PIXELS, patch_size=8,
    )  # fmt: skip
    vit = ViTModel(config).eval()
    vit.save_pretrained(tmp_path / "raw")
    processor = ViTImageProcessor(size={"height": PIXELS, "width": PIXELS})
    processor.save_pretrained(tmp_path / "raw")
    modules = [Transformer(str(tmp_path / "raw")), Pooling(24, "cls")]
    SentenceTransformer(modules=modules).save(str(tmp_path / "vit"))
    ours = encoder(tmp_path / "vit")
    assert ours.dim == 24
    with torch.inference_mode():
        inputs = processor([picture(0)], return_tensors="pt")
        token = vit(**inputs).last_hidden_state[:, 0]
    path = save(tmp_path / "0.png", 0)
    np.testing.assert_allclose(ours.encode([Image(str(path))]), unit(token), atol=2e-6)
    with pytest.raises(ConfigError) as caught:
        ours.encode([photos[0], "a cat"])
    assert str(caught.value) == (
        f"{str(tmp_path / 'vit')!r} encodes images, got the text 'a cat': choose a model of both, "
        "such as clip-vit-b-32"
    )


# --- refusals ---------------------------------------------------------------------------------


def refusal(kind, encode, items):
    with pytest.raises(kind) as caught:
        encode(items)
    return str(caught.value)


def test_a_model_of_texts_refuses_an_image_before_it_encodes_the_texts(bert, photos, monkeypatch):
    ours = encoder(bert, engine="torch")
    monkeypatch.setattr(ours._torch.library, "encode", lambda *a, **kw: pytest.fail("encoded"))
    expected = (
        f"{str(bert)!r} encodes texts, got the image {photos[2].path}: choose a CLIP-style model "
        "such as clip-vit-b-32"
    )
    assert refusal(ConfigError, ours.encode, ["a cat", photos[2], photos[0]]) == expected
    through = encoder("/no/such/folder", image_model=str(bert))
    assert refusal(ConfigError, through.encode, [photos[2]]) == expected


def test_a_model_fitted_on_words_refuses_images_by_its_name(photos):
    expected = (
        f"'lexical:4' encodes texts, got the image {photos[0].path}: choose a CLIP-style model "
        "such as clip-vit-b-32"
    )
    assert refusal(ConfigError, Lexical(dim=4).fit, [*TEXTS, photos[0]]) == expected
    fitted = Lexical(dim=4).fit(TEXTS)
    assert refusal(ConfigError, fitted.encode, ["a cat", photos[0]]) == expected


def test_pooling_what_has_no_tokens_is_refused(clip, photos):
    ours = encoder(clip, document_pooling="mean")
    assert refusal(ConfigError, ours.encode, ["a cat"]) == (
        f"{str(clip)!r} gives no tokens to pool, as CLIP-style models do not: leave the pooling "
        "'mean' out"
    )
    np.testing.assert_array_equal(ours.encode(photos), encoder(clip).encode(photos))


def test_a_damaged_image_among_good_ones_is_named(clip, photos, tmp_path):
    path = save(tmp_path / "cut.png", 3, size=(90, 90))
    path.write_bytes(path.read_bytes()[:-300])
    message = refusal(DataError, encoder(clip).encode, [*photos, Image(str(path)), "a cat"])
    assert message.startswith(f"cannot read the image {path} (")
    gone = refusal(DataError, encoder(clip).encode, [*photos, Image("gone/1.jpg")])
    assert gone == (
        "cannot read the image gone/1.jpg (No such file or directory): replace it, or leave it out"
    )
