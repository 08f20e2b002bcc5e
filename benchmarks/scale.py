"""How cost grows: fit, index, load and search at 10 thousand to 10 million vectors, in 2 GB.

    python benchmarks/scale.py             (half an hour; 8 GB of disk)

Writes benchmarks/results/bench-scale.json. Vectors are synthetic, 256 dimensions in float16, drawn
as in search.py. `fit` and `index` are commands in processes of their own, whose seconds and peak
memory are measured; so is one `search` from the shell. Load and search are then timed in this
process. The exponent is the slope of log seconds over log vectors for each column, over the sizes
from 100 thousand: below, the time to start counts most.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import timing

from vecpress.arrays import normalize
from vecpress.index import Index
from vecpress.pipeline import Pipeline

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
DIM, MEMORY, K = 256, "2GB", 10
VECPRESS = [sys.executable, "-m", "vecpress"]


def draw(path: Path, n: int, rng: np.random.Generator) -> np.ndarray:
    """Write n vectors to an .npy file, part by part; give a few more as queries."""
    spectrum = ((1 + np.arange(DIM)) ** -0.6).astype("f4")
    centres = rng.standard_normal((2000, DIM), dtype=np.float32) * spectrum

    def part(size: int) -> np.ndarray:
        rows = rng.standard_normal((size, DIM), dtype=np.float32) * spectrum
        rows += 0.8 * centres[rng.integers(0, len(centres), size)]
        rows[:, 0] += 1.5
        return normalize(rows)

    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(n, DIM))
    for start in range(0, n, 50_000):
        out[start : start + 50_000] = part(min(50_000, n - start))
    out.flush()
    return part(256)


def command(*words: str) -> dict[str, float]:
    """Run a command; give its seconds and its peak memory in MB.

    The peak is read from the process itself: what the system reports of a child that has ended
    counts the parent it was forked from, too.
    """
    started, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*VECPRESS, *words], stdout=said, stderr=said)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            lines = status.read_text().splitlines()
            peak = max([peak, *(int(x.split()[1]) for x in lines if x.startswith("VmHWM"))])
            time.sleep(0.01)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{words} failed: {said.read().decode()}")
    return {"seconds": round(time.perf_counter() - started, 2), "peak_mb": round(peak / 1024)}


def measure(n: int, folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Go the whole way with n vectors."""
    queries = draw(folder / "vectors.npy", n, rng)
    np.save(folder / "query.npy", queries[:1])
    vectors, press, index = (str(folder / name) for name in ("vectors.npy", "press", "index"))
    row: dict[str, Any] = {"vectors": n}
    fit = command("fit", vectors, "--dim", "128", "--bits", "4", "--memory", MEMORY, "--out", press)
    made = command("index", press, vectors, "--memory", MEMORY, "--out", index)
    shell = min(
        (command("search", index, str(folder / "query.npy")) for _ in range(5)),
        key=lambda taken: taken["seconds"],
    )
    for name, taken in (("fit", fit), ("index", made), ("shell_search", shell)):
        row |= {f"{name}_{what}": value for what, value in taken.items()}
    row["index_mb"] = round(sum(f.stat().st_size for f in Path(index).rglob("*.npy")) / 1e6, 1)
    pipeline = Pipeline.load(Path(press))
    asked = pipeline.compress(queries)
    load = timing.take_turns({"load": lambda: Index.load(index)}, turns=9)["load"]
    opened = Index.load(index)
    taken = timing.take_turns(
        {
            "one": lambda: [opened.search(asked[i : i + 1], K) for i in range(5)],
            "batch": lambda: opened.search(asked, K),
        }
    )
    row |= {
        "load_ms": round(1e3 * load.best, 2),
        "one_ms": round(1e3 * taken["one"].best / 5, 3),
        "batch_ms": round(1e3 * taken["batch"].best, 1),
    }
    return row


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Fit the slope of log time over log size."""
    large = [row for row in rows if row["vectors"] >= 100_000]
    found = {}
    for name in ("fit_seconds", "index_seconds", "load_ms", "one_ms", "batch_ms"):
        x = [math.log(row["vectors"]) for row in large]
        y = [math.log(row[name]) for row in large]
        if len(large) > 1:
            found[name] = round(float(np.polyfit(x, y, 1)[0]), 2)
    return found


def main() -> None:
    """Measure each size in a folder that is thrown away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=SIZES[-1])
    most = parser.parse_args().most
    rows = []
    for n in (size for size in SIZES if size <= most):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(n, Path(folder), np.random.default_rng(0)))
        print(rows[-1], flush=True)
    timing.write(
        "bench-scale", rows, command="python benchmarks/scale.py", memory=MEMORY,
        dim=DIM, code_bytes=64, batch=256, exponents=exponents(rows),
    )  # fmt: skip


if __name__ == "__main__":
    main()
