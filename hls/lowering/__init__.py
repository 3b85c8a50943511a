"""QONNX → ``IntegerGraph``: the real-arithmetic meaning of the graph, restated in integers, exactly.

ONNX nodes are walked in data order; each operator has one pass in ``LOWERINGS``. A pass either carries the exact
meaning or refuses with layer, reason and remedy: there is no approximate lowering.
"""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import numpy_helper

from hls.errors import LoweringError
from hls.graph import IntegerGraph, Value
from hls.lowering.activation import finish_rectified, lower_relu
from hls.lowering.bias import lower_add
from hls.lowering.layout import lower_constant, lower_flatten, lower_identity, lower_reshape, lower_transpose
from hls.lowering.matmul import lower_gemm, lower_matmul
from hls.lowering.quant import lower_quant
from hls.lowering.symbols import Builder, Constant, FloatInput, Lowering, Wire, where

LOWERINGS: dict[str, Lowering] = {
    "Add": lower_add,
    "Constant": lower_constant,
    "Dropout": lower_identity,
    "Flatten": lower_flatten,
    "Gemm": lower_gemm,
    "Identity": lower_identity,
    "IntQuant": lower_quant,
    "MatMul": lower_matmul,
    "Quant": lower_quant,
    "Relu": lower_relu,
    "Reshape": lower_reshape,
    "Transpose": lower_transpose,
}
"""Every ONNX/QONNX operator that has an exact meaning here, and its pass."""

_QUANTIZERS = {"Quant", "IntQuant", "BipolarQuant", "Trunc"}
"""Operators that make a graph a quantized one; whether each has a meaning *here* is what ``LOWERINGS`` says."""
_QCDQ = {"QuantizeLinear", "DequantizeLinear"}


def lower(model: onnx.ModelProto) -> IntegerGraph:
    """Lower a QONNX model.

    Args:
        model: One float input, one output, quantized by Quant/IntQuant nodes.

    Returns:
        The integer network with the same real-arithmetic meaning.

    Raises:
        LoweringError: an operator, scale, bias or layout with no exact integer meaning; names layer and remedy.
    """
    _require_quantized(model.graph)
    builder = Builder()
    for initializer in model.graph.initializer:
        builder.symbols[initializer.name] = Constant(values=numpy_helper.to_array(initializer))
    _add_input(builder, model.graph)
    _require_one_output(model.graph)
    readers = _readers(model.graph)
    for node in model.graph.node:
        _require_supported(node)
        _require_chain(builder, node, readers)
        builder.symbols[node.output[0]] = LOWERINGS[node.op_type](builder, node)
    return _finish(builder, model.graph)


def _add_input(builder: Builder, graph: onnx.GraphProto) -> None:
    initializers = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in initializers]
    if len(inputs) != 1:
        raise LoweringError(
            found=f"{len(inputs)} inputs ({', '.join(item.name for item in inputs)})",
            allowed="one input",
            where="graph inputs",
            remedy="concatenate the inputs in front of the network",
        )
    dimensions = inputs[0].type.tensor_type.shape.dim
    shape = tuple(d.dim_value for d in dimensions[1:])
    if len(dimensions) < 2 or any(size < 1 for size in shape):
        raise LoweringError(
            found=f"input shape {[d.dim_value or d.dim_param or '?' for d in dimensions]}",
            allowed="[samples, features, ...] with every axis after the first known",
            where=f"graph input {inputs[0].name}",
            remedy="export with a fixed input shape",
        )
    builder.input = inputs[0].name
    builder.symbols[inputs[0].name] = FloatInput(name=inputs[0].name, shape=shape)


def _require_quantized(graph: onnx.GraphProto) -> None:
    operators = {node.op_type for node in graph.node}
    if operators & _QUANTIZERS:
        return
    if operators & _QCDQ:
        raise LoweringError(
            found="a QCDQ graph (QuantizeLinear/DequantizeLinear)",
            allowed="a QONNX graph (Quant nodes)",
            where="graph",
            remedy="export with brevitas.export.export_qonnx, or convert with qonnx's QCDQToQuant",
        )
    raise LoweringError(
        found="no quantization: the graph has no Quant node",
        allowed="a QONNX graph, quantized by Quant or IntQuant nodes",
        where="graph",
        remedy="train with quantizers (`edgeval train`, Brevitas) and export as QONNX",
    )


def _require_supported(node: onnx.NodeProto) -> None:
    if node.op_type not in LOWERINGS:
        raise LoweringError(
            found=f"operator {node.op_type}",
            allowed=", ".join(sorted(LOWERINGS)),
            where=where(node),
            remedy="replace the operator, or cut the graph in front of it if it is a float tail",
        )


def _readers(graph: onnx.GraphProto) -> Counter[str]:
    """How often each tensor is read, by nodes and as an output."""
    return Counter([name for node in graph.node for name in node.input] + [item.name for item in graph.output])


def _require_chain(builder: Builder, node: onnx.NodeProto, readers: Counter[str]) -> None:
    """Refuse words that go two ways: a bias or a ReLU of one way would change the words of the other."""
    for name in node.input:
        if isinstance(builder.symbols.get(name), Wire) and readers[name] > 1:
            raise LoweringError(
                found=f"words {name!r} that are read {readers[name]} times",
                allowed="a chain: every activation is read by one operator, or is the output",
                where=where(node),
                remedy="remove the branch; if it leads nowhere, qonnx's cleanup does",
            )


def _require_one_output(graph: onnx.GraphProto) -> None:
    if len(graph.output) != 1:
        raise LoweringError(
            found=f"{len(graph.output)} outputs ({', '.join(item.name for item in graph.output)})",
            allowed="one output",
            where="graph outputs",
            remedy="concatenate the outputs",
        )


def _finish(builder: Builder, graph: onnx.GraphProto) -> IntegerGraph:
    symbol = builder.symbols.get(graph.output[0].name)
    if not isinstance(symbol, Wire) or len(builder.nodes) < 2:
        raise LoweringError(
            found="an output that no quantized layer computes",
            allowed="at least one layer between the input quantizer and the output",
            where=f"graph output {graph.output[0].name}",
            remedy="export the whole network",
        )
    output = finish_rectified(builder, symbol)
    return IntegerGraph(
        nodes=tuple(builder.nodes),
        tensors=builder.tensors,
        values=_used_values(builder),
        input=builder.input,
        output=output.value,
        notes=tuple(builder.notes),
    )


def _used_values(builder: Builder) -> dict[str, Value]:
    produced = {builder.input, *(node.output for node in builder.nodes)}
    return {name: value for name, value in builder.values.items() if name in produced}


__all__ = ["LOWERINGS", "lower"]
