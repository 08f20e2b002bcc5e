"""Methods by name, and what a user reads when a name or a package is missing."""

import sys
import types
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import metadata

import pytest

from vecpress import errors, registry
from vecpress.errors import ConfigError, MissingExtraError
from vecpress.registry import Entry

TABLES = {
    name: getattr(registry, name) for name in ("ENCODERS", "COMPRESSORS", "QUANTIZERS", "FITTED")
}
ENTRIES = [
    pytest.param(table, name, id=f"{title.lower()}-{name}")
    for title, table in TABLES.items()
    for name in table
]


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """A method of somebody else's."""

    dim: int
    stops: tuple[int, ...] = ()


@pytest.fixture
def without(monkeypatch):
    """Give a function that makes a package look not installed."""

    def hide(*packages):
        for name in list(sys.modules):
            if name.partition(".")[0] in packages:
                monkeypatch.delitem(sys.modules, name)

        class Hidden:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in packages:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])

    return hide


@pytest.fixture
def elsewhere(monkeypatch):
    """Give a function that makes a module `mypkg_sphere` of these attributes."""

    def make(**attributes):
        module = types.ModuleType("mypkg_sphere")
        module.__dict__.update(attributes)
        monkeypatch.setitem(sys.modules, "mypkg_sphere", module)

    return make


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_leads_to_the_class_it_names(table, name):
    entry = table[name]
    for package in entry.needs:
        pytest.importorskip(package)
    found = registry.load(table, name)
    assert isinstance(found, type)
    assert f"{found.__module__}:{found.__qualname__}" == entry.target


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_extra_exists_and_a_light_method_has_none(table, name):
    extra, needs = table[name].extra, table[name].needs
    assert bool(extra) == bool(needs)
    assert not extra or extra in (metadata("vecpress").get_all("Provides-Extra") or [])


def test_no_class_has_two_names_in_one_table():
    for table in TABLES.values():
        targets = [entry.target for entry in table.values()]
        assert len(set(targets)) == len(targets)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(
        ConfigError,
        match=r"^unknown method 'pac'; known: concat-decoder, matryoshka-adaptor, pca, power-pca, "
        r"random, search-adaptor, smec, truncation, "
        r"or 'module:Class' for your own$",
    ):
        registry.load(registry.COMPRESSORS, "pac")


def test_a_method_of_another_package_needs_no_line_here(elsewhere):
    elsewhere(Sphere=Sphere)
    made = registry.build(registry.COMPRESSORS, {"kind": "mypkg_sphere:Sphere", "dim": 3})
    assert made == Sphere(dim=3)


def test_a_module_that_is_not_there():
    with pytest.raises(ConfigError, match="cannot import 'nowhere_at_all:Sphere': No module named"):
        registry.load(registry.COMPRESSORS, "nowhere_at_all:Sphere")


def test_a_class_that_is_not_there(elsewhere):
    elsewhere(sphere=len)
    for name in ("Sphere", "sphere", ""):
        with pytest.raises(ConfigError, match=f"module 'mypkg_sphere' has no class '{name}'"):
            registry.load(registry.COMPRESSORS, f"mypkg_sphere:{name}")


@pytest.mark.parametrize("name", [":Sphere", ".mypkg:Sphere", ":"])
def test_a_name_without_a_module_is_no_method(name):
    with pytest.raises(ConfigError, match=f"^cannot import '{name}'"):
        registry.load(registry.COMPRESSORS, name)


def test_a_missing_package_of_a_method_names_the_extra(without, monkeypatch):
    monkeypatch.delitem(sys.modules, "vecpress.encoders.lexical", raising=False)
    without("sklearn")
    with pytest.raises(
        MissingExtraError,
        match=r"^'lexical' needs the package 'sklearn', which is not installed: "
        r"pip install 'vecpress\[lexical\]'$",
    ):
        registry.load(registry.ENCODERS, "lexical")


def test_a_missing_package_that_is_not_the_extras_own_is_not_explained_away(without, monkeypatch):
    table = {"mine": Entry("mypkg_needs_other:Class", "train", ("torch",))}
    without("mypkg_needs_other")
    with pytest.raises(ModuleNotFoundError, match="mypkg_needs_other") as caught:
        registry.load(table, "mine")
    assert not isinstance(caught.value, errors.VecpressError)


def test_requiring_what_is_installed_gives_the_module():
    assert registry.require("json.decoder", extra="search") is import_module("json.decoder")


def test_requiring_what_is_not_installed_names_the_extra(without):
    without("faiss")
    with pytest.raises(
        MissingExtraError, match=r"^this needs the package 'faiss'.*'vecpress\[search\]'$"
    ):
        registry.require("faiss.contrib", extra="search")


def test_requiring_a_submodule_that_does_not_exist_is_a_mistake_of_ours():
    with pytest.raises(ModuleNotFoundError) as caught:
        registry.require("json.nowhere", extra="search")
    assert not isinstance(caught.value, MissingExtraError)


def test_building_without_a_kind_lists_the_kinds():
    kinds = (
        "binary, gaussian, int8, itq, learned-hash, linear, lloyd-max, lsh, opq, percentile, pq, "
        "rabitq, variable-bits$"
    )
    with pytest.raises(ConfigError, match=f"needs a 'kind', one of {kinds}"):
        registry.build(registry.QUANTIZERS, {"bits": 4})


def test_building_with_an_unknown_option_lists_the_options():
    with pytest.raises(
        ConfigError, match=r"'percentile' has no option 'bit'; it takes bits, rotate, rotate_block$"
    ):
        registry.build(registry.QUANTIZERS, {"kind": "percentile", "bit": 4})


def test_building_without_an_option_that_is_needed_names_it():
    with pytest.raises(ConfigError, match=r"cannot make 'pca' of {'centre': True}: .*'dim'"):
        registry.build(registry.COMPRESSORS, {"kind": "pca", "centre": True})


def test_building_passes_on_what_the_method_itself_objects_to():
    with pytest.raises(ConfigError, match="bits must be between 1 and 8, got 9"):
        registry.build(registry.QUANTIZERS, {"kind": "percentile", "bits": 9})


def test_lists_become_tuples(elsewhere):
    elsewhere(Sphere=Sphere)
    spec = {"kind": "mypkg_sphere:Sphere", "dim": 3, "stops": [1, 3]}
    assert registry.build(registry.COMPRESSORS, spec).stops == (1, 3)


@pytest.mark.parametrize(
    ("table", "spec"),
    [
        (registry.COMPRESSORS, {"kind": "power-pca", "dim": 8, "gamma": 0.25}),
        (registry.COMPRESSORS, {"kind": "pca", "dim": 8, "centre": True}),
        (registry.QUANTIZERS, {"kind": "percentile", "bits": 2, "rotate": True}),
        (
            registry.QUANTIZERS,
            {"kind": "percentile", "bits": 2, "rotate": True, "rotate_block": 8},
        ),
        (registry.QUANTIZERS, {"kind": "int8"}),
    ],
)
def test_describing_inverts_building(table, spec):
    assert registry.describe(table, registry.build(table, spec)) == spec


def test_only_an_option_that_came_later_is_left_out_while_it_is_none():
    @dataclass(frozen=True, kw_only=True)
    class Grown:
        old: int | None = None
        new: int | None = field(default=None, metadata={"later": True})

    assert registry.describe({}, Grown()) | {"kind": ""} == {"kind": "", "old": None}
    assert registry.describe({}, Grown(new=3)) | {"kind": ""} == {"kind": "", "old": None, "new": 3}


def test_a_foreign_method_is_described_by_its_place():
    described = registry.describe(registry.COMPRESSORS, Sphere(dim=2))
    assert described == {"kind": f"{__name__}:Sphere", "dim": 2, "stops": ()}


def test_every_error_is_ours_and_a_builtin():
    builtins = {
        "ConfigError": ValueError,
        "ShapeError": ValueError,
        "DataError": ValueError,
        "ModelError": OSError,
        "ArtifactError": OSError,
        "MismatchError": ValueError,
        "MissingExtraError": ImportError,
    }
    ours = {n for n, e in vars(errors).items() if isinstance(e, type)} - {"VecpressError"}
    assert ours == builtins.keys()
    for name, builtin in builtins.items():
        assert issubclass(getattr(errors, name), (errors.VecpressError,))
        assert issubclass(getattr(errors, name), builtin)
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("table", "spec", "message"),
    [
        (registry.COMPRESSORS, {"kind": "pca", "dim": 12.5}, "'dim' of 'pca' must be a whole num"),
        (registry.COMPRESSORS, {"kind": "pca", "dim": "12"}, "must be a whole number, got '12'"),
        (registry.COMPRESSORS, {"kind": "pca", "dim": True}, "must be a whole number, got True"),
        (
            registry.COMPRESSORS,
            {"kind": "power-pca", "dim": 4, "gamma": float("nan")},
            "'gamma' of 'power-pca' must be a finite number, got nan",
        ),
        (
            registry.COMPRESSORS,
            {"kind": "power-pca", "dim": 4, "gamma": "x"},
            "must be a finite number",
        ),
        (registry.QUANTIZERS, {"kind": "percentile", "rotate": "no"}, "must be true or false"),
        (registry.QUANTIZERS, {"kind": "percentile", "bits": 2.0}, "must be a whole number"),
        (registry.ENCODERS, {"kind": "onnx", "model": 3}, "must be a string, got 3"),
        (registry.ENCODERS, {"kind": "static", "model": "m", "max_length": "9"}, r"int \| None"),
        (
            registry.COMPRESSORS,
            {"kind": "concat-decoder", "dim": 64, "nested_dims": [32, 64.5]},
            r"'nested_dims' of 'concat-decoder' must be tuple\[int, ...\] \| None, got",
        ),
    ],
)
def test_an_option_of_another_type_is_refused_with_its_value(table, spec, message):
    with pytest.raises(ConfigError, match=message):
        registry.build(table, spec)
