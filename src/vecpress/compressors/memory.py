"""Cross-batch memory of frozen embeddings: neighbours that a batch alone would not hold."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Memory:
    """The last `size` embeddings seen, oldest out first; frozen, so they never go stale.

    It lives on the device of what is put in: nothing is copied to the host.

    Source: S-XBM, arXiv:2510.12474 (the queue and the top-k choice; its size and k are not known).
    """

    def __init__(self, embeddings: Float[Tensor, "n d"], size: int) -> None:
        self._keys = embeddings.new_zeros(size, embeddings.shape[1])
        self._rows = torch.full((size,), -1, device=embeddings.device)
        self._next = 0

    def nearest(
        self, batch: Float[Tensor, "b d"], rows: Int64[Tensor, " b"], k: int
    ) -> tuple[Int64[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Find the k most similar embeddings of each row of a batch.

        Args:
            batch: Unit rows.
            rows: Their numbers; an embedding is no neighbour of itself.
            k: How many; at most as many as the memory holds places.

        Returns:
            Row numbers and cosines; where there are fewer than k, the number 0 and -inf.
        """
        scores = batch @ self._keys.T
        empty = (self._rows < 0)[None, :] | (self._rows[None, :] == rows[:, None])
        best = scores.masked_fill(empty, -torch.inf).topk(min(k, len(self._keys)))
        return torch.where(best.values.isfinite(), self._rows[best.indices], 0), best.values

    def push(self, batch: Float[Tensor, "b d"], rows: Int64[Tensor, " b"]) -> None:
        """Take a batch of different embeddings in, in place of the oldest.

        One that was there already moves to the end: nothing is its own neighbour twice.
        """
        size = len(self._keys)
        batch, rows = batch[-size:], rows[-size:]
        self._rows[torch.isin(self._rows, rows)] = -1
        places = (self._next + torch.arange(len(rows), device=rows.device)) % size
        self._keys[places] = batch
        self._rows[places] = rows
        self._next = (self._next + len(rows)) % size
