"""Every record file of a run: read as what its name says, or named with the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.plan_record import FaultPlan
from edgeval.ranking_record import RankRecord
from edgeval.records import CompareRecord, EmulatorRecord, ExportRecord, InjectRecord, Kind, MatrixRecord, load_record
from edgeval.regression_record import RegressRecord
from edgeval.report.view import Unread
from edgeval.self_test_record import SelfTestRecord
from edgeval.worst_flips_record import WorstFlipsRecord
from hls.errors import RunDirectoryError

NAMES: Mapping[str, type[msgspec.Struct]] = {
    "export": ExportRecord,
    "csim-compare": CompareRecord,
    "csim-compare-matrix": MatrixRecord,
    "emulator": EmulatorRecord,
    "rank-bits": RankRecord,
    "error-rate": ErrorRateRecord,
    "worst-flips": WorstFlipsRecord,
    "harden": HardenRecord,
    "mission": MissionRecord,
    "regress-check": RegressRecord,
    "fault-plan": FaultPlan,
}
"""Record files by name, without ``.json``; see docs/interfaces.md, Records."""

BEGINNINGS: Mapping[str, type[msgspec.Struct]] = {
    "csim-compare-": CompareRecord,  # poked, or of another back end
    "inject-faults-": InjectRecord,
    "self-test-": SelfTestRecord,
}
"""Those whose name goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFiles:
    """What a run's ``records`` folder holds.

    Attributes:
        read: Records by file, in the order of their names.
        unread: The other files.
    """

    read: Mapping[Path, msgspec.Struct]
    unread: tuple[Unread, ...]

    def one(self, kind: type[Kind], name: str) -> Kind | None:
        """The record of that name, if there is one."""
        return next((found for path, found in self.all(kind) if path.stem == name), None)

    def all(self, kind: type[Kind]) -> list[tuple[Path, Kind]]:
        """All records of a kind with their files."""
        return [(path, record) for path, record in self.read.items() if isinstance(record, kind)]


def read_records(folder: Path) -> RecordFiles:
    """Read every file in a folder of records.

    Args:
        folder: ``records`` of a run; need not exist.
    """
    read: dict[Path, msgspec.Struct] = {}
    unread: list[Unread] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue  # a file that is being written
        kind = kind_of(path)
        if kind is None:
            unread.append(Unread(file=path.name, found="not a record that this version of edgeval knows", remedy=""))
            continue
        try:
            read[path] = load_record(kind, path)
        except RunDirectoryError as error:
            unread.append(Unread(file=path.name, found=error.found, remedy=error.remedy))
    return RecordFiles(read=read, unread=tuple(unread))


def kind_of(path: Path) -> type[msgspec.Struct] | None:
    """What a file should hold, by its name; ``None`` for a name that no command writes."""
    if path.suffix != ".json":
        return None
    named = NAMES.get(path.stem)
    return named or next((kind for start, kind in BEGINNINGS.items() if path.stem.startswith(start)), None)
