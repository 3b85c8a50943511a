"""Constants that the graph computes: folded with onnx's reference evaluator, floats in float64."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from hls.errors import LoweringError
from hls.lowering.folded_size import require_room
from hls.lowering.sound_model import constant_values
from hls.lowering.symbols import Builder, Constant, FloatInput, Symbol, Wire, attribute, where

FOLDABLE = frozenset({
    "Abs", "Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Exp", "Expand", "Flatten", "Floor", "Gather",
    "Identity", "Max", "Min", "Mul", "Neg", "Pow", "Range", "Reciprocal", "Reshape", "Round", "Shape", "Slice", "Split",
    "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that are worked out at once where all their inputs are constants."""


def lower_constant(builder: Builder, node: onnx.NodeProto) -> Constant:
    """Lower ``Constant``."""
    del builder
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        value = attribute(node, name, None)
        if isinstance(value, onnx.TensorProto):
            return Constant(values=constant_values(value))
        if value is not None:
            return Constant(values=np.asarray(value))
    raise LoweringError(
        found="a Constant without a tensor value",
        allowed="a dense tensor, a number or a list of numbers",
        where=where(node),
        remedy="run qonnx's cleanup on the file",
    )


def lower_shape(builder: Builder, node: onnx.NodeProto) -> Constant:
    """Lower ``Shape``: one sample's, because samples are the one axis that never matters."""
    symbol = builder.symbol(node, 0)
    shape = builder.onnx_shape(symbol)
    if isinstance(symbol, Wire | FloatInput):
        shape = (1, *shape)
    start, end = attribute(node, "start", 0), attribute(node, "end", None)
    chosen = slice(int(str(start)), None if end is None else int(str(end)))
    return Constant(values=np.asarray(shape[chosen], np.int64))


def fold(builder: Builder, node: onnx.NodeProto) -> tuple[Symbol, ...] | None:
    """The outputs of an operator whose inputs are all float or integer constants; ``None`` for any other."""
    if node.op_type not in FOLDABLE or node.domain not in ("", "ai.onnx"):
        return None
    symbols = [builder.symbols.get(name) for name in node.input if name]
    if not symbols or not all(isinstance(symbol, Constant) for symbol in symbols):
        return None
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    feeds = {
        name: _wide(symbol.values)
        for name in node.input
        if name and isinstance(symbol := builder.symbols[name], Constant)
    }
    builder.computed = require_room(node, list(feeds.values()), builder.computed)
    graph = helper.make_graph(
        [copy],
        "constant",
        [_info(name, array) for name, array in feeds.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _opset(node))])
    try:
        results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the evaluator raises whatever the operator's NumPy code does
        raise LoweringError(
            found=f"constants that cannot be worked out: {type(error).__name__}: {error}",
            allowed="constants that onnx's reference evaluator computes",
            where=where(node),
            remedy="fold constants before export (qonnx cleanup)",
        ) from error
    return tuple(Constant(values=np.asarray(result)) for result in results)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def _opset(node: onnx.NodeProto) -> int:
    """An operator set in which this node's own way of giving axes is legal."""
    old = any(item.name in ("axes", "starts", "ends", "split") for item in node.attribute)
    return 9 if old else 18
