"""What the verbs fit, encode and index do with a corpus that is read in parts."""

from dataclasses import replace
from pathlib import Path

from vecpress import arguments, screen
from vecpress.bounded import check_memory, draw_within
from vecpress.bulk import write_index, write_shards
from vecpress.draws import Drawn
from vecpress.errors import ConfigError
from vecpress.limits import parse_memory
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe
from vecpress.shards import Format
from vecpress.streams import Stream, open_stream


def takes_shards(out: Path, *, memory: str, format: Format | None) -> bool:
    """Say whether `encode` writes a folder of shards.

    Raises:
        ConfigError: it writes one file, and an option takes a folder.
    """
    if out.suffix not in (".npy", ".parquet") and (out.is_dir() or not out.suffix):
        return True
    for option in ("--memory" if memory else "", "--format" if format else ""):
        if option:
            raise ConfigError(
                f"{option} goes with shards in a folder, got the file {out}: give --out a name "
                f"without an ending, such as {out.stem}"
            )
    return False


def draw_for_fit(
    asked: Recipe,
    corpus: str,
    memory: str,
    *,
    press: Pipeline | None,
    whole: dict[str, Path | None],
    seed: int,
    by_budget: bool,
) -> tuple[Recipe, Drawn]:
    """Draw what is fitted on, and say so where the memory makes it less than was asked for.

    Raises:
        ConfigError: there is too little memory, or an option needs all documents at once.
    """
    for option, value in whole.items():
        if value is not None:
            raise ConfigError(
                f"{option} {value} needs all documents at once, so it takes no --memory: leave "
                "one of them out"
            )
    if press is not None:
        asked = replace(asked, models=press.recipe.models, weights=press.recipe.weights)
    stream = open_stream(corpus, vectors=not asked.models)
    limit = parse_memory(memory)
    recipe, drawn = draw_within(asked, stream, limit, seed=seed, by_budget=by_budget)
    if recipe.sample < min(asked.sample, drawn.number):
        screen.ERR.print(
            f"--memory {memory} leaves room to fit on {recipe.sample:,} documents instead of "
            f"{min(asked.sample, drawn.number):,}",
            markup=False,
            soft_wrap=True,
        )
    return recipe, drawn


def encode_shards(
    press: Path,
    corpus: str,
    out: Path,
    *,
    memory: str,
    floats: bool,
    format: Format | None,
    overwrite: bool,
) -> None:
    """Write shards, or go on writing them, and say what is there."""
    arguments.refuse_existing(out, overwrite=True)
    pipeline, stream = _open(press, corpus, memory)
    with screen.progress() as progress:
        manifest = write_shards(
            pipeline,
            stream,
            out,
            floats=floats,
            format=format or "npy",
            overwrite=overwrite,
            progress=progress,
        )
    header = manifest.header
    number = len(manifest.shards)
    screen.say(
        f"{out}: {header.documents} x {header.width} {header.dtype} in {number} "
        f"{'shard' if number == 1 else 'shards'}"
    )


def index_stream(press: Path, corpus: str, out: Path, *, memory: str, overwrite: bool) -> None:
    """Write an index, or go on writing it, and say what is there."""
    pipeline, stream = _open(press, corpus, memory, is_indexed=True)
    with screen.progress() as progress:
        number = write_index(pipeline, stream, out, overwrite=overwrite, progress=progress)
    screen.indexed(pipeline, out=str(out), documents=number)


def _open(
    press: Path, corpus: str, memory: str, *, is_indexed: bool = False
) -> tuple[Pipeline, Stream]:
    """Open a press, whose encoders do not remember, and a corpus; check that memory suffices."""
    limit = parse_memory(memory) if memory else None
    pipeline = Pipeline.load(press)
    stream = open_stream(corpus, vectors=pipeline.encoder is None)
    if limit is not None:
        check_memory(pipeline, stream, limit, is_indexed=is_indexed)
    return pipeline, stream
