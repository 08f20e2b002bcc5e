"""Runs a BERT-type model without torch: our graph, onnxruntime, and texts of one length at a time.

Texts are not padded, so none of them is slowed down or changed by its neighbours, and no mask is
needed. One call takes texts of exactly the same number of tokens, few enough that what a layer
makes of them stays in the processor's cache; several calls run side by side, one on each core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32

from vecpress.arrays import Array, blocks
from vecpress.cores import side_by_side
from vecpress.encoders.bert_folder import BertFolder
from vecpress.encoders.graphs import Precision, graph_of
from vecpress.encoders.text_tokenizer import TextTokenizer, read_tokenizer
from vecpress.encoders.tokens import Ids, SharedTokens
from vecpress.errors import ArtifactError, ConfigError, DataError

_TOKENS = 512
"""In one call: two texts of 256 tokens, or 32 of 16."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxEngine:
    """A model, ready to embed.

    Attributes:
        bert: The model.
        precision: None computes in floats, and "w8" too, with weights of 8 bits. "int8" computes
            in 8 bits; the scale of activations is then a text's own: each call takes one text, and
            no vector depends on what else is encoded.
        max_length: Tokens kept of a text, the ends included.
    """

    bert: BertFolder
    precision: Precision | None
    max_length: int

    def __getstate__(self) -> dict[str, Any]:
        """Leave the session out of what is pickled or copied, which it cannot be: it loads anew."""
        return {name: value for name, value in vars(self).items() if name != "_session"}

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return int(self.bert.config["hidden_size"])

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """What splits texts."""
        return read_tokenizer(self.bert.folder / "tokenizer.json")

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # it grows with the longest batch and never shrinks
        options.intra_op_num_threads = 1  # cores take whole calls: see `side_by_side`
        options.inter_op_num_threads = 1
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is written as it should run
        options.graph_optimization_level = level
        with graph_of(self.bert, precision=self.precision) as path:
            try:
                return onnxruntime.InferenceSession(
                    path, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # its errors have no class in common but this
                raise ArtifactError(
                    f"the graph kept in {path.parent} is damaged: delete this folder, and it is "
                    f"made again ({error})"
                ) from error

    def embed(
        self, texts: Sequence[str], *, pooling: str, tokens: SharedTokens
    ) -> Float32[Array, "n d"]:
        """Embed each text, in order; rows are as the model gives them, not of unit norm.

        Raises:
            ArtifactError: the graph kept is damaged.
            ConfigError: `max_length` leaves no room for a text.
            DataError: a text cannot be split.
        """
        try:
            split = tokens.of(self.tokenizer, texts)
        except (TypeError, UnicodeError) as error:
            raise DataError(f"a text cannot be split into tokens: {error}") from error
        around = sum(map(len, self.tokenizer.ends))
        if self.max_length <= around:
            raise ConfigError(
                f"max_length must be above {around}, for the model puts as many tokens around each "
                f"text, got {self.max_length}"
            )
        frame, most = self.tokenizer.frame, self.max_length
        return self.embed_ids([frame(ids, max_length=most) for ids in split], pooling=pooling)

    def embed_ids(self, rows: Sequence[Ids], *, pooling: str) -> Float32[Array, "n d"]:
        """Embed texts that are tokens already, their ends included; no tokens, a zero row."""
        out = np.zeros((len(rows), self.dim), np.float32)
        session = self._session  # made before there are threads

        def run(some: list[int]) -> None:
            (states,) = session.run(["states"], {"ids": np.stack([rows[i] for i in some])})
            states = np.asarray(states)
            out[some] = states[:, 0] if pooling == "cls" else states.mean(axis=1)

        side_by_side(run, self._calls([len(row) for row in rows]))
        return out

    def _calls(self, lengths: Sequence[int]) -> list[list[int]]:
        """Put texts of one length together, longest first: the last call to end is a short one."""
        order = [i for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]) if lengths[i]]
        calls = []
        for length, group in groupby(order, key=lambda i: lengths[i]):
            same = list(group)
            size = 1 if self.precision == "int8" else max(1, _TOKENS // length)
            calls += [same[some] for some in blocks(len(same), size)]
        return calls
