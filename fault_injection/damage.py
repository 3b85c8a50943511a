"""One row of the layer × bit table, as it stands in records."""

from __future__ import annotations

import msgspec


class DamageRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All faults of one tensor and bit position.

    Attributes:
        bit: 0 is the least significant.
        faults: How many were judged.
        masked, tolerable, critical: Share of these faults whose own class it is; they sum to 1. The first two are
            ``None`` where only decisions are known.
        mean_metric_change, worst_metric_change: In units of the metric; worst is the most harmful one.
        mean_decisions_changed: Share of samples whose decision a fault changes, averaged over the faults.
        worst_site: Site number of the most harmful fault.
    """

    tensor: str
    bit: int
    faults: int
    masked: float | None
    tolerable: float | None
    critical: float
    mean_metric_change: float
    worst_metric_change: float
    mean_decisions_changed: float
    worst_site: int
