import gzip

import pytest

from vecpress.errors import DataError
from vecpress.records import read_records

ROWS = [{"query": "tea, green", "score": "2"}, {"query": "b\u00e4r", "score": "0"}]


def write(path, text, packed=False):
    data = text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", 'query,score\n"tea, green",2\nb\u00e4r,0\n'),
        ("r.tsv", "\ufeffquery\tscore\ntea, green\t2\r\nb\u00e4r\t0\r\n"),
        (
            "r.jsonl",
            '{"query": "tea, green", "score": "2"}\n\n{"query": "b\u00e4r", "score": "0"}',
        ),
    ],
)
def test_every_kind_of_table_gives_the_same_rows(tmp_path, name, text, packed):
    path = tmp_path / (name + ".gz" if packed else name)
    write(path, text, packed)
    assert list(read_records(path)) == ROWS


def test_parquet_gives_its_own_types(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        arrow.table({"query": [3, 4], "score": [0.5, None]}), tmp_path / "r.parquet"
    )
    rows = list(read_records(tmp_path / "r.parquet"))
    assert rows == [{"query": 3, "score": 0.5}, {"query": 4, "score": None}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "none.csv is not a file: give .jsonl(.gz), .csv, .tsv or .parquet"),
        ("r.xls", b"x", "cannot read rows from r.xls: give .jsonl(.gz), .csv"),
        ("r.csv", b"", "r.csv is empty: it must hold at least one row"),
        ("r.jsonl", b"[1]\n", "line 1 of r.jsonl must be a JSON object, got '[1]'"),
        ("r.jsonl", b'{"a": 1}\n{"a', "line 2 of r.jsonl is not JSON"),
        ("r.tsv", b"a\tb\n1\t2\t3\n", "line 2 of r.tsv has more fields than the header"),
        ("r.jsonl", b"\xff\xfe", "r.jsonl is not UTF-8 text"),
        ("r.jsonl.gz", b"plain", "r.jsonl.gz is not UTF-8 text"),
        ("r.csv", b"a\n" + b"x" * 140_000, "r.csv is not a readable table"),
        ("r.parquet", b"PAR1 no", "r.parquet is not a Parquet file"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, monkeypatch, name, content, message):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        list(read_records(Path(name)))
    assert message in str(raised.value)


def test_a_quotation_mark_that_swallows_lines_is_named(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text('query\tdocument\n"Aspirin helps\td1\nso does "sleep"\td2\n')
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    assert str(caught.value) == (
        f"line 3 of {path} ends a field that a quotation mark opened on an earlier line: take the "
        "mark out, or give .jsonl"
    )
