"""One query on 50,000 codes of 64 bytes: table look-up by FAISS against decoding blocks in numpy.

    OMP_NUM_THREADS=1 python benchmarks/scan.py

Writes benchmarks/results/scan.jsonl. Both give the same answers, which is checked; times are the
median of 20 queries, batches of 200 the best of 3.
"""

import time
from pathlib import Path

import faiss
import numpy as np

from vecpress.arrays import Array, normalize, truncate
from vecpress.index import Engine, Index
from vecpress.quantizers.scalar import Percentile
from vecpress.report import write_results

RESULTS = Path(__file__).parent / "results"
ENGINES: tuple[Engine, Engine] = ("numpy", "faiss")


def times(index: Index, queries: Array, engine: Engine) -> dict[str, float]:
    """Time single queries and a batch, in milliseconds."""

    def once(asked: Array) -> float:
        started = time.perf_counter()
        index.search(asked, 10, engine=engine)
        return 1000 * (time.perf_counter() - started)

    once(queries[:1])  # FAISS copies the codes at the first search
    one = [once(queries[i : i + 1]) for i in range(20)]
    batch = min(once(queries) for _ in range(3))
    return {
        f"{engine}_one_ms": round(float(np.median(one)), 2),
        f"{engine}_batch_ms": round(batch, 1),
    }


def main() -> None:
    """Time both engines on synthetic, correlated vectors."""
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(64, 640)) * np.linspace(3, 0.1, 64)[:, None]
    noise = 0.3 * rng.normal(size=(50_000, 640))
    x = normalize((rng.normal(size=(50_000, 64)) @ spread + noise).astype(np.float32))
    near = x[:200] + 0.03 * rng.normal(size=(200, 640))
    rows = []
    for bits, dim in ((1, 512), (2, 256), (4, 128)):
        documents, queries = truncate(x, dim), truncate(near.astype(np.float32), dim)
        codec = Percentile(bits=bits).fit(documents[:5000])
        index = Index.build(codec, codec.quantize(documents), [str(i) for i in range(len(x))])
        row: dict[str, object] = {"dim": dim, "bits": bits, "code_bytes": codec.code_bytes}
        found = [index.search(queries, 10, engine=engine).scores for engine in ENGINES]
        np.testing.assert_allclose(found[0], found[1], atol=1e-5)
        for engine in ENGINES:
            row |= times(index, queries, engine)
        rows.append(row)
        print(row, flush=True)
    write_results(RESULTS / "scan.jsonl", rows)


if __name__ == "__main__":
    main()
