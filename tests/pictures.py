"""Pictures of a few pixels, made on the spot."""

import numpy as np
from PIL import Image


def picture(seed=0, *, mode="RGB", size=(24, 20)):
    """Draw a smooth picture of its own colours; another seed gives another picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR).convert(mode)


def save(path, seed=0, **options):
    """Write a picture in the format of the name, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, **options).save(path)
    return path


def pixels(image):
    return np.asarray(image)
