"""What a run has no record of yet, and the command that makes each."""

from __future__ import annotations

from collections.abc import Callable

from edgeval.report.markup import Markup, code, element
from edgeval.report.sections import section
from edgeval.report.view import RunView

_MAKERS: tuple[tuple[str, str, Callable[[RunView], bool]], ...] = (
    ("Layers of the integer network, hls4ml project", "edgeval export RUN", lambda view: view.export is not None),
    ("Comparison with the C-simulation", "edgeval csim-compare RUN", lambda view: view.compare is not None),
    (
        "Comparison with a bit flipped on purpose",
        "edgeval csim-compare RUN --poke TENSOR:INDEX:BIT",
        lambda view: any(record.poke for _, record in view.comparisons),
    ),
    (
        "Comparison of another back end, interface or strategy",
        "edgeval csim-compare RUN --backend BACKEND",
        lambda view: view.matrix is not None or any(not record.poke for _, record in view.comparisons),
    ),
    (
        "Every back end, interface and strategy of hls4ml",
        "edgeval csim-compare RUN --matrix",
        lambda view: view.matrix is not None,
    ),
    (
        "Self-test of the comparison",
        "edgeval csim-compare RUN --self-test",
        lambda view: any(record.verb == "csim-compare" for record in view.self_tests),
    ),
    (
        "Self-test of the fault campaign",
        "edgeval inject-faults RUN --self-test",
        lambda view: any(record.verb == "inject-faults" for record in view.self_tests),
    ),
    ("Emulator package", "edgeval emulator RUN -o DIR", lambda view: view.emulator is not None),
    ("Faults", "edgeval inject-faults RUN", lambda view: bool(view.campaigns)),
    (
        "Plan of a fault campaign",
        "edgeval inject-faults RUN --plan --json > RUN/records/fault-plan.json",
        lambda view: view.plan is not None or bool(view.campaigns),
    ),
    ("Ranked bits", "edgeval rank-bits RUN --score", lambda view: view.ranking is not None),
    ("Bit error rates", "edgeval error-rate RUN", lambda view: view.error_rates is not None),
    ("Worst flips", "edgeval worst-flips RUN", lambda view: view.worst_flips is not None),
    ("Hardening", "edgeval harden RUN", lambda view: view.hardening is not None),
    ("Mission", "edgeval mission RUN --cross-section CM2 --flux PER_CM2_AND_S", lambda view: view.mission is not None),
    (
        "Regression check",
        "edgeval regress check RUN --json > RUN/records/regress-check.json",
        lambda view: view.regression is not None,
    ),
)
"""What a record is of, the command that makes it, and whether a run has it."""


def not_made(view: RunView) -> list[tuple[str, str]]:
    """What a run has no record of, each with its command."""
    return [(what, command) for what, command, made in _MAKERS if not made(view)]


def missing_section(view: RunView, anchor: str, title: str) -> Markup:
    """One list of everything that was not made.

    Args:
        view: The run.
        anchor: Of the section.
        title: Of the section.
    """
    items = [element("li", what, ": ", code(command)) for what, command in not_made(view)]
    lead = "Records that this run does not hold, and the commands that make them."
    return section(anchor, title, element("p", lead), element("ul", items, class_="to-do"))
