import gzip

import pytest

from vecpress.errors import DataError
from vecpress.lines import read_lines

LINES = ["first", "", "  Z\u00fcrich ", "a\u2028b", "last"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_ends_and_marks_go_away_and_the_rest_stays(tmp_path, end, mark):
    data = mark + end.join(LINES).encode()
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(data))
    for name in ("a.txt", "a.txt.gz"):
        assert list(read_lines(tmp_path / name)) == LINES


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b"fine\n\xff"),
        ("a.gz", b"plain"),
        ("a.gz", gzip.compress(b"text\n" * 99, mtime=0)[:-9]),
        ("a.gz", gzip.compress(b"\xff", mtime=0)),
    ],
)
def test_what_is_no_text_is_named(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path} is not UTF-8 text (")
    assert str(caught.value).endswith("): is it a binary file?")
