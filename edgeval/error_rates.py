"""Bit error rates of a run: exhaustive campaign, drawn images, record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeval.error_rate_record import ErrorRateRecord, ImagesRow, RateRow
from edgeval.fingerprint import make_fingerprint
from edgeval.judging import judging
from edgeval.progress import progress
from edgeval.records import save_record
from edgeval.run_directory import RunDirectory
from edgeval.word_comparison import metric_value
from fault_injection.bit_error_rate import CONFIDENCE, PERCENTILES, Estimate, RateResult, error_rate, memory_of
from fault_injection.cores import share_cores
from fault_injection.sites import select_sites
from hls.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRateOptions:
    """Which memory at which rates; see ``docs/commands/error-rate.md``."""

    rates: tuple[float, ...]
    draws: int
    tensors: tuple[str, ...]
    bits: str
    samples: int | None
    critical_threshold: float | None
    seed: int
    kernel_threads: int | None


def error_rate_run(run: RunDirectory, options: ErrorRateOptions) -> ErrorRateRecord:
    """Judge a run's memory at every rate, and save the record.

    Raises:
        UsageError: an option out of range, or a filter that selects nothing. RunDirectoryError: see ``RunDirectory``.
    """
    started = time.monotonic()
    _require_rates(options.rates)
    threads = share_cores(None, options.kernel_threads)[1]
    prepared = judging(run, options.samples, options.critical_threshold)
    sites = select_sites(prepared.graph, tensors=options.tensors, bits=options.bits)
    with progress("single faults") as advance:
        memory = memory_of(prepared.judge, sites, detail=prepared.detail, threads=threads, progress=advance)
    rows = []
    for rate in sorted(options.rates):
        with progress(f"images at {rate:g}") as advance:
            rows.append(
                _row(error_rate(memory, rate, draws=options.draws, rng=_rng(options.seed, rate), progress=advance))
            )
    judged_by = prepared.judged_by
    record = ErrorRateRecord(
        fingerprint=make_fingerprint(
            "error-rate",
            {
                "rates": sorted(options.rates),
                "draws": options.draws,
                "tensors": list(options.tensors),
                "bits": options.bits,
                "tolerance": judged_by.decision.tolerance,
            },
            seeds={"images": options.seed},
            digests=prepared.digests(),
        ),
        bits=len(sites),
        samples=len(prepared.samples.inputs),
        draws=options.draws,
        confidence=CONFIDENCE,
        percentiles=PERCENTILES,
        metric=metric_value(judged_by.metric, prepared.judge.metric()),
        decision=judged_by.decision.kind,
        tolerance=judged_by.decision.tolerance,
        label_relative=prepared.samples.labels is not None,
        rates=tuple(rows),
        seconds=time.monotonic() - started,
    )
    save_record(record, run.record_file("error-rate"))
    return record


def _rng(seed: int, rate: float) -> np.random.Generator:
    """A source for each rate: its images do not depend on which other rates were asked for."""
    return np.random.default_rng([seed, int(np.float64(rate).view(np.uint64))])


def _require_rates(rates: Sequence[float]) -> None:
    if not rates or len(set(rates)) < len(rates):
        raise UsageError(
            found="no rate" if not rates else "a rate more than once",
            allowed="one or more probabilities, each once",
            where="--rates",
            remedy="write e.g. --rates 1e-5 1e-4 1e-3",
        )


def _row(result: RateResult) -> RateRow:
    return RateRow(
        rate=result.rate,
        none=result.none,
        one=result.one,
        more=result.more,
        metric=_images(result.metric),
        decisions=_images(result.decisions),
        plain_metric=_images(result.plain_metric),
        plain_decisions=_images(result.plain_decisions),
    )


def _images(estimate: Estimate) -> ImagesRow:
    return ImagesRow(
        mean=estimate.mean,
        low=estimate.low,
        high=estimate.high,
        error=estimate.error,
        percentiles=estimate.percentiles,
    )
