"""A study's page: well-formed, and nothing that a recipe says becomes markup."""

from html.parser import HTMLParser

import pytest

from small_study import one_axis, rows, study
from vecpress.studies.outcomes import decide
from vecpress.studies.page import render_study

VOID = {"meta", "link", "br", "hr", "img", "input"}
CLAIM = {
    "says": "A is <i>better</i> & 'more'.",
    "source": "them <b>",
    "published": "5 > 4",
    "finding": "Because <script>alert(1)</script> of this.",
    "higher": {"arm": "a<b>"},
    "than": {"arm": "c&d"},
}


class Page(HTMLParser):
    """Follows tags and texts; what is not closed in order is an error."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts, self.ids = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def drawn(plan, *, training=None, command="vecpress study it.toml"):
    gap = {"a<b>": 0.02, "c&d": 0.0}
    score = lambda arm, *_: [0.5 + gap.get(arm, 0) + 0.01 * i for i in range(9)]  # noqa: E731
    results = rows(plan, score, training)
    return render_study(plan, results, decide(plan, results), command=command)


def test_a_page_is_well_formed_and_says_what_the_recipe_says():
    plan = one_axis(
        ("a<b>", "c&d"),
        CLAIM,
        title="T & <t>",
        question="Why <q>?",
        notes="N <n>",
        benchmarks=["one<u>"],
        seeds=[0, 1],
    )
    page = drawn(plan, command="vecpress study 'a & <b>.toml'")
    parsed = Page(page)
    for text in (
        "T & <t>",
        "Why <q>? N <n>",
        "one<u>; 2 seeds.",
        "A is <i>better</i> & 'more'. (them <b>) Published: 5 > 4.",
        "Because <script>alert(1)</script> of this.",
        "arm a<b> against arm c&d",
        "vecpress study 'a & <b>.toml'",
        "+2.0 points",
    ):
        assert text in parsed.text
    assert not {"script", "i", "q", "n", "t", "u"} & set(parsed.tags)
    assert parsed.ids.count("claims") == 1
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_sections_are_those_there_is_something_for():
    claim = {"says": "Up.", "higher": {"head": "pca"}, "than": {"head": "none"}}
    whole = drawn(
        study(claim, {**claim, "measure": "training.gap"}),
        training=lambda arm, *_: {"gap": len(arm) / 10},
    )
    headings = ("Claims", "Means", "Training", "Each benchmark")
    assert [f"<h2>{h}</h2>" in whole for h in headings] == [True] * 4
    bare = drawn(one_axis(("a<b>", "c&d")))
    assert [f"<h2>{h}</h2>" in bare for h in headings] == [False, True, False, False]
    Page(whole)
    Page(bare)


def test_a_claims_line_stands_out_and_its_comparisons_follow():
    page = drawn(one_axis(("a<b>", "c&d"), CLAIM))
    assert page.count('<tr class="claim">') == 1
    assert "<b>A is &lt;i&gt;better" in page
    assert "**" not in page


@pytest.mark.parametrize(
    ("seeds", "words"), [([0], "one; one seed."), ([0, 1, 2], "one; 3 seeds.")]
)
def test_seeds_are_counted(seeds, words):
    assert words in Page(drawn(one_axis(("a<b>", "c&d"), seeds=seeds))).text


def test_dollars_in_a_recipe_are_only_dollars():
    page = drawn(one_axis(("a<b>", "c&d"), title="$title", question="$sections ${lead}"))
    assert "$sections ${lead}" in Page(page).text
