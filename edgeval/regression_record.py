"""Record of ``edgeval regress check``: what was compared with the baseline, and what no longer holds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgeval.run_record import Fingerprint, RecordPart

DEFAULT_BASELINE = Path("edgeval-baseline.json")
"""The file that runs are locked in unless another is named."""

GateName = Literal[
    "options", "network", "types", "weights", "words", "csim", "metric", "faults", "resources", "latency", "versions"
]
GateStatus = Literal["passed", "failed", "skipped"]


class Gate(RecordPart, frozen=True):
    """One thing of one run, compared with its baseline.

    Attributes:
        run: Name of the run in the baseline; empty for what concerns all runs.
        name: What was compared.
        status: ``skipped`` means that nothing was compared, never that it was right.
        summary: One sentence for people: the cause of a failure, the reason of a skip, the evidence of a pass.
        details: Further sentences, most important first.
        remedy: What to do about a failure or a skip; empty for a pass.
        seconds: Wall-clock time it took.
    """

    run: str
    name: GateName
    status: GateStatus
    summary: str
    details: tuple[str, ...] = ()
    remedy: str = ""
    seconds: float = 0.0


class Tolerances(RecordPart, frozen=True):
    """How far a run may be from its baseline; words have none.

    Attributes:
        metric: In the metric's own unit, in the bad direction; 0 where the metric has to be as locked.
        damage: Mean and worst damage of a fault, relative.
        resources: LUT, FF, DSP and BRAM, relative, as hls4ml's own regression tests take it.
        latency: Cycles, relative.
    """

    metric: float = 0.0
    damage: float = 0.0
    resources: float = 0.10
    latency: float = 0.02


class RegressRecord(RecordPart, frozen=True, tag="edgeval.regress-check/1"):
    """``--json`` of ``edgeval regress check``, and what all its other outputs are written from.

    Attributes:
        verdict: ``failed`` where a gate failed, or where one was skipped and that was asked to be an error; ``skipped``
            where nothing was compared at all.
        headline: First line for people, with counts.
        baseline: File name of the baseline.
        skipped_is_error: Whether a skip was asked to be one.
        gates: Run by run, in a fixed order.
    """

    fingerprint: Fingerprint
    verdict: GateStatus
    headline: str
    baseline: str
    tolerances: Tolerances
    skipped_is_error: bool
    gates: tuple[Gate, ...]
