"""Texts and images apart, for encoders that take one of them, or each in its own way."""

from collections.abc import Sequence

from vecpress.errors import ConfigError
from vecpress.stages import Image, Item


def split(items: Sequence[Item]) -> tuple[list[str], list[Image]]:
    """Give the texts and the images, each in their order."""
    texts = [item for item in items if not isinstance(item, Image)]
    return texts, [item for item in items if isinstance(item, Image)]


def only_texts(items: Sequence[Item], *, model: str) -> list[str]:
    """Give the texts, for a model that knows nothing else.

    Raises:
        ConfigError: there is an image among them.
    """
    texts, images = split(items)
    if images:
        raise no_images(model, images[0])
    return texts


def no_images(model: str, image: Image) -> ConfigError:
    """Say that a model encodes no images, and which one does."""
    return ConfigError(
        f"{model!r} encodes texts, got the image {image}: choose a CLIP-style model such as "
        "clip-vit-b-32"
    )
