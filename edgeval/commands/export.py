"""``edgeval export``: model → QONNX → integer network → hls4ml project."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from edgeval.records import ExportRecord, OwnModel
from edgeval.report.headlines import export_headline
from edgeval.report.text import metric_text, percent, write_json, write_line, write_table
from edgeval.run_directory import RunDirectory
from hls.hls4ml_flow.options import Backend, IoType, ProjectOptions, Strategy, load_overrides


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Options of ``edgeval export``."""

    run: Path
    """Run directory, a QONNX file, or package.module:factory of a Brevitas module."""
    _: KW_ONLY
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """Run directory to make of a QONNX file or module."""
    inputs: Path | None = None
    """For a QONNX file or module: .npz with `inputs` and, optionally, `labels`."""
    task: Literal["classification", "regression"] | None = None
    """For a QONNX file or module: what its outputs mean."""
    input_format: str | None = None
    """For a QONNX file that never quantizes its input: format of its words, fixed<W,I>."""
    strict: bool = False
    """Refuse float constants that would have to be rounded to the scale of a sum."""
    metric: str | None = None
    """For a QONNX file or module: accuracy, cross-entropy, rmse or mae."""
    checkpoint: Path | None = None
    """For a module: its weights, safetensors or a torch state dict; the factory's own if left out."""
    factory_args: str | None = None
    """For a module: keyword arguments of its factory, as JSON."""
    exporter: Literal["dynamo", "torchscript"] | None = None
    """For a module: torch exporter to use; the first that is right if left out."""
    backend: Backend = "Vitis"
    """hls4ml back end."""
    io_type: IoType | None = None
    """How layers are connected; if left out, streams for large images and whole arrays otherwise."""
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
    flow: Literal["exact", "native"] = "exact"
    """Whose hls4ml project: ours, or what hls4ml makes of the graph itself."""
    default_precision: str | None = None
    """For the native flow: hls4ml's default precision, fixed<16,6> if left out."""
    project: Path | None = None
    """An existing hls4ml project folder to judge, in place of a new one."""
    seed: int = 0
    """Seed of the samples made where a QONNX file comes without --inputs."""
    json: bool = False
    """Print the record."""


def export(config: ExportConfig) -> int:
    """Export a run, QONNX file or module: QONNX, integer network, hls4ml project; print formats layer by layer."""
    from edgeval.native_export import native_request
    from edgeval.pipeline import export_run

    native = native_request(
        flow=config.flow,
        project=config.project,
        config=config.config,
        default_precision=config.default_precision,
        backend=config.backend,
        io_type=config.io_type,
        strategy=config.strategy,
        reuse_factor=config.reuse_factor,
        clock_period=config.clock_period,
        part=config.part,
    )
    options = ProjectOptions(
        backend=config.backend,
        io_type=config.io_type,
        strategy=config.strategy,
        reuse_factor=config.reuse_factor,
        clock_period=config.clock_period,
        part=config.part,
        overrides={} if config.config is None or native is not None else load_overrides(config.config),
    )
    run = _run_of(config)
    record = export_run(run, options, strict=config.strict, native=native)
    if config.json:
        write_json(record)
    else:
        _write(record, run)
    return 0


def _run_of(config: ExportConfig) -> RunDirectory:
    """The run that is meant, made first where a file or a module is given."""
    from edgeval.importing import GraphOptions
    from edgeval.model_run import ModelRequest, run_of_model

    run = run_of_model(
        ModelRequest(
            model=config.run,
            output=config.output,
            graph=GraphOptions(
                inputs=config.inputs,
                task=config.task,
                metric=config.metric,
                input_format=config.input_format,
                seed=config.seed,
            ),
            checkpoint=config.checkpoint,
            factory_args=config.factory_args,
            exporter=config.exporter,
        )
    )
    if run.path != config.run and not config.json and (origin := run.run_record().own_model) is not None:
        _write_origin(origin)
    return run


def _write_origin(origin: OwnModel) -> None:
    weights = (
        "no checkpoint: the factory's own weights" if origin.checkpoint is None else f"weights of {origin.checkpoint}"
    )
    write_line(f"{origin.factory}, {weights}")
    if origin.passed_over:
        write_line(f"not exported by {origin.passed_over}")
    write_line(
        f"exported by {origin.exporter}; executed, the QONNX file gives what the module gives on "
        f"{origin.samples - origin.differing:,} of {origin.samples:,} samples: largest difference "
        f"{origin.max_error:.3g}, tolerance {origin.tolerance:.3g}"
    )
    for note in origin.notes:
        write_line(f"note: {note}")


def _write(record: ExportRecord, run: RunDirectory) -> None:
    write_line(export_headline(record))
    write_table(
        ["layer", "form", "shape", "output", "weights", "bias", "accumulator", "arithmetic", "words", "zero"],
        [
            [
                row.name,
                row.form,
                "×".join(map(str, row.shape)),
                row.output_format,
                row.weight_format,
                row.bias_format,
                f"{row.accumulator_bits} bits" if row.accumulator_bits else "",
                row.arithmetic,
                f"{row.weights or row.constants:,}" if row.weights or row.constants else "",
                percent(row.zero_share) if row.weights else "",
            ]
            for row in record.layers
        ],
    )
    for note in record.notes:
        write_line(f"note: {note}")
    if record.qonnx.network_metric is not None:
        write_line(f"integer network: {metric_text(record.qonnx.network_metric)}")
    if record.refused is None:
        folder = run.project if record.flow == "exact" else run.native
        kind = {"exact": "", "native": "native ", "project": "existing "}[record.flow]
        write_line(f"{kind}hls4ml project ({record.backend}, {record.io_type}) in {folder}")
    else:
        write_line(f"no hls4ml project: {record.refused}")
