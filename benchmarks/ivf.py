"""Reading some lists of a partition, at a recall asked for, against FAISS's IVF of fast-scan PQ.

    python benchmarks/ivf.py [--n 1000000] [--data ../shared/data]            (3 minutes, 4 GB)

Writes benchmarks/results/bench-ivf.json. All store 64 bytes per vector of 256 dimensions: our 2-bit
codes (and `wikipedia, 128 x 4 bit`: 4-bit codes of 128 principal dimensions), FAISS's PQ128x4fs
with the SAME lists and as many of them read. Two corpora: synthetic vectors around 2,000 centres,
and, where the data folder has them, passages of Wikipedia with the paragraphs of SQuAD, embedded by
WordLlama. `promised` is the recall asked for, of the ten best by exact search of the same codes;
it comes from a measurement without queries. `reached` is what queries never seen then found; for
FAISS, of what it finds when it reads all lists. `recall@10` is of the ten best by float.
"""

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import timing

import faiss  # isort: skip
import numpy as np

from vecpress.arrays import Array, blocks, normalize
from vecpress.compressors.linear import Spectrum
from vecpress.decoded_scan import Ranking
from vecpress.encoders.static import StaticEncoder
from vecpress.partition import Partition, search_partitioned
from vecpress.partitioning import partition
from vecpress.quantizers.scalar import Percentile
from vecpress.scan import Scanner
from vecpress.stages import TrainingSet

K, SINGLE, BATCH = 10, 50, 256
PROMISED = (0.9, 0.95, 0.99, 1.0)


class Corpus(NamedTuple):
    """Documents, and questions about them by name."""

    name: str
    documents: Array
    queries: dict[str, Array]
    bits: int


class Candidate(NamedTuple):
    """A way to search: how to ask it, and what it reads."""

    row: dict[str, Any]
    ask: Callable[[Array], Array]


def synthetic(n: int) -> Corpus:
    """Draw unit rows around 2,000 centres, with a decaying spectrum and a common mean."""
    rng = np.random.default_rng(0)
    spectrum = ((1 + np.arange(256)) ** -0.6).astype(np.float32)
    centres = rng.standard_normal((2000, 256), np.float32) * spectrum
    rows = np.empty((n + BATCH, 256), np.float32)
    for part in blocks(len(rows), 50_000):
        drawn = rng.standard_normal(rows[part].shape, np.float32) * spectrum
        drawn += 0.8 * centres[rng.integers(0, 2000, len(drawn))]
        drawn[:, 0] += 1.5
        rows[part] = normalize(drawn)
    return Corpus("synthetic", rows[:-BATCH], {"drawn alike": rows[-BATCH:]}, 2)


def texts(path: Path) -> list[str]:
    """Read title and text of every line."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = [json.loads(line) for line in file]
    return [f"{row.get('title', '')} {row['text']}".strip() for row in rows]


def wikipedia(data: Path) -> Iterator[Corpus]:
    """Embed passages, and questions and claims about some of them and about other things."""
    encoder, rng = StaticEncoder(model="wordllama"), np.random.default_rng(0)
    files = ("wikipedia/passages-203k.jsonl.gz", "squad11-dev/corpus.jsonl")
    x = encoder.encode([text for name in files for text in texts(data / name)])
    queries = {}
    for name in ("squad11-dev", "scifact", "arguana"):
        asked = texts(data / name / "queries.jsonl")
        drawn = rng.permutation(len(asked))[:1000]
        queries[name] = encoder.encode([asked[i] for i in drawn], role="query")
    yield Corpus("wikipedia, 256 x 2 bit", x, queries, 2)
    head = Spectrum.of(TrainingSet(documents=x[:50_000])).head(128, gamma=0.25)
    short = {name: head.compress(asked) for name, asked in queries.items()}
    yield Corpus("wikipedia, 128 x 4 bit", head.compress(x), short, 4)


def share(found: Array, right: Array) -> float:
    """Average the share of the right answers that were found."""
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, right, strict=True)]
    return round(sum(hits) / right.size, 4)


def in_turns(found: list[Candidate], queries: Array, turns: int) -> None:
    """Time one query at a time, and all in a batch."""
    one = timing.take_turns(
        {
            str(i): lambda c=c: [c.ask(queries[j : j + 1]) for j in range(SINGLE)]
            for i, c in enumerate(found)
        },
        turns=turns,
    )
    some = queries[:BATCH]
    many = timing.take_turns(
        {str(i): lambda c=c: c.ask(some) for i, c in enumerate(found)}, turns=max(2, turns // 2)
    )
    for i, candidate in enumerate(found):
        candidate.row["one_ms"] = round(1e3 * one[str(i)].best / SINGLE, 3)
        candidate.row["batch_ms_per_query"] = round(1e3 * many[str(i)].best / len(some), 3)


def ours(codes: Array, scanner: Scanner, made: Partition, queries: Array) -> list[Candidate]:
    """Search at every recall that is asked for."""
    found = []
    for recall in PROMISED:
        nprobe = made.nprobe_for(recall, k=K)
        read = np.diff(made.probe(queries, nprobe=nprobe), axis=2).sum() / len(queries)

        def scan(ranges: Array | None, asked: Array, k: int) -> Ranking:
            if ranges is None:
                return scanner.scan(codes, asked, k)
            return scanner.scan_each(codes, asked, k, ranges)

        def ask(asked: Array, nprobe: int = nprobe) -> Array:
            return search_partitioned(scan, made, asked, K, nprobe=nprobe)[0]

        row = {"library": "vecpress", "promised": recall, "nprobe": nprobe}
        row["rows_read"] = round(float(read) / len(codes), 4)
        found.append(Candidate(row, ask))
    return found


def of_faiss(x: Array, made: Partition, nprobes: list[int]) -> list[Candidate]:
    """Let FAISS keep the same lists, in codes of its own."""
    lists = faiss.IndexFlatIP(x.shape[1])
    lists.add(made.centroids)
    ip = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFPQFastScan(lists, x.shape[1], len(made), 128, 4, ip)
    index.train(x[:: max(1, len(x) // 20_000)])
    for rows in blocks(len(x), 100_000):
        index.add(x[rows])
    found = []
    for nprobe in nprobes:
        how = faiss.SearchParametersIVF(nprobe=nprobe)
        row = {"library": "faiss", "promised": None, "nprobe": nprobe}
        found.append(Candidate(row, lambda q, how=how: index.search(q, K, params=how)[1]))
    return found


def measure(corpus: Corpus, turns: int) -> list[dict[str, Any]]:
    """Make lists, search in all ways, and compare with exact search of codes and of floats."""
    x = corpus.documents
    codec = Percentile(bits=corpus.bits).fit(x[:: max(1, len(x) // 20_000)])
    codes = codec.quantize(x)
    started = time.perf_counter()
    made, order = partition(codec, codes)
    seconds = round(time.perf_counter() - started, 1)
    x, codes = x[order], np.ascontiguousarray(codes[order])
    scanner = Scanner(codec, threads=timing.THREADS)
    first = next(iter(corpus.queries.values()))
    found = ours(codes, scanner, made, codec.project(first))
    found += of_faiss(x, made, [candidate.row["nprobe"] for candidate in found])
    flat = faiss.IndexFlatIP(x.shape[1])
    flat.add(x)
    for name, queries in corpus.queries.items():
        best = flat.search(queries, K)[1]
        exact = {"vecpress": found[3].ask(queries), "faiss": found[7].ask(queries)}
        for candidate in found:
            answers = candidate.ask(queries)
            candidate.row.setdefault("reached", {})[name] = share(
                answers, exact[candidate.row["library"]]
            )
            candidate.row.setdefault("recall@10", {})[name] = share(answers, best)
    del flat
    in_turns(found, first, turns)
    about = {"corpus": corpus.name, "vectors": len(x), "lists": len(made), "build_s": seconds}
    about["largest_list_x_mean"] = round(float(made.sizes.max() / made.sizes.mean()), 1)
    rows = [about | candidate.row for candidate in found]
    for row in rows:
        print(row, flush=True)
    return rows


def main() -> None:
    """Measure all corpora there are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    faiss.omp_set_num_threads(timing.THREADS)
    rows = measure(synthetic(asked.n), asked.turns)
    if (asked.data / "wikipedia").is_dir():
        for corpus in wikipedia(asked.data):
            rows += measure(corpus, asked.turns)
    timing.write("bench-ivf", rows, command="python benchmarks/ivf.py", batch=BATCH)


if __name__ == "__main__":
    main()
