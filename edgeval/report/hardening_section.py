"""The section about hardening: what was protected, what remains and how that is known, and the Pareto curve."""

from __future__ import annotations

from edgeval.hardening_record import HardeningCheck, HardenRecord, VoterCheck
from edgeval.report.figures import NUMBER, Draw, Figure, Trace
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import count, counted, percent, significant
from edgeval.report.sections import section

_LINES = {
    "auto": ("--critical", "solid"),
    "tmr": ("--accent", "solid"),
    "secded": ("--good", "solid"),
    "parity": ("--warn", "solid"),
    "parity-reload": ("--warn", "dot"),
    "msb-duplication": ("--tolerable", "dash"),
    "clip": ("--muted", "dash"),
    "sign-magnitude": ("--ink", "dot"),
}
"""Colour and dash of each scheme: no two are told apart by colour alone."""


def hardening(record: HardenRecord, anchor: str, draw: Draw) -> Markup:
    """Everything that hardening found.

    Args:
        record: Of the command.
        anchor: Of the section.
        draw: Places a figure.
    """
    return section(
        anchor,
        "Hardening",
        element("p", _lead(record), class_="lead"),
        _checked(record.check),
        _voted(record),
        definitions(_facts(record), "facts"),
        draw(pareto_figure(record)),
        _tensors(record),
    )


def measure_name(record: HardenRecord) -> str:
    """What is summed up as damage, in words."""
    return {
        "decisions": "wrong decisions",
        "metric": f"{record.metric.name} [{record.metric.unit}]",
        "critical": "critical bits",
    }[record.damage]


def pareto_figure(record: HardenRecord) -> Figure:
    """Damage that remains against the bits that are added, one line a scheme."""
    traces = []
    for scheme in dict.fromkeys(row.scheme for row in record.pareto):
        points = sorted({(row.added_bits, row.damage) for row in record.pareto if row.scheme == scheme})
        color, dash = _LINES.get(scheme, ("--muted", "solid"))
        traces.append(_line(scheme, points, record, color, dash))
    chosen = [(record.added_bits, record.damage_after)]
    traces.append(_line("this plan", chosen, record, "--critical", "solid"))
    traces[-1] |= {"mode": "markers", "marker": {"color": "--critical", "size": 11, "symbol": "diamond"}}
    layout = {
        "xaxis": {
            "title": {"text": "bits added, share of the stored bits"},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
        "yaxis": {"title": {"text": "damage that remains"}, "tickformat": ".0%", "rangemode": "tozero"},
        "showlegend": True,
    }
    return Figure(
        title=f"Hardening: {measure_name(record)} that remain, against the bits added",
        traces=traces,
        layout=layout,
        columns=(("scheme", "name"), ("share of bits added", "x"), ("share of damage", "y"), ("damage", "customdata")),
        height=400,
        wide=True,
        note="Over flips of every physical bit, copies and check bits too; 100 % is the unprotected network.",
    )


def _line(name: str, points: list[tuple[int, float]], record: HardenRecord, color: str, dash: str) -> Trace:
    whole = record.damage_before or 1.0
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [bits / record.stored_bits for bits, _ in points],
        "y": [damage / whole for _, damage in points],
        "customdata": [damage for _, damage in points],
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"color": color, "size": 5},
        "hovertemplate": f"{name}<br>+%{{x:.1%}} bits: %{{y:.2%}} (%{{customdata:{NUMBER}}})<extra></extra>",
    }


def _lead(record: HardenRecord) -> str:
    left = percent(record.damage_after / record.damage_before) if record.damage_before else "nothing"
    return (
        f"{count(record.added_bits)} bits added to {count(record.stored_bits)} "
        f"(+{percent(record.added_bits / record.stored_bits)}) leave {left} of the damage that single flips do: "
        f"{significant(record.damage_after)} of {significant(record.damage_before)} {measure_name(record)} "
        f"over {counted(record.samples, 'sample')}."
    )


def _checked(check: HardeningCheck) -> Markup:
    again = f"{counted(check.brute_force, 'flip')} repeated by plain runs"
    if check.agrees:
        bits = f"every one of {count(check.physical_bits)} physical bits flipped and decoded"
        text = f"Verified: {bits}, damage as predicted, bit by bit; {again}."
    else:
        bits = f"{counted(check.differing, 'bit')} of {count(check.physical_bits)}"
        text = f"Not as predicted: {bits} do other damage; {again}."
    sign = "✓" if check.agrees else "✕"
    sites = [" ", code(", ".join(check.mismatches))] if check.mismatches else []
    kind = "check good" if check.agrees else "check bad"
    return element("p", element("span", sign, aria_hidden="true"), " ", text, sites, class_=kind)


def _voted(record: HardenRecord) -> Markup:
    if record.project is None:
        return element("p", f"No hardened hls4ml project: {record.no_project}", class_="note")
    where = join("The hls4ml project with voters is in ", code(record.project), ".")
    if record.voter_check is None:
        return element("p", where, " Not tried in C-simulation.", class_="note")
    return _voter_check(where, record.voter_check)


def _voter_check(where: Markup, check: VoterCheck) -> Markup:
    good = check.verdict == "match" and not check.mismatches
    text = (
        f" {check.headline}. {counted(check.single, 'flip')} in one copy changed no output word, "
        f"{count(check.double)} in two copies and {count(check.unprotected)} of unprotected bits had their full effect "
        f"({count(check.visible)} of these are visible)."
    )
    if not good:
        text = f" {check.headline}. Other than it has to be: {', '.join(check.mismatches) or 'fault-free words'}."
    sign = element("span", "✓" if good else "✕", aria_hidden="true")
    return element("p", sign, " ", where, text, class_="check good" if good else "check bad")


def _facts(record: HardenRecord) -> list[tuple[Child, Child]]:
    bound = "proven best" if record.optimal else f"no less than {significant(record.bound)} can be reached"
    return [
        ("Scheme", record.scheme),
        ("Budget", f"{count(record.budget_bits)} bits"),
        ("Plan", bound),
        ("Voters", count(record.voters)),
        ("Damage", measure_name(record)),
        ("Campaign", code(record.campaign)),
        ("On samples it was not chosen with", _held_out(record)),
    ]


def _held_out(record: HardenRecord) -> str:
    other = record.held_out
    if other is None:
        return "not judged"
    after = f"{significant(other.damage_after)} of {significant(other.damage_before)}"
    left = f" ({percent(other.damage_after / other.damage_before)})" if other.damage_before else ""
    return f"{after} remain{left}, {counted(other.samples, 'sample')}"


def _tensors(record: HardenRecord) -> Markup:
    header = ["Tensor", "Storage", "Protected words", "Words", "Triplicated bits", "Bits added", "Before", "After"]
    rows = [
        [
            code(row.tensor),
            row.storage,
            ", ".join(f"{count(number)} {name}" for name, number in row.protected.items()) or "none",
            count(row.words),
            count(row.triplicated),
            count(row.added_bits),
            significant(row.damage_before),
            significant(row.damage_after),
        ]
        for row in record.tensors
    ]
    return table(f"What is protected, and {measure_name(record)} before and after", header, rows, text_columns=3)
