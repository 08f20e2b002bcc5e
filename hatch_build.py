"""Compile kernel.c while vecpress is installed or built; without a compiler there is no kernel."""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "src" / "vecpress"
SOURCE, LIBRARY = PACKAGE / "kernel.c", PACKAGE / "_kernel.so"


class KernelHook(BuildHookInterface):
    """Puts _kernel.so beside kernel.c, and into the wheel, which then is of this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; `VECPRESS_NO_KERNEL=1` leaves it out, for a wheel that runs anywhere."""
        LIBRARY.unlink(missing_ok=True)
        if self.target_name != "wheel" or os.environ.get("VECPRESS_NO_KERNEL") == "1":
            return
        failure = compile_kernel()
        if failure:
            self.app.display_warning(
                f"kernel.c was not compiled ({failure}): codes are searched by FAISS or numpy, "
                "which is slower; install a C compiler and vecpress again to have it"
            )
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
        build_data["force_include"][str(LIBRARY)] = "vecpress/_kernel.so"


def compile_kernel() -> str:
    """Compile kernel.c beside itself; give what went wrong, if anything did."""
    if sys.platform == "win32":
        return "not on Windows yet"
    draft = LIBRARY.with_name(f".{LIBRARY.name}.{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-O3", "-shared", "-fPIC", "-pthread", "-o", str(draft), str(SOURCE)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        draft.replace(LIBRARY)
    except OSError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return error.stderr.strip()[-500:] or f"{compiler[0]} failed"
    finally:
        draft.unlink(missing_ok=True)
    return ""
