"""Operators that move words without changing them: Flatten, Reshape, Transpose of constants, Identity, Constant."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from hls.errors import LoweringError
from hls.graph import Value
from hls.lowering.activation import finish_rectified
from hls.lowering.matmul import transpose_constant
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    QuantizedConstant,
    Symbol,
    Wire,
    attribute,
    constant_input,
    where,
)
from hls.nodes import Flatten


def lower_constant(builder: Builder, node: onnx.NodeProto) -> Constant:
    """Lower ``Constant`` with a tensor value."""
    value = attribute(node, "value", None)
    if not isinstance(value, onnx.TensorProto):
        raise LoweringError(
            found="a Constant without a tensor value",
            allowed="a dense tensor in attribute 'value'",
            where=where(node),
            remedy="run qonnx's cleanup on the file",
        )
    return Constant(values=numpy_helper.to_array(value))


def lower_identity(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Identity`` and (inference) ``Dropout``: nothing happens."""
    return builder.symbol(node, 0)


def lower_flatten(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Flatten`` behind the sample axis."""
    if attribute(node, "axis", 1) != 1:
        raise _refuse(node, f"axis {attribute(node, 'axis', 1)}")
    return _flatten(builder, node, builder.symbol(node, 0))


def lower_reshape(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Reshape`` of constants, and of words where it flattens everything behind the sample axis."""
    target = [int(size) for size in constant_input(builder, node, 1, "shape")]
    symbol = builder.symbol(node, 0)
    if isinstance(symbol, Constant):
        return Constant(values=symbol.values.reshape(target))
    if isinstance(symbol, QuantizedConstant):
        raise _refuse(node, "a reshape of a quantized weight")
    size = prod(_shape(builder, symbol))
    # The exporter wrote the sample axis as 1, 0 (copy) or -1 (infer); each means the same for one sample.
    if len(target) != 2 or target[0] not in (-1, 0, 1) or target[1] not in (-1, size) or target == [-1, -1]:
        raise _refuse(node, f"target shape {target}")
    return _flatten(builder, node, symbol)


def lower_transpose(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Transpose`` of a constant."""
    symbol = builder.symbol(node, 0)
    if isinstance(symbol, Constant | QuantizedConstant):
        array = symbol.values if isinstance(symbol, Constant) else symbol.words
        given = attribute(node, "perm", None)
        axes = tuple(int(a) for a in given) if isinstance(given, list | tuple) else tuple(reversed(range(array.ndim)))
        if isinstance(symbol, Constant):
            return Constant(values=symbol.values.transpose(axes))
        return transpose_constant(symbol, axes)
    raise _refuse(node, "a transpose of words")


def _flatten(builder: Builder, node: onnx.NodeProto, symbol: Symbol) -> Symbol:
    shape = _shape(builder, symbol)
    if len(shape) == 1:
        return symbol
    if not isinstance(symbol, Wire):
        raise _refuse(node, "a flatten in front of the input quantizer")
    wire = finish_rectified(builder, symbol)
    value = builder.values[wire.value]
    name = builder.layer_name(node, "flatten")
    return builder.emit(
        Flatten(name=name, input=wire.value, output=name),
        Value(shape=(prod(shape),), format=value.format, scale=np.asarray(value.scale)),
    )


def _shape(builder: Builder, symbol: Symbol) -> tuple[int, ...]:
    match symbol:
        case Wire(value=value):
            return builder.values[value].shape
        case FloatInput(shape=shape):
            return shape
        case Constant(values=values):
            return values.shape
        case QuantizedConstant(words=words):
            return words.shape


def _refuse(node: onnx.NodeProto, found: str) -> LoweringError:
    return LoweringError(
        found=found,
        allowed="flattening everything behind the sample axis; permuting or reshaping constants",
        where=where(node),
        remedy="lay the tensors out so that only a Flatten is needed",
    )
