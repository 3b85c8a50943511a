"""``edgeval error-rate``: every stored bit wrong with a probability, see what becomes of the answers."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeval.error_rate_record import ErrorRateRecord, ImagesRow
from edgeval.report.text import metric_text, percent, write_json, write_line, write_table


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ErrorRateConfig:
    """Options of ``edgeval error-rate``."""

    run: Path
    """Run directory."""
    _: KW_ONLY
    rates: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
    """Probabilities of each bit to be wrong, above 0 and at most 0.5."""
    draws: int = 200
    """Memory images drawn at each rate, and as many again for the plain check."""
    tensors: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("*",)
    """Stored tensors by name or pattern, e.g. fc1.weight '*.bias'; all of them if left out."""
    bits: str = "all"
    """Bit positions: all, msb, N or N..M."""
    samples: int | None = None
    """Judge on only the first N samples."""
    critical_threshold: float | None = None
    """Regression: how far an output may move, in the metric's unit; one float-versus-quantized RMSE if left out."""
    seed: int = 0
    """Seed of the images."""
    kernel_threads: int | None = None
    """Threads of the exhaustive campaign of single faults; all cores if left out."""
    json: bool = False
    """Print the record."""


def error_rate(config: ErrorRateConfig) -> int:
    """Let every stored bit be wrong with a probability, and report metric and decisions at several rates."""
    from edgeval.error_rates import ErrorRateOptions, error_rate_run
    from edgeval.run_directory import RunDirectory

    record = error_rate_run(
        RunDirectory(config.run),
        ErrorRateOptions(
            rates=config.rates,
            draws=config.draws,
            tensors=config.tensors,
            bits=config.bits,
            samples=config.samples,
            critical_threshold=config.critical_threshold,
            seed=config.seed,
            kernel_threads=config.kernel_threads,
        ),
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 0


def _write(record: ErrorRateRecord) -> None:
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    write_line(
        f"{record.bits:,} bits on {record.samples:,} samples: single faults exhaustive, "
        f"{record.draws:,} images of several at each rate"
    )
    write_line(f"fault-free {metric_text(record.metric)}, {relative}")
    name = record.metric.name
    first, last = record.percentiles[0], record.percentiles[-1]
    header = ["bit error rate", "wrong bits", name, f"{record.confidence:.0%} interval".replace("%", " %")]
    header += [f"{first} to {last} % of images", "decisions changed", f"plain {name}", "apart"]
    write_table(
        header,
        [
            [
                f"{row.rate:g}",
                f"{record.bits * row.rate:.3g}",
                _value(row.metric.mean, record),
                _interval(row.metric, record),
                f"{_value(row.metric.percentiles[0], record)} to {_value(row.metric.percentiles[-1], record)}",
                percent(row.decisions.mean, 3),
                _value(row.plain_metric.mean, record),
                _apart(row.metric, row.plain_metric),
            ]
            for row in record.rates
        ],
    )
    write_line("apart: stratified and plain mean, in standard errors of their difference")


def _value(value: float, record: ErrorRateRecord) -> str:
    return percent(value, 3) if record.metric.unit == "fraction" else f"{value:.5g}"


def _interval(row: ImagesRow, record: ErrorRateRecord) -> str:
    return "-" if row.low is None or row.high is None else f"{_value(row.low, record)} to {_value(row.high, record)}"


def _apart(one: ImagesRow, two: ImagesRow) -> str:
    error = (one.error**2 + two.error**2) ** 0.5
    return "-" if error == 0 else f"{abs(one.mean - two.mean) / error:.1f}"
