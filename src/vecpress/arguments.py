"""From the words of a command line to the values of the library."""

import os
import shlex
import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.budget import parse_budget
from vecpress.comparison import Trained
from vecpress.corpus import Benchmark, Corpus, read_corpus
from vecpress.encoders.precomputed import SUFFIXES, Vectors
from vecpress.encoders.vector_files import is_shards, open_vectors
from vecpress.errors import ConfigError, VecpressError
from vecpress.extend import continuing
from vecpress.fitting import learns_from_pairs
from vecpress.folders import check_replaceable
from vecpress.images import SUFFIXES as SUFFIXES_OF_IMAGES
from vecpress.pairs import Pairs, read_pairs
from vecpress.recipe import Documents, Recipe
from vecpress.stages import Image, Item, Log, unlogged
from vecpress.tracking import tensorboard


def words(text: str) -> list[str]:
    """Cut a list at its commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def read_budgets(text: str) -> list[int]:
    """Read budgets such as 32,64,128."""
    budgets = [parse_budget(word) for word in words(text)]
    if not budgets:
        raise ConfigError(f"give at least one budget, such as 32,64,128; got {text!r}")
    return list(dict.fromkeys(budgets))


def typed(verb: str, *words: str, **options: str) -> str:
    """Write a command as a user would type it; options that say nothing are left out."""
    given = [part for name, value in options.items() if value for part in (f"--{name}", value)]
    return shlex.join(["vecpress", verb, *words, *given])


def read_seeds(text: str) -> list[int]:
    """Read seeds such as 0,1,2."""
    given = words(text)
    if not given or not all(word.isdecimal() and int(word) < 2**32 for word in given):
        raise ConfigError(f"seeds are whole numbers from 0 to {2**32 - 1}, got {text!r}")
    return list(dict.fromkeys(int(word) for word in given))


def check_results(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder to write results to that holds something else.

    Raises:
        ConfigError: it does, and `overwrite` is false.
    """
    is_ours = out.is_dir() and ((out / "results.jsonl").is_file() or not any(out.iterdir()))
    if not is_ours:
        refuse_existing(out, overwrite=overwrite)


def read_recipe(
    path: Path | None,
    *,
    models: str = "",
    weights: str = "",
    head: str = "",
    dim: int | None = None,
    bits: int | None = None,
    press: Recipe | None = None,
) -> Recipe:
    """Join the recipe file, if any, with what the command line says; the command line wins.

    A width without a method means power-scaled PCA, or what continues the recipe of a `press`.
    """
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
        before = values.get("head") or ({"kind": head} if head else _method(press, dim))
        kept = before if head in ("", before["kind"]) else {"kind": head}
        values["head"] = {**kept, "dim": dim}
    elif head:
        raise ConfigError(f"--head {head} needs a width too: --dim 256")
    if bits is not None:
        before = values.get("quantizer", {})
        kept = before if before.get("kind") == "percentile" else {"kind": "percentile"}
        values["quantizer"] = {**kept, "bits": bits}
    return Recipe.from_dict(values)


def _method(press: Recipe | None, dim: int) -> dict[str, Any]:
    if press is None:
        return {"kind": "power-pca"}
    return registry.describe(registry.COMPRESSORS, continuing(press, dim))


def check_fit(
    asked: Recipe, *, budget: str, continued: Path | None, out: Path, explain: bool = False
) -> None:
    """Refuse options of `fit` that contradict each other, or that would go unused.

    Raises:
        ConfigError: they do.
    """
    if continued is not None:
        if budget:
            raise ConfigError(
                "--budget chooses a head from the start: to continue a press give its new width "
                "instead, --dim 32, and --bits 4 for codes"
            )
        if asked.head is None:
            raise ConfigError(f"to continue {continued} give its new width: --dim 32")
        if out.resolve() == continued.resolve():
            raise ConfigError(
                f"{out} is the press that is continued, and stays as it is: choose another --out"
            )
    if explain and not budget:
        raise ConfigError("--explain shows what was tried for a budget: give --budget 64B, say")
    if budget:
        parse_budget(budget)
    if continued is None and bool(budget) == (
        asked.quantizer is not None or asked.head is not None
    ):
        raise ConfigError("give either --budget, or --dim and --bits, or a --recipe with both")


def open_documents(path: str, *, vectors: bool) -> tuple[Documents, Sequence[str]]:
    """Open a corpus as the vectors or the texts that the press takes."""
    file = Path(path)
    absent = path != "-" and not file.exists()
    if vectors and (absent or is_shards(file) or (file.suffix in SUFFIXES and file.is_file())):
        return open_vectors(path)
    if vectors:
        what, models = "texts", "minilm,wordllama"
        if file.is_dir() and not (file / "corpus.jsonl").exists():
            what, models = "images", "clip-vit-b-32"
        raise ConfigError(
            f"{'stdin' if path == '-' else path} holds {what}, and there is no model to encode "
            f"them: fit with some, such as --models {models}, or give vectors as .npy, .npz or "
            ".parquet"
        )
    if file.suffix in (".npy", ".npz") and not absent:
        raise ConfigError(
            f"{path} holds vectors, which models cannot encode: give texts, or fit without --models"
        )
    corpus = read_corpus(path)
    return corpus, corpus.ids


def open_texts(path: str) -> Corpus:
    """Open a corpus of texts or images.

    Raises:
        ConfigError: it holds vectors.
    """
    documents, _ = open_documents(path, vectors=False)
    assert isinstance(documents, Corpus)
    return documents


def open_pairs(
    path: Path | None,
    documents: Documents,
    ids: Sequence[str],
    *,
    split: str,
    queries: Path | None,
) -> Pairs | None:
    """Read judgements of the documents, if any are given.

    Raises:
        ConfigError: there are vectors of queries, but no judgements; or a split, but no folder.
    """
    if split and (path is None or not path.is_dir()):
        raise ConfigError(
            f"--split {split} is one of a folder's: give the folder with --pairs, got "
            f"{path or 'none'}"
        )
    if path is None:
        if queries is not None:
            raise ConfigError(
                f"{queries} holds queries without judgements: say with --pairs what answers them"
            )
        return None
    named = documents if isinstance(documents, Corpus) else Vectors(documents, ids)
    asked = None if queries is None else open_vectors(queries)
    return read_pairs(path, named, split=split or "train", queries=asked)


def read_trained(
    heads: str,
    folder: Path,
    benchmark: Benchmark,
    *,
    scored: str,
    split: str,
    elsewhere: bool = False,
) -> Trained:
    """Give the heads to train, and judgements of queries that are not scored, if any learns so.

    Raises:
        ConfigError: judgements are asked for that are scored, or that no head learns from.
    """
    kinds = words(heads)
    learn = [k for k in kinds if learns_from_pairs(registry.load(registry.COMPRESSORS, k))]
    if split == scored:
        raise ConfigError(
            f"the judgements of the split {split!r} score, so nothing may learn from them: give "
            "another --pairs-split"
        )
    if split and not learn:
        raise ConfigError(
            f"no head learns from the judgements of the split {split!r}: give one that does, such "
            "as --heads smec, or leave --pairs-split out"
        )
    there = (folder / "qrels" / "train.tsv").exists() and scored != "train" and not elsewhere
    if not learn or not (split or there):
        return Trained(heads=kinds)
    pairs = read_pairs(folder, benchmark.corpus, split=split or "train")
    return Trained(heads=kinds, pairs=pairs.without(benchmark.queries.texts))


@contextmanager
def open_log(report_to: str, out: Path) -> Generator[Log]:
    """Open what training is drawn in, beside what is written.

    Raises:
        ConfigError: it is not TensorBoard.
    """
    if report_to not in ("", "tensorboard"):
        raise ConfigError(f"--report-to takes tensorboard, got {report_to!r}")
    if not report_to:
        yield unlogged
        return
    if beside(out).exists():
        raise ConfigError(f"{beside(out)} exists: remove it, or choose another name for {out}")
    try:
        with tensorboard(beside(out)) as log:
            yield log
    except VecpressError:
        shutil.rmtree(beside(out), ignore_errors=True)
        raise


def beside(out: Path) -> Path:
    """Name the folder that TensorBoard reads."""
    return out.with_name(f"{out.name}.tensorboard")


def refuse_existing(out: Path, *, overwrite: bool, file: bool = False) -> None:
    """Say it before the work, not after."""
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists: choose another name, or add --overwrite")
    if not file:
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


def as_item(query: str) -> Item:
    """Take the name of an image that is there as the image, and anything else as a text.

    Raises:
        ConfigError: it names a file of vectors, or an image that is not there.
    """
    there, names_image = Path(query).is_file(), query.lower().endswith(SUFFIXES_OF_IMAGES)
    if there and Path(query).suffix in SUFFIXES:
        raise ConfigError(f"this index takes texts or images, got a file of vectors: {query}")
    if names_image and not there and len(query.split()) == 1:
        raise ConfigError(f"there is no image {query}: give its path, or a text of several words")
    return Image(query) if there and names_image else query
