"""Why a native hls4ml project departs from the integer network: cause, proof, a remedy that was tried."""

from __future__ import annotations

import numpy as np
import onnx

from edgeval.diagnosis.causes import EXACT, Finding, find_cause
from edgeval.diagnosis.changes import Question
from edgeval.diagnosis.reduction import smallest_input
from edgeval.diagnosis.remedies import Trial
from edgeval.diagnosis.weights import ForeignWeights
from edgeval.diagnosis_record import Diagnosis
from edgeval.native import LayerValues, NativeCase, NativeValues, compare_values
from hls.csim.native import NativeSimulation
from hls.errors import ToolError
from hls.graph import IntegerGraph
from hls.hls4ml_flow.native import NativeManifest
from hls.lowering import InputWords

_TRIED_SAMPLES = 64
"""Failing samples a remedy is tried on at most."""


def diagnose(  # noqa: PLR0913  # the run, both sides of it, and what trying a remedy needs
    case: NativeCase,
    values: NativeValues,
    inputs: np.ndarray,
    simulation: NativeSimulation,
    *,
    network: IntegerGraph,
    model: onnx.ModelProto,
    manifest: NativeManifest,
    input_format: InputWords | None,
) -> Diagnosis | None:
    """Find the cause of the first difference, the smallest input that shows it, and a remedy that mends it.

    Args:
        case: The project.
        values: Of both sides, on all samples.
        inputs: The samples.
        simulation: The loaded project, for the search of a small input.
        network: Of the run.
        model: The run's QONNX graph.
        manifest: Of the project.
        input_format: Of a graph that never quantizes its input.

    Returns:
        ``None`` where nothing differs.
    """
    first = values.first
    if first is None:
        return None
    finding = find_cause(Question(case=case, values=values, first=first, inputs=inputs))
    failing = np.flatnonzero(first.differs.any(axis=1))[:_TRIED_SAMPLES]
    trial = Trial(
        case=case, network=network, model=model, manifest=manifest, input_format=input_format,
        inputs=inputs[failing], failing=first.layer,
    )  # fmt: skip
    remedy, verified = _remedy(finding, trial)
    index = tuple(int(i) for i in np.argwhere(first.differs)[0])
    found = float(first.found[index])
    value = case.lowered.graph.values[first.alignment.wire.value if first.alignment and first.alignment.wire else
                                      case.lowered.graph.output]  # fmt: skip
    assert value.format is not None
    return Diagnosis(
        cause=finding.cause,
        layer=first.name,
        hls_layer=first.layer,
        index=index,
        found=None if np.isnan(found) else found,
        expected=float(first.expected[index]),
        found_format=str(case.project.layer(first.layer).output.type),
        expected_format=f"{value.format.width_bits}-bit {value.format.encoding} words of "
        f"{float(np.ravel(first.unit)[index[1] if first.unit.size > 1 else 0]):g}",
        explanation=finding.explanation,
        evidence=finding.evidence,
        remedy=remedy,
        remedy_verified=verified,
        smallest_input=_smallest(case, first, inputs[failing[0]], simulation),
    )


def diagnose_weights(found: ForeignWeights, more: int, trial: Trial) -> Diagnosis:
    """The diagnosis where a weight file is wrong; nothing of the project was run."""
    finding = Finding(
        cause="corrupted-weights",
        explanation=str(found) + (f"; {more} more files" if more else ""),
        evidence="static audit: the numbers in the files, compared with the network's words",
        remedies=(EXACT,),
    )
    remedy, verified = _remedy(finding, trial)
    layer = found.alignment.layer
    kind = case_type(trial.case, layer.arrays[0])
    return Diagnosis(
        cause=finding.cause, layer=found.value, hls_layer=layer.name, index=(found.index,), found=found.found,
        expected=found.expected, found_format=kind, expected_format="the network's stored weights",
        explanation=finding.explanation, evidence=finding.evidence, remedy=remedy, remedy_verified=verified,
        smallest_input=(),
    )  # fmt: skip


def case_type(case: NativeCase, array: str) -> str:
    """Type of a weight array, as ``defines.h`` has it."""
    name = case.project.arrays.get(array, ("", 0))[0]
    return str(case.project.types.get(name, name or "unknown type"))


def _remedy(finding: Finding, trial: Trial) -> tuple[str, bool]:
    """The first remedy that works, else the first one, marked as not verified."""
    for remedy in finding.remedies:
        text = trial.try_remedy(remedy)
        if text is not None:
            return text, True
    return finding.remedies[0].text, False


def _smallest(
    case: NativeCase, first: LayerValues, sample: np.ndarray, simulation: NativeSimulation
) -> tuple[float, ...]:
    def fails(candidates: np.ndarray) -> np.ndarray:
        values = compare_values(case, candidates, simulation.run(case.inputs(candidates)))
        layer = next(item for item in values.layers if item.layer == first.layer)
        return np.asarray(layer.differs.any(axis=1))

    try:
        return tuple(float(value) for value in smallest_input(sample, fails).ravel())
    except ToolError:  # a zeroed sample may crash what the sample itself did not
        return tuple(float(value) for value in np.ravel(sample))
