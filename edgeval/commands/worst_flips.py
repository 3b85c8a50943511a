"""``edgeval worst-flips``: the few flips an adversary would choose."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeval.report.text import metric_text, percent, write_json, write_line, write_table
from edgeval.worst_flips_record import ENDINGS, WorstFlipsRecord


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class WorstFlipsConfig:
    """Options of ``edgeval worst-flips``."""

    run: Path
    """Run directory."""
    _: KW_ONLY
    count: int = 10
    """Flips at most."""
    candidates: int | None = None
    """After the first step judge only the N bits that did most harm alone; every bit if left out."""
    tensors: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("*",)
    """Stored tensors by name or pattern, e.g. fc1.weight '*.bias'; all of them if left out."""
    bits: str = "all"
    """Bit positions: all, msb, N or N..M."""
    samples: int | None = None
    """Judge on only the first N samples."""
    critical_threshold: float | None = None
    """Regression: how far an output may move, in the metric's unit; one float-versus-quantized RMSE if left out."""
    kernel_threads: int | None = None
    """Threads of the compiled kernels; all cores if left out."""
    json: bool = False
    """Print the record."""


def worst_flips(config: WorstFlipsConfig) -> int:
    """Find the flips that do most harm, one on top of the other, every candidate judged exactly."""
    from edgeval.run_directory import RunDirectory
    from edgeval.worst_flips import WorstFlipsOptions, worst_flips_run

    record = worst_flips_run(
        RunDirectory(config.run),
        WorstFlipsOptions(
            count=config.count,
            candidates=config.candidates,
            tensors=config.tensors,
            bits=config.bits,
            samples=config.samples,
            critical_threshold=config.critical_threshold,
            kernel_threads=config.kernel_threads,
        ),
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 1 if record.unconfirmed else 0


def _write(record: WorstFlipsRecord) -> None:
    relative = "against labels" if record.label_relative else "against the fault-free answers"
    write_line(f"fault-free {metric_text(record.metric)} on {record.samples:,} samples, {relative}")
    write_table(
        ["flips", "site", "word", "becomes", record.metric.name, "decisions changed", "judged"],
        [
            [
                str(number),
                row.site,
                str(row.golden_word),
                str(row.faulty_word),
                percent(row.metric, 2) if record.metric.unit == "fraction" else f"{row.metric:.5g}",
                percent(row.decisions_changed / record.samples, 2),
                f"{row.judged:,}",
            ]
            for number, row in enumerate(record.flips, start=1)
        ],
    )
    chance = f" (chance: {percent(record.chance)})" if record.chance is not None else ""
    write_line(f"{len(record.flips)} of {record.bits:,} bits flipped; {ENDINGS[record.ended]}{chance}")
    if record.unconfirmed:
        write_line(f"DISAGREES with a run of the whole network: {', '.join(record.unconfirmed)}")
    else:
        write_line("every step was confirmed by a run of the whole network")
