"""Compress embeddings of many small models: encode, concatenate, compress, quantize, search."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecpress.corpus import Benchmark as Benchmark
    from vecpress.corpus import Corpus as Corpus
    from vecpress.corpus import read_benchmark as read_benchmark
    from vecpress.corpus import read_corpus as read_corpus
    from vecpress.errors import VecpressError as VecpressError
    from vecpress.index import Hits as Hits
    from vecpress.index import Index as Index
    from vecpress.pairs import Pairs as Pairs
    from vecpress.pairs import read_pairs as read_pairs
    from vecpress.pipeline import Pipeline as Pipeline
    from vecpress.recipe import Recipe as Recipe

__version__ = version("vecpress")

_HOME = {
    "Benchmark": "corpus",
    "Corpus": "corpus",
    "Hits": "index",
    "Index": "index",
    "Pairs": "pairs",
    "Pipeline": "pipeline",
    "Recipe": "recipe",
    "VecpressError": "errors",
    "read_benchmark": "corpus",
    "read_corpus": "corpus",
    "read_pairs": "pairs",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import vecpress` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'vecpress' has no attribute {name!r}")
    return getattr(import_module(f"vecpress.{_HOME[name]}"), name)
