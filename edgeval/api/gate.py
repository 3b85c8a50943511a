"""``edgeval.lock`` and ``edgeval.check``: what runs compute, kept in a file and compared with it later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeval.api.results import CheckResult, LockResult
from edgeval.api.sources import FilePath, RunLike, several
from edgeval.progress import shown
from edgeval.regression_record import DEFAULT_BASELINE, Tolerances


def lock(  # noqa: PLR0913  # the options of the command
    runs: RunLike | Sequence[RunLike],
    *,
    baseline: FilePath = DEFAULT_BASELINE,
    faults: str | int | None = None,
    critical_threshold: float | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> LockResult:
    """Measure runs and write them into a baseline file, to be kept beside the code: ``edgeval regress lock``.

    Args:
        runs: One exported run or several.
        baseline: File to write; runs that it holds and that are not given stay as they are.
        faults: Stored bits to flip: a number, ``all`` or ``none``; if left out, as many as take seconds.
        critical_threshold: Regression: how far an output may move, in the metric's unit.
        seed: Seed of the draw of faults.
        workers: Worker processes; the cores at hand if left out.
        progress: Show progress on standard error.

    Raises:
        UsageError, InputError, RunDirectoryError, ToolError: as the command; a run whose C-simulation does not match
            cannot be locked.
    """
    from edgeval.regression.damage import parse_faults
    from edgeval.regression.lock import lock_runs

    chosen = several(runs)
    with shown(progress):
        record = lock_runs(
            Path(baseline),
            [run.path for run in chosen],
            faults=parse_faults(None if faults is None else str(faults)),
            seed=seed,
            critical_threshold=critical_threshold,
            workers=workers,
        )
    return LockResult(baseline=Path(baseline), runs=chosen, record=record)


def check(  # noqa: PLR0913  # the options of the command
    runs: RunLike | Sequence[RunLike] = (),
    *,
    baseline: FilePath = DEFAULT_BASELINE,
    metric_tolerance: float = 0.0,
    damage_tolerance: float = 0.0,
    resource_tolerance: float = 0.1,
    latency_tolerance: float = 0.02,
    skipped_is_error: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> CheckResult:
    """Recompute the runs of a baseline with the tools installed now, and say what changed: ``edgeval regress check``.

    Args:
        runs: Only these, by folder or by the name of a run in the file; all of the baseline if left out.
        baseline: File that ``lock`` wrote.
        metric_tolerance: How much worse the metric may be, in its unit.
        damage_tolerance: How much larger mean and worst damage of a fault may be, relative.
        resource_tolerance: How much larger LUT, FF, DSP and memories may be, relative.
        latency_tolerance: How many more cycles there may be, relative.
        skipped_is_error: Fail where something could not be compared.
        workers: Worker processes; the cores at hand if left out.
        progress: Show progress on standard error.

    Raises:
        UsageError, RunDirectoryError: as the command. A gate that fails is never an error.
    """
    from edgeval.regression.check import check_baseline

    with shown(progress):
        record = check_baseline(
            Path(baseline),
            [run.path for run in several(runs)],
            tolerances=Tolerances(
                metric=metric_tolerance,
                damage=damage_tolerance,
                resources=resource_tolerance,
                latency=latency_tolerance,
            ),
            skipped_is_error=skipped_is_error,
            workers=workers,
        )
    return CheckResult(baseline=Path(baseline), record=record)
