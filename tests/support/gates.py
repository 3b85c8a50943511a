"""Records of a check that were never run: what the outputs for continuous integration are tried on."""

from __future__ import annotations

from hypothesis import strategies as st

from edgeval.regression_record import Gate, GateStatus, RegressRecord, Tolerances
from edgeval.report.gates import GATE_TITLES
from edgeval.run_record import Fingerprint

TYPES_FAILED = Gate(
    run="digits",
    name="types",
    status="failed",
    summary="hls4ml 1.2 → 1.3 changed result_t of fc2 from ap_fixed<19,9> to ap_fixed<18,9>",
    details=("12 of 12,800 words differ", "first at fc2[0, 5]: locked 25, now -423"),
    remedy="pin hls4ml==1.2, or accept it with --update",
    seconds=0.25,
)
WEIGHTS_PASSED = Gate(run="digits", name="weights", status="passed", summary="6,464 words as locked", seconds=1.5)
CSIM_SKIPPED = Gate(
    run="jets", name="csim", status="skipped", summary="g++ was not found", remedy="install g++", seconds=0.01
)


def record_of(*gates: Gate, skipped_is_error: bool = False) -> RegressRecord:
    """A record of gates, its verdict by the rule that ``RegressRecord`` states."""
    statuses = {gate.status for gate in gates}
    if "failed" in statuses or (skipped_is_error and "skipped" in statuses):
        verdict: GateStatus = "failed"
    else:
        verdict = "passed" if "passed" in statuses else "skipped"
    return RegressRecord(
        fingerprint=Fingerprint(
            command="regress check", configuration={}, seeds={}, versions={"edgeval-toolkit": "0.1.0"}, digests={}
        ),
        verdict=verdict,
        headline=f"{verdict.upper()} {len(gates)} gates",
        baseline="edgeval-baseline.json",
        tolerances=Tolerances(),
        skipped_is_error=skipped_is_error,
        gates=gates,
    )


def one_gate(status: GateStatus, *, skipped_is_error: bool = False, text: str = "a reason") -> RegressRecord:
    """A record of one gate that says ``text``."""
    gate = Gate(run="digits", name="csim", status=status, summary=text)
    return record_of(gate, skipped_is_error=skipped_is_error)


EXAMPLE = record_of(TYPES_FAILED, WEIGHTS_PASSED, CSIM_SKIPPED)

AWKWARD = (
    "]]>",
    "%",
    "%0A",
    "::",
    "\n::error::x",
    "\r\n",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "\ufffe",
    "\u202e",
    "&<>\"'",
    "@all #1",
)
AWKWARD_TEXT = st.lists(st.text(st.characters(), max_size=8) | st.sampled_from(AWKWARD), max_size=6).map("".join)
"""Any text at all, with what has a meaning in XML, in workflow commands and in Markdown more often than chance."""

AWKWARD_GATES = st.builds(
    Gate,
    run=AWKWARD_TEXT,
    name=st.sampled_from(tuple(GATE_TITLES)),
    status=st.sampled_from(("passed", "failed", "skipped")),
    summary=AWKWARD_TEXT,
    details=st.lists(AWKWARD_TEXT, max_size=2).map(tuple),
    remedy=AWKWARD_TEXT,
    seconds=st.floats(0, 1e4),
)
AWKWARD_RECORDS = st.builds(
    lambda gates, strict: record_of(*gates, skipped_is_error=strict), st.lists(AWKWARD_GATES, max_size=4), st.booleans()
)
