"""``edgeval doctor``: what it looks for, and that it says what is wrong."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import msgspec
import pytest

from edgeval import installation
from edgeval.cli import run as edgeval
from edgeval.commands.doctor import DoctorRecord
from edgeval.installation import EXTRAS, TESTED, Check, compile_and_run
from hls.errors import ToolError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", requirement)[0].lower() for requirement in requirements}


def record_of(capsys: pytest.CaptureFixture[str], code: int) -> DoctorRecord:
    assert edgeval(["doctor", "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out.encode(), type=DoctorRecord)


def row(record: DoctorRecord, name: str) -> Check:
    return next(check for check in record.checks if check.name == name)


def test_every_dependency_is_looked_for() -> None:
    assert set(TESTED) - set(EXTRAS) == names(PROJECT["dependencies"])


def test_every_extra_is_looked_for() -> None:
    extras = {extra: packages for extra, packages in PROJECT["optional-dependencies"].items() if extra != "dev"}
    looked_for = {extra: {name for name, of in EXTRAS.items() if of == extra} for extra in EXTRAS.values()}
    assert looked_for == {extra: names(packages) for extra, packages in extras.items()}


def test_the_versions_that_were_tried_are_those_of_the_lock() -> None:
    pins = (ROOT / "requirements" / "lock-3.11.txt").read_text(encoding="utf-8").splitlines()
    assert {f"{name}=={version}" for name, (version, _) in TESTED.items()} <= set(pins)


@pytest.mark.gxx
def test_a_compiler_is_tried(tmp_path: Path) -> None:
    compile_and_run(Path("g++"))
    for number, body in enumerate(["exit 1", 'echo "echo wrong" > "$3"; chmod +x "$3"']):
        compiler = tmp_path / f"cxx{number}"
        compiler.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        compiler.chmod(0o755)
        with pytest.raises(ToolError):
            compile_and_run(compiler)


def test_a_compiler_that_only_answers_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler = tmp_path / "cxx"
    compiler.write_text('#!/bin/sh\ntest "$1" = --version && echo "cxx 1.0" && exit 0\nexit 7\n', encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("EDGEVAL_CXX", str(compiler))
    found = row(record_of(capsys, 3), "g++")
    assert found.state == "broken"
    assert found.found.startswith("cxx 1.0, which fails: exit code 7")


def test_a_cache_that_cannot_be_written_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEVAL_CACHE", str(tmp_path / "file"))
    assert edgeval(["doctor"]) == 3
    assert capsys.readouterr().out.startswith("broken: cache\n")


def test_the_size_of_the_cache_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_CACHE", str(tmp_path))
    (tmp_path / "builds").mkdir()
    (tmp_path / "builds" / "library.so").write_bytes(bytes(3_000_000))
    assert edgeval(["doctor"]) == 0
    assert f"cache {tmp_path}, 3 MB; " in capsys.readouterr().out


def test_a_misspelt_variable_is_told_and_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_CHACHE", "/somewhere")
    record = record_of(capsys, 0)
    assert row(record, "EDGEVAL_CHACHE").state == "broken"
    assert record.healthy


def test_a_number_of_workers_that_is_none_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_WORKERS", "many")
    assert row(record_of(capsys, 3), "EDGEVAL_WORKERS").remedy == "unset it or give the number of processes"


def test_an_index_with_a_password_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_TORCH_INDEX", "https://me:secret@example.org")
    assert edgeval(["doctor"]) == 0
    assert "secret" not in capsys.readouterr().out


def installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]) -> None:
    """Let packages have other versions than they have; ``None`` for not installed."""
    real = installation.version

    def version(name: str) -> str:
        found = versions.get(name, "") if name in versions else real(name)
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(installation, "version", version)


def test_an_extra_that_is_not_there_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, {"distributed": None})
    assert edgeval(["doctor"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("all that is needed is here; without the extras dask\n")
    assert "pip install 'edgeval-toolkit[dask]'" in output


def test_a_version_that_was_not_tried_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, {"hls4ml": "1.4.0"})
    record = record_of(capsys, 0)
    assert row(record, "hls4ml").state == "untested"
    assert record.packages - record.as_tested == sum(
        check.state == "untested" for check in record.checks if check.name in TESTED
    )


def test_a_dependency_that_is_not_there_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, {"qonnx": None})
    assert edgeval(["doctor"]) == 3
    assert capsys.readouterr().out.startswith("missing: qonnx\n")


def test_another_project_of_the_same_name_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, {"fault-injection": "0.3"})
    assert "pip uninstall fault-injection" in row(record_of(capsys, 3), "fault-injection (another project)").remedy
