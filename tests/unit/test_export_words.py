"""Words are split by an exported tokenizer as scikit-learn and Python's lower case split them."""

from hypothesis import given
from hypothesis import strategies as st

from vecpress.encoders.lexical import Lexical
from vecpress.exports.words import word_tokenizer


def test_any_script_is_split_as_scikit_learn_does():
    texts = ["Straße in ZÜRICH: ½ cup, x² İstanbul!", "東京 の コーヒー, under_score e\u0301a Ⅷ",
             "l'été — “naïve” don't 3.14 ٣ \u200b zero\u00a0width",
             "ΟΔΟΣ ΣΑΣ Σ. ΣΟΦΟΣ, ΟΔΟΣ_1 ΘΑΛΑΣΣΑ οδος οδοσ"] * 2  # fmt: skip
    fitted = Lexical(dim=2).fit(texts)
    terms = fitted.vocabulary.tobytes().decode().split("\n")
    tokenizer = word_tokenizer(terms)
    split = fitted._vectorizer.build_analyzer()
    for text in texts:
        known = [terms.index(word) for word in split(text) if word in terms]
        found = [i for i in tokenizer.encode(text).ids if i != len(terms)]
        assert found == known


@given(st.text("ΣΣΣΟa1 '.·:-_\u0301\u00ad\u200dʰªⓐǅ中𝐀İẞ", max_size=9))
def test_words_are_lower_cased_as_python_does(text):
    assert word_tokenizer(["a"]).normalizer.normalize_str(text) == text.lower()
