"""What vecpress made, as a repository of the Hugging Face hub: checked whole, then sent."""

import json
import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.artifact import LOG
from vecpress.digests import file_digest
from vecpress.errors import ArtifactError, ConfigError
from vecpress.pipeline import Pipeline

_PRESS = ("config.json", "tensors.safetensors", "README.md")
_MANIFEST = "vecpress.json"
_KINDS = ("onnx", "sentence-transformers")
_ADDED = re.compile(r"(LICENSE|LICENCE|NOTICE|COPYING)(\.\w+)?|\.gitattributes|README\.md", re.I)
"""What people put beside it, and may."""

_REPO_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_LOCAL = re.compile(r"(?:[\w-]{2,}:)*(?:~[^/\\\s]*|\.{1,2}|[A-Za-z]:)?[/\\][^\s/\\].*")
"""A path of this machine, perhaps behind a kind such as `st:`."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What would be sent.

    Attributes:
        folder: Where it is.
        kind: "press", or the form of an export.
        files: Path inside the folder and bytes of each, by path.
    """

    folder: Path
    kind: str
    files: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for _, size in self.files)


def open_parcel(folder: str | Path) -> Parcel:
    """Look at a folder before it is sent: every file must be ours and whole, no path local.

    Raises:
        ArtifactError: it is not a press or an export of one, or is damaged.
        ConfigError: there is something else in it, or it names a model by a path of this machine.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder: give a press, or an export of one")
    kind, ours = _ours(folder)
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    extra = sorted(path for path in there - ours if not _ADDED.fullmatch(Path(path).name))
    if extra:
        raise ConfigError(
            f"{folder} holds {', '.join(extra[:3])}{' ...' if extra[3:] else ''}, which vecpress "
            "did not write: move it elsewhere, for everything in the folder would be published"
        )
    for path in sorted(there):
        _check_no_path(folder / path, kind=kind)
    sizes = tuple((path, (folder / path).stat().st_size) for path in sorted(there))
    return Parcel(folder=folder, kind=kind, files=sizes)


def _ours(folder: Path) -> tuple[str, set[str]]:
    """Name the kind of a folder, and every file that belongs to it, once they are checked."""
    if (folder / _MANIFEST).is_file():
        return _exported(folder)
    if (folder / "config.json").is_file():
        Pipeline.load(folder)  # which checks every byte
        return "press", {*_PRESS, LOG}
    if (folder / "index.json").is_file():
        raise ConfigError(
            f"{folder} is an index, and holds the texts of its documents: push its press, "
            f"{folder / 'press'}"
        )
    raise ArtifactError(
        f"{folder} is not what vecpress made, and is not pushed: give a press, or what "
        "`vecpress export --to sentence-transformers` wrote"
    )


def _exported(folder: Path) -> tuple[str, set[str]]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        kind = manifest["kind"]
        files = dict(manifest["files"]) if kind in _KINDS else {}  # a page's names none
        changed = [p for p, told in files.items() if file_digest(folder / p) != told["sha256"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} is damaged, or not ours: {error!r}: export it again"
        ) from error
    if changed:
        raise ArtifactError(
            f"{folder} is damaged: {changed[0]} is not what was written: export it again"
        )
    if kind not in _KINDS:
        raise ConfigError(
            f"{folder} is of the kind {kind!r}: push a press, or an export to {' or '.join(_KINDS)}"
        )
    return kind, {*files, _MANIFEST, "tokenizer_config.json"}


def _check_no_path(path: Path, *, kind: str) -> None:
    """Refuse to tell others of this machine's folders, where they could load nothing from."""
    if path.suffix != ".json" or path.name.startswith("tokenizer"):
        return
    found = next((text for text in _strings(_read(path)) if _LOCAL.fullmatch(text)), None)
    if found is None:
        return
    if kind == "press":
        raise ConfigError(
            f"{path.parent} names {found!r}, a path of this machine, so nobody else could load it: "
            "publish that model and fit with its hub id, or push what `vecpress export "
            f"{path.parent} --to sentence-transformers` writes, which holds the models themselves"
        )
    raise ConfigError(
        f"{path} names {found!r}, a path of this machine, which would be published: fit with the "
        "model's hub id, and export again"
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def check_repo_id(repo_id: str) -> None:
    """Make sure that a repository can be called so.

    Raises:
        ConfigError: it cannot.
    """
    if not _REPO_ID.fullmatch(repo_id):
        raise ConfigError(
            f"a repository is named by its owner and its own name, such as me/small-search, got "
            f"{repo_id!r}"
        )


def push(
    parcel: Parcel,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str = "",
    token: str | None = None,
) -> str:
    """Send it, in one commit, and give the address where it then is.

    The hub is `HF_ENDPOINT`, or huggingface.co. Files that are there already and not in the parcel
    stay.

    Args:
        parcel: What `open_parcel` has checked.
        repo_id: Whose, and its name: `me/small-search`. Made if it is not there.
        private: Let nobody else see it.
        revision: Branch, made if it is not there; the main one if it is left out.
        message: Of the commit.
        token: Of the hub; None takes `HF_TOKEN`, or that of `hf auth login`.

    Raises:
        ArtifactError: the hub cannot be reached, or refuses.
        ConfigError: the id is not one, or a private push would be public.
        MissingExtraError: huggingface_hub is not installed.
    """
    check_repo_id(repo_id)
    hub = registry.require("huggingface_hub", extra="hub")
    api = hub.HfApi(token=token)
    with _explained(api.endpoint, repo_id):
        api.create_repo(repo_id, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo_id).private:
            raise ConfigError(
                f"{repo_id} is there already, and public: make it private on its page at "
                f"{api.endpoint}/{repo_id}/settings, or leave out --private"
            )
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        _send(api, parcel, repo_id, revision=revision, message=message)
    return f"{api.endpoint}/{repo_id}" + ("" if revision is None else f"/tree/{revision}")


def _send(api: Any, parcel: Parcel, repo_id: str, *, revision: str | None, message: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # on cards without metadata: a press's
        api.upload_folder(
            repo_id=repo_id,
            folder_path=parcel.folder,
            allow_patterns=[path for path, _ in parcel.files],
            commit_message=message or f"Add what vecpress made: {parcel.kind}",
            revision=revision,
        )


@contextmanager
def _explained(endpoint: str, repo_id: str) -> Generator[None]:
    """Say in one sentence why the hub did not take it."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # the client's own, its HTTP library's, and OS errors
        status = getattr(getattr(error, "response", None), "status_code", None)
        kind = type(error).__name__
        if kind == "OfflineModeIsEnabled":
            told = "HF_HUB_OFFLINE is set, so nothing can be pushed: unset it"
        elif kind == "LocalTokenNotFoundError" or status == 401:
            told = (
                f"{endpoint} does not know you: log in with `hf auth login`, set HF_TOKEN, or give "
                "--token"
            )
        elif status == 403:
            told = f"your token may not write to {repo_id}: take one with write permission"
        elif status is None and not isinstance(error, ValueError | LookupError | TypeError):
            told = (
                f"cannot reach {endpoint} ({kind}): check the network, and HF_ENDPOINT if it is set"
            )
        else:
            said = " ".join(str(error).split())
            told = f"{endpoint} refused {repo_id} ({status or kind}): {said:.300}"
        raise ArtifactError(told) from error
