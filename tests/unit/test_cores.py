"""How many cores there are to use, and jobs side by side."""

import os
import threading

import pytest

from vecpress.cores import cores, side_by_side
from vecpress.errors import ConfigError


@pytest.mark.parametrize(("value", "count"), [("1", 1), ("3", 3), ("4,2", 4), (" 2 ", 2)])
def test_the_variable_of_openmp_says_how_many(monkeypatch, value, count):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert cores() == count


@pytest.mark.parametrize("value", [None, ""])
def test_else_it_is_what_this_process_may_use(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda who: {0, 5, 7}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 6


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_another_value_is_refused(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(ConfigError) as caught:
        cores()
    assert str(caught.value) == f"OMP_NUM_THREADS must be a whole number above 0, got {value!r}"


def test_as_many_jobs_run_at_a_time_as_there_are_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    together = threading.Barrier(3)
    done = []

    def job(i):
        together.wait(timeout=10)  # breaks if fewer than three run
        done.append(i)

    side_by_side(job, range(9))
    assert sorted(done) == list(range(9))


def test_one_core_or_one_job_needs_no_thread(monkeypatch):
    me, seen = threading.get_ident(), []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    side_by_side(lambda _: seen.append(threading.get_ident()), range(3))
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    side_by_side(lambda _: seen.append(threading.get_ident()), [0])
    side_by_side(lambda _: seen.append(threading.get_ident()), [])
    assert seen == [me] * 4


@pytest.mark.parametrize("count", ["1", "4"])
def test_what_a_job_raises_is_raised(monkeypatch, count):
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda i: 1 / i, [2, 1, 0, 1])
