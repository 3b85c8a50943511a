"""SARIF 2.1.0 of a check, as code scanning of GitHub reads it.

A gate is a rule and what no longer holds is a result, at the run's place in the baseline. Passed gates are counted and
have no result: code scanning shows every result as an alert, whatever its ``kind`` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec

from edgeval.regression_record import Gate, RegressRecord
from edgeval.report.gates import GATE_TITLES, Place, counts, gate_text, outcome
from edgeval.report.visible import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = tuple(GATE_TITLES)


def sarif_json(record: RegressRecord, place: Place) -> bytes:
    """The record as a SARIF log.

    Args:
        record: Of a check.
        place: Where its baseline lies in the repository.

    Returns:
        A UTF-8 document with one run. A failed gate is an ``error``; a skipped one a ``note``, or an ``error`` where
        skips were asked to be errors.
    """
    run = {
        "tool": {"driver": _driver(record)},
        "automationDetails": {"id": f"edgeval-regress/{visible(place.path)}/"},
        "invocations": [{"executionSuccessful": True}],  # that the check ran to its end, not that it passed
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verdict": record.verdict,
            "headline": visible(record.headline),
            "gates": dict(counts(record)),
        },
        "results": [_result(gate, record, place) for gate in record.gates if gate.status != "passed"],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def _driver(record: RegressRecord) -> Mapping[str, Any]:
    return {
        "name": "edgeval",
        "version": visible(record.fingerprint.versions.get("edgeval-toolkit", "unknown")),
        "rules": [
            {
                "id": _rule_id(name),
                "name": f"Regress{name.capitalize()}",
                "shortDescription": {"text": f"Changed against the baseline: {title}"},
                "fullDescription": {"text": f"edgeval regress check compares with the baseline: {title}."},
                "help": {
                    "text": "If the change is meant, run `edgeval regress check --update` and commit the baseline."
                },
                "defaultConfiguration": {"level": "error"},
            }
            for name, title in GATE_TITLES.items()
        ],
    }


def _rule_id(name: str) -> str:
    return f"edgeval/regress/{name}"


def _result(gate: Gate, record: RegressRecord, place: Place) -> Mapping[str, Any]:
    kind = outcome(gate, record)
    return {
        "ruleId": _rule_id(gate.name),
        "ruleIndex": _RULES.index(gate.name),
        "level": "note" if kind == "skipped" else "error",
        "message": {"text": visible(f"{gate.run}: " if gate.run else "") + visible(gate_text(gate, record))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(place.path),
                    "region": {"startLine": place.line(gate)},
                }
            }
        ],
        "partialFingerprints": {"edgevalGate/v1": _fingerprint(gate)},
        "properties": {"status": kind, "run": visible(gate.run)},
    }


def _location(path: str) -> Mapping[str, str]:
    uri = quote(path, errors="surrogateescape")
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{uri}"}
    return {"uri": uri, "uriBaseId": "%SRCROOT%"}


def _fingerprint(gate: Gate) -> str:
    """The same for the same gate of the same run, whatever it says: one alert, not one a commit."""
    parts = (gate.run, gate.name)
    return hashlib.sha256(b"\0".join(part.encode(errors="surrogatepass") for part in parts)).hexdigest()
