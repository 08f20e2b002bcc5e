"""From a press's encoders to what a graph or a browser computes: tables, transformers, token ids.

Whoever runs a branch needs no encoder of ours: only token ids, and the numbers named here. A text
is split once for all branches that share a tokenizer and its prompts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Float32

from vecpress import registry
from vecpress.arrays import Array, Rounded
from vecpress.encoders.bert_folder import BertFolder, NotPlain
from vecpress.encoders.combine import Concat, without_cache
from vecpress.encoders.distilled import DistilledEncoder
from vecpress.encoders.graphs import Precision
from vecpress.encoders.sentence_transformer import SentenceTransformerEncoder
from vecpress.encoders.static import StaticEncoder
from vecpress.encoders.text_tokenizer import TextTokenizer, read_tokenizer
from vecpress.errors import ConfigError
from vecpress.exports.bases import public_name
from vecpress.exports.words import word_tokenizer
from vecpress.pipeline import Pipeline
from vecpress.stages import Encoder, Role

if TYPE_CHECKING:  # it loads scikit-learn, which nothing here needs
    from vecpress.encoders.lexical import LexicalEncoder

_NO_PROMPTS: Mapping[Role, str] = {"query": "", "document": ""}


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenInput:
    """One sequence of token ids per text.

    Attributes:
        tokenizer: A tokenizer.json without padding and cutting.
        special_tokens: Whether the tokenizer's end tokens are put around each text.
        ends: How many of them stand before and after a text.
        prompts: What is put before each text before it is split.
        max_tokens: Most ids that any branch reads, ends included; None if all are read.
        pad_id: What shorter rows of a batch are filled with; it is masked.
    """

    tokenizer: str
    special_tokens: bool
    ends: tuple[int, int]
    prompts: Mapping[Role, str]
    max_tokens: int | None
    pad_id: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TableBranch:
    """A sum of table rows: a static model, or a lexical one, whose terms are its tokens.

    Attributes:
        input: Which `TokenInput` it reads; end tokens are never counted.
        rows: One per token id.
        rounded: The same rows in whole numbers, if the encoder itself computes with such.
        unknown: Id of the token that is left out; -1 if there is none.
        max_tokens: How many of the known tokens are read; None reads all.
        sublinear: Whether a token that occurs n times counts 1 + ln n instead of n.
    """

    input: int
    rows: Float32[Array, "vocabulary d"]
    rounded: Rounded | None
    unknown: int
    max_tokens: int | None
    sublinear: bool

    @property
    def dim(self) -> int:
        """Width of its embedding."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class BertBranch:
    """A transformer and how its tokens become one vector.

    Attributes:
        input: Which `TokenInput` it reads.
        bert: Its folder.
        precision: "int8" if the press itself computes it in 8 bits, "w8" if with weights of 8 bits.
        max_length: Most ids it reads; of a longer text the first ones, and the ends.
        poolings: "cls" or "mean", for each role.
    """

    input: int
    bert: BertFolder
    precision: Precision | None
    max_length: int
    poolings: Mapping[Role, str]

    @property
    def int8(self) -> bool:
        """Whether it computes in 8 bits, which no two machines do quite alike."""
        return self.precision == "int8"

    @property
    def dim(self) -> int:
        """Width of its embedding."""
        return int(self.bert.config["hidden_size"])


@dataclass(frozen=True, kw_only=True, eq=False)
class Branches:
    """All that stands before the head.

    Attributes:
        inputs: What is fed in.
        parts: In the order of the concatenation.
        scales: What each part's unit row is multiplied by: the root of its weight.
        names: Of the models, for people; never a path of this machine.
    """

    inputs: tuple[TokenInput, ...]
    parts: tuple[TableBranch | BertBranch, ...]
    scales: tuple[float, ...]
    names: tuple[str, ...]

    @property
    def dim(self) -> int:
        """Width of the concatenation."""
        return sum(part.dim for part in self.parts)

    @property
    def are_tables(self) -> bool:
        """Whether no part needs a transformer."""
        return all(isinstance(part, TableBranch) for part in self.parts)


def branches_of(pipeline: Pipeline) -> Branches:
    """Take a press's encoders apart.

    Raises:
        ConfigError: the press takes precomputed vectors, or one of its models has no graph.
        MismatchError: the models found here are not those it was fitted on.
        ModelError: a model cannot be loaded.
    """
    encoder = without_cache(pipeline.same_encoder())
    encoders = encoder.encoders if isinstance(encoder, Concat) else (encoder,)
    weights = (encoder.weights if isinstance(encoder, Concat) else None) or (1.0,) * len(encoders)
    names = pipeline.recipe.model_names
    if len(names) != len(encoders):  # an encoder of one's own, which no recipe names
        names = tuple(type(part).__name__ for part in encoders)
    inputs = _Inputs()
    parts = tuple(_part(e, n, inputs) for e, n in zip(encoders, names, strict=True))
    return Branches(
        inputs=tuple(inputs.made),
        parts=parts,
        scales=tuple(float(np.sqrt(np.float32(weight))) for weight in weights),
        names=tuple(map(public_name, names)),
    )


class _Inputs:
    """Token inputs as they are asked for: one for all that split and prompt texts alike."""

    def __init__(self) -> None:
        self.made: list[TokenInput] = []
        self._keys: list[tuple[str, str]] = []

    def framed(self, tokenizer: TextTokenizer, prompts: Mapping[Role, str], *, most: int) -> int:
        """Give the number of an input whose ids have the ends around them."""
        before, after = tokenizer.ends
        wanted = TokenInput(
            tokenizer=tokenizer.library.to_str(),
            special_tokens=True,
            ends=(len(before), len(after)),
            prompts=prompts,
            max_tokens=most,
            pad_id=0,
        )
        return self._place(wanted, (tokenizer.key(), str([before, after])))

    def bare(self, tokenizer: TextTokenizer) -> int:
        """Give the number of an input of which all ids are read but the ends."""
        parts = json.loads(tokenizer.library.to_str()) | {"post_processor": None}
        wanted = TokenInput(
            tokenizer=json.dumps(parts, ensure_ascii=False),
            special_tokens=False,
            ends=(0, 0),
            prompts=_NO_PROMPTS,
            max_tokens=None,
            pad_id=0,
        )
        return self._place(wanted, (tokenizer.key(), ""))

    def _place(self, wanted: TokenInput, key: tuple[str, str]) -> int:
        """Take what is there; ids without ends also fit where some with ends are wanted."""
        for i, (made, known) in enumerate(zip(self.made, self._keys, strict=True)):
            if known[0] != key[0] or made.prompts != wanted.prompts:
                continue
            if known[1] == key[1] or "" in (known[1], key[1]):
                kept = made if made.special_tokens else wanted
                self.made[i] = replace(kept, max_tokens=_longer(made, wanted))
                self._keys[i] = max(known, key)
                return i
        self.made.append(wanted)
        self._keys.append(key)
        return len(self.made) - 1


def _longer(one: TokenInput, other: TokenInput) -> int | None:
    if one.max_tokens is None or other.max_tokens is None:
        return None
    return max(one.max_tokens, other.max_tokens)


def _part(encoder: Encoder, name: str, inputs: _Inputs) -> TableBranch | BertBranch:
    if isinstance(encoder, StaticEncoder):
        return _table(encoder, inputs)
    if isinstance(encoder, DistilledEncoder):
        return _table(encoder.static, inputs)
    if registry.kind_of(registry.FITTED, encoder) == "fitted-lexical":
        return _lexical(cast("LexicalEncoder", encoder), inputs)
    if isinstance(encoder, SentenceTransformerEncoder):
        return _bert(encoder, name, inputs)
    raise ConfigError(
        f"{name!r} has no graph that could be exported, for it is a {type(encoder).__name__}: only "
        "BERT-type transformers (st:), static tables and lexical models have"
    )


def _table(encoder: StaticEncoder, inputs: _Inputs) -> TableBranch:
    return TableBranch(
        input=inputs.bare(encoder.tokenizer),
        rows=encoder.table,
        rounded=encoder.rounded,
        unknown=encoder.unknown,
        max_tokens=encoder.max_length,
        sublinear=False,
    )


def _lexical(encoder: "LexicalEncoder", inputs: _Inputs) -> TableBranch:
    """Write TF-IDF and its directions as a table; what scales a whole row changes no unit row."""
    terms = encoder.vocabulary.tobytes().decode().split("\n")
    weighed = (encoder.components * encoder.idf).T
    rows = np.concatenate([weighed, np.zeros((1, encoder.dim), np.float32)])
    return TableBranch(
        input=inputs.bare(TextTokenizer(word_tokenizer(terms))),
        rows=np.ascontiguousarray(rows, np.float32),
        rounded=None,
        unknown=len(terms),
        max_tokens=None,
        sublinear=True,
    )


def _bert(encoder: SentenceTransformerEncoder, name: str, inputs: _Inputs) -> BertBranch:
    if encoder.image_model is not None:
        raise ConfigError(f"{name!r} encodes images too, and those have no graph: leave it out")
    try:
        bert = encoder.plain()
    except NotPlain as reason:
        raise ConfigError(
            f"{name!r} has no graph that could be exported, for only plain BERTs of texts have: "
            f"{reason}"
        ) from reason
    if bert.differs and encoder.engine != "onnx" and encoder.precision is None:
        raise ConfigError(
            f"the graph of {name!r} would give other vectors than the press, for {bert.differs}: "
            f'fit it with {{ kind = "sentence-transformer", model = {encoder.model!r}, engine = '
            '"onnx" }'
        )
    max_length = encoder.max_length or bert.max_length
    prompts: dict[Role, str] = {
        role: encoder.prompt(role, bert.prompts) for role in ("query", "document")
    }
    own = bert.pooling or "mean"
    poolings: dict[Role, str] = {
        "query": encoder.query_pooling or own,
        "document": encoder.document_pooling or own,
    }
    return BertBranch(
        input=inputs.framed(
            read_tokenizer(bert.folder / "tokenizer.json"), prompts, most=max_length
        ),
        bert=bert,
        precision=encoder.precision,
        max_length=max_length,
        poolings=poolings,
    )
