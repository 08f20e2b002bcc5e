"""Charts show the numbers they are given: read back, they are the same."""

import base64
import hashlib
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charts import assert_balanced, points, worth
from vecpress import drawing
from vecpress.drawing import (
    Curve,
    Mark,
    binary_scale,
    line_chart,
    linear_scale,
    log_scale,
    with_script,
)


@pytest.mark.parametrize(
    ("span", "step"),
    [(1.0, 0.2), (0.05, 0.01), (7.0, 2), (34.0, 10), (100.0, 20), (24.0, 5), (1e-7, 2e-8)],
)
def test_steps_are_1_2_or_5_and_about_five(span, step):
    assert drawing.step(span) == pytest.approx(step)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.7433, "0.7433"),
        (0.0, "0.0000"),
        (-0.03315, "\N{MINUS SIGN}0.0331"),
        (12.5, "12.5000"),
        (0.000234, "2.34·10⁻⁴"),
        (-123456.0, "\N{MINUS SIGN}1.23·10⁵"),
        (9.999e-3, "1.00·10⁻²"),
    ],
)
def test_figures_are_written_with_the_digits_they_need(value, written):
    assert drawing.figure(value) == written


def assert_covers(scale, values):
    """The values lie within; the labels say, within half a step, where they are."""
    assert all(scale.low <= value * 1.001 + 1e-99 for value in values if value >= 0)
    assert 2 <= len(scale.ticks) <= 11
    places = [scale.at(value) for value, _ in scale.ticks]
    assert places == sorted(places)
    assert min(places) >= 0
    assert max(places) <= 1


@example([107420000.0])
@example([99990001.0])
@example([1e-200])
@given(st.lists(st.floats(-1e90, 1e90), min_size=1, max_size=5))
def test_a_linear_scale_covers_its_values(values):
    scale = linear_scale(values)
    assert_covers(scale, values)
    assert scale.low <= min(values) + 1e-29
    assert scale.high >= max(values) * (1 - 1e-12)
    names = [name for _, name in scale.ticks]
    assert len(set(names)) == len(names)
    np.testing.assert_allclose(
        [worth(name) for name in names],
        [value for value, _ in scale.ticks],
        atol=0.01 * (scale.high - scale.low),
    )


@given(st.lists(st.floats(1e-30, 1e90), min_size=1, max_size=5))
def test_a_log_scale_covers_its_values(values):
    scale = log_scale(values)
    assert_covers(scale, values)
    assert scale.low <= min(values) * 1.001
    assert scale.high >= max(values) * 0.999
    for value, name in scale.ticks:
        assert worth(name) == pytest.approx(value)


@given(st.lists(st.floats(1, 1e12), min_size=1, max_size=5))
def test_a_binary_scale_covers_its_values(values):
    scale = binary_scale(values)
    assert scale.low < min(values)
    assert scale.high > max(values)
    assert 2 <= len(scale.ticks) <= 15
    for value, name in scale.ticks:
        assert worth(name) == value
        assert np.log2(value) == round(np.log2(value))
        assert 0 <= scale.at(value) <= 1


def test_a_binary_scale_counts_doublings():
    scale = binary_scale([16.0, 64.0])
    assert [name for _, name in scale.ticks] == ["8", "16", "32", "64", "128"]
    assert [round(scale.at(value), 9) for value, _ in scale.ticks] == [0, 0.25, 0.5, 0.75, 1]
    assert [name for _, name in binary_scale([1.0]).ticks] == ["1", "2"]  # no half bytes


def test_a_log_scale_counts_powers():
    scale = log_scale([1e-5, 1e-1])
    assert [name for _, name in scale.ticks] == ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]
    assert [round(scale.at(value), 9) for value, _ in scale.ticks] == [0, 0.25, 0.5, 0.75, 1]
    assert [name for _, name in log_scale([2e-4, 9e-4]).ticks] == ["2·10⁻⁴", "5·10⁻⁴", "10⁻³"]
    assert scale.at(1e-9) == 0
    assert scale.at(10.0) == 1


def test_a_flat_curve_is_not_blown_up():
    scale = linear_scale([0.71, 0.7100001])
    assert scale.high - scale.low > 0.003
    assert linear_scale([0.0]).low == 0


@pytest.mark.parametrize("is_log", [False, True])
def test_points_lie_where_their_numbers_say(is_log):
    values = [0.0321, 0.5, 0.002, 0.3, 0.11]
    scale = (log_scale if is_log else linear_scale)(values)
    curve = Curve("loss", "c0", list(enumerate(values, start=1)))
    svg = line_chart([curve], scale, label="x", last=5)
    read = points(svg, "c0", is_log=is_log)
    np.testing.assert_allclose([x for x, _ in read], [1, 2, 3, 4, 5], atol=0.01)
    if is_log:
        np.testing.assert_allclose([y for _, y in read], values, rtol=0.01)
    else:
        np.testing.assert_allclose([y for _, y in read], values, atol=0.001)
    line = re.search(r'class="curve c0" d="M([^"]+)"', svg)[1].replace("L", " ").split()
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert line == [number for dot in dots for number in dot]
    assert [float(x) for x, _ in dots] == sorted(float(x) for x, _ in dots)
    heights = [-float(y) for _, y in dots]
    assert np.argsort(heights).tolist() == np.argsort(values).tolist()  # more is higher up


def test_a_line_breaks_where_there_is_no_value():
    values = [1.0, 2.0, None, 4.0, None, 6.0, 7.0]
    svg = line_chart(
        [Curve("a<b", "c1", list(enumerate(values)))], linear_scale([1.0, 7.0]), label="x", last=6
    )
    line = re.search(r'class="curve c1" d="([^"]+)"', svg)[1]
    assert re.sub("[^ML]", "", line) == "MLMML"
    assert [round(x) for x, _ in points(svg, "c1")] == [0, 1, 3, 5, 6]
    assert "<title>a&lt;b, epoch 3: 4.0000</title>" in svg


def test_of_many_points_only_those_alone_are_drawn():
    values = [None if place in (49, 51) else 1.0 for place in range(200)]
    curve = Curve("a", "c0", list(enumerate(values)))
    svg = line_chart([curve], linear_scale([1.0]), label="x", last=199)
    assert [round(x) for x, _ in points(svg, "c0")] == [50]


@pytest.mark.parametrize(
    ("epoch", "side"), [(0, "start"), (2, "start"), (5, "middle"), (10, "end")]
)
def test_a_mark_rings_its_point_and_stands_on_its_epoch(epoch, side):
    curve = Curve("a", "c0", [(n, n / 10) for n in range(11)])
    svg = line_chart(
        [curve],
        linear_scale([0.0, 1.0]),
        label="<x>",
        last=10,
        mark=Mark(epoch, epoch / 10, "best & kept"),
        level=0.5,
    )
    ring = re.search(r'class="ring" cx="([\d.]+)" cy="([\d.]+)"', svg).groups()
    assert re.findall(r'class="c0" cx="([\d.]+)" cy="([\d.]+)"', svg)[epoch] == ring
    assert f'<path class="mark" d="M{ring[0]} ' in svg
    assert re.search(rf'class="told {side}" x="{ring[0]}"[^>]*>best &amp; kept<', svg)
    middle = re.findall(r'class="c0" cx="[\d.]+" cy="([\d.]+)"', svg)[5]
    assert re.search(rf'class="level" d="M[\d.]+ {middle}H', svg)
    assert "<x>" not in svg
    assert_balanced(svg)


def test_a_page_escapes_its_plain_text():
    page = drawing.page(
        ["<p>one</p>", "<p>two</p>"],
        title="<t>",
        heading="<h>",
        lead="<b>lead</b>",
        command="a <b>",
        style="p { color: red; }",
    )
    assert "<title>vecpress: &lt;t&gt;</title>" in page
    assert "<h1>&lt;h&gt;</h1>" in page
    assert "<code>a &lt;b&gt;</code>" in page
    assert "<b>lead</b>" in page
    assert "<p>one</p>\n<p>two</p>" in page
    assert "p { color: red; }</style>" in page
    assert_balanced(page)


def test_a_page_runs_no_script_but_the_one_it_is_given():
    told = "script-src 'none' </body>"
    page = drawing.page([told], title=told, heading=told, lead="", command=told)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'none'; base-uri" in page
    assert "<script" not in page
    script = "let a = 1 < 2; // é"
    scripted = with_script(page, script)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri" in scripted
    assert scripted.endswith(f"<script>{script}</script>\n</body>\n</html>\n")
    plain = scripted.replace(f"<script>{script}</script>\n", "")
    assert plain.replace(f"script-src 'sha256-{digest}'", "script-src 'none'") == page
