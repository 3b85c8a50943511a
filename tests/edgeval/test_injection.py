"""Campaigns through the command: places, samples, plans, details, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from support.networks import Mlp

from edgeval import injection
from edgeval.cli import run as edgeval
from edgeval.plan_record import FaultPlan
from edgeval.records import InjectRecord
from fault_injection import cores
from fault_injection.crosscheck import CrossCheck


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a small classification."""
    folder = tmp_path_factory.mktemp("graph")
    onnx.save(Mlp(widths=(6, 8, 3)).model(), folder / "mlp.onnx")
    inputs = Mlp(widths=(6, 8, 3)).inputs(40).astype(np.float32)
    np.savez(folder / "x.npz", inputs=inputs, labels=np.arange(40) % 3)
    command = ["export", str(folder / "mlp.onnx"), "-o", str(folder / "run"), "--inputs", str(folder / "x.npz")]
    assert edgeval(command) == 0
    return folder / "run"


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)


Inject = Any


@pytest.fixture
def inject(run: Path, capsys: pytest.CaptureFixture[str]) -> Inject:
    """Runs a campaign with some options and returns its record."""

    def call(*options: str, code: int = 0) -> InjectRecord:
        capsys.readouterr()
        assert edgeval(["inject-faults", str(run), *options, "--json"]) == code
        return msgspec.json.decode(capsys.readouterr().out, type=InjectRecord)

    return call


def error_of(run: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert edgeval(["inject-faults", str(run), *options]) == 2
    return capsys.readouterr().err


def test_every_campaign_is_checked_by_brute_force(inject: Inject) -> None:
    record = inject()
    assert (record.brute_force.executor, record.brute_force.faults, record.brute_force.mismatches) == (
        "exact engine", 100, (),
    )  # fmt: skip
    assert inject("--cross-check", "7").brute_force.faults == 7


def test_a_mismatch_makes_the_command_fail(
    run: Path, inject: Inject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = CrossCheck(faults=3, words=9, mismatches=("fc1.weight:0:1",), changed=np.zeros((3, 40), bool))
    monkeypatch.setattr(injection, "cross_check", lambda *arguments, **options: wrong)
    assert inject(code=1).brute_force.mismatches == ("fc1.weight:0:1",)
    assert edgeval(["inject-faults", str(run)]) == 1
    assert "3 faults repeated by brute force: 9 output words, DISAGREE at fc1.weight:0:1" in capsys.readouterr().out


def test_workers_change_the_record_and_nothing_else(run: Path, inject: Inject) -> None:
    alone = inject("--bits", "msb")
    table = (run / alone.outcomes / "outcomes.parquet").read_bytes()
    (run / alone.outcomes / "outcomes.parquet").unlink()
    shared = inject("--bits", "msb", "--workers", "2")
    assert (run / shared.outcomes / "outcomes.parquet").read_bytes() == table
    assert (alone.run_on, alone.workers, alone.kernel_threads) == ("this process", 1, 4)
    assert (shared.run_on, shared.workers, shared.kernel_threads) == ("local workers", 2, 2)
    same = {"run_on": "", "workers": 0, "kernel_threads": 0, "seconds": 0.0}
    assert msgspec.structs.replace(shared, **same) == msgspec.structs.replace(alone, **same)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "3", "--kernel-threads", "2"], "found 3 workers × 2 kernel threads; allowed: 1 or more of each"),
        (["--workers", "0"], "--workers"),
        (["--sample", "5", "--margin", "0.1"], "found --sample and --margin"),
        (["--margin", "2"], "--margin: found 2; allowed: between 0 and 1"),
        (["--confidence", "95"], "--confidence: found 95"),
        (["--cross-check", "0"], "--cross-check: found 0"),
        (["--time-budget", "0"], "--time-budget: found 0 s"),
        (["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], "found --workers 2 with --scheduler"),
        (["--executor", "csim", "--scheduler", "tcp://127.0.0.1:1"], "found --executor csim with --scheduler"),
        (["--executor", "csim", "--plan"], "found --plan with --executor csim"),
    ],
)
def test_options_that_cannot_be_are_refused(
    run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(run, options, capsys)


def test_decisions_alone_need_argmax_and_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(Mlp(widths=(4, 2)).model(), tmp_path / "mlp.onnx")
    np.savez(tmp_path / "x.npz", inputs=Mlp(widths=(4, 2)).inputs(9).astype(np.float32))
    options = ["--inputs", str(tmp_path / "x.npz"), "--task", "regression", "--critical-threshold", "0.1"]
    message = error_of(tmp_path / "mlp.onnx", [*options, "--detail", "decisions"], capsys)
    assert "found --detail decisions for a tolerance decision and the metric rmse" in message


def test_decisions_alone_say_the_same_of_decisions(run: Path, inject: Inject) -> None:
    full, decisions = inject(), inject("--detail", "decisions")
    assert list(decisions.classes) == ["kept", "critical"]
    assert decisions.classes["critical"] == full.classes["critical"]
    assert {(row.masked, row.tolerable) for row in decisions.damage} == {(None, None)}
    assert [row.critical for row in decisions.damage] == [row.critical for row in full.damage]
    assert decisions.worst == full.worst
    columns = ["site", "decisions_changed", "right_to_wrong", "metric_change"]
    tables = [pq.read_table(run / record.outcomes, columns=columns) for record in (full, decisions)]
    assert tables[0].equals(tables[1])


def test_a_stratified_sample_says_what_all_faults_say(inject: Inject) -> None:
    full, sampled = inject(), inject("--margin", "0.05")
    estimate = sampled.estimate
    assert estimate is not None
    assert full.estimate is None
    assert (estimate.design, estimate.population, estimate.judged) == ("stratified", full.faults, sampled.faults)
    assert sampled.faults < full.faults
    assert not sampled.exhaustive
    share = full.classes["critical"] / full.faults
    assert estimate.critical.low <= share <= estimate.critical.high
    assert sum(row.population for row in estimate.strata) == full.faults
    assert sum(row.judged for row in estimate.strata) == sampled.faults
    counted = sum(row.known + row.weight * (row.judged - row.known) for row in estimate.strata)
    assert counted == pytest.approx(full.faults)


def test_a_sample_goes_on_with_what_is_there_and_says_the_same(inject: Inject) -> None:
    first, again = inject("--margin", "0.05", "--seed", "3"), inject("--margin", "0.05", "--seed", "3")
    assert msgspec.structs.replace(first, seconds=0.0) == msgspec.structs.replace(again, seconds=0.0)


def test_a_sample_of_a_number_has_intervals_too(inject: Inject) -> None:
    record = inject("--sample", "60", "--confidence", "0.9")
    assert record.estimate is not None
    assert (record.estimate.design, record.estimate.judged, record.estimate.confidence) == ("simple", 60, 0.9)
    assert record.estimate.critical.value == record.classes["critical"] / 60


def test_the_text_of_a_stratified_sample_estimates_and_gives_no_raw_share(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["inject-faults", str(run), "--margin", "0.05"]) == 0
    first, _, _, estimate, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("critical")
    assert "%" not in first
    assert estimate.startswith("estimated critical faults of all ")


def test_no_critical_fault_is_bounded_by_the_rule_of_three(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--sample", "40", "--fault", "stuck0", "--bits", "0", "--critical-share", "1"]
    assert edgeval(["inject-faults", str(run), *options]) == 0
    assert "no critical fault among 40: at most about 7.49 % (rule of three)" in capsys.readouterr().out


def test_a_plan_is_printed_and_judges_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(run.rglob("*"))
    assert edgeval(["inject-faults", str(run), "--plan", "--seed", "77", "--json"]) == 0
    plan = msgspec.json.decode(capsys.readouterr().out, type=FaultPlan)
    assert (plan.chosen, plan.options, plan.margin) == ("exhaustive", "", 0.01)
    assert 0 < plan.probed <= plan.faults
    assert sorted(run.rglob("*")) == before


def test_a_plan_beyond_the_budget_names_the_command_of_a_sample(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--plan", "--time-budget", "1e-9", "--margin", "0.05"]
    assert edgeval(["inject-faults", str(run), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "an estimate" in lines[1]
    assert lines[-1] == f"edgeval inject-faults {run} --margin 0.05 --confidence 0.95"
    assert "beyond the budget" in lines[-2]


def test_the_plan_and_the_record_are_json_for_programs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["inject-faults", str(run), "--plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "edgeval.fault-plan/1"


def test_the_mean_of_decisions_changed_leaves_room_for_other_samples(run: Path, inject: Inject) -> None:
    record = inject()
    table = pq.read_table(run / record.outcomes)
    mean = record.decisions_changed
    assert mean.value == pytest.approx(float(table["decisions_changed"].to_numpy().mean()) / record.samples)
    assert mean.low < mean.value < mean.high
    sampled = inject("--sample", "60").decisions_changed
    assert sampled.high - sampled.low > mean.high - mean.low
