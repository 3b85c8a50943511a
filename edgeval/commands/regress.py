"""``edgeval regress``: lock what runs compute, check that they still do, compare two of them."""

from __future__ import annotations

import secrets
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from cyclopts import App, Parameter

from edgeval.regression_record import DEFAULT_BASELINE, Gate, RegressRecord, Tolerances
from edgeval.report.headlines import lock_headline
from edgeval.report.text import percent, write_json, write_line
from hls.errors import InputError, UsageError


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ToleranceOptions:
    """How far a run may be from its baseline; words have no tolerance."""

    metric_tolerance: float = 0.0
    """How much worse the metric may be, in its unit."""
    damage_tolerance: float = 0.0
    """How much larger mean and worst damage of a fault may be, relative."""
    resource_tolerance: float = 0.1
    """How much larger LUT, FF, DSP and memories may be, relative."""
    latency_tolerance: float = 0.02
    """How many more cycles there may be, relative."""

    def tolerances(self) -> Tolerances:
        """As the record has them."""
        return Tolerances(
            metric=self.metric_tolerance,
            damage=self.damage_tolerance,
            resources=self.resource_tolerance,
            latency=self.latency_tolerance,
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class LockConfig:
    """Options of ``edgeval regress lock``."""

    runs: tuple[Path, ...]
    """Exported run directories."""
    _: KW_ONLY
    baseline: Path = DEFAULT_BASELINE
    """File to write; runs that it holds and that are not named stay as they are."""
    faults: str | None = None
    """Stored bits to flip: a number, all, or none; if left out, all where that takes seconds, else 2,000."""
    critical_threshold: float | None = None
    """Regression: how far an output may move, in the metric's unit; one float-versus-quantized RMSE if left out."""
    seed: int = 0
    """Seed of the draw of faults."""
    workers: int | None = None
    """Worker processes; the cores at hand if left out."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class CheckConfig:
    """Options of ``edgeval regress check``."""

    runs: tuple[Path, ...] = ()
    """Only these runs, by folder or by name; all of the baseline if left out."""
    _: KW_ONLY
    baseline: Path = DEFAULT_BASELINE
    """File that `edgeval regress lock` wrote."""
    tolerance: ToleranceOptions = ToleranceOptions()
    """How far off a run may be."""
    skipped_is_error: bool = False
    """Fail where something could not be compared."""
    update: bool = False
    """Say what changed, then lock it."""
    workers: int | None = None
    """Worker processes; the cores at hand if left out."""
    json: bool = False
    """Print the record."""
    github: bool = False
    """Print annotations for GitHub Actions behind the text, whose lines are no commands then."""
    junit: Path | None = None
    """File to write as JUnit XML."""
    sarif: Path | None = None
    """File to write as SARIF 2.1.0."""
    markdown: Path | None = None
    """File to write the summary for a pull request to."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class DiffConfig:
    """Options of ``edgeval regress diff``."""

    first: Path
    """Baseline file or run directory: what was."""
    second: Path
    """Baseline file or run directory: what is."""
    _: KW_ONLY
    tolerance: ToleranceOptions = ToleranceOptions()
    """How far off it may be."""
    faults: str = "none"
    """Stored bits to flip where both are run directories: a number, all, or none."""
    workers: int | None = None
    """Worker processes; the cores at hand if left out."""
    json: bool = False
    """Print the record."""


def lock(config: LockConfig) -> int:
    """Measure runs and write them into a baseline file, to be kept beside the code."""
    from edgeval.regression.damage import parse_faults
    from edgeval.regression.lock import lock_runs

    baseline = lock_runs(
        config.baseline,
        config.runs,
        faults=parse_faults(config.faults),
        seed=config.seed,
        critical_threshold=config.critical_threshold,
        workers=config.workers,
    )
    named = {path.resolve() for path in config.runs}
    folder = config.baseline.resolve().parent
    locked = [run for run in baseline.runs if (folder / run.path).resolve() in named]
    write_line(lock_headline(config.baseline, len(locked), len(baseline.runs)))
    for run in locked:
        words = sum(layer.words for layer in run.words.layers)
        faults = run.faults
        judged = (
            f"no faults: {faults.skipped}" if faults.skipped else f"{faults.faults:,} of {faults.sites:,} bits flipped"
        )
        write_line(
            f"{run.name}: {len(run.types)} types, {run.stored_bits:,} stored bits, {words:,} words on "
            f"{run.words.samples:,} samples, C-simulation {run.csim}; {judged}"
        )
    return 0


def check(config: CheckConfig = CheckConfig()) -> int:
    """Recompute the runs of a baseline with the tools installed now, and say what changed, and why."""
    from edgeval.regression.baseline import save_baseline
    from edgeval.regression.check import examine

    _require_one_output(config)
    found = examine(
        config.baseline,
        config.runs,
        tolerances=config.tolerance.tolerances(),
        skipped_is_error=config.skipped_is_error,
        workers=config.workers,
    )
    write_outputs(found.record, config)
    if not config.update:
        return _exit_code(found.record)
    if found.unlockable:
        raise InputError(
            found="; ".join(found.unlockable),
            allowed="runs that `edgeval regress lock` would take",
            where="--update",
            remedy="mend them first: a baseline of a wrong thing would hide the fault for good",
        )
    save_baseline(found.updated, config.baseline)
    if not config.json:
        write_line(f"UPDATED {config.baseline}: it holds the runs as they are now")
    return 0


def diff(config: DiffConfig) -> int:
    """Compare two baselines, two runs, or one of each."""
    from edgeval.regression.damage import parse_faults
    from edgeval.regression.diff import diff as compare

    faults = parse_faults(config.faults)
    record = compare(
        config.first,
        config.second,
        tolerances=config.tolerance.tolerances(),
        faults=0 if faults is None else faults,
        workers=config.workers,
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return _exit_code(record)


def _require_one_output(config: CheckConfig) -> None:
    if config.json and config.github:
        raise UsageError(
            found="--json with --github",
            allowed="one of them, for both are for standard output",
            where="edgeval regress check",
            remedy="leave one out",
        )


def write_outputs(record: RegressRecord, config: CheckConfig) -> None:
    """Everything that a check writes about what it found: standard output, and the files that were asked for."""
    from edgeval.report.ci_files import write_ci_files
    from edgeval.report.gates import find_place, run_names
    from edgeval.report.github import annotate, resumed, stopped

    place = find_place(config.baseline, run_names(record))
    write_ci_files(record, place, junit=config.junit, sarif=config.sarif, markdown=config.markdown)
    if config.json:
        write_json(record)
        return
    token = secrets.token_hex(16)
    if config.github:
        write_line(stopped(token))
    _write(record)
    if config.github:
        write_line(resumed(token))
        for line in annotate(record, place):
            write_line(line)


def make_regress() -> App:
    """The sub-application with its three verbs."""
    app = App(
        name="regress",
        help="Lock what runs compute in a small file, and find out what changed it.",
        default_parameter=Parameter(negative=()),
    )
    for verb in (lock, check, diff):
        app.command(verb)
    return app


def _exit_code(record: RegressRecord) -> int:
    return 1 if record.verdict == "failed" else 0


def _write(record: RegressRecord) -> None:
    write_line(record.headline)
    allowed = record.tolerances
    write_line(
        f"tolerances: words 0, metric {allowed.metric:g}, damage {percent(allowed.damage)}, "
        f"LUT/FF/DSP/BRAM {percent(allowed.resources)}, latency {percent(allowed.latency)}"
    )
    for run in dict.fromkeys(gate.run for gate in record.gates):
        write_line(run)
        told: set[str] = set()  # gates with one cause say so each; people read it once
        for gate in record.gates:
            if gate.run == run:
                _write_gate(gate, told)


def _write_gate(gate: Gate, told: set[str]) -> None:
    write_line(f"  {gate.status:<7}  {gate.name:<9}  {gate.summary}")
    remedy = [f"to do: {gate.remedy}"] if gate.remedy else []
    for detail in (*gate.details, *remedy):
        if detail not in told:
            write_line(f"{'':22}{detail}")
        told.add(detail)
