"""Read what the report shows from a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.outcome_tables import damaged, inside, outcome_table
from edgeval.plan_record import FaultPlan
from edgeval.ranking_record import RankRecord
from edgeval.records import CompareRecord, EmulatorRecord, ExportRecord, InjectRecord, MatrixRecord
from edgeval.regression_record import RegressRecord
from edgeval.report.record_files import RecordFiles, read_records
from edgeval.report.view import CampaignView, RankingView, RunView
from edgeval.run_directory import RunDirectory
from edgeval.self_test_record import SelfTestRecord
from edgeval.worst_flips_record import WorstFlipsRecord

COLUMNS = ("tensor", "index", "bit", "metric_change", "decisions_changed")
"""Of the outcome tables, what the figures need."""


def load_run_view(path: Path, *, drawn_faults: int | None = None) -> RunView:
    """Everything the report shows about a run; records that cannot be read are in ``unread``.

    Args:
        path: A run directory.
        drawn_faults: Tables of more faults are not read, and their figures left out; ``None`` for no limit.

    Raises:
        RunDirectoryError: not a run directory, or a table that a record names is damaged.
    """
    directory = RunDirectory(path)
    run = directory.run_record()
    records = read_records(path / "records")
    return RunView(
        name=path.resolve().name,
        run=run,
        export=records.one(ExportRecord, "export"),
        compare=records.one(CompareRecord, "csim-compare"),
        comparisons=_other_comparisons(records),
        matrix=records.one(MatrixRecord, "csim-compare-matrix"),
        emulator=records.one(EmulatorRecord, "emulator"),
        self_tests=tuple(record for _, record in records.all(SelfTestRecord)),
        campaigns=_campaigns(directory, records, drawn_faults),
        plan=records.one(FaultPlan, "fault-plan"),
        ranking=_ranking(directory, records),
        error_rates=records.one(ErrorRateRecord, "error-rate"),
        worst_flips=records.one(WorstFlipsRecord, "worst-flips"),
        hardening=records.one(HardenRecord, "harden"),
        mission=records.one(MissionRecord, "mission"),
        regression=records.one(RegressRecord, "regress-check"),
        unread=records.unread,
    )


def _other_comparisons(records: RecordFiles) -> tuple[tuple[str, CompareRecord], ...]:
    found = records.all(CompareRecord)
    return tuple((path.stem.removeprefix("csim-compare-"), one) for path, one in found if path.stem != "csim-compare")


def _campaigns(directory: RunDirectory, records: RecordFiles, drawn: int | None) -> tuple[CampaignView, ...]:
    found = records.all(InjectRecord)
    shapes = _shapes(directory) if found else {}
    return tuple(
        CampaignView(
            record=record,
            outcomes=outcome_table(directory, file, record, COLUMNS)
            if drawn is None or record.faults <= drawn
            else None,
            shapes=shapes,
        )
        for file, record in found
    )


def _shapes(directory: RunDirectory) -> Mapping[str, tuple[int, ...]]:
    if not directory.network_file.exists():
        return {}
    return {name: tensor.words.shape for name, tensor in directory.network().tensors.items()}


def _ranking(directory: RunDirectory, records: RecordFiles) -> RankingView | None:
    record = records.one(RankRecord, "rank-bits")
    if record is None:
        return None
    file = inside(directory.path, record.ranking, directory.record_file("rank-bits"), "rank-bits")
    if record.oracle is None or not file.exists():
        return RankingView(record=record)
    names = ["damage", *(f"rank_{score.method}" for score in record.scores)]
    try:
        columns = pq.read_table(file, columns=names)
    except (OSError, pa.ArrowException) as error:
        raise damaged(file, f"{type(error).__name__}: {error}", "the ranking of a run", "rank-bits") from error
    if columns.num_rows != record.sites or columns.column_names != names:
        found = f"{columns.num_rows:,} rows of {', '.join(columns.column_names)}"
        raise damaged(file, found, f"{record.sites:,} of {', '.join(names)}, as the record says", "rank-bits")
    return RankingView(record=record, columns=columns)
