"""Results show what their commands print, and hold what they found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.api_runs import INPUTS, LABELS, RECIPE

import edgeval
from edgeval.cli import run as command
from edgeval.fingerprint import make_fingerprint
from edgeval.regression_record import Gate, RegressRecord, Tolerances


@pytest.mark.gxx
def test_a_graph_and_arrays_give_what_their_files_give_on_the_command_line(
    files: Path, compared: edgeval.CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["csim-compare", str(files / "model.onnx"), "--inputs", str(files / "x.npz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert repr(compared).splitlines()[0] == lines[0] == "MATCH 480 of 480 words, 3 layers, 40 samples"
    assert (compared.verdict, compared.matched, compared.first, compared.exit_code) == ("match", True, None, 0)


@pytest.mark.gxx
def test_a_flipped_bit_is_a_result_that_does_not_match(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare(exported.run.path, poke="fc1.weight:0:msb")
    assert not result.matched
    assert result.exit_code == 1
    assert result.first is not None
    assert repr(result).splitlines()[0] == result.headline
    assert result.headline.startswith(
        f"DIFFER {result.differing} of {result.words} words, first at {result.first.value}"
    )


@pytest.mark.gxx
def test_an_array_takes_the_place_of_the_runs_own_samples(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare(exported, inputs=INPUTS[:7])
    assert (result.record.samples, result.record.inputs) == (7, "arrays given in Python")


@pytest.mark.gxx
@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md"])
def test_the_lines_that_pages_show_do_what_they_say(page: str) -> None:
    text = (Path(__file__).parents[3] / page).read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(import edgeval\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"model": RECIPE.model(), "X": INPUTS, "y": LABELS}
    exec(block, names)  # noqa: S102  # our own page
    assert names["result"].matched


def test_an_export_shows_the_first_line_of_its_command(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["export", str(exported.run.path)]) == 0
    assert repr(exported).splitlines()[0] == capsys.readouterr().out.splitlines()[0]


def test_a_campaign_shows_the_first_line_of_its_command_and_holds_its_table(
    campaign: edgeval.InjectResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["inject-faults", str(campaign.run.path), "--cross-check", "5"]) == 0
    assert repr(campaign).splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    table = campaign.table()
    assert table.num_rows == campaign.record.faults == sum(campaign.classes.values())
    assert table["metric_change"].to_numpy().min() == campaign.worst[0].metric_change
    assert campaign.agreed


def test_a_plan_shows_the_first_line_of_its_command(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = edgeval.plan_faults(exported)
    assert command(["inject-faults", str(exported.run.path), "--plan"]) == 0
    assert repr(plan).splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    assert plan.chosen == "exhaustive"


@pytest.mark.long
def test_a_training_shows_the_first_line_of_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = edgeval.train("digits", tmp_path / "run", epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")
    assert command(["train", "digits", "-o", str(tmp_path / "run"), "--epochs", "1"]) == 0
    assert repr(result).splitlines()[0] == capsys.readouterr().out.splitlines()[0]


def test_a_run_that_is_opened_again_has_its_results(
    exported: edgeval.ExportResult, campaign: edgeval.InjectResult
) -> None:
    run = edgeval.open_run(exported.run.path)
    again = run.exported()
    assert again is not None
    assert again.layers == exported.layers
    assert campaign.record.outcomes in {found.record.outcomes for found in run.campaigns()}
    assert run.network().output == "fc2"
    assert "export" in run.record_names
    assert "records: " in repr(run)


def test_a_folder_that_is_no_run_can_still_be_shown(tmp_path: Path) -> None:
    run = edgeval.Run(tmp_path)
    assert repr(run) == f"no run: no run.json\nrun {tmp_path}"
    assert run._repr_html_() is None


def test_no_result_has_a_truth_value(exported: edgeval.ExportResult, campaign: edgeval.InjectResult) -> None:
    with pytest.raises(TypeError, match=r"neither true nor false: ask result\.agreed"):
        bool(campaign)
    with pytest.raises(TypeError, match="neither true nor false"):
        assert exported


def test_progress_is_on_standard_error_and_can_be_turned_off(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    edgeval.inject(exported, cross_check=5, progress=False)
    assert capsys.readouterr() == ("", "")
    edgeval.inject(exported, cross_check=5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "cross-check by brute force: " in shown.err


@pytest.mark.gxx
def test_every_second_opinion_has_its_row(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare_matrix(exported, backend="Vitis", io_type="io_parallel", strategy="Latency", samples=5)
    assert (result.matched, len(result.rows)) == (True, 1)
    assert repr(result).splitlines()[:2] == [result.headline, "Vitis io_parallel Latency: match"]


@pytest.mark.gxx
@pytest.mark.long
def test_a_run_that_was_locked_passes(
    exported: edgeval.ExportResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    locked = edgeval.lock(exported, baseline=file, faults=20, progress=False)
    checked = edgeval.check(baseline=file, progress=False)
    assert capsys.readouterr() == ("", "")
    assert repr(locked) == f"LOCKED 1 run of 1 in {file}, {file.stat().st_size:,} bytes"
    assert repr(checked).splitlines()[0] == checked.headline
    assert (checked.passed, checked.failed, checked.exit_code) == (True, (), 0)


def test_a_failed_gate_is_told_with_its_cause(tmp_path: Path) -> None:
    gates = tuple(
        Gate(run="a", name="types", status=status, summary=f"<b>{status}</b>", remedy="mend it")
        for status in ("passed", "failed", "skipped")
    )
    record = RegressRecord(
        fingerprint=make_fingerprint("regress check", {}, seeds={}, digests={}), verdict="failed",
        headline="FAILED 3 gates of 1 run: 1 failed, 1 passed, 1 skipped", baseline="b.json",
        tolerances=Tolerances(), skipped_is_error=False, gates=gates,
    )  # fmt: skip
    result = edgeval.CheckResult(baseline=tmp_path / "b.json", record=record)
    assert (result.passed, result.exit_code, result.failed) == (False, 1, (gates[1],))
    assert repr(result).splitlines()[:2] == [
        "FAILED 3 gates of 1 run: 1 failed, 1 passed, 1 skipped",
        "a types: <b>failed</b>",
    ]
    shown = result._repr_html_()
    assert ">FAILED</strong>" in shown
    assert shown.index("&lt;b&gt;failed") < shown.index("&lt;b&gt;skipped")


def test_a_report_of_runs_is_written(exported: edgeval.ExportResult, tmp_path: Path) -> None:
    page = edgeval.write_report([exported, exported.run], tmp_path / "page.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
