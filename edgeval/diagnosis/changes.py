"""Which types of a project would not depart: what a remedy changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edgeval.diagnosis.emulation import Emulation, InputCast, Products, Result, Site
from edgeval.diagnosis.remedies import Role, TypeChange
from edgeval.diagnosis.stages import Constants, layer_node
from edgeval.input_words import step_log2
from edgeval.native import LayerValues, NativeCase, NativeValues
from edgeval.native_alignment import NativeAlignment
from hls.engine import sum_interval
from hls.hls4ml_flow.native_types import ApType
from hls.lowering.chain import floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a check gets to see.

    Attributes:
        first: The first layer, in data order, whose values differ.
        inputs: Samples as the run holds them.
    """

    case: NativeCase
    values: NativeValues
    first: LayerValues
    inputs: np.ndarray


_Kind = TypeVar("_Kind", InputCast, Products, Result)


def stage_of(emulation: Emulation, site: Site, kind: type[_Kind]) -> _Kind:
    """The stage of a kind that a departure happens at."""
    return next(stage for stage in emulation.stages if stage.name == site[0] and isinstance(stage, kind))


def type_changes(question: Question, emulation: Emulation, site: Site) -> list[TypeChange]:
    """Types without a departure."""
    name, departure = site
    if departure in ("input-range", "input-grid"):
        port = question.case.project.input
        kind = _input_type(question.inputs)
        return [TypeChange(layer=port.name, role="result", key="result", typedef=port.type_name, type=kind)]
    item = next(item for item in question.case.aligned if item.layer.name == name)
    if departure in ("bias", "accumulator", "product", "weight"):
        return _sum_changes(question, item)
    if departure in ("rounding", "overflow"):
        stage = stage_of(emulation, site, Result)
        if stage.quantizer is None and item.layer.arrays:
            return _sum_changes(question, item)
        wire = item.wire
        word_format = None if wire is None else question.case.lowered.graph.values[wire.value].format
        if wire is None or word_format is None:
            return []
        bits = word_format.width_bits
        if stage.quantizer is None:
            exponent = int(np.floor(np.log2(float(floats(wire.scale).min()))))
            kind = ApType(width_bits=bits, integer_bits=bits + exponent, signed=word_format.signed)
            return [_change(item, "result", kind, question.case.lowered.tensors)]
        exponent = int(np.rint(np.log2(float(stage.quantizer.scale))))
        modes = {"half_even": "AP_RND_CONV", "floor": "AP_TRN"}
        kind = ApType(
            width_bits=bits, integer_bits=bits + exponent, signed=word_format.signed,
            rounding=modes.get(stage.quantizer.rounding, "AP_RND_CONV"),
            overflow="AP_SAT_SYM" if word_format.narrow else "AP_SAT",
        )  # fmt: skip
        return [_change(item, "result", kind, question.case.lowered.tensors)]
    return []


def _sum_changes(question: Question, item: NativeAlignment) -> list[TypeChange]:
    """Bias, accumulator and result types that hold everything a layer can compute."""
    found = layer_node(question.case, item)
    if found is None:
        return []
    node, layer = found
    graph = question.case.lowered.graph
    interval = sum_interval(graph, layer)
    scales = floats(question.case.lowered.tensors[node.output[0]].scale)
    low, high = interval.minimum * float(scales.max()), interval.maximum * float(scales.max())
    unit = int(np.floor(np.log2(float(scales.min()))))
    changes = []
    bias = _float_bias(question, item)
    if bias is not None:
        kind = _holding(bias)
        if kind is not None:
            changes.append(_change(item, "bias", kind, question.case.lowered.tensors))
            unit = min(unit, kind.integer_bits - kind.width_bits)
        low, high = low + min(0.0, float(bias.min())), high + max(0.0, float(bias.max()))
    integer = int(np.ceil(np.log2(max(-low, high, 2.0**unit) + 2.0**unit))) + 1
    wide = ApType(width_bits=max(integer - unit, 2), integer_bits=integer, signed=True)
    quantized = any(other.op_type in ("Quant", "IntQuant") for other in item.nodes)
    changes.append(_change(item, "accum", wide, question.case.lowered.tensors))
    if not quantized:
        changes.append(_change(item, "result", wide, question.case.lowered.tensors))
    return [change for change in changes if not _suffices(_type_now(item, change.role), change.type)]


def _type_now(item: NativeAlignment, role: Role) -> ApType:
    return item.layer.output.type if role == "result" else item.layer.types[f"{role}_t"][1]


def _suffices(now: ApType, needed: ApType) -> bool:
    """Whether a type already holds everything that another one holds."""
    return now.unit <= needed.unit and now.holds(needed.minimum * needed.unit, needed.maximum * needed.unit)


def _float_bias(question: Question, item: NativeAlignment) -> np.ndarray | None:
    constants = Constants(question.case, question.inputs)
    name = _bias_constant(item, question.case.lowered.tensors)
    return None if name is None else np.asarray(constants[name].ravel())


def _bias_constant(item: NativeAlignment, tensors: Mapping[str, object]) -> str | None:
    """Name of the tensor that holds a layer's bias, ``None`` where it has none."""
    for node in item.nodes:
        names = [name for name in node.input if name and name not in tensors]
        if node.op_type == "Add" and names:
            return str(names[0])
        if node.op_type in ("Conv", "Gemm") and len(node.input) > 2 and node.input[2]:
            return str(node.input[2])
    return None


def _change(item: NativeAlignment, role: Role, kind: ApType, tensors: Mapping[str, object]) -> TypeChange:
    typedef = item.layer.output.type_name
    if role != "result":
        typedef = item.layer.types[f"{role}_t"][0]
    holder = _bias_constant(item, tensors) if role == "bias" else None
    layer, key = (item.nodes[0].name, role) if holder is None else (holder, "result")
    return TypeChange(layer=layer, role=role, key=key, typedef=typedef, type=kind)


def _input_type(inputs: np.ndarray) -> ApType:
    """A type that holds the inputs exactly; where that takes too many bits, one 2**-32 fine, which is then tried."""
    values = np.asarray(inputs, np.float64)
    if (kind := _holding(values)) is not None:
        return kind
    integer = int(np.ceil(np.log2(np.abs(values).max() + 1))) + 1
    return ApType(width_bits=integer + 32, integer_bits=integer, signed=True)


_WIDEST_BITS = 48
"""Widest type that is suggested."""


def _holding(values: np.ndarray) -> ApType | None:
    """A signed type that holds some numbers exactly, ``None`` where that takes more than 48 bits."""
    step = step_log2(values)
    integer = int(np.floor(np.log2(max(float(np.abs(values).max()), 2.0**step)))) + 2
    if integer - step > _WIDEST_BITS:
        return None
    return ApType(width_bits=integer - step, integer_bits=integer, signed=True)
