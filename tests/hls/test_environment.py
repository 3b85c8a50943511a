from __future__ import annotations

import os
from pathlib import Path

import pytest

from hls.environment import cache_directory, compiler_override, worker_count
from hls.errors import UsageError


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEVAL_CACHE", str(tmp_path / "cache"))
    assert cache_directory() == tmp_path / "cache"


def test_a_relative_cache_does_not_move_with_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVAL_CACHE", "cache")
    assert cache_directory() == tmp_path / "cache"


def test_without_the_variable_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEVAL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "edgeval"


def test_without_any_variable_the_cache_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEVAL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "edgeval"


def test_looking_for_the_cache_does_not_make_it(cache: Path) -> None:
    assert not cache_directory().exists()


def test_an_empty_compiler_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "")
    assert compiler_override() is None


def test_the_compiler_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "clang++")
    assert compiler_override() == "clang++"


def test_workers_default_to_the_cores_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEVAL_WORKERS", raising=False)
    assert worker_count() == len(os.sched_getaffinity(0))


def test_the_number_of_workers_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_WORKERS", "3")
    assert worker_count() == 3


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", " 2"])
def test_a_number_of_workers_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EDGEVAL_WORKERS", text)
    with pytest.raises(UsageError, match=f"EDGEVAL_WORKERS: found {text!r}; allowed: a positive integer"):
        worker_count()
