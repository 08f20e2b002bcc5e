"""Reads the folder that `vecpress export --to onnx` writes: onnxruntime and tokenizers are enough.

`onnx_export.py` writes it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from vecpress.arrays import Array, blocks
from vecpress.artifact import read_config
from vecpress.digests import file_digest
from vecpress.encoders.items import only_texts
from vecpress.encoders.text_tokenizer import read_tokenizer
from vecpress.errors import ArtifactError, ConfigError
from vecpress.exports.golden import check_golden
from vecpress.exports.graph_run import GraphRun
from vecpress.stages import Item, Role

FORMAT_VERSION = 1
MANIFEST, GRAPH, GOLDEN = "vecpress.json", "model.onnx", "golden.json"

_AT_ONCE = 4096
"""Texts whose tokens are in memory at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxBundle:
    """A press as one graph. It is an `Encoder`: it can be cached, nested, and evaluated.

    Attributes:
        folder: Where it is.
        manifest: What its vecpress.json says.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> "OnnxBundle":
        """Read a folder, and check every file and what the graph gives for the golden texts.

        Raises:
            ArtifactError: it is no such folder, a file is missing or damaged, or the graph does
                not give the press's vectors on this machine.
        """
        bundle = cls(folder=Path(folder), manifest=_manifest(Path(folder)))
        for name, known in bundle.manifest["files"].items():
            _check_file(bundle.folder / name, known["sha256"])
        golden = json.loads((bundle.folder / GOLDEN).read_text(encoding="utf-8"))
        try:
            check_golden(golden, lambda texts, role: bundle.encode(texts, role=role))
        except ArtifactError as error:
            raise ArtifactError(f"{folder} cannot be used: {error}") from error
        return bundle

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.manifest["dim"])

    @property
    def code_bytes(self) -> int:
        """Bytes of a code.

        Raises:
            ConfigError: the graph makes no codes.
        """
        self._need_codes()
        return int(self.manifest["code_bytes"])

    @property
    def press(self) -> str:
        """Fingerprint of the press it was made of, which an index made by that press knows."""
        return str(self.manifest["fingerprint"])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the graph, the tokenizers and how texts are fed to them."""
        shapes = ("fingerprint", "precision", "inputs", "role_input", "files")
        parts = ["onnx bundle", {name: self.manifest[name] for name in shapes}]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text, in order.

        Raises:
            ConfigError: `texts` is one text, or there is an image among them.
            DataError: a text cannot be split into tokens.
        """
        name = self.manifest["outputs"]["embedding"]
        return self._run(name, np.empty((len(texts), self.dim), np.float32), texts, role)

    def quantize_texts(
        self, texts: Sequence[Item], *, role: Role = "document"
    ) -> UInt8[Array, "n code_bytes"]:
        """Give each text its code, in order.

        Raises:
            ConfigError: the graph makes no codes, or as `encode`.
            DataError: a text cannot be split into tokens.
        """
        codes = np.empty((len(texts), self.code_bytes), np.uint8)
        return self._run(self.manifest["outputs"]["codes"], codes, texts, role)

    @cached_property
    def _graph(self) -> GraphRun:
        inputs = self.manifest["inputs"]
        return GraphRun(
            graph=self.folder / GRAPH,
            inputs=inputs,
            tokenizers=[read_tokenizer(self.folder / one["tokenizer"]) for one in inputs],
            role_input=self.manifest["role_input"],
        )

    def _run(self, output: str, rows: Array, texts: Sequence[Item], role: Role) -> Array:
        if isinstance(texts, str):
            raise ConfigError(f"encode takes a list of texts, got one: write [{texts[:40]!r}]")
        words = only_texts(texts, model=str(self.folder))
        for some in blocks(len(words), _AT_ONCE):
            rows[some] = self._graph.run(output, words[some], role=role)
        return rows

    def _need_codes(self) -> None:
        if self.manifest["outputs"]["codes"] is None:
            why = self.manifest["without"].get("codes", "the press has no quantizer")
            raise ConfigError(f"the graph in {self.folder} makes no codes: {why}")


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = read_config(folder / MANIFEST, known=FORMAT_VERSION)
    if manifest.get("kind") != "onnx":
        raise ArtifactError(
            f"{folder} is an export of the kind {manifest.get('kind')!r}, not a graph: make one "
            "with `vecpress export PRESS --to onnx`"
        )
    return manifest


def _check_file(path: Path, sha256: str) -> None:
    try:
        digest, size = file_digest(path), path.stat().st_size
    except OSError as error:
        raise ArtifactError(f"{path.parent} has no readable {path.name}: {error}") from error
    if digest != sha256:
        raise ArtifactError(
            f"{path.parent} is damaged: {path.name} ({size} bytes) is not what was exported: copy "
            "it again, or export it again"
        )
