"""The exported page in a real browser: how it behaves, and what it says."""

import html
import json
import re
import shutil
import unicodedata
from urllib.parse import urlsplit

import numpy as np
import pytest

import browsing
import tiny_models
from browsing import QUERY, TITLE, Exported, check_calm
from vecpress.corpus import Corpus
from vecpress.quantizers.scalar import Int8
from vecpress.recipe import Recipe


@pytest.fixture(scope="module")
def behaviour(static, tmp_path_factory):
    """All that is done in one page, one step after the other."""
    steps = [
        {"name": "told", "query": QUERY},
        {"name": "type", "query": QUERY},
        {"name": "marks", "query": "RETURN the náme of a file, and return the string's parts"},
        {"name": "keys", "query": "copy a file"},
        {"name": "address", "queries": [QUERY, "100% of “this” & that + more?"]},
        {"name": "narrow", "query": QUERY},
        {"name": "colors", "query": QUERY},
        {"name": "theme"},
    ]
    with browsing.serve(static.folder) as site:
        profile = tmp_path_factory.mktemp("profile")
        return browsing.drive("steps", url=site.url, profile=profile, steps=steps)


def test_page_says_what_it_searches_and_how_long_it_took(behaviour, static):
    told = behaviour["told"]
    total = f"{len(static.index):,}"
    assert told["title"] == TITLE
    assert told["facts"] == f"{total} documents64 bytes eachwordllama:int4 + lexical:128:int8"
    pattern = r"10 of (\S+) in [\d.]+ ms tokenize [\d.]+ · encode [\d.]+ · scan [\d.]+"
    assert re.fullmatch(pattern, told["answer"])[1] == total
    size = sum(p.stat().st_size for p in static.folder.rglob("*") if p.is_file())
    engine, megabytes = re.fullmatch(r"(\w+) engine([\d.]+) MB", told["engine"]).groups()
    assert engine == "static"
    assert float(megabytes) == pytest.approx(size / 1e6, abs=0.1)
    assert told["count"] == f"10 results of {total}"
    assert "no query leaves this device" in told["maker"]
    assert told["more"] == [str(i) for i in range(1, 21)]


def test_results_come_while_typing_and_the_last_query_wins(behaviour):
    check_calm(behaviour)
    shown = behaviour["type"]
    assert len(shown) > 5  # lists were shown before the last key
    assert all(QUERY.startswith(query) for query in shown)
    assert [len(query) for query in shown] == sorted(len(query) for query in shown)
    assert shown[-1] == QUERY


def test_whole_words_of_the_query_are_marked_whatever_their_case_and_accents(behaviour):
    def plain(word):
        return unicodedata.normalize("NFKD", word.lower()).removesuffix("'s")

    seen = behaviour["marks"]
    words = [w for text in seen["texts"] for w in re.findall(r"[^\W_]+(?:'s\b)?", text)]
    wanted = [w for w in words if plain(w) in {"return", "name", "file", "string", "parts"}]
    assert len(set(wanted)) > 2
    assert len({plain(w) for w in wanted}) > 2
    assert sorted(seen["marked"]) == sorted(wanted)


def test_keys_move_through_the_list_open_and_clear(behaviour):
    seen = behaviour["keys"]
    assert seen["slash"] == ["query", ""]
    assert seen["walk"] == ["1", "2", "3", "2", "10", "10", "1"]
    assert seen["tabstops"] == ["2"]  # of a list, Tab reaches one
    assert seen["left"] == "query"
    assert seen["opened"] == [1, 1]
    assert seen["closed"] == 0
    assert seen["back"] == ["query", "copy a file"]
    assert seen["entered"] == "1"
    assert seen["typed"] == ["query", "copy a filex"]
    assert seen["cleared"] == ["query", "", 0]


def test_theme_follows_the_system_until_it_is_switched_and_lasts(behaviour):
    seen = behaviour["theme"]
    light, dark = seen["before"], seen["switched"]
    assert light["page"] == "rgb(255, 255, 255)"
    assert light["pressed"] == "false"
    assert (dark["page"], dark["pressed"], dark["stored"]) == ("rgb(17, 22, 28)", "true", "dark")
    assert seen["reloaded"] == dark
    assert seen["back"] == light | {"stored": None}


def luminance(color):
    """WCAG 2.2's relative luminance."""
    channels = np.array([float(c) for c in re.findall(r"[\d.]+", color)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(behaviour, scheme):
    for name, text, behind in behaviour["colors"][scheme]:
        dark, bright = sorted([luminance(text), luminance(behind)])
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, text, behind)


def test_address_keeps_the_query(behaviour):
    seen = behaviour["address"]
    assert (
        seen["typed"] == "#q=how%20do%20I%20split%20a%20file%20path%20into%20folder%20and%20name%3F"
    )
    assert seen["reloaded"] == [QUERY, f"{QUERY} · {TITLE}"]
    assert seen["followed"] == "100% of “this” & that + more?"
    assert seen["back"] == QUERY
    assert seen["emptied"] == ["", 6]
    assert len(set(seen["chip"])) == 1


def test_nothing_sticks_out_of_the_narrowest_phone(behaviour):
    assert behaviour["narrow"] <= 0


def test_page_works_without_a_network_and_a_new_export_replaces_the_old(library, tmp_path):
    folder = tmp_path / "page"
    recipe = Recipe(models=("lexical:32",), quantizer=Int8())
    some = [
        Corpus(ids=library.corpus.ids[a:b], texts=library.corpus.texts[a:b])
        for a, b in [(0, 300), (0, 200)]
    ]
    Exported(folder, some[0], recipe, title="First")
    with browsing.serve(folder) as site:
        changes = {
            "export": lambda: Exported(folder, some[1], recipe, title="Second", overwrite=True),
            "stop": site.stop,
        }
        asked_for = {"query": "abstract", "unknown": "zzyzx"}
        profile = tmp_path / "profile"
        seen = browsing.drive(
            "offline", url=site.url, profile=profile, changes=changes, **asked_for
        )
        asked = list(site.asked)
    assert seen["obstacles"] == []  # to its being installed as an app
    assert seen["nothing"] == [0, True, "0 results of 300"]
    assert (seen["first"]["title"], seen["second"]["title"]) == ("First", "Second")
    assert seen["first"]["caches"] == seen["second"]["caches"] == seen["offline"]["caches"] == 1
    assert seen["offline"]["hits"] == seen["second"]["hits"] != seen["first"]["hits"]
    assert seen["offline"]["title"] == "Second"
    assert {urlsplit(url).hostname for url in seen["requests"]} == {"127.0.0.1"}
    codes = [path for path in asked if "codes.bin.gz" in path]
    assert len(set(codes)) == 2  # named by their contents, so no cache can mix two exports


@pytest.mark.parametrize(
    ("harm", "wanted"),
    [
        (lambda data: (data / "manifest.json").unlink(), "could not be downloaded"),
        (lambda data: (data / "codes.bin.gz").write_bytes(b"\x1f\x8bno"), "A file is damaged"),
        (lambda data: (data / "manifest.json").write_text("<html>"), "A file is damaged"),
        (
            lambda data: (data / "manifest.json").write_text(
                '{"kind": "web", "format_version": 9}'
            ),
            "Page and data do not fit",
        ),
    ],
    ids=["absent", "damaged", "no-json", "newer"],
)
def test_page_says_what_is_wrong_with_its_data_and_tries_again(harm, wanted, tmp_path):
    texts = tuple(tiny_models.TEXTS)
    corpus = Corpus(ids=tuple(f"d{i}" for i in range(len(texts))), texts=texts)
    recipe = Recipe(models=("lexical:2",), quantizer=Int8())
    made = Exported(tmp_path / "page", corpus, recipe, title="Mended")
    data = made.folder / "data"
    whole = {path: path.read_bytes() for path in data.iterdir()}
    harm(data)
    mend = {"mend": lambda: [path.write_bytes(content) for path, content in whole.items()]}
    with browsing.serve(made.folder) as site:
        seen = browsing.drive("trouble", url=site.url, profile=tmp_path / "profile", changes=mend)
    assert wanted in seen["text"]
    assert "Try again" in seen["text"]
    assert (seen["input"], seen["progress"], seen["title"]) == (True, False, "Mended")


def test_page_opened_as_a_file_says_that_it_needs_a_server(static, tmp_path):
    url = (static.folder / "index.html").as_uri()
    assert "python -m http.server" in browsing.drive("file", url=url, profile=tmp_path)["text"]


def test_page_without_its_script_says_what_is_missing(static, tmp_path):
    page = shutil.copytree(static.folder, tmp_path / "page")
    for script in (page / "assets").glob("index-*.js"):
        script.unlink()
    with browsing.serve(page) as site:
        said = browsing.drive("file", url=site.url, profile=tmp_path / "profile")["text"]
    assert "index-" in said
    assert ".js cannot be had, or not be run: was the whole folder" in said


def test_page_forbids_itself_whatever_it_does_not_need_and_bears_its_title(static):
    page = (static.folder / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert rules["connect-src"] == rules["worker-src"] == "'self'"
    assert not re.search(r'(src|href)="(/|[a-z]+:)', page)  # it can lie in any folder
    title = html.escape(TITLE)
    assert f"<title>{title}</title>" in page
    assert f'<h1 id="title">{title}</h1>' in page
    about = json.loads((static.folder / "manifest.webmanifest").read_text(encoding="utf-8"))
    assert about["name"] == TITLE
    assert about["start_url"] == about["scope"] == "./"
    assert all((static.folder / icon["src"]).is_file() for icon in about["icons"])
