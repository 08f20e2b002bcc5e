"""The demo: everything end to end, offline, on the standard library's own documentation."""

import json
from importlib.resources import files

from vecpress.corpus import Benchmark, Corpus
from vecpress.demo.stdlib import symbols

MODELS = ("minilm", "wordllama")
WEIGHTS = (1.0, 0.5)  # a static table knows less than a transformer
BUDGETS = (32, 64, 128)
QUESTIONS = (
    "how do I split a file path into folder and name?",
    "run a shell command and capture what it prints",
    "which day of the week was a given date?",
)
"""Asked on screen; none of them is among the judged questions."""


def standard_library() -> Benchmark:
    """Harvest the running interpreter's documentation, and take the judged questions with it.

    The questions are written by hand, with every right answer we know of: 2 answers it, 1 helps.
    Answers that this interpreter does not have are left out, and questions left without one.
    """
    found = symbols()
    corpus = Corpus(
        ids=tuple(s.name for s in found),
        texts=tuple(f"{s.name}{s.signature}\n{s.docstring}" for s in found),
        name="the standard library's documentation",
    )
    known = set(corpus.ids)
    lines = files("vecpress.demo").joinpath("questions.jsonl").read_text(encoding="utf-8")
    questions = [json.loads(line) for line in lines.splitlines()]
    qrels = {}
    for question in questions:
        answers = {name: grade for name, grade in question["answers"].items() if name in known}
        if answers:
            qrels[question["_id"]] = answers
    asked = [(q["_id"], q["text"]) for q in questions if q["_id"] in qrels]
    ids, texts = zip(*asked, strict=True)
    queries = Corpus(ids=ids, texts=texts, name="the demo's questions")
    return Benchmark(name="python-stdlib", corpus=corpus, queries=queries, qrels=qrels)
