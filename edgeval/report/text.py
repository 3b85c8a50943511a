"""Text for people on standard output: tables, numbers with units, records as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec

from edgeval.records import ErrorStatistics, MetricValue, to_json
from fault_injection.estimates import Estimate


def write_json(record: msgspec.Struct) -> None:
    """Print exactly the record."""
    _write(to_json(record).decode())


def write_line(text: str = "") -> None:
    """Print one line."""
    _write(f"{text}\n")


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: first column left, the others aligned by their content."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    numeric = [all(_is_number(row[column]) for row in rows) for column in range(len(header))]
    for row in [list(header), ["─" * width for width in widths], *rows]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        write_line("  ".join(cells).rstrip())


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent.

    Example:
        >>> percent(0.9711)
        '97.1 %'
    """
    return f"{100 * share:.{digits}f} %"


def metric_text(metric: MetricValue) -> str:
    """A metric with its unit; fractions as per cent.

    Example:
        >>> metric_text(MetricValue(name="rmse", unit="kcal/mol", direction="lower", value=1.9876))
        'rmse 1.988 kcal/mol'
    """
    if metric.unit == "fraction":
        return f"{metric.name} {percent(metric.value)}"
    return f"{metric.name} {metric.value:.3f} {metric.unit}"


def words_text(witness: ErrorStatistics) -> str:
    """How the quantized words of a float32 execution compare with the network's."""
    compared, explained, unexplained = witness.words or 0, witness.explained or 0, witness.unexplained or 0
    left_out = "" if witness.skipped is None else f" (others not compared: {witness.skipped})"
    if not compared:
        return f"no quantized word compared: {witness.skipped}"
    if not explained and not unexplained:
        return f"all {compared:,} quantized words equal{left_out}"
    counts = f"{explained:,} differ by float rounding, {unexplained:,} unexplained"
    return f"of {compared:,} quantized words {counts}{left_out}"


def metric_change_text(change: float, unit: str) -> str:
    """A change of a metric with its sign; fractions in points.

    Example:
        >>> metric_change_text(-0.03123, "fraction"), metric_change_text(0.5, "kcal/mol"), metric_change_text(0.0, "m")
        ('−3.12 points', '+0.5 kcal/mol', '0 m')
    """
    value, name = (100 * change, "points") if unit == "fraction" else (change, unit)
    sign = "" if value == 0 else "−" if value < 0 else "+"
    return f"{sign}{abs(value):.3g} {name}"


def seconds_text(seconds: float) -> str:
    """A time as people read it.

    Example:
        >>> seconds_text(0.253), seconds_text(75.0), seconds_text(7500.0)
        ('0.25 s', '75 s', '2 h 5 min')
    """
    if seconds < 600:
        return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def write_estimate(estimate: Estimate, metric: MetricValue) -> None:
    """Print what a sample of the faults says about all of them."""
    shares = {"critical faults": estimate.critical, "decisions changed": estimate.decisions_changed}
    for name, figure in shares.items():
        low, high = percent(figure.low, 2), percent(figure.high, 2)
        write_line(f"estimated {name} of all {estimate.population:,}: {percent(figure.value, 2)} ({low} to {high})")
    moved = estimate.metric_change
    low, value, high = (metric_change_text(v, metric.unit) for v in (moved.low, moved.value, moved.high))
    write_line(f"estimated mean change of {metric.name}: {value} ({low} to {high})")
    if estimate.critical.value == 0:
        from fault_injection.statistics import rule_of_three  # brings scipy, which no other command needs to wait for

        bound = rule_of_three(estimate.judged, estimate.confidence)
        write_line(f"no critical fault among {estimate.judged:,}: at most about {percent(bound, 2)} (rule of three)")


def _write(text: str) -> None:
    """Write to standard output; a reader that has gone (``| head``) changes nothing about the exit code."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_number(cell: str) -> bool:
    return (bool(cell) and cell.lstrip("+−-")[:1].isdigit()) or cell in {"", "-"}
