"""Losses against numbers worked out by hand, a slow oracle, and their own gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
