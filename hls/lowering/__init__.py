"""QONNX → ``IntegerGraph``: the real-arithmetic meaning of the graph, restated in integers, exactly.

ONNX nodes are walked in data order; each operator has one pass in ``LOWERINGS``. A pass either carries the exact
meaning or refuses with layer, reason and remedy; the one rounding that is allowed (a float constant that no quantizer
follows) is reported in the notes, and refused when ``strict``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import onnx

from hls.errors import InputError, LoweringError
from hls.graph import IntegerGraph
from hls.lowering.constants import fold, lower_constant, lower_shape
from hls.lowering.elementwise import (
    lower_add,
    lower_batch_normalization,
    lower_clip,
    lower_div,
    lower_extreme,
    lower_function,
    lower_gelu,
    lower_hard_sigmoid,
    lower_hard_swish,
    lower_leaky,
    lower_mul,
    lower_neg,
    lower_prelu,
    lower_relu,
    lower_softmax,
    lower_sub,
)  # fmt: skip
from hls.lowering.inputs import input_value
from hls.lowering.layers import lower_conv, lower_gemm, lower_matmul
from hls.lowering.layout import (
    lower_flatten,
    lower_identity,
    lower_pad,
    lower_reshape,
    lower_resize,
    lower_slice,
    lower_split,
    lower_squeeze,
    lower_transpose,
    lower_unsqueeze,
)  # fmt: skip
from hls.lowering.merging import lower_concat
from hls.lowering.pooling import (
    lower_average_pool,
    lower_global_average_pool,
    lower_global_max_pool,
    lower_max_pool,
    lower_reduce_mean,
)  # fmt: skip
from hls.lowering.quant import lower_bipolar, lower_quant, lower_trunc
from hls.lowering.repair import repaired
from hls.lowering.sound_model import MALFORMED, constant_values, malformed, require_sound_model
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    InputWords,
    Lowering,
    QuantizerTrace,
    Symbol,
    Wire,
    safe_name,
    where,
)  # fmt: skip
from hls.lowering.tail import finish
from hls.sizes import MOST_INPUT_WORDS, require_shape
from hls.soundness import require_sound

LOWERINGS: dict[str, Lowering] = {
    "Abs": lower_function("abs"),
    "Add": lower_add,
    "AveragePool": lower_average_pool,
    "BatchNormalization": lower_batch_normalization,
    "BipolarQuant": lower_bipolar,
    "Clip": lower_clip,
    "Concat": lower_concat,
    "Constant": lower_constant,
    "Conv": lower_conv,
    "Div": lower_div,
    "Dropout": lower_identity,
    "Elu": lower_function("elu", ("alpha", 1.0)),
    "Erf": lower_function("erf"),
    "Flatten": lower_flatten,
    "Gelu": lower_gelu,
    "Gemm": lower_gemm,
    "GlobalAveragePool": lower_global_average_pool,
    "GlobalMaxPool": lower_global_max_pool,
    "HardSigmoid": lower_hard_sigmoid,
    "HardSwish": lower_hard_swish,
    "Identity": lower_identity,
    "IntQuant": lower_quant,
    "LeakyRelu": lower_leaky,
    "LogSoftmax": lower_softmax,
    "MatMul": lower_matmul,
    "Max": lower_extreme,
    "MaxPool": lower_max_pool,
    "Min": lower_extreme,
    "Mul": lower_mul,
    "Neg": lower_neg,
    "PRelu": lower_prelu,
    "Pad": lower_pad,
    "Quant": lower_quant,
    "ReduceMean": lower_reduce_mean,
    "ReduceSum": lower_reduce_mean,
    "Relu": lower_relu,
    "Reshape": lower_reshape,
    "Resize": lower_resize,
    "Selu": lower_function("selu", ("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875)),
    "Shape": lower_shape,
    "Sigmoid": lower_function("sigmoid"),
    "Slice": lower_slice,
    "Softmax": lower_softmax,
    "Softplus": lower_function("softplus"),
    "Softsign": lower_function("softsign"),
    "Split": lower_split,
    "Squeeze": lower_squeeze,
    "Sub": lower_sub,
    "Tanh": lower_function("tanh"),
    "Transpose": lower_transpose,
    "Trunc": lower_trunc,
    "Unsqueeze": lower_unsqueeze,
    "Upsample": lower_resize,
}
"""Every ONNX/QONNX operator that has an exact meaning here, and its pass."""

_QUANTIZERS = {"Quant", "IntQuant", "BipolarQuant", "Trunc"}
"""Operators that make a graph a quantized one."""
_QCDQ = {"QuantizeLinear", "DequantizeLinear"}
_WINDOWS = {"Conv", "MaxPool", "AveragePool"}
_DOMAINS = {"", "ai.onnx", "qonnx.custom_op.general", "qonnx.custom_op.channels_last"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A lowered model.

    Attributes:
        graph: The integer network.
        model: The model it was lowered from, with the repairs that the notes tell of.
        traces: What explains the differences of a float32 execution, one a quantizing node, in data order.
        output: Scale of the output words, and the real arithmetic behind them.
        tensors: ONNX tensors that flow, by name: the value each is of, and the real arithmetic between the two.
        allowances: What a float32 execution may be off by at some values beside its roundings there, in real units.
    """

    graph: IntegerGraph
    model: onnx.ModelProto
    traces: tuple[QuantizerTrace, ...]
    output: Wire
    tensors: Mapping[str, Wire] = field(default_factory=dict)
    allowances: Mapping[str, Fraction] = field(default_factory=dict)


def lower(model: onnx.ModelProto, *, input_format: InputWords | None = None, strict: bool = False) -> IntegerGraph:
    """Lower a QONNX model; see ``lower_traced``."""
    return lower_traced(model, input_format=input_format, strict=strict).graph


def lower_traced(model: onnx.ModelProto, *, input_format: InputWords | None = None, strict: bool = False) -> Lowered:
    """Lower a QONNX model.

    Args:
        model: One float input, one output, quantized by Quant, IntQuant or BipolarQuant nodes.
        input_format: Words of the input where the graph itself does not quantize it.
        strict: Refuse float constants that cannot be carried exactly, instead of rounding them with a note.

    Returns:
        The integer network with the same real-arithmetic meaning.

    Raises:
        LoweringError: an operator, scale, bias or layout with no exact integer meaning; names layer and remedy.
    """
    require_sound_model(model)
    _require_quantized(model.graph)
    model, notes = repaired(model)
    graph = model.graph
    opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    builder = Builder(strict=strict, input_format=input_format, notes=list(notes), opset=opset)
    builder.channels_first_ranks = _channels_first_ranks(graph)
    for initializer in graph.initializer:
        builder.symbols[initializer.name] = Constant(values=constant_values(initializer))
    _add_input(builder, graph)
    _require_one_output(graph)
    needed = _needed(graph)
    readers = Counter([name for node in graph.node for name in node.input])
    for node in graph.node:
        if any(name in needed for name in node.output):
            _lower_node(builder, node, readers)
    network, output = finish(builder, graph.output[0].name)
    _require_sound_network(network)
    tensors = {
        name: symbol
        for name, symbol in builder.symbols.items()
        if isinstance(symbol, Wire) and symbol.value in network.values
    }
    return Lowered(
        graph=network, model=model, traces=_traces(builder, network), output=output, tensors=tensors,
        allowances=builder.allowances,
    )  # fmt: skip


def _require_sound_network(network: IntegerGraph) -> None:
    try:
        require_sound(network)
    except InputError as error:
        raise LoweringError(
            found=f"{error.found} ({error.where})",
            allowed=error.allowed,
            where="the integer network of this graph",
            remedy="check that layer's sizes and attributes with onnx.checker; if they are right, please report it",
        ) from error


def _lower_node(builder: Builder, node: onnx.NodeProto, readers: Counter[str]) -> None:
    try:
        outputs: Symbol | tuple[Symbol, ...] | None = fold(builder, node)
        if outputs is None:
            _require_supported(node)
            outputs = LOWERINGS[node.op_type](builder, node)
    except MALFORMED as error:
        raise malformed(node, error) from error
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for name, output in zip(node.output, outputs, strict=False):  # a Dropout's mask is no word
        # A bias of one reader must not change the words of another: a layer read twice is closed.
        symbol = replace(output, open_layer=None) if isinstance(output, Wire) and readers[name] > 1 else output
        builder.symbols[name] = symbol


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
    require_shape(shape, f"graph input {inputs[0].name[:100]}", MOST_INPUT_WORDS)
    builder.input = builder.unique_name(safe_name(inputs[0].name, "input"))
    source = FloatInput(name=builder.input, view=shape, order=tuple(range(len(shape))))
    builder.symbols[inputs[0].name] = source
    builder.values[builder.input] = input_value(source)


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
        allowed="a QONNX graph, quantized by Quant, IntQuant or BipolarQuant nodes",
        where="graph",
        remedy="train with quantizers (`edgeval train`, Brevitas) and export as QONNX",
    )


def _require_supported(node: onnx.NodeProto) -> None:
    if node.op_type not in LOWERINGS or node.domain not in _DOMAINS:
        domain = f" of domain {node.domain}" if node.domain not in _DOMAINS else ""
        raise LoweringError(
            found=f"operator {node.op_type}{domain}",
            allowed=", ".join(sorted(LOWERINGS)),
            where=where(node),
            remedy="replace the operator, or cut the graph in front of it if it is a float tail",
        )


def _channels_first_ranks(graph: onnx.GraphProto) -> frozenset[int]:
    """Ranks of samples whose first axis the graph's standard convolutions and pools take for the channels."""
    ranks = set()
    constants = {item.name: len(item.dims) for item in graph.initializer}
    for node in graph.node:
        if node.op_type in _WINDOWS and not node.domain.endswith("channels_last"):
            kernel = next((len(item.ints) for item in node.attribute if item.name == "kernel_shape"), 0)
            weight = node.input[1] if len(node.input) > 1 else ""
            ranks.add(kernel + 1 if kernel else constants.get(weight, 4) - 1)
    return frozenset(ranks)


def _require_one_output(graph: onnx.GraphProto) -> None:
    if len(graph.output) != 1:
        raise LoweringError(
            found=f"{len(graph.output)} outputs ({', '.join(item.name for item in graph.output)})",
            allowed="one output",
            where="graph outputs",
            remedy="concatenate the outputs",
        )


def _needed(graph: onnx.GraphProto) -> set[str]:
    """Tensors that the output depends on."""
    needed = {item.name for item in graph.output}
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
    return needed


def _traces(builder: Builder, graph: IntegerGraph) -> tuple[QuantizerTrace, ...]:
    names = {node.name for node in graph.nodes}
    return tuple(trace for trace in builder.traces if trace.node in names)


__all__ = ["LOWERINGS", "InputWords", "Lowered", "lower", "lower_traced"]
