"""Runs an exported graph here: texts to token ids, padded batches, and back in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Int64

from vecpress.arrays import Array
from vecpress.cores import side_by_side
from vecpress.encoders.text_tokenizer import TextTokenizer
from vecpress.encoders.tokens import Ids
from vecpress.errors import ArtifactError, DataError
from vecpress.stages import Role

_TOKENS = 1024
"""In one call, padding included: what a layer makes of more leaves the processor's cache."""

_ALL = 2**31 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphRun:
    """A graph and its tokenizers.

    Attributes:
        graph: An ONNX model, or the file of one.
        inputs: Each as the manifest of an export describes it.
        tokenizers: One for each input.
        role_input: Name of the input that tells queries from documents, if there is one.
    """

    graph: bytes | Path
    inputs: Sequence[Mapping[str, Any]]
    tokenizers: Sequence[TextTokenizer]
    role_input: str | None

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.enable_cpu_mem_arena = False  # it grows with the longest batch and never shrinks
        options.intra_op_num_threads = 1  # cores take whole calls: see `side_by_side`
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(
                self.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no class in common but this
            name = self.graph if isinstance(self.graph, Path) else "the graph"
            raise ArtifactError(
                f"onnxruntime {onnxruntime.__version__} cannot run {name}: {error}"
            ) from error

    def run(self, output: str, texts: Sequence[str], *, role: Role) -> Array:
        """Give one output for each text, in order; there must be at least one text.

        Raises:
            ArtifactError: the graph cannot be run.
            DataError: a text cannot be split into tokens.
        """
        split = [
            self._ids(described, tokenizer, texts, role)
            for described, tokenizer in zip(self.inputs, self.tokenizers, strict=True)
        ]
        session = self._session  # made before there are threads
        rows: list[Any] = [None] * len(texts)

        def run(some: list[int]) -> None:
            feed = self._feed([[ids[i] for i in some] for ids in split], role)
            for i, row in zip(some, np.asarray(session.run([output], feed)[0]), strict=True):
                rows[i] = row

        side_by_side(run, _calls([[len(ids) for ids in all_ids] for all_ids in split]))
        return np.stack(rows)

    def _ids(
        self,
        described: Mapping[str, Any],
        tokenizer: TextTokenizer,
        texts: Sequence[str],
        role: Role,
    ) -> list[Ids]:
        prompted = [described["prompts"][role] + text for text in texts]
        try:
            ids = tokenizer.split(prompted)
        except (TypeError, UnicodeError) as error:
            raise DataError(f"a text cannot be split into tokens: {error}") from error
        most = described["max_tokens"] or _ALL
        if described["special_tokens"]:
            return [tokenizer.frame(row, max_length=most) for row in ids]
        return [row[:most] for row in ids]

    def _feed(self, split: Sequence[Sequence[Ids]], role: Role) -> dict[str, Array]:
        feed = {}
        for described, ids in zip(self.inputs, split, strict=True):
            feed[described["ids"]], feed[described["mask"]] = _padded(ids, described["pad_id"])
        if self.role_input is not None:
            feed[self.role_input] = np.array(role == "query", np.int64)
        return feed


def _padded(rows: Sequence[Ids], pad_id: int) -> tuple[Int64[Array, "b s"], Int64[Array, "b s"]]:
    """Fill rows up to the longest, on the right, and say with ones what is text."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def _calls(lengths: Sequence[Sequence[int]]) -> list[list[int]]:
    """Put texts of about one length together, longest first: the last call to end is short."""
    sizes = np.max(lengths, axis=0)  # the longest input of each text
    calls: list[list[int]] = []
    for i in np.argsort(-sizes, kind="stable").tolist():
        if calls and (len(calls[-1]) + 1) * sizes[calls[-1][0]] <= _TOKENS:
            calls[-1].append(i)
        else:
            calls.append([i])
    return calls
