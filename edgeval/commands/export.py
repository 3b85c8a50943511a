"""``edgeval export``: model → QONNX → integer network → hls4ml project."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from edgeval.records import ExportRecord
from edgeval.report.text import metric_text, percent, write_json, write_line, write_table
from edgeval.run_directory import RunDirectory
from hls.errors import UsageError
from hls.hls4ml_flow.options import Backend, IoType, ProjectOptions, Strategy, load_overrides


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Options of ``edgeval export``."""

    run: Path
    """Run directory, or a QONNX file."""
    _: KW_ONLY
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """Run directory to make of a QONNX file."""
    inputs: Path | None = None
    """For a QONNX file: .npz with `inputs` and, optionally, `labels`."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file: what its outputs mean."""
    metric: str | None = None
    """For a QONNX file: accuracy, rmse or mae."""
    backend: Backend = "Vitis"
    """hls4ml back end."""
    io_type: IoType = "io_parallel"
    """How layers are connected."""
    strategy: Strategy = "Latency"
    """hls4ml's implementation of matrix products."""
    reuse_factor: int = 1
    """How often a multiplier is used for one inference."""
    clock_period: float = 5.0
    """Target clock period in ns."""
    part: str | None = None
    """FPGA part; the back end's default if left out."""
    config: Path | None = None
    """YAML file with overrides in hls4ml's configuration format."""
    seed: int = 0
    """Seed of the samples made where a QONNX file comes without --inputs."""
    json: bool = False
    """Print the record."""


def export(config: ExportConfig) -> int:
    """Export a run (or a QONNX file): QONNX, integer network, hls4ml project; print formats layer by layer."""
    from edgeval.pipeline import GraphOptions, export_run, import_graph

    options = ProjectOptions(
        backend=config.backend,
        io_type=config.io_type,
        strategy=config.strategy,
        reuse_factor=config.reuse_factor,
        clock_period=config.clock_period,
        part=config.part,
        overrides={} if config.config is None else load_overrides(config.config),
    )
    if config.run.is_file():
        if config.output is None:
            raise UsageError(
                found="a QONNX file without --output",
                allowed="--output RUN for a file, nothing for a run directory",
                where="edgeval export",
                remedy="add -o RUN",
            )
        run = RunDirectory(config.output)
        graph_options = GraphOptions(inputs=config.inputs, task=config.task, metric=config.metric, seed=config.seed)
        import_graph(config.run, run, graph_options)
    else:
        _refuse_file_options(config)
        run = RunDirectory(config.run)
    record = export_run(run, options)
    if config.json:
        write_json(record)
    else:
        _write(record, run)
    return 0


def _refuse_file_options(config: ExportConfig) -> None:
    given = {"--output": config.output, "--inputs": config.inputs, "--task": config.task, "--metric": config.metric}
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                found=f"{option} {value} with {config.run}",
                allowed=f"{option} only with a QONNX file that exists",
                where="edgeval export",
                remedy="leave it out for a run directory, or check the path of the file",
            )


def _write(record: ExportRecord, run: RunDirectory) -> None:
    witness = record.qonnx
    if witness.unexplained is None:
        write_line(
            "QONNX is no witness here: an accumulator was narrowed and wraps, which a float execution does not; "
            f"largest difference {witness.max_error_lsb:.3g} LSB"
        )
    else:
        write_line(
            f"QONNX agrees with the integer network: largest difference {witness.max_error_lsb:.3g} LSB, "
            f"{witness.explained} samples at a rounding boundary, {witness.unexplained} unexplained"
        )
    write_table(
        ["layer", "form", "output", "weights", "bias", "accumulator", "arithmetic", "words", "zero"],
        [
            [
                row.name,
                row.form,
                row.output_format,
                row.weight_format,
                row.bias_format,
                f"{row.accumulator_bits} bits" if row.accumulator_bits else "",
                row.arithmetic,
                f"{row.weights:,}" if row.weights else "",
                percent(row.zero_share) if row.weights else "",
            ]
            for row in record.layers
        ],
    )
    for note in record.notes:
        write_line(f"note: {note}")
    if witness.network_metric is not None:
        write_line(f"integer network: {metric_text(witness.network_metric)}")
    if record.refused is None:
        write_line(f"hls4ml project ({record.backend}, {record.io_type}) in {run.project}")
    else:
        write_line(f"no hls4ml project: {record.refused}")
