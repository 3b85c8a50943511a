"""``edgeval.train``, ``edgeval.export`` and what else makes or opens a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgeval.api.results import ExportResult, TrainResult
from edgeval.api.run import Run
from edgeval.api.sources import (
    FilePath,
    Hls4mlModel,
    Inputs,
    Labels,
    ModelLike,
    RunLike,
    config_file,
    made,
    optional_path,
    project_folder,
    run_of,
    samples_file,
    several,
)
from edgeval.progress import shown
from hls.hls4ml_flow.options import Backend, IoType, ProjectOptions, Strategy, load_overrides

if TYPE_CHECKING:
    from edgeval.module_export import Exporter


def open_run(path: RunLike) -> Run:
    """Open a run directory that is there.

    Args:
        path: Its path.

    Raises:
        RunDirectoryError: not a run directory, or damaged.
    """
    run = run_of(path)
    _ = run.record  # raises, now and not at first use
    return run


def train(  # noqa: PLR0913  # the options of the command
    target: str,
    output: FilePath,
    *,
    data: FilePath | None = None,
    weight_bits: int = 6,
    activation_bits: int = 6,
    scales: Literal["po2", "float"] = "po2",
    per_channel: bool = False,
    sparsity: float = 0.0,
    prune: Literal["magnitude", "structured"] = "magnitude",
    epochs: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> TrainResult:
    """Train a target in float, prune it, quantize it with Brevitas, and save a run directory: ``edgeval train``.

    Args:
        target: Target to build: digits, freesolv, jets, mnist, mnist-mlp.
        output: Run directory to make. One that holds exactly this run already is kept as it is.
        data: Data file of a target that brings none: jets.
        weight_bits: Bits of a weight word, 2 to 16.
        activation_bits: Bits of a hidden activation word, 2 to 16.
        scales: Power-of-two scales (shifts) or any scales (multipliers).
        per_channel: One weight scale a neuron or channel instead of one a layer.
        sparsity: Share of the weights to prune, 0 up to 1.
        prune: Smallest weights to zero, or whole neurons of a perceptron removed.
        epochs: Quantized epochs; the target's own defaults if left out.
        seed: Seed of split, initial weights, batches and dropout.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, RunDirectoryError: as the command.
    """
    from edgeval.train_run import TrainOptions, train_run

    run = Run(Path(output))
    options = TrainOptions(
        target=target,
        data=optional_path(data),
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        scales=scales,
        per_channel=per_channel,
        sparsity=sparsity,
        prune=prune,
        epochs=epochs,
        seed=seed,
    )
    with shown(progress):
        return TrainResult(run=run, record=train_run(run.directory, options))


def export(  # noqa: PLR0913  # the options of the command
    run: ModelLike,
    output: FilePath | None = None,
    *,
    inputs: Inputs = None,
    labels: Labels = None,
    task: Literal["classification", "regression"] | None = None,
    input_format: str | None = None,
    strict: bool = False,
    metric: str | None = None,
    checkpoint: FilePath | None = None,
    factory_args: Mapping[str, Any] | str | None = None,
    exporter: Exporter | None = None,
    backend: Backend = "Vitis",
    io_type: IoType | None = None,
    strategy: Strategy = "Latency",
    reuse_factor: int = 1,
    clock_period: float = 5.0,
    part: str | None = None,
    config: FilePath | Mapping[str, Any] | None = None,
    flow: Literal["exact", "native"] = "exact",
    default_precision: str | None = None,
    project: FilePath | Hls4mlModel | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ExportResult:
    """Export a run or a model: QONNX, integer network, hls4ml project: ``edgeval export``.

    Args:
        run: A run; or a model: a QONNX file, an ``onnx.ModelProto``, ``package.module:factory``, a Brevitas module.
        output: Run directory to make of a model; a temporary one if left out, removed with the last result of it.
        inputs: For a model: samples, or an ``.npz`` file of them. A Brevitas module needs them.
        labels: For a model: one a sample, where ``inputs`` is an array.
        task: For a model: what its outputs mean.
        input_format: For a graph that never quantizes its input: format of its words, ``fixed<W,I>``.
        strict: Refuse float constants that would have to be rounded to the scale of a sum.
        metric: For a model: accuracy, cross-entropy, rmse or mae.
        checkpoint: For a factory: its weights, safetensors or a torch state dict.
        factory_args: For a factory: its keyword arguments.
        exporter: For a module: torch exporter to use; the first that is right if left out.
        backend: hls4ml back end.
        io_type: How layers are connected; streams for large images and whole arrays otherwise if left out.
        strategy: hls4ml's implementation of matrix products.
        reuse_factor: How often a multiplier is used for one inference.
        clock_period: Target clock period in ns.
        part: FPGA part; the back end's default if left out.
        config: Overrides in hls4ml's configuration format: a dictionary, or a YAML file.
        flow: Whose hls4ml project: ours, or what hls4ml makes of the graph itself.
        default_precision: For the native flow: hls4ml's default precision, ``fixed<16,6>`` if left out.
        project: An existing hls4ml project to judge in place of a new one: its folder, or hls4ml's model, which is
            written first.
        seed: Seed of the samples made where a QONNX model comes without ``inputs``.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError, ToolError: as the command, whose option names the
            messages use.
    """
    from edgeval.importing import GraphOptions
    from edgeval.model_run import ModelRequest
    from edgeval.native_export import native_request
    from edgeval.pipeline import export_run

    with shown(progress), samples_file(inputs, labels) as samples, config_file(config) as settings:
        native = native_request(
            flow=flow,
            project=project_folder(project),
            config=settings,
            default_precision=default_precision,
            backend=backend,
            io_type=io_type,
            strategy=strategy,
            reuse_factor=reuse_factor,
            clock_period=clock_period,
            part=part,
        )
        options = ProjectOptions(
            backend=backend,
            io_type=io_type,
            strategy=strategy,
            reuse_factor=reuse_factor,
            clock_period=clock_period,
            part=part,
            overrides={} if settings is None or native is not None else load_overrides(settings),
        )
        made_run = made(
            ModelRequest(
                model=run,
                output=optional_path(output),
                graph=GraphOptions(inputs=samples, task=task, metric=metric, input_format=input_format, seed=seed),
                checkpoint=optional_path(checkpoint),
                factory_args=factory_args,
                exporter=exporter,
            )
        )
        return ExportResult(run=made_run, record=export_run(made_run.directory, options, strict=strict, native=native))


def write_report(runs: RunLike | Sequence[RunLike], output: FilePath | None = None) -> Path:
    """Write one HTML page about one or several runs, which needs no network: ``edgeval report``.

    Args:
        runs: One run or several.
        output: Page to write; ``report.html`` in the first run if left out.

    Returns:
        Where the page is.

    Raises:
        UsageError: no run. RunDirectoryError: not a run directory, or its parts contradict each other. Record files
            that cannot be read are named on the page.
    """
    from edgeval.report.load import load_run_view
    from edgeval.report.page import render_page
    from hls.errors import UsageError
    from hls.files import atomic_write

    paths = [run.path for run in several(runs)]
    if not paths:
        raise UsageError(found="no run", allowed="one or more", where="runs", remedy="give the run to report about")
    page = Path(output) if output is not None else paths[0] / "report.html"
    atomic_write(page, render_page([load_run_view(path) for path in paths]).encode())
    return page
