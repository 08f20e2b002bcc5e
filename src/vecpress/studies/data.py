"""What a study runs on: benchmarks, corpora to fit on, and every text encoded once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vecpress.arrays import Array
from vecpress.corpus import Benchmark, Corpus, read_benchmark, read_corpus
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import concatenate, with_cache
from vecpress.errors import ConfigError, DataError
from vecpress.evaluate import score_floats
from vecpress.recipe import Recipe
from vecpress.row import run_key
from vecpress.sample import sample_rows
from vecpress.stages import Encoder, FittedOnTexts, Progress, TrainingSet, silent
from vecpress.studies.arms import Arm

_HALVES = 0  # seed of the draw of scored queries, and of the halves of the judged documents


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """One benchmark of a study.

    Attributes:
        name: Of its folder.
        scored: The queries that score.
        learned: Other judged queries of the same documents, for heads that learn from them.
        data: Folder that corpora to fit on are found in.
        cache: Folder in which encoders remember; None for none.
        progress: Told about encoding.
    """

    name: str
    scored: Benchmark
    learned: Benchmark | None
    data: Path
    cache: Path | None
    progress: Progress = silent
    _encoded: dict[Any, Array] = field(default_factory=dict)
    _encoders: dict[str, Encoder] = field(default_factory=dict)
    _corpora: dict[str, Corpus] = field(default_factory=dict)
    _raw: dict[str, float] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        name: str,
        *,
        data: Path,
        queries: int | None,
        judgements: bool,
        cache: Path | None,
        progress: Progress = silent,
    ) -> "Ground":
        """Read a benchmark.

        Args:
            name: Of a folder in BEIR layout under `data`.
            data: Folder.
            queries: Most queries that score, drawn once; None for all.
            judgements: Whether some heads learn from judgements: of the split `train`, but for the
                queries that score too, or, where there is none, of the queries about one half of
                the judged documents. Then only the queries about the other half score.
            cache: As in `Ground`.
            progress: As in `Ground`.

        Raises:
            DataError: the folder is not a benchmark, or has too few judgements to halve.
        """
        folder = data / name
        scored, learned = read_benchmark(folder), None
        if judgements and (folder / "qrels" / "train.tsv").is_file():
            learned = _unasked(read_benchmark(folder, split="train"), scored)
        elif judgements:
            learned, scored = _halved(scored)
        return cls(
            name=name,
            scored=_at_most(scored, queries),
            learned=learned,
            data=data,
            cache=cache,
            progress=progress,
        )

    def searched(self, arm: Arm) -> tuple[Float32[Array, "n d"], Float32[Array, "q d"]]:
        """Encode documents and scored queries by the models of an arm."""
        return (
            self._concatenated(arm, self.scored.corpus, "document"),
            self._concatenated(arm, self.scored.queries, "query"),
        )

    def raw_ndcg(self, arm: Arm) -> float:
        """Score the floats of an arm's models, side by side: mean nDCG@10."""
        name = repr((arm.models, arm.weights))
        if name not in self._raw:
            self._raw[name] = float(score_floats(*self.searched(arm), self.scored).ndcg.mean())
        return self._raw[name]

    def training(self, arm: Arm, *, seed: int) -> TrainingSet:
        """Encode what an arm is fitted on.

        Raises:
            ConfigError: the arm learns from judgements, and is to be fitted on other texts.
            DataError: no document that was judged for learning is there.
        """
        if arm.judgements and arm.fit_on != ("documents",):
            raise ConfigError(
                f"arm {arm.name!r} learns from judgements, so it is fitted on the documents that "
                f"were judged, not on {', '.join(arm.fit_on)}"
            )
        parts = []
        for place, name in enumerate(arm.fit_on):
            corpus = self._corpus(name)
            most = arm.sample // len(arm.fit_on)
            rows = sample_rows(len(corpus), most, seed + place)
            parts.append(self._concatenated(arm, corpus, "document")[rows])
        training = TrainingSet(documents=np.concatenate(parts), models=self._models(arm))
        return self._taught(arm, training) if arm.judgements else training

    def fitted_on(self, arm: Arm) -> list[str]:
        """Name all that a fit of an arm depends on besides its settings: texts and models."""
        texts = [self._corpus(name).digest for name in arm.fit_on]
        models = [self._encoder(model).fingerprint for model in arm.models]
        if arm.judgements and self.learned is not None:
            texts += [self.learned.queries.digest, run_key(qrels=self.learned.qrels)]
        return texts + models

    def _taught(self, arm: Arm, training: TrainingSet) -> TrainingSet:
        learned = self.learned
        assert learned is not None, "the ground was opened for judgements"
        place = {id_: row for row, id_ in enumerate(self.scored.corpus.ids)}
        rows = [
            (number, place[document], max(score, 0))
            for number, query in enumerate(learned.queries.ids)
            for document, score in learned.qrels[query].items()
            if document in place
        ]
        if not rows:
            raise DataError(
                f"{self.name} has none of the documents that its split `train` judges: nothing can "
                "be learned from it"
            )
        judged = np.array(rows)
        return replace(
            training,
            documents=self._concatenated(arm, self.scored.corpus, "document"),
            queries=self._concatenated(arm, learned.queries, "query"),
            positives=judged[:, :2].astype(np.int64),
            grades=judged[:, 2].astype(np.float32),
        )

    def _models(self, arm: Arm) -> tuple[tuple[str, int], ...]:
        names = Recipe(models=arm.models).model_names
        blocks = (self._block(m, self.scored.queries, "query") for m in arm.models)
        return tuple((n, int(b.shape[1])) for n, b in zip(names, blocks, strict=True))

    def _concatenated(self, arm: Arm, corpus: Corpus, role: Any) -> Float32[Array, "n d"]:
        return concatenate([self._block(m, corpus, role) for m in arm.models], arm.weights)

    def _block(self, model: str | Mapping[str, Any], corpus: Corpus, role: Any) -> Array:
        encoder = self._encoder(model)
        key = (encoder.fingerprint, corpus.digest, role)
        if key not in self._encoded:
            self._encoded[key] = encoder.encode(corpus.texts, role=role)
        return self._encoded[key]

    def _encoder(self, model: str | Mapping[str, Any]) -> Encoder:
        """Make a model; one of words learns those of the documents searched."""
        name = repr(model)
        if name not in self._encoders:
            found = find(_placed(model, self.data, self.cache))
            if isinstance(found, FittedOnTexts):
                found = found.fit(self.scored.corpus.texts)
            if self.cache is not None:
                found = with_cache(found, self.cache, progress=self.progress)
            self._encoders[name] = found
        return self._encoders[name]

    def _corpus(self, name: str) -> Corpus:
        if name == "documents":
            return self.scored.corpus
        if name not in self._corpora:
            self._corpora[name] = read_corpus(self.data / name)
        return self._corpora[name]


def _placed(
    model: str | Mapping[str, Any], data: Path, cache: Path | None
) -> str | Mapping[str, Any]:
    """Put folders where the options of a model say `{data}` or `{cache}`; without a cache, none."""
    if isinstance(model, str):
        return model
    told = {k: v for k, v in model.items() if v != "{cache}" or cache is not None}
    return {
        key: value.replace("{data}", str(data)).replace("{cache}", str(cache))
        if isinstance(value, str)
        else value
        for key, value in told.items()
    }


def _halved(whole: Benchmark) -> tuple[Benchmark, Benchmark]:
    """Split queries by the document that answers them: nothing learned from is searched for."""
    judged = sorted({d for found in whole.qrels.values() for d, s in found.items() if s > 0})
    order = np.random.default_rng(_HALVES).permutation(len(judged))
    half = {judged[i] for i in order[: len(order) // 2]}
    answers = {
        query: [d for d, score in found.items() if score > 0]
        for query, found in whole.qrels.items()
    }
    learn = [q for q, found in answers.items() if found and all(d in half for d in found)]
    score = [q for q, found in answers.items() if not any(d in half for d in found)]
    if not learn or not score:
        raise DataError(
            f"{whole.name} has no split `train`, and its {len(judged)} judged documents leave "
            f"{len(learn)} queries to learn from and {len(score)} to score: give it one, or leave "
            "it out"
        )
    return _only(whole, set(learn)), _only(whole, set(score))


def _unasked(learned: Benchmark, scored: Benchmark) -> Benchmark:
    """Leave out queries that score too, by their text.

    Raises:
        DataError: all of them do.
    """
    asked = set(scored.queries.texts)
    pairs = zip(learned.queries.ids, learned.queries.texts, strict=True)
    kept = {id_ for id_, text in pairs if text not in asked}
    if not kept:
        raise DataError(
            f"every query of the split `train` of {learned.name} scores too: nothing is left to "
            "learn from"
        )
    return _only(learned, kept)


def _at_most(whole: Benchmark, queries: int | None) -> Benchmark:
    if queries is None or len(whole.queries) <= queries:
        return whole
    rows = sample_rows(len(whole.queries), queries, _HALVES)
    assert not isinstance(rows, slice)
    return _only(whole, {whole.queries.ids[int(row)] for row in rows})


def _only(whole: Benchmark, wanted: set[str]) -> Benchmark:
    kept = [
        (i, text)
        for i, text in zip(whole.queries.ids, whole.queries.texts, strict=True)
        if i in wanted
    ]
    queries = Corpus(ids=tuple(i for i, _ in kept), texts=tuple(t for _, t in kept))
    qrels = {i: whole.qrels[i] for i, _ in kept}
    return Benchmark(name=whole.name, corpus=whole.corpus, queries=queries, qrels=qrels)
