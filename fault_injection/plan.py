"""How long a campaign would take here: a few groups of faults are judged and timed, the rest is multiplied out."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fault_injection.campaign import Campaign
from fault_injection.fault_list import FaultList
from fault_injection.shards import Place, ThisProcess
from fault_injection.statistics import sample_size

PROBE_S = 20.0
"""A probe of more groups is not begun after this long; kinds that it did not come to are taken for the mean."""

PROBED_FAULTS = 2_048
"""Faults of a group that are timed at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign would cost, and what to do about it.

    Attributes:
        faults: How many there are.
        probed: How many were judged to find out.
        seconds: Predicted for all of them, with the workers and threads asked for.
        chosen: ``exhaustive`` where that is within the budget, or where a sample would be no smaller.
        sample: Faults of a stratified sample, in the worst case.
        sample_seconds: Predicted for those.
        why: The reason, for people.
    """

    faults: int
    probed: int
    seconds: float
    chosen: str
    sample: int
    sample_seconds: float
    why: str


def plan_campaign(
    campaign: Campaign,
    *,
    place: Place | None = None,
    workers: int = 1,
    budget_s: float,
    margin: float,
    confidence: float,
) -> Plan:
    """Predict a campaign's time on this machine and choose between all faults and a sample.

    Which faults are judged is fixed: the middle group of each tensor (of all, for faults that are in none). Their time
    is measured, so the prediction is an estimate and differs from machine to machine and from moment to moment.

    Args:
        campaign: What would be run.
        place: Tells how many kernel threads a worker has.
        workers: How many processes would share the work.
        budget_s: How long an exhaustive campaign may take.
        margin: Of a sample's critical share.
        confidence: Of that margin.

    Raises:
        UsageError: a margin or confidence out of range.
    """
    faults = campaign.faults
    sample = sample_size(len(faults), margin, confidence)
    seconds, probed = predicted_seconds(campaign, place or ThisProcess())
    seconds /= workers
    sample_seconds = seconds * sample / len(faults)
    exhaustive = True
    if seconds <= budget_s:
        why = f"{seconds:,.1f} s is within the budget of {budget_s:,.0f} s"
    elif sample >= len(faults):
        why = f"a margin of {margin:g} needs every one of {len(faults):,} faults"
    else:
        exhaustive = False
        why = f"{seconds:,.1f} s is beyond the budget of {budget_s:,.0f} s"
    return Plan(
        faults=len(faults),
        probed=probed,
        seconds=seconds,
        chosen="exhaustive" if exhaustive else "sample",
        sample=sample,
        sample_seconds=sample_seconds,
        why=why,
    )


def predicted_seconds(campaign: Campaign, place: Place) -> tuple[float, int]:
    """Time of all faults in one process, from that of some; and how many those were."""
    faults = campaign.faults
    kinds = _kinds(campaign, faults)
    campaign.outcomes(faults.take(kinds[0][0][:1]), place.threads)  # what is loaded or compiled once is not timed
    spent, probed, known, pending = 0.0, 0, 0.0, 0
    for group, number in kinds:
        if spent > PROBE_S:
            pending += number
            continue
        rows = group[:PROBED_FAULTS]
        started = perf_counter()
        campaign.outcomes(faults.take(rows), place.threads)
        seconds = perf_counter() - started
        spent += seconds
        probed += len(rows)
        known += seconds / len(rows) * number
    covered = len(faults) - pending
    return known * len(faults) / covered, probed


def _kinds(campaign: Campaign, faults: FaultList) -> list[tuple[np.ndarray, int]]:
    """A group of each tensor, and how many faults it speaks for."""
    groups = list(faults.groups(campaign.golden.graph))
    columns = faults.columns(campaign.golden.graph)
    if "tensor" not in columns.column_names:
        return [(groups[len(groups) // 2], len(faults))]
    tensor = columns["tensor"].combine_chunks().indices.to_numpy(zero_copy_only=False)
    kinds = []
    for code in np.unique(tensor):
        of_tensor = [group[tensor[group] == code] for group in groups]
        of_tensor = [group for group in of_tensor if len(group)]
        kinds.append((of_tensor[len(of_tensor) // 2], int((tensor == code).sum())))
    return kinds
