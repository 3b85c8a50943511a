"""What a sample of the faults says about all of them, as it stands in records."""

from __future__ import annotations

import msgspec


class Estimated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


class Stratum(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults of one tensor and bit, of which some were drawn at random.

    Attributes:
        tensor, bit: Where; ``None`` where the faults have no such place and are one stratum.
        population: How many there are.
        judged: How many of these were judged.
        known: Of the judged, those of the steps before the last; each counts for itself in every estimate.
        weight: How many faults each of the other judged ones stands for in every estimate.
        critical: Share of critical faults, with its interval.
    """

    tensor: str | None
    bit: int | None
    population: int
    judged: int
    known: int
    weight: float
    critical: Estimated | None


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Estimates from a sample of the faults.

    Attributes:
        design: ``stratified`` (tensor × bit, Neyman allocation) or ``simple`` (each fault with the same chance).
        confidence: Of every interval.
        margin: Half width asked for of the critical share; ``None`` where a number of faults was asked for.
        population: Faults that could be drawn.
        judged: Faults that were.
        rounds: In how many steps, each allocated by what the steps before it had seen.
        critical: Share of critical faults.
        decisions_changed: Mean share of samples whose decision a fault changes.
        metric_change: Mean change of the metric, in its unit.
        strata: One a tensor and bit; ``critical`` is ``None`` where none was drawn.
    """

    design: str
    confidence: float
    margin: float | None
    population: int
    judged: int
    rounds: int
    critical: Estimated
    decisions_changed: Estimated
    metric_change: Estimated
    strata: tuple[Stratum, ...]
