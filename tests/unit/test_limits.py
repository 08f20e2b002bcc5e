"""Memory is read as it is written, and measured as the system measures it."""

import re
import resource
from pathlib import Path

import numpy as np
import pytest

from vecpress.errors import ConfigError
from vecpress.limits import block_rows, parse_memory, peak, show_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2_000_000_000),
        ("1.5 GiB", 3 << 29),
        ("500mb", 500_000_000),
        ("64KiB", 65536),
        (" 7B ", 7),
        ("1TB", 10**12),
    ],
)
def test_a_limit_is_a_number_and_a_unit(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["2", "", "GB", "-2GB", "2 GB a day", "2iB", "0B", "1e3MB", "2PB"])
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=re.escape(f"got {text!r}")):
        parse_memory(text)


def test_a_number_of_bytes_is_shown_so_that_it_suffices():
    assert show_memory(1_000_001) == "2MB"
    assert parse_memory(show_memory(123_456_789)) >= 123_456_789


@pytest.mark.parametrize(
    ("width", "rows"), [(1, 4096), (1024, 4096), (1025, 2048), (3072, 1024), (10**9, 1)]
)
def test_a_block_holds_at_most_16_mebibytes_of_floats(width, rows):
    assert block_rows(width) == rows


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is taken now")
def test_what_is_taken_is_measured():
    lines = Path("/proc/self/status").read_text().splitlines()
    before = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) << 10
    held = np.ones(8 << 20)
    highest = peak()
    assert highest >= before + held.nbytes - 2**22
    del held
    assert peak() >= highest - 2**20  # a peak does not go down
    assert highest <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 2**24
