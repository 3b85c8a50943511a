"""One fault campaign on a run: sites, golden run, outcomes, cross-check on the C-simulation, record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from edgeval.compare import metric_value
from edgeval.evaluation import Evaluation, evaluation
from edgeval.fault_options import FaultOptions
from edgeval.fingerprint import differences, digest_arrays, identity, make_fingerprint
from edgeval.pipeline import export_record
from edgeval.progress import progress, say
from edgeval.records import (
    CrossCheckRow,
    FaultRow,
    Fingerprint,
    InjectRecord,
    load_record,
    save_record,
)
from edgeval.run_directory import RunDirectory, Samples, load_samples
from fault_injection.campaign import Campaign, cross_check, run_campaign
from fault_injection.golden import golden_run
from fault_injection.outcomes import Judge
from fault_injection.sites import SiteTable, pruned_count, sample_sites, select_sites
from fault_injection.summary import damage_table
from hls.csim import CSimulation, build_csim, open_csim
from hls.errors import RunDirectoryError, UsageError
from hls.graph import IntegerGraph
from hls.hls4ml_flow.canonical import canonical_model
from hls.serialize import digest

WORST_FAULTS = 20


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
    _require_options(options)
    started = time.monotonic()
    record = run.run_record()
    graph = run.network()
    samples = (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(options.samples)
    filtered = select_sites(graph, tensors=options.tensors, bits=options.bits)
    selected = select_sites(graph, tensors=options.tensors, bits=options.bits, skip_pruned=options.skip_pruned)
    rng = np.random.default_rng(options.seed)
    sites = selected if options.sample is None else sample_sites(selected, options.sample, rng)
    judged_by = evaluation(record, graph, samples, options.critical_threshold)
    judge = _judge(graph, samples, judged_by, options.critical_share)
    fingerprint = _fingerprint(options, graph, samples, judged_by)
    folder = run.outcomes(identity(fingerprint))
    _require_same_campaign(run, folder.name, fingerprint)
    needs_csim = options.executor == "csim" or options.verify_on_csim is not None
    with _csim(run, graph, options.workers) if needs_csim else contextlib.nullcontext(None) as csim:
        executor = csim if options.executor == "csim" else None
        campaign = Campaign(judge=judge, sites=sites, model=options.fault, executor=executor)
        with progress("faults") as advance:
            outcomes = run_campaign(campaign, folder, advance)
        check = _verify(campaign, csim, options, rng)
    result = InjectRecord(
        fingerprint=fingerprint,
        outcomes=f"outcomes/{folder.name}",
        fault=options.fault,
        executor=options.executor,
        faults=len(sites),
        sites=len(selected),
        pruned=pruned_count(graph, filtered),
        samples=len(samples.inputs),
        exhaustive=len(sites) == len(selected),
        decision=judged_by.decision.kind,
        tolerance=judged_by.decision.tolerance,
        critical_share=options.critical_share,
        label_relative=samples.labels is not None,
        metric=metric_value(judged_by.metric, judge.metric()),
        classes=_classes(outcomes),
        damage=damage_table(
            outcomes, samples=len(samples.inputs), higher_is_better=judged_by.metric.direction == "higher"
        ),
        worst=_worst(outcomes, sites, higher_is_better=judged_by.metric.direction == "higher"),
        cross_check=check,
        seconds=time.monotonic() - started,
    )
    save_record(result, run.record_file(f"inject-faults-{folder.name}"))
    return result


def _require_options(options: FaultOptions) -> None:
    if not 0 <= options.critical_share <= 1:
        raise UsageError(
            found=f"{options.critical_share:g}", allowed="0 to 1", where="--critical-share", remedy="give a share"
        )
    if options.verify_on_csim is not None and options.verify_on_csim < 1:
        raise UsageError(
            found=str(options.verify_on_csim), allowed="1 or more", where="--verify-on-csim", remedy="give a number"
        )


def _judge(graph: IntegerGraph, samples: Samples, judged_by: Evaluation, critical_share: float) -> Judge:
    return Judge(
        golden=golden_run(graph, graph.quantize_inputs(samples.inputs)),
        decision=judged_by.decision,
        labels=judged_by.labels,
        per_sample=judged_by.metric.per_sample,
        finish=judged_by.metric.finish,
        critical_share=critical_share,
    )


@contextlib.contextmanager
def _csim(run: RunDirectory, graph: IntegerGraph, workers: int | None) -> Iterator[CSimulation]:
    if export_record(run).refused is not None:
        canonical_model(graph)  # raises with layer, reason and remedy
    with open_csim(graph, build_csim(run.project, say), workers=workers) as csim:
        yield csim


def _verify(
    campaign: Campaign, csim: CSimulation | None, options: FaultOptions, rng: np.random.Generator
) -> CrossCheckRow | None:
    if options.verify_on_csim is None or csim is None:
        return None
    with progress("cross-check on the C-simulation") as advance:
        check = cross_check(campaign, csim, options.verify_on_csim, rng, advance)
    return CrossCheckRow(executor="C-simulation", faults=check.faults, words=check.words, mismatches=check.mismatches)


def _fingerprint(options: FaultOptions, graph: IntegerGraph, samples: Samples, judged_by: Evaluation) -> Fingerprint:
    arrays = {"inputs": samples.inputs, **({} if samples.labels is None else {"labels": samples.labels})}
    return make_fingerprint(
        "inject-faults",
        {
            "tensors": list(options.tensors),
            "bits": options.bits,
            "sample": options.sample,
            "fault": options.fault,
            "executor": options.executor,
            "skip-pruned": options.skip_pruned,
            "decision": judged_by.decision.kind,
            "tolerance": judged_by.decision.tolerance,
            "critical-share": options.critical_share,
        },
        # A campaign over every site draws nothing: another seed is the same campaign then.
        seeds={"sample": options.seed} if options.sample is not None else {},
        digests={"network": digest(graph), "data": digest_arrays(arrays)},
    )


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


def _classes(outcomes: pa.Table) -> dict[str, int]:
    counts = outcomes["outcome"].value_counts().to_pylist()
    found = {entry["values"]: int(entry["counts"]) for entry in counts}
    return {name: found.get(name, 0) for name in ("masked", "tolerable", "critical")}


def _worst(outcomes: pa.Table, sites: SiteTable, *, higher_is_better: bool) -> tuple[FaultRow, ...]:
    change = outcomes["metric_change"].to_numpy()
    harm = -change if higher_is_better else change
    order = np.argsort(-harm, kind="stable")[:WORST_FAULTS]
    rows = outcomes.take(pa.array(order)).to_pylist()
    return tuple(
        FaultRow(
            site=str(sites.site(int(position))),
            golden_word=row["golden_word"],
            faulty_word=row["faulty_word"],
            metric_change=row["metric_change"],
            decisions_changed=row["decisions_changed"],
        )
        for position, row in zip(order, rows, strict=True)
        if harm[position] > 0
    )
