"""What the tests of scans share: embeddings, codecs, and the oracle."""

import numpy as np
import pytest

from vecpress import kernel, registry
from vecpress.arrays import normalize
from vecpress.lookups import Lookups


def embeddings(rng, n, dim):
    """Anisotropic, off-centre unit rows, as real ones are."""
    return normalize((rng.normal(size=(n, dim)) * np.linspace(3, 0.2, dim) + 0.3).astype("f4"))


def fitted(name, options, dim):
    x = embeddings(np.random.default_rng(0), 600, dim)
    return registry.build(registry.QUANTIZERS, {"kind": name, **options}).fit(x)


def need(codec, level, monkeypatch):
    """Let the kernel be used as on a machine of this level, if that is possible here."""
    if kernel.level() < level:
        pytest.skip(f"the kernel's level here is {kernel.level()}")
    if Lookups.of(codec).level > level:
        pytest.skip("whole bytes are looked up on level 2 only")
    monkeypatch.setattr(kernel, "level", lambda: level)


def oracle(codec, codes, queries, k, keep=None):
    """Rank by numpy alone; rows kept out are not there."""
    rows = np.arange(len(codes)) if keep is None else np.flatnonzero(keep)
    scores = queries @ normalize(codec.decode(codes[rows])).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return rows[order], np.take_along_axis(scores, order, axis=1)


def assert_same(found, wanted):
    """The same scores; and the same rows, but where two scores are equal up to rounding."""
    np.testing.assert_allclose(found[1], wanted[1], atol=2e-6)
    assert (np.diff(found[1], axis=1) <= 0).all()
    assert all(len(set(ranked)) == len(ranked) for ranked in found[0].tolist())
    other = found[0] != wanted[0]
    gaps = np.abs(np.diff(wanted[1], axis=1, append=-2.0, prepend=2.0))
    assert (np.minimum(gaps[:, 1:], gaps[:, :-1])[other] < 4e-6).all()
