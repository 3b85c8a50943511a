"""``edgeval csim-compare``: exact engine against C-simulation, word by word; both against float."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from edgeval.records import CompareRecord, ErrorStatistics
from edgeval.report.text import metric_text, percent, write_json, write_line, write_table


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class CompareConfig:
    """Options of ``edgeval csim-compare``."""

    run: Path
    """Run directory, or a QONNX file."""
    _: KW_ONLY
    inputs: Path | None = None
    """.npz with `inputs` and, optionally, `labels`, instead of the run's evaluation set."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file: what its outputs mean."""
    metric: str | None = None
    """For a QONNX file: accuracy, rmse or mae."""
    samples: int | None = None
    """Compare only the first N samples."""
    poke: str | None = None
    """Flip one stored bit of the built C-simulation first: TENSOR:INDEX:BIT."""
    workers: int | None = None
    """Worker processes; the cores at hand if left out."""
    seed: int = 0
    """Seed of the samples made where a QONNX file comes without --inputs."""
    json: bool = False
    """Print the record."""


def csim_compare(config: CompareConfig) -> int:
    """Build the C-simulation and compare every word of every layer with the exact engine."""
    from edgeval.comparison import compare_run
    from edgeval.pipeline import GraphOptions, opened_run

    with opened_run(
        config.run, GraphOptions(inputs=config.inputs, task=config.task, metric=config.metric, seed=config.seed)
    ) as run:
        inputs = config.inputs if config.run.is_dir() else None
        record = compare_run(run, inputs=inputs, samples=config.samples, poke=config.poke, workers=config.workers)
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 0 if record.verdict == "match" else 1


def _write(record: CompareRecord) -> None:
    write_line(record.headline)
    for finding in record.audit:
        write_line(f"audit: {finding}")
    if record.first is not None:
        write_line(f"formats: C-sim {record.first.csim_format}, engine {record.first.engine_format}")
        write_line(f"cause: {record.first.cause}")
    if record.audit:
        return
    write_line(f"on {record.inputs}; {record.backend} {record.io_type}, {record.compiler}")
    write_table(
        ["layer", "words", "differing", "distinct", "saturations"],
        [
            [row.value, f"{row.words:,}", f"{row.differing:,}", f"{row.distinct:,}", f"{row.saturations:,}"]
            for row in record.layers
        ],
    )
    for reference in record.references:
        write_line(_reference_line(reference))


def _reference_line(reference: ErrorStatistics) -> str:
    parts = [
        f"{reference.reference} against C-sim: largest error {reference.max_error:.4g} "
        f"({reference.max_error_lsb:.4g} LSB), mean {reference.mean_error:.4g}"
    ]
    if reference.decisions_equal is not None:
        parts.append(f"{percent(reference.decisions_equal)} of decisions equal")
    if reference.reference_metric is not None and reference.network_metric is not None:
        parts.append(f"{metric_text(reference.reference_metric)} against {metric_text(reference.network_metric)}")
    return "; ".join(parts)
