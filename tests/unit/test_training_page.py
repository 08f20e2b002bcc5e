"""The page of a training log shows every stage, says what was kept and why, and needs nothing."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charts import assert_balanced, points, svgs, text
from vecpress.training_page import render_log


def epochs(stage, held_out, *, figure="held-out nDCG@10", rows=("0-4", "4-8")):
    """Rows of a stage: the loss halves, gradients fall tenfold from band to band."""
    return [
        {
            "event": "epoch",
            "stage": stage,
            "epoch": epoch,
            "loss": None if epoch == 0 else 0.5**epoch,
            "held_out": value,
            "figure": figure,
            "gradients": [
                {
                    "rows": band,
                    "size": 10.0 ** -(3 + n) / epoch,
                    "variance": 10.0 ** -(6 + n) / epoch,
                }
                for n, band in enumerate(rows)
                if epoch
            ],
        }
        for epoch, value in enumerate(held_out)
    ]


def kept(stage, **row):
    return {"event": "kept", "stage": stage, "figure": "held-out nDCG@10"} | row


HELD_OUT = [0.71, 0.725, 0.74, 0.732]
TRAINED = [
    *epochs("8 -> 4", HELD_OUT),
    kept("8 -> 4", what="trained", epoch=2, held_out=0.74, start=0.71),
    {
        "event": "coordinates",
        "stage": "8 -> 4",
        "kept": [0, 1, 5, 7],
        "importance": [0.1, 0.2, 0.01, 0.02, 0.03, 0.3, 0.04, 0.5],
        "models": {"minilm": 0.6, "<lexical>": 0.4},
        "kept_of_important": 1.0,
        "prefix_of_important": 0.5,
    },
]
START = [
    *epochs("4 -> 2", [0.6, 0.59]),
    kept("4 -> 2", what="start", epoch=0, held_out=0.6, start=0.6),
]


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told():
    rows = [row | {"stage": "<i>"} for row in TRAINED]
    page = render_log(rows, title="<press>", command="vecpress report <x>")
    assert not re.search(r"src=|https?:|@import|url\(|<script|href=(?!\"#stage-\d+\")", page)
    assert "Training of &lt;press&gt;" in page
    assert "<code>vecpress report &lt;x&gt;</code>" in page
    for told in ("<i>", "<press>", "<lexical>", "<x>"):
        assert told not in page.replace('<i class="', "")
    assert_balanced(page)


def test_every_stage_has_a_line_and_a_section_in_the_order_trained():
    page = render_log(TRAINED + START, title="press")
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["8 -&gt; 4", "4 -&gt; 2"]
    assert re.findall(r'<section id="(.*?)">', page) == re.findall(r'href="#(.*?)"', page)
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    lines = [text(line).split() for line in table.split("</tr>")[:-1]]
    assert lines[0] == [
        *("8", "->", "4", "held-out", "nDCG@10", "epoch", "2", "3", "0.7100", "0.7400"),
        *("+0.0300", "4", "of", "8"),
    ]
    assert lines[1] == [
        *("4", "->", "2", "held-out", "nDCG@10", "start", "1", "0.6000", "0.6000", "–", "–"),
    ]
    assert page.index("</table>") < page.index("<section")


def headline(rows):
    return text(re.search(r'<p class="headline">(.*?)</p>', render_log(rows, title="x"))[1]).strip()


def test_the_headline_says_what_was_kept_and_why():
    assert headline(TRAINED) == (
        "Kept epoch 2 of 3: held-out nDCG@10 went from 0.7100 to 0.7400; 1 more brought nothing "
        "better."
    )
    last = [*TRAINED[:3], kept("8 -> 4", what="trained", epoch=2, held_out=0.74, start=0.71)]
    assert headline(last).endswith("went from 0.7100 to 0.7400.")
    assert headline(START) == (
        "Kept the starting point: in 1 epoch, training did not surely improve its held-out "
        "nDCG@10 (0.6000)."
    )
    assert headline(TRAINED[:4]) == "The log does not say what was kept: did training end early?"
    assert headline([kept("8 -> 4", what="start")]) == (
        "Kept the starting point: in 0 epochs, training did not surely improve its held-out "
        "nDCG@10."
    )


def test_curves_show_the_numbers_of_the_log():
    page = render_log(TRAINED, title="press")
    (loss,), (held_out,) = svgs(page, "Training loss"), svgs(page, "Held-out nDCG@10")
    read = points(held_out, "c2")
    np.testing.assert_allclose([x for x, _ in read], [0, 1, 2, 3], atol=0.01)
    np.testing.assert_allclose([y for _, y in read], HELD_OUT, atol=3e-4)
    read = points(loss, "c0")
    np.testing.assert_allclose([x for x, _ in read], [1, 2, 3], atol=0.01)
    np.testing.assert_allclose([y for _, y in read], [0.5, 0.25, 0.125], atol=3e-3)


def test_what_was_kept_is_marked_in_both_curves():
    page = render_log(TRAINED, title="press")
    (loss,), (held_out,) = svgs(page, "Training loss"), svgs(page, "Held-out nDCG@10")
    dot = re.findall(r'class="c2" cx="([\d.]+)" cy="([\d.]+)"', held_out)[2]
    assert re.search(r'class="ring" cx="([\d.]+)" cy="([\d.]+)"', held_out).groups() == dot
    assert ">epoch 2: 0.7400<" in held_out
    for svg in (loss, held_out):
        assert re.findall(r'class="mark" d="M([\d.]+) ', svg) == [dot[0]]
    first = re.search(r'class="c2" cx="[\d.]+" cy="([\d.]+)"', held_out)[1]
    assert re.search(rf'class="level" d="M[\d.]+ {first}H', held_out)
    assert ">start: 0.6000<" in render_log(START, title="press")
    assert 'class="mark"' not in render_log(TRAINED[:4], title="press")


def test_gradients_show_the_numbers_of_each_band():
    page = render_log(TRAINED, title="press")
    for label, power in (("Gradient size", 3), ("Gradient variance", 6)):
        (svg,) = svgs(page, label)
        for band in range(2):
            read = points(svg, f"c{band}", is_log=True)
            wanted = [10.0 ** -(power + band) / epoch for epoch in (1, 2, 3)]
            np.testing.assert_allclose([y for _, y in read], wanted, rtol=0.03)
    assert "rows 0-4 rows 4-8" in text(page)


def test_what_a_log_scale_cannot_show_is_counted():
    rows = epochs("8 -> 4", [0.5, 0.6, 0.7])
    for row in rows[1:]:
        row["gradients"][0]["size"] = 0.0
    page = render_log(rows, title="press")
    (svg,) = svgs(page, "Gradient size")
    assert points(svg, "c0", is_log=True) == []
    assert len(points(svg, "c1", is_log=True)) == 2
    assert "Gradient size: 2 zeros are not drawn." in text(page)
    assert "Gradient variance: " not in text(page)
    for row in rows[1:]:
        row["gradients"][1]["size"] = 0
    page = render_log(rows, title="press")
    assert svgs(page, "Gradient size") == []
    assert "Nothing to draw." in text(page)


def test_numbers_that_are_none_are_counted_and_break_the_line():
    rows = epochs("8 -> 4", [0.5, 0.6, math.nan, 0.7, 0.8])
    rows[3]["loss"] = rows[4]["loss"] = None
    page = render_log(rows, title="press")
    (svg,) = svgs(page, "Held-out nDCG@10")
    assert re.sub("[^ML]", "", re.search(r'class="curve c2" d="([^"]*)"', svg)[1]) == "MLML"
    assert "held-out nDCG@10: no finite number in 1 epoch." in text(page)
    assert "Loss: no finite number in 2 epochs." in text(page)
    assert "no finite number" not in text(render_log(TRAINED, title="press"))


def test_models_keep_their_colour_from_stage_to_stage():
    second = TRAINED[-1] | {"stage": "4 -> 2", "models": {"<lexical>": 0.9, "minilm": 0.1}}
    page = render_log([*TRAINED, *START, second], title="press")
    keys = re.findall(r'<i class="(c\d)"></i>(minilm|&lt;lexical&gt;) (\d+)', page)
    assert keys == [
        *[("c0", "minilm", "60"), ("c1", "&lt;lexical&gt;", "40")],
        *[("c1", "&lt;lexical&gt;", "90"), ("c0", "minilm", "10")],
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"event": "weather", "stage": "weather"}],
        epochs("8 -> 4", [0.5]),
        epochs("8 -> 4", [0.5, 0.5]),
        epochs("8 -> 4", [0.0, 0.0, 0.0]),
        [{"event": "epoch", "stage": "8 -> 4"}],
        [{"event": "coordinates", "stage": "8 -> 4", "importance": [1.0], "kept": [0]}],
        [{"event": "kept"}],
        epochs("8 -> 4", [0.5] * 400),
        [row for n in range(8) for row in epochs(f"{n}", [0.5, 0.6], rows=list("abcdefghijk"))],
    ],
)
def test_little_and_much_can_be_drawn(rows):
    page = render_log(rows, title="press")
    assert_balanced(page)
    assert page.count("<section") == len({row.get("stage") for row in rows} - {"weather"})
    if not rows:
        assert "This log tells of no stage." in page


def test_the_same_log_gives_the_same_page():
    again = json.loads(json.dumps(TRAINED + START))
    assert render_log(iter(again), title="x") == render_log(TRAINED + START, title="x")


ODD = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.sampled_from(["<b>&\"'", "", "0-4", "trained", "start"]),
    st.lists(st.floats(), max_size=4),
    st.dictionaries(st.sampled_from(["a", "<z>"]), st.floats(), max_size=3),
    st.just([{"rows": "0-4", "size": 1e-320, "variance": -1.0}, {"size": 1e300}, 5]),
)
KEYS = (
    *("stage", "epoch", "loss", "held_out", "figure", "gradients", "kept", "importance", "models"),
    *("kept_of_important", "prefix_of_important", "what", "start", "extra"),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"event": st.sampled_from(["epoch", "epoch", "kept", "coordinates", "?", None])},
            optional=dict.fromkeys(KEYS, ODD),
        ),
        max_size=5,
    )
)
def test_any_row_of_plain_values_can_be_drawn(rows):
    page = render_log(rows, title="x")
    assert_balanced(page)
    assert not re.search(r' (d|cx|cy|x|y|style)="[^"]*(nan|inf)', page)
    assert "<z>" not in page
