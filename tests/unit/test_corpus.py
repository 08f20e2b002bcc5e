"""Texts and judgements from files of every kind, whole and spoilt."""

import csv
import gzip
import hashlib
import io
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictures import save
from vecpress.corpus import (
    Benchmark,
    Corpus,
    read_benchmark,
    read_corpus,
    read_qrels,
    write_benchmark,
)
from vecpress.errors import DataError
from vecpress.stages import Image

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
        "record 1 of stdin needs a string in the field 'text', or the path of an image in 'image', "
        "got None among the fields ['body']"
    )


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz", "corpus.parquet"])
def test_a_folder_is_read_by_its_corpus(tmp_path, name):
    write(tmp_path / name, FILES[name.replace("corpus", "c")])
    write(tmp_path / "queries.jsonl", json_lines([{"_id": "q", "text": "not this"}]))
    assert read_corpus(tmp_path) == Corpus(ids=IDS, texts=TEXTS)


# --- files that cannot be used ----------------------------------------------------------------

KINDS = (
    "give a BEIR folder, a folder of images, or a .jsonl, .jsonl.gz, .csv, .parquet or .txt file"
)


def test_an_absent_file_is_named(tmp_path):
    path = tmp_path / "gone.jsonl"
    assert refusal(read_corpus, path) == f"{path} does not exist: {KINDS}"


@pytest.mark.parametrize("name", ["c.pdf", "c", "c.json", "c.jsonl.zip"])
def test_another_kind_is_named(tmp_path, name):
    path = write(tmp_path / name, b"{}")
    assert refusal(read_corpus, path) == f"cannot read texts from {path}: {KINDS}"


def test_a_folder_without_a_corpus_is_named(tmp_path):
    (tmp_path / "notes.md").write_text("no image")
    assert refusal(read_corpus, tmp_path) == (
        f"{tmp_path} has no corpus.jsonl and no images: a BEIR folder holds corpus, queries and "
        "qrels/"
    )


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
    expected = f"line 1 of {path} must be a JSON object, got {line!r}"
    assert refusal(read_corpus, path) == expected


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}])
def test_a_text_that_is_no_string_is_shown(tmp_path, value):
    path = write(tmp_path / "c.jsonl", json_lines([{"text": "a"}, {"_id": "x", "text": value}]))
    assert refusal(read_corpus, path) == (
        f"record 2 of {path} needs a string in the field 'text', or the path of an image in "
        f"'image', got {value!r} among the fields ['_id', 'text']"
    )


def test_a_missing_field_is_told_with_those_there_are(tmp_path):
    for name, data in [
        ("c.csv", b"_id,body\n1,hello\n"),
        ("c.parquet", parquet([{"_id": "1", "body": "hello"}])),
        ("c.jsonl", json_lines([{"_id": "1", "body": "hello"}])),
    ]:
        path = write(tmp_path / name, data)
        assert refusal(read_corpus, path) == (
            f"record 1 of {path} needs a string in the field 'text', or the path of an image in "
            "'image', got None among the fields ['_id', 'body']"
        )


def test_a_csv_line_with_a_bare_comma_is_not_cut_there(tmp_path):
    path = write(tmp_path / "c.csv", "_id,text\n1,fine\n2,Hello, world\n")
    assert refusal(read_corpus, path) == (
        f"line 3 of {path} has more fields than the header: put quotes around texts with commas "
        "or tabs"
    )


def test_a_csv_line_that_is_too_short_is_told(tmp_path):
    path = write(tmp_path / "c.csv", "_id,text\n1,fine\n2\n")
    assert refusal(read_corpus, path).startswith(f"record 2 of {path} needs a string in the field")


def test_a_csv_field_too_long_for_the_reader_is_told(tmp_path):
    path = write(tmp_path / "c.csv", "text\n" + "a" * 200_000)
    message = refusal(read_corpus, path)
    assert message.startswith(f"{path} is not a readable table (field larger than field limit")
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


# --- images -----------------------------------------------------------------------------------


def images(folder, *names):
    """Expect these images."""
    return tuple(Image(str(folder / name)) for name in names)


@pytest.fixture
def photos(tmp_path):
    """A folder of three images and something else."""
    for seed, name in enumerate(["cats/2.jpg", "cats/10.PNG", "a b.webp"]):
        save(tmp_path / "photos" / name, seed)
    (tmp_path / "photos" / "cats" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


def test_a_folder_of_images_is_read_under_their_paths_in_it(photos, monkeypatch):
    names = ("a b.webp", "cats/10.PNG", "cats/2.jpg")
    corpus = read_corpus(photos)
    assert corpus == Corpus(ids=names, texts=images(photos, *names))
    assert corpus.name == str(photos)
    monkeypatch.chdir(photos)
    assert read_corpus(".").ids == names
    assert read_corpus(".").digest == corpus.digest
    assert str(read_corpus("cats").texts[0]) == "cats/10.PNG"


def test_a_corpus_file_goes_before_the_images_beside_it(photos):
    write(photos / "corpus.jsonl", json_lines(RECORDS))
    assert read_corpus(photos) == Corpus(ids=IDS, texts=TEXTS)


MIXED = [
    {"_id": "d1", "title": "Tea", "text": "grows", "image": ""},
    {"_id": "d2", "title": "", "text": "", "image": "photos/cats/2.jpg"},
    {"_id": "d3", "title": "", "text": "", "image": "ABSOLUTE"},
]
AS_FILES = {
    "c.jsonl": json_lines,
    "c.jsonl.gz": lambda records: gzip.compress(json_lines(records)),
    "c.parquet": parquet,
    "c.csv": lambda records: "\n".join(
        ["_id,title,text,image", *(",".join(r.values()) for r in records)]
    ),
}


@pytest.mark.parametrize("name", AS_FILES)
def test_a_column_of_paths_starts_from_the_files_folder(photos, name, monkeypatch):
    absolute = save(photos.parent.parent / "far" / "x.bmp", 7)
    records = [*MIXED[:2], MIXED[2] | {"image": str(absolute)}]
    path = write(photos.parent / name, AS_FILES[name](records))
    expected = ("Tea grows", Image(str(photos / "cats" / "2.jpg")), Image(str(absolute)))
    assert read_corpus(path) == Corpus(ids=IDS, texts=expected)
    monkeypatch.chdir(photos.parent)
    assert read_corpus(name).texts[1] == Image("photos/cats/2.jpg")


def test_a_record_without_a_text_may_be_an_image(photos):
    records = [{"image": "cats/2.jpg"}, {"image": "a b.webp", "text": None, "title": " "}]
    path = write(photos / "c.jsonl", json_lines(records))
    assert read_corpus(path).texts == images(photos, "cats/2.jpg", "a b.webp")
    assert read_corpus(path).ids == ("0", "1")


def test_images_of_stdin_and_of_records_start_from_the_folder_we_are_in(photos, monkeypatch):
    monkeypatch.chdir(photos)
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"image": "cats/2.jpg"}\na cat\n'))
    assert read_corpus("-").texts == (Image("cats/2.jpg"), "a cat")
    records = [{"image": "2.jpg"}]
    assert Corpus.from_records(records, folder="cats").texts == (Image("cats/2.jpg"),)


def test_an_image_that_cannot_be_read_is_named_with_its_record(photos):
    write(photos / "cats" / "3.jpg", b"<html>Not found</html>")
    path = write(photos / "c.jsonl", json_lines([{"image": "a b.webp"}, {"image": "cats/9.jpg"}]))
    assert refusal(read_corpus, path) == (
        f"cannot read the image {photos}/cats/9.jpg of record 2 of {path} (No such file or "
        "directory): replace it, or leave it out"
    )
    path = write(photos / "c.csv", "image\ncats/3.jpg\n")
    assert refusal(read_corpus, path) == (
        f"cannot read the image {photos}/cats/3.jpg of record 1 of {path} (not a kind of image "
        "that Pillow knows): replace it, or leave it out"
    )
    assert refusal(read_corpus, photos) == (
        f"cannot read the image {photos}/cats/3.jpg (not a kind of image that Pillow knows): "
        "replace it, or leave it out"
    )


@pytest.mark.parametrize("field", ["text", "title"])
def test_a_record_of_both_words_and_an_image_is_refused(photos, field):
    path = write(photos / "c.jsonl", json_lines([{"image": "a b.webp", field: "A cat."}]))
    assert refusal(read_corpus, path) == (
        f"record 1 of {path} has the image 'a b.webp' and the {field} 'A cat.': a model encodes "
        "one or the other, so leave one out"
    )


@pytest.mark.parametrize("value", [7, ["a.png"], {"bytes": "x" * 99}, False])
def test_an_image_that_is_no_path_is_shown(tmp_path, value):
    path = write(tmp_path / "c.jsonl", json_lines([{"image": value}]))
    assert refusal(read_corpus, path) == (
        f"record 1 of {path} needs the path of a file in the field 'image', got {str(value)[:60]!r}"
    )


def test_a_file_name_that_is_not_utf8_is_refused(photos):
    write(photos / os.fsdecode(b"\xff.png"), (photos / "cats" / "2.jpg").read_bytes())
    assert refusal(read_corpus, photos) == (
        f"the image '\\udcff.png' in {photos} has a name that is not UTF-8: rename it"
    )


def test_the_digest_covers_an_images_bytes_and_not_its_place(photos, tmp_path):
    first = Corpus(ids=("a",), texts=images(photos, "cats/2.jpg"))
    copy = write(tmp_path / "copy.jpg", (photos / "cats" / "2.jpg").read_bytes())
    assert Corpus(ids=("a",), texts=(Image(str(copy)),)).digest == first.digest
    before = first.digest
    save(photos / "cats" / "2.jpg", 9)
    sha = hashlib.sha256((photos / "cats" / "2.jpg").read_bytes()).hexdigest()
    others = {
        first.digest,
        Corpus(ids=("b",), texts=first.texts).digest,
        Corpus(ids=("a",), texts=(str(first.texts[0]),)).digest,
        Corpus(ids=("a",), texts=(sha,)).digest,
        Corpus(ids=("a",), texts=(json.dumps({"image": sha}),)).digest,
    }
    assert len(others | {before}) == 6
    (photos / "cats" / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"^cannot read the image .*2\.jpg \(No such file"):
        assert first.digest


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


@pytest.fixture
def pictured(photos):
    """A BEIR folder of images, asked with texts and images."""
    queries = [
        {"_id": "cats/2.jpg", "image": "cats/2.jpg"},
        {"_id": "q2", "text": "a cat"},
        {"_id": "cats/10.PNG", "image": "a b.webp"},
        {"_id": "a b.webp", "text": "a b.webp"},
        {"_id": "q5", "image": "cats/2.jpg"},
    ]
    write(photos / "queries.jsonl", json_lines(queries))
    (photos / "qrels").mkdir()
    judge(photos, "".join(f"{q['_id']}\tcats/10.PNG\t1\n" for q in queries))
    return photos


def test_a_benchmark_may_be_of_images(pictured):
    benchmark = read_benchmark(pictured)
    assert benchmark.corpus.ids == ("a b.webp", "cats/10.PNG", "cats/2.jpg")
    assert benchmark.queries.texts[:2] == (*images(pictured, "cats/2.jpg"), "a cat")
    assert benchmark.qrels["q2"] == {"cats/10.PNG": 1}


def test_a_query_that_is_an_image_of_the_corpus_is_known_by_its_bytes(pictured):
    benchmark = read_benchmark(pictured)
    assert benchmark.own_documents() == {"cats/2.jpg"}
    copy = write(pictured / "copy.jpg", (pictured / "cats" / "2.jpg").read_bytes())
    moved = Corpus(ids=("cats/2.jpg", "q2"), texts=(Image(str(copy)), "a cat"))
    renamed = Benchmark(name="toy", corpus=benchmark.corpus, queries=moved, qrels=benchmark.qrels)
    assert renamed.own_documents() == {"cats/2.jpg"}


def test_a_benchmark_of_images_comes_back_from_another_folder(pictured, tmp_path, monkeypatch):
    monkeypatch.chdir(pictured)
    benchmark = read_benchmark(".")
    (tmp_path / "again").mkdir()
    write_benchmark(tmp_path / "again", benchmark)
    monkeypatch.chdir(tmp_path)
    again = read_benchmark(tmp_path / "again")
    assert again.corpus.ids == benchmark.corpus.ids
    assert again.corpus.texts == images(pictured, *again.corpus.ids)
    monkeypatch.chdir(pictured)
    assert again.corpus.digest == benchmark.corpus.digest
    assert again.queries.digest == benchmark.queries.digest
    assert again.qrels == benchmark.qrels
