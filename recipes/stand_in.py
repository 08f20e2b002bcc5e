"""A synthetic "heavily fine-tuned" model, for studies where no real one is at hand.

    models = ["wordllama", { kind = "stand_in:FineTuned", folder = "BEIR_FOLDER", split = "train" }]

Needs PyTorch.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from vecpress import losses
from vecpress.arrays import Array, blocks
from vecpress.compressors.residual import Residual
from vecpress.corpus import Corpus, read_corpus
from vecpress.encoders.catalogue import find
from vecpress.encoders.combine import with_cache
from vecpress.errors import ConfigError, DataError
from vecpress.head import Head
from vecpress.pairs import Pairs, read_pairs
from vecpress.stages import Encoder, FittedOnTexts, Item, Role


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """A model, and a residual network trained on one collection until little else is left.

    SYNTHETIC: no real model is made this way. It stands in for a "heavily fine-tuned" one, which
    excels at what it was trained for and whose geometry is distorted elsewhere: only a network on
    top of the frozen model is trained, with a softmax over the answers of a batch, for many epochs
    at a high rate, with nothing held out, no early stopping and no guard. Whatever is measured with
    it says nothing about a model that somebody published. All numbers here are our guesses.

    It trains at the first `encode`, once per process.

    Attributes:
        folder: A BEIR folder to train on.
        model: What to start from: a name of the catalogue.
        split: Judgements to train on.
        queries: Most queries to train on, drawn at random; None takes all.
        strength: Passes over them; 0 leaves the model as it is. On 5,000 queries 2 is mild and 40
            heavy; 800 need a tenfold rate to do as much harm elsewhere.
        learning_rate: AdamW's.
        hidden: Width of the network's hidden layer.
        temperature: Of the softmax.
        seed: Of everything random.
        cache: Folder in which the model remembers what it encodes; None for none.
    """

    folder: str
    model: str = "minilm"
    split: str = "train"
    queries: int | None = None
    strength: int = 40
    learning_rate: float = 1e-3
    hidden: int = 512
    temperature: float = 0.05
    seed: int = 0
    cache: str | None = None

    def __post_init__(self) -> None:
        for name, least in [("queries", 2), ("strength", 0), ("hidden", 1)]:
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}")
        for name in ("learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if isinstance(find(self.model), FittedOnTexts):
            raise ConfigError(
                f"a stand-in starts from a model that is already trained, got {self.model!r}, "
                "which is fitted on the corpus it searches: take minilm or wordllama"
            )

    @cached_property
    def _base(self) -> Encoder:
        found = find(self.model)
        assert not isinstance(found, FittedOnTexts)
        return found if self.cache is None else with_cache(found, Path(self.cache).expanduser())

    @cached_property
    def _corpus(self) -> Corpus:
        return read_corpus(self.folder)

    @cached_property
    def _pairs(self) -> Pairs:
        return read_pairs(self.folder, self._corpus, split=self.split)

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self._base.dim

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the model's fingerprint, the data and every option.

        Raises:
            DataError: the folder cannot be read.
        """
        places = ("folder", "model", "cache")  # what they hold counts, not where it lies
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in places}
        data = [self._corpus.digest, self._pairs.digest]
        parts = ["fine-tuned", self._base.fingerprint, data, options]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def encode(self, texts: Sequence[Item], *, role: Role = "document") -> Float32[Array, "n d"]:
        """Embed each text or image, in order; the first call trains.

        Raises:
            ConfigError: the model does not encode what there is among them.
            DataError: the folder cannot be read, or holds fewer than 2 queries with an answer.
        """
        return _trained(self, self.fingerprint).compress(self._base.encode(texts, role=role))

    def train(self) -> Head:
        """Train the network, anew at each call.

        Raises:
            DataError: the folder holds fewer than 2 queries with an answer.
        """
        rng = np.random.default_rng(self.seed)
        answers = _answers(self._pairs)
        if len(answers) < 2:
            raise DataError(
                f"a stand-in trains on at least 2 queries with an answer, got {len(answers)} in "
                f"{self._pairs.name}: take another split or folder"
            )
        asked = rng.permutation(sorted(answers))[: self.queries]
        assert isinstance(self._pairs.queries, Corpus)
        questions = [self._pairs.queries.texts[query] for query in asked]
        queries = torch.from_numpy(self._base.encode(questions, role="query"))
        documents = torch.from_numpy(self._base.encode(self._corpus.texts))
        good = [answers[query] for query in asked]
        return self._descend(queries, documents, good, rng)

    def _descend(
        self,
        queries: torch.Tensor,
        documents: torch.Tensor,
        answers: Sequence[Array],
        rng: np.random.Generator,
    ) -> Head:
        same = torch.eye(queries.shape[1])
        module = Residual(same, same, self.hidden, seed=self.seed)
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate, weight_decay=0.0)
        for _ in range(self.strength):
            order = rng.permutation(len(queries))
            for rows in blocks(len(order), 128):
                batch = order[rows]
                drawn = np.array([rng.choice(answers[query]) for query in batch])
                scores = losses.cosines(module(queries[batch]), module(documents[drawn]))
                # Another's answer that answers this query too is no negative.
                shared = np.array([np.isin(drawn, answers[query]) for query in batch])
                np.fill_diagonal(shared, val=False)
                scores = (scores / self.temperature).masked_fill(torch.from_numpy(shared), -1e9)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(scores, torch.arange(len(batch))).backward()
                optimizer.step()
        return module.head()


@lru_cache(maxsize=8)
def _trained(asked: FineTuned, fingerprint: str) -> Head:  # noqa: ARG001 - the data may change
    """Train once per process, however many encoders ask for the same."""
    return asked.train()


def _answers(pairs: Pairs) -> dict[int, Array]:
    """Give the documents that answer each query, where there is one."""
    found: dict[int, list[int]] = {}
    for query, document in pairs.rows[pairs.grades > 0].tolist():
        found.setdefault(query, []).append(document)
    return {query: np.array(documents) for query, documents in found.items()}
