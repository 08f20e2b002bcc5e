import hashlib
import os

import pytest

from vecpress.digests import file_digest


def test_it_is_the_sha256_of_the_bytes_whatever_the_name(tmp_path):
    (tmp_path / "a").write_bytes(b"some bytes")
    (tmp_path / "b").write_bytes(b"some bytes")
    expected = hashlib.sha256(b"some bytes").hexdigest()
    assert file_digest(tmp_path / "a") == file_digest(str(tmp_path / "b")) == expected


def test_a_file_written_again_is_read_again_even_if_as_long_and_as_old(tmp_path):
    path, other = tmp_path / "a", tmp_path / "other"
    path.write_bytes(b"one")
    before = file_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.sha256(b"two").hexdigest() != before
    other.write_bytes(b"six")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    assert file_digest(path) == hashlib.sha256(b"six").hexdigest()


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"bytes")
    expected = file_digest(tmp_path / "a")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert file_digest(tmp_path / "a") == expected


def test_an_absent_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "gone")
