"""Read what the report shows from a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.outcome_tables import campaign_records, damaged, inside, outcome_table
from edgeval.ranking_record import RankRecord
from edgeval.records import CompareRecord, ExportRecord, Kind, load_record
from edgeval.report.view import CampaignView, RankingView, RunView
from edgeval.run_directory import RunDirectory
from edgeval.worst_flips_record import WorstFlipsRecord

COLUMNS = ("tensor", "index", "bit", "metric_change", "decisions_changed")
"""Of the outcome tables, what the figures need."""


def load_run_view(path: Path) -> RunView:
    """Everything the report shows about a run; records that were never made are left out.

    Args:
        path: A run directory.

    Raises:
        RunDirectoryError: not a run directory, or a file in it is damaged.
    """
    directory = RunDirectory(path)
    run = directory.run_record()
    records = campaign_records(directory)
    shapes = _shapes(directory) if records else {}
    return RunView(
        name=path.resolve().name,
        run=run,
        export=_optional(ExportRecord, directory.record_file("export")),
        compare=_optional(CompareRecord, directory.record_file("csim-compare")),
        campaigns=tuple(
            CampaignView(record=record, outcomes=outcome_table(directory, file, record, COLUMNS), shapes=shapes)
            for file, record in records
        ),
        ranking=_ranking(path, directory.record_file("rank-bits")),
        error_rates=_optional(ErrorRateRecord, directory.record_file("error-rate")),
        worst_flips=_optional(WorstFlipsRecord, directory.record_file("worst-flips")),
        hardening=_optional(HardenRecord, directory.record_file("harden")),
        mission=_optional(MissionRecord, directory.record_file("mission")),
    )


def _optional(kind: type[Kind], path: Path) -> Kind | None:
    return load_record(kind, path) if path.exists() else None


def _shapes(directory: RunDirectory) -> Mapping[str, tuple[int, ...]]:
    if not directory.network_file.exists():
        return {}
    return {name: tensor.words.shape for name, tensor in directory.network().tensors.items()}


def _ranking(run: Path, path: Path) -> RankingView | None:
    if not path.exists():
        return None
    record = load_record(RankRecord, path)
    file = inside(run, record.ranking, path, "rank-bits")
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
