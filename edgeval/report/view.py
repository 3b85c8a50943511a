"""What the report shows: records and tables of runs, already read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.plan_record import FaultPlan
from edgeval.ranking_record import RankRecord
from edgeval.records import CompareRecord, EmulatorRecord, ExportRecord, InjectRecord, MatrixRecord, RunRecord
from edgeval.regression_record import RegressRecord
from edgeval.self_test_record import SelfTestRecord
from edgeval.worst_flips_record import WorstFlipsRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """One fault campaign.

    Attributes:
        record: What ``edgeval inject-faults`` found.
        outcomes: One row a fault; ``None`` where the tables were not kept, or are too large to be drawn.
        shapes: Shapes of the stored tensors by name, in data order; turns a flat index into a position.
        browse: Address of the page that shows the table fault by fault; ``None`` where nothing serves one.
    """

    record: InjectRecord
    outcomes: pa.Table | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    browse: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingView:
    """Ranked bits.

    Attributes:
        record: What ``edgeval rank-bits`` found.
        columns: ``damage`` and ``rank_<method>`` of every site; ``None`` where they were not scored or not kept.
    """

    record: RankRecord
    columns: pa.Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file among the records that the report cannot show.

    Attributes:
        file: Its name.
        found: Why not.
        remedy: What can be done; empty where nothing is known.
    """

    file: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run with every record it has.

    Attributes:
        name: What people call it, e.g. the name of its folder.
        run: What the run is of.
        export: ``None`` until ``edgeval export``.
        compare: ``None`` until ``edgeval csim-compare``.
        comparisons: The other ones by what sets them apart: poked, or of another back end.
        matrix, emulator, regression: ``None`` until ``edgeval csim-compare --matrix``, ``emulator``, ``regress check``.
        self_tests: One for each verb that was tested.
        campaigns: One for each ``edgeval inject-faults``.
        plan: A campaign that was not run, where its plan was saved.
        ranking, error_rates, worst_flips, hardening, mission: ``None`` until ``edgeval rank-bits``, ``error-rate``,
            ``worst-flips``, ``harden``, ``mission``.
        unread: Files among the records that are damaged, of another version, or unknown.
    """

    name: str
    run: RunRecord
    export: ExportRecord | None = None
    compare: CompareRecord | None = None
    comparisons: tuple[tuple[str, CompareRecord], ...] = ()
    matrix: MatrixRecord | None = None
    emulator: EmulatorRecord | None = None
    self_tests: tuple[SelfTestRecord, ...] = ()
    campaigns: tuple[CampaignView, ...] = ()
    plan: FaultPlan | None = None
    ranking: RankingView | None = None
    error_rates: ErrorRateRecord | None = None
    worst_flips: WorstFlipsRecord | None = None
    hardening: HardenRecord | None = None
    mission: MissionRecord | None = None
    regression: RegressRecord | None = None
    unread: tuple[Unread, ...] = ()
