"""The figures of a mission in words, for the terminal and for the page alike."""

from __future__ import annotations

from edgeval.mission_record import MissionRecord
from edgeval.report.numbers import count, counted, duration, percent, significant
from fault_injection.mission import SEVERAL_UPSETS_LIMIT

Row = tuple[str, str, str]
"""Name, value with its unit, and what it means."""

_SPACE = "\N{NO-BREAK SPACE}"


def verdict_text(record: MissionRecord) -> str:
    """Whether single-fault figures describe this mission, with the threshold."""
    device, limit = record.device, percent(SEVERAL_UPSETS_LIMIT)
    seen = f"{_share(device.any_upset)} of the periods see an upset, {_share(device.several_upsets)} two or more"
    if device.single_faults_hold:
        return f"single-fault figures hold: {seen} (limit {limit})"
    return (
        f"WARNING: single-fault figures do not hold: {seen} (limit {limit}). "
        "Only the bounds do: rewrite more often, or judge several upsets at once"
    )


def scope_text(record: MissionRecord) -> str:
    """Which bits and which mission."""
    part = "every stored bit" if record.bits == record.stored_bits else f"of {count(record.stored_bits)} stored"
    how = "rewritten every" if record.scrubbed else "never rewritten in"
    length = f", {duration(record.duration)} long" if record.duration is not None and record.scrubbed else ""
    return (
        f"{counted(record.bits, 'bit')} ({part}) judged on {counted(record.samples, 'sample')}; "
        f"{significant(record.cross_section, 3)} cm² a bit, {significant(record.flux, 3)} /cm²/s, "
        f"{how} {duration(record.period)}{length}"
    )


def not_modelled_text(record: MissionRecord) -> str:
    """What the figures leave out."""
    return f"Not modelled: {'; '.join(record.not_modelled)}."


def mission_rows(record: MissionRecord) -> list[Row]:
    """Every figure, those of one device first."""
    return [*_upsets(record), *_decisions(record), *_failures(record), *_all_devices(record)]


def _upsets(record: MissionRecord) -> list[Row]:
    device = record.device
    mean, worst = _number(device.mean_bit_error_rate_exact), _number(device.worst_bit_error_rate_exact)
    return [
        ("upsets of a bit", _rate(device.bit_rate), f"{_number(device.fit_per_megabit)} FIT/Mb"),
        ("upsets of the device", _rate(device.upset_rate), f"one in {duration(1 / device.upset_rate)}"),
        ("bit-error rate, mean", _number(device.mean_bit_error_rate), f"λT/2; {mean} with bits that flip back"),
        ("bit-error rate, worst", _number(device.worst_bit_error_rate), f"λT; {worst} with bits that flip back"),
    ]


def _decisions(record: MissionRecord) -> list[Row]:
    device = record.device
    lowest, highest = _number(device.wrong_decisions_lowest), _number(device.wrong_decisions_highest)
    rows = [
        ("derating", _share(device.derating), "of the decisions changed by an upset, on average"),
        (
            "wrong decisions",
            _number(device.wrong_decisions),
            f"of all; from {lowest} to {highest}, whatever periods with more upsets do",
        ),
    ]
    if device.right_to_wrong is not None:
        rows.append(("right gone wrong", _number(device.right_to_wrong), "of all"))
    return rows


def _failures(record: MissionRecord) -> list[Row]:
    device = record.device
    share = percent(record.harmful_bits / record.bits)
    meaning = (
        f"{count(record.harmful_bits)} bits ({share}) change more than {percent(record.harmful_share)} of decisions"
    )
    bounds = ""
    if record.multi_bit_share:
        lowest, highest = _rate(device.failure_rate_lowest), _rate(device.failure_rate_highest)
        bounds = f"; from {lowest} to {highest}, whatever upsets of several bits do"
    return [
        ("failures", _rate(device.failure_rate), meaning + bounds),
        ("MTTF", "none" if device.mttf is None else duration(device.mttf), "mean time to failure of one device"),
        ("FIT", _number(device.fit), "failures in 10⁹ device hours"),
    ]


def _all_devices(record: MissionRecord) -> list[Row]:
    rows = []
    if record.devices > 1:
        rate = record.device.upset_rate * record.devices
        rows.append(("upsets of all", _rate(rate), f"{count(record.devices)} devices; one in {duration(1 / rate)}"))
    if record.duration is None or record.upsets is None or record.failures is None or record.no_failure is None:
        return rows
    inside = f"in {duration(record.duration)}, {counted(record.devices, 'device')}"
    return [
        *rows,
        ("upsets, whole mission", _number(record.upsets), f"expected {inside}"),
        ("failures, whole mission", _number(record.failures), f"expected {inside}"),
        ("chance of no failure", _share(record.no_failure), inside),
    ]


def _number(value: float) -> str:
    return significant(value, 3)


def _rate(value: float) -> str:
    return f"{_number(value)}{_SPACE}/s"


def _share(value: float) -> str:
    return f"{_number(100 * value)}{_SPACE}%"
