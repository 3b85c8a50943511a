"""``--plan``: what a campaign would cost, without running it."""

from __future__ import annotations

from pathlib import Path

from edgeval.campaign_setup import set_up
from edgeval.fault_options import FaultOptions
from edgeval.plan_record import FaultPlan
from edgeval.run_directory import RunDirectory
from fault_injection.plan import plan_campaign
from hls.errors import UsageError

PLANNED_MARGIN = 0.01
"""Margin of the sample that a plan compares with, where none is asked for."""


def plan_run(run: RunDirectory, options: FaultOptions, inputs: Path | None = None) -> FaultPlan:
    """Predict a campaign's time and choose between all faults and a stratified sample; nothing is saved.

    Args:
        run: An exported run.
        options: Which faults, and how they would be judged.
        inputs: Samples other than the run's own.

    Raises:
        UsageError: as ``inject_run``, or a time of the C-simulation or a cluster is asked for.
    """
    if options.executor == "csim" or options.scheduler is not None:
        raise UsageError(
            found="--plan with --executor csim or --scheduler",
            allowed="a plan of the exact engine on this machine",
            where="command line",
            remedy="leave them out; divide the predicted time by the cores of a cluster",
        )
    setup = set_up(run, options, inputs)
    margin = PLANNED_MARGIN if options.margin is None else options.margin
    plan = plan_campaign(
        setup.campaign,
        place=setup.placement.place,
        workers=setup.placement.workers,
        budget_s=options.time_budget,
        margin=margin,
        confidence=options.confidence,
    )
    sampled = plan.chosen == "sample"
    return FaultPlan(
        fault=options.fault,
        faults=plan.faults,
        samples=len(setup.samples.inputs),
        detail=options.detail,
        probed=plan.probed,
        workers=setup.placement.workers,
        kernel_threads=setup.placement.kernel_threads,
        seconds=plan.seconds,
        time_budget=options.time_budget,
        margin=margin,
        confidence=options.confidence,
        sample=plan.sample,
        sample_seconds=plan.sample_seconds,
        chosen="sample" if sampled else "exhaustive",
        why=plan.why,
        options=f"--margin {margin:g} --confidence {options.confidence:g}" if sampled else "",
    )
