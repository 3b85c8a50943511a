"""The outcome tables of campaigns that a run holds, read back and held against their records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from edgeval.records import InjectRecord, load_record
from edgeval.run_directory import RunDirectory, require_inside
from hls.errors import RunDirectoryError


def campaign_records(run: RunDirectory) -> tuple[tuple[Path, InjectRecord], ...]:
    """Every campaign of a run with the file of its record, by the name of that file.

    Raises:
        RunDirectoryError: a record is damaged or of another version.
    """
    require_inside(run.path)
    paths = sorted((run.path / "records").glob("inject-faults-*.json"))
    return tuple((path, load_record(InjectRecord, path)) for path in paths)


def outcome_table(run: RunDirectory, path: Path, record: InjectRecord, columns: Sequence[str]) -> pa.Table | None:
    """The per-fault table of a campaign.

    Args:
        run: Where it is.
        path: File of the campaign's record, for messages.
        record: What that holds.
        columns: Which columns are needed.

    Returns:
        One row a fault; ``None`` where the parts were not kept.

    Raises:
        RunDirectoryError: a part is damaged or lacks a column, or there are not as many faults as the record says.
    """
    folder = inside(run.path, record.outcomes, path, "inject-faults")
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        return None
    try:
        table = pa.concat_tables([_part(part, columns) for part in parts]).unify_dictionaries()
    except pa.ArrowException as error:
        raise damaged(folder, f"parts that do not fit together: {error}", "parts of one campaign") from error
    if table.num_rows != record.faults:
        raise damaged(folder, f"{table.num_rows:,} faults in its parts", f"{record.faults:,}, as the record says")
    return table


def outcome_columns(run: RunDirectory, path: Path, record: InjectRecord) -> tuple[str, ...]:
    """Columns of the per-fault table of a campaign: those of its first part; none where the parts were not kept.

    Raises:
        RunDirectoryError: that part is damaged.
    """
    first = min(inside(run.path, record.outcomes, path, "inject-faults").glob("*.parquet"), default=None)
    if first is None:
        return ()
    try:
        return tuple(pq.read_schema(first).names)
    except (OSError, pa.ArrowException) as error:
        raise damaged(first, f"{type(error).__name__}: {error}", "a table of outcomes") from error


def _part(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        table = pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, f"{type(error).__name__}: {error}", "a table of outcomes") from error
    lacking = set(columns) - set(table.column_names)
    if lacking or ("tensor" in columns and not pa.types.is_dictionary(table.schema.field("tensor").type)):
        raise damaged(path, f"columns {', '.join(table.column_names)}", f"columns {', '.join(columns)}")
    return table


def inside(run: Path, name: str, record: Path, command: str) -> Path:
    """What a record names inside its run.

    Args:
        run: Folder of the run.
        name: Relative to it, as the record has it.
        record: File of the record, for messages.
        command: That writes the record.

    Raises:
        RunDirectoryError: it would lie outside.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise RunDirectoryError(
            found=f"outcomes in {name}",
            allowed="a folder inside the run",
            where=str(record),
            remedy=f"run `edgeval {command}` again",
        )
    return run / relative


def damaged(path: Path, found: str, allowed: str, command: str = "inject-faults") -> RunDirectoryError:
    """The error for a table that cannot be used."""
    return RunDirectoryError(
        found=found, allowed=allowed, where=str(path), remedy=f"delete it and run the same `edgeval {command}` again"
    )
