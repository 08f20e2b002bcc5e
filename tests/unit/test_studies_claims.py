"""Claims: which arms they compare, and what is wrong with them."""

import pytest

from small_study import study
from vecpress.errors import ConfigError
from vecpress.studies.claims import Contrast

SAYS = {"says": "It holds."}


def arm(head, code):
    return {"head": head, "code": code}


def contrasts(**claim):
    """The contrasts of a claim about the arms of the small study."""
    plan = study({**SAYS, **claim})
    return list(plan.claims[0].contrasts([arm.labels for arm in plan.arms]))


def refused(claim):
    with pytest.raises(ConfigError) as caught:
        study(claim)
    return str(caught.value)


def test_higher_compares_each_arm_it_is_about_with_each_other_level():
    found = contrasts(higher={"head": "pca", "code": ["2 bit", "1 bit"]}, than={"head": "none"})
    assert found == [
        Contrast((arm("pca", code),), (arm("none", code),)) for code in ("2 bit", "1 bit")
    ]
    several = contrasts(higher={"head": "pca", "code": "floats"}, than={"code": ["1 bit", "2 bit"]})
    assert [one.minus for one in several] == [(arm("pca", "1 bit"),), (arm("pca", "2 bit"),)]
    crossed = contrasts(
        higher={"head": "pca", "code": "floats"},
        than={"head": ["none"], "code": ["1 bit", "2 bit"]},
    )
    assert [one.minus for one in crossed] == [(arm("none", "1 bit"),), (arm("none", "2 bit"),)]


def test_an_axis_that_is_not_named_may_have_any_level():
    found = contrasts(keeps={"head": "pca"}, of={"head": "none"}, at_least=0.9)
    assert [one.plus[0]["code"] for one in found] == ["floats", "2 bit", "1 bit"]


def test_keeps_divides_each_arm_by_the_one_it_is_of():
    (found,) = contrasts(keeps={"head": "pca", "code": "1 bit"}, of={"code": "floats"}, at_least=1)
    assert found == Contrast((arm("pca", "1 bit"),), (), {"code": "floats"})
    assert found.arms == [arm("pca", "1 bit"), arm("pca", "floats")]


def test_shares_are_compared_of_both_sides():
    (found,) = contrasts(
        higher={"head": "pca", "code": "1 bit"}, than={"head": "none"}, of={"code": "floats"}
    )
    assert found.arms == [
        *(arm("pca", "1 bit"), arm("none", "1 bit")),
        *(arm("pca", "floats"), arm("none", "floats")),
    ]


def test_exceeds_adds_crosswise():
    """(higher - than) - (exceeds.higher - exceeds.than)."""
    (found,) = contrasts(
        higher={"head": "pca", "code": "floats"},
        than={"head": "none"},
        exceeds={
            "higher": {"head": "pca", "code": "1 bit"},
            "than": {"head": "none", "code": "1 bit"},
        },
    )
    assert found.plus == (arm("pca", "floats"), arm("none", "1 bit"))
    assert found.minus == (arm("none", "floats"), arm("pca", "1 bit"))


def test_what_cannot_be_tested_compares_nothing():
    assert contrasts(untestable="needs the hub") == []


def test_words_are_kept_and_lacking_ones_are_empty():
    claim = {"higher": {"head": "pca"}, "than": {"head": "none"}}
    (bare,) = study({**SAYS, **claim}).claims
    assert (bare.source, bare.published, bare.finding) == ("vecpress", "", "")
    assert (bare.measure, bare.shape, bare.terms) == ("ndcg@10", "higher", claim)
    told = {"source": "them", "published": "5", "finding": "a\n  b ", "measure": "training.gap"}
    (full,) = study({**SAYS, **claim, **told}).claims
    assert (full.source, full.published, full.finding) == ("them", "5", "a b")
    assert (full.measure, full.terms) == ("training.gap", claim)


HIGHER = {**SAYS, "higher": {"head": "pca"}, "than": {"head": "none"}}
KEEPS = {**SAYS, "keeps": {"head": "pca"}, "of": {"head": "none"}, "at_least": 0.9}
SAME = {**SAYS, "same": {"head": "pca"}, "as": {"head": "none"}, "within": 0.5}
IT = "the claim 'It holds.'"
SHAPES = f"{IT} needs one of higher, same, keeps, untestable, got "
LEVELS = 'must say which levels, such as { head = "pca" }, got '
WRONG = [
    ({}, "a claim needs a sentence in `says`, got None"),
    ({"says": 3}, "a claim needs a sentence in `says`, got 3"),
    ({**HIGHER, "then": {}}, f"{IT} has an unknown key 'then'"),
    (SAYS, f"{SHAPES}[]"),
    ({**HIGHER, **KEEPS}, f"{SHAPES}['higher', 'keeps']"),
    ({**SAYS, "higher": {"head": "pca"}}, f"{IT} has 'higher', but no 'than'"),
    ({**SAYS, "same": {"head": "pca"}, "as": {}}, f"{IT} has 'same', but no 'within'"),
    ({**SAYS, "keeps": {"head": "pca"}, "of": {}}, f"{IT} has 'keeps', but no 'at_least'"),
    ({**HIGHER, "at_least": 0.5}, f"{IT} has 'higher', which takes no 'at_least'"),
    ({**KEEPS, "than": {"head": "none"}}, f"{IT} has 'keeps', which takes no 'than'"),
    ({**KEEPS, "exceeds": {}}, f"{IT} has 'keeps', which takes no 'exceeds'"),
    ({**SAYS, "untestable": "x", "of": {}}, f"{IT} has 'untestable', which takes no 'of'"),
    ({**SAYS, "untestable": True}, f"untestable of {IT} must say why, got True"),
    ({**HIGHER, "higher": "pca"}, f"higher of {IT} {LEVELS}'pca'"),
    ({**HIGHER, "than": "none"}, f"than of {IT} {LEVELS}'none'"),
    ({**HIGHER, "than": {}}, f"than of {IT} {LEVELS}{{}}"),
    ({**SAME, "as": ["none"]}, f"as of {IT} {LEVELS}['none']"),
    ({**KEEPS, "of": {}}, f"of of {IT} {LEVELS}{{}}"),
    ({**HIGHER, "exceeds": 3}, f"exceeds of {IT} {LEVELS}3"),
    ({**SAME, "within": 0}, f"within of {IT} must be above 0, got 0"),
    ({**SAME, "within": float("nan")}, f"within of {IT} must be above 0, got nan"),
    ({**SAME, "within": float("inf")}, f"within of {IT} must be above 0, got inf"),
    ({**KEEPS, "at_least": True}, f"at_least of {IT} must be above 0, got True"),
    ({**KEEPS, "at_least": "0.9"}, f"at_least of {IT} must be above 0, got '0.9'"),
    ({**HIGHER, "exceeds": {"higher": {"head": "pca"}}}, f"`exceeds` of {IT} needs `higher` and "),
    ({**HIGHER, "exceeds": {"higher": "a", "than": "b"}}, f"`exceeds` of {IT} needs `higher` and "),
    (
        {**HIGHER, "exceeds": {"higher": {"head": "pca"}, "than": {"head": "none"}}, "of": {}},
        f"of of {IT} {LEVELS}{{}}",
    ),
    (
        {
            **HIGHER,
            "exceeds": {"higher": {"head": "pca"}, "than": {"head": "none"}},
            "of": {"code": "floats"},
        },
        f"{IT} cannot have both `exceeds` and `of`",
    ),
    (
        {**HIGHER, "measure": "recall@100"},
        f"measure of {IT} must be ndcg@10, or training. and a figure, such as training.gap, got "
        "'recall@100'",
    ),
    (
        {**SAME, "measure": "training.gap"},
        f"{IT} is about training.gap, which can be higher and takes no 'same'",
    ),
    (
        {**HIGHER, "measure": "training.gap", "of": {"code": "floats"}},
        f"{IT} is about training.gap, which can be higher and takes no 'of'",
    ),
]


@pytest.mark.parametrize(("claim", "message"), WRONG)
def test_a_claim_that_makes_no_sense_is_refused(claim, message):
    assert refused(claim).startswith(message)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({**HIGHER, "higher": {"heads": "pca"}}, "heads = 'pca', which the study has not; it has "),
        ({**HIGHER, "than": {"head": "smec"}}, "head = 'smec', which the study has not; it has "),
        ({**HIGHER, "higher": {"code": ["1 bit", "3 bit"]}}, "code = '3 bit', which the study has"),
        ({**KEEPS, "of": {"code": "raw"}}, "code = 'raw', which the study has not; it has floats"),
        (
            {**HIGHER, "exceeds": {"higher": {"head": "x"}, "than": {"head": "none"}}},
            "head = 'x', which the study has not; it has none, pca",
        ),
    ],
)
def test_a_level_that_no_arm_has_is_refused(claim, message):
    """Also one of several: the others would be compared, and it would be missed by nobody."""
    assert refused(claim).startswith(f"{IT} speaks of {message}")


def test_arms_that_are_left_out_cannot_be_compared():
    left_out = [{"head": "none", "code": "1 bit"}]
    with pytest.raises(ConfigError) as caught:
        study({**HIGHER, "higher": {"head": "pca", "code": "1 bit"}}, leave_out=left_out)
    assert str(caught.value) == (
        f"{IT} needs the arm {arm('none', '1 bit')}, which the study does not run"
    )
    with pytest.raises(ConfigError) as caught:
        study({**HIGHER, "higher": {"head": "none", "code": "1 bit"}}, leave_out=left_out)
    assert str(caught.value) == (
        f"no arm of the study is what {IT} is about: {arm('none', '1 bit')}"
    )


@pytest.mark.parametrize(
    "claim",
    [
        {**HIGHER, "higher": {"code": "1 bit"}, "than": {"code": "1 bit"}},
        {**HIGHER, "higher": {}, "than": {"head": "pca"}},
        {**KEEPS, "keeps": {"head": "pca"}, "of": {"head": "pca"}},
    ],
)
def test_an_arm_is_not_compared_with_itself(claim):
    message = refused(claim)
    assert message.startswith(f"{IT} compares the arm {{'head': ")
    assert message.endswith(" with itself")
