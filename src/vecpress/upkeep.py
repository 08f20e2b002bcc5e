"""Change a saved index where it lies: add documents, delete some, compact it.

Each change is one step: who opens the index finds it as it was before or as it is after, also
when the writer is killed in between. Writers take turns; readers need not care.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jaxtyping import Float32

from vecpress import manifest
from vecpress.arrays import Array
from vecpress.errors import ArtifactError, MismatchError, VecpressError
from vecpress.folders import locked
from vecpress.index import Index
from vecpress.partitioning import check_lists
from vecpress.partitioning import partition as make_lists
from vecpress.segments import Segment, check_living
from vecpress.stages import Progress, silent

ADD = "code what is added by the press that made it"


def add(folder: str | Path, documents: Index) -> None:
    """Add to a saved index what another one of the same pipeline holds, as another segment.

    Args:
        folder: An index.
        documents: Such as `Pipeline.index` makes of a corpus.

    Raises:
        ArtifactError: the folder is no index, is damaged, is being written by another process for
            long, or cannot be written.
        MismatchError: the documents were coded by another pipeline.
        DataError: one of their ids is in the index; or only one of the two has snippets.
    """
    with _change(Path(folder)) as (root, listed, index):
        check_press(index, documents.fingerprint, advice=ADD)
        made = index.with_segment(Segment.join(documents.segments)).segments[-1]
        generation = listed["generation"] + 1
        written = manifest.write_segment(root, f"{generation}-0", [made])
        manifest.write(root, generation, index.fingerprint, [*listed["segments"], written])


def delete(folder: str | Path, ids: Sequence[str]) -> None:
    """Delete documents from a saved index; their bytes go when it is compacted.

    Raises:
        ArtifactError: what is said at `add`.
        DataError: an id is not in the index; then none is deleted.
    """
    with _change(Path(folder)) as (root, listed, index):
        generation, segments = listed["generation"] + 1, []
        left = index.delete(ids).segments
        for old, before, after in zip(listed["segments"], index.segments, left, strict=True):
            if after is not before:
                name = f"deleted-{generation}"
                segments.append(manifest.write_deleted(root, old, after, name=name))
            else:
                segments.append(old)
        manifest.write(root, generation, index.fingerprint, segments)


def compact(folder: str | Path) -> None:
    """Write the documents of a saved index anew, in one piece and without the deleted ones.

    They are in lists no more; `partition` compacts too, and makes new ones. Reads every byte, and
    compares it with what was saved.

    Raises:
        ArtifactError: what is said at `add`.
        DataError: all documents were deleted.
    """
    with _change(Path(folder), verify=True) as (root, listed, index):
        check_living(index.segments)
        generation = listed["generation"] + 1
        written = manifest.write_segment(root, f"{generation}-0", index.segments)
        manifest.write(root, generation, index.fingerprint, [written])


def partition(
    folder: str | Path,
    *,
    lists: int | None = None,
    queries: Float32[Array, "q d"] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Write a saved index anew, compacted and in lists, so that a search need not read it all.

    Fails as `compact` and `vecpress.partitioning.partition` do, which tells about the options.
    """
    before = Index.load(folder)
    check_lists(lists, len(before))
    if len(before.segments) > 1 or before.segments[0].dead is not None:
        compact(folder)
    with _change(Path(folder)) as (root, listed, index):
        if len(listed["segments"]) > 1 or index.segments[0].dead is not None:
            raise ArtifactError(f"{folder} was changed meanwhile by another process: try again")
        made, order = make_lists(
            index.codec, index.codes, lists=lists, queries=queries, seed=seed, progress=progress
        )
        generation = listed["generation"] + 1
        written = manifest.write_segment(root, f"{generation}-0", index.segments, order=order)
        written = manifest.write_partition(root, written, made)
        manifest.write(root, generation, index.fingerprint, [written])


def check_press(index: Index, fingerprint: str, *, advice: str) -> None:
    """Make sure that an index was made by a pipeline.

    Raises:
        MismatchError: it was made by another one.
    """
    if index.fingerprint != fingerprint:
        raise MismatchError(
            f"the index was made by the press {index.fingerprint}, this one is {fingerprint}: "
            f"{advice}, or index again"
        )


@contextmanager
def _change(
    root: Path, *, verify: bool = False
) -> Generator[tuple[Path, manifest.Manifest, Index]]:
    """Open an index for the only writer; remove what others left behind, before and after."""
    manifest.read(root)  # no lock is put into a folder that is no index
    try:
        with locked(root):
            listed = manifest.read(root)
            manifest.remove_leftovers(root, listed)
            try:
                yield root, listed, Index.load(root, verify=verify)
            finally:
                manifest.remove_leftovers(root, manifest.read(root))
    except VecpressError:
        raise
    except OSError as error:
        raise ArtifactError(f"cannot write {root}: {error}") from error
