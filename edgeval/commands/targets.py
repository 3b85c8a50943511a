"""``edgeval targets``: what can be built by name."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import msgspec
from cyclopts import Parameter

from edgeval.architecture import Architecture
from edgeval.report.text import write_json, write_table
from edgeval.targets import TARGETS, Target


class TargetRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One target as listed."""

    name: str
    title: str
    task: str
    metric: str
    unit: str
    direction: str
    architecture: Architecture
    input_bits: int
    licence: str
    source: str


class TargetsRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.targets/2"):
    """What ``edgeval targets --json`` prints."""

    targets: tuple[TargetRow, ...]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class TargetsConfig:
    """Options of ``edgeval targets``."""

    _: KW_ONLY
    json: bool = False
    """Print the record instead of a table."""


def targets(config: TargetsConfig = TargetsConfig()) -> int:
    """List the targets: data, model and metric that can be built by name."""
    record = TargetsRecord(targets=tuple(_row(target) for target in TARGETS.values()))
    if config.json:
        write_json(record)
        return 0
    write_table(
        ["target", "what it is", "task", "metric", "network", "input word", "licence"],
        [
            [
                row.name,
                row.title,
                row.task,
                f"{row.metric} ({row.unit}, {row.direction} is better)",
                row.architecture.text,
                f"{row.input_bits} bit",
                row.licence,
            ]
            for row in record.targets
        ],
    )
    return 0


def _row(target: Target) -> TargetRow:
    return TargetRow(
        name=target.name,
        title=target.title,
        task=target.task,
        metric=target.metric.name,
        unit=target.metric.unit,
        direction=target.metric.direction,
        architecture=target.architecture,
        input_bits=target.input_format.width_bits,
        licence=target.origin.licence,
        source=target.origin.source,
    )
