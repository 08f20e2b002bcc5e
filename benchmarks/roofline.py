"""What this machine can do at most, and how near the scans and the encoder come to it.

    python benchmarks/roofline.py

Writes benchmarks/results/bench-roofline.json: ceilings (memory bandwidth, products of matrices,
table look-ups from cache), then for each kernel the bytes it must move and the operations it must
do, the time it took, and the fraction of the nearer ceiling. Encoding is taken from
bench-encode.json of the same machine, where it is there.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import timing

import faiss  # isort: skip
import numpy as np

from vecpress import kernel
from vecpress.arrays import Array, normalize
from vecpress.lookups import Lookups
from vecpress.quantizers.scalar import Percentile
from vecpress.scan import Scanner

N, DIM, CODE_BYTES, BATCH = 1_000_000, 640, 64, 256
ENCODED = ("sentence-transformers alone", "vecpress minilm", "vecpress minilm:int8")
ROUNDS = 100  # through codes in cache
SIDE = 3072  # of the matrices multiplied


def ceilings(rng: np.random.Generator) -> dict[str, float]:
    """Measure the most that memory, multipliers and look-ups give, on all threads."""
    words = rng.integers(0, 9, 128_000_000, dtype=np.int64)  # 1 GB
    parts = np.array_split(words, timing.THREADS)
    a = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    codec, codes = coded(rng, 4096)  # 256 kB: in cache
    lookups = Lookups.of(codec)
    assert lookups is not None
    asked = lookups.ask(normalize(rng.standard_normal((BATCH, 256), dtype=np.float32)))
    level, ranges = kernel.level(), np.array([[0, len(codes)]] * ROUNDS, np.int64)
    norms = np.full(len(codes), np.nan, np.float32)  # no row is an answer: look-ups only
    best = kernel.Best.empty(timing.THREADS, BATCH, 1)
    with ThreadPoolExecutor(timing.THREADS) as pool:
        taken = timing.take_turns(
            {
                "read": lambda: list(pool.map(np.sum, parts)),
                "product": lambda: a @ a,
                "look up": lambda: kernel.scan(codes, norms, asked, ranges, best, level=level),
            }
        )
    return {
        "read_gb_s": words.nbytes / taken["read"].best / 1e9,
        "product_gflop_s": 2 * SIDE**3 / taken["product"].best / 1e9,
        "lookups_g_s": 2 * CODE_BYTES * ROUNDS * len(codes) * BATCH / taken["look up"].best / 1e9,
    }


def coded(rng: np.random.Generator, n: int) -> tuple[object, Array]:
    """Calibrate 256 x 2 bits, and draw codes."""
    codec = Percentile(bits=2).fit(normalize(rng.standard_normal((4000, 256), dtype=np.float32)))
    return codec, rng.integers(0, 256, (n, CODE_BYTES), dtype=np.uint8)


def scans(rng: np.random.Generator) -> list[dict[str, object]]:
    """Time one query and a batch: our codes, and floats."""
    codec, codes = coded(rng, N)
    queries = normalize(rng.standard_normal((BATCH, 256), dtype=np.float32))
    scanner = Scanner(codec, threads=timing.THREADS)
    flat = faiss.IndexFlatIP(DIM)
    for _ in range(4):
        flat.add(rng.standard_normal((N // 4, DIM), dtype=np.float32))
    wide = rng.standard_normal((BATCH, DIM), dtype=np.float32)
    taken = timing.take_turns(
        {
            "codes, 1 query": lambda: scanner.scan(codes, queries[:1], 10),
            "codes, batch": lambda: scanner.scan(codes, queries, 10),
            "floats, 1 query": lambda: flat.search(wide[:1], 10),
            "floats, batch": lambda: flat.search(wide, 10),
        }
    )
    per_row = CODE_BYTES + 4  # the code, and 1 / norm
    return [
        {"what": f"scan of {CODE_BYTES}-byte codes, one query", "ceiling": "read_gb_s",
         "gb": N * per_row / 1e9, "seconds": taken["codes, 1 query"].best},
        {"what": f"the same, {BATCH} queries", "ceiling": "lookups_g_s",
         "g_lookups": 2 * CODE_BYTES * N * BATCH / 1e9, "gb": N * per_row / 1e9,
         "seconds": taken["codes, batch"].best},
        {"what": f"FAISS Flat, {DIM} floats, one query", "ceiling": "read_gb_s",
         "gb": N * 4 * DIM / 1e9, "seconds": taken["floats, 1 query"].best},
        {"what": f"the same, {BATCH} queries", "ceiling": "product_gflop_s",
         "gflop": 2 * N * DIM * BATCH / 1e9, "gb": N * 4 * DIM / 1e9,
         "seconds": taken["floats, batch"].best},
    ]  # fmt: skip


def encoding() -> list[dict[str, object]]:
    """Count the operations of a token through MiniLM, and take the tokens per second measured."""
    path = timing.RESULTS / "bench-encode.json"
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    found = []
    for row in rows:
        if row["texts"] == "abstracts" and row["candidate"] in ENCODED:
            dim, layers, length = 384, 6, row["tokens"] / row["count"]
            per_token = layers * (24 * dim**2 + 4 * length * dim) / 1e9  # products only
            found.append(
                {"what": f"{row['candidate']}, a token", "ceiling": "product_gflop_s",
                 "gflop": per_token, "seconds": row["best_s"] / row["tokens"]}
            )  # fmt: skip
    return found


def main() -> None:
    """Measure ceilings and kernels, and divide."""
    faiss.omp_set_num_threads(timing.THREADS)
    rng = np.random.default_rng(0)
    most = ceilings(rng)
    print(most, flush=True)
    unit = {"read_gb_s": "gb", "product_gflop_s": "gflop", "lookups_g_s": "g_lookups"}
    rows = []
    for row in scans(rng) + encoding():
        name = str(row["ceiling"])
        rate = float(row[unit[name]]) / float(row["seconds"])  # type: ignore[arg-type]
        rows.append(row | {"rate": round(rate, 2), "fraction": round(rate / most[name], 3)})
        print(rows[-1], flush=True)
    timing.write(
        "bench-roofline", rows, command="python benchmarks/roofline.py",
        ceilings={name: round(value, 1) for name, value in most.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
