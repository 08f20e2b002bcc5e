"""tokenizer_config.json, with which transformers and transformers.js read a tokenizer."""

from typing import Any

from tokenizers import Tokenizer

from vecpress.exports.branches import TokenInput

_NAMES = {"[CLS]": "cls_token", "<s>": "cls_token", "[SEP]": "sep_token", "</s>": "sep_token"}
_NAMES |= {"[MASK]": "mask_token", "<mask>": "mask_token"}


def tokenizer_config(given: TokenInput) -> dict[str, Any]:
    """Say what `AutoTokenizer` must know beside tokenizer.json.

    Only what the tokenizer itself calls special gets a name: a name would make it so.
    """
    library = Tokenizer.from_str(given.tokenizer)
    special = {i: t.content for i, t in library.get_added_tokens_decoder().items() if t.special}
    named = {_NAMES[token]: token for token in special.values() if token in _NAMES}
    if given.pad_id in special:
        named["pad_token"] = special[given.pad_id]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": given.max_tokens or 10**30,
        **dict(sorted(named.items())),
    }
