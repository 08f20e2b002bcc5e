"""Stems are as high as coordinates matter, and coloured by whether they survive."""

import math
import re

import numpy as np
import pytest

from charts import assert_balanced, between, text, worth
from vecpress.coordinates import draw_coordinates, shares_of

RNG = np.random.default_rng(0)
IMPORTANCE = np.exp(RNG.normal(size=640) - 6).tolist()
KEPT = sorted(RNG.permutation(640)[:256].tolist())
ROW = {
    "event": "coordinates",
    "stage": "640 -> 256",
    "kept": KEPT,
    "importance": IMPORTANCE,
    "models": {"word<llama": 0.39, "minilm": 0.61},
    "kept_of_important": 0.83,
    "prefix_of_important": 0.17,
}
COLOURS = {"minilm": "c0", "word<llama": "c1"}


def draw(**changes):
    html = draw_coordinates(ROW | changes, colours=COLOURS)
    assert_balanced(html)
    return html


def stems(html):
    """Read (coordinate, importance, class) of every stem by its place beside the ruler."""
    found = []
    lines = re.findall(
        r"<span>([\d,]+)</span><svg[^>]*>(.*?)</svg><div class=\"scale\">(.*?)</div>", html
    )
    for first, svg, ruler in lines:
        ticks = re.findall(r'top:([\d.]+)%">([^<]+)<', ruler)
        marks = [(float(place), math.log10(worth(name))) for place, name in ticks]
        for css, path in re.findall(r'<path class="(kept|dropped)" d="([^"]*)"/>', svg):
            for x, height in re.findall(r"M([\d.]+) 100v-([\d.]+)h", path):
                value = 10 ** between(100 - float(height), marks)
                found.append((int(worth(first)) + math.floor(float(x)), value, css))
    return sorted(found)


def test_every_coordinate_has_a_stem_of_its_height_and_colour():
    read = stems(draw())
    assert [place for place, _, _ in read] == list(range(640))
    np.testing.assert_allclose([value for _, value, _ in read], IMPORTANCE, rtol=0.02)
    assert [place for place, _, css in read if css == "kept"] == KEPT


@pytest.mark.parametrize(
    ("width", "lines", "per_line"),
    [(1, 1, 32), (32, 1, 32), (128, 1, 128), (129, 2, 80), (640, 5, 128), (768, 6, 128),
     (1536, 8, 192), (3072, 8, 384)],
)  # fmt: skip
def test_coordinates_wrap_so_that_they_stay_legible(width, lines, per_line):
    html = draw(importance=[1e-3] * width, kept=[0])
    assert re.findall(r'viewBox="0 0 (\d+) 100"', html) == [str(per_line)] * lines
    assert [place for place, _, _ in stems(html)] == list(range(width))


def test_the_end_of_the_prefix_is_marked_once_where_it_is():
    html = draw(kept=list(range(100, 400)))
    lines = re.findall(r'<svg viewBox="0 0 128 100".*?</svg>', html)
    marks = [re.findall(r'<path class="prefix" d="M(\d+) 0V100"/>', line) for line in lines]
    assert marks == [[], [], [str(300 - 256)], [], []]
    assert "end of the first 300" in text(html)


def test_the_strip_of_ranks_shows_survivors_most_important_first():
    html = draw(importance=[0.1, 0.4, 0.3, 0.2], kept=[1, 3])
    strip = re.search(r'<svg class="ranks".*?</svg>', html)[0]
    green = re.search(r'class="kept" d="([^"]*)"', strip)[1]
    assert re.findall(r"M(\d+) ", green) == ["0", "2"]
    assert 'd="M2 0V10"' in strip


def test_words_say_how_many_survive_and_whether_they_matter():
    assert (
        "256 of 640 survive. They hold 83 % of the 256 that matter most; the first 256 hold 17 %."
        in text(draw())
    )
    told = text(draw(kept_of_important=None))
    assert "256 of 640 survive." in told
    assert "matter most" not in told
    told = text(draw(prefix_of_important="x"))
    assert "matter most." in told
    assert "the first 256 hold" not in told


def test_what_is_too_small_for_a_stem_is_counted():
    told = draw(importance=[1.0, 0.5, 1e-9, 0.0, -1.0, None, math.nan], kept=[0])
    assert [place for place, _, _ in stems(told)] == [0, 1]
    assert "5 are too small to have a stem." in text(told)
    assert "1 is too small" in text(draw(importance=[1.0, 0.0], kept=[0]))
    assert "too small" not in text(draw())


@pytest.mark.parametrize("importance", [[0.0, 0.0], [None], [-1.0], [1e-320, 0]])
def test_importances_that_cannot_be_drawn_are_said(importance):
    told = draw(importance=importance, kept=[0, 17])
    assert f"1 of {len(importance)} survive" in text(told)
    assert "Nothing to draw: none of them has an importance." in text(told)
    assert stems(told) == []


def test_shares_are_drawn_greatest_first_and_escaped():
    html = draw()
    bar = re.search(r'<div class="shares">(.*?)</div>', html)[1]
    found = re.findall(r'<span class="(c\d)" style="flex-grow:([\d.]+)">([^<]*)</span>', bar)
    assert found == [("c0", "0.6100", "61 %"), ("c1", "0.3900", "39 %")]
    assert "minilm 61 % word<llama 39 %" in text(html)
    assert "word<llama" not in html


@pytest.mark.parametrize("models", [{}, None, {"minilm": 0.0}, {"minilm": math.nan}, ["minilm"]])
def test_without_shares_there_is_no_bar(models):
    assert shares_of({"models": models}) == {}
    assert "shares" not in draw(models=models)


def test_nothing_said_is_nothing_drawn():
    assert draw_coordinates(None, colours={}) == ""
    assert draw_coordinates({"event": "coordinates"}, colours={}) == ""
    assert shares_of(None) == {}
    only_shares = draw(importance=None)
    assert "Importance" not in only_shares
    assert "61 %" in only_shares
