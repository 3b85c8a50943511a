"""What the report shows: records and tables of runs, already read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from edgeval.error_rate_record import ErrorRateRecord
from edgeval.hardening_record import HardenRecord
from edgeval.mission_record import MissionRecord
from edgeval.ranking_record import RankRecord
from edgeval.records import CompareRecord, ExportRecord, InjectRecord, RunRecord
from edgeval.worst_flips_record import WorstFlipsRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """One fault campaign.

    Attributes:
        record: What ``edgeval inject-faults`` found.
        outcomes: One row a fault; ``None`` where the tables were not kept.
        shapes: Shapes of the stored tensors by name, in data order; turns a flat index into a position.
    """

    record: InjectRecord
    outcomes: pa.Table | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


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
class RunView:
    """One run with every record it has.

    Attributes:
        name: What people call it, e.g. the name of its folder.
        run: What the run is of.
        export: ``None`` until ``edgeval export``.
        compare: ``None`` until ``edgeval csim-compare``.
        campaigns: One for each ``edgeval inject-faults``.
        ranking, error_rates, worst_flips, hardening, mission: ``None`` until ``edgeval rank-bits``, ``error-rate``,
            ``worst-flips``, ``harden``, ``mission``.
    """

    name: str
    run: RunRecord
    export: ExportRecord | None = None
    compare: CompareRecord | None = None
    campaigns: tuple[CampaignView, ...] = ()
    ranking: RankingView | None = None
    error_rates: ErrorRateRecord | None = None
    worst_flips: WorstFlipsRecord | None = None
    hardening: HardenRecord | None = None
    mission: MissionRecord | None = None
