"""The section about one fault campaign: its summary, its figures and its worst faults."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from edgeval.records import CrossCheckRow, FaultRow, InjectRecord
from edgeval.report.fault_figures import damage_curve, fault_columns, shown_in_maps, weight_maps
from edgeval.report.figures import CLASSES, Figure, class_bars, damage_maps
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import better, change, count, counted, percent, quantity, sentence, significant
from edgeval.report.sections import section
from edgeval.report.view import CampaignView

Draw = Callable[[Figure], Markup]
"""Places a figure on the page."""

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
        _cross_check(record.cross_check),
        definitions(_facts(record), "facts"),
        element("h4", "Where faults do damage"),
        element("div", [draw(figure) for figure in damage_maps(record.damage, record.metric)], class_="grid"),
        _damage_details(record),
        element("h4", "Outcome classes by bit"),
        element("p", _class_legend(record)),
        element("div", [draw(figure) for figure in class_bars(record.damage)], class_="grid three"),
        _per_fault(view, draw),
        element("h4", "Worst faults"),
        _worst(record, view),
    )


def _lead(record: InjectRecord) -> str:
    scope = "every stored bit the filter left" if record.exhaustive else f"{count(record.sites)} sites, sampled"
    critical = record.classes.get("critical", 0)
    return (
        f"{counted(record.faults, 'fault')} ({record.fault}) in {scope}, each judged on "
        f"{counted(record.samples, 'sample')}: {percent(critical / max(1, record.faults))} are critical."
    )


def _class_strip(record: InjectRecord) -> Markup:
    total = max(1, sum(record.classes.values()))
    found = [(name, record.classes.get(name, 0)) for name in CLASSES]
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
    return join(
        element("b", "masked"),
        ": every output word stays. ",
        element("b", "tolerable"),
        ": words change, decisions stay. ",
        element("b", "critical"),
        f": {decision}, in {needed}.",
    )


def _cross_check(row: CrossCheckRow | None) -> Markup:
    if row is None:
        return element("p", "Not cross-checked on another executor.", class_="check")
    other = EXECUTORS.get(row.executor, row.executor)
    text = (
        f"{counted(row.faults, 'fault')} repeated by brute force and on {other}: "
        f"{counted(len(row.mismatches), 'mismatch', 'mismatches')} over {counted(row.words, 'word')}."
    )
    sign = "✕" if row.mismatches else "✓"
    sites = [" ", code(", ".join(row.mismatches))] if row.mismatches else []
    kind = "check bad" if row.mismatches else "check good"
    return element("p", element("span", sign, aria_hidden="true"), " ", text, sites, class_=kind)


def _facts(record: InjectRecord) -> list[tuple[Child, Child]]:
    metric = record.metric
    relative = "labels" if record.label_relative else "fault-free answers, for want of labels"
    tolerance = "" if record.decision == "argmax" else f", {quantity(record.tolerance, metric.unit)}"
    skipped = record.fingerprint.configuration.get("skip-pruned", False)
    pruned = f"{count(record.pruned)} bits of zero words {'left out' if skipped else 'among them'}"
    return [
        ("Fault model", record.fault),
        ("Executor", EXECUTORS.get(record.executor, record.executor)),
        ("Sites", f"{count(record.sites)}; {pruned}"),
        ("Decision", record.decision + tolerance),
        (f"{metric.name}, fault-free", f"{quantity(metric.value, metric.unit)}, {better(metric.direction)}"),
        ("Metric against", relative),
        # No rate: the time holds the cross-check too, and a resumed campaign computes only what was missing.
        ("Time of the command", f"{significant(record.seconds, 3)} s"),
        ("Per-fault tables", code(record.outcomes)),
    ]


def _damage_details(record: InjectRecord) -> Markup:
    unit = record.metric.unit
    header = ["Tensor", "Bit", "Faults", *(name.capitalize() for name in CLASSES)]
    header += ["Mean decisions changed", "Mean change", "Worst change", "Worst site no."]
    rows = [
        [
            code(row.tensor),
            str(row.bit),
            count(row.faults),
            *(percent(getattr(row, name)) for name in CLASSES),
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
    if view.outcomes is None:
        text = join("The per-fault tables in ", code(record.outcomes), " are not there. Make them again with ")
        return element("p", text, code("edgeval inject-faults RUN"), ".", class_="missing")
    faults = fault_columns(view.outcomes, record.samples, record.metric)
    curve = damage_curve(faults, record.metric)
    shapes = view.shapes or {name: () for name in faults.names}
    shown = shown_in_maps(faults, record.metric, record.decision)
    maps = weight_maps(faults, shapes, shown)
    blank = "" if record.exhaustive else " Blank: not sampled."
    return join(
        element("h4", "Every fault, sorted"),
        draw(curve) if curve else element("p", f"No fault makes the {record.metric.name} worse."),
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
            count(row.golden_word),
            count(row.faulty_word),
            change(row.metric_change, metric.unit),
            f"{count(row.decisions_changed)} ({percent(row.decisions_changed / record.samples)})",
        ]
        for row in record.worst
    ]
    return table(f"The {count(len(rows))} most harmful faults, worst first", header, rows, text_columns=2)


def _position(row: FaultRow, view: CampaignView) -> str:
    tensor, index, _ = row.site.rsplit(":", 2)
    shape = view.shapes.get(tensor)
    if not shape or not 0 <= int(index) < prod(shape):
        return ""
    return f"[{', '.join(str(int(axis)) for axis in np.unravel_index(int(index), shape))}]"
