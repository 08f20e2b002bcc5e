import numpy as np
import pytest

from helpers import unit
from vecpress.budget import Choice, Trial
from vecpress.candidates import Candidate
from vecpress.compressors.linear import PowerPCA
from vecpress.explain import meaning, planned, steps_table, suggestion, trials_table, weighed
from vecpress.plan import Plan, Prepared
from vecpress.pseudo import Probes
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe
from vecpress.sample import Sample
from vecpress.screen import OUT
from vecpress.suggest import Cost, Suggestion
from vecpress.weighing import Step

STEPS = (Step(weights={2: 1.0}, quality=0.5), Step(weights={2: 1.0, 0: 0.25}, quality=0.6251,
                                                    p_value=0.0123))  # fmt: skip


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """As wide wherever it is run: the console keeps the width it was made with."""
    monkeypatch.setattr(OUT, "_width", 200)


def trial(dim, first, worth, **more):
    candidate = Candidate(head=PowerPCA(dim=dim), quantizer=Percentile(bits=4), code_bytes=dim // 2)
    return Trial(
        candidate=candidate, kept={"first": first, "ten": 0.5, **more}, worth=worth, seconds=1.25
    )


def plan(*, trials=7, steps=STEPS, probes=3, searched=90, shared=90, **more):
    made = [trial(2 * (9 - i), 0.9 - i / 100, 0.8 - i / 100, **more) for i in range(trials)]
    asked = Probes(queries=unit(probes, 4), answers=np.arange(probes)) if probes else None
    return Plan(
        prepared=Prepared(
            recipe=Recipe(models=("one", "three")),
            sample=Sample(embeddings=unit(4, 4)),
            probes=asked,
            steps=steps,
            models=("one", "two", "three"),
        ),
        choice=Choice(budget=9, trials=tuple(made), fitted_on=90, searched=searched, shared=shared),
    )


def shown(table):
    with OUT.capture() as captured:
        OUT.print(table)
    lines = captured.get().splitlines()
    return [" ".join(line.split()) for line in lines if line.strip(" ─")]


def test_weights_are_said_with_what_was_left_out():
    assert weighed(plan().prepared) == [
        "Models by their share of the cosine: one 0.25, three 1.",
        "Left out, for sentences found their documents no better with them: two. To keep every "
        "model: --weights 1,1,1",
    ]
    all_of_them = (Step(weights={0: 1.0, 1: 0.5, 2: 1.0}, quality=0.5),)
    assert weighed(plan(steps=all_of_them).prepared) == [
        "Models by their share of the cosine: one 1, two 0.5, three 1."
    ]
    assert weighed(plan(steps=()).prepared) == []


def test_the_best_ways_come_first_and_more_are_counted():
    lines = shown(trials_table(plan().choice, shown=5))
    assert lines[0] == "7 ways to spend 9 bytes were tried; the best:"
    assert lines[1] == "head and code bytes first % ten % mean % s"
    assert lines[2] == "18 dims x 4 bit, gamma 0.25 9 90.0 50.0 80.0 1.2"
    assert [line.split()[0] for line in lines[2:]] == ["18", "16", "14", "12", "10"]
    everything = shown(trials_table(plan().choice, shown=None))
    assert everything[0] == "7 ways to spend 9 bytes were tried:"
    assert len(everything) == 9
    assert shown(trials_table(plan(trials=3).choice, shown=5))[0].endswith("were tried:")


def test_a_column_for_everything_that_was_asked():
    lines = shown(trials_table(plan(trials=1, source=1.031, judged=0.97).choice, shown=5))
    assert lines[1] == "head and code bytes first % ten % source % judged % mean % s"
    assert lines[2].endswith(" 90.0 50.0 103.1 97.0 80.0 1.2")


def test_the_steps_are_shown_with_their_luck():
    lines = shown(steps_table(STEPS, ("one", "two", "three")))
    assert lines == [
        "Models, added one after another:",
        "share of each model quality p",
        "three 1 0.500",
        "three 1, one 0.25 0.625 0.012",
    ]


def test_what_the_columns_mean_is_said_in_words():
    said = meaning(plan(source=1.0))
    assert said == [
        "Every way was fitted on 90 documents and judged on the same. 100 % is as good as the "
        "floats; above it, better.",
        "3 sentences of them played the queries. First: they find the document that they find in "
        "float; ten: the ten that they find in float, the first counting most.",
        "Source: they find the document that they were taken from.",
        "Chosen: the way that keeps most.",
    ]
    said = meaning(plan(probes=0, searched=4000, shared=40, judged=1.0))
    assert said[0].startswith("Every way was fitted on 90 documents and judged on 4,000, 3,960 of")
    assert said[1].startswith("Documents played the queries.")
    assert said[2:] == [
        "Judged: nDCG@10 of the judgements given, which count the more the more there are.",
        "Chosen: the way that keeps most.",
    ]


def test_a_plan_is_short_unless_all_of_it_is_asked_for(capsys):
    planned(None, explain=True)
    assert capsys.readouterr().out == ""
    planned(plan(), explain=False)
    out = capsys.readouterr().out
    assert out.startswith("Models by their share of the cosine: one 0.25, three 1.\nLeft out")
    assert "; the best:" in out
    assert out.count("dims x") == 5
    assert "Chosen: the way" not in out
    assert "added one after another" not in out
    planned(plan(), explain=True)
    out = capsys.readouterr().out
    assert out.count("dims x") == 7
    assert "Models, added one after another:" in out
    assert out.endswith("Chosen: the way that keeps most.\n")
    planned(plan(steps=()), explain=True)
    assert "added one after another" not in capsys.readouterr().out


def found(steps, rejected=()):
    costs = [("one", 64, 1.5), ("two", 32, 0.25), ("three", 128, 10.0)]
    return Suggestion(
        costs=tuple(
            Cost(model=model, dim=dim, query_ms=ms, documents_per_second=100.0)
            for model, dim, ms in costs
        ),
        alone=tuple(Step(weights={i: 1.0}, quality=q) for i, q in enumerate((0.4, 0.1, 0.5))),
        steps=tuple(steps),
        rejected=tuple(rejected),
        questions=1000,
        by="ms",
    )


def test_a_suggestion_shows_gains_costs_and_what_to_type(capsys):
    left = Step(weights={2: 1.0, 0: 0.25, 1: 0.25}, quality=0.62, p_value=0.6)
    suggestion(found(STEPS, [left]), "corpus.jsonl")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    lines = [line for line in lines if line.strip("─ ")]
    assert lines == [
        "1,000 sentences looked for what is left of their documents:",
        "models and shares quality gain p query ms floats B",
        "alone",
        "three 1 0.500 10.0 512",
        "one 1 0.400 1.5 256",
        "two 1 0.100 0.2 128",
        "added one after another",
        "three 1, one 0.25 0.625 +0.125 0.012 11.5 768",
        "left out: adding it would give",
        "three 1, one 0.25, two 0.25 0.620 -0.005 0.600 11.8 896",
        "Next: vecpress fit corpus.jsonl --models one,three --weights 0.25,1 --budget 64B --out "
        "PRESS",
    ]


def test_gains_are_over_the_step_before(capsys):
    third = Step(weights={2: 1.0, 0: 0.25, 1: 0.5}, quality=0.7251, p_value=0.01)
    suggestion(found([*STEPS, third]), "c")
    out = capsys.readouterr().out
    assert "+0.125" in out
    assert "+0.100" in out
    assert "left out" not in out


def test_one_model_needs_no_weights_in_what_to_type(capsys):
    suggestion(found(STEPS[:1]), "c")
    out = capsys.readouterr().out
    assert out.endswith("Next: vecpress fit c --models three --budget 64B --out PRESS\n")
    assert "added one after another" not in out
