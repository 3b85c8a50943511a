"""Resources and latency out of a synthesis report that lies in an hls4ml project, if there is one.

Only ``*_csynth.xml`` of Vivado HLS and Vitis HLS is read, by the keys that hls4ml's own ``CSynthesisReport`` has. An
element that is missing or no number (``undef``, ``N/A``) is left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from edgeval.regression.baseline import VendorReport

RESOURCES = ("BRAM_18K", "DSP", "FF", "LUT", "URAM")
"""What a device runs out of."""

_CYCLES = {
    "BestLatency": "Best-caseLatency",
    "WorstLatency": "Worst-caseLatency",
    "IntervalMin": "Interval-min",
    "IntervalMax": "Interval-max",
}
_LATENCY = "PerformanceEstimates/SummaryOfOverallLatency/"
_CLOCK = {
    "TargetClockPeriod": "UserAssignments/TargetClockPeriod",
    "EstimatedClockPeriod": "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod",
}
_LARGEST_REPORT = 16 << 20
"""Bytes: a report of ours has some ten thousand; nothing larger is parsed."""


def vendor_report(project: Path) -> VendorReport | None:
    """The report of a project, ``None`` where none lies there or nothing in it can be read."""
    for path in sorted(project.glob("*_prj/*/syn/report/*_csynth.xml")):
        root = _parsed(path)
        if root is None or not _is_top(path, project):
            continue
        report = VendorReport(
            file=path.relative_to(project).as_posix(),
            resources=_resources(root),
            cycles={
                key: round(value)
                for key, tag in _CYCLES.items()
                if (value := _number(root, _LATENCY + tag)) is not None
            },
            clock_ns={key: value for key, tag in _CLOCK.items() if (value := _number(root, tag)) is not None},
        )
        if report.resources or report.cycles:
            return report
    return None


def _is_top(path: Path, project: Path) -> bool:
    """Whether a report is of the top function: each function that is not inlined has one beside it."""
    return path.name == f"{path.relative_to(project).parts[0].removesuffix('_prj')}_csynth.xml"


def _parsed(path: Path) -> ElementTree.Element | None:
    try:
        if path.stat().st_size > _LARGEST_REPORT:
            return None
        text = path.read_text(encoding="utf-8")
        # No report declares a document type, and entities are all that could make a small one expand.
        return None if "<!DOCTYPE" in text else ElementTree.fromstring(text)
    except (OSError, UnicodeDecodeError, ElementTree.ParseError):
        return None


def _resources(root: ElementTree.Element) -> dict[str, int]:
    found = {}
    for name in RESOURCES:
        tags = (name, "DSP48E") if name == "DSP" else (name,)  # Vivado's name of what Vitis calls DSP
        values = [_number(root, f"AreaEstimates/Resources/{tag}") for tag in tags]
        present = [value for value in values if value is not None]
        if present:
            found[name] = round(present[0])
    return found


def _number(root: ElementTree.Element, path: str) -> float | None:
    try:
        value = float(root.findtext(path, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
