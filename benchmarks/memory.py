"""Peak memory of fit, encode and index within --memory: on vectors ten times as large, on texts.

Each verb is a process of its own, which tells its peak at the end as Linux kept it; beside it, the
same verb without a limit. Writes results/bench-memory.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import timing  # isort: skip - first: it pins threads
import numpy as np

from vecpress.limits import parse_memory

RUN = """
import sys
from pathlib import Path
from vecpress import cli
try:
    cli.main()
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
print("peak", int(line.split()[1]) * 1024)
sys.exit(code)
"""


def write_vectors(path, size, *, width=768):
    """Write vectors of a low rank with noise until the file has the size."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(64, width)).astype(np.float32)
    count = size // (4 * width) // 4096 + 1
    described = {"descr": "<f4", "fortran_order": False, "shape": (4096 * count, width)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, described)
        for _ in range(count):
            block = rng.normal(size=(4096, 64), scale=np.geomspace(1, 0.05, 64)).astype(np.float32)
            file.write((block @ axes).data)
    return 4096 * count


def write_texts(path, size):
    """Write texts of 120 words drawn by Zipf's law until the file has the size."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, length)) for length in rng.integers(2, 10, 20_000)]
    shares = 1 / np.arange(1, len(words) + 1)
    count = 0
    with path.open("w") as file:
        while file.tell() < size:
            drawn = rng.choice(len(words), (1000, 120), p=shares / shares.sum())
            for row in drawn:
                text = " ".join(words[i] for i in row)
                file.write(json.dumps({"_id": f"d{count}", "text": text}) + "\n")
                count += 1
    return count


def run(folder, *words):
    """Run a verb; give its peak in bytes, its seconds, and what it said."""
    start = time.perf_counter()
    command = [sys.executable, "-c", RUN, *map(str, words), "--cache", str(folder / "cache")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    said, _, peak = done.stdout.rpartition("peak ")
    return int(peak), time.perf_counter() - start, (said + done.stderr).strip()


def measure(folder, corpus, limit, *, fit, documents):
    """Run the three verbs with the limit and without."""
    size = (folder / corpus).stat().st_size
    rows = []
    for memory in (limit, None):
        limited = () if memory is None else ("--memory", memory)
        shards = f"shards-of-{Path(corpus).stem}" if memory else f"{corpus}.codes.npy"
        verbs = {
            "fit": ("fit", corpus, *fit, "--out", "press", "--overwrite"),
            "encode": ("encode", "press", corpus, "--out", shards),
            "index": ("index", "press", corpus, "--out", "index", "--overwrite"),
        }
        for verb, words in verbs.items():
            peak, seconds, said = run(folder, *words, *limited)
            row = {
                "verb": verb,
                "corpus": corpus,
                "documents": documents,
                "corpus_bytes": size,
                "limit": memory,
                "limit_bytes": parse_memory(memory) if memory else None,
                "peak_bytes": peak,
                "within": None if memory is None else peak <= parse_memory(memory),
                "seconds": round(seconds, 1),
                "said": said,
            }
            rows.append(row)
            told = f"{peak / 1e6:8.0f} MB  {seconds:6.1f} s"
            print(f"{corpus:14} {verb:8} limit {memory or 'none':>7}  {told}", flush=True)
    return rows


def main():
    """Measure both, and write the results."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--memory", default="300MB", help="limit for vectors")
    asked.add_argument("--texts-memory", default="500MB", help="limit for texts")
    asked.add_argument("--texts", default="300MB", help="size of the file of texts")
    given = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vecpress-memory-"))
    try:
        number = write_vectors(folder / "vectors.npy", 10 * parse_memory(given.memory))
        fit = ("--dim", "128", "--bits", "4")
        rows = measure(folder, "vectors.npy", given.memory, fit=fit, documents=number)
        (folder / "vectors.npy").unlink()
        number = write_texts(folder / "texts.jsonl", parse_memory(given.texts))
        fit = ("--models", "wordllama", *fit)
        rows += measure(folder, "texts.jsonl", given.texts_memory, fit=fit, documents=number)
    finally:
        shutil.rmtree(folder)
    command = f"python benchmarks/memory.py --memory {given.memory}"
    command += f" --texts-memory {given.texts_memory} --texts {given.texts}"
    print(timing.write("bench-memory", rows, command=command))


if __name__ == "__main__":
    main()
