"""A press of one model in modules that sentence-transformers has: nothing of ours is needed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling, StaticEmbedding
from tokenizers import Tokenizer

from vecpress.arrays import round_rows
from vecpress.encoders.combine import Concat, without_cache
from vecpress.encoders.distilled import DistilledEncoder
from vecpress.encoders.files import locate
from vecpress.encoders.graphs import is_rounded
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.errors import ModelError, VecpressError
from vecpress.exports.branches import TableBranch, branches_of
from vecpress.exports.st_dense import Bend, NotStock, unfold
from vecpress.head import Head
from vecpress.pipeline import Pipeline
from vecpress.stages import Role

_BENDS: Mapping[Bend, Callable[[], torch.nn.Module]] = {
    "identity": torch.nn.Identity,
    "relu": torch.nn.ReLU,
    "clip": torch.nn.Hardtanh,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Front:
    """What stands before the head.

    Attributes:
        modules: Texts to a vector, not yet of unit norm.
        prompts: What is put before a text, for each role.
        zero_rows: Whether a text may become a zero row.
    """

    modules: Sequence[torch.nn.Module]
    prompts: Mapping[Role, str]
    zero_rows: bool


def assemble(pipeline: Pipeline) -> SentenceTransformer:
    """Put a press's model and head together; plain `encode` takes texts for documents.

    Raises:
        NotStock: the modules of sentence-transformers cannot say all of it.
        ModelError: the model cannot be loaded.
    """
    encoder = without_cache(pipeline.same_encoder())
    if isinstance(encoder, Concat):
        raise NotStock(f"it puts {len(encoder.encoders)} models side by side")
    if isinstance(encoder, SentenceTransformerEncoder):
        front = _transformer(encoder)
    elif isinstance(encoder, StaticEncoder | DistilledEncoder):
        front = _table(pipeline)
    else:
        raise NotStock("its model is neither a transformer nor a static table")
    modules = [*front.modules, Normalize(), *_head(pipeline.head, zero_rows=front.zero_rows)]
    prompts = {str(role): prompt for role, prompt in front.prompts.items()}
    return SentenceTransformer(
        modules=modules,
        prompts=prompts,
        default_prompt_name="document" if prompts["document"] else None,
        similarity_fn_name="cosine",
        device="cpu",
    )


def load(folder: Path) -> SentenceTransformer:
    """Load a folder of modules that need no trust."""
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def _head(head: Head | None, *, zero_rows: bool) -> list[torch.nn.Module]:
    if head is None:
        return []
    layers = unfold(head, zero_rows=zero_rows)
    modules: list[torch.nn.Module] = [LayerNorm(head.in_dim)] if head.layer_norm else []
    for weight, bias, bend in layers:
        modules.append(
            Dense(
                *weight.shape[::-1],
                bias=bool(bias.any()),
                activation_function=_BENDS[bend](),
                init_weight=torch.from_numpy(weight),
                init_bias=torch.from_numpy(bias),
            )
        )
    return [*modules, Normalize()]


def _table(pipeline: Pipeline) -> _Front:
    """Give a table whose unknown token has a zero row: it then changes no direction."""
    branches = branches_of(pipeline)
    (part,), (given,) = branches.parts, branches.inputs
    assert isinstance(part, TableBranch)
    if part.max_tokens is not None and part.unknown >= 0:
        raise NotStock(
            f"it reads {part.max_tokens} known tokens of a text, however many unknown ones stand "
            "between them"
        )
    rows = np.array(part.rows)
    if part.unknown >= 0:
        rows[part.unknown] = 0
    tokenizer = Tokenizer.from_str(given.tokenizer)
    if part.max_tokens is not None:
        tokenizer.enable_truncation(part.max_tokens)
    table = StaticEmbedding(tokenizer, embedding_weights=rows)
    return _Front(modules=[table], prompts=given.prompts, zero_rows=True)


def _transformer(encoder: SentenceTransformerEncoder) -> _Front:
    if encoder.precision == "int8":
        raise NotStock("its model computes in 8 bits")
    if encoder.image_model is not None:
        raise NotStock("it has one model for texts and one for images")
    try:
        folder = locate(encoder.model, revision=encoder.revision)
        library = SentenceTransformer(str(folder), device="cpu", local_files_only=True).float()
    except VecpressError:
        raise
    except Exception as error:  # its own, and those of transformers, safetensors and torch
        raise ModelError(
            f"{encoder.model!r} is not a sentence-transformers model: {error}"
        ) from error
    if isinstance(library[0], Router):
        raise NotStock("its model has a route of its own for queries")
    if encoder.max_length is not None:
        library.max_seq_length = encoder.max_length
    if encoder.precision == "w8":
        _round_weights(library)
    own = {name: prompt or "" for name, prompt in library.prompts.items()}
    prompts: dict[Role, str] = {role: encoder.prompt(role, own) for role in ("query", "document")}
    return _Front(modules=_pooled(encoder, library), prompts=prompts, zero_rows=False)


def _round_weights(library: SentenceTransformer) -> None:
    """Put the floats that the press computes with into the model."""
    for name, weight in library.named_parameters():
        if is_rounded(name):
            weight.data = torch.from_numpy(round_rows(weight.detach().numpy(), bits=8).rows)


def _pooled(
    encoder: SentenceTransformerEncoder, library: SentenceTransformer
) -> list[torch.nn.Module]:
    """Give the model's modules, with the pooling that the press was told."""
    asked = (encoder.query_pooling, encoder.document_pooling)
    modules = [library[i] for i in range(len(library))]
    while isinstance(modules[-1], Normalize):
        modules.pop()
    if asked == (None, None):
        return modules
    own = next((m.pooling_mode for m in modules if isinstance(m, Pooling)), None)
    query, document = (pooling or own for pooling in asked)
    if query != document or document is None:
        raise NotStock("it pools queries and documents differently")
    first: Any = modules[0]
    return [first, Pooling(first.get_embedding_dimension(), document)]
