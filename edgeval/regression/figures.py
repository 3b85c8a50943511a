"""Gates of figures that have a tolerance: metric, damage of faults, resources, latency."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edgeval.records import MetricValue
from edgeval.regression.attribution import Attribution
from edgeval.regression.baseline import LockedFaults, LockedRun
from edgeval.regression_record import Gate, GateName
from edgeval.report.text import metric_change_text, metric_text, percent

_BETTER = "lock it with `edgeval regress check --update`"
_ACCEPT = "where it is meant, lock it with `edgeval regress check --update`, or allow it with {option}"
_SYNTHESIZE = "synthesize the project (`vitis_hls -f build_prj.tcl` in hls4ml/), then lock or check again"
_ROUNDING = 1e-9
"""Relative: sums of a million float64 terms, added in another order on another machine, differ by less."""


def metric_gate(old: LockedRun, new: LockedRun, tolerance: float, why: Attribution) -> Gate:
    """The task metric on the evaluation set, in the bad direction.

    Args:
        old: Locked.
        new: Now.
        tolerance: In the metric's unit.
        why: For the cause.
    """
    before, after = old.metric, new.metric
    if before is None or after is None:
        return _skipped(
            old, "metric", "the evaluation set has no labels", "bring labels with --inputs when the run is made"
        )
    if (before.name, before.unit) != (after.name, after.unit):
        what = f"metric changed from {before.name} to {after.name}"
        return _failed(old, "metric", what, why, "--metric-tolerance")
    worse = _harm(before, after.value - before.value)
    allowed = f"tolerance {metric_change_text(tolerance, after.unit)}"
    if _beyond(worse, tolerance, before.value):
        change = metric_change_text(after.value - before.value, after.unit)
        what = f"{_step_text(before, after)} ({change}; {allowed})"
        return _failed(old, "metric", what, why, "--metric-tolerance")
    if after.value == before.value:
        return _passed(old, "metric", f"{metric_text(after)} on {new.words.samples:,} samples, as locked")
    change = metric_change_text(after.value - before.value, after.unit)
    better = "better than locked" if worse < 0 else "within its tolerance"
    return _passed(old, "metric", f"{_step_text(before, after)} ({change}; {allowed}): {better}")


def _step_text(before: MetricValue, after: MetricValue) -> str:
    was, now = (metric_text(value).removeprefix(f"{value.name} ") for value in (before, after))
    return f"{after.name} went from {was} to {now}"


def fault_gate(old: LockedRun, new: LockedRun, tolerance: float, why: Attribution) -> Gate:
    """Mean and worst damage of a flipped stored bit, relative."""
    before, after = old.faults, new.faults
    skipped = before.skipped or after.skipped
    if skipped or before.metric is None or after.metric is None:
        return _skipped(
            old, "faults", f"no faults were judged: {skipped or 'no metric'}",
            _judge_faults(skipped),
        )  # fmt: skip
    amount = _amount(after)
    figures = {
        "decisions that a fault changes on average": (before.mean_decisions, after.mean_decisions, _share),
        "mean damage of a fault": (before.mean_harm, after.mean_harm, _damage(after.metric)),
        "worst damage of a fault": (before.worst_harm, after.worst_harm, _damage(after.metric)),
    }
    worse = [
        f"{name} went from {text(was)} to {text(now)}"
        for name, (was, now, text) in figures.items()
        if _beyond(now - was, tolerance * abs(was), was)
    ]
    place = "" if before.worst_site == after.worst_site else f"worst fault moved from {before.worst_site or 'none'} to "
    moved = [f"{place}{after.worst_site or 'none'}"] if place else []
    if (before.faults, before.sites) != (after.faults, after.sites):
        moved.append(f"locked: {_amount(before)}; now: {amount}")
    if worse:
        what = f"{worse[0]} (tolerance {percent(tolerance)}; {amount})"
        return _failed(old, "faults", what, why, "--damage-tolerance", (*worse[1:], *moved))
    same = (before.mean_harm, before.worst_harm, before.worst_site) == (
        after.mean_harm, after.worst_harm, after.worst_site,
    )  # fmt: skip
    state = "as locked" if same else f"no worse than locked (tolerance {percent(tolerance)})"
    at = f" at {after.worst_site}" if after.worst_site else ""
    shown = _damage(after.metric)
    summary = f"mean damage {shown(after.mean_harm)}, worst {shown(after.worst_harm)}{at}, {state}; {amount}"
    return _passed(old, "faults", summary, *moved)


def _judge_faults(skipped: str) -> str:
    if "on PATH" in skipped:
        return "install g++: the campaign's kernels are compiled once a machine"
    return "lock again with --faults N or all, and --critical-threshold for a regression"


def resource_gate(old: LockedRun, new: LockedRun, tolerance: float, note: str) -> Gate:
    """LUT, FF, DSP and memories of the synthesis report, relative growth."""
    return _report_gate("resources", old, new, tolerance, note)


def latency_gate(old: LockedRun, new: LockedRun, tolerance: float, note: str) -> Gate:
    """Latency and interval of the synthesis report in cycles, relative growth."""
    return _report_gate("latency", old, new, tolerance, note)


def _report_gate(name: GateName, old: LockedRun, new: LockedRun, tolerance: float, note: str) -> Gate:
    if old.report is None and new.report is None:
        return _skipped(old, name, note, _SYNTHESIZE)
    if new.report is None:
        return _skipped(old, name, f"locked from {old.report.file if old.report else ''}, but now {note}", _SYNTHESIZE)
    if old.report is None:
        return _skipped(old, name, f"the baseline has none; {new.report.file} is here now", _BETTER)
    kind = "resources" if name == "resources" else "cycles"
    before, after = getattr(old.report, kind), getattr(new.report, kind)
    option = "--resource-tolerance" if name == "resources" else "--latency-tolerance"
    grown = list(_grown(before, after, tolerance))
    if grown:
        return Gate(
            run=old.name, name=name, status="failed", summary=f"{grown[0]} (tolerance {percent(tolerance)})",
            details=tuple(grown[1:]), remedy=_ACCEPT.format(option=option),
        )  # fmt: skip
    missing = [key for key in before if key not in after]
    if missing or not before:
        reason = f"the report does not say {', '.join(missing) or 'any of them'}"
        return _skipped(old, name, reason, _SYNTHESIZE)
    figures = ", ".join(f"{key} {_step(before[key], after[key])}" for key in before)
    return _passed(old, name, f"{figures} (tolerance {percent(tolerance)})")


def _grown(before: Mapping[str, int], after: Mapping[str, int], tolerance: float) -> Iterator[str]:
    for key, was in before.items():
        now = after.get(key, was)
        if now > was * (1 + tolerance):
            relative = f"+{percent(now / was - 1)}" if was else "from none"
            yield f"{key} went from {was:,} to {now:,} ({relative})"


def _step(was: int, now: int) -> str:
    return f"{now:,}" if was == now else f"{was:,} → {now:,}"


def _harm(metric: MetricValue, change: float) -> float:
    return -change if metric.direction == "higher" else change


def _beyond(worse: float, allowed: float, size: float) -> bool:
    """Whether a change for the worse is more than allowed, and more than what adding floats in another order makes."""
    return worse > allowed + _ROUNDING * abs(size)


def _share(value: float) -> str:
    return percent(value, 3)


def _damage(metric: MetricValue) -> Callable[[float], str]:
    sign = -1.0 if metric.direction == "higher" else 1.0
    return lambda harm: metric_change_text(sign * harm if harm else 0.0, metric.unit)


def _amount(faults: LockedFaults) -> str:
    if faults.faults == faults.sites:
        return f"all {faults.sites:,} stored bits"
    return f"{faults.faults:,} of {faults.sites:,} stored bits, seed {faults.seed}"


def _passed(run: LockedRun, name: GateName, summary: str, *details: str) -> Gate:
    return Gate(run=run.name, name=name, status="passed", summary=summary, details=details)


def _skipped(run: LockedRun, name: GateName, reason: str, remedy: str) -> Gate:
    return Gate(run=run.name, name=name, status="skipped", summary=reason, remedy=remedy)


def _failed(
    run: LockedRun, name: GateName, what: str, why: Attribution, option: str, details: tuple[str, ...] = ()
) -> Gate:
    return Gate(
        run=run.name, name=name, status="failed", summary=what if why.tool is None else f"{why.tool}: {what}",
        details=(why.evidence(), *details), remedy=_ACCEPT.format(option=option),
    )  # fmt: skip
