"""Runs as they are now against the baseline: every gate, one record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeval.fingerprint import digest_file, make_fingerprint
from edgeval.regression.attribution import version_changes
from edgeval.regression.baseline import Baseline, LockedRun, load_baseline
from edgeval.regression.damage import NONE_ASKED
from edgeval.regression.gates import Judged, broken, judged, observed_run
from edgeval.regression.lock import refusal
from edgeval.regression.observe import Asked, existing_run, observe, tool_versions
from edgeval.regression_record import Gate, GateStatus, RegressRecord, Tolerances
from hls.errors import InputError, LoweringError, RunDirectoryError, ToolError, UsageError

DEFAULT_TOLERANCES = Tolerances()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A check and what the baseline would say if what was found were locked.

    Attributes:
        record: What was found.
        updated: The baseline with every checked run as it is now; runs that cannot be locked are as they were.
        unlockable: Why a run cannot be locked as it is now.
    """

    record: RegressRecord
    updated: Baseline
    unlockable: tuple[str, ...]


def check_baseline(
    baseline: Path,
    runs: Sequence[Path] = (),
    *,
    tolerances: Tolerances = DEFAULT_TOLERANCES,
    skipped_is_error: bool = False,
    workers: int | None = None,
) -> RegressRecord:
    """Recompute runs with the tools that are installed now, from model to words, and compare them with a baseline.

    Args:
        baseline: The file that ``edgeval regress lock`` wrote.
        runs: Only these, by run directory or by the name of a run in the file; all of them if empty.
        tolerances: How far metric, damage, resources and latency may be off; words have none.
        skipped_is_error: Whether a skipped gate makes the verdict ``failed``.
        workers: Processes of C-simulation and campaign; the cores at hand if ``None``.

    Returns:
        Every gate of every run. Nothing is written into the runs.

    Raises:
        RunDirectoryError: baseline or run is missing, damaged or of another version. UsageError: a run that the
            baseline does not know, or a tolerance below 0.
    """
    return examine(baseline, runs, tolerances=tolerances, skipped_is_error=skipped_is_error, workers=workers).record


def examine(
    baseline: Path,
    runs: Sequence[Path] = (),
    *,
    tolerances: Tolerances = DEFAULT_TOLERANCES,
    skipped_is_error: bool = False,
    workers: int | None = None,
) -> Examination:
    """As ``check_baseline``, with what an update would write."""
    require_tolerances(tolerances)
    locked = load_baseline(baseline)
    chosen = _chosen(locked, baseline, runs)
    for _, path in chosen:
        existing_run(path)  # before the first is measured
    results: list[Judged] = []
    now: dict[str, LockedRun] = {}
    unlockable: list[str] = []
    for run, path in chosen:
        found, entry, reason = _checked(run, path, tolerances, workers)
        results.append(found)
        if entry is not None and not reason:
            now[run.name] = entry
        else:
            unlockable.append(f"{run.name}: {reason}")
    return Examination(
        record=record_of(
            results,
            baseline=baseline.name,
            tolerances=tolerances,
            skipped_is_error=skipped_is_error,
            digests={"baseline": digest_file(baseline)},
        ),
        updated=Baseline(runs=tuple(now.get(run.name, run) for run in locked.runs)),
        unlockable=tuple(unlockable),
    )


def _checked(
    run: LockedRun, path: Path, tolerances: Tolerances, workers: int | None
) -> tuple[Judged, LockedRun | None, str]:
    """The gates of one run, the run as it is now, and why it cannot be locked like that."""
    try:
        found = observe(existing_run(path), run.name, run.path, _as_locked(run, workers))
    except RunDirectoryError:
        raise
    except (LoweringError, InputError, ToolError) as error:
        tools = version_changes(run.versions, tool_versions())
        return broken(run, f"{error.where}: {error.found}", error.remedy, tools), None, error.found
    wrong = refusal(found, path)
    return judged(observed_run(run, found), tolerances), found.run, "" if wrong is None else wrong.found


def _as_locked(run: LockedRun, workers: int | None) -> Asked:
    """The same faults and golden samples as when the run was locked."""
    faults = run.faults
    wanted = None if faults.skipped else faults.faults
    if faults.skipped == NONE_ASKED:
        wanted = 0
    return Asked(
        faults="all" if wanted and wanted == faults.sites else wanted,
        seed=faults.seed,
        tolerance=faults.tolerance,
        golden=run.words.golden,
        workers=workers,
    )


def _chosen(locked: Baseline, baseline: Path, runs: Sequence[Path]) -> list[tuple[LockedRun, Path]]:
    """Runs of the baseline that are checked, each with its folder."""
    folders = {run.name: baseline.parent / run.path for run in locked.runs}
    by_name = {run.name: run for run in locked.runs}
    if not runs:
        return [(run, folders[run.name]) for run in locked.runs]
    chosen = []
    for path in runs:
        at = [name for name, folder in folders.items() if folder.resolve() == path.resolve()]
        name = at[0] if at else path.resolve().name
        if name not in by_name:
            raise UsageError(
                found=f"run {path}",
                allowed=", ".join(by_name),
                where=str(baseline),
                remedy=f"name one of these runs, or add it with `edgeval regress lock {path}`",
            )
        # A run of that name elsewhere: trained anew in another folder, compared with what was locked here.
        chosen.append((by_name[name], path if at or path.is_dir() else folders[name]))
    return chosen


def require_tolerances(tolerances: Tolerances) -> None:
    """Refuse tolerances below 0.

    Raises:
        UsageError: one is.
    """
    options = {"metric": "metric", "damage": "damage", "resources": "resource", "latency": "latency"}
    for field, option in options.items():
        value = getattr(tolerances, field)
        if not 0 <= value < float("inf"):
            raise UsageError(
                found=f"{value:g}", allowed="0 or more", where=f"--{option}-tolerance", remedy="give a tolerance"
            )


def record_of(
    results: Sequence[Judged],
    *,
    baseline: str,
    tolerances: Tolerances,
    skipped_is_error: bool,
    digests: dict[str, str],
) -> RegressRecord:
    """Gates as a record, with verdict and first line."""
    gates = [gate for result in results for gate in result.gates]
    leading = [f"{result.gates[0].run}: {result.leading}" for result in results if result.leading]
    verdict = _verdict(gates, skipped_is_error=skipped_is_error)
    return RegressRecord(
        fingerprint=make_fingerprint(
            "regress check",
            {**msgspec.to_builtins(tolerances), "skipped-is-error": skipped_is_error},
            seeds={},
            digests=digests,
        ),
        verdict=verdict,
        headline=_headline(gates, verdict, leading, skipped_is_error=skipped_is_error),
        baseline=baseline,
        tolerances=tolerances,
        skipped_is_error=skipped_is_error,
        gates=tuple(gates),
    )


def _verdict(gates: Iterable[Gate], *, skipped_is_error: bool) -> GateStatus:
    found = {gate.status for gate in gates}
    if "failed" in found or (skipped_is_error and "skipped" in found):
        return "failed"
    return "passed" if "passed" in found else "skipped"


def _headline(gates: Sequence[Gate], verdict: GateStatus, leading: Sequence[str], *, skipped_is_error: bool) -> str:
    counts = {status: sum(gate.status == status for gate in gates) for status in ("failed", "passed", "skipped")}
    runs = len({gate.run for gate in gates})
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status != "failed")
    skips = " (a skip is an error here)" if skipped_is_error and counts["skipped"] else ""
    counted = f"{verdict.upper()} {len(gates)} gates of {runs} {'run' if runs == 1 else 'runs'}: {told}{skips}"
    if not leading:
        return counted
    more = f" (and {len(leading) - 1} more {'run' if len(leading) == 2 else 'runs'})" if len(leading) > 1 else ""
    return f"{counted}; {leading[0]}{more}"
