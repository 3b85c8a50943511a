"""Runs → baseline: measured, proved in the C-simulation, written in one step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeval.regression.baseline import Baseline, LockedRun, load_baseline, save_baseline
from edgeval.regression.observe import Asked, Observation, existing_run, observe
from hls.errors import InputError, RunDirectoryError, UsageError


def lock_runs(
    baseline: Path,
    runs: Sequence[Path],
    *,
    faults: int | Literal["all"] | None = None,
    seed: int = 0,
    critical_threshold: float | None = None,
    workers: int | None = None,
) -> Baseline:
    """Measure runs and write them into a baseline; other runs that it holds stay as they are.

    Args:
        baseline: File to write or to change.
        runs: Exported runs.
        faults: Faults to judge; 0 for none, ``None`` for as many as are affordable.
        seed: Of their draw.
        critical_threshold: Tolerance of a regression's decision, in the metric's unit.
        workers: Processes of C-simulation and campaign.

    Returns:
        What the file holds now.

    Raises:
        RunDirectoryError: no run, an export that is not current, or an older file that is no baseline.
        InputError: a run that must not become the truth; see ``refusal``.
        UsageError: two runs of one name, or no run.
    """
    before = load_baseline(baseline).runs if baseline.exists() else ()
    names = _names(baseline, runs, before)
    for path in runs:
        existing_run(path)
    locked: list[LockedRun] = []
    for name, path in zip(names, runs, strict=True):
        asked = Asked(faults=faults, seed=seed, tolerance=critical_threshold, workers=workers)
        found = observe(existing_run(path), name, relative_path(baseline, path), asked)
        if (wrong := refusal(found, path)) is not None:
            raise wrong
        locked.append(found.run)
    new = {run.name: run for run in locked}
    kept = [new.pop(run.name, run) for run in before]
    result = Baseline(runs=(*kept, *new.values()))
    save_baseline(result, baseline)
    return result


def refusal(found: Observation, path: Path) -> InputError | None:
    """Why a run must not become the truth that everything later is compared with, ``None`` where it may.

    Args:
        found: The run as it is now.
        path: Where it lies.
    """
    if found.stale:
        return RunDirectoryError(
            found=found.stale,
            allowed="a current export",
            where=str(path),
            remedy=f"run `edgeval export {path}` with its options again, then lock",
        )
    if found.simulated.kind not in ("match", "refused"):
        return InputError(
            found=found.simulated.text,
            allowed="a run whose C-simulation gives the exact engine's words",
            where=str(path),
            remedy=found.simulated.remedy,
        )
    if found.wrong_faults:
        return InputError(
            found=found.wrong_faults,
            allowed="a campaign that brute force confirms",
            where=str(path),
            remedy="please report this network: the campaign or the engine is wrong",
        )
    return None


def relative_path(baseline: Path, run: Path) -> str:
    """Where a run lies, seen from the baseline."""
    return Path(os.path.relpath(run.resolve(), baseline.resolve().parent)).as_posix()


def _names(baseline: Path, runs: Sequence[Path], before: Sequence[LockedRun]) -> list[str]:
    """A name for each run: its folder's, or that of the same folder in the older file."""
    if not runs:
        raise UsageError(
            found="no run", allowed="one or more run directories", where="edgeval regress lock", remedy="name a run"
        )
    known = {run.path: run.name for run in before}
    names = []
    for path in runs:
        place = relative_path(baseline, path)
        name = known.get(place, path.resolve().name)
        taken = next((run.path for run in before if run.name == name and run.path != place), None)
        if name in names or taken is not None:
            raise UsageError(
                found=f"two runs named {name}" + (f", the other at {taken}" if taken else ""),
                allowed="runs whose folders have different names",
                where=str(baseline),
                remedy="rename a folder, or lock them into two baselines",
            )
        names.append(name)
    return names
