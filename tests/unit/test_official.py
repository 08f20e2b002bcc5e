"""What is said without mteb being imported; tests/reference/test_mteb.py has the rest."""

import sys
from pathlib import Path

import pytest

from helpers import unit
from vecpress import cli
from vecpress.errors import MissingExtraError
from vecpress.official.run import open_door
from vecpress.pipeline import Pipeline
from vecpress.quantizers.scalar import Percentile
from vecpress.recipe import Recipe


def test_without_mteb_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mteb", None)
    press = Pipeline.fit(Recipe(quantizer=Percentile(bits=2)), unit(40, 8))
    for call in (lambda: open_door(press, "search"), lambda: open_door(press, "encoder")):
        with pytest.raises(MissingExtraError) as caught:
            call()
        assert str(caught.value) == (
            "this needs the package 'mteb', which is not installed: pip install 'vecpress[eval]'"
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: say what to evaluate on: a BEIR_FOLDER, or tasks such as --mteb SciFact"),
        (("beir", "--mteb", "SciFact"), "on the BEIR_FOLDER beir or with --mteb SciFact, not both"),
        (("--mteb", "SciFact", "--queries", "q.npy"), "--documents and --queries go with a BEIR_F"),
        (
            ("beir", "--dim", "3"),
            "--door, --dim, --rescore and --out go with --mteb, not with a BEIR_FOLDER",
        ),
        (("beir", "--door", "encoder"), "--door, --dim, --rescore and --out go with --mteb"),
        (("beir", "--rescore", "9"), "--door, --dim, --rescore and --out go with --mteb"),
        (("beir", "--out", "results"), "--door, --dim, --rescore and --out go with --mteb"),
    ],
)
def test_options_that_do_not_go_together_get_one_sentence(
    words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vecpress", "evaluate", "press", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(Path().iterdir()) == []
