"""What networks mean, written a second time, as plainly as can be: Python integers and fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.nodes import (
    Add,
    Concat,
    Conv,
    Lookup,
    MatMul,
    MaxPool,
    Node,
    Pad,
    Requantize,
    Reshape,
    Resize,
    Shift,
    Slice,
    SumPool,
    Threshold,
    Transpose,
    inputs_of,
)


def naive_words(graph: IntegerGraph, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Words of every value, one Python integer at a time."""
    words = {graph.quantizer.output: inputs.astype(object)}
    for node in graph.compute_nodes:
        words[node.output] = naive_node(graph, node, [words[name] for name in inputs_of(node)])
    return {name: value.astype(np.int64) for name, value in words.items()}


def naive_output(graph: IntegerGraph, inputs: np.ndarray) -> np.ndarray:
    """Output words, one Python integer at a time."""
    return naive_words(graph, inputs)[graph.output]


def naive_node(graph: IntegerGraph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    """Output words of one node, one sample and one word at a time."""
    samples = [_Sample(graph, node, [words[i] for words in inputs]) for i in range(len(inputs[0]))]
    shape = graph.values[node.output].shape
    result = np.empty((len(samples), *shape), object)
    for number, sample in enumerate(samples):
        for place in np.ndindex(*shape):
            result[(number, *place)] = sample.word(place)
    return result


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


def kept(word: int, word_format: WordFormat) -> int:
    """What an accumulator keeps of a sum."""
    if word_format.overflow == "wrap":
        return wrapped(word, word_format)
    return _clip(word, word_format.minimum, word_format.maximum)


class _Sample:
    """One node on one sample: the word at each place of its output."""

    def __init__(self, graph: IntegerGraph, node: Node, inputs: list[np.ndarray]) -> None:
        self.graph, self.node, self.inputs = graph, node, inputs
        self.shape = graph.values[node.output].shape

    def word(self, place: tuple[int, ...]) -> int:
        if isinstance(self.node, MatMul | Conv | Add | SumPool):
            return kept(self.total(place), self.node.accumulator)
        if isinstance(self.node, Shift | Requantize | Threshold | Lookup):
            return self.activated(place, self.inputs[0][place])
        return self.moved(place)

    def total(self, place: tuple[int, ...]) -> int:
        node, words = self.node, self.inputs[0]
        match node:
            case MatMul():
                products = (
                    words[(*place[:-1], i)] * self.stored(node.weight, (i, place[-1])) for i in range(words.shape[-1])
                )
                return sum(products) + self.bias(node, place[-1])
            case Conv():
                return self.correlation(node, place) + self.bias(node, place[-1])
            case Add():
                parts = zip(self.inputs, node.multipliers, strict=True)
                return sum(self.broadcast(part, place) * multiplier for part, multiplier in parts)
            case SumPool():
                return sum(word or 0 for word in self.window(node, [1] * len(node.kernel), place))
        raise NotImplementedError(node)

    def activated(self, place: tuple[int, ...], word: int) -> int:
        node, last = self.node, place[-1]
        match node:
            case Shift():
                quotient = Fraction(word) / Fraction(2) ** node.shift
                return _clip(_round(quotient, node.rounding), node.low, node.high)
            case Requantize():
                channel = last if len(node.multipliers) > 1 else 0
                product = word * node.multipliers[channel] + node.offsets[channel]
                return _clip(round(Fraction(product, 2 ** node.shifts[channel])), node.low, node.high)
            case Threshold():
                rows, steps = self.graph.tensors[node.thresholds].words.shape
                row, channel = last if rows > 1 else 0, last if len(node.offsets) > 1 else 0
                count = sum(1 for step in range(steps) if self.stored(node.thresholds, (row, step)) <= word)
                return node.offsets[channel] + node.stride * node.directions[channel] * count
            case Lookup():
                row = last if len(self.graph.tensors[node.table].words) > 1 else 0
                return self.stored(node.table, (row, word - node.first))
        raise NotImplementedError(node)

    def moved(self, place: tuple[int, ...]) -> int:
        node, words = self.node, self.inputs[0]
        match node:
            case Reshape():
                return words.reshape(-1)[sum(i * math.prod(self.shape[a + 1 :]) for a, i in enumerate(place))]
            case Transpose():
                return words[tuple(place[node.axes.index(axis)] for axis in range(len(place)))]
            case Concat():
                return self.side_by_side(node.axis, place)
            case Slice():
                index = node.start + node.step * place[node.axis]
                return words[(*place[: node.axis], index, *place[node.axis + 1 :])]
            case MaxPool():
                return max(word for word in self.window(node, node.dilations, place) if word is not None)
            case Pad():
                source = [index - front for index, front in zip(place, node.pads, strict=False)]
                inside = all(0 <= index < size for index, size in zip(source, words.shape, strict=True))
                return words[tuple(source)] if inside else 0
            case Resize():
                return words[tuple(index // factor for index, factor in zip(place, node.factors, strict=True))]
        raise NotImplementedError(node)

    def side_by_side(self, axis: int, place: tuple[int, ...]) -> int:
        index = place[axis]
        for part in self.inputs:
            if index < part.shape[axis]:
                return part[(*place[:axis], index, *place[axis + 1 :])]
            index -= part.shape[axis]
        raise IndexError(place)

    def correlation(self, node: Conv, place: tuple[int, ...]) -> int:
        weight = self.graph.tensors[node.weight].words
        outputs, inputs, *kernel = weight.shape
        group = place[-1] // (outputs // node.groups)
        total = 0
        for tap in np.ndindex(*kernel):
            source = self.source(tap, node.strides, node.dilations, node.pads, place)
            for i in range(inputs if source else 0):
                word = self.inputs[0][(*source, group * inputs + i)]
                total += word * self.stored(node.weight, (place[-1], i, *tap))
        return total

    def window(self, node: MaxPool | SumPool, dilations: Sequence[int], place: tuple[int, ...]) -> list[int | None]:
        sources = [self.source(tap, node.strides, dilations, node.pads, place) for tap in np.ndindex(*node.kernel)]
        return [self.inputs[0][(*source, place[-1])] if source else None for source in sources]

    def source(
        self, tap: tuple[int, ...], strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int],
        place: tuple[int, ...],
    ) -> tuple[int, ...] | None:  # fmt: skip
        """Where one tap of one window lies, ``None`` beyond the edge."""
        found = tuple(
            place[axis] * strides[axis] + index * dilations[axis] - pads[axis] for axis, index in enumerate(tap)
        )
        return found if all(0 <= i < size for i, size in zip(found, self.inputs[0].shape, strict=False)) else None

    def bias(self, node: MatMul | Conv, output: int) -> int:
        return 0 if node.bias is None else self.stored(node.bias, (output,))

    def stored(self, name: str, place: tuple[int, ...]) -> int:
        """One executor word."""
        tensor = self.graph.tensors[name]
        channel = place[tensor.channel_axis]
        zero_point, widen = (
            int(values) if values.ndim == 0 else int(values[channel]) for values in (tensor.zero_point, tensor.widen)
        )
        return (int(tensor.words[place]) - zero_point) * 2**widen

    def broadcast(self, part: np.ndarray, place: tuple[int, ...]) -> int:
        last = place[len(place) - part.ndim :]
        return part[tuple(index if size > 1 else 0 for index, size in zip(last, part.shape, strict=True))]


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
