"""The verbs for an index that is there: index --add, delete, compact, partition, check."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vecpress import arguments, options, screen, upkeep
from vecpress.errors import ConfigError
from vecpress.index import Index
from vecpress.pipeline import Pipeline
from vecpress.strings import Numbers

_Index = Annotated[Path, typer.Argument(metavar="INDEX", help="What `index` made.")]
_Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Which; - for stdin, one on each line.")
]


def check_add(*, memory: str, overwrite: bool) -> None:
    """Refuse options of `index` that contradict --add.

    Raises:
        ConfigError: one does.
    """
    for option, given in (("--memory", memory), ("--overwrite", overwrite)):
        if given:
            raise ConfigError(f"--add changes the index that is there: leave out {option}")


def add(press: Path, corpus: str, out: Path, *, cache: Path) -> None:
    """Code a corpus and add it to an index; what cannot be added is said before it is coded.

    Raises:
        MismatchError: another press made the index.
        ConfigError: the corpus is one of vectors without ids.
        DataError: an id is already in the index.
    """
    pipeline, opened = Pipeline.load(press), Index.load(out)
    upkeep.check_press(opened, pipeline.fingerprint, advice=upkeep.ADD)
    documents, ids = arguments.open_documents(corpus, vectors=pipeline.encoder is None)
    if isinstance(ids, Numbers):
        raise ConfigError(
            f"the vectors of {corpus} have no ids, so nothing tells them from those in {out}: give "
            "an .npz with `ids`, or a .parquet with a column `id`"
        )
    opened.check_new(ids)
    with screen.progress() as progress:
        cached = pipeline.cached(cache, progress=progress)
        made = cached.index(documents, ids=ids, progress=progress)
    upkeep.add(out, made)
    total = len(Index.load(out))
    screen.say(f"{out}: {len(made)} documents added, {total} in all")


def delete(index: _Index, ids: _Ids) -> None:
    """Delete documents from an index; their bytes go when it is compacted."""
    named = _lines(sys.stdin.read()) if ids == ["-"] else list(dict.fromkeys(ids))
    upkeep.delete(index, named)
    screen.say(f"{index}: {len(named)} documents deleted, {len(Index.load(index))} left")
    screen.say(f"Next: vecpress compact {index}")


def _lines(text: str) -> Sequence[str]:
    lines = list(dict.fromkeys(line for line in text.splitlines() if line))
    if not lines:
        raise ConfigError("there is no id on stdin: give one on each line")
    return lines


def compact(index: _Index) -> None:
    """Write an index anew in one piece, without the bytes of deleted documents."""
    in_lists = any(segment.partition is not None for segment in Index.load(index).segments)
    upkeep.compact(index)
    screen.say(f"{index}: {len(Index.load(index))} documents in one piece")
    if in_lists:
        screen.say(f"It is in lists no more. Next: vecpress partition {index}")


def partition(
    index: _Index,
    lists: Annotated[
        int | None, typer.Option(help="How many.", show_default="4 x root of the documents")
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Write an index anew in lists of what is near each other, for `search --recall`."""
    with screen.progress() as progress:
        upkeep.partition(index, lists=lists, seed=seed, progress=progress)
    (segment,) = Index.load(index).segments
    sizes = [] if segment.partition is None else segment.partition.sizes
    screen.say(
        f"{index}: {len(segment)} documents in {len(sizes)} lists, {max(sizes)} in the largest"
    )
    screen.say(f"Next: vecpress search {index} ... --recall 0.95")


def check(index: _Index, json: options.Json = False) -> None:
    """Read every byte of an index, and compare it with what was saved."""
    opened = Index.load(index, verify=True)
    if (index / "press").exists():
        press = Pipeline.load(index / "press").fingerprint
        upkeep.check_press(opened, press, advice="put the press back that made it")
    found = {
        "index": str(index),
        "documents": len(opened),
        "deleted": sum(map(len, opened.segments)) - len(opened),
        "segments": len(opened.segments),
        "bytes_per_vector": opened.bytes_per_vector,
        "fingerprint": opened.fingerprint,
    }
    if json:
        screen.dump(found)
    else:
        screen.say(
            f"{index}: whole; {found['documents']} documents at {found['bytes_per_vector']} bytes "
            f"in {found['segments']} segments, and {found['deleted']} deleted ones"
        )
