"""What a flipped stored bit of a run does, as the baseline keeps it: mean and worst, from one campaign."""

from __future__ import annotations

from typing import Literal

from edgeval.evaluation import run_metric
from edgeval.fault_options import FaultOptions
from edgeval.injection import inject_run
from edgeval.records import InjectRecord
from edgeval.regression.baseline import LockedFaults
from edgeval.regression.stored_network import stored_bits
from edgeval.run_directory import RunDirectory
from fault_injection.crosscheck import forward_macs
from hls.errors import InputError, UsageError

EXHAUSTIVE_WORK = 2 * 10**11
"""Faults × samples × multiplications of an inference up to which every stored bit is flipped: some ten seconds."""
SAMPLED_FAULTS = 2_000
"""Drawn where flipping every bit would be more work than that."""
NONE_ASKED = "none were asked for (--faults none)"


def parse_faults(text: str | None) -> int | Literal["all"] | None:
    """``--faults``: a number, ``all``, ``none`` as 0, or ``None`` where it is left to the size of the network.

    Raises:
        UsageError: something else.
    """
    if text is None or text == "all":
        return "all" if text else None
    if text == "none":
        return 0
    if not text.isdecimal() or int(text) == 0:
        raise UsageError(
            found=repr(text),
            allowed="a number of faults, all, or none",
            where="--faults",
            remedy="write e.g. --faults 2000",
        )
    return int(text)


def chosen_faults(run: RunDirectory, wanted: int | Literal["all"] | None) -> int:
    """How many faults are judged: as asked for, or as many as are affordable."""
    graph = run.network()
    sites = stored_bits(graph)
    if wanted == "all":
        return sites
    if wanted is not None:
        return min(wanted, sites)
    work = sites * len(run.samples().inputs) * forward_macs(graph)
    return sites if work <= EXHAUSTIVE_WORK else min(SAMPLED_FAULTS, sites)


def measure_faults(
    run: RunDirectory, faults: int, *, seed: int = 0, tolerance: float | None = None, workers: int | None = None
) -> LockedFaults:
    """Flip stored bits one at a time and judge each on the evaluation set.

    Args:
        run: An exported run; outcomes are written into it.
        faults: How many, drawn without repeats; all of them where that is as many as there are bits.
        seed: Of the draw.
        tolerance: Of a regression's decision; ``None`` for the RMSE between float model and network.
        workers: Processes.

    Raises:
        InputError: brute force disagrees with the campaign, so that nothing it says can be kept.
    """
    record, graph = run.run_record(), run.network()
    sites = stored_bits(graph)
    if faults == 0:
        return LockedFaults(skipped=NONE_ASKED)
    regression = record.task == "regression"
    if regression and tolerance is None and run.samples().float_outputs is None:
        return LockedFaults(skipped="a regression without a float model needs --critical-threshold to be judged")
    classes = not regression and run_metric(record).name == "accuracy"
    result = inject_run(
        run,
        FaultOptions(
            sample=None if faults >= sites else faults,
            seed=seed,
            detail="decisions" if classes else "full",
            critical_threshold=tolerance if regression else None,
            workers=workers,
        ),
    )
    _require_confirmed(result)
    return _locked(result, sites, seed)


def _require_confirmed(result: InjectRecord) -> None:
    if wrong := result.brute_force.mismatches:
        raise InputError(
            found=f"{len(wrong)} faults that brute force judges otherwise, first {wrong[0]}",
            allowed="a campaign that brute force confirms",
            where="fault campaign",
            remedy="please report this network: the campaign or the engine is wrong",
        )


def _locked(result: InjectRecord, sites: int, seed: int) -> LockedFaults:
    sign = -1.0 if result.metric.direction == "higher" else 1.0
    mean = sum(row.faults * row.mean_metric_change for row in result.damage) / result.faults
    decisions = sum(row.faults * row.mean_decisions_changed for row in result.damage) / result.faults
    worst = result.worst[0] if result.worst else None
    return LockedFaults(
        faults=result.faults,
        sites=sites,
        seed=seed,
        tolerance=result.tolerance if result.decision == "tolerance" else None,
        metric=result.metric,
        mean_harm=float(f"{sign * mean:.12g}"),  # twelve digits: sums of floats may end otherwise elsewhere
        mean_decisions=float(f"{decisions:.12g}"),
        worst_harm=float(f"{sign * worst.metric_change:.12g}") if worst else 0.0,
        worst_site=worst.site if worst else "",
    )
