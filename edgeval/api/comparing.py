"""``edgeval.compare`` and ``edgeval.compare_matrix``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeval.api.results import CompareResult, MatrixResult
from edgeval.api.run import Run
from edgeval.api.sources import (
    FilePath,
    Hls4mlModel,
    Inputs,
    Labels,
    ModelLike,
    made,
    model_of,
    optional_path,
    project_folder,
    samples_file,
)
from edgeval.progress import shown
from hls.errors import UsageError
from hls.hls4ml_flow.options import Backend, IoType, ProjectOptions, Strategy

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An exported run.

    Attributes:
        inputs: Samples other than its own; ``None`` for its evaluation set.
    """

    run: Run
    inputs: Path | None


@contextlib.contextmanager
def opened(  # noqa: PLR0913  # what a model has to be told
    model: ModelLike,
    inputs: Inputs,
    labels: Labels,
    *,
    output: FilePath | None,
    task: Task | None,
    metric: str | None = None,
    input_format: str | None,
    seed: int = 0,
    project: FilePath | Hls4mlModel | None = None,
) -> Iterator[Opened]:
    """The exported run of whatever is given, while the ``with`` block runs; a model is exported first.

    Raises:
        UsageError: an option of models with a run. InputError, LoweringError, RunDirectoryError: it cannot be exported.
    """
    from edgeval.importing import GraphOptions
    from edgeval.model_run import ModelRequest
    from edgeval.native_export import native_request
    from edgeval.pipeline import export_run, refuse_graph_options

    with samples_file(inputs, labels) as samples:
        _, run = model_of(model)
        graph = GraphOptions(inputs=samples, task=task, metric=metric, input_format=input_format, seed=seed)
        if run is not None:
            _ = run.record
            refuse_graph_options(graph, run.path)
            _refuse_with_run(run, project=project, output=output)
            yield Opened(run=run, inputs=samples)
            return
        run = made(ModelRequest(model=model, output=optional_path(output), graph=graph))
        native = native_request(flow="exact", project=project_folder(project))
        export_run(run.directory, ProjectOptions(), native=native)
        yield Opened(run=run, inputs=None)


def compare(  # noqa: PLR0913  # the options of the command
    run: ModelLike,
    project: FilePath | Hls4mlModel | None = None,
    inputs: Inputs = None,
    labels: Labels = None,
    *,
    output: FilePath | None = None,
    task: Task | None = None,
    metric: str | None = None,
    input_format: str | None = None,
    samples: int | None = None,
    poke: str | None = None,
    backend: Backend | None = None,
    io_type: IoType | None = None,
    strategy: Strategy | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> CompareResult:
    """Compare every word of every layer of a C-simulation with the exact engine: ``edgeval csim-compare``.

    Args:
        run: An exported run; or a model, which is exported first: a QONNX file, an ``onnx.ModelProto``,
            ``package.module:factory``, a Brevitas module.
        project: For a model: an existing hls4ml project of it to judge, in place of a new one: its folder, or hls4ml's
            model, which is written first.
        inputs: Samples, samples first, or an ``.npz`` file of them; a run's evaluation set if left out.
        labels: One a sample, where ``inputs`` is an array.
        output: For a model: run directory to make; a temporary one if left out, removed with the last result of it.
        task: For a model: what its outputs mean.
        metric: For a model: accuracy, cross-entropy, rmse or mae.
        input_format: For a graph that never quantizes its input: format of its words, ``fixed<W,I>``.
        samples: Compare only the first so many samples.
        poke: Flip one stored bit of the built C-simulation first: ``TENSOR:INDEX:BIT``.
        backend: Write and compare the project of another hls4ml back end; the run's own if left out.
        io_type: The same for how layers are connected.
        strategy: The same for hls4ml's implementation of matrix products.
        workers: Worker processes; the cores at hand if left out.
        seed: Seed of the samples made where a QONNX model comes without ``inputs``.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError, ToolError: as the command, whose option names the
            messages use. A verdict is never an error.
    """
    from edgeval.comparison import compare_run
    from edgeval.matrix import other_options

    asked = (backend, io_type, strategy)
    with shown(progress), opened(
        run, inputs, labels,
        output=output, task=task, metric=metric, input_format=input_format, seed=seed, project=project,
    ) as found:  # fmt: skip
        directory = found.run.directory
        record = compare_run(
            directory,
            inputs=found.inputs,
            samples=samples,
            poke=poke,
            workers=workers,
            other=other_options(directory, asked) if any(asked) else None,
        )
    return CompareResult(run=found.run, record=record)


def compare_matrix(  # noqa: PLR0913  # the options of the command
    run: ModelLike,
    inputs: Inputs = None,
    labels: Labels = None,
    *,
    output: FilePath | None = None,
    task: Task | None = None,
    metric: str | None = None,
    input_format: str | None = None,
    samples: int | None = None,
    backend: Backend | None = None,
    io_type: IoType | None = None,
    strategy: Strategy | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> MatrixResult:
    """Compare every C-simulation that hls4ml has of a network: ``edgeval csim-compare --matrix``.

    Args:
        run: As for ``compare``.
        inputs: As for ``compare``.
        labels: As for ``compare``.
        output: As for ``compare``.
        task: As for ``compare``.
        metric: As for ``compare``.
        input_format: As for ``compare``.
        samples: Compare only the first so many samples.
        backend: Only this hls4ml back end; all of them if left out.
        io_type: Only this interface.
        strategy: Only this implementation of matrix products.
        workers: Worker processes; the cores at hand if left out.
        seed: As for ``compare``.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError, ToolError: as the command.
    """
    from edgeval import matrix

    with shown(progress), opened(
        run, inputs, labels, output=output, task=task, metric=metric, input_format=input_format, seed=seed
    ) as found:  # fmt: skip
        record = matrix.compare_matrix(
            found.run.directory,
            only=(backend, io_type, strategy),
            inputs=found.inputs,
            samples=samples,
            workers=workers,
        )
    return MatrixResult(run=found.run, record=record)


def _refuse_with_run(run: Run, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                found=f"{name} with the run directory {run.path}",
                allowed=f"{name} with a model",
                where=name,
                remedy="export the run again with edgeval.export(run, project=...)"
                if name == "project"
                else "leave it out",
            )
