"""A press as other frameworks take one: an embedding model, or a transformer of vectors.

Take the classes from here, `from vecpress.adapters import VecpressEmbeddings`: each is imported
when it is first named, and one whose framework is not installed says what to install.
"""

from typing import TYPE_CHECKING, Any

from vecpress.registry import Entry, load

if TYPE_CHECKING:
    from vecpress.adapters.langchain import VecpressEmbeddings as VecpressEmbeddings
    from vecpress.adapters.llama_index import VecpressEmbedding as VecpressEmbedding
    from vecpress.adapters.sklearn import PressTransformer as PressTransformer
    from vecpress.adapters.sklearn import TextEncoder as TextEncoder

ADAPTERS = {
    "VecpressEmbeddings": Entry(
        "vecpress.adapters.langchain:VecpressEmbeddings", "langchain", ("langchain_core",)
    ),
    "VecpressEmbedding": Entry(
        "vecpress.adapters.llama_index:VecpressEmbedding",
        "llama-index",
        ("llama_index", "llama_index.core"),  # other packages put parts of their own beside core
    ),
    "PressTransformer": Entry(
        "vecpress.adapters.sklearn:PressTransformer", "sklearn", ("sklearn",)
    ),
    "TextEncoder": Entry("vecpress.adapters.sklearn:TextEncoder", "sklearn", ("sklearn",)),
}

__all__ = [*ADAPTERS]


def __getattr__(name: str) -> Any:
    """Import an adapter when it is first named."""
    if name not in ADAPTERS:
        raise AttributeError(f"module 'vecpress.adapters' has no attribute {name!r}")
    return load(ADAPTERS, name)
