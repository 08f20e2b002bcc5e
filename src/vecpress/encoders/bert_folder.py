"""Reads a sentence-transformers folder without its libraries, if it is a plain BERT of texts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vecpress.errors import ModelError

_TYPES = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}
"""Model types whose equations are BERT's, and the prefix their tensors may have."""

_ACTIVATIONS = ("gelu",)
_POOLINGS = {
    "cls": "cls",
    "mean": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
}
"""What 1_Pooling/config.json says, today and formerly, and what we call it."""


class NotPlain(ModelError):
    """Why a folder is not a plain BERT; sentence-transformers may still know it."""


@dataclass(frozen=True, kw_only=True)
class BertFolder:
    """A plain BERT: Transformer, Pooling and perhaps Normalize.

    Attributes:
        folder: Where it is.
        config: Of config.json.
        pooling: The model's own, "cls" or "mean"; None for any other.
        prompts: By name.
        max_length: Tokens kept of a text, the ends included.
        prefix: Of the tensors' names.
        differs: Why vectors may differ from those of sentence-transformers in the fourth decimal,
            or for rare texts; empty if they do not.
    """

    folder: Path
    config: Mapping[str, Any]
    pooling: str | None
    prompts: Mapping[str, str]
    max_length: int
    prefix: str
    differs: str

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.folder / "model.safetensors"

    @property
    def first_position(self) -> int:
        """RoBERTa counts from behind the number of its padding token."""
        return 0 if self.config["model_type"] == "bert" else self.config["pad_token_id"] + 1

    @cached_property
    def positions(self) -> int:
        """Most tokens that the model can tell apart by place."""
        return int(self.config["max_position_embeddings"]) - self.first_position


def read_bert(folder: Path) -> BertFolder:
    """Read what a folder says of itself.

    Raises:
        NotPlain: it is no plain BERT, or a file is missing or damaged.
    """
    try:
        config = _json(folder / "config.json")
        own = _json(folder / "sentence_bert_config.json")
        prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
        tokenizer = _json(folder / "tokenizer_config.json")
        pooling = _pooling(folder)
        _check_config(config, own)
        prefix, dtype = _check_tensors(folder / "model.safetensors", config)
        normalizer = _normalizer(folder / "tokenizer.json")
    except NotPlain:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise NotPlain(f"{type(error).__name__}: {error}") from error
    longest = [tokenizer.get("model_max_length") or 10**9, config["max_position_embeddings"]]
    return BertFolder(
        folder=folder,
        config=config,
        pooling=pooling,
        prompts=prompts,
        max_length=int(own.get("max_seq_length") or min(longest)),
        prefix=prefix,
        differs=_differs(dtype, tokenizer, normalizer, lower=own.get("do_lower_case", False)),
    )


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(content, dict):
        raise NotPlain(f"{path.name} holds no object")
    return content


def _pooling(folder: Path) -> str | None:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise NotPlain(f"its modules are {', '.join(kinds)}")
    if any(not module["type"].startswith("sentence_transformers.") for module in modules):
        raise NotPlain("its modules are not those of sentence-transformers")
    if modules[0]["path"] not in ("", "."):
        raise NotPlain(f"its transformer is in {modules[0]['path']}")
    config = _json(folder / modules[1]["path"] / "config.json")
    if not config.get("include_prompt", True):
        raise NotPlain("it leaves the prompt out of the mean")
    formerly = [name for name, on in config.items() if "pooling_mode_" in name and on]
    asked = config.get("pooling_mode") or formerly or "mean"
    modes = [asked] if isinstance(asked, str) else list(asked)
    return _POOLINGS.get(modes[0]) if len(modes) == 1 else None


def _check_config(config: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse what the graph does not compute."""
    wanted = {
        "model_type": tuple(_TYPES),
        "hidden_act": _ACTIVATIONS,
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False, None),
        "add_cross_attention": (False, None),
        "quantization_config": (None,),
    }
    for name, allowed in wanted.items():
        if config.get(name) not in allowed:
            raise NotPlain(f"its {name} is {config.get(name)!r}")
    if own.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise NotPlain(f"its task is {own['transformer_task']}")
    for name in ("query_length", "document_length", "query_expansion", "unpad_inputs"):
        if own.get(name):
            raise NotPlain(f"its {name} is {own[name]!r}")


def tensor_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Give every tensor that the graph is made of, and its shape."""
    wide, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], wide),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], wide),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], wide),
    }
    norms = ["embeddings"]
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        norms += [f"{layer}.attention.output", f"{layer}.output"]
        square = [f"attention.self.{n}" for n in ("query", "key", "value")]
        linear = dict.fromkeys([*square, "attention.output.dense"], (wide, wide))
        linear |= {"intermediate.dense": (inner, wide), "output.dense": (wide, inner)}
        for name, shape in linear.items():
            shapes[f"{layer}.{name}.weight"], shapes[f"{layer}.{name}.bias"] = shape, shape[:1]
    for name in norms:
        shapes |= dict.fromkeys([f"{name}.LayerNorm.weight", f"{name}.LayerNorm.bias"], (wide,))
    return shapes


def _check_tensors(path: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """Look for every tensor and its shape, and give the prefix of their names and their type."""
    types, prefix = set(), _TYPES[config["model_type"]]
    with safe_open(path, framework="numpy") as file:
        names = set(file.keys())
        prefix = prefix if f"{prefix}embeddings.word_embeddings.weight" in names else ""
        for name, shape in tensor_shapes(config).items():
            found = file.get_slice(prefix + name) if prefix + name in names else None
            if found is None or tuple(found.get_shape()) != shape:
                raise NotPlain(f"it has no tensor {name} of shape {shape}")
            types.add(found.get_dtype())
    if not types <= {"F32", "F16"}:
        raise NotPlain(f"its weights are {', '.join(sorted(types))}")
    return prefix, "F16" if "F16" in types else "F32"


def _normalizer(path: Path) -> dict[str, Any]:
    parts = json.loads(path.read_text(encoding="utf-8"))
    if (parts.get("truncation") or {}).get("direction", "Right") != "Right":
        raise NotPlain("it cuts texts at the left")
    return parts.get("normalizer") or {}


def _differs(
    dtype: str, tokenizer: Mapping[str, Any], normalizer: Mapping[str, Any], *, lower: bool
) -> str:
    """Say why its vectors may not be those of sentence-transformers.

    That library makes some tokenizers anew from tokenizer_config.json, and computes in 16 bits
    where weights have 16.
    """
    if dtype != "F32":
        return "its weights have 16 bits"
    if tokenizer.get("truncation_side", "right") != "right":
        return "it cuts texts at the left"
    kind = str(tokenizer.get("tokenizer_class")).removesuffix("Fast")
    if kind in ("PreTrainedTokenizer", "TokenizersBackend"):
        return "it lower-cases texts" if lower else ""
    if kind != "BertTokenizer":
        return f"its tokenizer is a {kind}"
    made_anew = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": tokenizer.get("tokenize_chinese_chars", True),
        "strip_accents": tokenizer.get("strip_accents"),
        "lowercase": tokenizer.get("do_lower_case", True),
    }
    if dict(normalizer) != made_anew or (lower and not made_anew["lowercase"]):
        return "tokenizer.json and tokenizer_config.json do not agree"
    return ""
