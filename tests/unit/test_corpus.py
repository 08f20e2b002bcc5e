"""Texts and judgements from files of every kind, whole and spoilt."""

import csv
import gzip
import hashlib
import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecpress.corpus import (
    Benchmark,
    Corpus,
    read_benchmark,
    read_corpus,
    read_qrels,
    write_benchmark,
)
from vecpress.errors import DataError

RECORDS = [
    {"_id": "d1", "title": "Tea", "text": "grows on bushes"},
    {"_id": "d2", "title": "", "text": "Zürich, 東京 😀"},
    {"_id": "d3", "text": 'a line\u2028and, "quotes"\tand\u0085more'},
]
IDS = ("d1", "d2", "d3")
TEXTS = ("Tea grows on bushes", "Zürich, 東京 😀", 'a line\u2028and, "quotes"\tand\u0085more')


def refusal(read, *args, **options):
    with pytest.raises(DataError) as caught:
        read(*args, **options)
    return str(caught.value)


def json_lines(records, end="\n"):
    return "".join(json.dumps(r, ensure_ascii=False) + end for r in records).encode()


def comma_separated(records, end="\r\n"):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["_id", "title", "text"], lineterminator=end)
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue().encode()


def parquet(records):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), buffer, row_group_size=2)
    return buffer.getvalue()


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# --- files of texts ---------------------------------------------------------------------------

FILES = {
    "c.jsonl": json_lines(RECORDS),
    "windows.jsonl": b"\xef\xbb\xbf" + json_lines(RECORDS, "\r\n"),
    "gaps.jsonl": b"\n" + json_lines(RECORDS, "\n\n  \n"),
    "no-end.jsonl": json_lines(RECORDS).rstrip(b"\n"),
    "c.jsonl.gz": gzip.compress(json_lines(RECORDS)),
    "c.csv": comma_separated(RECORDS),
    "unix.csv": comma_separated(RECORDS, "\n"),
    "excel.csv": b"\xef\xbb\xbf" + comma_separated(RECORDS),
    "c.csv.gz": gzip.compress(comma_separated(RECORDS)),
    "c.parquet": parquet(RECORDS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_corpus(tmp_path, name):
    corpus = read_corpus(write(tmp_path / name, FILES[name]))
    assert corpus == Corpus(ids=IDS, texts=TEXTS)
    assert corpus.name == str(tmp_path / name)
    assert len(corpus) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz"])
def test_a_text_file_is_a_text_per_line_numbered_blanks_left_out(tmp_path, name, end):
    data = end.join(["first", "", "  Zürich 東京 ", "a\u2028b", "\t", "last"]).encode()
    data = gzip.compress(data) if name.endswith(".gz") else b"\xef\xbb\xbf" + data
    corpus = read_corpus(str(write(tmp_path / name, data)))
    assert corpus.texts == ("first", "Zürich 東京", "a\u2028b", "last")
    assert corpus.ids == ("0", "1", "2", "3")


def test_a_csv_text_may_hold_line_ends(tmp_path):
    path = write(tmp_path / "c.csv", 'text,_id\r\n"one\r\ntwo, three",x\r\n')
    assert read_corpus(path) == Corpus(ids=("x",), texts=("one\r\ntwo, three",))


def test_stdin_is_lines_of_json_or_of_text(monkeypatch):
    lines = '{"_id": "x", "title": "T", "text": "json"}\r\n\nplain text\n  \n {"text": "more"}\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    corpus = read_corpus("-")
    assert corpus == Corpus(ids=("x", "1", "2"), texts=("T json", "plain text", "more"))
    assert corpus.name == "stdin"


def test_an_empty_or_binary_or_broken_stdin_has_its_sentence(monkeypatch):
    def stdin(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        return refusal(read_corpus, "-")

    assert stdin(b"") == "stdin is empty: it must hold at least one text"
    assert stdin(b"\xff\xfe\0").startswith("stdin is not UTF-8 text (")
    assert stdin(b'{"text": "a"}\n{"text"').startswith("line 2 of stdin is not JSON (")
    assert stdin(b'{"body": "a"}') == (
        "record 1 of stdin needs a string in the field 'text', got None among the fields ['body']"
    )


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz", "corpus.parquet"])
def test_a_folder_is_read_by_its_corpus(tmp_path, name):
    write(tmp_path / name, FILES[name.replace("corpus", "c")])
    write(tmp_path / "queries.jsonl", json_lines([{"_id": "q", "text": "not this"}]))
    assert read_corpus(tmp_path) == Corpus(ids=IDS, texts=TEXTS)


# --- files that cannot be used ----------------------------------------------------------------

KINDS = "give a BEIR folder, or a .jsonl, .jsonl.gz, .csv, .parquet or .txt file"


def test_an_absent_file_is_named(tmp_path):
    path = tmp_path / "gone.jsonl"
    assert refusal(read_corpus, path) == f"{path} does not exist: {KINDS}"


@pytest.mark.parametrize("name", ["c.pdf", "c", "c.json", "c.jsonl.zip"])
def test_another_kind_is_named(tmp_path, name):
    path = write(tmp_path / name, b"{}")
    assert refusal(read_corpus, path) == f"cannot read texts from {path}: {KINDS}"


def test_a_folder_without_a_corpus_is_named(tmp_path):
    expected = f"{tmp_path} has no corpus.jsonl: a BEIR folder holds corpus, queries and qrels/"
    assert refusal(read_corpus, tmp_path) == expected


EMPTY = {
    "c.jsonl": b"",
    "blank.jsonl": b"\n \r\n",
    "c.txt": b"",
    "blank.txt": b" \n\n",
    "c.jsonl.gz": gzip.compress(b""),
    "c.csv": b"_id,text\n",
    "nothing.csv": b"",
    "c.parquet": parquet([{"text": "a"}])[:0],
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_file_is_named(tmp_path, name):
    path = write(tmp_path / name, EMPTY[name])
    assert refusal(read_corpus, path) == f"{path} is empty: it must hold at least one text"


def test_a_table_without_rows_is_empty(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "c.parquet")
    assert refusal(read_corpus, tmp_path / "c.parquet").endswith("must hold at least one text")


PACKED = gzip.compress(json_lines(RECORDS * 500))
BINARY = {
    "c.txt": b"\x89PNG\r\n\x1a\n\xff",
    "c.jsonl": b"\xff\xfe{\0",
    "c.csv": b"\x93NUMPY\xff",
    "not-gzip.jsonl.gz": b"plain text",
    "cut.jsonl.gz": PACKED[:-20],
    "spoilt.jsonl.gz": PACKED[:40] + b"\xff" * 40 + PACKED[80:],
}


@pytest.mark.parametrize("name", BINARY)
def test_a_binary_file_is_named(tmp_path, name):
    path = write(tmp_path / name, BINARY[name])
    message = refusal(read_corpus, path)
    assert message.startswith(f"{path} is not UTF-8 text (")
    assert message.endswith("): is it a binary file?")


@pytest.mark.parametrize("data", [b"text", FILES["c.parquet"][:-12], b"PAR1" * 9])
def test_what_is_no_parquet_file_is_named(tmp_path, data):
    path = write(tmp_path / "c.parquet", data)
    assert refusal(read_corpus, path).startswith(f"{path} is not a Parquet file: ")


def test_a_line_that_is_not_json_is_quoted(tmp_path):
    path = write(tmp_path / "c.jsonl", '{"text": "a"}\n\n{"text": "b"')
    message = refusal(read_corpus, path)
    assert message.startswith(f"line 3 of {path} is not JSON (")
    assert message.endswith("""), got '{"text": "b"'""")


@pytest.mark.parametrize("line", ['["a"]', '"a"', "7", "null", '[{"text": "a"}]'])
def test_a_line_that_is_no_object_is_quoted(tmp_path, line):
    path = write(tmp_path / "c.jsonl", line)
    expected = f"line 1 of {path} must be a JSON object with a field 'text', got {line!r}"
    assert refusal(read_corpus, path) == expected


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}])
def test_a_text_that_is_no_string_is_shown(tmp_path, value):
    path = write(tmp_path / "c.jsonl", json_lines([{"text": "a"}, {"_id": "x", "text": value}]))
    assert refusal(read_corpus, path) == (
        f"record 2 of {path} needs a string in the field 'text', got {value!r} among the fields "
        "['_id', 'text']"
    )


def test_a_missing_field_is_told_with_those_there_are(tmp_path):
    for name, data in [
        ("c.csv", b"_id,body\n1,hello\n"),
        ("c.parquet", parquet([{"_id": "1", "body": "hello"}])),
        ("c.jsonl", json_lines([{"_id": "1", "body": "hello"}])),
    ]:
        path = write(tmp_path / name, data)
        assert refusal(read_corpus, path) == (
            f"record 1 of {path} needs a string in the field 'text', got None among the fields "
            "['_id', 'body']"
        )


def test_a_csv_line_with_a_bare_comma_is_not_cut_there(tmp_path):
    path = write(tmp_path / "c.csv", "_id,text\n1,fine\n2,Hello, world\n")
    assert refusal(read_corpus, path) == (
        f"line 3 of {path} has more fields than the header: put quotes around texts with commas"
    )


def test_a_csv_line_that_is_too_short_is_told(tmp_path):
    path = write(tmp_path / "c.csv", "_id,text\n1,fine\n2\n")
    assert refusal(read_corpus, path).startswith(f"record 2 of {path} needs a string in the field")


def test_a_csv_field_too_long_for_the_reader_is_told(tmp_path):
    path = write(tmp_path / "c.csv", "text\n" + "a" * 200_000)
    message = refusal(read_corpus, path)
    assert message.startswith(f"{path} is not readable CSV (field larger than field limit")
    assert message.endswith("): give .jsonl")


def test_an_id_used_twice_is_named(tmp_path):
    path = write(tmp_path / "c.jsonl", json_lines([*RECORDS, {"_id": "d2", "text": "again"}]))
    assert refusal(read_corpus, path) == f"{path} uses the id 'd2' twice: ids must be unique"


def test_half_a_surrogate_pair_is_refused_before_a_model_chokes_on_it(tmp_path):
    path = write(tmp_path / "c.jsonl", r'{"text": "fine \ud83d\ude00"}' "\n" r'{"text": "\ud83d"}')
    assert refusal(read_corpus, path) == (
        f"record 2 of {path} holds half of a surrogate pair, which no model reads: remove it, got "
        r"'\ud83d'"
    )


# --- Corpus -----------------------------------------------------------------------------------


def test_records_of_any_mapping_are_taken():
    assert Corpus.from_records(RECORDS) == Corpus(ids=IDS, texts=TEXTS)
    assert Corpus.from_records(iter(RECORDS)).name == "the corpus"


def test_ids_are_taken_as_strings_and_numbered_where_there_are_none():
    records = [
        {"_id": 7, "id": "no", "text": "a"},
        {"id": 8, "text": "b"},
        {"text": "c"},
        {"_id": None, "id": "x", "text": "d"},
        {"_id": None, "text": "e"},
        {"_id": 0, "text": "f"},
    ]
    assert Corpus.from_records(records).ids == ("7", "8", "2", "x", "4", "0")


def test_a_title_goes_before_the_text_and_blanks_go_away():
    records = [
        {"title": "T", "text": "x "},
        {"title": None, "text": " y"},
        {"title": "T", "text": ""},
        {"text": " "},
    ]
    assert Corpus.from_records(records).texts == ("T x", "y", "T", "")


def test_no_records_are_refused_by_name():
    assert refusal(Corpus.from_records, [], name="my list") == (
        "my list is empty: it must hold at least one text"
    )


def test_ids_and_texts_must_be_as_many():
    with pytest.raises(DataError, match=r"^x needs one id per text, got 2 ids and 1 texts$"):
        Corpus(ids=("a", "b"), texts=("one",), name="x")


def test_the_digest_changes_with_ids_texts_and_order_but_not_with_the_name():
    base = Corpus(ids=("a", "b"), texts=("x", "y"))
    others = [
        Corpus(ids=("a", "c"), texts=("x", "y")),
        Corpus(ids=("a", "b"), texts=("x", "z")),
        Corpus(ids=("b", "a"), texts=("y", "x")),
        Corpus(ids=("a",), texts=("x",)),
        Corpus(ids=("ab", "b"), texts=("", "y")),
        Corpus(ids=("a", "b"), texts=('x"]["b', "y")),
    ]
    assert len({c.digest for c in [base, *others]}) == 7
    assert Corpus(ids=("a", "b"), texts=("x", "y"), name="other").digest == base.digest
    assert base.digest == hashlib.sha256(b'["a", "x"]["b", "y"]').hexdigest()[:32]


# --- benchmarks -------------------------------------------------------------------------------

QUERIES = [{"_id": "q1", "text": "what grows?"}, {"_id": "q2", "text": "wo?"}]


@pytest.fixture
def beir(tmp_path):
    """A folder in BEIR layout."""
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    write(folder / "corpus.jsonl", json_lines(RECORDS))
    write(folder / "queries.jsonl", json_lines([*QUERIES, {"_id": "q3", "text": "unjudged"}]))
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\nq2\td2\t2\nq1\td1\t1\n")
    return folder


def judge(folder, lines):
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore\n" + lines)


def test_a_benchmark_is_its_parts_and_unjudged_queries_are_left_out(beir):
    benchmark = read_benchmark(beir)
    assert benchmark.name == "toy"
    assert benchmark.corpus == Corpus(ids=IDS, texts=TEXTS)
    assert benchmark.queries == Corpus(ids=("q1", "q2"), texts=("what grows?", "wo?"))
    assert benchmark.qrels == {"q1": {"d1": 1}, "q2": {"d2": 2}}


def test_judgements_of_another_split_are_read_by_name(beir):
    write(beir / "qrels" / "dev.tsv", "query-id\tcorpus-id\tscore\nq3\td3\t1\n")
    assert read_benchmark(beir, split="dev").queries.ids == ("q3",)


@pytest.mark.parametrize(
    "data",
    [
        "query-id\tcorpus-id\tscore\r\nq1\td1\t1\r\nq1\td2\t0\r\n",
        "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t1.0\nq1\td2\t0\n\n",
        "query-id\tcorpus-id\tscore\n\nq1\td1\t1\n \nq1\td2\t-0\n",
        "q1\td1\t1\nq1\td2\t0",  # no header: its first line is a judgement like the others
    ],
)
def test_judgements_are_read_however_the_lines_end_and_with_or_without_a_header(beir, data):
    write(beir / "qrels" / "test.tsv", data)
    assert read_qrels(beir) == {"q1": {"d1": 1, "d2": 0}}


def test_negative_and_graded_judgements_are_kept(beir):
    judge(beir, "q1\td1\t-2\nq1\td2\t3\n")
    assert read_qrels(beir) == {"q1": {"d1": -2, "d2": 3}}


@pytest.mark.parametrize(
    "line", ["q1\td1", "q1 d1 1", "q1\td1\tyes", "q1\td1\t", "q1\td1\t0.5", "q1\td1\tnan",
             "q1\td1\tinf", "q1\t0\td1\t1", "1\t0\t184\t1"],
)  # fmt: skip
def test_a_line_that_is_no_judgement_is_quoted(beir, line):
    judge(beir, f"q1\td1\t1\n{line}\n")
    assert refusal(read_qrels, beir) == (
        f"line 3 of {beir}/qrels/test.tsv must be: query id, tab, document id, tab, whole score; "
        f"got {line!r}"
    )


def test_a_split_that_is_not_there_is_told_with_those_that_are(beir):
    for name in ("train", "dev"):
        write(beir / "qrels" / f"{name}.tsv", "")
    (beir / "qrels" / "test.tsv").unlink()
    expected = f"{beir} has no judgements qrels/test.tsv; there is dev, train"
    assert refusal(read_benchmark, beir) == expected


def test_a_folder_without_judgements_is_named(beir):
    (beir / "qrels" / "test.tsv").unlink()
    assert refusal(read_benchmark, beir) == f"{beir} has no judgements qrels/test.tsv"
    (beir / "qrels").rmdir()
    assert refusal(read_benchmark, beir) == f"{beir} has no judgements qrels/test.tsv"


@pytest.mark.parametrize("data", ["", "query-id\tcorpus-id\tscore\n", "\n\n"])
def test_a_file_without_judgements_is_named(beir, data):
    path = write(beir / "qrels" / "test.tsv", data)
    assert refusal(read_qrels, beir) == f"{path} holds no judgements"


def test_judgements_that_are_binary_are_named(beir):
    path = write(beir / "qrels" / "test.tsv", b"\xff\xfe\0")
    assert refusal(read_qrels, beir).startswith(f"{path} is not UTF-8 text (")


def test_a_judged_query_that_is_missing_is_named(beir):
    judge(beir, "q1\td1\t1\nq9\td1\t1\nq8\td1\t1\n")
    assert refusal(read_benchmark, beir) == (
        f"{beir}/qrels judges 2 queries that are not among its queries, such as 'q8'"
    )


def test_what_is_no_folder_is_named(beir, tmp_path):
    for path in (tmp_path / "gone", beir / "corpus.jsonl"):
        expected = f"{path} is not a BEIR folder (corpus.jsonl, queries.jsonl, qrels/)"
        assert refusal(read_benchmark, path) == expected


def test_missing_queries_are_named(beir):
    (beir / "queries.jsonl").unlink()
    assert refusal(read_benchmark, beir).startswith(f"{beir} has no queries.jsonl: a BEIR folder")


def test_a_benchmark_comes_back_as_it_was_written(beir, tmp_path):
    benchmark = read_benchmark(beir)
    (tmp_path / "again" / "toy").mkdir(parents=True)
    write_benchmark(tmp_path / "again" / "toy", benchmark, split="dev")
    again = read_benchmark(tmp_path / "again" / "toy", split="dev")
    assert again == benchmark
    assert again.corpus.digest == benchmark.corpus.digest


def test_a_second_split_may_be_written_beside_the_first(beir):
    benchmark = read_benchmark(beir)
    write_benchmark(beir, benchmark, split="train")
    assert read_qrels(beir, split="train") == read_qrels(beir)


def bench(documents, queries):
    return Benchmark(
        name="toy",
        corpus=Corpus.from_records(documents),
        queries=Corpus.from_records(queries),
        qrels={q["_id"]: {"x": 1} for q in queries},
    )


def test_a_query_that_is_a_document_of_the_corpus_is_known():
    documents = [
        {"_id": "a", "title": "On tea", "text": "Tea is good."},
        {"_id": "b", "text": "Coffee is better. "},
        {"_id": "c", "text": "Water is best."},
        {"_id": "d", "text": "Milk?"},
        {"_id": "e", "text": "In spite of that, tea is good."},
        {"_id": "f", "text": "Nothing."},
    ]
    queries = [
        {"_id": "a", "text": "Tea is good."},  # as in ArguAna: without the title
        {"_id": "b", "text": "Coffee is better."},
        {"_id": "c", "text": "Tea is good."},  # the same id, another text
        {"_id": "z", "text": "Milk?"},  # the same text, another id
        {"_id": "f", "text": ""},  # which every text ends with
        {"_id": "d", "text": "k?"},  # not a whole word
        {"_id": "None", "text": "None"},
        {"_id": "nowhere", "text": ""},
    ]
    assert bench(documents, queries).own_documents() == {"a", "b"}


def test_a_query_is_not_taken_for_a_document_because_ids_are_numbers():
    documents = [{"_id": str(i), "text": f"about number {i}"} for i in range(9)]
    queries = [{"_id": str(i), "text": f"what about {i}?"} for i in range(9)]
    assert bench(documents, queries).own_documents() == frozenset()
