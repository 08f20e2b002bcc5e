"""The demo's corpus: the standard library's own documentation."""

import subprocess
import sys

import pytest

from vecpress.corpus import Corpus
from vecpress.demo import stdlib
from vecpress.demo.stdlib import Symbol, symbols

WORK = """
import hashlib, sys, warnings, webbrowser
warnings.simplefilter("error")
def refuse(*args, **kwargs): raise SystemExit("a browser was opened")
webbrowser.open = refuse
from vecpress.demo.stdlib import symbols
found = symbols()
loaded = [m for m in ("antigravity", "this", "idlelib.idle", "turtledemo") if m in sys.modules]
digest = hashlib.sha256(repr(found).encode()).hexdigest()
sys.stderr.write(f"{digest} {loaded} {webbrowser.open is refuse}")
"""


@pytest.fixture(scope="module")
def found():
    return symbols()


@pytest.fixture(scope="module")
def names(found):
    return {symbol.name for symbol in found}


def test_there_are_thousands_each_under_one_name_in_order(found, names):
    assert len(found) > 4000
    assert len(names) == len(found)
    assert [symbol.name for symbol in found] == sorted(names)


@pytest.mark.parametrize("name", [
    "json", "json.dumps", "pathlib.Path", "pathlib.Path.glob", "str.split", "open", "len", "dict",
    "dict.get", "os", "os.path", "os.path.join", "re.sub", "itertools.chain", "math.sqrt",
    "datetime.datetime.now", "threading.Thread.start", "functools.lru_cache", "asyncio.run",
    "collections.Counter.most_common", "random.choice", "subprocess.run", "OSError",
    "TimeoutError", "queue.Queue.get", "array.array.append",
])  # fmt: skip
def test_what_a_programmer_would_look_for_is_there_under_the_name_he_types(names, name):
    assert name in names


@pytest.mark.parametrize(
    "name", ["posixpath.join", "builtins.open", "posix.listdir", "io.open", "IOError", "turtle.Pen"]
)
def test_another_name_of_the_same_is_not(names, name):
    assert name not in names


def test_nothing_private_is_listed(names):
    assert not [name for name in names if any(part[:1] == "_" for part in name.split("."))]


def test_modules_that_act_or_belong_to_nobody_are_left_out(names):
    roots = {name.partition(".")[0] for name in names}
    assert not roots & {"antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3"}


def test_docstrings_are_their_own_words_without_indentation(found):
    by_name = {symbol.name: symbol for symbol in found}
    assert by_name["str.split"].docstring.startswith("Return a list of the substrings")
    assert by_name["os.path.join"].signature == "(a, *p)"
    assert "serialize ``obj`` to a json" in by_name["json.dumps"].docstring.lower()
    assert all(symbol.docstring == symbol.docstring.strip() != "" for symbol in found)


def test_every_symbol_is_plain_text_and_makes_a_corpus(found):
    assert all(isinstance(part, str) for symbol in found for part in symbol)
    assert isinstance(found[0], Symbol)
    corpus = Corpus.from_records({"_id": s.name, "text": s.docstring} for s in found)
    assert len(corpus) == len(found)


def test_no_signature_holds_an_address_that_the_next_process_would_not(found):
    assert not [s for s in found if " at 0x" in s.signature]


def test_no_signature_holds_the_environment(monkeypatch):
    monkeypatch.setenv("API_KEY", "secret-4711")
    assert not [s for s in symbols() if "secret-4711" in repr(s) or "environ({" in repr(s)]


def test_signatures_say_the_defaults_that_are_constants(found):
    signature = {symbol.name: symbol.signature for symbol in found}
    assert signature["textwrap.wrap"] == "(text, width=70, **kwargs)"
    assert signature["base64.a85decode"].startswith("(b, *, foldspaces=False, adobe=False, ignor")
    assert signature["shutil.copyfileobj"] == "(fsrc, fdst, length=0)"
    assert signature["dataclasses.field"].startswith("(*, default=..., default_factory=..., init=")
    assert signature["str.split"] == "(self, /, sep=None, maxsplit=-1)"
    assert signature["json"] == ""


def test_two_processes_list_the_same_and_neither_prints_nor_opens_a_browser():
    runs = [
        subprocess.run(
            [sys.executable, "-c", WORK],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=60, check=True,
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    assert [run.stdout for run in runs] == ["", ""]
    assert runs[0].stderr == runs[1].stderr
    assert runs[0].stderr[64:] == " [] True"


def test_a_signature_that_python_cannot_evaluate_is_left_out(monkeypatch):
    """Python 3.13's select.epoll.register speaks of a name that is not there."""

    def broken(value):
        raise AttributeError("'builtin_function_or_method' object has no attribute 'EPOLLIN'")

    monkeypatch.setattr(stdlib.inspect, "signature", broken)
    assert stdlib._signature(print) == ""
