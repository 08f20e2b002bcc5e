"""Questions nobody asked: how documents are cut, which sentences are taken, what is left."""

import numpy as np
import pytest

from helpers import HashEncoder
from vecpress.pseudo import FEWEST, draw_questions, make_probes, split_sentences
from vecpress.stages import Image


def document(i, sentences=3):
    return " ".join(f"Number {i} says this as {place}." for place in range(sentences))


def corpus(n=100, sentences=3):
    return [document(i, sentences) for i in range(n)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("No end in version 1.5 or e.g.this", ["No end in version 1.5 or e.g.this"]),
        ("A title\nA body\n\nAn end", ["A title", "A body", "An end"]),
        ("He said “so.” Then he left.", ["He said “so.", "Then he left."]),
        ("私は猫。名前はまだない！本当？はい", ["私は猫。", "名前はまだない！", "本当？", "はい"]),
        ("كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("यह एक वाक्य है। यह दूसरा है।", ["यह एक वाक्य है।", "यह दूसरा है।"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_texts_are_cut_at_the_full_stops_of_any_script(text, sentences):
    assert split_sentences(text) == sentences


def test_a_sentence_and_its_remainder_make_the_document():
    texts = corpus()
    questions = draw_questions(texts)
    assert len(questions) == len(questions.texts) == len(questions.remainders) == 100
    assert sorted(questions.rows) == list(range(100))  # one of each
    places = set()
    for row, text, remainder in zip(
        questions.rows, questions.texts, questions.remainders, strict=True
    ):
        left = split_sentences(remainder)
        whole = [" ".join([*left[:i], text, *left[i:]]) for i in range(3)]
        assert texts[row] in whole
        places.add(whole.index(texts[row]))
    assert places == {0, 1, 2}


def test_there_are_none_if_too_few_documents_have_two_sentences():
    titles = ["Only one sentence stands in here"] * 500
    assert FEWEST == 64
    assert draw_questions(corpus(63) + titles) == draw_questions([])
    assert len(draw_questions([])) == 0
    questions = draw_questions(corpus(64) + titles)
    assert sorted(questions.rows) == list(range(64))


def test_short_sentences_are_no_questions():
    """Five words, or one of twelve characters: what is short stays in the remainder."""
    few = [f"It is number {i}. Here are five words {i}." for i in range(64)]
    questions = draw_questions(few)
    assert set(questions.texts) == {f"Here are five words {i}." for i in range(64)}
    assert set(questions.remainders) == {f"It is number {i}." for i in range(64)}
    assert len(draw_questions([f"It is number {i}. Four words are few." for i in range(64)])) == 0
    joined = [f"短い文は聞かれない。十二文字の文は質問になる{i:02}。" for i in range(64)]
    assert all(text.startswith("十二") for text in draw_questions(joined).texts)
    assert len(draw_questions([f"短い。これは十一文字の文{i % 10}。" for i in range(64)])) == 0
    assert len(draw_questions([f"短い。これも十二文字の文だ{i % 10}。" for i in range(64)])) == 64


def test_long_sentences_are_cut_and_leave_the_document_whole():
    long = " ".join(f"w{i}" for i in range(80))
    questions = draw_questions([f"{long}. Short." for _ in range(64)])
    assert set(questions.texts) == {" ".join(f"w{i}" for i in range(60))}
    assert set(questions.remainders) == {"Short."}


def test_images_are_passed_over():
    texts = corpus(64)
    mixed = [Image(path=f"{i}. A. B. C. D. E.png") for i in range(30)] + texts
    assert sorted(draw_questions(mixed).rows) == list(range(30, 94))
    assert len(draw_questions(mixed[:30] * 10)) == 0


def test_there_are_at_most_as_many_as_asked_for_from_anywhere():
    questions = draw_questions(corpus(300), most=70)
    assert len(questions) == len(set(questions.rows)) == 70
    assert max(questions.rows) > 200


def test_the_same_seed_draws_the_same():
    texts = corpus(200)
    assert draw_questions(texts, seed=3) == draw_questions(texts, seed=3)
    one, other = draw_questions(texts, most=64, seed=3), draw_questions(texts, most=64, seed=4)
    assert set(one.rows) != set(other.rows)
    assert draw_questions(texts) == draw_questions(texts, seed=0)


def test_the_first_are_the_first():
    questions = draw_questions(corpus())
    first = questions.first(5)
    assert len(first) == 5
    assert first.rows == questions.rows[:5]
    assert first.texts == questions.texts[:5]
    assert first.remainders == questions.remainders[:5]
    assert questions.first(1000) == questions


class Asked(HashEncoder):
    roles = ()

    def encode(self, texts, *, role="document"):
        self.roles += (role,)
        return super().encode(texts, role=role)


def test_probes_are_sentences_encoded_as_queries():
    questions, encoder = draw_questions(corpus()), Asked()
    probes = make_probes(questions, encoder)
    assert encoder.roles == ("query",)
    np.testing.assert_array_equal(probes.answers, questions.rows)
    np.testing.assert_array_equal(probes.queries, HashEncoder().encode(questions.texts))


def test_no_probes_without_questions_or_an_encoder():
    assert make_probes(draw_questions(corpus()), None) is None
    encoder = Asked()
    assert make_probes(draw_questions([]), encoder) is None
    assert encoder.roles == ()
