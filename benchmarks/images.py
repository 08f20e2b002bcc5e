"""CIFAR-10's test images as a retrieval task, with three stand-ins for image models.

Same-class retrieval on 10,000 small pictures, split by image into three parts: 3,000 train a small
network, 4,000 fit heads, 3,000 test. The stand-ins (a colour histogram, gradient histograms, and
that network) are no models anyone should use: they make real image embeddings without a download.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from vecpress.arrays import Array, normalize
from vecpress.corpus import Benchmark, Corpus
from vecpress.encoders.combine import concatenate

MODELS = (("colour", 64), ("gradients", 324), ("network", 64))
_NETWORK, _FIT, _QUERIES = 3000, 4000, 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Embeddings of the three models side by side, and what answers what.

    Attributes:
        documents: Of the images that heads are fitted on.
        queries: More such images, which ask.
        positives: Rows (query, document) of the same class.
        test: Judgements over images never seen.
        test_documents: Their embeddings.
        test_queries: Of the images that ask.
    """

    documents: Array
    queries: Array
    positives: Array
    test: Benchmark
    test_documents: Array
    test_queries: Array


def read(data: Path, *, seed: int = 0) -> Images:
    """Read, describe and split the images; the network is trained here (a minute)."""
    pictures, classes = _pictures(data / "cifar10-images" / "test.tar")
    order = np.random.default_rng(seed).permutation(len(pictures))
    teach, fit, test = np.split(order, [_NETWORK, _NETWORK + _FIT])
    network = _train(pictures[teach], classes[teach], seed)
    blocks = [_colour(pictures), _gradients(pictures), _embed(network, pictures)]
    rows = concatenate([normalize(block) for block in blocks], None)
    asking, searched = fit[:_QUERIES], fit[_QUERIES:]
    same = classes[asking][:, None] == classes[searched][None, :]
    queries, documents = test[:_QUERIES], test[_QUERIES:]
    return Images(
        documents=rows[searched],
        queries=rows[asking],
        positives=np.argwhere(same),
        test=_benchmark(classes, queries, documents),
        test_documents=rows[documents],
        test_queries=rows[queries],
    )


def _benchmark(classes: Array, queries: Array, documents: Array) -> Benchmark:
    qrels = {
        f"q{query}": {str(d): 1 for d in documents[classes[documents] == classes[query]]}
        for query in queries
    }
    return Benchmark(
        name="cifar10-images",
        corpus=Corpus(ids=tuple(map(str, documents)), texts=tuple(f"image {d}" for d in documents)),
        queries=Corpus(ids=tuple(qrels), texts=tuple(f"image {q}, asking" for q in queries)),
        qrels=qrels,
    )


def _pictures(path: Path) -> tuple[Array, Array]:
    """Give pictures (n, 32, 32, 3) from 0 to 1, and their classes, in the order of their names."""
    pictures, folders = [], []
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            if member.isfile() and member.name.endswith(".jpg"):
                file = archive.extractfile(member)
                assert file is not None
                picture = Image.open(io.BytesIO(file.read())).convert("RGB")
                pictures.append(np.asarray(picture, np.float32) / 255)
                folders.append(member.name.split("/")[-2])
    return np.stack(pictures), np.unique(folders, return_inverse=True)[1]


def _colour(pictures: Array) -> Array:
    """Count pixels in 4 x 4 x 4 cells of colour; roots, so that cosines are Bhattacharyya's."""
    cells = np.minimum((pictures * 4).astype(int), 3) @ np.array([16, 4, 1])
    counts = np.stack([np.bincount(c.ravel(), minlength=64) for c in cells])
    return np.sqrt(counts).astype(np.float32)


def _gradients(pictures: Array) -> Array:
    """Histograms of oriented gradients (Dalal & Triggs 2005): 9 bins, 8 x 8 cells, 2 x 2 blocks."""
    grey = pictures.mean(axis=3)
    down, right = np.gradient(grey, axis=(1, 2))
    size, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi
    bins = np.minimum((angle / np.pi * 9).astype(int), 8)
    votes = size[..., None] * (bins[..., None] == np.arange(9))
    cells = votes.reshape(len(grey), 4, 8, 4, 8, 9).sum(axis=(2, 4))
    blocks = [cells[:, i : i + 2, j : j + 2].reshape(len(grey), -1)
              for i in range(3) for j in range(3)]  # fmt: skip
    unit = [b / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-6) for b in blocks]
    return np.concatenate(unit, axis=1).astype(np.float32)


def _train(pictures: Array, classes: Array, seed: int) -> nn.Sequential:
    """Train a network of three convolutions to tell the classes apart."""
    torch.manual_seed(seed)
    steps = [
        layer
        for wide, wider in [(3, 32), (32, 64), (64, 64)]
        for layer in (nn.Conv2d(wide, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU(),
                      nn.MaxPool2d(2))
    ]  # fmt: skip
    network = nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    x, y = torch.from_numpy(pictures).permute(0, 3, 1, 2), torch.from_numpy(classes)
    for _ in range(15):
        for rows in torch.randperm(len(x)).split(100):
            batch = x[rows].flip(3) if torch.rand(()) < 0.5 else x[rows]
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), y[rows]).backward()
            optimizer.step()
    return network.eval()


def _embed(network: nn.Sequential, pictures: Array) -> Array:
    """Give what the network's last layer sees."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    with torch.no_grad():
        return torch.cat([network[:-1](part) for part in x.split(500)]).numpy()
