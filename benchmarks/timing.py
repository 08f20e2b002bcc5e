"""What the benchmarks of speed share: pinned threads, interleaved repeats, and where they ran.

A machine's speed wanders, so candidates take turns within one run, and only ratios between them
mean anything. Import this before numpy, torch, FAISS or onnxruntime: it pins their threads.
"""

import os

THREADS = int(os.environ.get("VECPRESS_THREADS", "2"))
for _name in ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMEXPR"):
    os.environ[f"{_name}_NUM_THREADS"] = str(THREADS)
# Else the threads of one candidate spin on, and take a core from the next.
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ["OPENBLAS_THREAD_TIMEOUT"] = "4"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import datetime  # noqa: E402 - threads are pinned before anything can start one
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Mapping  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    *("vecpress", "numpy", "torch", "faiss-cpu", "onnxruntime", "sentence-transformers"),
    *("scikit-learn", "usearch", "turbovec", "model2vec", "wordllama", "tokenizers"),
)


class Taken(NamedTuple):
    """How long a candidate took, in seconds: its best turn, and the median of all."""

    best: float
    median: float
    turns: int


def take_turns(candidates: Mapping[str, Callable[[], Any]], *, turns: int = 5) -> dict[str, Taken]:
    """Time candidates in turn, `turns` times each, after one turn that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(turns + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {n: Taken(min(t), statistics.median(t), turns) for n, t in taken.items()}


def machine() -> dict[str, Any]:
    """Describe where and when this ran: processor, cores used, packages, date."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next(
            (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model
        )
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": THREADS,
        "python": platform.python_version(),
        "packages": versions,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def write(name: str, rows: list[dict[str, Any]], *, command: str, **notes: Any) -> Path:
    """Write benchmarks/results/NAME.json: the machine, the command, and one row per candidate."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"command": command, "machine": machine(), **notes, "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
