"""The demo's documents: what the running interpreter's standard library says about itself.

Every public module, class, function and method that carries a docstring is one document. Its id
is the name a programmer would type (`json.dumps`, `pathlib.Path.glob`, `str.split`); an object
reachable under several names is one document, under the shortest that ends in its own name.
"""

import importlib
import inspect
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from enum import Enum
from io import StringIO
from types import ModuleType
from typing import Any, NamedTuple

_ACTS_ON_IMPORT = {"antigravity", "this", "idlelib", "turtledemo", "__main__"}
_PATH_MODULES = {"posixpath", "ntpath", "genericpath"}  # known as os.path
_NOT_A_LIBRARY = {"test", "tests", "lib2to3", "distutils", "ensurepip", "pydoc_data", "encodings"}
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type, Enum)
"""Defaults that look the same in every process."""


class Symbol(NamedTuple):
    """One documented name of the standard library."""

    name: str
    docstring: str
    signature: str


def symbols() -> list[Symbol]:
    """List every documented public symbol, sorted by name.

    Modules that cannot be imported on this platform are left out.
    """
    found: dict[int, tuple[str, Any]] = {}
    for module in _modules():
        for name, value in _public(module):
            known = found.get(id(value))
            if known is None or _rank(name, value) < _rank(*known):
                found[id(value)] = (name, value)
    for name, value in sorted(found.values(), key=lambda item: item[0]):
        if inspect.isclass(value):
            for attribute, member in _methods(value):
                found.setdefault(id(member), (f"{name}.{attribute}", member))
    named = {name: value for name, value in found.values()}
    return [
        Symbol(name, docstring, _signature(value))
        for name, value in sorted(named.items())
        if (docstring := inspect.cleandoc(value.__doc__).strip())
    ]


def _rank(name: str, value: object) -> tuple[bool, int, str]:
    """Order the names of one object: its own name first, then the shortest."""
    return name.rpartition(".")[2] != getattr(value, "__name__", None), len(name), name


def _modules() -> Iterator[ModuleType]:
    for name in sorted(sys.stdlib_module_names - _ACTS_ON_IMPORT - _NOT_A_LIBRARY - _PATH_MODULES):
        if not name.startswith("_"):
            yield from _import_tree(name)
    yield os.path


def _import_tree(name: str) -> Iterator[ModuleType]:
    """Import a module and its public submodules, quietly."""
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            module = importlib.import_module(name)
    except (ImportError, OSError, SystemExit):  # for another platform, or a script without a guard
        return
    yield module
    for child in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not child.name.startswith("_") and child.name not in _NOT_A_LIBRARY:
            yield from _import_tree(f"{name}.{child.name}")


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the module itself, and the documented classes and functions it publishes."""
    path = "os.path" if module is os.path else module.__name__
    if isinstance(module.__doc__, str):
        yield path, module
    listed = getattr(module, "__all__", None)
    for name in vars(module) if listed is None else listed:
        value = getattr(module, name, None)
        kind_fits = inspect.isclass(value) or inspect.isroutine(value)
        published = name[:1] != "_" and (listed is not None or _owns(module, value))
        if kind_fits and published and _documented(value):
            yield (name if path == "builtins" else f"{path}.{name}"), value


def _owns(module: ModuleType, value: object) -> bool:
    """Say whether a value is the module's own, or comes from its private implementation in C."""
    owner = getattr(value, "__module__", None) or ""
    return owner == module.__name__ or owner.startswith("_") or module.__name__ == "builtins"


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the documented public methods and properties of the class and its private bases."""
    private = [base for base in cls.__mro__ if base is cls or base.__name__.startswith("_")]
    for name, value in [item for base in private for item in vars(base).items()]:
        member = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        usable = inspect.isroutine(member) or isinstance(member, property)
        if not name.startswith("_") and usable and _documented(member):
            yield name, member


def _documented(value: object) -> bool:
    """Say whether the docstring is the object's own words, not its type's."""
    docstring = getattr(value, "__doc__", None)
    return isinstance(docstring, str) and docstring != type(value).__doc__


class _Unsaid:
    def __repr__(self) -> str:
        return "..."


def _signature(value: object) -> str:
    """Write a signature; of defaults that are no constants, say only that they are there.

    Some hold an address in memory, and those of `cgi` the whole environment, secrets included.
    """
    try:
        signature = inspect.signature(value) if callable(value) else None
    except (TypeError, ValueError, AttributeError, NameError):  # many builtins do not tell
        return ""
    if signature is None:
        return ""
    parameters = [
        p if _is_constant(p.default) else p.replace(default=_Unsaid())
        for p in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters))


def _is_constant(default: object) -> bool:
    if isinstance(default, tuple):
        return all(map(_is_constant, default))
    return isinstance(default, _PLAIN) or (type(default) in (list, dict) and not default)
