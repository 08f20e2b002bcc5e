"""Go on below the last width of a pipeline's head, without touching what it has."""

from dataclasses import replace

from vecpress import registry
from vecpress.corpus import Corpus
from vecpress.draws import Drawn
from vecpress.errors import ConfigError
from vecpress.fitting import refuse_unused
from vecpress.head import Head
from vecpress.pairs import Pairs
from vecpress.pipeline import Pipeline
from vecpress.recipe import Documents, Recipe
from vecpress.sample import check_width, draw_sample
from vecpress.stages import Compressor, Extending, Log, Progress, silent, unlogged


def extend(
    press: Pipeline,
    recipe: Recipe,
    documents: Documents | Drawn,
    *,
    pairs: Pairs | None = None,
    seed: int = 0,
    progress: Progress = silent,
    log: Log = unlogged,
) -> Pipeline:
    """Continue a pipeline's head below its last width: give the pipeline of the new width alone.

    What is continued stays as it is, and remains what gives the wider embeddings: one pipeline has
    one width, and its codec fits no other.

    Args:
        press: What is continued; `press.cached(folder)` remembers what is encoded.
        recipe: A head that can go on below another (see `continuing`), and perhaps a quantizer.
        documents: As those that the press was fitted on: texts, or vectors.
        pairs: Judgements of the documents, for a head that learns from them.
        seed: Of everything random.
        progress: Told about encoding and training.
        log: Told what happens in training, beside the pipeline's own `log`.

    Raises:
        ConfigError: there is no head to continue, or recipe and documents do not fit it.
        MismatchError: the models found here are not those it was fitted on.
        DataError: the documents or the judgements cannot be used.
    """
    recipe = continued(recipe, press.recipe, press.head)
    refuse_unused(recipe, pairs)
    encoder = None
    held = documents.documents if isinstance(documents, Drawn) else documents
    if isinstance(held, Corpus):
        encoder = press.same_encoder()
    elif press.encoder is not None:
        raise ConfigError("this press encodes texts itself: give it texts, not vectors")
    sample = draw_sample(
        recipe, documents, pairs=pairs, encoder=encoder, seed=seed, progress=progress
    )
    check_width(sample.embeddings, press.in_dim)
    return Pipeline.from_sample(recipe, sample, above=press, progress=progress, log=log)


def continuing(recipe: Recipe, dim: int) -> Compressor:
    """Give what continues a recipe's head down to `dim`: its own method if it can, else SMEC's."""
    if not isinstance(recipe.head, Extending):
        return registry.build(registry.COMPRESSORS, {"kind": "smec", "dim": dim})
    spec = registry.describe(registry.COMPRESSORS, recipe.head)
    spec.pop("nested_dims", None)  # they were the widths of the head there is
    return registry.build(registry.COMPRESSORS, {**spec, "dim": dim})


def continued(recipe: Recipe, press: Recipe, head: Head | None) -> Recipe:
    """Check that a recipe can continue a press, and complete it with the press's models.

    Args:
        recipe: What is asked for: a head that can continue another, and perhaps a quantizer.
        press: What the press was fitted as.
        head: The head that the press has.

    Raises:
        ConfigError: there is no head to continue, nothing to continue it with, the recipe's is not
            narrower, or its models are others than the press's.
    """
    if head is None:
        raise ConfigError("this press has no head to continue: fit one from the start instead")
    if not isinstance(recipe.head, Extending):
        named = "none" if recipe.head is None else _kind(recipe.head)
        raise ConfigError(
            f"to continue a press takes a head that can go on below another, such as smec, got "
            f"{named}: leave the choice out, or fit from the start instead"
        )
    last = head.dims[-1]
    if recipe.head.dim >= last:
        raise ConfigError(
            f"this press already goes down to {last} dimensions, so it is continued to fewer, got "
            f"{recipe.head.dim}: in Python, Pipeline.truncate keeps some of its dimensions"
        )
    if recipe.models and recipe.models != press.models:
        raise ConfigError(
            f"a press is continued with its own models, {', '.join(press.model_names) or 'none'}; "
            f"got {', '.join(recipe.model_names)}: leave them out, or fit from the start instead"
        )
    if recipe.weights and recipe.weights != press.weights:
        raise ConfigError(
            f"a press is continued with its own weights, {press.weights or 'equal ones'}; got "
            f"{recipe.weights}: leave them out, or fit from the start instead"
        )
    return replace(recipe, models=press.models, weights=press.weights)


def _kind(compressor: Compressor) -> str:
    return registry.kind_of(registry.COMPRESSORS, compressor)
