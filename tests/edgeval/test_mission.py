"""``edgeval mission`` on a small run: figures from its campaign, refusals with remedies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from support.networks import Mlp

from edgeval.cli import run as edgeval
from edgeval.mission_record import MissionRecord
from edgeval.outcome_tables import campaign_records
from edgeval.records import InjectRecord, load_record
from edgeval.run_directory import RunDirectory
from hls.graph import WordChange

PHYSICS = ["--cross-section", "3e-14", "--flux", "1e6"]
SAMPLES = 30


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a small graph with labels and without any campaign."""
    folder = tmp_path_factory.mktemp("mission")
    recipe = Mlp(widths=(8, 5, 3))
    onnx.save(recipe.model(), folder / "model.onnx")
    labels = np.random.default_rng(5).integers(0, 3, SAMPLES)
    np.savez(folder / "samples.npz", inputs=recipe.inputs(SAMPLES), labels=labels)
    options = ["-o", str(folder / "run"), "--inputs", str(folder / "samples.npz"), "--task", "classification"]
    assert edgeval(["export", str(folder / "model.onnx"), *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def judged(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with a campaign of every bit."""
    path = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(exported, path)
    assert edgeval(["inject-faults", str(path)]) == 0
    return path


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(judged, tmp_path / "run")
    return tmp_path / "run"


def mission_of(run: Path) -> MissionRecord:
    return load_record(MissionRecord, RunDirectory(run).record_file("mission"))


def campaign_of(run: Path) -> InjectRecord:
    ((_, record),) = campaign_records(RunDirectory(run))
    return record


def complaint(capsys: pytest.CaptureFixture[str], run: Path, *options: str, code: int) -> str:
    capsys.readouterr()
    assert edgeval(["mission", str(run), *options]) == code
    return capsys.readouterr().err


def test_the_record_holds_the_sums_of_the_outcome_table(run: Path) -> None:
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10"]) == 0
    record, table = mission_of(run), pq.read_table(run / campaign_of(run).outcomes)
    changed, wrong = (sum(table[name].to_pylist()) / SAMPLES for name in ("decisions_changed", "right_to_wrong"))
    assert record.bits == record.stored_bits == table.num_rows
    assert record.changed == pytest.approx(changed)
    assert record.device.wrong_decisions == pytest.approx(3e-8 * 10 / 2 * changed)
    assert record.device.right_to_wrong == pytest.approx(3e-8 * 10 / 2 * wrong)
    assert record.harmful_bits == sum(count > 0 for count in table["decisions_changed"].to_pylist())
    assert (record.upsets, record.failures, record.no_failure) == (None, None, None)


def test_a_long_mission_of_many_devices_multiplies_what_one_has_to_expect(run: Path) -> None:
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10", "--duration", "1000", "--devices", "7"]) == 0
    record = mission_of(run)
    assert record.upsets == pytest.approx(record.device.upset_rate * 7000)
    assert record.failures == pytest.approx(record.device.failure_rate * 7000)
    assert record.no_failure == pytest.approx(np.exp(-record.device.failure_rate * 7000))


def test_without_scrubbing_words_stay_wrong_for_the_whole_mission(run: Path) -> None:
    assert edgeval(["mission", str(run), *PHYSICS, "--duration", "500"]) == 0
    record = mission_of(run)
    assert (record.period, record.scrubbed) == (500.0, False)


def test_several_upsets_a_period_are_warned_of(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "1e6"]) == 0
    assert capsys.readouterr().out.startswith("WARNING: single-fault figures do not hold")


def test_what_is_not_modelled_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("SEFI", "SEL", "TID", "configuration memory", "transients"))


@pytest.mark.parametrize("left_out", ["--cross-section", "--flux"])
def test_cross_section_and_flux_have_no_default(left_out: str, run: Path) -> None:
    given = {"--cross-section": "3e-14", "--flux": "1e6", "--scrub": "10"}
    del given[left_out]
    with pytest.raises(SystemExit):
        edgeval(["mission", str(run), *(part for option in given.items() for part in option)])


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (["--cross-section", "0", "--flux", "1", "--scrub", "1"], "--cross-section: found 0"),
        (["--cross-section", "1e-14", "--flux", "inf", "--scrub", "1"], "--flux: found inf"),
        ([*PHYSICS, "--scrub", "-1"], "--scrub: found -1"),
        ([*PHYSICS], "--scrub: found neither a scrub period nor a duration"),
        ([*PHYSICS, "--scrub", "10", "--duration", "5"], "--scrub: found 10; allowed: at most the duration, 5 s"),
        ([*PHYSICS, "--scrub", "1", "--devices", "0"], "--devices: found 0"),
        ([*PHYSICS, "--scrub", "1", "--multi-bit-share", "1.5"], "--multi-bit-share: found 1.5"),
        ([*PHYSICS, "--scrub", "1", "--harmful-share", "-0.1"], "--harmful-share: found -0.1"),
        ([*PHYSICS, "--scrub", "1", "--campaign", "zz"], "--campaign: found 'zz'"),
    ],
)
def test_what_cannot_be_is_refused(
    options: list[str], where: str, judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert where in complaint(capsys, judged, *options, code=2)


def test_a_run_without_a_campaign_is_told_the_command(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = complaint(capsys, exported, *PHYSICS, "--scrub", "10", code=3)
    assert "found no campaign" in message
    assert f"run `edgeval inject-faults {exported}` over every bit, without a sample" in message


@pytest.mark.parametrize(
    ("options", "reason"), [(["--sample", "20"], "a sample, 20 of"), (["--fault", "stuck0"], "fault stuck0")]
)
def test_a_campaign_that_is_not_every_flip_is_refused(
    options: list[str], reason: str, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported, tmp_path / "run")
    assert edgeval(["inject-faults", str(tmp_path / "run"), *options]) == 0
    assert reason in complaint(capsys, tmp_path / "run", *PHYSICS, "--scrub", "10", code=3)


def test_tables_that_are_gone_are_not_made_up_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / campaign_of(run).outcomes)
    assert "found no outcome tables" in complaint(capsys, run, *PHYSICS, "--scrub", "10", code=3)


def test_of_several_campaigns_one_has_to_be_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = campaign_of(run).outcomes.rpartition("/")[2]
    assert edgeval(["inject-faults", str(run), "--tensors", "fc2.weight"]) == 0
    assert "found 2 campaigns that will do" in complaint(capsys, run, *PHYSICS, "--scrub", "10", code=2)
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10", "--campaign", name[:8]]) == 0
    assert mission_of(run).campaign == name


def test_the_same_faults_in_another_detail_are_no_choice_to_make(run: Path) -> None:
    assert edgeval(["inject-faults", str(run), "--detail", "decisions"]) == 0
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10"]) == 0


def test_a_campaign_of_some_bits_makes_a_mission_of_these(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(exported, run)
    assert edgeval(["inject-faults", str(run), "--tensors", "fc2.weight"]) == 0
    capsys.readouterr()
    assert edgeval(["mission", str(run), *PHYSICS, "--scrub", "10"]) == 0
    record = mission_of(run)
    assert record.bits == 5 * 3 * 4 < record.stored_bits
    assert f"60 bits (of {record.stored_bits} stored)" in capsys.readouterr().out


def test_a_campaign_of_another_network_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = RunDirectory(run)
    graph = directory.network()
    tensor = next(iter(graph.tensors.values()))
    other = graph.with_words([WordChange(tensor=tensor.name, index=0, word=int(tensor.words.flat[0] == 0))])
    directory.save_network(other)
    assert "another network" in complaint(capsys, run, *PHYSICS, "--scrub", "10", code=3)
