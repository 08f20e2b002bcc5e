"""How much memory there may be, how much is taken, and how many rows are worked on at a time."""

import re
import sys
from pathlib import Path

from vecpress.errors import ConfigError

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_BINARY = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_BLOCK = 1 << 22  # numbers in a block: 16 MiB of floats
_LINUX = Path("/proc/self/status")


def parse_memory(text: str, *, name: str = "a memory limit") -> int:
    """Read 2GB, 1.5GiB or 500MB as a number of bytes.

    Raises:
        ConfigError: it is no such thing; the sentence begins with `name`.
    """
    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)(i?)B\s*", text, re.IGNORECASE)
    if found is None or (found[3] and not found[2]):
        raise ConfigError(f"{name} is written like 500MB, 2GB or 2GiB, got {text!r}")
    unit = (_BINARY if found[3] else _UNITS)[found[2].upper()]
    size = int(float(found[1]) * unit)
    if size < 1:
        raise ConfigError(f"{name} must be at least 1B, got {text!r}")
    return size


def show_memory(size: int) -> str:
    """Write a number of bytes as `parse_memory` reads it; never too little."""
    return f"{-(-size // 1000**2)}MB"


def block_rows(width: int) -> int:
    """Give the rows of floats that are worked on at a time: 4096, or fewer of very wide ones.

    Results never depend on a memory limit, because this does not.
    """
    return min(4096, 1 << max(_BLOCK // width, 1).bit_length() - 1)


def peak() -> int:
    """Give the most bytes of memory that this process has had.

    Raises:
        ConfigError: this system does not tell.
    """
    if _LINUX.exists():
        lines = _LINUX.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10
    try:
        import resource  # Windows has none
    except ImportError:
        raise ConfigError(
            "--memory cannot be kept here: this system does not tell how much is in use"
        ) from None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10
