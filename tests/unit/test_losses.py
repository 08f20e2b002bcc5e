"""Losses against numbers worked out by hand, a slow oracle, and their own gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vecpress import losses
from vecpress.errors import ConfigError
from vecpress.losses import similarity_matching


def t64(rows):
    return torch.tensor(rows, dtype=torch.float64)


def cosine(a, b):
    product = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 0.0 if product == 0 else float(a @ b) / product


def loss_slowly(outputs, targets, nested_dims):
    """Follow the formula in the docstring, pair by pair."""
    n, loss = len(outputs), 0.0
    for m in nested_dims:
        for i in range(n):
            for j in range(n):
                if i != j:
                    wanted = cosine(targets[i], targets[j])
                    loss += (cosine(outputs[i, :m], outputs[j, :m]) - wanted) ** 2 / n**2
    return loss


def test_a_pair_worked_out_by_hand():
    targets = t64([[1, 0], [0.6, 0.8]])  # cosine .6
    outputs = t64([[1, 1], [1, -1]])  # cosine 1 at width 1, and 0 at width 2
    # Two of the four entries are off the diagonal: (.4 ** 2 + .6 ** 2) * 2 / 4
    loss = similarity_matching(outputs, targets, (1, 2))
    np.testing.assert_allclose(loss.item(), 0.26, rtol=1e-12)
    np.testing.assert_allclose(similarity_matching(outputs, targets, (2,)).item(), 0.18, rtol=1e-12)


def test_three_rows_worked_out_by_hand():
    targets = t64([[1, 0], [0, 1], [-1, 0]])  # cosines 0, -1, 0
    outputs = t64([[2, 0], [2, 0], [0, 5]])  # cosines 1, 0, 0
    # (1 ** 2 + 1 ** 2 + 0) in both triangles, over 9 entries
    np.testing.assert_allclose(
        similarity_matching(outputs, targets, (2,)).item(), 4 / 9, rtol=1e-12
    )


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 6),
    width=st.integers(1, 7),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_it_is_the_formula_in_its_docstring(n, width, seed, data):
    stops = data.draw(st.lists(st.integers(1, width), min_size=1, max_size=4))
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=(n, width)), rng.normal(size=(n, 5))
    loss = similarity_matching(torch.from_numpy(outputs), torch.from_numpy(targets), stops)
    np.testing.assert_allclose(
        loss.item(), loss_slowly(outputs, targets, stops), rtol=1e-9, atol=1e-12
    )


def test_it_is_the_formula_in_float32_too():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(40, 24)).astype(np.float32)
    targets = rng.normal(size=(40, 30)).astype(np.float32)
    loss = similarity_matching(torch.from_numpy(outputs), torch.from_numpy(targets), (4, 12, 24))
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(loss.item(), loss_slowly(outputs, targets, (4, 12, 24)), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 21])
def test_cut_into_tiles_it_is_the_same_loss_and_gradient(monkeypatch, n):
    """Batches beyond a tile are cut; whole ones are checked against the formula."""
    rng = np.random.default_rng(n)
    outputs, targets = t64(rng.normal(size=(n, 9))).requires_grad_(), t64(rng.normal(size=(n, 5)))
    with torch.no_grad():
        outputs[n // 2] = 0
    whole = similarity_matching(outputs, targets, (2, 2, 3, 8))
    (slope,) = torch.autograd.grad(whole, outputs)
    monkeypatch.setattr(losses, "_SIDE", 8)
    tiled = similarity_matching(outputs, targets, (2, 2, 3, 8))
    np.testing.assert_allclose(tiled.item(), whole.item(), rtol=1e-13)
    np.testing.assert_allclose(torch.autograd.grad(tiled, outputs)[0], slope, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(
        tiled.item(), loss_slowly(outputs.detach().numpy(), targets.numpy(), (2, 2, 3, 8))
    )
    if n == 21:
        with torch.no_grad():
            outputs[n // 2] = 1  # a zero row is where no finite difference is
        assert torch.autograd.gradcheck(
            lambda out: similarity_matching(out, targets, (2, 2, 3, 8)), (outputs,)
        )


def test_the_gradient_is_that_of_the_formula_written_with_autograd():
    rng = np.random.default_rng(6)
    outputs = torch.from_numpy(rng.normal(size=(300, 24)).astype(np.float32)).requires_grad_()
    targets = torch.from_numpy(rng.normal(size=(300, 30)).astype(np.float32))
    wanted, total = losses.cosines(targets, targets).fill_diagonal_(0), 0
    for m in (4, 12, 24):
        found = losses.cosines(outputs[:, :m], outputs[:, :m])
        total = total + (found - found.diag().diag() - wanted).square().mean()
    loss = similarity_matching(outputs, targets, (4, 12, 24))
    np.testing.assert_allclose(loss.item(), total.item(), rtol=1e-6)
    ours, theirs = (torch.autograd.grad(3 * cost, outputs)[0] for cost in (loss, total))
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(theirs.abs().max()))


def test_targets_are_constants():
    outputs, targets = t64([[1, 2], [2, 1]]), t64([[1, 0], [0, 1]]).requires_grad_()
    with pytest.raises(
        ConfigError,
        match=r"^the targets of similarity_matching are constants: detach them first$",
    ):
        similarity_matching(outputs, targets, (2,))
    with torch.no_grad():
        assert similarity_matching(outputs, targets, (2,)).item() > 0
    assert not similarity_matching(outputs, targets.detach(), (2,)).requires_grad


def test_outputs_that_keep_every_cosine_cost_nothing():
    targets = t64(np.random.default_rng(0).normal(size=(5, 4)))
    rotation = t64(np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0])
    assert similarity_matching(3 * targets @ rotation, targets, (4,)).item() < 1e-24


def test_the_order_of_the_widths_does_not_matter():
    rng = np.random.default_rng(2)
    outputs, targets = t64(rng.normal(size=(4, 6))), t64(rng.normal(size=(4, 3)))
    one = similarity_matching(outputs, targets, (2, 4, 6))
    np.testing.assert_allclose(
        similarity_matching(outputs, targets, (6, 2, 4)).item(), one.item(), rtol=1e-12
    )


@pytest.mark.parametrize("nested_dims", [(5,), (1, 2, 5), (2, 2, 5)])
def test_the_gradient_is_right(nested_dims):
    rng = np.random.default_rng(3)
    outputs = t64(rng.normal(size=(4, 5))).requires_grad_()
    targets = t64(rng.normal(size=(4, 7)))
    assert torch.autograd.gradcheck(
        lambda out: similarity_matching(out, targets, nested_dims), (outputs,), raise_exception=True
    )


def test_dimensions_after_the_last_width_are_not_seen():
    rng = np.random.default_rng(4)
    outputs = t64(rng.normal(size=(4, 5))).requires_grad_()
    similarity_matching(outputs, t64(rng.normal(size=(4, 7))), (3,)).backward()
    assert outputs.grad is not None
    np.testing.assert_array_equal(outputs.grad[:, 3:], 0)
    assert (outputs.grad[:, :3] != 0).all()


def test_a_zero_row_has_cosine_zero_and_a_finite_gradient():
    targets = t64([[1, 0], [0, 0], [0.6, 0.8]])
    outputs = t64([[0, 2], [0, 0], [0, 1]]).requires_grad_()
    loss = similarity_matching(outputs, targets, (1, 2))
    # Width 1 is zero for all: .6 ** 2; width 2: (1 - .6) ** 2; twice, over 9
    np.testing.assert_allclose(loss.item(), (0.36 + 0.16) * 2 / 9, rtol=1e-12)
    loss.backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()


def test_a_single_row_has_no_pair_and_no_loss():
    assert similarity_matching(t64([[1.0, 2.0]]), t64([[3.0]]), (1, 2)).item() == 0


def test_pairs_worked_out_by_hand():
    targets = t64([[1, 0], [0.6, 0.8], [0, 1]])  # cosines .6, 0, .8
    outputs = t64([[2, 0], [3, 0], [0, 1]])  # cosines 1, 0, 0
    np.testing.assert_allclose(losses.pairs(outputs, targets).item(), (0.4 + 0 + 0.8) / 3)


def test_neighbours_worked_out_by_hand():
    anchors = t64([[1, 0], [0, 2]])
    found = t64([[[0.6, 0.8], [0, 1]], [[0, 5], [9, 9]]])  # cosines .6, 0; 1, and nobody
    wanted = t64([[0.5, 0.3], [0.2, -np.inf]])
    loss = losses.neighbours(anchors, found, wanted)
    np.testing.assert_allclose(loss.item(), (0.1 + 0.3 + 0.8) / 3)


def test_places_without_a_neighbour_give_no_gradient():
    anchors = t64([[1, 0.5], [0.3, 2]]).requires_grad_()
    found = t64([[[0.6, 0.8]], [[1, 1]]]).requires_grad_()
    losses.neighbours(anchors, found, t64([[0.1], [-np.inf]])).backward()
    assert anchors.grad is not None
    assert found.grad is not None
    assert (anchors.grad[0] != 0).all()
    np.testing.assert_array_equal(anchors.grad[1], 0)
    np.testing.assert_array_equal(found.grad[1], 0)
    losses.neighbours(anchors, found, t64([[-np.inf], [-np.inf]])).backward()
    assert torch.isfinite(anchors.grad).all()


def test_ranking_worked_out_by_hand():
    """One query, grades 2, 1, 0: pairs (2, 1) and (1, 0) weigh 1, the pair (2, 0) weighs 2."""
    scores, grades = t64([[0.0, 1.0, -1.0]]), t64([[2.0, 1.0, 0.0]])
    costs = [np.log1p(np.exp(1)), 2 * np.log1p(np.exp(-1)), np.log1p(np.exp(-2))]
    np.testing.assert_allclose(losses.ranking(scores, grades).item(), sum(costs) / 4)


def test_ranking_with_a_temperature_worked_out_by_hand():
    scores, grades = t64([[0.2, 0.3]]), t64([[1.0, 0.0]])
    np.testing.assert_allclose(losses.ranking(scores, grades, 0.05).item(), np.log1p(np.exp(2)))


def test_queries_with_nothing_to_rank_do_not_count():
    scores = t64([[0.0, 1.0], [5.0, -5.0], [3.0, 4.0]])
    grades = t64([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(losses.ranking(scores, grades).item(), np.log1p(np.exp(1)))
    assert losses.ranking(scores[1:], grades[1:]).item() == 0


def test_what_is_not_judged_takes_no_part():
    scores, grades = t64([[0.0, 1.0, 7.0]]), t64([[1.0, 0.0, np.nan]])
    np.testing.assert_allclose(losses.ranking(scores, grades).item(), np.log1p(np.exp(1)))


def test_only_what_was_drawn_stands_for_the_better():
    scores, grades = t64([[0.0, 2.0, 1.0]]), t64([[1.0, 1.0, 0.0]])
    drawn = torch.tensor([[True, False, True]])  # a grade of 0 is never better, drawn or not
    np.testing.assert_allclose(
        losses.ranking(scores, grades, 1.0, drawn).item(), np.log1p(np.exp(1))
    )


def ranking_slowly(scores, grades, temperature):
    """Follow the docstring, pair by pair."""
    means = []
    for s, y in zip(scores, grades, strict=True):
        pairs = [(j, k) for j in range(len(y)) for k in range(len(y)) if y[j] > y[k]]
        weights = [y[j] - y[k] for j, k in pairs]
        costs = [np.log1p(np.exp((s[k] - s[j]) / temperature)) for j, k in pairs]
        if pairs:
            means.append(np.average(costs, weights=weights))
    return np.mean(means) if means else 0.0


@settings(deadline=None, max_examples=40)
@given(q=st.integers(1, 4), c=st.integers(1, 6), seed=st.integers(0, 99), ties=st.booleans())
def test_ranking_is_the_formula_in_its_docstring(q, c, seed, ties):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 2, (q, c)) * 1.0 if ties else rng.normal(size=(q, c))
    grades = rng.integers(0, 4, (q, c)) * 1.0
    loss = losses.ranking(torch.from_numpy(scores), torch.from_numpy(grades), 0.7)
    np.testing.assert_allclose(loss.item(), ranking_slowly(scores, grades, 0.7), atol=1e-12)


def test_recovery_and_prediction_worked_out_by_hand():
    a, b = t64([[1, 2], [0, 0]]), t64([[0, 4], [0, 1]])  # distances 1, 2; 0, 1
    np.testing.assert_allclose(losses.recovery(a, b).item(), (1 + 2 + 0 + 1) / 4)
    # Row means 1.5 and .5, weighed 1 and 3
    np.testing.assert_allclose(losses.prediction(a, b, t64([1, 3])).item(), (1.5 + 1.5) / 4)
    assert losses.prediction(a, b, t64([0, 0])).item() == 0


def test_cosines_of_a_zero_row_are_zero_with_a_finite_gradient():
    a = t64([[0, 0], [3, 4]]).requires_grad_()
    found = losses.cosines(a, t64([[0, 2]]))
    np.testing.assert_allclose(found.detach(), [[0], [0.8]])
    found.sum().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("pairs", [(4, 3), (4, 5)]),
        ("neighbours", [(3, 4), (3, 2, 4), (3, 2)]),
        ("ranking", [(2, 4), (2, 4)]),
        ("recovery", [(3, 4), (3, 4)]),
        ("prediction", [(3, 4), (3, 4), (3,)]),
        ("cosines", [(3, 4), (2, 4)]),
    ],
)
def test_gradients_agree_with_finite_differences(name, shapes):
    rng = np.random.default_rng(5)
    inputs = [t64(rng.normal(size=shape)) for shape in shapes]
    if name in ("ranking", "prediction"):
        inputs[-1] = inputs[-1].abs().round()  # grades
    loss = getattr(losses, name)
    free = len(inputs) - (name in ("ranking", "prediction", "neighbours", "pairs"))
    given = inputs[free:]
    leaves = tuple(x.requires_grad_() for x in inputs[:free])
    assert torch.autograd.gradcheck(lambda *xs: loss(*xs, *given), leaves, raise_exception=True)
