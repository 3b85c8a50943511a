"""What a campaign and its plan have in common: faults, samples, judge, place, and the identity of all that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeval.evaluation import Evaluation, evaluation
from edgeval.fault_lists import Population, population_of
from edgeval.fault_options import FaultOptions
from edgeval.fingerprint import make_fingerprint
from edgeval.judging import make_judge
from edgeval.placement import Placement, placement
from edgeval.records import Fingerprint
from edgeval.run_directory import RunDirectory, Samples, load_samples
from fault_injection.campaign import Campaign
from fault_injection.statistics import quantile, sample_size
from hls.errors import UsageError
from hls.serialize import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSetup:
    """A campaign over all faults that the filters leave.

    Attributes:
        run: Of which network.
        samples: Evaluation set.
        population: The faults.
        judged_by: Metric and decision.
        campaign: Judges any of the faults, on the exact engine.
        placement: Where.
    """

    run: RunDirectory
    samples: Samples
    population: Population
    judged_by: Evaluation
    campaign: Campaign
    placement: Placement


def set_up(run: RunDirectory, options: FaultOptions, inputs: Path | None) -> CampaignSetup:
    """Read the run, select the faults and run the fault-free network.

    Raises:
        UsageError: a filter that selects nothing, or an option out of range. RunDirectoryError: see ``RunDirectory``.
    """
    _require_options(options)
    where = placement(options)
    record = run.run_record()
    graph = run.network()
    samples = (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(options.samples)
    population = population_of(graph, options)
    judged_by = evaluation(record, graph, samples, options.critical_threshold, options.metric)
    _require_detail(options, judged_by)
    judge = make_judge(graph, samples, judged_by, options.critical_share)
    campaign = Campaign(judge=judge, faults=population.faults, detail=options.detail)
    return CampaignSetup(
        run=run, samples=samples, population=population, judged_by=judged_by, campaign=campaign, placement=where
    )


def campaign_fingerprint(options: FaultOptions, setup: CampaignSetup) -> Fingerprint:
    """Everything the outcomes of a campaign depend on; not how many workers computed them."""
    decision = setup.judged_by.decision
    drawing = options.sample is not None or options.margin is not None
    return make_fingerprint(
        "inject-faults",
        {
            "tensors": list(options.tensors),
            "bits": options.bits,
            "sample": options.sample,
            "margin": options.margin,
            # Elsewhere it decides how long intervals are, not which faults are judged.
            "confidence": None if options.margin is None else options.confidence,
            "fault": options.fault,
            "metric": setup.judged_by.metric.name,
            "executor": options.executor,
            "detail": options.detail,
            "skip-pruned": options.skip_pruned,
            "decision": decision.kind,
            "tolerance": decision.tolerance,
            "critical-share": options.critical_share,
            **_of_kind(options),
        },
        # A campaign over every site draws nothing: another seed is the same campaign then.
        seeds={"sample": options.seed} if drawing else {},
        digests={"network": digest(setup.campaign.golden.graph), "data": setup.samples.digest},
    )


def _of_kind(options: FaultOptions) -> dict[str, object]:
    """Options that one kind of fault alone has."""
    match options.fault:
        case "upset":
            layout = {"interleave": options.interleave, "words-per-row": options.words_per_row}
            return {"pattern": options.pattern, **layout}
        case "transient":
            return {"values": list(options.values)}
    return {}


def _require_options(options: FaultOptions) -> None:
    if not 0 <= options.critical_share <= 1:
        raise UsageError(
            found=f"{options.critical_share:g}", allowed="0 to 1", where="--critical-share", remedy="give a share"
        )
    numbers = {
        "--sample": options.sample,
        "--verify-on-csim": options.verify_on_csim,
        "--cross-check": options.cross_check,
    }
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UsageError(found=str(value), allowed="1 or more", where=name, remedy="give a positive number")
    quantile(options.confidence)
    if options.margin is not None:
        sample_size(1, options.margin)
        if options.sample is not None:
            raise UsageError(
                found="--sample and --margin",
                allowed="one of them: a number of faults, or how well their critical share is to be known",
                where="command line",
                remedy="leave one of them out",
            )
    if options.time_budget <= 0:
        raise UsageError(
            found=f"{options.time_budget:g} s", allowed="above 0", where="--time-budget", remedy="give seconds"
        )


def _require_detail(options: FaultOptions, judged_by: Evaluation) -> None:
    if options.detail == "decisions" and (judged_by.decision.kind != "argmax" or judged_by.metric.name != "accuracy"):
        raise UsageError(
            found=f"--detail decisions for a {judged_by.decision.kind} decision and the metric {judged_by.metric.name}",
            allowed="arg-max decisions and accuracy, which follow from decisions alone",
            where="--detail",
            remedy="use --detail full",
        )
