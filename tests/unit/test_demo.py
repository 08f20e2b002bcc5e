"""The demo's questions are part of the product: they are judged like it."""

import json
import re
from importlib.resources import files

from vecpress import demo
from vecpress.demo import standard_library
from vecpress.demo.stdlib import Symbol


def questions():
    text = files("vecpress.demo").joinpath("questions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def runs_of_four(text):
    found = words(text)
    return {tuple(found[i : i + 4]) for i in range(len(found) - 3)}


def test_there_are_enough_distinct_questions_with_graded_answers():
    asked = questions()
    assert len(asked) >= 150
    assert len({q["text"] for q in asked}) == len({q["_id"] for q in asked}) == len(asked)
    assert all(set(q["answers"].values()) <= {1, 2} for q in asked)
    assert all(2 in q["answers"].values() for q in asked)
    assert sum(len(q["answers"]) > 1 for q in asked) > len(asked) / 2


def test_no_question_quotes_the_docstring_of_an_answer_or_names_it():
    benchmark = standard_library()
    texts = dict(zip(benchmark.corpus.ids, benchmark.corpus.texts, strict=True))
    for question in questions():
        for answer in question["answers"]:
            if answer not in texts:
                continue
            docstring = texts[answer].split("\n", 1)[-1]
            assert not runs_of_four(question["text"]) & runs_of_four(docstring), question["text"]
            assert answer.lower() not in question["text"].lower() or "." not in answer


def test_this_interpreter_has_nearly_all_answers():
    benchmark = standard_library()
    assert len(benchmark.corpus) > 4000
    assert len(benchmark.queries) > 0.97 * len(questions())
    known = set(benchmark.corpus.ids)
    assert all(judged.keys() <= known for judged in benchmark.qrels.values())
    assert not set(demo.QUESTIONS) & set(benchmark.queries.texts)


def test_answers_that_this_interpreter_lacks_are_left_out(monkeypatch):
    known = [Symbol("os.makedirs", "Make folders.", "(name)"), Symbol("json", "JSON.", "")]
    monkeypatch.setattr(demo, "symbols", lambda: known)
    benchmark = standard_library()
    assert {d for judged in benchmark.qrels.values() for d in judged} <= {"os.makedirs", "json"}
    assert set(benchmark.queries.ids) == set(benchmark.qrels)
    assert benchmark.corpus.texts[0] == "os.makedirs(name)\nMake folders."
