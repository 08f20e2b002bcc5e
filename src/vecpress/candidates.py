"""Ways to spend a number of bytes per vector, and the order in which it pays to try them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from vecpress.compressors.linear import PowerPCA
from vecpress.quantizers.product import OPQ, PQ
from vecpress.quantizers.scalar import Percentile
from vecpress.quantizers.variable import VariableBits
from vecpress.stages import Quantizer

GAMMAS = (0.0, 0.125, 0.25, 0.375)
"""Powers of power-scaled PCA, tried one step at a time from `START`."""

START = 2
"""Which of them comes first: .25 has been the best most often."""

_BITS = (1, 2, 3, 4, 5, 8)  # per dimension
_PER_BYTE = (4, 8, 16)  # dimensions per byte of a product code
_LARGE = 32  # bytes up to which groups of 8 bits, and rotations, are worth their time and tables
_CELLS = 256  # of a dimension of variable bits, at most: at least as many documents
_CLIMBED = 3  # shapes whose gamma is searched


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A head and a quantizer that together keep to a budget.

    Attributes:
        head: Power-scaled PCA of some width and gamma.
        quantizer: Scalar cells, or a product quantizer, perhaps with a rotation.
        code_bytes: Bytes per vector.
    """

    head: PowerPCA
    quantizer: Percentile | VariableBits | PQ | OPQ
    code_bytes: int

    @property
    def shape(self) -> str:
        """What it is without its gamma, for people."""
        if isinstance(self.quantizer, PQ | OPQ):
            kind, groups = type(self.quantizer).__name__, self.quantizer.m
            return f"{self.head.dim} dims, {kind} {groups} x {self.quantizer.bits} bit"
        if isinstance(self.quantizer, VariableBits):
            return f"{self.head.dim} dims, variable bits"
        rotated = ", rotated" if self.quantizer.rotate else ""
        return f"{self.head.dim} dims x {self.quantizer.bits} bit{rotated}"

    def __str__(self) -> str:
        return f"{self.shape}, gamma {self.head.gamma:g}"

    def with_gamma(self, gamma: float) -> "Candidate":
        """Scale the same dimensions by another power."""
        head = PowerPCA(dim=self.head.dim, gamma=gamma)
        return Candidate(head=head, quantizer=self.quantizer, code_bytes=self.code_bytes)

    def rotated(self) -> "Candidate | None":
        """Learn a rotation too, where that has been worth its time: product codes of few bytes."""
        quantizer = self.quantizer
        if not isinstance(quantizer, PQ) or self.code_bytes > _LARGE:
            return None
        opq = OPQ(m=quantizer.m, bits=quantizer.bits, iterations=10)
        return Candidate(head=self.head, quantizer=opq, code_bytes=self.code_bytes)


def shapes(width: int, budget: int, documents: int) -> list[Candidate]:
    """List what fits, at the gamma to start from: as many dimensions as the bytes allow.

    Product codes where FAISS is installed; else the best that needs numpy only, variable bits.

    Args:
        width: Of the embeddings.
        budget: Bytes per vector.
        documents: How many there are to calibrate on.
    """
    rest = _variable if find_spec("faiss") is None else _product
    return [*_scalar(width, budget, documents), *rest(width, budget, documents)]


def _scalar(width: int, budget: int, documents: int) -> Iterator[Candidate]:
    for bits in _BITS:
        dim = min(width, 8 * budget // bits)
        if dim < 1 or 2**bits > documents:
            continue
        size = -(-dim * bits // 8)
        yield _at_start(dim, Percentile(bits=bits), size)
        if bits == 1:
            yield _at_start(dim, Percentile(bits=1, rotate=True), size)


def _variable(width: int, budget: int, documents: int) -> Iterator[Candidate]:
    if documents >= _CELLS and budget <= width:
        for dim in sorted({min(16 * budget, width), width}):
            yield _at_start(dim, VariableBits(code_bytes=budget), budget)


def _product(width: int, budget: int, documents: int) -> Iterator[Candidate]:
    for bits in (8, 4) if budget <= _LARGE else (4,):
        groups = min(8 * budget // bits, width)
        if 2**bits > documents:
            continue
        dims = {min(per_byte * budget, width) for per_byte in _PER_BYTE}
        for dim in sorted(d for d in dims if d >= 2 * groups):
            yield _at_start(dim, PQ(m=groups, bits=bits), -(-groups * bits // 8))


def climb(candidates: list[Candidate], judge: Callable[[Candidate], float]) -> None:
    """Judge all shapes, other gammas of the best ones while it pays, and a rotation of the best."""
    worth = {candidate: judge(candidate) for candidate in candidates}
    for candidate in sorted(worth, key=lambda c: -worth[c])[:_CLIMBED]:
        for direction in (1, -1):
            place, last = START + direction, worth[candidate]
            while 0 <= place < len(GAMMAS):
                other = candidate.with_gamma(GAMMAS[place])
                worth[other] = judge(other)
                if worth[other] <= last:
                    break
                place, last = place + direction, worth[other]
            if last > worth[candidate]:
                break
    rotated = max(worth, key=lambda c: worth[c]).rotated()
    if rotated is not None:
        judge(rotated)


def _at_start(dim: int, quantizer: Quantizer, code_bytes: int) -> Candidate:
    assert isinstance(quantizer, Percentile | VariableBits | PQ)
    head = PowerPCA(dim=dim, gamma=GAMMAS[START])
    return Candidate(head=head, quantizer=quantizer, code_bytes=code_bytes)
