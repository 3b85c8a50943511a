"""What networks mean, written a second time, as plainly as can be: Python integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.nodes import Flatten, MatMul, Node, Requantize, Shift


def naive_words(graph: IntegerGraph, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Words of every value, one Python integer at a time."""
    words = {graph.quantizer.output: inputs.astype(object)}
    for node in graph.compute_nodes:
        words[node.output] = _node(graph, node, words[node.input])
    return {name: value.astype(np.int64) for name, value in words.items()}


def naive_output(graph: IntegerGraph, inputs: np.ndarray) -> np.ndarray:
    """Output words, one Python integer at a time."""
    return naive_words(graph, inputs)[graph.output]


def real_output(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    """What a QONNX graph means, in rational arithmetic: float32 executors only come near it."""
    tensors = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    known = {name: _fractions(array) for name, array in tensors.items() if array.dtype.kind == "f"}
    known[model.graph.input[0].name] = _fractions(values)
    for node in model.graph.node:
        known[node.output[0]] = _real_node(node, known)
    return known[model.graph.output[0].name]


def wrapped(word: int, word_format: WordFormat) -> int:
    """The low bits of a word, read in the format's code."""
    return (word - word_format.minimum) % 2**word_format.width_bits + word_format.minimum


def _node(graph: IntegerGraph, node: Node, words: np.ndarray) -> np.ndarray:
    match node:
        case Flatten():
            return words.reshape(len(words), -1)
        case MatMul():
            return _matmul(graph, node, words)
        case Shift():
            step = Fraction(2) ** node.shift
            return _each(words, lambda word, _: _clip(_round(word / step, node.rounding), node.low, node.high))
        case Requantize():
            return _each(words, lambda word, channel: _requantized(node, word, channel))
    raise NotImplementedError(node)


def _matmul(graph: IntegerGraph, node: MatMul, words: np.ndarray) -> np.ndarray:
    weights = _executor(graph, node.weight)
    outputs = len(weights[0])
    bias = _executor(graph, node.bias)[0] if node.bias else [0] * outputs
    return np.array(
        [
            [
                wrapped(sum(x * row[o] for x, row in zip(sample, weights, strict=True)) + bias[o], node.accumulator)
                for o in range(outputs)
            ]
            for sample in words.tolist()
        ],
        object,
    )


def _executor(graph: IntegerGraph, name: str) -> list[list[int]]:
    tensor = graph.tensors[name]
    rows = tensor.words.reshape(-1, tensor.words.shape[-1]).tolist()
    widen = np.broadcast_to(tensor.widen, tensor.words.shape[-1]).tolist()
    return [[word * 2**shift for word, shift in zip(row, widen, strict=True)] for row in rows]


def _requantized(node: Requantize, word: int, channel: int) -> int:
    channel = channel if len(node.multipliers) > 1 else 0
    product = Fraction(word * node.multipliers[channel] + node.offsets[channel], 2 ** node.shifts[channel])
    return _clip(round(product), node.low, node.high)


def _each(words: np.ndarray, function: object) -> np.ndarray:
    return np.array([[function(Fraction(w), c) for c, w in enumerate(row)] for row in words.tolist()], object)


def _clip(word: int, low: int, high: int) -> int:
    return max(low, min(high, word))


def _round(value: Fraction, rounding: str) -> int:
    return round(value) if rounding == "half_even" else math.floor(value)  # Python's round is ties to even


def _fractions(array: np.ndarray) -> np.ndarray:
    out = np.empty(array.shape, object)
    out[...] = np.frompyfunc(lambda value: Fraction(float(value)), 1, 1)(array)
    return out


def _real_node(node: onnx.NodeProto, known: dict[str, np.ndarray]) -> np.ndarray:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    inputs = [known[name] for name in node.input if name in known]
    match node.op_type:
        case "Quant":
            return _real_quant(inputs, attributes)
        case "MatMul":
            return inputs[0] @ inputs[1]
        case "Gemm":
            product = inputs[0] @ (inputs[1].T if attributes.get("transB") else inputs[1])
            return product + inputs[2] if len(inputs) > 2 else product
        case "Add":
            return inputs[0] + inputs[1]
        case "Relu":
            return np.frompyfunc(lambda value: max(value, Fraction(0)), 1, 1)(inputs[0])
        case "Flatten":
            return inputs[0].reshape(len(inputs[0]), -1)
    raise NotImplementedError(node.op_type)


def _real_quant(inputs: list[np.ndarray], attributes: dict[str, object]) -> np.ndarray:
    value, scale, _, bits = inputs
    word_format = WordFormat(
        width_bits=int(bits.item()), encoding="twos_complement" if attributes["signed"] else "unsigned"
    )
    low = word_format.minimum + attributes["narrow"]
    rounding = {"ROUND": "half_even", "FLOOR": "floor"}[attributes["rounding_mode"].decode()]
    return np.frompyfunc(
        lambda ratio: Fraction(_clip(_round(ratio, rounding), low, word_format.maximum)), 1, 1
    )(value / scale) * scale  # fmt: skip
