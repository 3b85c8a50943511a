"""What the outputs for continuous integration say about a gate, in the same words everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edgeval.regression_record import Gate, GateName, RegressRecord

Outcome = Literal["passed", "failed", "skipped", "skipped_is_error"]
"""``skipped_is_error``: nothing was compared, and that was asked to be an error."""

GATE_TITLES: dict[GateName, str] = {
    "options": "how the run was quantized and built",
    "network": "structure of the integer network",
    "types": "word formats, layer by layer",
    "weights": "stored words",
    "words": "output words of the exact engine on the golden inputs",
    "csim": "output words of the C-simulation on the golden inputs",
    "metric": "task metric on the evaluation set",
    "faults": "mean and worst damage of a flipped bit",
    "resources": "LUT, FF, DSP and BRAM",
    "latency": "latency in cycles",
    "versions": "versions of the tools",
}
"""What each gate compares with the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a reader finds the baseline.

    Attributes:
        path: Of its file, from the root of the repository, with forward slashes.
        lines: First line of each run in it, from 1.
    """

    path: str
    lines: Mapping[str, int]

    def line(self, gate: Gate) -> int:
        """Line to point at for a gate."""
        return self.lines.get(gate.run, 1)


def outcome(gate: Gate, record: RegressRecord) -> Outcome:
    """What a gate counts as."""
    if gate.status == "skipped" and record.skipped_is_error:
        return "skipped_is_error"
    return gate.status


def gate_title(gate: Gate) -> str:
    """Run and gate, as one name.

    Example:
        >>> gate_title(Gate(run="digits", name="types", status="passed", summary="12 layers as locked"))
        'digits: types'
    """
    return f"{gate.run}: {gate.name}" if gate.run else gate.name


def gate_sentence(gate: Gate, record: RegressRecord) -> str:
    """The summary, which says so where nothing was compared."""
    match outcome(gate, record):
        case "skipped":
            return f"skipped, nothing was compared: {gate.summary}"
        case "skipped_is_error":
            return f"skipped, which was asked to be an error: {gate.summary}"
        case _:
            return gate.summary


def gate_text(gate: Gate, record: RegressRecord) -> str:
    """All that is known about a gate: one sentence a line."""
    remedy = [f"To do: {gate.remedy}"] if gate.remedy else []
    return "\n".join([gate_sentence(gate, record), *gate.details, *remedy])


def counts(record: RegressRecord) -> dict[Outcome, int]:
    """Gates of each outcome, those that occur."""
    outcomes = [outcome(gate, record) for gate in record.gates]
    kinds: tuple[Outcome, ...] = ("failed", "skipped_is_error", "skipped", "passed")
    return {kind: outcomes.count(kind) for kind in kinds if kind in outcomes}


def counts_text(record: RegressRecord) -> str:
    """Counts in words, as ``1 failed, 2 skipped, 8 passed``."""
    names = {"skipped_is_error": "skipped as an error"}
    return ", ".join(f"{number} {names.get(kind, kind)}" for kind, number in counts(record).items()) or "no gates"


def find_place(baseline: Path, runs: Iterable[str]) -> Place:
    """Where a reader finds a baseline and its runs.

    Args:
        baseline: Its file; what cannot be read has no lines.
        runs: Names of the runs that are looked for.
    """
    try:
        text = baseline.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    heads = {f'"name": {msgspec.json.encode(run).decode()}': run for run in runs if run}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        run = heads.get(line.strip().removesuffix(","))
        if run is not None:
            lines.setdefault(run, number)
    return Place(path=_repository_path(baseline), lines=lines)


def _repository_path(path: Path) -> str:
    """A file as seen from the root of its repository; from the working folder, where it is in none.

    A code host shows an annotation at a file only under this name.
    """
    place = path.resolve()
    root = next((folder for folder in place.parents if (folder / ".git").exists()), Path.cwd())
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else place.as_posix()


def run_names(record: RegressRecord) -> tuple[str, ...]:
    """Runs in the order of their gates; an empty name is what concerns all runs."""
    return tuple(dict.fromkeys(gate.run for gate in record.gates))


def gates_of(record: RegressRecord, run: str) -> tuple[Gate, ...]:
    """Gates of one run."""
    return tuple(gate for gate in record.gates if gate.run == run)
