"""What a diagnosis says, as it stands in the record of a comparison."""

from __future__ import annotations

import msgspec


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a native project departs from the integer network.

    Attributes:
        cause: Name of the cause, as in ``docs/diagnosis.md``.
        layer, hls_layer: Where it shows first: the network's value, and hls4ml's name of the layer.
        index: Sample, then position in the layer.
        found, expected: Real values there; ``found`` is ``None`` where the project wrote no number.
        found_format, expected_format: Types on both sides.
        explanation: What happens, with numbers.
        evidence: How that is known.
        remedy: What to change.
        remedy_verified: Whether the change was made, built and run on the failing samples, and they then agreed.
        smallest_input: A sample with as many zeros as found that still fails, flattened; empty where nothing was run.
    """

    cause: str
    layer: str
    hls_layer: str
    index: tuple[int, ...]
    found: float | None
    expected: float
    found_format: str
    expected_format: str
    explanation: str
    evidence: str
    remedy: str
    remedy_verified: bool
    smallest_input: tuple[float, ...]
