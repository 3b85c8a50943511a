"""The campaign of a run that judged a flip of every stored bit: what rankings of bits and hardening start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from edgeval.evaluation import evaluation
from edgeval.fingerprint import identity
from edgeval.judging import make_judge
from edgeval.outcome_tables import campaign_records, outcome_table
from edgeval.records import InjectRecord
from edgeval.run_directory import RunDirectory, Samples
from fault_injection.outcomes import Judge
from fault_injection.sites import all_sites
from hls.errors import RunDirectoryError, UsageError
from hls.graph import IntegerGraph
from hls.serialize import digest

COLUMNS = ("site", "decisions_changed", "metric_change")
"""Of the outcome table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustiveCampaign:
    """One campaign and what is needed to judge further faults as it did.

    Attributes:
        record: Of the campaign.
        outcomes: One row a stored bit, in order.
        judge: As the campaign's.
        samples: Its evaluation set.
    """

    record: InjectRecord
    outcomes: pa.Table
    judge: Judge
    samples: Samples


def exhaustive_campaign(run: RunDirectory, wanted: str | None = None) -> ExhaustiveCampaign:
    """Find the campaign of flips of every stored bit of a run.

    Args:
        run: An exported run.
        wanted: Identity of one of several; ``None`` for the one on the most samples.

    Raises:
        RunDirectoryError: there is none of this network and these samples, or its table is damaged.
        UsageError: several judge as many samples, and none was named.
    """
    graph, samples = run.network(), run.samples()
    found = {}
    for path, record in campaign_records(run):
        if _judges_every_flip(record, graph) and _same_samples(record, samples):
            found[identity(record.fingerprint)] = (path, record)
    path, record = _chosen(run, found, wanted)
    outcomes = outcome_table(run, path, record, COLUMNS)
    if outcomes is None:
        raise _missing(run, found, "outcome tables that are gone")
    judged_on = samples.first(record.samples)
    threshold = record.tolerance if record.decision == "tolerance" else None
    judged_by = evaluation(run.run_record(), graph, judged_on, threshold, record.metric.name)
    return ExhaustiveCampaign(
        record=record,
        outcomes=outcomes,
        judge=make_judge(graph, judged_on, judged_by, record.critical_share),
        samples=judged_on,
    )


def _judges_every_flip(record: InjectRecord, graph: IntegerGraph) -> bool:
    whole = record.exhaustive and record.fault == "flip" and record.faults == len(all_sites(graph))
    return whole and record.fingerprint.digests.get("network") == digest(graph)


def _same_samples(record: InjectRecord, samples: Samples) -> bool:
    if record.samples > len(samples.inputs):
        return False
    return record.fingerprint.digests.get("data") == samples.first(record.samples).digest


def _chosen(
    run: RunDirectory, found: dict[str, tuple[Path, InjectRecord]], wanted: str | None
) -> tuple[Path, InjectRecord]:
    if wanted is not None and wanted in found:
        return found[wanted]
    if wanted is not None or not found:
        missing = f"no campaign {wanted}" if wanted else "no campaign that flipped every stored bit"
        raise _missing(run, found, missing)
    most = max(record.samples for _, record in found.values())
    best = [name for name, (_, record) in found.items() if record.samples == most]
    # What is read of a table is the same in either detail; both are there where decisions were looked at first.
    best = [name for name in best if found[name][1].detail == "full"] or best
    if len(best) > 1:
        raise UsageError(
            found=f"{len(best)} campaigns that flipped every stored bit on {most:,} samples",
            allowed=", ".join(best),
            where="--campaign",
            remedy="name one of these identities",
        )
    return found[best[0]]


def _missing(run: RunDirectory, found: Iterable[str], missing: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=missing,
        allowed=", ".join(found) or "one of this network, on the run's own samples",
        where=str(run.path / "records"),
        remedy=f"run `edgeval inject-faults {run.path}` first",
    )
