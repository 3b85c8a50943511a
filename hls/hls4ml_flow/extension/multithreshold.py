"""qonnx's MultiThreshold in integers: out_scale × count(thresholds[c] ≤ value) + out_bias.

Floats are dyadic, so thresholds, scale and bias are exact integers times a power of two each, whatever they are; only
their number of bits limits what can be stored.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from hls.errors import LoweringError
from hls.formats import smallest_format
from hls.hls4ml_flow.extension.parameters import CARRIER_BITS, Result, Threshold, signed_bits

if TYPE_CHECKING:
    from onnx import NodeProto

_LAYOUT_OF_RANK = {2: "NC", 3: "NWC", 4: "NCHW"}
"""What qonnx takes for granted where the node names no layout."""


def read_multi_threshold(node: NodeProto, shape: list[int], graph: Any) -> Threshold:
    """A MultiThreshold of initializer thresholds.

    Args:
        node: The node.
        shape: Of its data, samples included.
        graph: The ONNX graph, for the initializer.

    Raises:
        LoweringError: thresholds that are computed, not finite or of too many bits; channels that are not the last
            axis; a scale of zero.
    """
    where = f"node {node.name or node.output[0]} (MultiThreshold)"
    thresholds = _thresholds(node, graph, where)
    _require_last_axis(node, shape, len(thresholds), where)
    words, unit = _on_one_grid([Fraction(float(value)) for value in thresholds.reshape(-1)])
    bits = signed_bits(words)
    if bits > CARRIER_BITS:
        raise LoweringError(
            found=f"thresholds that need {bits} bits",
            allowed=f"up to {CARRIER_BITS}",
            where=where,
            remedy="round the thresholds up to the grid of the values they are compared with",
        )
    steps = thresholds.shape[1]
    scale, bias, result = _output(node, steps, where)
    return Threshold(
        where=where,
        thresholds=tuple(tuple(words[row * steps : (row + 1) * steps]) for row in range(len(thresholds))),
        threshold_bits=bits,
        threshold_unit=unit,
        offsets=(bias,) * len(thresholds),
        directions=(1 if scale > 0 else -1,) * len(thresholds),
        stride=abs(scale),
        result=result,
    )


def _thresholds(node: NodeProto, graph: Any, where: str) -> np.ndarray:
    from onnx import numpy_helper

    for initializer in graph.initializer:
        if initializer.name == node.input[1]:
            values = np.asarray(numpy_helper.to_array(initializer))
            if values.ndim == 2 and values.size and np.isfinite(values).all():
                return values
            found, allowed = f"thresholds of shape {values.shape}", "finite thresholds of shape [1 or channels, steps]"
            break
    else:
        found, allowed = f"thresholds {node.input[1]} that are computed", "thresholds that are an initializer"
    raise LoweringError(
        found=found, allowed=allowed, where=where, remedy="fold constants first, for example with qonnx-cleanup"
    )


def _require_last_axis(node: NodeProto, shape: list[int], rows: int, where: str) -> None:
    layout = _attribute(node, "data_layout", b"").decode() or _LAYOUT_OF_RANK.get(len(shape), "NCDHW")
    if rows == 1 or len(shape) == 2 or layout.endswith("C"):
        return
    raise LoweringError(
        found=f"layout {layout} of rank {len(shape)}",
        allowed="channels on the last axis",
        where=where,
        remedy="run qonnx-to-channels-last on the file",
    )


def _output(node: NodeProto, steps: int, where: str) -> tuple[int, int, Result]:
    """Scale and bias as words of the result's unit, and the result that holds every count."""
    scale = Fraction(float(_attribute(node, "out_scale", 1.0)))
    bias = Fraction(float(_attribute(node, "out_bias", 0.0)))
    if scale == 0:
        raise LoweringError(
            found="out_scale 0", allowed="a scale other than 0", where=where, remedy="replace the node by a constant"
        )
    (scale_word, bias_word), unit = _on_one_grid([scale, bias])
    ends = (bias_word, bias_word + scale_word * steps)
    word_format = smallest_format(min(ends), max(ends))
    return scale_word, bias_word, Result(unit=unit, bits=word_format.width_bits, signed=word_format.signed)


def _on_one_grid(values: list[Fraction]) -> tuple[list[int], int]:
    """Integers and the power of two they are counted in; the coarsest one, of at most 1."""
    fraction_bits = max(value.denominator for value in values).bit_length() - 1
    return [int(value * 2**fraction_bits) for value in values], -fraction_bits


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    from onnx import helper

    found = (attribute for attribute in node.attribute if attribute.name == name)
    attribute = next(found, None)
    return default if attribute is None else helper.get_attribute_value(attribute)
