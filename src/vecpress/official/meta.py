"""What MTEB records about a pipeline: whose scores these are, and at what settings."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction

from vecpress import registry
from vecpress.encoders.combine import Concat, without_cache
from vecpress.errors import ConfigError
from vecpress.pipeline import Pipeline
from vecpress.stages import Encoder

_FRAMEWORKS = {"sentence-transformer": ("Sentence Transformers", "PyTorch"), "onnx": ("ONNX",)}


def describe(pipeline: Pipeline, settings: Mapping[str, Any], *, name: str | None) -> ModelMeta:
    """Describe a pipeline as MTEB does its models; what is not known stays None.

    Args:
        pipeline: With models. Its fingerprint is the revision.
        settings: MTEB's "experiment kwargs": results of other settings are kept apart.
        name: "organization/model"; "vecpress/" and the models' names if it is None.

    Raises:
        ConfigError: the pipeline has no models, or MTEB takes no such name.
    """
    if pipeline.encoder is None:
        raise ConfigError(
            "this press was fitted on precomputed vectors, but MTEB hands over texts: fit one with "
            "--models, or evaluate this one on a BEIR folder with --documents and --queries"
        )
    if name is not None and not re.fullmatch(r"[^/\s]+/[^/\s]+", name):
        raise ConfigError(f"MTEB names a model 'organization/model', got {name!r}")
    encoder = without_cache(pipeline.encoder)
    parts = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    return ModelMeta.create_empty(
        {
            "name": name or _name(pipeline),
            "revision": pipeline.fingerprint,
            "embed_dim": pipeline.dim,
            "max_tokens": _shortest(parts),
            "framework": _frameworks(parts),
            "similarity_fn_name": ScoringFunction.COSINE,
            "experiment_kwargs": dict(settings),
        }
    )


def search_settings(pipeline: Pipeline, *, rescore: int | None) -> dict[str, Any]:
    """Give what tells one press of the same models from another."""
    codec, quantizer = pipeline.codec, pipeline.recipe.quantizer
    kind = registry.kind_of(registry.QUANTIZERS, quantizer)
    if quantizer is None:
        kind = registry.kind_of(registry.FITTED, codec)
    settings = {"dim": pipeline.dim, "code_bytes": pipeline.bytes_per_vector, "quantizer": kind}
    bits = getattr(codec, "bits", None)
    if isinstance(bits, int):  # other codecs have no one number of bits per dimension
        settings["bits"] = bits
    return settings if rescore is None else settings | {"rescore": rescore}


def _name(pipeline: Pipeline) -> str:
    """Make a name of the models' own, without the folders or owners they are in."""
    models = [Path(model).name for model in pipeline.recipe.model_names]
    return "vecpress/" + re.sub(r"[^A-Za-z0-9._+-]+", "-", "+".join(models) or "texts")


def _shortest(parts: tuple[Encoder, ...]) -> int | None:
    """Give the tokens that all models read, if each of them says how many it reads."""
    lengths = [getattr(part, "max_length", None) for part in parts]
    known = [length for length in lengths if length is not None]
    return min(known) if len(known) == len(lengths) else None


def _frameworks(parts: tuple[Encoder, ...]) -> list[str]:
    """Name the engines that encode; heads and codecs are NumPy's."""
    kinds = [registry.kind_of(registry.FITTED, part) for part in parts]
    return list(dict.fromkeys([f for kind in kinds for f in _FRAMEWORKS.get(kind, ())] + ["NumPy"]))
