from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hls.errors import InputError
from hls.files import atomic_write, write_error


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "record.json"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    atomic_write(tmp_path / "record.json", b"content")
    assert [item.name for item in tmp_path.iterdir()] == ["record.json"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    atomic_write(tmp_path / "record.json", b"content")
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    atomic_write(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    atomic_write(path, b"old")

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="writable folder"):
        atomic_write(tmp_path / "file" / "record.json", b"content")


def test_a_folder_in_the_place_of_the_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(InputError, match="directory"):
        atomic_write(tmp_path / "record.json", b"content")


def test_the_error_names_the_file(tmp_path: Path) -> None:
    assert write_error(tmp_path, OSError("odd")).where == str(tmp_path)
