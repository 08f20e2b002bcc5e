"""From the words of a command line to the values of the library."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vecpress.artifact import check_replaceable
from vecpress.budget import parse_budget
from vecpress.corpus import read_corpus
from vecpress.encoders.precomputed import SUFFIXES, open_vectors
from vecpress.errors import ConfigError
from vecpress.recipe import Documents, Recipe


def words(text: str) -> list[str]:
    """Cut a list at its commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def read_budgets(text: str) -> list[int]:
    """Read budgets such as 32,64,128."""
    budgets = [parse_budget(word) for word in words(text)]
    if not budgets:
        raise ConfigError(f"give at least one budget, such as 32,64,128; got {text!r}")
    return budgets


def read_recipe(
    path: Path | None,
    *,
    models: str = "",
    weights: str = "",
    head: str = "",
    dim: int | None = None,
    bits: int | None = None,
) -> Recipe:
    """Join the recipe file, if any, with what the command line says; the command line wins."""
    recipe = Recipe() if path is None else Recipe.from_toml(path)
    values = recipe.to_dict()
    if models:
        values["models"] = words(models)
    if weights:
        try:
            values["weights"] = [float(word) for word in words(weights)]
        except ValueError as error:
            raise ConfigError(f"weights are numbers such as 1,0.5, got {weights!r}") from error
    if dim is not None:
        before = values.get("head", {"kind": "power-pca"})
        kept = before if head in ("", before["kind"]) else {"kind": head}
        values["head"] = {**kept, "dim": dim}
    elif head:
        raise ConfigError(f"--head {head} needs a width too: --dim 256")
    if bits is not None:
        before = values.get("quantizer", {})
        kept = before if before.get("kind") == "percentile" else {"kind": "percentile"}
        values["quantizer"] = {**kept, "bits": bits}
    return Recipe.from_dict(values)


def open_documents(path: str, *, vectors: bool) -> tuple[Documents, Sequence[str]]:
    """Open a corpus as the vectors or the texts that the press takes."""
    file = Path(path)
    absent = path != "-" and not file.exists()
    if vectors and (absent or (file.suffix in SUFFIXES and not file.is_dir())):
        opened = open_vectors(path)
        return opened.array, opened.ids
    if vectors:
        raise ConfigError(
            f"{'stdin' if path == '-' else path} holds texts, and there is no model to encode "
            "them: fit with some, such as --models minilm,wordllama, or give vectors as .npy, "
            ".npz or .parquet"
        )
    if file.suffix in (".npy", ".npz") and not absent:
        raise ConfigError(
            f"{path} holds vectors, which models cannot encode: give texts, or fit without --models"
        )
    corpus = read_corpus(path)
    return corpus, corpus.ids


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Say it before the work, not after."""
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists: choose another name, or add --overwrite")
    check_replaceable(out)
    home = next(folder for folder in out.absolute().parents if folder.exists())
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise ConfigError(f"cannot write {out}: {home} is not a folder to write into")


def read_query(query: str) -> str:
    """Take a query as it was typed, or from stdin (`-`).

    Raises:
        ConfigError: it is empty, or not text.
    """
    try:
        text = sys.stdin.read().strip() if query == "-" else query
        text.encode()
    except UnicodeError as error:
        raise ConfigError(f"the query is not UTF-8 text: {error}") from error
    if not text.strip():
        raise ConfigError(f"a query must hold at least one word, got {text!r}")
    return text
