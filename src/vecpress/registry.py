"""The index page: every method by name, where it lives, and the extra its imports need.

A new method is one file and one line here; the contract tests find it. Outside this library no
line is needed: `kind = "mypkg.sphere:Sphere"` works in a recipe.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import ModuleType, NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from vecpress.errors import ConfigError, MissingExtraError


class Entry(NamedTuple):
    """Where a class lives, `module:Class`, and the extra that brings the packages it imports."""

    target: str
    extra: str = ""
    needs: tuple[str, ...] = ()


ENCODERS = {
    "sentence-transformer": Entry(
        "vecpress.encoders.sentence_transformer:SentenceTransformerEncoder",
    ),
    "onnx": Entry("vecpress.encoders.onnx:OnnxEncoder", "onnx", ("onnxruntime", "tokenizers")),
    "static": Entry("vecpress.encoders.static:StaticEncoder", "static", ("tokenizers",)),
    "lexical": Entry("vecpress.encoders.lexical:Lexical", "lexical", ("sklearn",)),
    "distilled": Entry("vecpress.encoders.distilled:Distilled", "static", ("tokenizers",)),
}
COMPRESSORS = {
    "truncation": Entry("vecpress.compressors.linear:Truncation"),
    "random": Entry("vecpress.compressors.linear:RandomProjection"),
    "pca": Entry("vecpress.compressors.linear:PCA"),
    "power-pca": Entry("vecpress.compressors.linear:PowerPCA"),
    "concat-decoder": Entry(
        "vecpress.compressors.concat_decoder:ConcatDecoder", "train", ("torch",)
    ),
    "search-adaptor": Entry("vecpress.compressors.adaptors:SearchAdaptor", "train", ("torch",)),
    "matryoshka-adaptor": Entry(
        "vecpress.compressors.adaptors:MatryoshkaAdaptor", "train", ("torch",)
    ),
    "smec": Entry("vecpress.compressors.smec:SMEC", "train", ("torch",)),
}
QUANTIZERS = {
    "percentile": Entry("vecpress.quantizers.scalar:Percentile"),
    "int8": Entry("vecpress.quantizers.scalar:Int8"),
    "binary": Entry("vecpress.quantizers.scalar:Binary"),
    "lloyd-max": Entry("vecpress.quantizers.scalar:LloydMax"),
    "gaussian": Entry("vecpress.quantizers.scalar:Gaussian"),
    "linear": Entry("vecpress.quantizers.linear:Linear"),
    "itq": Entry("vecpress.quantizers.itq:ITQ"),
    "variable-bits": Entry("vecpress.quantizers.variable:VariableBits"),
    "lsh": Entry("vecpress.quantizers.hashing:LSH"),
    "learned-hash": Entry("vecpress.quantizers.hashing:LearnedHash"),
    "rabitq": Entry("vecpress.quantizers.rabitq:RaBitQ", "search", ("faiss",)),
    "pq": Entry("vecpress.quantizers.product:PQ", "search", ("faiss",)),
    "opq": Entry("vecpress.quantizers.product:OPQ", "search", ("faiss",)),
}
FITTED = {
    "head": Entry("vecpress.head:Head"),
    "scalar-codec": Entry("vecpress.quantizers.cells:ScalarCodec"),
    "product-codec": Entry("vecpress.quantizers.product:ProductCodec"),
    "hash-codec": Entry("vecpress.quantizers.hashing:HashCodec"),
    "rabitq-codec": Entry("vecpress.quantizers.rabitq:RaBitQCodec"),
    "concat": Entry("vecpress.encoders.combine:Concat"),
    "fitted-lexical": Entry("vecpress.encoders.lexical:LexicalEncoder", "lexical", ("sklearn",)),
    "fitted-distilled": Entry(
        "vecpress.encoders.distilled:DistilledEncoder", "static", ("tokenizers",)
    ),
    "sentence-transformer": ENCODERS["sentence-transformer"],
    "onnx": ENCODERS["onnx"],
    "static": ENCODERS["static"],
}
"""What an artifact may hold."""


_WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a string",
    NoneType: "none",
}


def load(table: Mapping[str, Entry], name: str) -> type[Any]:
    """Import the class called `name`; `module:Class` names one outside this library.

    Raises:
        ConfigError: the name is not in the table, or nothing stands where it points.
        MissingExtraError: a package that the class needs is not installed.
    """
    if name not in table and ":" not in name:
        raise ConfigError(
            f"unknown method {name!r}; known: {', '.join(sorted(table))}, "
            "or 'module:Class' for your own"
        )
    entry = table.get(name, Entry(name))
    module, _, attribute = entry.target.partition(":")
    if not module or module.startswith("."):
        raise ConfigError(f"cannot import {name!r}: write it as 'module:Class'")
    try:
        found = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name in entry.needs:
            raise _missing(repr(name), error.name, entry.extra) from error
        if name in table:
            raise
        raise ConfigError(f"cannot import {name!r}: {error}") from error
    if not isinstance(found, type):
        raise ConfigError(f"module {module!r} has no class {attribute!r}")
    return found


def build(table: Mapping[str, Entry], spec: Any) -> Any:
    """Make the method that a recipe describes: its `kind`, and its options as keywords.

    Raises:
        ConfigError: the kind or an option is unknown, or an option is missing or of a wrong type.
    """
    if not isinstance(spec, Mapping) or "kind" not in spec:
        raise ConfigError(f"a method needs a 'kind', one of {', '.join(sorted(table))}")
    options = {key: value for key, value in spec.items() if key != "kind"}
    cls = load(table, str(spec["kind"]))
    known = {field.name for field in fields(cls)} if is_dataclass(cls) else set(options)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"{spec['kind']!r} has no option {option!r}; it takes {', '.join(sorted(known))}"
            )
    hints = get_type_hints(cls) if is_dataclass(cls) else {}
    for option, value in options.items():
        if not _fits(value, hints.get(option)):
            wanted = _WORDS.get(hints[option], hints[option])
            raise ConfigError(
                f"the option {option!r} of {spec['kind']!r} must be {wanted}, got {value!r}"
            )
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    except TypeError as error:
        raise ConfigError(f"cannot make {spec['kind']!r} of {options}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Say whether a plain value is of a field's type; types that are not plain check themselves."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(item, inner) for item in value)
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return hint not in _WORDS or isinstance(value, hint)


def describe(table: Mapping[str, Entry], method: Any) -> dict[str, Any]:
    """Invert `build`; an option that came later is left out while it is None."""
    return {"kind": kind_of(table, method)} | {
        field.name: getattr(method, field.name)
        for field in fields(method)
        if getattr(method, field.name) is not None or not field.metadata.get("later")
    }


def kind_of(table: Mapping[str, Entry], value: object) -> str:
    """Name the class of a value as `load` knows it."""
    target = f"{type(value).__module__}:{type(value).__qualname__}"
    return next((name for name, entry in table.items() if entry.target == target), target)


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package where it is used.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:
            raise
        raise _missing("this", package, extra) from error


def _missing(what: str, package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} needs the package {package!r}, which is not installed: "
        f"pip install 'vecpress[{extra}]'"
    )
