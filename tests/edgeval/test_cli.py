"""The command line as a whole: what it imports, and which exit code means what."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgeval.cli
from hls.errors import InputError, ToolError, UsageError

HEAVY = ("torch", "brevitas", "hls4ml", "qonnx", "onnx", "sklearn", "rdkit", "plotly", "pyarrow", "scipy")


def loaded_after(arguments: list[str]) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after one command line."""
    code = (
        "import sys\nfrom edgeval.cli import run\n"
        f"run({arguments!r})\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["targets"], ["doctor"]])
def test_help_answers_without_importing_anything_heavy(arguments: list[str]) -> None:
    assert loaded_after(arguments).isdisjoint(HEAVY)


def test_the_import_guard_can_fail() -> None:
    code = "import sys, onnx\nprint('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["train"], ["train", "digits"], ["export", "--bogus"], ["nonsense"]])
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        edgeval.cli.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError(found="a", allowed="b", where="c", remedy="d"), 2),
        (InputError(found="a", allowed="b", where="c", remedy="d"), 3),
        (ToolError(found="a", allowed="b", where="c", remedy="d"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("oops"), 4),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(edgeval.cli, "make_app", lambda: lambda arguments: fail())
    assert edgeval.cli.run(["doctor"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def test_a_bug_leaves_a_log_to_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(edgeval.cli, "make_app", lambda: 1 / 0)
    assert edgeval.cli.run(["doctor"]) == 4
    message = capsys.readouterr().err
    assert "ZeroDivisionError" in message
    assert ".log" in message


def test_targets_lists_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval.cli.run(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["digits", "freesolv", "jets", "mnist", "mnist-mlp"]


def test_doctor_names_a_missing_compiler_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-compiler")
    assert edgeval.cli.run(["doctor"]) == 3
    output = capsys.readouterr().out
    assert output.startswith("missing: g++")
    assert "apt install g++" in output
