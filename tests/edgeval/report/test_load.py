from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from support.report_records import every_record

from edgeval.records import save_record
from edgeval.report.load import load_run_view
from edgeval.report.view import RunView
from hls.errors import RunDirectoryError

FAULTS = "inject-faults-0123456789abcdef"


@pytest.fixture
def run(tmp_path: Path, view: RunView) -> Path:
    """The run of ``view`` as a folder, its outcomes in two parts."""
    path = tmp_path / "digits"
    campaign = view.campaigns[0]
    assert view.export is not None
    assert view.compare is not None
    assert campaign.outcomes is not None
    save_record(view.run, path / "run.json")
    save_record(view.export, path / "records" / "export.json")
    save_record(view.compare, path / "records" / "csim-compare.json")
    save_record(campaign.record, path / "records" / f"{FAULTS}.json")
    folder = path / campaign.record.outcomes
    folder.mkdir(parents=True)
    pq.write_table(campaign.outcomes.slice(0, 100), folder / "part-00000.parquet")
    pq.write_table(campaign.outcomes.slice(100), folder / "part-00001.parquet")
    return path


def test_everything_in_a_run_is_read(run: Path, view: RunView) -> None:
    loaded = load_run_view(run)
    assert (loaded.name, loaded.run, loaded.export, loaded.compare) == ("digits", view.run, view.export, view.compare)
    campaign, expected = loaded.campaigns[0], view.campaigns[0]
    assert campaign.record == expected.record
    assert campaign.outcomes is not None
    assert expected.outcomes is not None
    assert campaign.outcomes.equals(expected.outcomes.select(campaign.outcomes.column_names))
    assert len(campaign.outcomes["tensor"].combine_chunks()) == campaign.record.faults


def test_records_that_were_never_made_are_left_out(tmp_path: Path, view: RunView) -> None:
    save_record(view.run, tmp_path / "run.json")
    assert load_run_view(tmp_path) == RunView(name=tmp_path.name, run=view.run)


def test_outcomes_that_were_not_kept_are_left_out(run: Path) -> None:
    for part in run.glob("outcomes/*/*"):
        part.unlink()
    assert load_run_view(run).campaigns[0].outcomes is None


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"no run\.json"):
        load_run_view(tmp_path)


@pytest.mark.parametrize("name", ["export", "csim-compare", FAULTS])
def test_a_damaged_record_is_named_and_the_others_are_read(run: Path, name: str) -> None:
    (run / "records" / f"{name}.json").write_text("{")
    loaded = load_run_view(run)
    assert [one.file for one in loaded.unread] == [f"{name}.json"]
    assert "truncated" in loaded.unread[0].found
    assert [loaded.export is None, loaded.compare is None, not loaded.campaigns].count(True) == 1


def test_a_record_of_another_version_is_named_with_what_it_is(run: Path) -> None:
    path = run / "records" / "csim-compare.json"
    path.write_bytes(path.read_bytes().replace(b"edgeval.csim-compare/3", b"edgeval.csim-compare/2"))
    loaded = load_run_view(run)
    assert loaded.compare is None
    assert "edgeval.csim-compare/2" in loaded.unread[0].found


@pytest.mark.parametrize("name", ["future.json", "csim-compare.txt", "notes"])
def test_a_file_that_no_command_writes_is_named(run: Path, name: str) -> None:
    (run / "records" / name).write_text("{}")
    assert [one.file for one in load_run_view(run).unread] == [name]


def test_every_kind_of_record_is_read_by_the_name_its_command_gives_it(run: Path, view: RunView) -> None:
    every = every_record(view)
    for name, record in every.items():
        save_record(record, run / "records" / f"{name}.json")
    loaded = load_run_view(run)
    assert loaded.unread == ()
    assert [name for name, _ in loaded.comparisons] == ["Quartus-io_parallel-Resource", "poked"]
    shown = [loaded.matrix, loaded.emulator, loaded.plan, loaded.regression, *loaded.self_tests]
    shown += [record for _, record in loaded.comparisons]
    assert sorted(map(repr, shown)) == sorted(map(repr, every.values()))


def test_a_table_of_more_faults_than_are_drawn_is_not_read(run: Path) -> None:
    assert load_run_view(run, drawn_faults=1).campaigns[0].outcomes is None
    assert load_run_view(run, drawn_faults=100_000).campaigns[0].outcomes is not None


def test_a_damaged_part_is_refused_by_name(run: Path) -> None:
    next(run.glob("outcomes/*/part-00001.parquet")).write_bytes(b"PAR1")
    with pytest.raises(RunDirectoryError, match="part-00001"):
        load_run_view(run)


def test_a_part_with_other_columns_is_refused(run: Path, view: RunView) -> None:
    outcomes = view.campaigns[0].outcomes
    assert outcomes is not None
    pq.write_table(outcomes.select(["tensor", "index", "bit"]), next(run.glob("outcomes/*/part-00001.parquet")))
    with pytest.raises(RunDirectoryError, match="part-00001"):
        load_run_view(run)


def test_a_missing_part_is_noticed(run: Path) -> None:
    next(run.glob("outcomes/*/part-00000.parquet")).unlink()
    with pytest.raises(RunDirectoryError, match="as the record says"):
        load_run_view(run)


@pytest.mark.parametrize("folder", ["/etc", "../elsewhere"])
def test_outcomes_outside_the_run_are_refused(run: Path, view: RunView, folder: str) -> None:
    record = msgspec.structs.replace(view.campaigns[0].record, outcomes=folder)
    save_record(record, run / "records" / f"{FAULTS}.json")
    with pytest.raises(RunDirectoryError, match="a folder inside the run"):
        load_run_view(run)
