"""Which models a press is made of, where they are published, and under which licenses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from vecpress import registry
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import Concat, without_cache
from vecpress.encoders.distilled import DistilledEncoder
from vecpress.encoders.files import locate
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.errors import ModelError
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.stages import Encoder

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Base:
    """A model that somebody else made.

    Attributes:
        name: For people: a hub id, a package, or the last part of a folder's name; never a path.
        hub_id: Where it is on the hub; None if it is not from there.
        license: As the hub names licenses; None if its own card does not say.
        package: What the package says that it came in, of the package; empty if it came in none.
    """

    name: str
    hub_id: str | None
    license: str | None
    package: str = ""


def bases(pipeline: Pipeline) -> tuple[Base, ...]:
    """List the models of others that a press is made of, each once, in order.

    Raises:
        ConfigError: the press was fitted on precomputed vectors.
        MismatchError: the models found here are not those it was fitted on.
    """
    return tuple(dict.fromkeys(_of(without_cache(pipeline.same_encoder()))))


def public_recipe(recipe: Recipe) -> Recipe:
    """Name the models without the paths of this machine."""
    return replace(recipe, models=tuple(map(public_name, recipe.model_names)))


def public_name(name: str) -> str:
    """Name a model as its recipe does, but of a folder only its own name."""
    precision = next((end for end in (":int8", ":int4", ":w8") if name.endswith(end)), "")
    kind, colon, model = name.removesuffix(precision).rpartition(":")
    if not (model.startswith(("/", "~", ".")) or "\\" in model):
        return name
    return kind + colon + re.split(r"[/\\]", model.rstrip("/\\"))[-1] + precision


def _of(encoder: Encoder) -> Sequence[Base]:
    if isinstance(encoder, Concat):
        return [base for part in encoder.encoders for base in _of(without_cache(part))]
    if registry.kind_of(registry.FITTED, encoder) == "fitted-lexical":  # no import of its engine
        return []  # made of the corpus alone
    if isinstance(encoder, DistilledEncoder):
        found = find(encoder.model)
        return _of(found) if isinstance(found, Encoder) else []
    if isinstance(encoder, SentenceTransformerEncoder) and encoder.image_model is not None:
        return [_base(encoder.model, encoder.revision), _base(encoder.image_model, None)]
    if isinstance(encoder, SentenceTransformerEncoder | StaticEncoder):
        return [_base(encoder.model, encoder.revision)]
    model = getattr(encoder, "model", None)
    return [_base(model, None) if isinstance(model, str) else _unpublished(encoder)]


def _unpublished(encoder: Encoder) -> Base:
    return Base(name=type(encoder).__name__, hub_id=None, license=None)


def _base(model: str, revision: str | None) -> Base:
    folder = Path(model).expanduser()
    local = folder.is_dir()
    return Base(
        name=folder.resolve().name if local else model,
        hub_id=None if local or not _HUB_ID.fullmatch(model) else model,
        license=_license(model, revision),
        package="" if local else _package_license(model),
    )


def _license(model: str, revision: str | None) -> str | None:
    """Read the license in the first lines of the card beside the model."""
    try:
        card = locate(model, revision=revision) / "README.md"
    except ModelError:
        return None
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    told = re.match(r"---\n(.*?)^---", text, re.M | re.S)
    found = re.search(r"^license:\s*['\"]?([\w.+-]+)", told[1], re.M) if told else None
    return found[1].lower() if found else None


def _package_license(package: str) -> str:
    try:
        return str(metadata(package)["License"]).partition("\n")[0].strip()
    except (PackageNotFoundError, KeyError, ValueError):
        return ""
