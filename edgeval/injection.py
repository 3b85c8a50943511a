"""One fault campaign on a run: faults, golden run, outcomes, cross-checks, estimates, record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from edgeval.campaign_setup import CampaignSetup, campaign_fingerprint, set_up
from edgeval.fault_lists import drawn
from edgeval.fault_options import FaultOptions
from edgeval.fingerprint import differences, identity
from edgeval.pipeline import export_record
from edgeval.progress import progress, say
from edgeval.records import CrossCheckRow, FaultRow, Fingerprint, InjectRecord, load_record, save_record
from edgeval.run_directory import RunDirectory
from edgeval.word_comparison import metric_value
from fault_injection.campaign import Campaign, run_campaign
from fault_injection.crosscheck import CrossCheck, checked_faults, cross_check
from fault_injection.estimates import Estimate, Estimated
from fault_injection.estimation import simple_estimate, stratified_estimate
from fault_injection.fault_list import FaultList
from fault_injection.statistics import quantile, with_other_samples
from fault_injection.stratified import StratifiedSample, run_sampled, strata_of
from fault_injection.summary import damage_table
from hls.csim import CSimulation, build_csim, open_csim
from hls.errors import RunDirectoryError
from hls.hls4ml_flow.canonical import canonical_model

WORST_FAULTS = 20

CLASSES = {"full": ("masked", "tolerable", "critical"), "decisions": ("kept", "critical")}
"""Classes of a fault by detail."""


def inject_run(run: RunDirectory, options: FaultOptions, inputs: Path | None = None) -> InjectRecord:
    """Judge the faults that are asked for, and save the record.

    Args:
        run: An exported run.
        options: Which faults, and how they are judged.
        inputs: Samples other than the run's own.

    Raises:
        UsageError: a filter that selects nothing, or an option out of range. RunDirectoryError: see ``RunDirectory``.
        LoweringError, ToolError: the C-simulation was asked for and cannot be had.
    """
    started = time.monotonic()
    setup = set_up(run, options, inputs)
    fingerprint = campaign_fingerprint(options, setup)
    folder = run.outcomes(identity(fingerprint))
    _require_same_campaign(run, folder.name, fingerprint)
    rng = np.random.default_rng(options.seed)
    needs_csim = options.executor == "csim" or options.verify_on_csim is not None
    with _csim(setup, options.workers) if needs_csim else contextlib.nullcontext(None) as csim:
        executor = csim if options.executor == "csim" else None
        setup = replace(setup, campaign=replace(setup.campaign, executor=executor))
        faults, outcomes, estimate = _judged(setup, options, folder, rng)
        campaign = replace(setup.campaign, faults=faults)
        brute = _brute_force(campaign, outcomes, options)
        check = _verify(campaign, outcomes, csim, options, rng)
    judged_by, where, samples = setup.judged_by, setup.placement, len(setup.samples.inputs)
    higher = judged_by.metric.direction == "higher"
    result = InjectRecord(
        fingerprint=fingerprint,
        outcomes=f"outcomes/{folder.name}",
        fault=options.fault,
        executor=options.executor,
        detail=options.detail,
        run_on=where.run_on,
        workers=where.workers,
        kernel_threads=where.kernel_threads,
        faults=len(faults),
        sites=len(setup.population.faults),
        pruned=setup.population.pruned,
        samples=samples,
        exhaustive=len(faults) == len(setup.population.faults),
        decision=judged_by.decision.kind,
        tolerance=judged_by.decision.tolerance,
        critical_share=options.critical_share,
        label_relative=setup.samples.labels is not None,
        metric=metric_value(judged_by.metric, setup.campaign.judge.metric()),
        classes=_classes(outcomes, CLASSES[options.detail]),
        damage=damage_table(outcomes, samples=samples, higher_is_better=higher),
        worst=_worst(outcomes, faults, higher_is_better=higher),
        decisions_changed=_decisions_changed(outcomes, samples, estimate, brute.changed, options.confidence),
        estimate=estimate,
        brute_force=_row("exact engine", brute),
        cross_check=check,
        seconds=time.monotonic() - started,
    )
    save_record(result, run.record_file(f"inject-faults-{folder.name}"))
    return result


def _judged(
    setup: CampaignSetup, options: FaultOptions, folder: Path, rng: np.random.Generator
) -> tuple[FaultList, pa.Table, Estimate | None]:
    """The faults that are judged, their outcomes, and what they say about all where they are a sample."""
    campaign, place = setup.campaign, setup.placement.place
    everything, samples = campaign.faults, campaign.golden.samples
    if options.margin is not None:
        strata = strata_of(everything, campaign.golden.graph)
        sample = StratifiedSample(
            strata=strata, margin=options.margin, confidence=options.confidence, seed=options.seed
        )
        with progress("faults of the sample") as advance:
            sampled = run_sampled(campaign, sample, folder, advance, place=place, fingerprint=folder.name)
        estimate = stratified_estimate(sample, sampled, samples=samples)
        return everything.take(sampled.rows), sampled.outcomes, estimate
    rows = np.arange(len(everything)) if options.sample is None else drawn(everything, options.sample, rng)
    faults = everything.take(rows)
    with progress("faults") as advance:
        part = replace(campaign, faults=faults)
        outcomes = run_campaign(part, folder, advance, place=place, fingerprint=folder.name)
    if len(rows) == len(everything):
        return faults, outcomes, None
    strata = strata_of(everything, campaign.golden.graph)
    estimate = simple_estimate(
        strata, rows, outcomes, samples=samples, confidence=options.confidence, seed=options.seed
    )
    return faults, outcomes, estimate


@contextlib.contextmanager
def _csim(setup: CampaignSetup, workers: int | None) -> Iterator[CSimulation]:
    graph = setup.campaign.golden.graph
    if export_record(setup.run).refused is not None:
        canonical_model(graph)  # raises with layer, reason and remedy
    with open_csim(graph, build_csim(setup.run.project, say), workers=workers) as csim:
        yield csim


def _brute_force(campaign: Campaign, outcomes: pa.Table, options: FaultOptions) -> CrossCheck:
    golden = campaign.golden
    count = options.cross_check or checked_faults(golden.graph, golden.samples, len(campaign.faults))
    rng = np.random.default_rng([options.seed, 1])
    with progress("cross-check by brute force") as advance:
        return cross_check(campaign, outcomes, count, rng, advance)


def _verify(
    campaign: Campaign, outcomes: pa.Table, csim: CSimulation | None, options: FaultOptions, rng: np.random.Generator
) -> CrossCheckRow | None:
    if options.verify_on_csim is None or csim is None:
        return None
    with progress("cross-check on the C-simulation") as advance:
        check = cross_check(campaign, outcomes, options.verify_on_csim, rng, advance, executor=csim)
    return _row("C-simulation", check)


def _row(executor: str, check: CrossCheck) -> CrossCheckRow:
    return CrossCheckRow(executor=executor, faults=check.faults, words=check.words, mismatches=check.mismatches)


def _decisions_changed(
    outcomes: pa.Table, samples: int, estimate: Estimate | None, changed: np.ndarray, confidence: float
) -> Estimated:
    """The mean over all faults; the faults run by brute force tell how much it hangs on the samples."""
    mean, variance = float(outcomes["decisions_changed"].to_numpy().mean() / samples), 0.0
    if estimate is not None:
        mean = estimate.decisions_changed.value
        width = estimate.decisions_changed.high - estimate.decisions_changed.low
        variance = (width / (2 * quantile(confidence))) ** 2
    if samples < 2:
        return Estimated(value=mean, low=0.0, high=1.0)
    interval = with_other_samples(mean, changed, confidence, variance)
    return Estimated(value=mean, low=interval.low, high=interval.high)


def _require_same_campaign(run: RunDirectory, name: str, fingerprint: Fingerprint) -> None:
    """Keep the fingerprint beside the parts, and refuse parts that belong to another one."""
    path = run.outcomes(name) / "_fingerprint.json"  # the underscore hides it from Parquet readers of the folder
    if not path.exists():
        save_record(fingerprint, path)
        return
    if changes := differences(load_record(Fingerprint, path), fingerprint):
        raise RunDirectoryError(
            found=f"outcomes of another campaign ({'; '.join(changes)})",
            allowed="outcomes of this campaign",
            where=str(path.parent),
            remedy="delete that folder and run the command again",
        )


def _classes(outcomes: pa.Table, names: tuple[str, ...]) -> dict[str, int]:
    counts = outcomes["outcome"].value_counts().to_pylist()
    found = {entry["values"]: int(entry["counts"]) for entry in counts}
    return {name: found.get(name, 0) for name in names}


def _worst(outcomes: pa.Table, faults: FaultList, *, higher_is_better: bool) -> tuple[FaultRow, ...]:
    change = outcomes["metric_change"].to_numpy()
    harm = -change if higher_is_better else change
    order = np.argsort(-harm, kind="stable")[:WORST_FAULTS]
    rows = outcomes.take(pa.array(order)).to_pylist()
    return tuple(
        FaultRow(
            site=faults.text(int(position)),
            golden_word=row.get("golden_word"),
            faulty_word=row.get("faulty_word"),
            metric_change=row["metric_change"],
            decisions_changed=row["decisions_changed"],
        )
        for position, row in zip(order, rows, strict=True)
        if harm[position] > 0
    )
