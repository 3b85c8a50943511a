"""What ``edgeval regress check`` prints and writes for continuous integration."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.gates import EXAMPLE, one_gate
from support.shell_steps import executed

from edgeval.cli import run as edgeval
from edgeval.commands.regress import CheckConfig, write_outputs
from edgeval.records import to_json
from hls.errors import UsageError


def test_the_files_that_were_asked_for_are_written(tmp_path: Path) -> None:
    junit, sarif, markdown = tmp_path / "j.xml", tmp_path / "new" / "s.sarif", tmp_path / "m.md"
    write_outputs(EXAMPLE, CheckConfig(junit=junit, sarif=sarif, markdown=markdown))
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    assert len(json.loads(sarif.read_bytes())["runs"][0]["results"]) == 2
    assert markdown.read_text(encoding="utf-8").startswith("### edgeval regress check: ❌ failed\n")


def test_nothing_is_written_that_was_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_outputs(EXAMPLE, CheckConfig())
    assert list(tmp_path.iterdir()) == []


def test_json_is_exactly_the_record_whatever_else_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outputs(EXAMPLE, CheckConfig(json=True, junit=tmp_path / "j.xml"))
    assert capsys.readouterr().out == to_json(EXAMPLE).decode()


def test_annotations_come_only_where_they_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    write_outputs(EXAMPLE, CheckConfig())
    assert executed(capsys.readouterr().out) == []
    write_outputs(EXAMPLE, CheckConfig(github=True))
    assert [line.partition(" ")[0] for line in executed(capsys.readouterr().out)] == ["::error", "::notice"]


def test_the_name_of_a_layer_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    write_outputs(one_gate("failed", text="fc1\n::add-mask::e\n::warning::w"), CheckConfig(github=True))
    (line,) = executed(capsys.readouterr().out)
    assert line.startswith("::error file=")


def test_the_token_that_switches_commands_on_again_is_another_one_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = set()
    for _ in range(2):
        write_outputs(EXAMPLE, CheckConfig(github=True))
        lines.add(capsys.readouterr().out.splitlines()[0])
    assert len(lines) == 2


def test_a_device_is_refused_rather_than_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/dev/null")
    with pytest.raises(UsageError, match="which is no file"):
        write_outputs(EXAMPLE, CheckConfig(junit=tmp_path / "out"))
    assert Path("/dev/null").is_char_device()


def test_two_things_for_standard_output_are_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["regress", "check", "--json", "--github", "--baseline", "gone.json"]) == 2
    assert "found --json with --github" in capsys.readouterr().err
