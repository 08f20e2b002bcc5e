import pytest

from helpers import unit
from vecpress import lineup as module
from vecpress.compressors.linear import PCA, PowerPCA, Truncation
from vecpress.lineup import lineup
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Int8, Percentile
from vecpress.recipe import Recipe
from vecpress.sample import Sample

RECIPE = Recipe(models=("one", "two"), weights=(1.0, 0.5))


def lines(budget, *, documents=300):
    return lineup(RECIPE, budget, width=32, single=(1, 20), documents=documents)


def without(monkeypatch, *missing):
    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else found(name))


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 9, 12, 16, 32, 64])
def test_every_baseline_can_be_fitted_and_keeps_to_the_budget(monkeypatch, budget):
    without(monkeypatch, "torch")  # its head is looked at below
    found = lines(budget)
    assert len({line.method for line in found}) == len(found)
    for line in found:
        width = 20 if line.recipe.models == ("two",) else 32
        pipeline = Pipeline.from_sample(line.recipe, Sample(embeddings=unit(300, width)))
        assert 1 <= pipeline.bytes_per_vector <= budget, line.method
        if budget <= 2:
            assert line.recipe.models == ("two",) or pipeline.bytes_per_vector == budget


def test_one_model_is_cut_in_floats_and_in_int8(monkeypatch):
    without(monkeypatch, "torch")
    cut = {line.method: line.recipe for line in lines(16) if "cut" in line.method}
    alone = Recipe(models=("two",))
    assert cut == {
        "two cut, float32": Recipe(**{**vars(alone), "head": Truncation(dim=4)}),
        "two cut, int8": Recipe(**{**vars(alone), "head": Truncation(dim=16), "quantizer": Int8()}),
    }
    assert [line.method for line in lines(3) if "cut" in line.method] == ["two cut, int8"]
    wide = [line.recipe.head.dim for line in lines(64) if "cut" in line.method]
    assert wide == [16, 20]


def test_cells_are_cut_in_as_many_dimensions_as_the_bytes_hold(monkeypatch):
    without(monkeypatch, "torch")
    found = {line.method: line.recipe for line in lines(4) if "power" in line.method}
    assert found.keys() == {f"power-PCA, {bits} bit" for bits in (1, 2, 4)}
    heads = [(r.head, r.quantizer) for r in found.values()]
    assert heads == [
        (PowerPCA(dim=8 * 4 // bits, gamma=0.25), Percentile(bits=bits)) for bits in (1, 2, 4)
    ]
    assert all((r.models, r.weights) == (("one", "two"), (1.0, 0.5)) for r in found.values())
    few = [line.method for line in lines(4, documents=15)]
    assert "PCA, 2 bit" in few
    assert "PCA, 4 bit" not in few


def test_product_codes_need_as_many_documents_as_centroids():
    pytest.importorskip("faiss")
    (line,) = [line for line in lines(8, documents=256) if line.method == "OPQ, PQ"]
    assert (line.recipe.head, line.recipe.quantizer.m) == (PCA(dim=32), 8)
    for short in (lines(8, documents=255), lines(33)):  # and a dimension for each byte
        assert "OPQ, PQ" not in [line.method for line in short]


def test_rabitq_pays_for_its_factors_and_runs_with_every_seed():
    pytest.importorskip("faiss")
    named = {b: [x.method for x in lines(b) if "RaBitQ" in x.method] for b in (8, 9, 22)}
    one, two = "PCA, RaBitQ 1 bit", "PCA, RaBitQ 2 bit"
    assert named == {8: [], 9: [one], 22: [one, two]}
    assert {x.method for x in lines(64) if x.is_seeded} == {one, two, "PCA, RaBitQ 4 bit"}


def test_the_decoder_of_the_paper_has_four_bits_per_dimension():
    pytest.importorskip("torch")
    (line,) = [x for x in lines(16, documents=64) if x.method.startswith("concat-decoder")]
    assert (line.recipe.head.dim, line.recipe.quantizer) == (32, Percentile(bits=4))
    for short in (lines(16, documents=63), lines(17)):
        assert not [x for x in short if x.method.startswith("concat-decoder")]


def test_what_is_not_installed_is_not_compared(monkeypatch):
    without(monkeypatch, "faiss", "torch")
    kinds = {line.method for line in lines(22)}
    assert kinds == {
        "two cut, float32",
        "two cut, int8",
        *(f"{head}, {bits} bit" for head in ("PCA", "power-PCA") for bits in (1, 2, 4)),
    }
