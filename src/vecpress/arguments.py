"""From the words of a command line to the values of the library."""

from collections.abc import Sequence
from pathlib import Path

from vecpress.corpus import read_corpus
from vecpress.encoders.precomputed import SUFFIXES, open_vectors
from vecpress.errors import ConfigError
from vecpress.recipe import Documents, Recipe


def words(text: str) -> list[str]:
    """Cut a list at its commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


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
    if vectors and not Path(path).is_dir() and Path(path).suffix in SUFFIXES:
        opened = open_vectors(path)
        return opened.array, opened.ids
    if vectors:
        raise ConfigError(
            f"{path} holds texts: say what encodes them, such as --models minilm,wordllama; or "
            "give vectors as .npy, .npz or .parquet"
        )
    if Path(path).suffix in (".npy", ".npz"):
        raise ConfigError(f"{path} holds vectors, which take no models: leave --models out")
    corpus = read_corpus(path)
    return corpus, corpus.ids


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Say it before the work, not after."""
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists: choose another name, or add --overwrite")
