"""Read what the report shows from a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeval.mission_record import MissionRecord
from edgeval.outcome_tables import campaign_records, outcome_table
from edgeval.records import CompareRecord, ExportRecord, Kind, load_record
from edgeval.report.view import CampaignView, RunView
from edgeval.run_directory import RunDirectory

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
        mission=_optional(MissionRecord, directory.record_file("mission")),
    )


def _optional(kind: type[Kind], path: Path) -> Kind | None:
    return load_record(kind, path) if path.exists() else None


def _shapes(directory: RunDirectory) -> Mapping[str, tuple[int, ...]]:
    if not directory.network_file.exists():
        return {}
    return {name: tensor.words.shape for name, tensor in directory.network().tensors.items()}
