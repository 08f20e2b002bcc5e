"""Schemathesis makes up requests from /openapi.json, and looks for answers that it does not allow.

Among them: answers that are our fault, statuses, headers and bodies that are not described, wrong
requests that are taken, right ones that are refused, and a key that is not asked for.
"""

import subprocess
import sys

from served import index, listening, press

_EXAMPLES = 8


def attack(address, *options):
    """Run its command line against a server; fail with what it says."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(_EXAMPLES), "--seed", "7"]
    found = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    return found.stdout


def test_answers_are_as_described():
    with listening(index=index(), api_keys=("secret",), max_body=100_000) as address:
        said = attack(address, "-H", "Authorization: Bearer secret")
    assert "Selected: 8/8" in said
    assert "Tested: 8" in said


def test_a_press_that_can_do_less_says_so():
    with listening(pipeline=press(dim=0, bits=0)) as address:
        said = attack(address, "--include-path", "/v1/embeddings")
    assert "Tested: 1" in said
