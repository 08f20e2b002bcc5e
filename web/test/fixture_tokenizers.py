"""Small tokenizers of every kind that our models have, and texts that are hard to split."""

# ruff: noqa: RUF001 -- letters that look like others are the point

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from vecpress.exports.words import word_tokenizer

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = "the a cat dog bird fish sat ran on under mat tree and very red blue strasse cafe oidipous"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-_'$%&()[]αβγδεισωß中文字"

TEXTS = [
    "",
    " ",
    "the cat sat on the mat.",
    "  The  CAT\tand\nthe dog!  ",
    "dogs, cats & fishes: 100% under-the-tree",
    "CAFÉ café cafe\u0301 Straße STRASSE ẞ",
    "ΟΔΟΣ ΣΑΣ ς σ Σ.",
    "İstanbul ıI K Å",
    "中文 text 字𠀀𠀁𪜀 mixed 한국어",
    "zero\u200bwidth\ufeff soft\u00ad con\x01trol\x00 \x7f \x85 \ufffd",
    "no\u00a0break\u2003em\u3000wide\u2028line",
    "[CLS] the [SEP] [UNK] [MASK] <s> </s> <unk> [cls]",
    "👍🏽 👨‍👩‍👧 🇩🇪 ½ ² ③ Ⅷ ﬁ",
    "a_b __proto__ constructor toString x_1 don't",
    "▁ under ▁▁ score <0x41>",
    "x" * 120,
    "हिन्दी العربية ไทย",
    "“quotes” – … U.S.A. $1,234.56",
    "ΟΔΟΣ, Ο.Σ. Ο\u0301Σ ΟΣ'Ο ΟΣ1 1Σ ʰΣ ⓐΣ ΣΣ ΘΑΛΑΣΣΑ",
]


def tokenizers() -> dict[str, Tokenizer]:
    """Make WordPiece as BERT has it, BPE with bytes as Llama 2 has it, and our lexical model's."""
    others = "cats don t a_b ½ 100 straße x_1 οδος οδοσ σας ος οσ ος1 σ ς θαλασσα ʰσ ⓐς σς"
    terms = sorted({*_WORDS.split(), *others.split()})
    return {"wordpiece": wordpiece(), "bpe": _bpe(), "words": word_tokenizer(terms)}


def wordpiece() -> Tokenizer:
    """Make a lower-casing WordPiece with [CLS] and [SEP]."""
    letters = [c for letter in _LETTERS for c in (letter, f"##{letter}")]
    pieces = dict.fromkeys([*_SPECIAL, *_WORDS.split(), "##s", "##es", "##ing", *letters])
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    made.add_special_tokens(_SPECIAL)
    return made


def _bpe() -> Tokenizer:
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "c"), ("a", "t"), ("▁c", "at")]
    merges += [("▁", "▁"), ("i", "n"), ("x", "x"), ("xx", "xx"), ("o", "n"), ("▁", "on")]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    pieces += [c for c in _LETTERS if c.isascii()] + [a + b for a, b in merges]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    model = models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    return made
