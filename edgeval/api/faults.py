"""``edgeval.inject`` and ``edgeval.plan_faults``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgeval.api.comparing import Task, opened
from edgeval.api.results import InjectResult, PlanResult
from edgeval.api.sources import FilePath, Inputs, Labels, ModelLike
from edgeval.fault_options import FaultOptions
from edgeval.progress import shown

Fault = Literal["flip", "stuck0", "stuck1", "upset", "transient", "constant"]


def inject(  # noqa: PLR0913  # the options of the command
    run: ModelLike,
    inputs: Inputs = None,
    labels: Labels = None,
    *,
    output: FilePath | None = None,
    task: Task | None = None,
    input_format: str | None = None,
    tensors: Sequence[str] = ("*",),
    bits: str = "all",
    sample: int | None = None,
    margin: float | None = None,
    confidence: float = 0.95,
    samples: int | None = None,
    seed: int = 0,
    fault: Fault = "flip",
    pattern: str = "1x2",
    interleave: int = 1,
    words_per_row: int | None = None,
    values: Sequence[str] = ("*",),
    metric: str | None = None,
    executor: Literal["exact", "csim"] = "exact",
    verify_on_csim: int | None = None,
    skip_pruned: bool = False,
    critical_threshold: float | None = None,
    critical_share: float = 0.0,
    detail: Literal["full", "decisions"] = "full",
    cross_check: int | None = None,
    workers: int | None = None,
    kernel_threads: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> InjectResult:
    """Flip stored bits one at a time and judge every fault: ``edgeval inject-faults``.

    Args:
        run: An exported run; or a model, which is exported first, as for ``compare``.
        inputs: Samples, samples first, or an ``.npz`` file of them; a run's evaluation set if left out.
        labels: One a sample, where ``inputs`` is an array.
        output: For a model: run directory to make; a temporary one if left out, removed with the last result of it.
        task: For a model: what its outputs mean.
        input_format: For a graph that never quantizes its input: format of its words, ``fixed<W,I>``.
        tensors: Stored tensors by name or pattern.
        bits: Bit positions: ``all``, ``msb``, ``N`` or ``N..M``.
        sample: Draw so many faults without repeats, instead of all.
        margin: Draw a stratified sample until the critical share is known to this margin.
        confidence: Of ``margin`` and of every interval.
        samples: Judge on only the first so many samples.
        seed: Seed of every draw, and of samples made where a QONNX model comes without ``inputs``.
        fault: What happens, and to what.
        pattern: For upsets: rows x columns of cells.
        interleave: For upsets: columns between two neighbouring bits of a word.
        words_per_row: For upsets: words in a row of a memory.
        values: For transients: values by name or pattern.
        metric: What damage is counted in; the run's own if left out.
        executor: Run faults in the exact engine, or one by one in the C-simulation.
        verify_on_csim: Repeat so many random faults in the C-simulation and compare every output word.
        skip_pruned: Leave out words that are zero.
        critical_threshold: Regression: how far an output may move, in the metric's unit.
        critical_share: Share of the samples a class has to reach to be a fault's own.
        detail: Every outcome column, or, faster, only what follows from decisions.
        cross_check: Repeat so many random faults by brute force; about 100 if left out.
        workers: Worker processes; one, this one, if left out.
        kernel_threads: Threads of each worker.
        scheduler: Address of a Dask scheduler whose workers are to judge the faults.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError, ToolError: as the command, whose option names the
            messages use.
    """
    from edgeval.injection import inject_run

    options = FaultOptions(
        tensors=tuple(tensors), bits=bits, sample=sample, margin=margin, confidence=confidence, samples=samples,
        seed=seed, fault=fault, pattern=pattern, interleave=interleave, words_per_row=words_per_row,
        values=tuple(values), metric=metric, executor=executor, verify_on_csim=verify_on_csim, skip_pruned=skip_pruned,
        critical_threshold=critical_threshold, critical_share=critical_share, detail=detail, cross_check=cross_check,
        workers=workers, kernel_threads=kernel_threads, scheduler=scheduler,
    )  # fmt: skip
    with shown(progress), opened(
        run, inputs, labels, output=output, task=task, metric=_graph_metric(run, metric), input_format=input_format,
        seed=seed,
    ) as found:  # fmt: skip
        return InjectResult(run=found.run, record=inject_run(found.run.directory, options, found.inputs))


def plan_faults(  # noqa: PLR0913  # the options of the command
    run: ModelLike,
    inputs: Inputs = None,
    labels: Labels = None,
    *,
    output: FilePath | None = None,
    task: Task | None = None,
    input_format: str | None = None,
    tensors: Sequence[str] = ("*",),
    bits: str = "all",
    margin: float | None = None,
    confidence: float = 0.95,
    samples: int | None = None,
    seed: int = 0,
    fault: Fault = "flip",
    pattern: str = "1x2",
    interleave: int = 1,
    words_per_row: int | None = None,
    values: Sequence[str] = ("*",),
    metric: str | None = None,
    skip_pruned: bool = False,
    critical_threshold: float | None = None,
    critical_share: float = 0.0,
    detail: Literal["full", "decisions"] = "full",
    workers: int | None = None,
    kernel_threads: int | None = None,
    time_budget: float = 300.0,
    progress: bool = True,
) -> PlanResult:
    """Predict what a campaign costs and what to run, and judge nothing: ``edgeval inject-faults --plan``.

    Args:
        run: As for ``inject``, and so for all other arguments that ``inject`` has.
        inputs: As for ``inject``.
        labels: As for ``inject``.
        output: As for ``inject``.
        task: As for ``inject``.
        input_format: As for ``inject``.
        tensors: As for ``inject``.
        bits: As for ``inject``.
        margin: Of the sample that is proposed; 0.01 if left out.
        confidence: As for ``inject``.
        samples: As for ``inject``.
        seed: As for ``inject``.
        fault: As for ``inject``.
        pattern: As for ``inject``.
        interleave: As for ``inject``.
        words_per_row: As for ``inject``.
        values: As for ``inject``.
        metric: As for ``inject``.
        skip_pruned: As for ``inject``.
        critical_threshold: As for ``inject``.
        critical_share: As for ``inject``.
        detail: As for ``inject``.
        workers: As for ``inject``.
        kernel_threads: As for ``inject``.
        time_budget: Seconds that an exhaustive campaign may take.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, LoweringError, RunDirectoryError: as the command.
    """
    from edgeval.fault_planning import plan_run

    options = FaultOptions(
        tensors=tuple(tensors), bits=bits, margin=margin, confidence=confidence, samples=samples, seed=seed,
        fault=fault, pattern=pattern, interleave=interleave, words_per_row=words_per_row, values=tuple(values),
        metric=metric, skip_pruned=skip_pruned, critical_threshold=critical_threshold, critical_share=critical_share,
        detail=detail, workers=workers, kernel_threads=kernel_threads, plan=True, time_budget=time_budget,
    )  # fmt: skip
    with shown(progress), opened(
        run, inputs, labels, output=output, task=task, metric=_graph_metric(run, metric), input_format=input_format,
        seed=seed,
    ) as found:  # fmt: skip
        return PlanResult(run=found.run, record=plan_run(found.run.directory, options, found.inputs))


def _graph_metric(run: ModelLike, metric: str | None) -> str | None:
    """The metric that a model's run is made with; a run has one, and its faults may be judged by another."""
    from edgeval.api.sources import model_of

    return metric if model_of(run)[1] is None else None
