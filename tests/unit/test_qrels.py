"""Judgements of a BEIR folder, well and badly written."""

import pytest

from vecpress.errors import DataError
from vecpress.qrels import read_qrels


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "qrels").mkdir()
    return tmp_path


def write(folder, data):
    path = folder / "qrels" / "test.tsv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def judge(folder, lines):
    write(folder, "query-id\tcorpus-id\tscore\n" + lines)


def refusal(folder):
    with pytest.raises(DataError) as caught:
        read_qrels(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        "query-id\tcorpus-id\tscore\r\nq1\td1\t1\r\nq1\td2\t0\r\n",
        "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t1.0\nq1\td2\t0\n\n",
        "query-id\tcorpus-id\tscore\n\nq1\td1\t1\n \nq1\td2\t-0\n",
        "q1\td1\t1\nq1\td2\t0",  # no header: its first line is a judgement like the others
    ],
)
def test_judgements_are_read_however_the_lines_end_and_with_or_without_a_header(folder, data):
    write(folder, data)
    assert read_qrels(folder) == {"q1": {"d1": 1, "d2": 0}}


def test_negative_and_graded_judgements_are_kept(folder):
    judge(folder, "q1\td1\t-2\nq1\td2\t3\n")
    assert read_qrels(folder) == {"q1": {"d1": -2, "d2": 3}}


@pytest.mark.parametrize(
    "line", ["q1\td1", "q1 d1 1", "q1\td1\tyes", "q1\td1\t", "q1\td1\t0.5", "q1\td1\tnan",
             "q1\td1\tinf", "q1\t0\td1\t1", "1\t0\t184\t1"],
)  # fmt: skip
def test_a_line_that_is_no_judgement_is_quoted(folder, line):
    judge(folder, f"q1\td1\t1\n{line}\n")
    assert refusal(folder) == (
        f"line 3 of {folder}/qrels/test.tsv must be: query id, tab, document id, tab, whole score; "
        f"got {line!r}"
    )


@pytest.mark.parametrize("data", ["", "query-id\tcorpus-id\tscore\n", "\n\n"])
def test_a_file_without_judgements_is_named(folder, data):
    path = write(folder, data)
    assert refusal(folder) == f"{path} holds no judgements"


def test_judgements_that_are_binary_are_named(folder):
    path = write(folder, b"\xff\xfe\0")
    assert refusal(folder).startswith(f"{path} is not UTF-8 text (")


def test_a_judgement_may_come_twice_but_not_with_two_scores(folder):
    judge(folder, "q1\td1\t1\nq1\td1\t1.0\n")
    assert read_qrels(folder) == {"q1": {"d1": 1}}
    judge(folder, "q1\td1\t1\nq1\td2\t1\nq1\td1\t2\n")
    assert refusal(folder) == (
        f"line 4 of {folder}/qrels/test.tsv judges document 'd1' for query 'q1' again, 2 after 1: "
        "keep one"
    )
