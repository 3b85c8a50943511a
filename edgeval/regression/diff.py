"""Two baselines, two run directories, or one of each: what differs between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from edgeval.regression.baseline import LockedRun, load_baseline
from edgeval.regression.check import DEFAULT_TOLERANCES, record_of, require_tolerances
from edgeval.regression.gates import Compared, Judged, judged, observed_run
from edgeval.regression.observe import Asked, Observation, existing_run, observe
from edgeval.regression_record import RegressRecord, Tolerances
from hls.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two things that are compared.

    Attributes:
        runs: By name.
        observed: What was measured, where it is a run directory.
    """

    runs: dict[str, LockedRun]
    observed: Observation | None


def diff(
    first: Path,
    second: Path,
    *,
    tolerances: Tolerances = DEFAULT_TOLERANCES,
    faults: int | Literal["all"] = 0,
    workers: int | None = None,
) -> RegressRecord:
    """Compare two baselines or run directories, the first as what was, the second as what is.

    Args:
        first: A baseline file or a run directory.
        second: As well.
        tolerances: As for a check.
        faults: Faults to judge of a run directory that has no baseline to follow.
        workers: Processes of C-simulation and campaign.

    Returns:
        Every gate of every run that both have.

    Raises:
        RunDirectoryError: one of them is neither. UsageError: they have no run in common.
    """
    require_tolerances(tolerances)
    if first.is_dir() and not second.is_dir():  # a run is measured like the baseline it is compared with
        new = _side(second, None, faults, workers)
        old = _side(first, new, faults, workers)
    else:
        old = _side(first, None, faults, workers)
        new = _side(second, old, faults, workers)
    pairs = _pairs(first, old, second, new)
    results: list[Judged] = []
    for before, after in pairs:
        results.append(judged(_compared(before, after, new.observed), tolerances))
    return record_of(
        results,
        baseline=f"{first.name} → {second.name}",
        tolerances=tolerances,
        skipped_is_error=False,
        digests={before.name: before.network.digest for before, _ in pairs},
    )


def _side(path: Path, other: Side | None, faults: int | Literal["all"], workers: int | None) -> Side:
    if not path.is_dir():
        return Side(runs={run.name: run for run in load_baseline(path).runs}, observed=None)
    name = path.resolve().name
    model = None
    if other is not None:
        model = next(iter(other.runs.values())) if len(other.runs) == 1 else other.runs.get(name)
    asked = Asked(faults=faults, workers=workers)
    if model is not None:
        asked = Asked(
            faults=model.faults.faults,
            seed=model.faults.seed,
            tolerance=model.faults.tolerance,
            golden=model.words.golden,
            workers=workers,
        )
    found = observe(existing_run(path), name, path.as_posix(), asked)
    return Side(runs={name: found.run}, observed=found)


def _pairs(first: Path, old: Side, second: Path, new: Side) -> list[tuple[LockedRun, LockedRun]]:
    if len(old.runs) == len(new.runs) == 1:  # whatever they are called
        (before,), (after,) = old.runs.values(), new.runs.values()
        return [(before, msgspec.structs.replace(after, name=before.name))]
    common = [name for name in old.runs if name in new.runs]
    if not common:
        raise UsageError(
            found=f"runs {', '.join(old.runs)} and {', '.join(new.runs)}",
            allowed="two baselines or runs with a run of one name in both",
            where=f"{first} and {second}",
            remedy="compare baselines of the same runs",
        )
    return [(old.runs[name], new.runs[name]) for name in common]


def _compared(before: LockedRun, after: LockedRun, observed: Observation | None) -> Compared:
    if observed is None:
        return Compared(old=before, new=after)
    return replace(observed_run(before, observed), new=after)  # under the name of the run it is compared with
