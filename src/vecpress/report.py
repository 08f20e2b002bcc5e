"""results.jsonl in, one HTML file out: no network, readable on a phone, whole without its script.

Knows the plain values that `compare` writes, and nothing of pipelines.
"""

import json
import os
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from vecpress import drawing
from vecpress.entries import Result, Setting, entries_of, number
from vecpress.errors import DataError
from vecpress.frontier_page import section
from vecpress.overview import overview

_LEAD = """Every point is one way to store the same documents. Heads and codes are fitted on
documents, and where a row says so on other judged questions; those scored here only score. The
choice is what vecpress picks for a budget of bytes. Queries stay in float. Bytes count all that is
kept per document; the dashed line is the raw float concatenation."""
_HINT = "Hover, tap or focus a point for its numbers and its recipe."
_NEEDED = ("benchmark", "group", "method", "bytes_per_vector", "ndcg@10", "recall@100", "recovery")


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write one JSON object per line."""
    lines = [json.dumps(dict(result), sort_keys=True) + "\n" for result in results]
    path.write_text("".join(lines), encoding="utf-8")


def append_result(path: str | Path, result: Result) -> None:
    """Add a line to a results file, made if it is absent; on return the disk has it.

    What a killed run left of a line is replaced.

    Raises:
        DataError: the result could not be read again, or the file cannot be written.
    """
    if wrong := _wrong(result):
        raise DataError(f"this is not a result: {wrong[0]!r} is {result.get(wrong[0])!r}")
    try:
        line = json.dumps(dict(result), sort_keys=True, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise DataError(f"this result cannot be written as JSON: {error}") from error
    try:
        with Path(path).open("a+b") as file:
            _mend(file)
            file.write(line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(f"cannot write results to {path}: {error}") from error


def _mend(file: Any) -> None:
    """End the last line of a file, or take it away if it was never whole."""
    file.seek(0)
    whole, _, torn = file.read().rpartition(b"\n")
    if not torn:
        return
    try:
        json.loads(torn)
    except ValueError:
        file.truncate(len(whole) + 1 if whole else 0)
    else:
        file.write(b"\n")


def read_results(path: str | Path) -> list[Result]:
    """Read what `write_results` or `append_result` wrote.

    A last line that a killed run left unfinished is passed over. Of results with one key the last
    counts, in the place of the first.

    Raises:
        DataError: the file is absent, empty, or a line is not a result.
    """
    if results := _read(path):
        return results
    raise DataError(f"{path} holds no results: make them with `vecpress compare`")


def known_results(path: str | Path) -> dict[str, Result]:
    """Give the results of a file by their keys; none if there is no file yet, or no whole line.

    Raises:
        DataError: a line is not a result.
    """
    found = _read(path) if Path(path).exists() else []
    return {result["key"]: result for result in found if isinstance(result.get("key"), str)}


def _read(path: str | Path) -> list[Result]:
    try:
        *lines, last = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read results from {path}: {error}") from error
    results = [_result(path, place, line) for place, line in enumerate(lines, start=1)]
    if last and not _is_torn(last):
        results.append(_result(path, len(lines) + 1, last))
    keys = [result.get("key") for result in results]
    named = [key if isinstance(key, str) else place for place, key in enumerate(keys)]
    return list(dict(zip(named, results, strict=True)).values())


class Ledger:
    """The results of a folder: what is there already, and where new ones are added at once."""

    def __init__(self, folder: Path, *, anew: bool = False) -> None:
        """Open a folder's results.jsonl; nothing is made, or removed, before the first new one.

        Args:
            folder: Perhaps not there yet.
            anew: Whether to begin without those that are there.
        """
        self.path = folder / "results.jsonl"
        self._anew = anew

    @property
    def known(self) -> dict[str, Result]:
        """The results that are there, by their keys."""
        return {} if self._anew else known_results(self.path)

    def keep(self, result: Result) -> None:
        """Add one.

        Raises:
            DataError: it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._anew:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"cannot write results to {self.path}: {error}") from error
        self._anew = False
        append_result(self.path, result)


def _is_torn(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _result(path: str | Path, place: int, line: bytes) -> Result:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read results from {path}: {error}") from error
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line {place} of {path} is not JSON: {text[:60]!r}") from error
    if not isinstance(result, dict):
        raise DataError(f"line {place} of {path} is not a result: {text[:60]!r}")
    if wrong := _wrong(result):
        got = result.get(wrong[0])
        raise DataError(f"line {place} of {path} is not a result: {wrong[0]!r} is {got!r}")
    return result


def _wrong(result: Result) -> list[str]:
    """List the values that cannot be shown: texts, numbers, and of bytes there are some."""
    wrong = []
    for name in _NEEDED:
        if name in ("benchmark", "group", "method"):
            is_usable = isinstance(result.get(name), str)
        else:
            value = number(result, name)
            is_usable = value is not None and (name != "bytes_per_vector" or value >= 1)
        wrong += [] if is_usable else [name]
    return wrong


def write_page(path: Path, page: str) -> None:
    """Write what `render` drew.

    Raises:
        DataError: it cannot be written there.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}") from error


def render(results: Sequence[Result], *, command: str = "") -> str:
    """Draw all benchmarks together, if there are several, and each one's plot and tables."""
    entries = entries_of(results)
    settings = dict.fromkeys(entry.setting for entry in entries)
    anchors = {setting: f"b{place}" for place, setting in enumerate(settings)}
    sections = [
        section([e for e in entries if e.setting == setting], anchor=anchor)
        for setting, anchor in anchors.items()
    ]
    names = dict.fromkeys(setting.benchmark for setting in settings)
    page = drawing.page(
        [_contents(anchors), *overview(entries), *sections],
        title=", ".join(names),
        heading="Bytes against quality",
        lead=_LEAD,
        hint=_HINT,
        command=command,
        style=_beside("report.css"),
    )
    # JSON may hold halves of characters, which no file can.
    whole = page.encode("utf-8", "replace").decode("utf-8")
    return drawing.with_script(whole, _beside("report.js"))


def _beside(name: str) -> str:
    return files("vecpress").joinpath(name).read_text(encoding="utf-8")


def _contents(anchors: dict[Setting, str]) -> str:
    """Link to each section, if there are several."""
    links = []
    for setting, anchor in anchors.items():
        small = f" <small>{escape(setting.conditions)}</small>" if setting.conditions else ""
        links.append(f'<li><a href="#{anchor}">{escape(setting.benchmark)}</a>{small}</li>')
    if len(links) < 2:
        return ""
    return f'<nav aria-label="Benchmarks"><ul>{"".join(links)}</ul></nav>'
