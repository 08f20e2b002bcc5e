"""Methods x budgets on one benchmark: every row scored on the same embeddings and queries."""

from collections.abc import Callable, Mapping
from typing import Any

from vecpress.bench import Bench, Fits
from vecpress.comparison import Comparison, jobs
from vecpress.corpus import Benchmark
from vecpress.errors import ConfigError
from vecpress.row import Row
from vecpress.stages import Progress, silent


def compare(
    benchmark: Benchmark,
    comparison: Comparison,
    *,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    keep: Callable[[Row], None] | None = None,
    fits: Fits | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Score single models, their concatenation, and compressed forms of it at each budget.

    Heads and quantizers are fitted on the benchmark's documents, or on `comparison.fit_on`; its
    judgements only score, except that the best single model is told by them: that is kind to the
    baseline. Heads that can learn from judgements learn from those of other queries, if given.

    Args:
        benchmark: The data.
        comparison: What is compared.
        known: Results of earlier runs by their key, which are not run again.
        keep: Told each new row as soon as it is there.
        fits: Filled with all that is fitted; given again for another benchmark, what was fitted on
            the same texts is not fitted twice.
        progress: Told about encoding, choosing and training, and about rows.

    Raises:
        ConfigError: the recipe has no models, a head is unknown, or judgements are given for
            documents that nothing is fitted on.
    """
    if comparison.fit_on is not None and comparison.trained.pairs is not None:
        raise ConfigError(
            f"the judgements are of the documents of {benchmark.name}, but heads are to be fitted "
            f"on {comparison.fit_on.name}: leave one out"
        )
    rows: list[Row] = []
    fits = {} if fits is None or comparison.fit_on is None else fits
    for number, seed in enumerate(comparison.seeds):
        bench = Bench.of(benchmark, comparison, seed=seed, fits=fits, progress=progress)
        todo = list(
            jobs(
                comparison,
                widths=bench.widths,
                best=bench.best,
                documents=len(bench.texts),
                is_first=number == 0,
            )
        )
        for done, job in enumerate(todo):
            key = bench.key(job)
            if known is not None and key in known:
                row = Row.from_dict(known[key])
            else:
                progress(f"comparing on {benchmark.name}, {job.method}", done, len(todo))
                row = bench.run(job, key)
                if keep is not None:
                    keep(row)
            if job.group == "chosen":
                bench.chosen[job.budget] = row
            rows.append(row)
        progress(f"comparing on {benchmark.name}", len(todo), len(todo))
    return rows
