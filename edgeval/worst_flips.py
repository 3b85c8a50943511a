"""The worst flips of a run: greedy search, record."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgeval.fingerprint import make_fingerprint
from edgeval.judging import Judging, judging
from edgeval.progress import progress
from edgeval.records import save_record
from edgeval.run_directory import RunDirectory
from edgeval.word_comparison import metric_value
from edgeval.worst_flips_record import Ending, FlipRow, WorstFlipsRecord
from fault_injection.cores import share_cores
from fault_injection.sites import select_sites
from fault_injection.worst_flips import Search, WorstFlip, worst_flips


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFlipsOptions:
    """What is searched; see ``docs/commands/worst-flips.md``."""

    count: int
    candidates: int | None
    tensors: tuple[str, ...]
    bits: str
    samples: int | None
    critical_threshold: float | None
    kernel_threads: int | None


def worst_flips_run(run: RunDirectory, options: WorstFlipsOptions) -> WorstFlipsRecord:
    """Search the flips that do most harm to a run, and save the record.

    Raises:
        UsageError: an option out of range, or a filter that selects nothing. RunDirectoryError: see ``RunDirectory``.
    """
    started = time.monotonic()
    threads = share_cores(None, options.kernel_threads)[1]
    prepared = judging(run, options.samples, options.critical_threshold)
    sites = select_sites(prepared.graph, tensors=options.tensors, bits=options.bits)
    metric = prepared.judged_by.metric
    search = Search(
        judge=prepared.judge,
        sites=sites,
        higher_is_better=metric.direction == "higher",
        detail=prepared.detail,
        candidates=options.candidates,
        chance=_chance(prepared),
        threads=threads,
    )
    steps: list[WorstFlip] = []
    with progress("flips") as advance:
        for step in worst_flips(search, options.count):
            steps.append(step)
            advance(len(steps), options.count)
    record = WorstFlipsRecord(
        fingerprint=make_fingerprint(
            "worst-flips",
            {
                "count": options.count,
                "candidates": options.candidates,
                "tensors": list(options.tensors),
                "bits": options.bits,
                "tolerance": prepared.judged_by.decision.tolerance,
            },
            seeds={},  # nothing is drawn
            digests=prepared.digests(),
        ),
        bits=len(sites),
        samples=len(prepared.samples.inputs),
        count=options.count,
        candidates=options.candidates,
        ended=_ended(steps, search, options.count),
        chance=search.chance,
        metric=metric_value(metric, prepared.judge.metric()),
        label_relative=prepared.samples.labels is not None,
        flips=tuple(_row(step) for step in steps),
        unconfirmed=tuple(str(step.site) for step in steps if not step.confirmed),
        seconds=time.monotonic() - started,
    )
    save_record(record, run.record_file("worst-flips"))
    return record


def _chance(prepared: Judging) -> float | None:
    """Accuracy of a guess, one class being as likely as another; other metrics have no such level."""
    return 1 / prepared.judge.golden_values.shape[1] if prepared.judged_by.metric.name == "accuracy" else None


def _ended(steps: list[WorstFlip], search: Search, count: int) -> Ending:
    if steps and search.chance is not None and steps[-1].metric <= search.chance:
        return "chance"
    return "count" if len(steps) == count else "harmless"


def _row(step: WorstFlip) -> FlipRow:
    return FlipRow(
        site=str(step.site),
        golden_word=step.golden_word,
        faulty_word=step.faulty_word,
        metric=step.metric,
        decisions_changed=step.decisions_changed,
        judged=step.judged,
    )
