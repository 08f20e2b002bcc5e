"""How many cores may be used, and the one way in which encoders use them side by side."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vecpress.errors import ConfigError

_Job = TypeVar("_Job")


def cores() -> int:
    """Give the number of threads to use: `OMP_NUM_THREADS`, else the cores this process may use.

    BLAS, torch and FAISS obey the same variable, so one setting holds for all.

    Raises:
        ConfigError: the variable is set to something else than a number of threads.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise ConfigError(f"OMP_NUM_THREADS must be a whole number above 0, got {asked!r}")
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(do: Callable[[_Job], None], jobs: Sequence[_Job]) -> None:
    """Do every job, as many at a time as there are cores, each on one of them.

    Whole jobs are shared out, not the work inside each: no core waits for another at every step,
    and what a job computes does not depend on how many cores there are.
    """
    if cores() == 1 or len(jobs) < 2:
        for job in jobs:
            do(job)
        return
    with ThreadPoolExecutor(min(cores(), len(jobs))) as pool:
        for _ in pool.map(do, jobs):  # raises what a job raised
            pass
