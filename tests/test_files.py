"""Private files are whole or not there, whatever happens while they are written."""

import errno
import os
import stat

import pytest

from connector.files import make_private, replace_private


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_replaced_whole_and_for_its_owner_only(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("old")
    path.chmod(0o644)
    replace_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["config.yaml"]


def test_of_two_new_files_the_first_stays(tmp_path):
    path = tmp_path / "key"
    make_private(path, b"first")
    with pytest.raises(FileExistsError):
        make_private(path, b"second")
    assert (path.read_bytes(), names(tmp_path)) == (b"first", ["key"])


@pytest.mark.parametrize("write", [replace_private, make_private])
def test_a_full_disk_leaves_what_was_there_and_nothing_half_made(tmp_path, monkeypatch, write):
    path = tmp_path / "tokens"
    replace_private(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["tokens"])
