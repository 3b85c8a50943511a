"""Budgets, the campaign that hardening starts from, and what the verb writes, on a run without hls4ml."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from support.networks import Mlp

from edgeval.cli import run as edgeval
from edgeval.exhaustive_campaign import exhaustive_campaign
from edgeval.fingerprint import identity
from edgeval.hardening import budget_bits
from edgeval.hardening_record import HardenedMemory, HardenRecord
from edgeval.records import InjectRecord, load_record, save_record
from edgeval.run_directory import RunDirectory
from hls.errors import RunDirectoryError, UsageError


@pytest.fixture(scope="module")
def campaigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a small graph, with a campaign over every stored bit."""
    folder = tmp_path_factory.mktemp("hardening")
    recipe = Mlp(widths=(6, 5, 3))
    onnx.save(recipe.model(), folder / "small.onnx")
    rng = np.random.default_rng(0)
    np.savez(folder / "x.npz", inputs=recipe.inputs(40).astype(np.float32), labels=rng.integers(0, 3, 40))
    run = folder / "run"
    arguments = ["--inputs", str(folder / "x.npz"), "--task", "classification", "--metric", "accuracy"]
    assert edgeval(["export", str(folder / "small.onnx"), "-o", str(run), *arguments]) == 0
    assert edgeval(["inject-faults", str(run)]) == 0
    return run


@pytest.fixture
def run(campaigned: Path, tmp_path: Path) -> Path:
    shutil.copytree(campaigned, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("text", "bits"), [("10%", 123), ("0.5 %", 6), ("0", 0), ("77", 77), ("200%", 2468), (" 12.5% ", 154)]
)
def test_a_budget_is_bits_or_a_share_of_the_stored_bits_rounded_down(text: str, bits: int) -> None:
    assert budget_bits(text, 1234) == bits


@pytest.mark.parametrize("text", ["", "-1", "ten", "1.5", "10 percent", "%", "1e3"])
def test_a_budget_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        budget_bits(text, 1234)


@pytest.mark.parametrize("scheme", ["auto", "tmr", "clip"])
def test_the_record_and_the_file_say_what_was_bought(run: Path, scheme: str) -> None:
    assert edgeval(["harden", str(run), "--scheme", scheme, "--budget", "15%", "--check", "5"]) == 0
    record = load_record(HardenRecord, RunDirectory(run).record_file("harden"))
    memory = load_record(HardenedMemory, run / "hardening.json")
    assert record.check.agrees
    assert record.check.physical_bits == record.stored_bits + record.added_bits
    assert record.added_bits == sum(row.added_bits for row in record.tensors) <= record.budget_bits
    assert record.damage_after < record.damage_before
    assert record.damage_after == sum(row.damage_after for row in record.tensors)
    assert record.voters == sum(len(word.bits) for tensor in memory.tensors for word in tensor.triplicated)
    assert [tensor.tensor for tensor in memory.tensors] == [row.tensor for row in record.tensors]
    for tensor, row in zip(memory.tensors, record.tensors, strict=True):
        words = {name: len(indices) for name, indices in tensor.words.items()}
        assert row.protected == words | ({"tmr": len(tensor.triplicated)} if tensor.triplicated else {})
        assert (tensor.clip_range is not None) == (tensor.storage == "clip")


def test_json_prints_exactly_the_saved_record(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["harden", str(run), "--scheme", "secded", "--check", "1", "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.encode() == RunDirectory(run).record_file("harden").read_bytes()
    assert msgspec.json.decode(printed, type=HardenRecord).scheme == "secded"


def test_a_run_without_such_a_campaign_is_told_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "records")
    assert edgeval(["harden", str(run)]) == 3
    assert f"edgeval inject-faults {run}" in capsys.readouterr().err


def another(run: Path, **changes: object) -> InjectRecord:
    """The run's campaign once more with something else about it, as a record of its own."""
    (path,) = (run / "records").glob("inject-faults-*.json")
    record = load_record(InjectRecord, path)
    configuration = {**record.fingerprint.configuration, "changed": sorted(changes)}
    fingerprint = msgspec.structs.replace(record.fingerprint, configuration=configuration)
    made = msgspec.structs.replace(record, **{"fingerprint": fingerprint, **changes})
    save_record(made, path.with_name(f"inject-faults-{identity(made.fingerprint)}.json"))
    return made


@pytest.mark.parametrize(
    "changes", [{"exhaustive": False}, {"fault": "stuck1"}, {"faults": 7}, {"samples": 39}], ids=str
)
def test_a_campaign_of_less_is_none_of_every_bit_on_these_samples(run: Path, changes: dict[str, object]) -> None:
    (original,) = (run / "records").glob("inject-faults-*.json")
    another(run, **changes)
    original.unlink()
    with pytest.raises(RunDirectoryError, match="no campaign that flipped every stored bit"):
        exhaustive_campaign(RunDirectory(run))


def test_of_several_campaigns_the_one_on_most_samples_is_used_or_the_one_that_is_named(run: Path) -> None:
    directory = RunDirectory(run)
    whole = exhaustive_campaign(directory).record
    assert edgeval(["inject-faults", str(run), "--samples", "10", "--detail", "decisions"]) == 0
    assert exhaustive_campaign(directory).record == whole
    records = [load_record(InjectRecord, path) for path in (run / "records").glob("inject-faults-*.json")]
    small = next(record for record in records if record.samples == 10)
    found = exhaustive_campaign(directory, identity(small.fingerprint))
    assert (found.record, len(found.samples.inputs), found.judge.golden.samples) == (small, 10, 10)


def test_a_full_campaign_is_preferred_to_one_of_decisions_alone(run: Path) -> None:
    counted = another(run, detail="decisions")
    assert exhaustive_campaign(RunDirectory(run)).record.detail == "full"
    assert exhaustive_campaign(RunDirectory(run), identity(counted.fingerprint)).record == counted


def test_two_campaigns_on_as_many_samples_have_to_be_told_apart(run: Path) -> None:
    other = another(run, critical_share=0.1)
    with pytest.raises(UsageError, match="--campaign: found 2 campaigns"):
        exhaustive_campaign(RunDirectory(run))
    assert exhaustive_campaign(RunDirectory(run), identity(other.fingerprint)).judge.critical_share == 0.1


def test_a_campaign_that_is_not_there_is_refused_with_those_that_are(run: Path) -> None:
    there = identity(exhaustive_campaign(RunDirectory(run)).record.fingerprint)
    with pytest.raises(RunDirectoryError, match=f"no campaign 0123; allowed: {there}"):
        exhaustive_campaign(RunDirectory(run), "0123")


def test_outcomes_that_are_gone_are_missed(run: Path) -> None:
    for part in run.glob("outcomes/*/*.parquet"):
        part.unlink()
    with pytest.raises(RunDirectoryError, match="outcome tables that are gone"):
        exhaustive_campaign(RunDirectory(run))


def test_a_plan_that_has_no_project_cannot_be_tried_in_c_simulation(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["harden", str(run), "--scheme", "parity", "--check", "0", "--verify-on-csim", "1"]) == 2
    assert "choose --scheme tmr" in capsys.readouterr().err


def test_a_project_of_an_older_plan_is_taken_away(run: Path) -> None:
    assert edgeval(["harden", str(run), "--scheme", "tmr", "--check", "0"]) == 0
    assert (run / "hls4ml-hardened" / "edgeval_project.json").exists()
    assert edgeval(["harden", str(run), "--scheme", "secded", "--check", "0"]) == 0
    assert not (run / "hls4ml-hardened").exists()


@pytest.mark.parametrize("option", ["--check=-1", "--verify-on-csim=0"])
def test_a_number_out_of_range_is_refused(run: Path, option: str) -> None:
    assert edgeval(["harden", str(run), option]) == 2


@pytest.mark.slow
def test_a_plan_is_judged_on_samples_that_the_campaign_did_not_use(run: Path) -> None:
    shutil.rmtree(run / "records")
    assert edgeval(["inject-faults", str(run), "--samples", "25"]) == 0
    assert edgeval(["harden", str(run), "--scheme", "tmr", "--held-out", "15"]) == 0
    record = load_record(HardenRecord, RunDirectory(run).record_file("harden"))
    assert record.held_out is not None
    assert record.held_out.samples == 15
    assert edgeval(["inject-faults", str(run)]) == 0
    both = exhaustive_campaign(RunDirectory(run)).outcomes["decisions_changed"].to_numpy().sum()
    assert record.held_out.damage_before == both - record.damage_before
    assert 0 < record.held_out.damage_after < record.held_out.damage_before


@pytest.mark.parametrize("count", ["0", "1"])
def test_samples_that_the_campaign_used_are_no_other_ones(
    run: Path, count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["harden", str(run), "--held-out", count]) == 2
    assert "the run has 40 samples, of which the campaign used 40" in capsys.readouterr().err


@pytest.mark.slow
def test_a_regression_is_hardened_by_its_tolerance_and_by_its_metric(tmp_path: Path) -> None:
    recipe = Mlp(widths=(5, 4, 2))
    onnx.save(recipe.model(), tmp_path / "small.onnx")
    labels = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", inputs=recipe.inputs(30).astype(np.float32), labels=labels)
    run = tmp_path / "run"
    arguments = ["--inputs", str(tmp_path / "x.npz"), "--task", "regression", "--metric", "rmse"]
    assert edgeval(["export", str(tmp_path / "small.onnx"), "-o", str(run), *arguments]) == 0
    assert edgeval(["inject-faults", str(run), "--critical-threshold", "1.5"]) == 0
    for damage in ("decisions", "metric", "critical"):
        assert edgeval(["harden", str(run), "--scheme", "secded", "--damage", damage, "--check", "5"]) == 0
        record = load_record(HardenRecord, RunDirectory(run).record_file("harden"))
        assert record.check.agrees
        assert 0 < record.damage_after < record.damage_before


def test_a_campaign_in_another_metric_is_hardened_in_that_metric(run: Path) -> None:
    """Cross-entropy gets worse by rising, while the run's own accuracy gets worse by falling."""
    shutil.rmtree(run / "outcomes")
    for record in (run / "records").glob("inject-faults-*.json"):
        record.unlink()
    assert edgeval(["inject-faults", str(run), "--metric", "cross-entropy"]) == 0
    rises = exhaustive_campaign(RunDirectory(run)).outcomes["metric_change"].to_numpy()
    assert edgeval(["harden", str(run), "--scheme", "tmr", "--damage", "metric", "--check", "5"]) == 0
    found = load_record(HardenRecord, RunDirectory(run).record_file("harden"))
    assert found.metric.name == "cross-entropy"
    assert found.damage_before == pytest.approx(np.maximum(rises, 0).sum(), rel=1e-12)
    assert found.check.agrees
