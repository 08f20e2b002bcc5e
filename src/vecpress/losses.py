"""Losses on embeddings, as pure functions of tensors. One formula, one source each."""

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from vecpress.errors import ConfigError

_SIDE = 256  # rows of a tile of similarities: some such matrices fit into a processor's own cache
_TINY = 1e-12  # the least square of a norm that is divided by


def similarity_matching(
    outputs: Float[Tensor, "n width"],
    targets: Float[Tensor, "n d"],
    nested_dims: Sequence[int],
) -> Float[Tensor, ""]:
    """Keep the pairwise cosines of a batch, at every nested width.

    Let S_ij be the cosine of rows i and j of `targets`, and T^m_ij that of the first m
    coordinates of rows i and j of `outputs`, both with a zero diagonal. The loss is the sum over
    m in `nested_dims` of the mean over all n x n entries of (T^m_ij - S_ij)^2. The target is the
    full concatenation's similarity at every width, and a constant: nothing flows back to it. A
    zero row has cosine 0.

    Source: arXiv:2510.04626, similarity-matching loss with Matryoshka stops.

    Raises:
        ConfigError: the targets want a gradient.
    """
    learning = torch.is_grad_enabled()
    if learning and targets.requires_grad:
        raise ConfigError("the targets of similarity_matching are constants: detach them first")
    edges = (0, *sorted(nested_dims))
    return _Matching.apply(outputs, targets, edges, learning and outputs.requires_grad)


class _Matching(torch.autograd.Function):
    """The loss, and its gradient worked out by hand in the same pass.

    With G^m the Gram matrix of the first m coordinates, s_i = 1 / sqrt(G^m_ii) and E = T - S, the
    gradient by G^m_ij is W_ij = 2 E_ij s_i s_j / n^2, and that by G^m_ii is -s_i^2 sum_j W_ij G_ij.
    The columns that width m adds are in G^m and all wider ones, so they get the sum of their W, in
    one product; and each width's G is the one before plus its own columns' product. Both matrices
    are symmetric, so only pairs of blocks of rows are visited, small enough to stay in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        outputs: Float[Tensor, "n width"],
        targets: Float[Tensor, "n d"],
        edges: tuple[int, ...],
        learning: bool,
    ) -> Float[Tensor, ""]:
        """Give the loss, and keep the gradient if it will be asked for."""
        n, ends = len(outputs), [*pairwise(edges)]
        squares = torch.stack([outputs[:, a:b].square().sum(1) for a, b in ends]).cumsum(0)
        scales = squares.clamp_min(_TINY).rsqrt()
        toward = normalize(targets, eps=_TINY**0.5)
        gradient = torch.zeros_like(outputs) if learning else None
        along = torch.zeros_like(scales)  # of each width and row: sum_j W_ij G_ij
        room = outputs.new_empty(len(ends) + 3, min(n, _SIDE) ** 2)
        loss = outputs.new_zeros(())
        parts = [slice(i, min(i + _SIDE, n)) for i in range(0, n, _SIDE)]
        for rows, columns in combinations_with_replacement(parts, 2):
            tile = _Tile(outputs, scales, ends, rows, columns, room)
            loss += tile.cost(toward, along if learning else None)
            if gradient is not None:
                tile.add_gradient(gradient)
        if gradient is not None:
            own = (along * scales.square() * (squares >= _TINY)).flip(0).cumsum(0).flip(0)
            for (a, b), weight in zip(ends, own, strict=True):
                gradient[:, a:b].addcmul_(weight[:, None], outputs[:, a:b], value=-1)
            ctx.save_for_backward(gradient.mul_(4 / max(n, 1) ** 2))
        return loss / max(n, 1) ** 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        """Hand out the gradient."""
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None


class _Tile:
    """Some rows of a batch against some others, which are the same or come after them."""

    def __init__(
        self,
        outputs: Float[Tensor, "n width"],
        scales: Float[Tensor, "widths n"],
        ends: Sequence[tuple[int, int]],
        rows: slice,
        columns: slice,
        room: Float[Tensor, "matrices size"],
    ) -> None:
        self.left, self.right = outputs[rows], outputs[columns]
        self.scales, self.ends, self.rows, self.columns = scales, ends, rows, columns
        shape = (len(self.left), len(self.right))
        self.same = rows == columns
        used = room[:, : shape[0] * shape[1]].view(-1, *shape)
        self.gram, self.scale, self.wanted, self.weights = used[0], used[1], used[2], used[3:]

    def cost(
        self, targets: Float[Tensor, "n d"], along: Float[Tensor, "widths n"] | None
    ) -> Float[Tensor, ""]:
        """Sum the squared errors of all widths, and leave W of each (times n^2 / 2) in `weights`.

        Args:
            targets: Unit rows.
            along: Where sums of W_ij G_ij are added; None if no gradient will be asked for.
        """
        torch.mm(targets[self.rows], targets[self.columns].T, out=self.wanted).neg_()
        lost = targets.new_zeros(())
        for k, (a, b) in enumerate(self.ends):
            self._widen(a, b)
            scale = torch.outer(
                self.scales[k, self.rows], self.scales[k, self.columns], out=self.scale
            )
            error = torch.addcmul(self.wanted, self.gram, scale, out=self.weights[k])
            if self.same:
                error.fill_diagonal_(0)
            lost += torch.dot(error.view(-1), error.view(-1))
            if along is not None:
                turned = torch.mul(error.mul_(scale), self.gram, out=scale)
                along[k, self.rows] += turned.sum(1)
                if not self.same:
                    along[k, self.columns] += turned.sum(0)
        return lost if self.same else 2 * lost

    def _widen(self, a: int, b: int) -> None:
        """Add the columns from `a` to `b` to the Gram matrix; the first ones begin it."""
        torch.addmm(
            self.gram, self.left[:, a:b], self.right[:, a:b].T, beta=int(a > 0), out=self.gram
        )

    def add_gradient(self, gradient: Float[Tensor, "n width"]) -> None:
        """Add up the widths' W from the widest down, each width's new columns times the sum."""
        total = None
        for (a, b), weights in zip(self.ends[::-1], self.weights.unbind()[::-1], strict=True):
            total = weights if total is None else weights.add_(total)
            gradient[self.rows, a:b].addmm_(total, self.right[:, a:b])
            if not self.same:
                gradient[self.columns, a:b].addmm_(total.T, self.left[:, a:b])


def cosines(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Give the cosine of every row of `a` with every row of `b`; a zero row has cosine 0."""
    return normalize(a) @ normalize(b).T


def pairs(outputs: Float[Tensor, "n w"], targets: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Keep the cosine of every pair of a batch: the mean over i != j of |cos_new - cos_old|.

    Source: arXiv:2407.20243, eq. 1 for one width, as a mean where the paper has a sum.
    """
    gap = (cosines(outputs, outputs) - cosines(targets, targets)).abs()
    n = len(outputs)
    return (gap.sum() - gap.diagonal().sum()) / max(n * (n - 1), 1)


def neighbours(
    anchors: Float[Tensor, "n w"],
    found: Float[Tensor, "n k w"],
    wanted: Float[Tensor, "n k"],
) -> Float[Tensor, ""]:
    """Keep the cosines of each anchor with its own k neighbours: mean |cos_new - wanted|.

    Args:
        anchors: Outputs for a batch.
        found: Outputs for the neighbours that each row of the batch has in the input space.
        wanted: Their cosines in the input space; not finite where there is no neighbour, which
            then does not count.

    Source: arXiv:2407.20243, eq. 2, and arXiv:2510.12474, eq. 7, for one width; a mean for a sum.
    """
    there = wanted.isfinite()
    new = torch.einsum("nw,nkw->nk", normalize(anchors), normalize(found))
    gap = torch.where(there, new - torch.where(there, wanted, 0), 0).abs()
    return gap.sum() / there.sum().clamp_min(1)


def ranking(
    scores: Float[Tensor, "q c"],
    grades: Float[Tensor, "q c"],
    temperature: float = 1.0,
    better: Bool[Tensor, "q c"] | None = None,
) -> Float[Tensor, ""]:
    """Rank what is judged better higher.

    For each query, the mean of log(1 + exp((s_k - s_j) / temperature)) over pairs of candidates
    with grades y_j > y_k, weighted by y_j - y_k; then the mean over the queries that have such a
    pair. Grades that are not finite take no part.

    Args:
        scores: Of each candidate for each query.
        grades: How well it answers.
        temperature: See above.
        better: The candidates that may stand for j, of those with a grade above 0; None means all
            of them. A sample keeps the cost bounded where a query has hundreds of answers.

    Source: arXiv:2310.08750, L_rank; arXiv:2407.20243, eq. 5; arXiv:2510.12474, eq. 8. They sum,
    and know no temperature (1 is theirs).
    """
    known = grades.isfinite()
    above = known & (grades > 0) if better is None else known & (grades > 0) & better
    query, first = torch.nonzero(above, as_tuple=True)
    gap = grades[query, first][:, None] - grades[query]
    weight = torch.where(known[query], gap, 0).clamp_min(0)
    lost = (scores[query] - scores[query, first][:, None]) / temperature
    # A query without a pair to rank has no rows here, or only weights of 0.
    total = scores.new_zeros(len(scores)).index_add(0, query, weight.sum(dim=1))
    cost = scores.new_zeros(len(scores)).index_add(
        0, query, (weight * torch.nn.functional.softplus(lost)).sum(dim=1)
    )
    ranked = total > 0
    return (cost[ranked] / total[ranked]).sum() / ranked.sum().clamp_min(1)


def recovery(outputs: Float[Tensor, "n d"], inputs: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Stay close to the input: the mean absolute difference of a coordinate.

    Source: arXiv:2310.08750, L_rec; arXiv:2407.20243, eq. 3: an L1 norm, which sums where this
    takes a mean. With the sum, at the weights they give, nothing leaves its start here.
    """
    return (outputs - inputs).abs().mean()


def prediction(
    predicted: Float[Tensor, "p d"], queries: Float[Tensor, "p d"], grades: Float[Tensor, " p"]
) -> Float[Tensor, ""]:
    """Predict each query from a document that answers it: mean absolute difference, by grade.

    Source: arXiv:2310.08750, L_pred; a mean over coordinates for their L1 norm, as in `recovery`.
    """
    distance = (predicted - queries).abs().mean(dim=1)
    return (grades * distance).sum() / grades.sum().clamp_min(1e-12)


def normalize(rows: Float[Tensor, "*n d"], eps: float = 1e-12) -> Float[Tensor, "*n d"]:
    """Scale rows to unit norm, or by 1 / `eps` if they are shorter; a zero row stays zero."""
    return torch.nn.functional.normalize(rows, dim=-1, eps=eps)
