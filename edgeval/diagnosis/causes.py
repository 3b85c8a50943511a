"""Causes, cheapest check first: each looks for one thing, and says how it knows and what may mend it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgeval.diagnosis.changes import Question, stage_of, type_changes
from edgeval.diagnosis.emulation import Departure, Emulation, InputCast, Products, Result, Site
from edgeval.diagnosis.remedies import Remedy
from edgeval.diagnosis.stages import CannotEmulate, emulation_of, group_of, layer_node, real_weights
from hls.lowering.chain import floats
from hls.nodes import MatMul

CAUSES: Mapping[str, str] = {
    "corrupted-weights": "the weight files do not hold the network's weights",
    "scale-not-power-of-two": "a scale is no power of two; hls4ml's fixed-point constants only come near it",
    "input-range": "inputs beyond the range of the input port's type wrap around",
    "input-grid": "the input port's type cuts digits off the float inputs before the quantizer rounds them",
    "float-bias": "a bias is no multiple of its type's step, so hls4ml rounds it",
    "narrow-accumulator": "an accumulator is too narrow: sums overflow it or lose digits",
    "weight-type": "weights are rounded to a type that does not hold them",
    "overflow-mode": "a result wraps around (or saturates elsewhere) where the quantizer saturates",
    "rounding-mode": "a result is rounded otherwise than the quantizer rounds",
    "result-type": "a result is assigned to a type that does not hold it",
    "table": "a function is looked up in a table of limited resolution",
    "layout": "values arrive in another order than the layer's weights expect",
    "unknown": "none of the known causes gives the project's values",
}
"""Every cause by name; the table in ``docs/diagnosis.md`` lists the same ones."""

EXACT = Remedy(text="export with --flow exact, which computes this layer in integers", action="exact")

_OF_DEPARTURE: Mapping[Departure, str] = {
    "input-range": "input-range", "input-grid": "input-grid", "bias": "float-bias",
    "accumulator": "narrow-accumulator", "product": "narrow-accumulator", "weight": "weight-type", "table": "table",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause that a check found; ``remedies`` in the order in which to try them."""

    cause: str
    explanation: str
    evidence: str
    remedies: tuple[Remedy, ...]


Check = Callable[[Question], "Finding | None"]


def scale_no_power_of_two(question: Question) -> Finding | None:
    """ApplyAlpha layers, which hls4ml inserts for such scales, up to the differing layer."""
    case, layers = question.case, question.case.project.layers
    position = next(i for i, layer in enumerate(layers) if layer.name == question.first.layer)
    alphas = [layer for layer in layers[: position + 1] if re.search(r"_(re)?scale$", layer.name)]
    if not alphas:
        return None
    alpha = alphas[-1]
    written = case.project.weights(alpha.arrays[0])
    kind = case.project.types.get(case.project.arrays.get(alpha.arrays[0], ("", 0))[0])
    held = f", held in {kind}" if kind is not None else ""
    scales = [
        float(np.ravel(floats(wire.scale))[0])
        for wire in case.lowered.tensors.values()
        if np.frexp(np.ravel(floats(wire.scale))[0])[0] != 0.5
    ]
    said = f"; the graph has scale {scales[0]!r}" if scales else ""
    return Finding(
        cause="scale-not-power-of-two",
        explanation=f"hls4ml multiplies by {written.flat[0]:g} in {alpha.name}{held}{said}; no fixed-point type holds "
        "its multiples",
        evidence=f"{len(alphas)} ApplyAlpha layers in front of the first difference, none before a power-of-two scale",
        remedies=(EXACT,),
    )


def arithmetic(question: Question) -> Finding | None:
    """Emulate the layers between agreement and difference: the departure that gives the project's values."""
    try:
        emulation = emulation_of(question.case, question.inputs, question.values, question.first)
    except CannotEmulate:
        return None
    sites = emulation.smallest_explanation()
    if not sites:
        return None
    cause = _cause(emulation, sites[0])
    also = "" if len(sites) == 1 else f" (together with {', '.join(f'{s[1]} of {s[0]}' for s in sites[1:])})"
    changes = tuple(change for site in sites for change in type_changes(question, emulation, site))
    unique = {(change.layer, change.role): change for change in changes}
    remedies = [EXACT]
    if unique and cause != "table":
        remedies.insert(0, Remedy(text=_advice(cause), action="types", changes=tuple(unique.values())))
    elements = len(emulation.found)
    return Finding(
        cause=cause,
        explanation=_explain(emulation, sites[0]) + also,
        evidence=f"recomputed for {elements} elements from the values in front: with this departure{also} and no "
        "other, every value is the project's; without it, every value is the network's",
        remedies=tuple(remedies),
    )


def softmax_table(question: Question) -> Finding | None:
    """hls4ml's softmax looks exp and reciprocal up; the network leaves it to the host in float64."""
    layer = question.case.project.layer(question.first.layer)
    if layer.function not in ("softmax", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu"):
        return None
    error = float(np.abs(question.first.found - question.first.expected).max())
    same = float((question.first.found.argmax(axis=1) == question.first.expected.argmax(axis=1)).mean())
    tables = ", ".join(f"{role} {kind}" for role, (_, kind) in layer.types.items() if "table" in role)
    return Finding(
        cause="table",
        explanation=f"{layer.function} in {layer.name} reads tables ({tables}): it is off by up to {error:.3g}, and "
        f"{same:.1%} of samples keep their largest output",
        evidence=f"the values in front of {layer.name} agree, and the function itself is a table lookup",
        remedies=(EXACT,),
    )


def layout(question: Question) -> Finding | None:
    """The same values in another order, a sum over permuted inputs, or streams that disagree about sizes."""
    found, expected = question.first.found, question.first.expected
    remedies = (Remedy(text="export with --io-type io_parallel", action="io_parallel"), EXACT)
    printed = question.values.execution.printed
    how = ""
    if found.shape[1] > 1 and np.array_equal(np.sort(found, axis=1), np.sort(expected, axis=1)):
        how = "each sample has exactly the expected values, in another order"
    elif order := _permuted_sum(question):
        how = f"with the inputs of the sum in the order {order}, every value is the project's"
    elif "hls::stream" in printed.lower():
        how = f"the generated C++ says: {printed.splitlines()[0][:200]}"
    if not how:
        return None
    return Finding(
        cause="layout",
        explanation=f"a tensor in front of {question.first.layer} is laid out channels-first in the graph and "
        "channels-last in the project, or its stream carries another number of values",
        evidence=how,
        remedies=remedies,
    )


def _permuted_sum(question: Question) -> str:
    """The order of a flattened image's axes that gives the project's sums; empty for none."""
    try:
        group = group_of(question.case, question.values, question.first)
    except CannotEmulate:
        return ""
    item = group.layers[-1]
    found = layer_node(question.case, item)
    if found is None or not isinstance(found[1], MatMul) or group.source is None:
        return ""
    node, layer = found
    weights = real_weights(question.case, node, layer)
    front = question.values.execution.layers[group.source.name]
    plain = front @ weights if front.shape[1] == weights.shape[0] else None
    if plain is None or plain.shape != question.first.expected.shape:
        return ""
    constant = question.first.expected - plain
    graph = question.case.lowered.graph
    shapes = {v.shape for v in graph.values.values() if len(v.shape) > 1 and int(np.prod(v.shape)) == front.shape[1]}
    for shape in shapes:
        for order in itertools.permutations(range(len(shape))):
            moved = front.reshape(len(front), *shape).transpose(0, *(axis + 1 for axis in order))
            if np.array_equal(moved.reshape(len(front), -1) @ weights + constant, question.first.found):
                return str(list(order))
    return ""


CHECKS: tuple[Check, ...] = (scale_no_power_of_two, arithmetic, layout, softmax_table)
"""In order of what they cost and of what they prove; the weight audit comes before anything is run."""


def find_cause(question: Question) -> Finding:
    """The first check that finds something."""
    for check in CHECKS:
        if (finding := check(question)) is not None:
            return finding
    return Finding(
        cause="unknown",
        explanation=f"values of {question.first.layer} differ although those in front of it agree",
        evidence="no emulated departure, no permutation and no table explains them",
        remedies=(EXACT,),
    )


def _cause(emulation: Emulation, site: Site) -> str:
    if site[1] in _OF_DEPARTURE:
        return _OF_DEPARTURE[site[1]]
    stage = stage_of(emulation, site, Result)
    if stage.quantizer is None:
        return "result-type"
    if site[1] == "overflow":
        return "overflow-mode"
    return "rounding-mode" if stage.type.unit == float(stage.quantizer.scale) else "result-type"


def _explain(emulation: Emulation, site: Site) -> str:
    name, departure = site
    if departure in ("input-range", "input-grid"):
        port = stage_of(emulation, site, InputCast)
        worst, kind = float(np.abs(emulation.inputs).max()), port.type
        if departure == "input-range":
            return f"the input port {name} is {kind}: inputs of up to {worst:g} in magnitude wrap around in it"
        return f"the input port {name} is {kind}: it cuts the float inputs off at multiples of {kind.unit:g}"
    if departure in ("bias", "accumulator", "product", "weight"):
        sums = stage_of(emulation, site, Products)
        if departure == "bias":
            assert sums.bias_type is not None
            error = float(np.abs(sums.bias_type.assigned(sums.bias) - sums.bias).max())
            return f"the bias of {name} is held in {sums.bias_type} and moves by up to {error:.3g}"
        if departure == "weight":
            return f"the weights of {name} are held in {sums.weight_type}, which changes them"
        verb = "overflow" if departure == "accumulator" else "lose digits in"
        return f"sums of {name} {verb} its accumulator, {sums.accumulator}"
    if departure == "table":
        return f"{name} looks its function up in a table"
    stage = stage_of(emulation, site, Result)
    verb = "overflow" if departure == "overflow" else "are rounded"
    meant = "the graph has no quantizer there"
    if stage.quantizer is not None:
        low, high = (word * float(stage.quantizer.scale) for word in (stage.quantizer.low, stage.quantizer.high))
        meant = f"the graph's quantizer rounds {stage.quantizer.rounding} and saturates at {low:g} and {high:g}"
    return f"results of {name} {verb} in {stage.type}; {meant}"


def _advice(cause: str) -> str:
    return {
        "float-bias": "quantize the bias at the accumulator's scale (Brevitas bias_quant=Int16Bias), or give it a type "
        "that holds it",
        "narrow-accumulator": "widen the accumulator to what the formats need",
        "overflow-mode": "give the result the quantizer's own type, saturating",
        "rounding-mode": "give the result the quantizer's own rounding",
        "result-type": "give the result a type that holds it",
        "weight-type": "give the weights a type that holds them",
        "input-range": "widen the type of the input port, or clip the inputs in front of it",
        "input-grid": "widen the type of the input port, or round the inputs to its grid",
    }[cause]
