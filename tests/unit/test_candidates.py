"""What fits a budget, and the order in which it is tried."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import unit
from vecpress import candidates
from vecpress.candidates import GAMMAS, START, Candidate, climb, shapes
from vecpress.compressors.linear import PowerPCA
from vecpress.quantizers.product import OPQ, PQ
from vecpress.quantizers.scalar import Percentile
from vecpress.quantizers.variable import VariableBits


@pytest.fixture
def no_faiss(monkeypatch):
    monkeypatch.setattr(candidates, "find_spec", lambda name: None)


@pytest.fixture
def ladder(monkeypatch):
    """Gammas to climb, whatever those are that pay on real data."""
    monkeypatch.setattr(candidates, "GAMMAS", (0.0, 0.125, 0.25, 0.375, 0.5))
    monkeypatch.setattr(candidates, "START", 2)


def scalar(dim=8, bits=4, code_bytes=4):
    return Candidate(
        head=PowerPCA(dim=dim, gamma=0.25),
        quantizer=Percentile(bits=bits),
        code_bytes=code_bytes,
    )


def grouped(code_bytes=4, dim=16):
    quantizer = PQ(m=code_bytes, bits=8)
    head = PowerPCA(dim=dim, gamma=0.25)
    return Candidate(head=head, quantizer=quantizer, code_bytes=code_bytes)


@pytest.mark.parametrize("width", [5, 24, 100])
@pytest.mark.parametrize("budget", [1, 3, 7, 32, 33])
def test_every_shape_takes_the_bytes_that_its_codec_says(width, budget):
    check_sizes(shapes(width, budget, 300), width, budget)


@pytest.mark.parametrize("width", [5, 24, 100])
@pytest.mark.parametrize("budget", [1, 5, 7, 33])
def test_so_do_those_without_faiss(width, budget, no_faiss):
    check_sizes(shapes(width, budget, 300), width, budget)


def check_sizes(found, width, budget):
    assert len(found) == len(set(found)) >= 6
    for candidate in found:
        assert candidate.head.gamma == GAMMAS[START]
        quantizer = candidate.quantizer
        if isinstance(quantizer, PQ):
            quantizer = replace(quantizer, iterations=1)
        codec = quantizer.fit(unit(300, candidate.head.dim))
        assert candidate.head.dim <= width
        assert codec.code_bytes == candidate.code_bytes <= budget


@pytest.mark.parametrize("budget", [1, 3, 7, 32])
def test_scalar_codes_have_as_many_dimensions_as_fit(budget):
    width = 40
    found = [c for c in shapes(width, budget, 300) if isinstance(c.quantizer, Percentile)]
    settings = [(c.quantizer.bits, c.quantizer.rotate) for c in found]
    bits = [(1, False), (1, True), *((b, False) for b in (2, 3, 4, 5, 8))]
    assert settings == bits
    for candidate in found:
        one_more = (candidate.head.dim + 1) * candidate.quantizer.bits
        assert candidate.head.dim == width or one_more > 8 * budget


def test_without_faiss_variable_bits_stand_in_for_product_codes(monkeypatch):
    assert {type(c.quantizer) for c in shapes(100, 4, 300)} == {Percentile, PQ}
    asked = []
    monkeypatch.setattr(candidates, "find_spec", asked.append)
    found = shapes(100, 4, 300)
    assert {type(c.quantizer) for c in found} == {Percentile, VariableBits}
    assert asked == ["faiss"]
    variable = [c for c in found if isinstance(c.quantizer, VariableBits)]
    assert [(c.head.dim, c.quantizer.code_bytes, c.code_bytes) for c in variable] == [
        (64, 4, 4),
        (100, 4, 4),
    ]
    assert [c.head.dim for c in shapes(40, 4, 300) if isinstance(c.quantizer, VariableBits)] == [40]
    for few in (shapes(100, 4, 255), shapes(3, 4, 300)):  # documents, dimensions
        assert {type(c.quantizer) for c in few} == {Percentile}


def test_groups_of_eight_bits_need_a_small_budget():
    def bits(budget):
        found = shapes(768, budget, 10_000)
        return {c.quantizer.bits for c in found if isinstance(c.quantizer, PQ)}

    assert bits(1) == bits(32) == {4, 8}
    assert bits(33) == bits(64) == {4}


def test_product_codes_by_hand():
    found = [c for c in shapes(100, 8, 300) if isinstance(c.quantizer, PQ)]
    assert [(c.head.dim, c.quantizer.m, c.quantizer.bits) for c in found] == [
        *((dim, 8, 8) for dim in (32, 64, 100)),
        *((dim, 16, 4) for dim in (32, 64, 100)),
    ]
    assert {c.code_bytes for c in found} == {8}
    narrow = [c for c in shapes(20, 8, 300) if isinstance(c.quantizer, PQ)]
    assert [(c.head.dim, c.quantizer.m) for c in narrow] == [(20, 8)]  # 16 groups of 1.25 are none


def test_what_takes_more_documents_than_there_are_is_left_out():
    def bits(documents):
        found = shapes(64, 8, documents)
        return [
            {c.quantizer.bits for c in found if isinstance(c.quantizer, kind)}
            for kind in (Percentile, PQ)
        ]

    assert bits(256) == [{1, 2, 3, 4, 5, 8}, {4, 8}]
    assert bits(255) == [{1, 2, 3, 4, 5}, {4}]
    assert bits(16) == [{1, 2, 3, 4}, {4}]
    assert bits(15) == [{1, 2, 3}, set()]
    assert bits(2) == [{1}, set()]


def test_candidates_have_names():
    assert str(scalar(8, 4)) == "8 dims x 4 bit, gamma 0.25"
    assert scalar(8, 4).shape == "8 dims x 4 bit"
    rotated = replace(scalar(8, 1), quantizer=Percentile(bits=1, rotate=True))
    assert rotated.shape == "8 dims x 1 bit, rotated"
    assert str(grouped()) == "16 dims, PQ 4 x 8 bit, gamma 0.25"
    assert grouped().rotated().shape == "16 dims, OPQ 4 x 8 bit"
    variable = replace(scalar(8), quantizer=VariableBits(code_bytes=4))
    assert variable.shape == "8 dims, variable bits"


def test_another_gamma_changes_nothing_else():
    other = grouped().with_gamma(0.5)
    assert other == replace(grouped(), head=PowerPCA(dim=16, gamma=0.5))


def test_only_small_product_codes_are_rotated():
    start = grouped(32, 64).with_gamma(0.375)
    turned = start.rotated()
    assert turned.quantizer == OPQ(m=32, bits=8, iterations=10)
    assert (turned.head, turned.code_bytes) == (start.head, 32)
    codec = replace(turned.quantizer, iterations=1).fit(unit(300, 64))
    assert codec.code_bytes == 32
    assert grouped(33, 66).rotated() is None
    assert scalar().rotated() is None
    assert turned.rotated() is None


def climbed(worth, *found):
    """Give what was judged, in order."""
    judged = []

    def judge(candidate):
        judged.append(candidate)
        return worth(candidate)

    climb(list(found), judge)
    assert len(judged) == len(set(judged))  # nothing twice
    return judged


def distance(best):
    return lambda candidate: -abs(candidate.head.gamma - best)


@pytest.mark.parametrize(
    ("best", "visited"),
    [
        (0.0, [0.25, 0.375, 0.125, 0.0]),
        (0.125, [0.25, 0.375, 0.125, 0.0]),
        (0.25, [0.25, 0.375, 0.125]),
        (0.375, [0.25, 0.375, 0.5]),
        (0.5, [0.25, 0.375, 0.5]),
    ],
)
def test_gammas_are_climbed_one_step_at_a_time(best, visited, ladder):
    assert [c.head.gamma for c in climbed(distance(best), scalar())] == visited


def test_a_climb_stops_where_it_does_not_get_better(ladder):
    assert [c.head.gamma for c in climbed(lambda c: 1.0, scalar())] == [0.25, 0.375, 0.125]
    two_tops = dict(zip(candidates.GAMMAS, (9.0, 0.0, 1.0, 0.0, 9.0), strict=True))
    judged = climbed(lambda c: two_tops[c.head.gamma], scalar())
    assert [c.head.gamma for c in judged] == [0.25, 0.375, 0.125]


def test_all_shapes_are_judged_first_and_only_the_best_three_climbed(ladder):
    found = [scalar(dim) for dim in (1, 2, 3, 4, 5)]
    worth = {1: 5.0, 2: 1.0, 3: 4.0, 4: 2.0, 5: 3.0}
    judged = climbed(lambda c: worth[c.head.dim] + distance(0.375)(c), *found)
    assert judged[:5] == found
    climbs = [(c.head.dim, c.head.gamma) for c in judged[5:]]
    assert climbs == [(dim, gamma) for dim in (1, 3, 5) for gamma in (0.375, 0.5)]


def test_the_best_product_code_is_rotated_at_its_gamma(ladder):
    other = grouped(8, 32)
    judged = climbed(lambda c: c.code_bytes + distance(0.375)(c), grouped(), other, scalar())
    assert judged[-1] == other.with_gamma(0.375).rotated()
    assert sum(isinstance(c.quantizer, OPQ) for c in judged) == 1


def test_no_rotation_is_tried_of_what_is_not_the_best_or_not_small():
    def rotations(*found):
        judged = climbed(lambda c: c.code_bytes + distance(0.25)(c), *found)
        return [c for c in judged if isinstance(c.quantizer, OPQ)]

    assert rotations(grouped(4), scalar(code_bytes=5)) == []
    assert rotations(grouped(33, 66)) == []
    assert len(rotations(grouped(32, 64))) == 1


def test_at_most_ten_more_than_the_shapes_are_judged(ladder):
    """Which the progress of `choose` counts on."""
    found = shapes(100, 8, 300)
    judged = climbed(lambda c: c.head.dim + distance(0.0)(c), *found)
    assert len(judged) <= len(found) + 10
    assert np.unique([c.head.gamma for c in judged]).tolist() == [0.0, 0.125, 0.25, 0.375]
