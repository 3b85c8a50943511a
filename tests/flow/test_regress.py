"""A scripted story: a run is locked, nothing or one thing changes, and the check says what and with what effect."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
from support.locked_runs import exported_run, floor, one_weight, three_bits

from edgeval.cli import run as edgeval
from edgeval.regression.baseline import load_baseline
from edgeval.regression_record import RegressRecord
from hls import files
from hls.hls4ml_flow import ProjectOptions

pytestmark = pytest.mark.gxx

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and the baseline that was locked of it."""
    folder = tmp_path_factory.mktemp("gate")
    exported_run(folder)
    assert edgeval(lock(folder / "run", folder / "baseline.json")) == 0
    return folder


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed networks are judged without a C-simulation of each: a build would take longer than all else."""
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-compiler")


def check(baseline: Path, *arguments: str) -> list[str]:
    return ["regress", "check", "--baseline", str(baseline), "--workers", "1", *arguments]


def lock(run: Path, baseline: Path, faults: str = "10") -> list[str]:
    return ["regress", "lock", str(run), "--baseline", str(baseline), "--faults", faults, "--workers", "1"]


def changed(locked: Path, folder: Path, change: Callable[[onnx.ModelProto], None], **options: Any) -> Path:
    """The locked run made anew with a change, somewhere else, and a copy of its baseline there."""
    exported_run(folder, change, **options)
    (folder / "baseline.json").write_bytes((locked / "baseline.json").read_bytes())
    return folder / "baseline.json"


def edited(locked: Path, folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The baseline with something of its run edited by hand, pointing at the run where it is."""
    content = json.loads((locked / "baseline.json").read_bytes())
    content["runs"][0]["path"] = str(locked / "run")
    edit(content["runs"][0])
    (folder / "edited.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "edited.json"


def unchanged(model: onnx.ModelProto) -> None:
    """Nothing is changed."""


def test_nothing_changed_and_everything_passes(locked: Path, capsys: Capture) -> None:
    assert edgeval(check(locked / "baseline.json")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PASSED 11 gates of 1 run: 9 passed, 2 skipped"
    assert lines[1] == "tolerances: words 0, metric 0, damage 0.0 %, LUT/FF/DSP/BRAM 10.0 %, latency 2.0 %"
    assert any("csim       MATCH 564 of 564 words, 3 layers, 47 samples" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (one_weight, "1 of 20 weight words of fc1.weight changed, first [7]: -2 → -1: "
         "41 of 680 words differ, first at fc1[0, 3]: -1 → 6"),
        (three_bits, "weights of fc1 went from 4 to 3 bits: 273 of 680 words differ, first at fc1[0, 0]: 84 → 71"),
        (floor, "rounding of act1 changed from AP_RND_CONV to AP_TRN: "
         "58 of 680 words differ, first at act1[3, 1]: 2 → 1"),
    ],
)  # fmt: skip
def test_a_changed_model_fails_with_what_changed_and_how_many_words_differ(
    locked: Path,
    tmp_path: Path,
    no_compiler: None,
    capsys: Capture,
    change: Callable[[onnx.ModelProto], None],
    sentence: str,
) -> None:
    assert edgeval(check(changed(locked, tmp_path, change))) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[0].endswith(f"; run: {sentence}")
    assert f"  {sentence}\n" in output
    assert output.count("cause: the model changed: model.onnx is not the locked file") == 1


def test_a_changed_strategy_fails_and_no_word_differs(
    locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture
) -> None:
    assert edgeval(check(changed(locked, tmp_path, unchanged, options=ProjectOptions(strategy="Resource")))) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("FAILED 11 gates of 1 run: 1 failed, 7 passed, 3 skipped; ")
    assert first.endswith("; run: strategy changed from Latency to Resource: no word differs")


def test_a_changed_tool_version_passes_where_no_word_differs_and_is_said(
    locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture
) -> None:
    baseline = edited(locked, tmp_path, lambda run: run["versions"].update(hls4ml="1.2.0"))
    assert edgeval(check(baseline)) == 0
    output = capsys.readouterr().out
    assert "  passed   versions   hls4ml 1.2.0 → 1.3.0, compiler " in output
    assert output.startswith("PASSED ")


def test_an_update_without_a_csim_is_refused(locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture) -> None:
    baseline = changed(locked, tmp_path, unchanged)
    before = baseline.read_bytes()
    # Without a compiler nothing is proved, and what is not proved is not locked.
    assert edgeval(check(baseline, "--update")) == 3
    assert baseline.read_bytes() == before
    assert "a baseline of a wrong thing would hide the fault for good" in capsys.readouterr().err


@pytest.mark.slow
def test_a_changed_weight_is_locked_by_an_update_and_passes_then(locked: Path, tmp_path: Path, capsys: Capture) -> None:
    baseline = changed(locked, tmp_path, one_weight)
    assert edgeval(check(baseline, "--update")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAILED ")
    assert lines[-1] == f"UPDATED {baseline}: it holds the runs as they are now"
    assert edgeval(check(baseline)) == 0
    before, after = ((folder / "baseline.json").read_text().splitlines() for folder in (locked, tmp_path))
    assert len(before) == len(after)
    rows = [new for old, new in zip(before, after, strict=True) if old != new and '"name":"fc1.weight"' in new]
    assert len(rows) == 1  # the one line of that tensor


@pytest.mark.long
def test_the_csim_of_another_strategy_is_built_and_matches(locked: Path, tmp_path: Path, capsys: Capture) -> None:
    assert edgeval(check(changed(locked, tmp_path, unchanged, options=ProjectOptions(strategy="Resource")))) == 1
    output = capsys.readouterr().out
    assert "passed   csim       MATCH 564 of 564 words, 3 layers, 47 samples" in output


def test_a_run_that_is_not_exported_as_its_model_says_is_not_locked(
    locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture
) -> None:
    run = exported_run(tmp_path)
    other = exported_run(tmp_path / "other", one_weight)
    (run / "network.npz").write_bytes((other / "network.npz").read_bytes())
    target = tmp_path / "new.json"
    assert edgeval(lock(run, target, "none")) == 3
    assert not target.exists()
    assert "found network.npz is not what the run's model gives" in capsys.readouterr().err


def test_an_edited_project_fails_although_the_model_is_the_locked_one(
    locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture
) -> None:
    baseline = changed(locked, tmp_path, unchanged)
    file = next((tmp_path / "run" / "hls4ml" / "firmware" / "weights").glob("w*.txt"))
    first, rest = file.read_text(encoding="utf-8").split(",", 1)
    file.write_text(f"{float(first) * 2 + 1},{rest}", encoding="utf-8")
    assert edgeval(check(baseline)) == 1
    first_line = capsys.readouterr().out.splitlines()[0]
    assert "; run: the run's own files are not what its model gives, which is as locked: hls4ml/ departs" in first_line


def test_a_run_without_a_csim_is_not_locked(locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture) -> None:
    target = tmp_path / "new.json"
    assert edgeval(lock(locked / "run", target, "none")) == 3
    assert not target.exists()
    assert "install g++" in capsys.readouterr().err


def test_an_interrupted_lock_leaves_the_old_file(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baseline, real, interrupts = locked / "baseline.json", os.fsync, []

    def interrupted(handle: int) -> None:
        if list(locked.glob(".baseline.json.*")):  # the new baseline is written, but not in place
            interrupts.append(handle)
            raise KeyboardInterrupt
        real(handle)

    monkeypatch.setattr(files.os, "fsync", interrupted)
    before = baseline.read_bytes()
    assert edgeval(lock(locked / "run", baseline, "none")) == 130
    assert interrupts
    assert baseline.read_bytes() == before
    assert not list(locked.glob(".baseline.json.*"))


def test_two_runs_of_one_name_are_refused(locked: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "run").symlink_to(exported_run(tmp_path / "other"))
    runs = [str(locked / "run"), str(tmp_path / "run")]
    assert edgeval(["regress", "lock", *runs, "--baseline", str(tmp_path / "new.json")]) == 2
    assert "found two runs named run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda text: None, "no such file"),
        (lambda text: text[: len(text) // 2], "DecodeError"),
        (lambda text: text.replace("edgeval.baseline/1", "edgeval.baseline/2"), "edgeval.baseline/2"),
        (lambda text: text.replace('"stored_bits"', '"stored_bytes"'), "stored_bytes"),
    ],
)
def test_a_baseline_that_cannot_be_read_is_a_four_part_error(
    locked: Path, tmp_path: Path, capsys: Capture, damage: Callable[[str], str | None], found: str
) -> None:
    content = damage((locked / "baseline.json").read_text(encoding="utf-8"))
    if content is not None:
        (tmp_path / "bad.json").write_text(content, encoding="utf-8")
    assert edgeval(check(tmp_path / "bad.json")) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'bad.json'}: found ")
    assert found in error
    assert "; allowed: a baseline (edgeval.baseline/1). To mend it: " in error


def test_an_unknown_run_is_named(locked: Path, capsys: Capture) -> None:
    assert edgeval(check(locked / "baseline.json", "elsewhere")) == 2
    assert "found run elsewhere; allowed: run." in capsys.readouterr().err


def test_a_skipped_gate_can_be_made_an_error_and_json_says_so(locked: Path, no_compiler: None, capsys: Capture) -> None:
    assert edgeval(check(locked / "baseline.json", "run", "--json", "--skipped-is-error")) == 1
    record = msgspec.json.decode(capsys.readouterr().out, type=RegressRecord)
    assert (record.verdict, len(record.gates), record.baseline) == ("failed", 11, "baseline.json")
    assert {gate.name for gate in record.gates if gate.status == "skipped"} >= {"csim", "resources", "latency"}
    assert record.headline.endswith(" skipped (a skip is an error here)")


def test_a_baseline_and_a_changed_run_are_told_apart(
    locked: Path, tmp_path: Path, no_compiler: None, capsys: Capture
) -> None:
    run = exported_run(tmp_path, one_weight)
    assert edgeval(["regress", "diff", str(locked / "baseline.json"), str(run)]) == 1
    assert "1 of 20 weight words of fc1.weight changed, first [7]: -2 → -1: 41 of 680" in capsys.readouterr().out


def test_two_baselines_are_told_apart_without_running_anything(locked: Path, tmp_path: Path, capsys: Capture) -> None:
    other = edited(locked, tmp_path, lambda run: run["options"].update(reuse_factor=4))
    assert edgeval(["regress", "diff", str(locked / "baseline.json"), str(other)]) == 1
    output = capsys.readouterr().out
    assert "reuse factor changed from 1 to 4: no word differs" in output.splitlines()[0]
    assert "skipped  csim       nothing was run" in output


def test_the_file_is_deterministic_and_relative(locked: Path, tmp_path: Path) -> None:
    again = locked / "again.json"
    assert edgeval(lock(locked / "run", again)) == 0
    assert again.read_bytes() == (locked / "baseline.json").read_bytes()
    assert load_baseline(again).runs[0].path == "run"
