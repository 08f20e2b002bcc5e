"""Our PCA against scikit-learn's and numpy's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA as Reference
from sklearn.decomposition import TruncatedSVD

from vecpress.compressors.linear import PCA, PowerPCA, Spectrum
from vecpress.stages import TrainingSet


def documents(n=300, d=12, seed=0, mean=0.0):
    """Unit rows with well-separated directions and, if wanted, a common part."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(np.random.default_rng(42).normal(size=(d, d)))[0]
    rows = rng.normal(size=(n, d)) * 0.75 ** np.arange(d) @ axes + mean
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def aligned(ours, theirs):
    """Flip the reference's columns where its sign convention is another."""
    return theirs * np.sign((ours * theirs).sum(axis=0))


@pytest.mark.parametrize("dim", [1, 5, 12])
@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_centred_pca_is_scikit_learns(dim, mean):
    x, fresh = documents(mean=mean), documents(50, seed=1, mean=mean)
    head = PCA(dim=dim, centre=True).fit(TrainingSet(documents=x))
    reference = Reference(dim, svd_solver="full").fit(x.astype(np.float64))
    for rows in (x, fresh):
        ours, theirs = head.compress(rows), unit(reference.transform(rows.astype(np.float64)))
        np.testing.assert_allclose(ours, aligned(ours, theirs), atol=2e-4)


def test_centred_eigenvalues_are_scikit_learns():
    x = documents(mean=0.5)
    spectrum = Spectrum.of(TrainingSet(documents=x), centre=True)
    reference = Reference(svd_solver="full").fit(x.astype(np.float64))
    np.testing.assert_allclose(
        spectrum.values * len(x) / (len(x) - 1), reference.explained_variance_, rtol=1e-4, atol=1e-8
    )
    np.testing.assert_allclose(spectrum.mean, reference.mean_, atol=1e-7)


@pytest.mark.parametrize("dim", [1, 5, 12])
def test_uncentred_pca_is_the_singular_value_decomposition(dim):
    x, fresh = documents(mean=0.2), documents(50, seed=1, mean=0.2)
    head = PCA(dim=dim).fit(TrainingSet(documents=x))
    axes = np.linalg.svd(x.astype(np.float64), full_matrices=False)[2][:dim]
    ours, theirs = head.compress(fresh), unit(fresh @ axes.T)
    np.testing.assert_allclose(ours, aligned(ours, theirs), atol=1e-4)
    np.testing.assert_array_equal(head.biases[0], 0)


def test_uncentred_pca_is_scikit_learns_truncated_svd():
    x = documents(mean=0.2)
    ours = PCA(dim=4).fit(TrainingSet(documents=x)).compress(x)
    reference = TruncatedSVD(4, algorithm="arpack", random_state=0).fit(x.astype(np.float64))
    theirs = unit(reference.transform(x.astype(np.float64)))
    np.testing.assert_allclose(ours, aligned(ours, theirs), atol=1e-4)


def test_the_eigenvalues_are_squared_singular_values():
    x = documents(mean=0.2)
    spectrum = Spectrum.of(TrainingSet(documents=x))
    singular = np.linalg.svd(x.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(spectrum.values, singular**2 / len(x), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(spectrum.values.sum(), 1, rtol=1e-5)  # of unit rows
    np.testing.assert_allclose(spectrum.axes @ spectrum.axes.T, np.eye(12), atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_power_pca_scales_each_direction_by_a_power_of_its_eigenvalue(gamma):
    x, fresh = documents(mean=0.2), documents(50, seed=1, mean=0.2)
    head = PowerPCA(dim=8, gamma=gamma).fit(TrainingSet(documents=x))
    _, singular, axes = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    scaled = fresh @ axes[:8].T * (singular[:8] ** 2 / len(x)) ** (-gamma / 2)
    ours = head.compress(fresh)
    np.testing.assert_allclose(ours, aligned(ours, unit(scaled)), atol=1e-4)


def test_whitening_makes_all_directions_equal():
    x = documents(mean=0.2)
    head = PowerPCA(dim=12, gamma=1.0).fit(TrainingSet(documents=x))
    y = x.astype(np.float64) @ head.weights[0].T.astype(np.float64)
    moment = y.T @ y / len(x)
    np.testing.assert_allclose(moment / moment[0, 0], np.eye(12), atol=1e-3)


def test_documents_of_several_blocks_count_once_each():
    x = documents(2 * 8192 + 3, 4)
    spectrum = Spectrum.of(TrainingSet(documents=x), centre=True)
    np.testing.assert_allclose(
        spectrum.values[::-1], np.linalg.eigvalsh(np.cov(x.T.astype(np.float64), ddof=0)), rtol=1e-4
    )


def test_fewer_documents_than_dimensions():
    x = documents(5, 12)
    for gamma in (0.0, 0.5):
        head = PowerPCA(dim=12, gamma=gamma).fit(TrainingSet(documents=x))
        np.testing.assert_allclose(np.linalg.norm(head.compress(x), axis=1), 1, rtol=1e-5)
    # What the documents do not span is left out, and all cosines stay.
    y = PCA(dim=12).fit(TrainingSet(documents=x)).compress(x)
    np.testing.assert_allclose(y @ y.T, x @ x.T, atol=1e-5)
    np.testing.assert_allclose(y[:, 5:], 0, atol=1e-5)


def test_the_largest_coordinate_of_each_direction_is_positive():
    axes = Spectrum.of(TrainingSet(documents=documents())).axes
    largest = np.abs(axes).argmax(axis=1)
    assert (axes[np.arange(len(axes)), largest] > 0).all()
