"""The lexical encoder's way to split a text into words, as a tokenizer.json that runs anywhere."""

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

_NOT_WORDS = r"[^\p{L}\p{N}_]+"  # what \w of Python's re does not take
_UNKNOWN_WORD = "[UNK]"

_LETTER = r"[^\P{Cased}\p{Case_Ignorable}]"  # of those that have a case; not what is passed over
_FINAL_SIGMA = rf"(?<={_LETTER}\p{{Case_Ignorable}}*)Σ(?!\p{{Case_Ignorable}}*{_LETTER})"


def word_tokenizer(terms: list[str]) -> Tokenizer:
    """Split texts as the lexical encoder does: lower-cased words; the last id is for all others.

    Lower case is Python's: at the end of a word a capital sigma becomes another letter (Unicode,
    3.13, Final_Sigma), of which the library's own normalizer knows nothing.
    """
    vocabulary = {term: i for i, term in enumerate([*terms, _UNKNOWN_WORD])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN_WORD))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(_FINAL_SIGMA), "ς"), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_NOT_WORDS), behavior="removed")
    return tokenizer
