"""What is run: MTEB's own tasks by name, and BEIR folders as tasks of the same kind."""

import difflib
import hashlib
import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import mteb
from mteb.abstasks import AbsTask, AbsTaskRetrieval
from mteb.abstasks.aggregated_task import AbsTaskAggregate
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.get_tasks import TASK_LIST

from vecpress.corpus import Benchmark, Corpus, read_benchmark
from vecpress.errors import ConfigError, DataError
from vecpress.stages import Image


class FolderTask(AbsTaskRetrieval):
    """Texts and judgements somebody already has, as an MTEB retrieval task called `local-NAME`.

    Texts are those of the benchmark, so a title stands before its text as everywhere here. The
    query's own document (ArguAna) is no answer, exactly where `Benchmark.own_documents` says so.
    """

    def __init__(self, benchmark: Benchmark, *, split: str = "test") -> None:
        """Take a benchmark whose judgements are of `split`.

        Raises:
            DataError: it holds images.
        """
        for item in (*benchmark.corpus.texts, *benchmark.queries.texts):
            if isinstance(item, Image):
                raise DataError(
                    f"{benchmark.name} holds images such as {item}, but is to be an MTEB task of "
                    "texts: leave out --mteb"
                )
        self.metadata = _metadata(benchmark, split)
        super().__init__()
        self.benchmark = benchmark
        self.ignore_identical_ids = bool(benchmark.own_documents())

    def load_data(self, num_proc: int | None = None, **context: Any) -> None:
        """Lay out the texts as MTEB's tasks do."""
        if self.data_loaded:
            return
        names = self._names()
        data = self.benchmark
        parts = RetrievalSplitData(
            corpus=_rows(data.corpus.ids, data.corpus),
            queries=_rows([names[id_] for id_ in data.queries.ids], data.queries),
            relevant_docs={names[id_]: dict(judged) for id_, judged in data.qrels.items()},
            top_ranked=None,
        )
        self.dataset = {"default": {self.metadata.eval_splits[0]: parts}}
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the layout; `load_data` makes it again."""
        self.dataset, self.data_loaded = {}, False

    def _names(self) -> dict[str, str]:
        """Name each query; one that has a document's id by chance is renamed.

        Where MTEB takes out a query's own document, it takes out whatever has the query's id.
        """
        ids = self.benchmark.queries.ids
        if not self.ignore_identical_ids:
            return {id_: id_ for id_ in ids}
        taken = {*ids, *self.benchmark.corpus.ids}
        others = set(self.benchmark.corpus.ids) - self.benchmark.own_documents()
        names = {}
        for id_ in ids:
            name = id_
            while id_ in others and name in taken:
                name = f"query {name}"
            names[id_] = name
        return names


def find_tasks(words: Sequence[str], *, split: str = "test") -> list[AbsTask]:
    """Give MTEB's tasks by name, and BEIR folders by path, in the order asked for.

    A name that MTEB knows is MTEB's task, even where a folder has the same: write `./NAME` for
    the folder.

    Args:
        words: Names and paths.
        split: Of the folders' judgements; MTEB's own tasks have splits of their own.

    Raises:
        ConfigError: there is none, two are called the same, or a name is neither.
        DataError: a folder cannot be used.
    """
    tasks = [_find(word, split) for word in words]
    names = [task.metadata.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two of the tasks are called {twice!r}: give it once, or rename one")
    if not tasks:
        raise ConfigError("give at least one MTEB task, such as SciFact, or the path of a folder")
    return tasks


def _find(word: str, split: str) -> AbsTask:
    known = {task.metadata.name for task in TASK_LIST}
    if word in known:
        return mteb.get_task(word)
    if Path(word).is_dir():
        return FolderTask(read_benchmark(word, split=split), split=split)
    by_small = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_small, n=3)
    meant = f"did you mean {', '.join(by_small[name] for name in near)}? " if near else ""
    raise ConfigError(
        f"{word!r} is neither a task of MTEB nor a folder: {meant}A local BEIR folder is given by "
        "its path"
    )


def check_task(task: AbsTask, *, door: str, split: str) -> None:
    """Refuse, before anything is run, a task that cannot be run so.

    Raises:
        ConfigError: it is not of texts, is no retrieval task though the door is search, or is
            MTEB's own though a split is asked for.
    """
    name = task.metadata.name
    if split != "test" and not isinstance(task, FolderTask):
        raise ConfigError(
            f"the MTEB task {name!r} has splits of its own, got split {split!r}: only a folder's "
            "can be chosen"
        )
    for part in _parts(task):
        others = sorted(set(part.metadata.modalities) - {"text"})
        if others:
            raise ConfigError(
                f"the MTEB task {name!r} holds {', '.join(others)}, but a press is measured on "
                "texts: leave it out"
            )
        if door == "search" and not isinstance(part, AbsTaskRetrieval):
            raise ConfigError(
                f"the MTEB task {name!r} is of type {part.metadata.type}, which searching does not "
                "answer: add --door encoder"
            )


def load(task: AbsTask) -> None:
    """Fetch the data of a task.

    Raises:
        DataError: the hub cannot be reached, or does not give it.
    """
    name = task.metadata.name
    for part in _parts(task):
        try:
            part.load_data()
        except OSError as error:
            raise DataError(
                f"the data of the MTEB task {name!r} cannot be had ({error}): run this where the "
                "Hugging Face hub can be reached, or give a BEIR folder that you have with the "
                f"same flag: --mteb path/to/{name.lower()}"
            ) from error


def unload(task: AbsTask) -> None:
    """Free the data of a task."""
    for part in _parts(task):
        if part.data_loaded:
            part.unload_data()


@contextmanager
def without_bars() -> Generator[None]:
    """Keep the progress bars of `datasets` from being drawn, and put them back afterwards."""
    drawn = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if drawn:
            datasets.enable_progress_bars()


def _parts(task: AbsTask) -> Sequence[AbsTask]:
    """Give the tasks of an aggregate, such as CQADupstackRetrieval."""
    return task.metadata.tasks if isinstance(task, AbsTaskAggregate) else [task]


def _rows(ids: Sequence[str], texts: Corpus) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"id": list(ids), "text": list(texts.texts)})


def _metadata(benchmark: Benchmark, split: str) -> TaskMetadata:
    """Describe a folder as MTEB does its tasks; the digest of its content is the revision."""
    content = [benchmark.corpus.digest, benchmark.queries.digest, benchmark.qrels]
    revision = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
    name = f"local-{benchmark.name}" if split == "test" else f"local-{benchmark.name}-{split}"
    return TaskMetadata(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", name),  # MTEB names files so
        description=f"The BEIR folder {benchmark.name}.",
        reference=None,
        dataset={"path": f"local/{benchmark.name}", "revision": revision},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[split],
        eval_langs=["und-Zyyy"],  # ISO's words for what nobody has determined
        main_score="ndcg_at_10",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation="",
    )
