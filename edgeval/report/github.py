"""Annotations of a check for GitHub Actions: workflow commands on standard output.

A command is a line ``::error file=…,line=…,title=…::message``. Percent signs and line ends of a message are escaped,
in a property colons and commas, too: ``escapeData`` and ``escapeProperty`` of actions/toolkit,
packages/core/src/command.ts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import Place, counts_text, gate_text, gate_title, outcome
from edgeval.report.visible import one_line, shortened, visible

Level = Literal["error", "warning", "notice"]

SHOWN = 10
"""Annotations of one level that GitHub shows for a step; it drops the others without a word."""

LONGEST_MESSAGE = 4000
"""Characters; an annotation is cut on the page far earlier, and the whole text is in the other outputs."""

LONGEST_TITLE = 200


def annotate(record: RegressRecord, place: Place) -> tuple[str, ...]:
    """What failed as ``::error``, what was skipped as ``::notice``, one line each; none where all passed.

    Args:
        record: Of a check.
        place: Where its baseline lies in the repository.
    """
    levels: dict[Level, list[Gate]] = {"error": [], "notice": []}
    for gate in record.gates:
        kind = outcome(gate, record)
        if kind != "passed":
            levels["notice" if kind == "skipped" else "error"].append(gate)
    return tuple(line for level, gates in levels.items() for line in _lines(level, gates, record, place))


def stopped(token: str) -> str:
    """The line behind which the runner executes nothing, whatever a layer of somebody else's network is called.

    Args:
        token: Hard to guess, and a new one each time: it switches commands on again.
    """
    return f"::stop-commands::{token}"


def resumed(token: str) -> str:
    """The line behind which it executes commands again."""
    return f"::{token}::"


def command(level: Level, message: str, *, place: Place, line: int, title: str) -> str:
    r"""One workflow command, escaped.

    Example:
        >>> place = Place(path="ci/base,line.json", lines={})
        >>> command("error", "50 % lost\n::x", place=place, line=3, title="digits: types")
        '::error file=ci/base%2Cline.json,line=3,title=digits%3A types::50 %25 lost%0A::x'
    """
    shown_title = shortened(one_line(title), LONGEST_TITLE)
    properties = {"file": visible(place.path), "line": str(line), "title": shown_title}
    listed = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
    return f"::{level} {listed}::{_escaped(shortened(visible(message), LONGEST_MESSAGE))}"


def _lines(level: Level, gates: list[Gate], record: RegressRecord, place: Place) -> Iterable[str]:
    """One line a gate; where these are more than are shown, the last one says so."""
    shown = gates if len(gates) <= SHOWN else gates[: SHOWN - 1]
    for gate in shown:
        yield command(level, gate_text(gate, record), place=place, line=place.line(gate), title=gate_title(gate))
    if hidden := gates[len(shown) :]:
        message = f"{', '.join(gate_title(gate) for gate in hidden)}\nAll gates: {counts_text(record)}"
        yield command(level, message, place=place, line=1, title=f"{len(hidden)} more gates like this")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
