from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hls.errors import ToolError
from hls.toolchain import find_compiler, run_tool, version_line


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_compiler_of_the_variable_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = script(tmp_path / "cxx", "echo compiler 1.2; echo more")
    monkeypatch.setenv("EDGEVAL_CXX", str(compiler))
    found = find_compiler()
    assert (found.path, found.version) == (compiler, "compiler 1.2")


def test_a_relative_compiler_still_runs_from_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "cxx", "echo compiler 1.2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVAL_CXX", "./cxx")
    assert find_compiler().path.is_absolute()


def test_without_the_variable_gxx_on_the_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = script(tmp_path / "g++", "echo g++ 99")
    monkeypatch.delenv("EDGEVAL_CXX", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_compiler().path == compiler


def test_a_missing_compiler_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-compiler")
    with pytest.raises(ToolError, match=r"no 'no-such-compiler' on PATH.*EDGEVAL_CXX"):
        find_compiler()


def test_a_failing_tool_tells_command_code_and_both_streams() -> None:
    code = "import sys; print('to out'); print('to err', file=sys.stderr); sys.exit(7)"
    with pytest.raises(ToolError, match=r"(?s)sys\.exit\(7\).*exit code 7.*to out.*to err"):
        run_tool([sys.executable, "-c", code], timeout_s=60.0)


def test_a_tool_that_takes_too_long_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"an answer within 0\.2 s"):
        run_tool([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.2)


def test_a_tool_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="FileNotFoundError"):
        run_tool([str(tmp_path / "nothing")], timeout_s=60.0)


def test_the_output_of_a_tool_comes_back() -> None:
    assert run_tool([sys.executable, "-c", "print('answer')"], timeout_s=60.0) == "answer\n"


def test_output_that_is_not_text_does_not_hide_the_failure() -> None:
    code = r"import sys; sys.stderr.buffer.write(b'bad \xff byte'); sys.exit(1)"
    with pytest.raises(ToolError, match=r"bad . byte"):
        run_tool([sys.executable, "-c", code], timeout_s=60.0)


def test_arguments_reach_the_tool_as_they_are() -> None:
    odd = "a b; echo $HOME 'x' \"y\""
    assert run_tool([sys.executable, "-c", "import sys; print(sys.argv[1])", odd], timeout_s=60.0) == odd + "\n"


def test_only_the_end_of_a_long_message_is_told() -> None:
    code = "import sys; [print(i, file=sys.stderr) for i in range(1000)]; sys.exit(1)"
    with pytest.raises(ToolError) as caught:
        run_tool([sys.executable, "-c", code], timeout_s=60.0)
    assert "999" in str(caught.value)
    assert "\n500\n" not in str(caught.value)


def test_the_version_is_the_first_line(tmp_path: Path) -> None:
    assert version_line([str(script(tmp_path / "tool", "echo one; echo two"))]) == "one"
    assert version_line([str(script(tmp_path / "silent", "true"))]) == ""
