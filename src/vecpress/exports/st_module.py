"""Our one module in a folder of sentence-transformers: a whole press, run as its ONNX graph.

sentence-transformers imports a class that is not its own only with `trust_remote_code=True`, also
where the class stands in a package that is installed. `open_press` needs no such word.
"""

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule

from vecpress.errors import ArtifactError, ConfigError
from vecpress.exports.onnx_bundle import OnnxBundle
from vecpress.stages import Role

GRAPH = "onnx"
"""Folder of the graph, inside the module's own."""


class Press(InputModule):
    """Texts to the embeddings of a press. For inference: there is nothing in it to train.

    Attributes:
        source: Folder of the graph, as `vecpress export --to onnx` writes it.
        nested: Whether a prefix of an embedding is a shorter embedding.
    """

    config_file_name = "sentence_press.json"
    config_keys: list[str] = ["nested"]  # noqa: RUF012 - as the class above has it

    def __init__(self, source: str | Path, *, nested: bool) -> None:
        super().__init__()
        self.source = Path(source)
        self.nested = nested

    @cached_property
    def bundle(self) -> OnnxBundle:
        """The graph and its tokenizers, checked."""
        return OnnxBundle.load(self.source)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,  # noqa: ARG003 - as the class above has it
        **kwargs: Any,  # noqa: ARG003
    ) -> "Press":
        """Read a folder that `save` wrote, here or on the hub.

        Raises:
            ArtifactError: there is no such folder, or it is damaged.
        """
        hub: dict[str, Any] = {
            "token": token,
            "cache_folder": cache_folder,
            "revision": revision,
            "local_files_only": local_files_only,
        }
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **hub)
        inner = f"{subfolder}/{GRAPH}" if subfolder else GRAPH
        source = cls.load_dir_path(model_name_or_path, subfolder=inner, **hub)
        if source is None or not config:
            raise ArtifactError(
                f"{model_name_or_path} is not what `vecpress export --to sentence-transformers` "
                f"wrote: it has no {inner} or no {cls.config_file_name}"
            )
        press = cls(source, nested=bool(config["nested"]))
        assert press.bundle.dim > 0  # opened now, so that what is damaged is said now
        return press

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **_: Any) -> None:
        """Write graph and config into a folder."""
        self.save_config(output_path)
        shutil.copytree(self.source, Path(output_path) / GRAPH, dirs_exist_ok=True)

    def __reduce__(self) -> tuple[Callable[..., "Press"], tuple[Path, bool]]:
        """Let a process of its own open the graph anew."""
        return _open, (self.source, self.nested)

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Keep the texts as they are: each model of the press has its own prompts and tokens.

        Args:
            inputs: Texts.
            prompt: Put before each, and before that the press's own.
            options: `task="query"` takes them for queries, everything else for documents.

        Raises:
            ConfigError: something is not a text.
        """
        other = next((item for item in inputs if not isinstance(item, str)), None)
        if other is not None:
            raise ConfigError(f"this press encodes texts, got {other!r:.60}")
        role: Role = "query" if options.get("task") == "query" else "document"
        return {"texts": [(prompt or "") + text for text in inputs], "role": role}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Add the embeddings, of unit norm."""
        rows = self.bundle.encode(features["texts"], role=features["role"])
        return features | {"sentence_embedding": torch.from_numpy(rows)}

    def get_embedding_dimension(self) -> int:
        """Give the width of an embedding."""
        return self.bundle.dim

    def on_model_ready(self, model: Any) -> None:
        """Refuse a width that this press cannot be cut to.

        Raises:
            ConfigError: it was asked for.
        """
        cut = getattr(model, "truncate_dim", None)
        if cut is not None and not self.nested and cut < self.bundle.dim:
            raise ConfigError(
                f"this press cannot be cut to truncate_dim={cut}, for a prefix of its "
                f"{self.bundle.dim} dimensions is no embedding: export the press itself cut, "
                f"Pipeline.load(PRESS).truncate({cut})"
            )


def _open(source: Path, nested: bool) -> Press:
    return Press(source, nested=nested)


def open_press(folder: str | Path, **options: Any) -> SentenceTransformer:
    """Open a folder, or a hub id, whose one module is a press, without `trust_remote_code`.

    Args:
        folder: What `vecpress export --to sentence-transformers` wrote.
        options: Passed on to `SentenceTransformer`, such as `truncate_dim`.
    """
    return as_model(Press.load(str(folder)), **options)


def as_model(press: Press, **options: Any) -> SentenceTransformer:
    """Put a press where sentence-transformers expects a model; prompts are its own affair."""
    return SentenceTransformer(
        modules=[press],
        prompts={"query": "", "document": ""},
        similarity_fn_name="cosine",
        **options,
    )
