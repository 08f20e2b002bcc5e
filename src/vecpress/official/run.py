"""The run of a pipeline on MTEB tasks, and MTEB's own record of it.

MTEB takes seconds to import, so nothing here imports it before a run is asked for.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecpress import registry
from vecpress.errors import ArtifactError, ConfigError
from vecpress.pipeline import Pipeline
from vecpress.stages import Progress, silent


def run_tasks(
    door: Any,
    words: Sequence[str],
    *,
    split: str = "test",
    out: Path | None = None,
    progress: Progress = silent,
) -> Any:
    """Score a pipeline on MTEB tasks; give MTEB's own `ModelResult`.

    Args:
        door: What `open_door` gave.
        words: Names of MTEB's tasks, and paths of BEIR folders.
        split: Of the folders' judgements; MTEB's own tasks have splits of their own.
        out: Folder for MTEB's result files; a task whose results it holds is not run again.
        progress: Told about tasks.

    Raises:
        MissingExtraError: mteb is not installed.
        ConfigError: door and tasks do not fit each other, or a task is unknown.
        DataError: a task's data cannot be had.
        ArtifactError: `out` cannot be written, or holds results of a task on other data.
    """
    mteb = registry.require("mteb", extra="eval")
    from vecpress.official import tasks  # not before: a missing mteb then has its sentence

    found = tasks.find_tasks(words, split=split)
    for task in found:
        tasks.check_task(task, door=door.kind, split=split)
    held = [_is_held(out, task, door.mteb_model_meta) for task in found]
    results = []
    for done, task in enumerate(found):
        progress("evaluating", done, len(found))
        if not held[done]:
            tasks.load(task)
        cache = None if out is None else _cache(out)
        with tasks.without_bars():
            run = mteb.evaluate(door, task, cache=cache, co2_tracker=False, show_progress_bar=False)
        tasks.unload(task)
        results.extend(run.task_results)
        progress("evaluating", done + 1, len(found))
    return mteb.results.ModelResult(
        model_name=door.mteb_model_meta.name,
        model_revision=door.mteb_model_meta.revision,
        task_results=results,
        experiment_name=door.mteb_model_meta.experiment_name,
    )


def open_door(
    pipeline: Pipeline,
    door: str,
    *,
    dim: int | None = None,
    rescore: int | None = None,
    progress: Progress = silent,
) -> Any:
    """Make the pipeline an MTEB model.

    Args:
        pipeline: With models; with a codec for the search door.
        door: "search" ranks by codes; "encoder" gives MTEB floats, for tasks of any kind.
        dim: Dimensions of those floats; None keeps all.
        rescore: How many of the best hits are ordered anew by the raw floats; None for none.
        progress: Told about quantizing.

    Raises:
        ConfigError: there is no such door, or the pipeline does not fit through it.
    """
    if door not in ("search", "encoder"):
        raise ConfigError(f"a door is search or encoder, got {door!r}")
    if door == "search" and dim is not None:
        raise ConfigError(
            f"the search door takes the codes as they are, got dim {dim}: a codec does not fit "
            "fewer dimensions, so fit a press with them, or add --door encoder for floats"
        )
    if door == "encoder" and rescore is not None:
        raise ConfigError(
            f"the encoder door gives floats, which need no rescoring, got rescore {rescore}: leave "
            "it out, or take the search door"
        )
    registry.require("mteb", extra="eval")
    from vecpress.official import doors

    if door == "encoder":
        return doors.EncoderDoor(pipeline, dim=dim)
    return doors.SearchDoor(pipeline, rescore=rescore, progress=progress)


def plain(result: Any) -> dict[str, Any]:
    """Give MTEB's record as plain values; a score that is not a number becomes None."""
    return json.loads(result.model_dump_json())


def _cache(out: Path) -> Any:
    """Open a folder of MTEB's result files; MTEB makes it if it is not there."""
    try:
        return registry.require("mteb", extra="eval").ResultCache(out)
    except OSError as error:
        raise ArtifactError(f"cannot write MTEB's results to {out}: {error}") from error


def _is_held(out: Path | None, task: Any, meta: Any) -> bool:
    """Say whether all results of a task are there; MTEB itself does not ask on which data."""
    if out is None or not out.exists():
        return False
    cache, name = _cache(out), task.metadata.name
    path = cache.get_task_result_path(name, meta)
    try:
        found = cache.load_task_result(name, meta)
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is damaged: remove it, to run {name} again") from error
    if found is None:
        return False
    if found.dataset_revision != task.metadata.revision:
        raise ArtifactError(
            f"{path} holds results of {name} on other data, revision {found.dataset_revision} and "
            f"not {task.metadata.revision}: choose another folder, or remove that file"
        )
    return not found.get_missing_evaluations(task)
