"""A search page as a folder of static files: the built page, and what it downloads.

No server of ours stands behind it: the browser itself encodes what is typed, and scans the codes.
docs/format.md says what the files hold.
"""

import html
import json
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from vecpress.errors import ConfigError
from vecpress.exports.web_data import FORMAT_VERSION, GRAPH, MANIFEST, Files, web_files
from vecpress.exports.web_engines import Precision
from vecpress.folders import new_folder
from vecpress.index import Index
from vecpress.pipeline import Pipeline

_PAGE = files("vecpress") / "page"  # made by `make web`
_DATA = "data"
_ABOUT = "vecpress.json"  # says at the top of a folder that it is ours
_RUNTIME = "ort"  # begins the names of onnxruntime's files
_TITLES = re.compile(r'(?<=<title>)[^<]*|(?<=<h1 id="title">)[^<]*')
_WEBGPU = "asyncify"  # is in the name of the one for graphics cards: not where data are in 8 bits


def export_web(
    pipeline: Pipeline,
    index: Index,
    out: str | Path,
    *,
    precision: Precision = "int8",
    title: str = "",
    questions: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write a search page of an index: a folder for any server of static files.

    Deleted documents are left out. Of each document the page shows what the index keeps: its id
    and the beginning of its text.

    Args:
        pipeline: The press that made the index.
        index: What is searched.
        out: The folder.
        precision: Of a transformer's weights. Tables are always kept in whole numbers, of 8 bits
            if the press itself keeps them in float.
        title: Of the page; the number of documents, if there is none.
        questions: Shown to choose from.
        overwrite: Whether a folder of ours may be replaced.

    Raises:
        ArtifactError: the folder exists and `overwrite` is false, or cannot be written.
        ConfigError: this vecpress holds no built page; or as `vecpress.exports.web_data.web_files`,
            which raises the rest too.
    """
    page = _page()
    with new_folder(out, overwrite=overwrite) as draft:
        made = web_files(pipeline, index, precision=precision, title=title, questions=questions)
        _copy(page, draft, _needs(made, precision))
        _entitle(draft, json.loads(made[MANIFEST])["title"])
        (draft / _DATA).mkdir()
        _write(made, draft / _DATA)
        about = {
            "format_version": FORMAT_VERSION,
            "kind": "web",
            "fingerprint": pipeline.fingerprint,
            "data": f"{_DATA}/",
        }
        (draft / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def export_web_data(
    pipeline: Pipeline,
    index: Index,
    out: str | Path,
    *,
    precision: Precision = "int8",
    title: str = "",
    questions: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write what `export_web` puts into `data`, for a page of one's own: see `vecpress-web`.

    Args and errors are those of `export_web`, but that no built page is needed.
    """
    with new_folder(out, overwrite=overwrite) as draft:
        made = web_files(pipeline, index, precision=precision, title=title, questions=questions)
        _write(made, draft)


def has_page() -> bool:
    """Say whether this vecpress was installed with its built page."""
    return (_PAGE / "index.html").is_file()


def _page() -> Traversable:
    if not has_page():
        raise ConfigError(
            "this vecpress was installed without its search page: install a released wheel, or "
            "run `make web` in the checkout; for a page of your own `export_web_data` does without"
        )
    return _PAGE


def _copy(source: Traversable, target: Path, is_needed: Callable[[str], bool]) -> None:
    for item in source.iterdir():
        if item.is_dir():
            _copy(item, target / item.name, is_needed)
        elif is_needed(item.name):
            target.mkdir(parents=True, exist_ok=True)
            (target / item.name).write_bytes(item.read_bytes())


def _entitle(page: Path, title: str) -> None:
    """Write the title where it is read before the data, or without them: by who shares a link."""
    home, app = page / "index.html", page / "manifest.webmanifest"
    shown = html.escape(title).encode("utf-8", "xmlcharrefreplace")  # half a character is no UTF-8
    text = _TITLES.sub(lambda _: shown.decode(), home.read_text(encoding="utf-8"))
    home.write_bytes(text.encode())
    about = json.loads(app.read_text(encoding="utf-8")) | {"name": title, "short_name": title}
    app.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _needs(made: Files, precision: Precision) -> Callable[[str], bool]:
    """Say which files of the page these data need: megabytes are for graphs alone."""
    has_graph = GRAPH in made

    def is_needed(name: str) -> bool:
        if not name.startswith(_RUNTIME):
            return True
        return has_graph and not (precision == "int8" and _WEBGPU in name)

    return is_needed


def _write(made: Files, folder: Path) -> None:
    for name, data in made.items():
        (folder / name).write_bytes(data)
