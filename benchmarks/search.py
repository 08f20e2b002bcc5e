"""Exact scans of 1,000,000 codes of 64 bytes against peers that store as much, and against floats.

    python benchmarks/search.py            (minutes; 12 GB of memory)

Writes benchmarks/results/bench-search.json. Vectors are synthetic: 640 dimensions with a decaying
spectrum, a common mean and clusters, as concatenations of small models have. Every candidate gets
the same embeddings, shortened by one power-scaled PCA to the width its bytes allow, and codes them
in its own way; `recall@10` is the share of the ten best by float that it finds. All take turns.
"""

import argparse
import gc
from collections.abc import Callable
from typing import Any, NamedTuple

import timing

import faiss  # isort: skip
import numpy as np
from turbovec import TurboQuantIndex
from usearch.index import MetricKind
from usearch.index import search as usearch

from vecpress.arrays import Array, normalize
from vecpress.compressors.linear import Spectrum
from vecpress.quantizers.product import PQ
from vecpress.quantizers.scalar import Binary, Int8, Percentile
from vecpress.scan import Scanner
from vecpress.stages import Quantizer, TrainingSet

DIM, K = 640, 10
BATCH, SINGLE = 256, 20


class Candidate(NamedTuple):
    """A way to search, ready: what it is, what it keeps per vector, and how to ask it."""

    name: str
    library: str
    bytes: int
    queries: Array
    ask: Callable[[Array], Array]


def vectors(n: int, rng: np.random.Generator) -> Array:
    """Draw unit rows around 2,000 centres."""
    spectrum = (1 + np.arange(DIM)) ** -0.6
    centres = rng.standard_normal((2000, DIM), dtype=np.float32) * spectrum.astype("f4")
    rows = np.empty((n, DIM), np.float32)
    for start in range(0, n, 50_000):
        part = rows[start : start + 50_000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32) * spectrum.astype("f4")
        part += 0.8 * centres[rng.integers(0, len(centres), len(part))]
        part[:, 0] += 1.5
        part[:] = normalize(part)
    return rows


def ours(name: str, quantizer: Quantizer, short: Array, asked: Array) -> Candidate:
    """Code with one of our quantizers, and scan with the engine that `auto` takes."""
    codec = quantizer.fit(short[:20_000])
    codes, scanner = codec.quantize(short), Scanner(codec, threads=timing.THREADS)

    def ask(queries: Array) -> Array:
        return scanner.scan(codes, codec.project(queries), K)[0]

    return Candidate(name, "vecpress", codec.code_bytes, asked, ask)


def of_faiss(name: str, index: Any, size: int, short: Array, asked: Array) -> Candidate:
    """Train and fill a FAISS index."""
    index.train(short[:20_000])
    index.add(short)
    return Candidate(name, "faiss", size, asked, lambda q: index.search(q, K)[1])


def of_turbovec(bits: int, short: Array, asked: Array) -> Candidate:
    """Fill a TurboQuant index; it keeps a norm of four bytes per vector."""
    index = TurboQuantIndex(short.shape[1], bit_width=bits)
    index.add(short)
    size = short.shape[1] * bits // 8 + 4
    name = f"TurboQuant {short.shape[1]} x {bits} bit"
    return Candidate(name, "turbovec", size, asked, lambda q: np.asarray(index.search(q, K)[1]))


def of_usearch(name: str, codes: Array, asked: Array, metric: MetricKind) -> Candidate:
    """Search exactly, and in parallel, among ready codes."""

    def ask(queries: Array) -> Array:
        found = usearch(codes, queries, K, metric, exact=True, threads=timing.THREADS)
        return np.asarray(found.keys).reshape(len(queries), K)

    return Candidate(name, "usearch", codes.shape[1], asked, ask)


def candidates(x: Array, q: Array) -> list[Candidate]:
    """Make everything that keeps 64 bytes, and the floats."""
    spectrum = Spectrum.of(TrainingSet(documents=x[:50_000]))

    def shorten(dim: int) -> tuple[Array, Array]:
        head = spectrum.head(dim, gamma=0.25)
        return head.compress(x), head.compress(q)

    ip = faiss.METRIC_INNER_PRODUCT
    found = []
    d64, q64 = shorten(64)
    sq8 = faiss.IndexScalarQuantizer(64, faiss.ScalarQuantizer.QT_8bit, ip)
    found.append(of_faiss("SQ8, 64 dims", sq8, 64, d64, q64))
    found.append(ours("64 x 8 bit", Int8(), d64, q64))
    scale = 127 / np.abs(d64[:20_000]).max()
    as_int = [np.clip(np.rint(part * scale), -127, 127).astype("i1") for part in (d64, q64)]
    found.append(of_usearch("int8, 64 dims", *as_int, MetricKind.IP))
    d120, q120 = shorten(120)
    found.append(of_turbovec(4, d120, q120))
    d128, q128 = shorten(128)
    sq4 = faiss.IndexScalarQuantizer(128, faiss.ScalarQuantizer.QT_4bit, ip)
    found.append(of_faiss("SQ4, 128 dims", sq4, 64, d128, q128))
    found.append(ours("128 x 4 bit", Percentile(bits=4), d128, q128))
    found.append(
        of_faiss("PQ128x4fs, 128 dims", faiss.IndexPQFastScan(128, 128, 4, ip), 64, d128, q128)
    )
    d240, q240 = shorten(240)
    found.append(of_turbovec(2, d240, q240))
    d256, q256 = shorten(256)
    found.append(ours("256 x 2 bit", Percentile(bits=2), d256, q256))
    found.append(
        of_faiss("PQ128x4fs, 256 dims", faiss.IndexPQFastScan(256, 128, 4, ip), 64, d256, q256)
    )
    found.append(ours("PQ 64 x 8 bit, 256 dims", PQ(m=64), d256, q256))
    found.append(of_faiss("PQ64x8, 256 dims", faiss.IndexPQ(256, 64, 8, ip), 64, d256, q256))
    d448, q448 = shorten(448)
    rabitq = faiss.index_factory(448, "RaBitQfs", ip)
    found.append(of_faiss("RaBitQfs, 448 dims", rabitq, 64, d448, q448))
    d512, q512 = shorten(512)
    one = ours("512 x 1 bit", Binary(rotate=True), d512, q512)
    found.append(one)
    signs = [np.packbits(part > 0, axis=1) for part in (d512, q512)]
    found.append(of_usearch("512 signs, Hamming", *signs, MetricKind.Hamming))
    flat = faiss.IndexFlatIP(DIM)
    flat.add(x)
    found.append(Candidate("Flat, 640 dims", "faiss", 4 * DIM, q, lambda a: flat.search(a, K)[1]))
    return found


def main() -> None:
    """Time single queries and batches, and compare with the floats."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    faiss.omp_set_num_threads(timing.THREADS)
    rng = np.random.default_rng(0)
    x = vectors(asked.n + BATCH, rng)
    x, q = x[:-BATCH], np.ascontiguousarray(x[-BATCH:])
    found = candidates(x, q)
    del x
    gc.collect()
    best = found[-1].ask(q)
    one = timing.take_turns(
        {c.name: lambda c=c: [c.ask(c.queries[i : i + 1]) for i in range(SINGLE)] for c in found},
        turns=asked.turns,
    )
    many = timing.take_turns(
        {c.name: lambda c=c: c.ask(c.queries) for c in found}, turns=max(2, asked.turns // 2)
    )
    flat = found[-1].name
    rows = []
    for c in found:
        answers = c.ask(c.queries)
        hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(answers, best, strict=True)]
        rows.append(
            {
                "name": c.name,
                "library": c.library,
                "bytes": c.bytes,
                "recall@10": round(sum(hits) / (K * len(hits)), 4),
                "one_ms": round(1e3 * one[c.name].best / SINGLE, 3),
                "one_median_ms": round(1e3 * one[c.name].median / SINGLE, 3),
                "batch_ms": round(1e3 * many[c.name].best, 1),
                "one_x_flat": round(one[flat].best / one[c.name].best, 1),
                "batch_x_flat": round(many[flat].best / many[c.name].best, 2),
            }
        )
        print(rows[-1], flush=True)
    timing.write(
        "bench-search", rows, command="python benchmarks/search.py", vectors=asked.n, batch=BATCH
    )


if __name__ == "__main__":
    main()
