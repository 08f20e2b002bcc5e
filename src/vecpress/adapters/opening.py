"""The press behind an adapter: from its folder or from memory, and only one that reads texts."""

from collections.abc import Sequence
from pathlib import Path

from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.stages import Role


def open_press(press: Pipeline | str | Path, *, dim: int | None = None) -> Pipeline:
    """Load a press of texts, unless it is there already, and keep its first `dim` dimensions.

    Raises:
        ArtifactError: the folder is none of a press, is damaged, or too new.
        ConfigError: the press was fitted on vectors, so it has no model to encode texts with; or
            it cannot be cut to `dim` dimensions.
    """
    pipeline = press if isinstance(press, Pipeline) else Pipeline.load(press)
    if pipeline.encoder is None:
        what = "this press" if isinstance(press, Pipeline) else f"the press {press}"
        raise ConfigError(
            f"{what} was fitted on precomputed vectors and has no model to encode texts with: "
            "fit one with models, or use vecpress.adapters.PressTransformer, which takes vectors"
        )
    return pipeline if dim is None else pipeline.truncate(dim)


def as_lists(pipeline: Pipeline, texts: Sequence[str], *, role: Role) -> list[list[float]]:
    """Embed texts, as the lists of Python floats that frameworks pass on."""
    return pipeline.encode(texts, role=role).tolist()
