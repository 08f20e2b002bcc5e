"""What is pushed arrives byte for byte, and what should not be pushed is not."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import typer
from huggingface_hub import constants
from sentence_transformers import SentenceTransformer

import fake_hub
import tiny_models
from tiny_models import TEXTS
from vecpress import pushing
from vecpress.corpus import Corpus
from vecpress.errors import ArtifactError, ConfigError, MissingExtraError
from vecpress.exports.onnx_export import export_onnx
from vecpress.exports.push import open_parcel, push
from vecpress.exports.st_folder import export_sentence_transformers
from vecpress.exports.st_module import open_press
from vecpress.pipeline import Pipeline
from vecpress.recipe import Recipe

MANY = [f"{text} {tiny_models.WORDS[5 + i % 18]}" for i, text in enumerate(TEXTS * 12)]
CORPUS = Corpus(ids=tuple(map(str, range(len(MANY)))), texts=tuple(MANY), name="many")


def fit(*models):
    spec = {"models": list(models), "head": {"kind": "pca", "dim": 6}}
    spec["quantizer"] = {"kind": "percentile", "bits": 2}
    return Pipeline.fit(Recipe.from_dict(spec), CORPUS)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tiny_models.static_folder(tmp_path_factory.mktemp("table") / "m")


@pytest.fixture(scope="module")
def pipeline(table):
    return fit({"kind": "static", "model": str(table)})


@pytest.fixture
def exported(pipeline, tmp_path):
    export_sentence_transformers(pipeline, tmp_path / "exported")
    return tmp_path / "exported"


@pytest.fixture
def press(tmp_path):
    """One that names no path: it knows the corpus's words alone."""
    fit("lexical:8").save(tmp_path / "press")
    return tmp_path / "press"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    with fake_hub.serve() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield served


def send(folder, hub, **options):
    return push(open_parcel(folder), "me/small", **({"token": fake_hub.TOKEN} | options))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_export_arrives_byte_for_byte_and_loads(exported, pipeline, hub, tmp_path):
    assert send(exported, hub) == f"{hub.url}/me/small"
    assert hub.files["me/small", "main"] == contents(exported)
    assert len(hub.large) == 3  # of the table, the head, and the codec
    arrived = hub.write(tmp_path / "arrived", "me/small")
    model = SentenceTransformer(str(arrived), device="cpu", local_files_only=True)
    np.testing.assert_allclose(model.encode(TEXTS), pipeline.encode(TEXTS), atol=1e-5)
    assert hub.messages == ["Add what vecpress made: sentence-transformers"]
    assert hub.repos == {"me/small": False}


def test_a_press_arrives_and_gives_the_same_codes(press, hub, tmp_path):
    send(press, hub, message="The first one")
    arrived = Pipeline.load(hub.write(tmp_path / "arrived", "me/small"))
    wanted = Pipeline.load(press)
    assert arrived.fingerprint == wanted.fingerprint
    codes = [p.quantize(p.encode(TEXTS)) for p in (arrived, wanted)]
    np.testing.assert_array_equal(*codes)
    assert hub.messages == ["The first one"]


def test_several_models_arrive_as_a_module(table, hub, tmp_path):
    pipeline = fit({"kind": "static", "model": str(table)}, "lexical:4")
    export_sentence_transformers(pipeline, tmp_path / "out")
    send(tmp_path / "out", hub)
    model = open_press(hub.write(tmp_path / "arrived", "me/small"), device="cpu")
    np.testing.assert_allclose(model.encode(TEXTS), pipeline.encode(TEXTS), atol=1e-5)


def test_it_can_be_loaded_by_its_hub_id(table, exported, pipeline, hub, monkeypatch, tmp_path):
    """As anybody does who has only the name: stock modules, and one of ours."""
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    both = fit({"kind": "static", "model": str(table)}, "lexical:4")
    export_sentence_transformers(both, tmp_path / "both")
    push(open_parcel(exported), "me/one", token=fake_hub.TOKEN)
    push(open_parcel(tmp_path / "both"), "me/both", token=fake_hub.TOKEN)
    options = {"device": "cpu", "cache_folder": str(tmp_path / "cache")}
    one = SentenceTransformer("me/one", **options)
    np.testing.assert_allclose(one.encode(TEXTS), pipeline.encode(TEXTS), atol=1e-5)
    several = SentenceTransformer("me/both", trust_remote_code=True, **options)
    np.testing.assert_allclose(several.encode(TEXTS), both.encode(TEXTS), atol=1e-5)


def test_a_graph_can_be_pushed_too(hub, tmp_path):
    export_onnx(fit("lexical:8"), tmp_path / "onnx")
    assert open_parcel(tmp_path / "onnx").kind == "onnx"
    send(tmp_path / "onnx", hub)
    assert hub.files["me/small", "main"] == contents(tmp_path / "onnx")


def test_a_second_push_changes_what_is_there(exported, press, hub):
    send(press, hub)
    (press / "LICENSE").write_text("MIT")
    send(press, hub)
    assert hub.files["me/small", "main"]["LICENSE"] == b"MIT"
    assert len(hub.messages) == 2


def test_a_branch_is_made_for_what_goes_there(press, hub):
    assert send(press, hub, revision="v2") == f"{hub.url}/me/small/tree/v2"
    assert hub.files["me/small", "v2"] == contents(press)
    assert hub.files["me/small", "main"] == {}


def test_private_is_private(press, hub):
    send(press, hub, private=True)
    assert hub.repos == {"me/small": True}


def test_a_private_push_does_not_go_where_all_can_see_it(press, hub):
    hub.repos["me/small"], hub.files["me/small", "main"] = False, {}
    with pytest.raises(
        ConfigError, match=r"me/small is there already, and public: make it private"
    ):
        send(press, hub, private=True)
    assert hub.files["me/small", "main"] == {}


@pytest.mark.parametrize("name", ["small", "me/small/er", "me/", "/small", "me/sm all", "", "../x"])
def test_a_name_that_is_none_is_said_before_anything_is_sent(press, hub, name):
    with pytest.raises(ConfigError, match="such as me/small-search, got"):
        push(open_parcel(press), name)
    assert hub.asked == []


STATUS = {
    401: "does not know you: log in with `hf auth login`, set HF_TOKEN, or give --token",
    403: "your token may not write to me/small: take one with write permission",
    400: r"http://127.0.0.1:\d+ refused me/small \(400\): .*",
    429: r"http://127.0.0.1:\d+ refused me/small \(429\): .*",
}


@pytest.mark.parametrize("status", STATUS)
def test_what_the_hub_refuses_is_one_sentence(press, hub, status):
    hub.status = status
    with pytest.raises(ArtifactError, match=STATUS[status]) as caught:
        send(press, hub)
    assert "\n" not in str(caught.value)


def test_a_wrong_token_is_named_without_being_shown(press, hub):
    with pytest.raises(ArtifactError, match="does not know you") as caught:
        send(press, hub, token="hf_secret")
    assert "hf_secret" not in str(caught.value)


def test_no_network_is_said(press, monkeypatch):
    with fake_hub.serve() as gone:
        url = gone.url
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    message = rf"cannot reach {url} \(ConnectError\): check the network, and HF_ENDPOINT"
    with pytest.raises(ArtifactError, match=message):
        push(open_parcel(press), "me/small", token="x")


def test_offline_is_said(press, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError, match="HF_HUB_OFFLINE is set, so nothing can be pushed"):
        push(open_parcel(press), "me/small", token="x")


def test_without_the_client_the_extra_is_named(press, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vecpress\[hub\]'"):
        push(open_parcel(press), "me/small")


def test_what_is_listed_is_what_is_there(exported):
    parcel = open_parcel(exported)
    assert dict(parcel.files) == {path: len(data) for path, data in contents(exported).items()}
    assert parcel.size == sum(map(len, contents(exported).values()))
    assert parcel.kind == "sentence-transformers"


def test_a_press_of_a_local_model_is_not_pushed(pipeline, table, tmp_path):
    pipeline.save(tmp_path / "press")
    with pytest.raises(ConfigError) as caught:
        open_parcel(tmp_path / "press")
    assert str(caught.value) == (
        f"{tmp_path / 'press'} names {str(table)!r}, a path of this machine, so nobody else could "
        "load it: publish that model and fit with its hub id, or push what `vecpress export "
        f"{tmp_path / 'press'} --to sentence-transformers` writes, which holds the models themselves"
    )


@pytest.mark.parametrize(
    "name", ["st:/home/me/model", "distilled:st:~/m/x", "./m/x", r"C:\models\x", "static:../a/b"]
)
def test_every_way_to_write_a_path_is_seen(exported, name):
    config = exported / "config_sentence_transformers.json"
    manifest = json.loads((exported / "vecpress.json").read_text())
    config.write_text(json.dumps({"about": [{"model": name}]}))
    del manifest["files"]["config_sentence_transformers.json"]
    (exported / "vecpress.json").write_text(json.dumps(manifest))
    (exported / "config_sentence_transformers.json").rename(exported / "LICENSE.json")
    with pytest.raises(ConfigError, match="a path of this machine, which would be published"):
        open_parcel(exported)


@pytest.mark.parametrize(
    "name", ["org/model", "st:org/model", "a/b or c/d", "passage: ", "/", "and/or"]
)
def test_what_is_no_path_is_let_through(exported, name):
    (exported / "LICENSE.json").write_text(json.dumps([name]))
    assert open_parcel(exported).files


def test_a_stranger_s_file_is_not_published(exported):
    (exported / ".env").write_text("SECRET=1")
    with pytest.raises(ConfigError, match=r"holds \.env, which vecpress did not write: move it"):
        open_parcel(exported)


def test_a_card_may_be_written_on(exported):
    (exported / "README.md").write_text("---\nlicense: mit\n---\n# Mine")
    assert open_parcel(exported).files


@pytest.mark.parametrize("name", ["modules.json", "model.safetensors"])
def test_a_damaged_export_is_not_pushed(exported, name):
    with (exported / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ArtifactError, match=f"is damaged: {name} is not what was written"):
        open_parcel(exported)


def test_a_damaged_press_is_not_pushed(press):
    with (press / "tensors.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ArtifactError, match=r"tensors\.safetensors .* is not what was saved"):
        open_parcel(press)


def test_a_lost_file_is_said(exported):
    (exported / "modules.json").unlink()
    with pytest.raises(ArtifactError, match=r"is damaged, or not ours: .*export it again"):
        open_parcel(exported)


def test_what_we_did_not_make_is_not_pushed(table, tmp_path):
    with pytest.raises(ArtifactError, match="is damaged or not ours"):
        open_parcel(table)  # it has a config.json
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is not what vecpress made, and is not pushed"):
        open_parcel(tmp_path / "notes")
    with pytest.raises(ArtifactError, match="is not a folder: give a press"):
        open_parcel(tmp_path / "nothing")


def test_an_index_keeps_its_texts_to_itself(pipeline, tmp_path):
    pipeline.save_index(pipeline.index(CORPUS), tmp_path / "index")
    with pytest.raises(ConfigError, match="is an index, and holds the texts of its documents"):
        open_parcel(tmp_path / "index")


def test_a_page_is_no_model(exported):
    manifest = json.loads((exported / "vecpress.json").read_text())
    for page in (manifest | {"kind": "web"}, {"kind": "web"}):  # a page's lists no files
        (exported / "vecpress.json").write_text(json.dumps(page))
        with pytest.raises(
            ConfigError, match="is of the kind 'web': push a press, or an export to onnx"
        ):
            open_parcel(exported)


def test_the_verb_goes_to_the_hub_that_the_environment_names(press, hub):
    """The client reads HF_ENDPOINT once, so this is a process of its own."""
    code = "from vecpress.pushing import push; import typer; typer.run(push)"
    hub_s = {"HF_ENDPOINT": hub.url, "HF_TOKEN": fake_hub.TOKEN, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(press), "me/small", "--private"],
        capture_output=True,
        text=True,
        env=os.environ | hub_s | {"HF_HUB_DISABLE_XET": "1"},
    )
    assert done.returncode == 0, done.stderr
    files = contents(press)
    size = sum(map(len, files.values())) / 1e6
    assert done.stdout == f"{len(files)} files, {size:.1f} MB: {hub.url}/me/small\n"
    assert hub.files["me/small", "main"] == files
    assert hub.repos == {"me/small": True}


@pytest.fixture
def verb(monkeypatch, capsys):
    """Type the verb; give what it prints."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        app = typer.Typer()
        app.command()(pushing.push)
        app([str(word) for word in words], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_a_dry_run_lists_and_sends_nothing(press, hub, verb):
    lines = verb(press, "me/small", "--dry-run").splitlines()
    files = contents(press)
    listed = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in lines[:-1]}
    assert listed == {path: len(data) for path, data in files.items()}
    assert lines[-1].endswith("in all, which --dry-run does not send to me/small")
    assert hub.asked == []


def test_a_dry_run_refuses_the_name_that_a_push_would(press, verb):
    with pytest.raises(ConfigError, match="such as me/small-search, got 'small'"):
        verb(press, "small", "--dry-run")


def test_json_tells_where_it_is_or_that_it_is_nowhere(press, hub, verb):
    wanted = {path: len(data) for path, data in contents(press).items()}
    about = {"repo_id": "me/small", "kind": "press", "bytes": sum(wanted.values())}
    told = json.loads(verb(press, "me/small", "--json", "--dry-run"))
    assert told == {**about, "files": wanted, "url": None}
    words = ("--json", "--token", fake_hub.TOKEN, "--revision", "v2", "--message", "One")
    told = json.loads(verb(press, "me/small", *words))
    assert told == {**about, "files": wanted, "url": f"{hub.url}/me/small/tree/v2"}
    assert hub.messages == ["One"]
