"""The one on-disk form: a folder of config.json, tensors.safetensors and README.md.

config.json holds structure, tensors.safetensors numbers, README.md a card for people, and
training.jsonl, where something was trained, what happened meanwhile. Any frozen dataclass is
stored as it stands: its arrays become tensors named after their place (`head.weights.0`),
everything else becomes JSON. docs/format.md is the specification. Nothing here depends on the
clock, so the same content gives the same bytes.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from vecpress import registry
from vecpress.errors import ArtifactError, ConfigError
from vecpress.folders import new_folder

FORMAT_VERSION = 1
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older version, a pure function of its config.json to that of the next."""

Tensors = dict[str, np.ndarray]

LOG = "training.jsonl"
"""Where the training log lies in a folder."""


def save(
    folder: str | Path,
    content: Mapping[str, Any],
    *,
    card: str = "",
    log: Iterable[Mapping[str, Any]] = (),
    overwrite: bool = False,
) -> None:
    """Write `content` to `folder`, whole or not at all.

    Args:
        folder: Made, and the folders above it too.
        content: By name: arrays, plain values, frozen dataclasses of them.
        card: For people; not read back.
        log: Rows of plain values, for training.jsonl; no rows, no file.
        overwrite: Whether a folder of ours may be replaced.

    Raises:
        ArtifactError: the folder exists and `overwrite` is false, or cannot be written; or a value
            is not one that can be stored.
    """
    structure, tensors = _describe(content)
    stored, lines = safetensors.numpy.save(tensors), _lines(log)
    config = {
        "format_version": FORMAT_VERSION,
        "content": structure,
        "tensors": _shapes(tensors),
        "tensors_sha256": hashlib.sha256(stored).hexdigest(),
    }
    if lines:
        config["log_sha256"] = hashlib.sha256(lines).hexdigest()
    with new_folder(folder, overwrite=overwrite) as draft:
        (draft / "tensors.safetensors").write_bytes(stored)
        if lines:
            (draft / LOG).write_bytes(lines)
        write_config(draft / "config.json", config)
        (draft / "README.md").write_text(card, encoding="utf-8")


def load(folder: str | Path) -> dict[str, Any]:
    """Read what `save` wrote, under this or an earlier format version.

    Raises:
        ArtifactError: it is not an artifact, is damaged, or is newer than this release.
    """
    folder = Path(folder)
    config = _current(folder)
    stored = _checked(folder / "tensors.safetensors", config["tensors_sha256"])
    if "log_sha256" in config:
        _checked(folder / LOG, config["log_sha256"])
    try:
        tensors = safetensors.numpy.load(stored)
    except SafetensorError as error:
        raise ArtifactError(f"{folder} is damaged: {error}") from error
    missing, unknown = config["tensors"].keys() - tensors, tensors.keys() - config["tensors"]
    if missing or unknown:
        raise ArtifactError(
            f"{folder} does not hold the tensors its config.json lists: missing "
            f"{sorted(missing)}, unknown {sorted(unknown)}"
        )
    return {name: _restore(value, tensors) for name, value in config["content"].items()}


def read_log(folder: str | Path) -> tuple[dict[str, Any], ...]:
    """Read the rows that `save` was given as `log`; none where there were none.

    Raises:
        ArtifactError: it is not an artifact, its log is damaged, or it is newer than this release.
    """
    folder = Path(folder)
    config = _current(folder)
    if "log_sha256" not in config:
        return ()
    stored = _checked(folder / LOG, config["log_sha256"])
    return tuple(json.loads(line) for line in stored.splitlines())


def fingerprint(content: Mapping[str, Any]) -> str:
    """Digest everything that `save` would store of `content`, except how it is laid out."""
    structure, tensors = _describe(content)
    digest = hashlib.sha256(_canonical(structure))
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()[:32]


def tensor_bytes(content: Mapping[str, Any]) -> int:
    """Count the bytes of all arrays in `content`."""
    return sum(tensor.nbytes for tensor in _describe(content)[1].values())


def write_config(path: Path, config: dict[str, Any]) -> None:
    """Write JSON that knows its own digest."""
    config = config | {"digest": hashlib.sha256(_canonical(config)).hexdigest()}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_config(path: Path, *, known: int) -> dict[str, Any]:
    """Read and check what `write_config` wrote.

    Raises:
        ArtifactError: it is absent, damaged, or of a format version above `known`.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version, digest = config["format_version"], config.pop("digest")
    except FileNotFoundError as error:
        raise ArtifactError(f"{path.parent} is not a vecpress folder: no {path.name}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is damaged or not ours: {error!r}") from error
    if isinstance(version, int) and version > known:
        raise ArtifactError(
            f"{path.parent} has format version {version}; this release reads up to {known}: "
            "upgrade vecpress, or save it again with an older release"
        )
    if hashlib.sha256(_canonical(config)).hexdigest() != digest:
        raise ArtifactError(f"{path} is damaged: its digest does not match: copy or make it again")
    return config


def _current(folder: Path) -> dict[str, Any]:
    """Read config.json as this format version has it."""
    config = read_config(folder / "config.json", known=FORMAT_VERSION)
    for version in range(config["format_version"], FORMAT_VERSION):
        config = MIGRATIONS[version](config)
    return config


def _checked(path: Path, sha256: str) -> bytes:
    """Read a file that must be as it was saved."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path.parent} has no readable {path.name}: {error}") from error
    if hashlib.sha256(stored).hexdigest() != sha256:
        raise ArtifactError(
            f"{path.parent} is damaged: {path.name} ({len(stored)} bytes) is not what was "
            "saved: copy it again, or fit it again"
        )
    return stored


def _lines(log: Iterable[Mapping[str, Any]]) -> bytes:
    """Write one JSON object per line, keys sorted."""
    rows = [_plain(row, f"row {number} of the log") for number, row in enumerate(log, start=1)]
    return b"".join(_canonical(row) + b"\n" for row in rows)


def _plain(value: Any, place: str) -> Any:
    """Give what JSON can hold of a row: all but NaN and the infinities, which become null."""
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            raise ArtifactError(f"keys must be strings to be stored, got {other[0]!r} in {place}")
        return {key: _plain(item, f"{key!r} in {place}") for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, place) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is not None and not isinstance(value, str | int | float | bool):
        raise ArtifactError(
            f"cannot store {place}, a {type(value).__qualname__}: a log holds plain values"
        )
    return value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def _shapes(tensors: Tensors) -> dict[str, Any]:
    return {name: {"dtype": str(t.dtype), "shape": list(t.shape)} for name, t in tensors.items()}


def _describe(content: Mapping[str, Any]) -> tuple[dict[str, Any], Tensors]:
    """Separate structure from numbers."""
    tensors: Tensors = {}
    return {name: _store(value, name, tensors) for name, value in content.items()}, tensors


def _store(value: Any, place: str, tensors: Tensors) -> Any:
    if isinstance(value, np.ndarray):
        if place in tensors:
            raise ArtifactError(f"two arrays have the place {place!r}: rename one of their keys")
        # safetensors 0.8 stores a strided array's raw memory: other numbers, and no error.
        tensors[place] = np.asarray(value, order="C")  # ascontiguousarray adds an axis to 0-d
        return {"tensor": place}
    if is_dataclass(value):
        stored = {f.name: _store(getattr(value, f.name), f"{place}.{f.name}", tensors)
                  for f in fields(value)
                  if getattr(value, f.name) is not None or not f.metadata.get("later")}  # fmt: skip
        return {"kind": registry.kind_of(registry.FITTED, value), "fields": stored}
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            raise ArtifactError(f"keys must be strings to be stored, got {other[0]!r} in {place!r}")
        return {"map": {k: _store(v, f"{place}.{k}", tensors) for k, v in value.items()}}
    if isinstance(value, tuple | list):
        return [_store(item, f"{place}.{i}", tensors) for i, item in enumerate(value)]
    if value is not None and not isinstance(value, str | int | float | bool):
        raise ArtifactError(
            f"cannot store {place}, a {type(value).__qualname__}: an artifact holds arrays, plain "
            "values and frozen dataclasses of them"
        )
    return value


def _restore(value: Any, tensors: Tensors) -> Any:
    if isinstance(value, list):
        return tuple(_restore(item, tensors) for item in value)
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "map" in value:
        return {key: _restore(item, tensors) for key, item in value["map"].items()}
    cls = _trusted(value["kind"])
    stored = {name: _restore(item, tensors) for name, item in value["fields"].items()}
    required = {
        f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING
    }
    if stored.keys() - {f.name for f in fields(cls)} or required - stored.keys():
        raise ArtifactError(
            f"a stored {value['kind']!r} has the fields {sorted(stored)}, this release knows "
            f"{sorted(f.name for f in fields(cls))}: upgrade vecpress"
        )
    return cls(**stored)


def _trusted(kind: str) -> type[Any]:
    """Find a stored class; a file may not make us import code of its choice."""
    module, colon, _ = kind.partition(":")
    if kind not in registry.FITTED and not colon:
        raise ArtifactError(f"this artifact holds a {kind!r}, unknown here: upgrade vecpress")
    if kind not in registry.FITTED and module not in sys.modules:
        raise ArtifactError(
            f"this artifact holds a {kind!r}, which is not ours: import {module} first if you "
            "trust it"
        )
    try:
        cls = registry.load(registry.FITTED, kind)
    except ConfigError as error:
        raise ArtifactError(f"this artifact holds a {kind!r}: {error}") from error
    if not is_dataclass(cls):
        raise ArtifactError(f"this artifact holds a {kind!r}, which is not a class we store")
    return cls
