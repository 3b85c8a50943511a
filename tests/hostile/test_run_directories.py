"""Run directories of somebody else: what they name lies inside, what they link leads nowhere, what they say is text."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from support.fuzz_examples import example
from support.fuzz_mutations import HOSTILE_NAMES
from support.small_runs import small_run

from edgeval.cli import run as edgeval
from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.records import CompareRecord, ExportRecord, RunRecord
from edgeval.run_directory import RunDirectory
from edgeval.worst_flips_record import WorstFlipsRecord
from hls.errors import RunDirectoryError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return small_run(tmp_path).path


@pytest.mark.parametrize("place", ["records", "outcomes", "hls4ml", "samples.npz", "outcomes/0123456789abcdef"])
def test_a_link_out_of_a_run_is_refused_and_what_it_leads_to_is_left_alone(
    place: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    (run / place).parent.mkdir(exist_ok=True)
    (run / place).unlink(missing_ok=True)
    (run / place).symlink_to(outside)
    for verb in ("report", "export", "inject-faults", "csim-compare", "harden"):
        assert edgeval([verb, str(run)]) == 3
        assert "a link that leads out of the run" in capsys.readouterr().err
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "untouched"


def test_a_link_to_nothing_is_refused(run: Path) -> None:
    (run / "records").symlink_to(run / "nowhere")
    with pytest.raises(RunDirectoryError, match="leads out"):
        RunDirectory(run).run_record()


def test_a_link_inside_a_run_is_taken(run: Path) -> None:
    (run / "again.npz").symlink_to("samples.npz")
    assert RunDirectory(run).run_record()


def test_a_run_that_is_named_by_a_link_is_taken(run: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert RunDirectory(tmp_path / "latest").run_record()


def test_a_pipe_in_a_run_is_refused(run: Path) -> None:
    os.mkfifo(run / "pipe")
    with pytest.raises(RunDirectoryError, match="neither a file nor a folder"):
        RunDirectory(run).run_record()


def test_a_message_about_a_hostile_name_is_one_plain_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[2J\nerror: b"
    shutil.copytree(run, folder)
    (folder / "run.json").write_text("{")
    assert edgeval(["report", str(folder)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "\\x1b[2J\\nerror: b" in line
    assert line.isprintable()


def test_memory_that_runs_out_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise MemoryError

    monkeypatch.setattr("edgeval.cli.make_app", full)
    assert edgeval(["report"]) == 3
    line = capsys.readouterr().err
    assert all(part in line for part in ("error: ", ": found ", "; allowed: ", ". To mend it: "))


RECORDS = {
    "export": ExportRecord,
    "csim-compare": CompareRecord,
    "error-rate": ErrorRateRecord,
    "worst-flips": WorstFlipsRecord,
    "harden": HardenRecord,
    "mission": MissionRecord,
}
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&</style></title>"


def test_no_text_of_a_record_becomes_markup_on_the_page(run: Path) -> None:
    (run / "records").mkdir(exist_ok=True)
    content = msgspec.to_builtins(RunDirectory(run).run_record())
    content |= {"title": f"{MARKUP} title", "source": f"{MARKUP} source", "unit": MARKUP}
    (run / "run.json").write_bytes(msgspec.json.encode(content))
    assert msgspec.json.decode((run / "run.json").read_bytes(), type=RunRecord)
    for name, kind in RECORDS.items():
        tree = example(kind, lambda field: f"{MARKUP} {field}")
        if kind is HardenRecord:
            tree["damage"] = "decisions"
        if kind is ErrorRateRecord:  # five percentiles, as the figure's bands are drawn between
            tree["percentiles"] = [5, 25, 50, 75, 95]
            for row in tree["rates"]:
                for spread in (row[name] for name in ("metric", "decisions", "plain_metric", "plain_decisions")):
                    spread["percentiles"] = [0.1, 0.2, 0.3, 0.4, 0.5]
        (run / "records" / f"{name}.json").write_bytes(msgspec.json.encode(tree))
    assert edgeval(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<img" not in page.partition("<script")[0]


@pytest.mark.parametrize("name", [n for n in HOSTILE_NAMES if n and "\x00" not in n], ids=lambda name: ascii(name)[:20])
def test_a_campaign_that_names_a_place_outside_is_refused_or_inside(name: str, run: Path) -> None:
    from edgeval.outcome_tables import inside

    try:
        place = inside(run, name, run / "record", "inject-faults")
    except RunDirectoryError:
        return
    assert place.resolve().is_relative_to(run.resolve())
