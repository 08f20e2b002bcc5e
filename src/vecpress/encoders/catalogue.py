"""Small models by short name, with the prompts, pooling and length their authors intend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.encoders.combine import Concat
from vecpress.errors import ConfigError
from vecpress.stages import Encoder, FittedOnTexts

_SEARCH = "Represent this sentence for searching relevant passages: "


def _st(model: str, **options: Any) -> dict[str, Any]:
    return {"kind": "sentence-transformer", "model": model, **options}


def _e5(model: str) -> dict[str, Any]:
    prompts = {"query_prompt": "query: ", "document_prompt": "passage: "}
    return _st(model, **prompts, query_pooling="mean", document_pooling="mean", max_length=512)


def _cls(model: str, query_prompt: str = "", max_length: int = 512) -> dict[str, Any]:
    prompts = {"query_prompt": query_prompt, "document_prompt": ""}
    return _st(model, **prompts, query_pooling="cls", document_pooling="cls", max_length=max_length)


def _mean(model: str, max_length: int) -> dict[str, Any]:
    prompts = {"query_prompt": "", "document_prompt": ""}
    return _st(
        model, **prompts, query_pooling="mean", document_pooling="mean", max_length=max_length
    )


def _clip(model: str) -> dict[str, Any]:
    """Give a model of texts and images; CLIP reads 77 tokens."""
    prompts = {"query_prompt": "", "document_prompt": ""}
    return _st(f"sentence-transformers/{model}", **prompts, max_length=77)


def _static(model: str) -> dict[str, Any]:
    return {"kind": "static", "model": model, "max_length": 512}  # model2vec's own limit


CATALOGUE: dict[str, dict[str, Any]] = {
    "minilm": _st("sentence-transformers/all-MiniLM-L6-v2", max_length=256),
    "minilm-l12": _st("sentence-transformers/all-MiniLM-L12-v2", max_length=128),
    "bge-small": _cls("BAAI/bge-small-en-v1.5", _SEARCH),
    "gte-small": _mean("thenlper/gte-small", 512),
    "e5-small": _e5("intfloat/e5-small-v2"),
    "arctic-xs": _cls("Snowflake/snowflake-arctic-embed-xs", _SEARCH),
    "arctic-s": _cls("Snowflake/snowflake-arctic-embed-s", _SEARCH),
    "arctic-m": _cls("Snowflake/snowflake-arctic-embed-m", _SEARCH),
    "arctic-m-v1.5": _cls("Snowflake/snowflake-arctic-embed-m-v1.5", _SEARCH),
    "noinstruct-small": _st(
        "avsolatorio/NoInstruct-small-Embedding-v0",
        query_prompt="",
        document_prompt="",
        query_pooling="mean",  # queries and documents are pooled differently: model card
        document_pooling="cls",
        max_length=512,
    ),
    "gist-small": _cls("avsolatorio/GIST-small-Embedding-v0"),
    "multilingual-e5-small": _e5("intfloat/multilingual-e5-small"),
    "multilingual-minilm": _mean(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 128
    ),
    "granite-multilingual": _cls("ibm-granite/granite-embedding-107m-multilingual"),
    "clip-vit-b-32": _clip("clip-ViT-B-32"),
    "clip-vit-b-16": _clip("clip-ViT-B-16"),
    "clip-vit-l-14": _clip("clip-ViT-L-14"),
    "clip-multilingual": _st(  # texts of 50 languages in the space of the images' model
        "sentence-transformers/clip-ViT-B-32-multilingual-v1",
        query_prompt="",
        document_prompt="",
        max_length=128,
        image_model="sentence-transformers/clip-ViT-B-32",
    ),
    "wordllama": {"kind": "static", "model": "wordllama"},
    "potion-base-8m": _static("minishlab/potion-base-8M"),
    "potion-retrieval-32m": _static("minishlab/potion-retrieval-32M"),
}
_ROUNDED = {"sentence-transformer": ("int8", "w8"), "static": ("int8", "int4")}
"""How few bits models of a kind can be asked to compute with."""

_PREFIXES = {"st": "sentence-transformer", "onnx": "onnx", "static": "static"}


def find(name: str | Mapping[str, Any]) -> Encoder | FittedOnTexts:
    """Make the encoder that a name stands for; nothing is loaded yet.

    Args:
        name: A key of `CATALOGUE`, or `st:ID_OR_FOLDER`, `onnx:FOLDER`, `static:ID_OR_FOLDER`,
            `distilled:MODEL` (the name of a transformer), `lexical:DIM`, or `module:Class` of your
            own; or a mapping of a `kind` and its options, such as
            `{"kind": "onnx", "model": FOLDER, "query_prompt": "query: "}`. A transformer's name
            followed by `:int8`, such as `minilm:int8`, has it compute in 8 bits: two to three times
            as fast, and slightly other vectors. Followed by `:w8` it computes in floats with
            weights of 8 bits: nearly its own vectors, and wherever it is exported to the same ones
            in a quarter of the bytes. A static table's name followed by `:int8` or `:int4` has its
            rows rounded: fewer bytes where it is exported to.

    Raises:
        ConfigError: the name is not one of these.
        MissingExtraError: its engine is not installed.
    """
    if not isinstance(name, str):
        return registry.build(registry.ENCODERS, name)
    bare, precision = _rounding(name)
    options = _options(bare)
    if options is not None and precision:
        able = _ROUNDED.get(options["kind"], ())
        if precision not in able:
            raise ConfigError(
                f"{name!r} cannot be had: {bare!r} computes in "
                f"{' or '.join(able) or 'full precision only'}, got {precision}"
            )
        options |= {"precision": precision}
    if options is not None:
        return registry.build(registry.ENCODERS, options)
    prefix, _, rest = name.partition(":")
    if prefix == "distilled" and rest:
        return registry.build(registry.ENCODERS, {"kind": "distilled", "model": rest})
    if prefix == "lexical":
        return registry.build(registry.ENCODERS, _lexical(name))
    if rest and not precision and all(part.isidentifier() for part in prefix.split(".")):
        return registry.build(registry.ENCODERS, {"kind": name})
    raise ConfigError(
        f"unknown model {name!r}; known: {', '.join(CATALOGUE)}, or st:ID_OR_FOLDER, onnx:FOLDER, "
        "static:ID_OR_FOLDER, distilled:MODEL, lexical:256; a transformer followed by :int8, such "
        "as minilm:int8, computes in 8 bits, by :w8 in floats with weights of 8 bits; lexical:256 "
        "takes :int8, a static table also :int4"
    )


def _lexical(name: str) -> dict[str, Any]:
    """Give the options in lexical, lexical:128, lexical:int8 or lexical:128:int8."""
    words = [word for word in name.split(":")[1:] if word]
    precision = {"precision": words.pop()} if words[-1:] == ["int8"] else {}
    if len(words) > 1 or not all(word.isdecimal() for word in words):
        raise ConfigError(
            f"write lexical:256 (a number of dimensions) or lexical:256:int8, got {name!r}"
        )
    dim = {"dim": int(words[0])} if words else {}
    return {"kind": "lexical", **dim, **precision}


def _rounding(name: str) -> tuple[str, str]:
    """Cut off the precision that a name ends in, if it does."""
    bare, _, last = name.rpartition(":")
    return (bare, last) if bare and last in ("int8", "int4", "w8") else (name, "")


def _options(name: str) -> dict[str, Any] | None:
    """Give the options of a model of the catalogue, or of an id or folder; None for other names."""
    if name in CATALOGUE:
        return dict(CATALOGUE[name])
    prefix, _, rest = name.partition(":")
    if prefix not in _PREFIXES or not rest:
        return None
    folder = Path(rest).expanduser()
    model = str(folder.resolve()) if folder.is_dir() else rest  # an artifact may be moved
    return {"kind": _PREFIXES[prefix], "model": model}


def combine(encoders: list[Encoder], weights: tuple[float, ...] | None) -> Encoder:
    """Put encoders side by side; one alone stays as it is."""
    concat = Concat(encoders=tuple(encoders), weights=weights)  # checks the weights of one, too
    return encoders[0] if len(encoders) == 1 else concat
