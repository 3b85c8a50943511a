"""The section about one fault campaign: its summary, its figures and its worst faults."""

from __future__ import annotations

from math import prod

import numpy as np

from edgeval.records import CrossCheckRow, FaultRow, InjectRecord
from edgeval.report.cumulative_figure import cumulative_damage
from edgeval.report.estimate_section import estimates
from edgeval.report.fault_figures import damage_curve, fault_columns, shown_in_maps, weight_maps
from edgeval.report.figures import CLASSES, DECISION_CLASSES, Draw, class_bars, damage_maps, share_of
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import better, change, count, counted, percent, quantity, sentence, significant
from edgeval.report.sections import section
from edgeval.report.verdicts import checked
from edgeval.report.view import CampaignView

EXECUTORS = {"exact": "the exact engine", "csim": "the C-simulation", "C-simulation": "the C-simulation"}
"""Names in records, for people."""


def campaign(view: CampaignView, anchor: str, title: str, draw: Draw) -> Markup:
    """Everything a campaign found.

    Args:
        view: The campaign.
        anchor: Of the section.
        title: Of the section.
        draw: Places a figure.
    """
    record = view.record
    return section(
        anchor,
        title,
        element("p", _lead(record), class_="lead"),
        _class_strip(record),
        _brute_force(record.brute_force),
        _cross_check(record.cross_check),
        element("p", element("a", f"Browse all {counted(record.faults, 'fault')}", href=view.browse))
        if view.browse
        else "",
        estimates(record.estimate, record.metric) if record.estimate else "",
        definitions(_facts(record), "facts"),
        _by_place(record, draw) if record.damage else element("p", _class_legend(record)),
        _per_fault(view, draw),
        element("h4", "Worst faults"),
        _worst(record, view),
    )


def _by_place(record: InjectRecord, draw: Draw) -> Markup:
    return join(
        element("h4", "Where faults do damage"),
        element("div", [draw(figure) for figure in damage_maps(record.damage, record.metric)], class_="grid"),
        _damage_details(record),
        element("h4", "Outcome classes by bit"),
        element("p", _class_legend(record)),
        element("div", [draw(figure) for figure in class_bars(record.damage)], class_="grid three"),
    )


def _lead(record: InjectRecord) -> str:
    judged = f"each judged on {counted(record.samples, 'sample')}"
    if record.estimate is not None:
        share = record.estimate.critical
        return (
            f"{counted(record.faults, 'fault')} ({record.fault}) drawn from {count(record.sites)}, {judged}: "
            f"{percent(share.value)} of all are critical ({percent(share.low)} to {percent(share.high)} at "
            f"{percent(record.estimate.confidence)} confidence)."
        )
    critical = record.classes.get("critical", 0)
    return (
        f"{counted(record.faults, 'fault')} ({record.fault}), every one the filter left, {judged}: "
        f"{percent(critical / max(1, record.faults))} are critical."
    )


def _class_strip(record: InjectRecord) -> Markup:
    total = max(1, sum(record.classes.values()))
    found = [(name, record.classes[name]) for name in _classes(record)]
    bars = [element("span", class_=name, style=f"flex-grow:{number}") for name, number in found if number]
    names = [
        element("li", element("i", class_=name), element("b", name), f" {count(number)} ({percent(number / total)})")
        for name, number in found
    ]
    return element(
        "div", element("div", bars, class_="strip", aria_hidden="true"), element("ul", names), class_="classes"
    )


def _class_legend(record: InjectRecord) -> Markup:
    needed = "at least one sample"
    if record.critical_share:
        needed = f"at least {percent(record.critical_share)} of the samples"
    decision = "the largest output is another one"
    if record.decision != "argmax":
        decision = f"an output moves by more than {quantity(record.tolerance, record.metric.unit)}"
    meaning = {
        "masked": ": every output word stays. ",
        "tolerable": ": words change, decisions stay. ",
        "kept": ": decisions stay. ",
        "critical": f": {decision}, in {needed}.",
    }
    return join(*(part for name in _classes(record) for part in (element("b", name), meaning[name])))


def _classes(record: InjectRecord) -> tuple[str, ...]:
    return CLASSES if record.detail == "full" else DECISION_CLASSES


def _brute_force(row: CrossCheckRow) -> Markup:
    return _check(row, "by brute force, one run of the whole network each")


def _cross_check(row: CrossCheckRow | None) -> Markup:
    if row is None:
        return element("p", "Not cross-checked on another executor.", class_="check")
    return _check(row, f"by brute force and on {EXECUTORS.get(row.executor, row.executor)}")


def _check(row: CrossCheckRow, how: str) -> Markup:
    text = (
        f"{counted(row.faults, 'fault')} repeated {how}: "
        f"{counted(len(row.mismatches), 'mismatch', 'mismatches')} over {counted(row.words, 'word')}."
    )
    sites = [" ", code(", ".join(row.mismatches))] if row.mismatches else []
    return checked(text, sites, good=not row.mismatches)


def _facts(record: InjectRecord) -> list[tuple[Child, Child]]:
    metric = record.metric
    relative = "labels" if record.label_relative else "fault-free answers, for want of labels"
    tolerance = "" if record.decision == "argmax" else f", {quantity(record.tolerance, metric.unit)}"
    skipped = record.fingerprint.configuration.get("skip-pruned", False)
    pruned = f"{count(record.pruned)} bits of zero words {'left out' if skipped else 'among them'}"
    return [
        ("Fault model", record.fault),
        ("Executor", EXECUTORS.get(record.executor, record.executor)),
        ("Detail", "every outcome" if record.detail == "full" else "decisions only"),
        ("Run on", _place(record)),
        ("Faults to draw from", f"{count(record.sites)}; {pruned}"),
        ("Decision", record.decision + tolerance),
        (f"{metric.name}, fault-free", f"{quantity(metric.value, metric.unit)}, {better(metric.direction)}"),
        ("Metric against", relative),
        ("Decisions changed by a fault, mean", _decisions_changed(record)),
        # No rate: the time holds the cross-check too, and a resumed campaign computes only what was missing.
        ("Time of the command", f"{significant(record.seconds, 3)} s"),
        ("Per-fault tables", code(record.outcomes)),
    ]


def _decisions_changed(record: InjectRecord) -> str:
    mean = record.decisions_changed
    return f"{quantity(mean.value, 'fraction')}; with other samples {_share(mean.low)} to {_share(mean.high)}"


def _share(value: float) -> str:
    return quantity(value, "fraction")


def _place(record: InjectRecord) -> str:
    threads = counted(record.kernel_threads, "kernel thread")
    workers = f"{counted(record.workers, 'worker')}, " if record.workers else ""
    return f"{record.run_on}: {workers}{threads} each"


def _damage_details(record: InjectRecord) -> Markup:
    unit = record.metric.unit
    header = ["Tensor", "Bit", "Faults", *(name.capitalize() for name in _classes(record))]
    header += ["Mean decisions changed", "Mean change", "Worst change", "Worst site no."]
    rows = [
        [
            code(row.tensor),
            str(row.bit),
            count(row.faults),
            *(percent(share_of(row, name)) for name in _classes(record)),
            percent(row.mean_decisions_changed),
            change(row.mean_metric_change, unit),
            change(row.worst_metric_change, unit),
            count(row.worst_site),
        ]
        for row in record.damage
    ]
    caption = f"Layer × bit, changes of {record.metric.name}"
    return element("details", element("summary", "The same as a table"), table(caption, header, rows))


def _per_fault(view: CampaignView, draw: Draw) -> Markup:
    record = view.record
    if view.outcomes is None and view.browse is not None:
        text = f"Figures of single faults are left out: a table of {count(record.faults)} rows is not read as a whole."
        return element("p", text, class_="missing")
    if view.outcomes is None:
        text = join("The per-fault tables in ", code(record.outcomes), " are not there. Make them again with ")
        return element("p", text, code("edgeval inject-faults RUN"), ".", class_="missing")
    faults = fault_columns(view.outcomes, record.samples, record.metric)
    curve = damage_curve(faults, record.metric)
    shapes = view.shapes or {name: () for name in faults.names}
    shown = shown_in_maps(faults, record.metric, record.decision)
    maps = weight_maps(faults, shapes, shown)
    cumulative = cumulative_damage(faults, shown, "bits" if record.fault == "flip" else "faults")
    blank = "" if record.exhaustive else " Blank: not sampled."
    return join(
        element("h4", "Every fault, sorted"),
        "" if curve else element("p", f"No fault makes the {record.metric.name} worse."),
        element("div", [draw(figure) for figure in (curve, cumulative) if figure], class_="grid"),
        element("h4", "Every word and bit"),
        element("p", f"{sentence(shown.name)} by each fault; every tensor on a colour scale of its own.{blank}"),
        element("div", [draw(figure) for figure in maps], class_="grid three"),
    )


def _worst(record: InjectRecord, view: CampaignView) -> Markup:
    if not record.worst:
        return element("p", f"No fault makes the {record.metric.name} worse.")
    metric = record.metric
    header = ["Site", "Position", "Word", "With the fault", f"Change of {metric.name}", "Decisions changed"]
    rows = [
        [
            code(row.site),
            _position(row, view),
            "" if row.golden_word is None else count(row.golden_word),
            "" if row.faulty_word is None else count(row.faulty_word),
            change(row.metric_change, metric.unit),
            f"{count(row.decisions_changed)} ({percent(row.decisions_changed / record.samples)})",
        ]
        for row in record.worst
    ]
    return table(f"The {count(len(rows))} most harmful faults, worst first", header, rows, text_columns=2)


def _position(row: FaultRow, view: CampaignView) -> str:
    tensor, _, place = row.site.partition(":")
    index, shape = place.partition(":")[0], view.shapes.get(tensor)
    if not shape or not index.isdecimal() or not 0 <= int(index) < prod(shape):
        return ""
    return f"[{', '.join(str(int(axis)) for axis in np.unravel_index(int(index), shape))}]"
