"""What is saved comes back, byte for byte, or an error says why not."""

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from vecpress import artifact
from vecpress.errors import ArtifactError
from vecpress.quantizers.scalar import Percentile
from vecpress.stages import Head


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreign:
    """A fitted thing of somebody else's."""

    weight: np.ndarray
    note: str = ""


def make_head(seed=0, **options):
    rng = np.random.default_rng(seed)
    return Head(
        weights=(
            rng.normal(size=(3, 4)).astype(np.float32),
            rng.normal(size=(2, 3)).astype(np.float32),
        ),
        biases=(np.arange(3, dtype=np.float32), np.ones(2, np.float32)),
        **{"activation": "leaky_relu", "slope": 0.1, "residual": True, **options},
    )


def make_content():
    calibration = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
    return {
        "head": make_head(),
        "codec": Percentile(bits=2, rotate=True).fit(calibration),
        "notes": {"données": "Zürich 東京", "seed": 7, "rate": 0.1, "none": None, "on": True},
        "stops": (1, 2, (3, "x")),
    }


def assert_same(a, b):
    """Compare two contents down to every number, its type and its shape."""
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, strict=True)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif hasattr(a, "__dataclass_fields__"):
        assert type(a) is type(b)
        for name in a.__dataclass_fields__:
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert type(a) is type(b)
        assert a == b


def everything_in(folder):
    """Name every file under a folder, with its bytes, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def edit_config(folder, change):
    """Change config.json as somebody would who knows how to make its digest right."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["digest"]
    change(config)
    artifact.write_config(path, config)


@pytest.fixture
def saved(tmp_path):
    artifact.save(tmp_path / "saved", make_content(), card="A card.\n")
    return tmp_path / "saved"


def test_what_is_saved_comes_back(saved):
    assert_same(artifact.load(saved), make_content())


def test_the_folder_holds_structure_numbers_and_a_card(saved):
    assert everything_in(saved).keys() == {"README.md", "config.json", "tensors.safetensors"}
    assert (saved / "README.md").read_text() == "A card.\n"
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert config["format_version"] == 1
    assert config["tensors"]["head.weights.0"] == {"dtype": "float32", "shape": [3, 4]}
    assert config["content"]["head"]["fields"]["weights"] == [
        {"tensor": "head.weights.0"},
        {"tensor": "head.weights.1"},
    ]


def test_saving_again_gives_the_same_bytes(saved, tmp_path):
    artifact.save(tmp_path / "again", make_content(), card="A card.\n")
    assert everything_in(tmp_path / "again") == everything_in(saved)


def test_saving_what_was_loaded_gives_the_same_bytes(saved, tmp_path):
    artifact.save(tmp_path / "copy", artifact.load(saved), card="A card.\n")
    assert everything_in(tmp_path / "copy") == everything_in(saved)


def test_neither_the_clock_nor_the_hash_seed_shows_in_the_bytes(tmp_path):
    code = """
        import sys, time, numpy as np
        time.time = lambda: float(sys.argv[2])
        from vecpress import artifact
        from vecpress.stages import Head
        eye = np.eye(2, dtype=np.float32)
        head = Head(weights=(eye,), biases=(eye[0],))
        artifact.save(sys.argv[1], {"head": head, "notes": {"b": 1, "a": 2}})
    """
    for name, seed in [("a", "1"), ("b", "2")]:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / name), seed],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
        )
    assert everything_in(tmp_path / "a") == everything_in(tmp_path / "b")


def test_a_transposed_weight_is_saved_right(tmp_path):
    """safetensors 0.8 stores the raw memory of a strided array: other numbers, no error."""
    wide = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    views = {"transposed": wide.T, "sliced": wide[::2, ::3], "fortran": np.asfortranarray(wide)}
    artifact.save(tmp_path / "a", views | {"reversed": wide[::-1]})
    loaded = artifact.load(tmp_path / "a")
    for name, view in (views | {"reversed": wide[::-1]}).items():
        np.testing.assert_array_equal(loaded[name], view, strict=True)


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3) * np.ones((), np.float32),
        np.zeros((0, 5), np.float32),
        np.array([[True, False]]),
        np.array([2**62, -1]),
        np.array([0.1, np.nan, np.inf, -0.0]),
        np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
        np.array([1, 2], np.float16),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_keep_their_type_and_shape(tmp_path, array):
    array = np.asarray(array)
    artifact.save(tmp_path / "a", {"x": array})
    np.testing.assert_array_equal(artifact.load(tmp_path / "a")["x"], array, strict=True)


def test_a_memory_map_is_saved_as_its_numbers(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.float32).reshape(3, 4))
    artifact.save(tmp_path / "a", {"x": np.load(tmp_path / "x.npy", mmap_mode="r")})
    np.testing.assert_array_equal(artifact.load(tmp_path / "a")["x"], np.arange(12).reshape(3, 4))


def test_many_layers_come_back_in_order(tmp_path):
    weights = tuple(np.full((1, 1), i, np.float32) for i in range(12))
    biases = tuple(np.zeros(1, np.float32) for _ in weights)
    artifact.save(tmp_path / "a", {"head": Head(weights=weights, biases=biases)})
    loaded = artifact.load(tmp_path / "a")["head"]
    assert [int(w[0, 0]) for w in loaded.weights] == list(range(12))


def test_nothing_to_save_is_saved(tmp_path):
    artifact.save(tmp_path / "a", {})
    assert artifact.load(tmp_path / "a") == {}


@pytest.mark.parametrize(
    "value", [float("inf"), 1e-320, 0.1, 2**70, "", '\x00\n"\\', "\u2028", -0.0]
)
def test_plain_values_come_back_exactly(tmp_path, value):
    artifact.save(tmp_path / "a", {"value": value, "in a mapping": {"tensor": value}})
    loaded = artifact.load(tmp_path / "a")
    assert loaded == {"value": value, "in a mapping": {"tensor": value}}
    assert repr(loaded["value"]) == repr(value)


def test_two_arrays_are_never_stored_in_one_place(tmp_path):
    one, two = np.zeros(2, np.float32), np.ones(2, np.float32)
    with pytest.raises(ArtifactError, match=r"two arrays have the place 'm\.a\.b': rename one"):
        artifact.save(tmp_path / "a", {"m": {"a.b": one, "a": {"b": two}}})
    assert not (tmp_path / "a").exists()


def test_keys_that_json_would_change_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="keys must be strings to be stored, got 1 in 'm'"):
        artifact.save(tmp_path / "a", {"m": {1: "one"}})


@pytest.mark.parametrize("value", [Path("x"), {1, 2}, b"x", np.float32(1), 1j])
def test_values_that_cannot_come_back_are_refused(tmp_path, value):
    with pytest.raises(ArtifactError, match=r"^cannot store notes\.x, a \w+: an artifact holds"):
        artifact.save(tmp_path / "a", {"notes": {"x": value}})
    assert list(tmp_path.iterdir()) == []


# Damage


def test_every_single_bit_flip_is_noticed(saved, monkeypatch):
    """Or it changes nothing: whitespace, or another spelling of the same number."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it is slow
    expected, rng, harmless = make_content(), np.random.default_rng(0), 0
    for name in ("config.json", "tensors.safetensors"):
        good = (saved / name).read_bytes()
        bits = np.arange(8 * len(good))
        chosen = {*bits[:200], *bits[-64:], *rng.choice(bits, 1500, replace=False)}
        with (saved / name).open("r+b", buffering=0) as file:
            for bit in chosen:
                place = int(bit) // 8
                file.seek(place)
                file.write(bytes([good[place] ^ 1 << int(bit) % 8]))
                try:
                    loaded = artifact.load(saved)
                except ArtifactError:
                    pass
                else:
                    assert name == "config.json", f"bit {bit} of {name} was not noticed"
                    assert_same(loaded, expected)
                    harmless += 1
                file.seek(place)
                file.write(good[place : place + 1])
    assert harmless < 12
    assert_same(artifact.load(saved), expected)


@pytest.mark.parametrize("name", ["config.json", "tensors.safetensors"])
def test_a_truncated_file_is_noticed(saved, name):
    good = (saved / name).read_bytes()
    for length in {0, 1, 7, 8, 9, len(good) // 2, len(good) - 2}:
        (saved / name).write_bytes(good[:length])
        with pytest.raises(ArtifactError, match=r"saved.* is damaged"):
            artifact.load(saved)


def test_bytes_at_the_end_are_noticed(saved):
    for name in ("config.json", "tensors.safetensors"):
        good = (saved / name).read_bytes()
        (saved / name).write_bytes(good + b"x")
        with pytest.raises(ArtifactError, match=r"is damaged"):
            artifact.load(saved)
        (saved / name).write_bytes(good)


def test_damaged_numbers_name_the_folder_and_the_remedy(saved):
    path = saved / "tensors.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(
        ArtifactError,
        match=rf"^{re.escape(str(saved))} is damaged: tensors\.safetensors \({len(good) - 1} "
        r"bytes\) is not what was saved: copy it again, or fit it again$",
    ):
        artifact.load(saved)


@pytest.mark.parametrize(
    "text", ["[]", "3", '"x"', "null", "{}", '{"format_version": 1}', "{", "é"]
)
def test_a_config_that_is_not_ours_is_refused(saved, text):
    (saved / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ArtifactError, match=r"config\.json is damaged or not ours"):
        artifact.load(saved)


def test_a_changed_value_is_noticed_by_the_digest(saved):
    path = saved / "config.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 7', '"seed": 8'), "utf-8")
    with pytest.raises(ArtifactError, match="its digest does not match: copy or make it again"):
        artifact.load(saved)


def test_a_folder_without_config_is_no_artifact(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            ArtifactError,
            match=rf"^{re.escape(str(folder))} is not a vecpress folder: no config\.json$",
        ):
            artifact.load(folder)


def test_a_file_is_no_artifact(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"a\.npy"):
        artifact.load(tmp_path / "a.npy")


def test_numbers_that_are_not_there(saved):
    (saved / "tensors.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"saved has no readable tensors\.safetensors"):
        artifact.load(saved)


def test_missing_and_unknown_tensors_are_all_listed(saved):
    def rename(config):
        tensors = config["tensors"]
        tensors["head.gone"] = tensors.pop("codec.levels")
        tensors["head.lost"] = tensors.pop("codec.borders")

    edit_config(saved, rename)
    with pytest.raises(
        ArtifactError,
        match=r"does not hold the tensors its config\.json lists: missing \['head\.gone', "
        r"'head\.lost'\], unknown \['codec\.borders', 'codec\.levels'\]",
    ):
        artifact.load(saved)


# Versions


def test_a_newer_format_is_refused_before_anything_else_is_read(saved):
    path = saved / "config.json"
    newer = path.read_text(encoding="utf-8").replace('"format_version": 1', '"format_version": 7')
    path.write_text(newer, encoding="utf-8")
    with pytest.raises(
        ArtifactError,
        match=r"saved has format version 7; this release reads up to 1: upgrade vecpress, or save "
        "it again with an older release$",
    ):
        artifact.load(saved)


def test_an_older_format_is_migrated_step_by_step(saved, monkeypatch):
    def to_2(config):
        return config | {"content": config["content"] | {"step": "two"}}

    def to_3(config):
        return config | {"content": config["content"] | {"steps": [config["content"]["step"], "3"]}}

    monkeypatch.setattr(artifact, "FORMAT_VERSION", 3)
    monkeypatch.setattr(artifact, "MIGRATIONS", {1: to_2, 2: to_3})
    loaded = artifact.load(saved)
    assert loaded.pop("step") == "two"
    assert loaded.pop("steps") == ("two", "3")
    assert_same(loaded, make_content())


# Whose classes


def test_a_class_of_another_package_comes_back_where_it_is_imported(tmp_path):
    artifact.save(tmp_path / "a", {"x": Foreign(weight=np.arange(3.0), note="mine")})
    loaded = artifact.load(tmp_path / "a")["x"]
    assert isinstance(loaded, Foreign)
    np.testing.assert_array_equal(loaded.weight, [0, 1, 2])


def test_a_class_that_nobody_imported_is_not_imported_for_a_file(saved, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    edit_config(saved, lambda c: c["content"]["head"].update(kind="evil_module:Class"))
    with pytest.raises(
        ArtifactError,
        match=r"'evil_module:Class', which is not ours: import evil_module first if you trust it$",
    ):
        artifact.load(saved)
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("os:system", ": module 'os' has no class 'system'"),
        ("builtins:eval", ": module 'builtins' has no class 'eval'"),
        ("pathlib:Path", ", which is not a class we store"),
        ("vecpress.stages:Nothing", ": module 'vecpress.stages' has no class 'Nothing'"),
        (":system", ", which is not ours"),
    ],
)
def test_what_is_no_stored_class_is_not_called(saved, kind, reason):
    edit_config(saved, lambda c: c["content"]["head"].update(kind=kind))
    with pytest.raises(ArtifactError, match=f"holds a '{kind}'{reason}"):
        artifact.load(saved)


@pytest.mark.parametrize("kind", ["additive-codec", "os"])
def test_a_kind_of_a_later_release_says_so(saved, kind):
    edit_config(saved, lambda c: c["content"]["head"].update(kind=kind))
    with pytest.raises(ArtifactError, match=f"holds a '{kind}', unknown here: upgrade vecpress"):
        artifact.load(saved)


def test_a_field_that_this_release_does_not_know_is_refused(saved):
    edit_config(saved, lambda c: c["content"]["head"]["fields"].update(dropout=0.5))
    with pytest.raises(
        ArtifactError, match=r"stored 'head' has the fields .*'dropout'.*this release"
    ):
        artifact.load(saved)


def test_a_field_that_is_needed_must_be_there(saved):
    edit_config(saved, lambda c: c["content"]["codec"]["fields"].pop("bits"))
    with pytest.raises(ArtifactError, match="stored 'scalar-codec' has the fields"):
        artifact.load(saved)


def test_a_field_with_a_default_may_be_absent(saved):
    edit_config(saved, lambda c: c["content"]["head"]["fields"].pop("slope"))
    assert artifact.load(saved)["head"].slope == 0.2


# Writing


def test_an_existing_folder_is_kept_unless_told_otherwise(saved):
    before = everything_in(saved.parent)
    with pytest.raises(
        ArtifactError, match="saved exists: choose another name, or ask to overwrite"
    ):
        artifact.save(saved, {"x": 1})
    assert everything_in(saved.parent) == before


def test_overwriting_replaces_everything_and_leaves_nothing_behind(saved):
    (saved / "stale.txt").write_text("old")
    artifact.save(saved, {"x": 1}, overwrite=True)
    assert artifact.load(saved) == {"x": 1}
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]
    assert everything_in(saved).keys() == {"README.md", "config.json", "tensors.safetensors"}


def test_overwriting_what_is_not_there_is_just_writing(tmp_path):
    artifact.save(tmp_path / "a", {"x": 1}, overwrite=True)
    assert artifact.load(tmp_path / "a") == {"x": 1}


def test_folders_above_are_made(tmp_path):
    artifact.save(tmp_path / "deep" / "er" / "a", {"x": 1})
    assert artifact.load(tmp_path / "deep" / "er" / "a") == {"x": 1}


def test_a_relative_name_is_taken_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    artifact.save("a", {"x": 1})
    assert artifact.load("a") == artifact.load(tmp_path / "a") == {"x": 1}


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        artifact.save(tmp_path / "a", {"x": 1})
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_replacement_puts_the_old_folder_back(saved, monkeypatch, error, failing):
    before = everything_in(saved.parent)
    rename, calls = Path.rename, []

    def rename_or_fail(self, target):
        calls.append(target)
        if len(calls) == failing:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)
    with pytest.raises((ArtifactError, KeyboardInterrupt)):
        artifact.save(saved, {"x": 1}, overwrite=True)
    assert everything_in(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_parent_that_is_a_file_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"^cannot write .*file/a: "):
        artifact.save(tmp_path / "file" / "a", {"x": 1})


def test_overwriting_through_a_link_leaves_what_it_points_to(saved):
    before = everything_in(saved)
    link = saved.parent / "link"
    link.symlink_to(saved, target_is_directory=True)
    artifact.save(link, {"x": 1}, overwrite=True)
    assert artifact.load(link) == {"x": 1}
    assert everything_in(saved) == before


# The log of training

ROWS = (
    {"event": "epoch", "stage": "8 -> 4", "epoch": 0, "loss": None, "gradients": []},
    {
        "stage": "8 -> 4",
        "event": "epoch",
        "epoch": 1,
        "loss": 0.5,
        "gradients": ({"rows": "0-4", "size": 1e-3}, {"rows": "4-8", "size": 1e-320}),
    },
    {
        "event": "kept",
        "stage": "données \u2028\n",
        "what": "trained",
        "models": {"b": 1, "a": True},
    },
)
STORED = """\
{"epoch": 0, "event": "epoch", "gradients": [], "loss": null, "stage": "8 -> 4"}
{"epoch": 1, "event": "epoch", "gradients": [{"rows": "0-4", "size": 0.001}, \
{"rows": "4-8", "size": 1e-320}], "loss": 0.5, "stage": "8 -> 4"}
{"event": "kept", "models": {"a": true, "b": 1}, "stage": "données \u2028\\n", "what": "trained"}
"""


@pytest.fixture
def logged(tmp_path):
    artifact.save(tmp_path / "logged", make_content(), card="A card.\n", log=iter(ROWS))
    return tmp_path / "logged"


def test_a_log_is_one_sorted_line_of_json_per_row(logged):
    stored = (logged / "training.jsonl").read_bytes()
    assert stored == STORED.encode()
    config = json.loads((logged / "config.json").read_text(encoding="utf-8"))
    assert config["log_sha256"] == hashlib.sha256(STORED.encode()).hexdigest()
    assert_same(artifact.load(logged), make_content())


def test_a_log_comes_back_row_by_row(logged):
    log = artifact.read_log(logged)
    assert isinstance(log, tuple)
    assert log[0] == ROWS[0]
    assert log[1] == ROWS[1] | {"gradients": list(ROWS[1]["gradients"])}
    assert log[2:] == ROWS[2:]
    assert artifact.read_log(str(logged)) == log


def test_without_rows_there_is_no_log(saved, tmp_path):
    for name, log in [("none", ()), ("generated", (row for row in ()))]:
        artifact.save(tmp_path / name, make_content(), card="A card.\n", log=log)
        assert everything_in(tmp_path / name) == everything_in(saved)
        assert artifact.read_log(tmp_path / name) == ()
    assert b"log_sha256" not in (saved / "config.json").read_bytes()


def test_saving_a_log_that_was_read_gives_the_same_bytes(logged, tmp_path):
    log = [dict(reversed(row.items())) for row in artifact.read_log(logged)]
    artifact.save(tmp_path / "copy", artifact.load(logged), card="A card.\n", log=log)
    assert everything_in(tmp_path / "copy") == everything_in(logged)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_has_no_number_for_becomes_null(tmp_path, value):
    rows = [{"loss": value, "bands": [{"size": value}, value], "held_out": np.float64(0.1)}]
    artifact.save(tmp_path / "a", {}, log=rows)
    wanted = ({"loss": None, "bands": [{"size": None}, None], "held_out": 0.1},)
    assert artifact.read_log(tmp_path / "a") == wanted
    assert "NaN" not in (tmp_path / "a" / "training.jsonl").read_text()


@pytest.mark.parametrize("value", [Path("x"), {1, 2}, b"x", np.float32(1), np.arange(2)])
def test_a_log_holds_plain_values_only(tmp_path, value):
    sentence = (
        rf"^cannot store 'x' in 'notes' in row 2 of the log, a {type(value).__qualname__}: a log "
        "holds plain values$"
    )
    with pytest.raises(ArtifactError, match=sentence):
        artifact.save(tmp_path / "a", {}, log=[{}, {"notes": {"x": value}}])
    with pytest.raises(ArtifactError, match=r"got 1 in 'models' in row 1 of the log$"):
        artifact.save(tmp_path / "a", {}, log=[{"models": {1: "one"}}])
    assert list(tmp_path.iterdir()) == []


def test_every_change_of_a_log_is_noticed(logged):
    path = logged / "training.jsonl"
    good = path.read_bytes()
    sentence = (
        rf"^{re.escape(str(logged))} is damaged: training\.jsonl \(\d+ bytes\) is not what was "
        "saved: copy it again, or fit it again$"
    )
    flipped = (good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in range(0, len(good), 7))
    for bad in (b"", good[:-1], good + b"\n", *flipped):
        path.write_bytes(bad)
        for read in (artifact.load, artifact.read_log):
            with pytest.raises(ArtifactError, match=sentence):
                read(logged)


def test_a_log_that_is_not_there(logged):
    (logged / "training.jsonl").unlink()
    for read in (artifact.load, artifact.read_log):
        with pytest.raises(ArtifactError, match=r"logged has no readable training\.jsonl: "):
            read(logged)


def test_a_log_that_config_does_not_list_is_not_read(saved):
    (saved / "training.jsonl").write_text('{"event": "kept"}\n')
    assert artifact.read_log(saved) == ()
    assert_same(artifact.load(saved), make_content())


def test_overwriting_an_artifact_with_a_log_leaves_none(logged):
    artifact.save(logged, {"x": 1}, overwrite=True)
    assert artifact.read_log(logged) == ()
    assert everything_in(logged).keys() == {"README.md", "config.json", "tensors.safetensors"}


def test_the_log_of_what_is_no_artifact(tmp_path):
    with pytest.raises(ArtifactError, match=r"is not a vecpress folder: no config\.json$"):
        artifact.read_log(tmp_path)


def test_a_log_of_an_older_format_is_found_through_migrations(logged, monkeypatch):
    path = logged / "training.jsonl"
    path.write_text('{"event": "new"}\n')

    def to_2(config):
        return config | {"log_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    monkeypatch.setattr(artifact, "FORMAT_VERSION", 2)
    monkeypatch.setattr(artifact, "MIGRATIONS", {1: to_2})
    assert artifact.read_log(logged) == ({"event": "new"},)


# Fingerprints


def test_equal_content_has_one_fingerprint(saved):
    wanted = artifact.fingerprint(make_content())
    assert re.fullmatch("[0-9a-f]{32}", wanted)
    assert artifact.fingerprint(artifact.load(saved)) == wanted
    assert artifact.fingerprint(dict(reversed(make_content().items()))) == wanted


def test_the_layout_in_memory_does_not_change_the_fingerprint():
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    wanted = artifact.fingerprint({"x": x})
    assert artifact.fingerprint({"x": np.asfortranarray(x)}) == wanted
    assert artifact.fingerprint({"x": np.repeat(x, 2, axis=0)[::2]}) == wanted


def test_any_change_changes_the_fingerprint():
    x = np.zeros((2, 3), np.float32)
    changed = x.copy()
    changed[1, 2] = np.float32(1e-45)
    contents = [
        {"x": x},
        {"x": changed},
        {"x": -x},
        {"x": x.reshape(3, 2)},
        {"x": x.astype(np.int32)},
        {"x": x, "y": x},
        {"y": x},
        {"z": {"x": x}},
        {"x": x, "note": "a"},
        {"x": x, "note": "b"},
        {"x": x, "note": 1},
        {"x": x, "note": 1.0},
        {"x": x, "note": True},
        {"x": x, "note": None},
        {"x": x, "note": "1"},
        {"x": x, "note": ()},
        {"x": x, "note": {}},
        {"x": x, "note": {"tensor": "x"}},
        {"x": make_head()},
        {"x": make_head(slope=0.1000001)},
        {"x": make_head(residual=False)},
        {"x": make_head(seed=1)},
        {"x": make_head().truncate(1)},
        {"x": Foreign(weight=x)},
        {},
    ]
    assert len({artifact.fingerprint(content) for content in contents}) == len(contents)


def test_a_copy_loads_like_the_original(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "moved" / "elsewhere")
    assert_same(artifact.load(tmp_path / "moved" / "elsewhere"), make_content())
