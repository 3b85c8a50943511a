"""Perceptrons for the campaign benchmark, as integer networks: random words, or trained here in a few seconds.

Weights and activations have the same width, scales are powers of two, biases are not zero. Nothing in this file is a
recipe for a good network: it makes networks whose words are like those of trained ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hls.formats import WordFormat, Words, smallest_signed
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.intervals import accumulator_interval
from hls.nodes import MatMul, Node, Quantize, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a benchmark network is like.

    Attributes:
        widths: Neurons of every layer, the inputs among them.
        bits: Of weights, activations and inputs.
        signed_inputs: Else inputs start at zero.
        zero_share: Share of the input words that are zero, for random ones.
        data: What it is trained on.
    """

    name: str
    widths: tuple[int, ...]
    bits: int
    signed_inputs: bool = False
    zero_share: float = 0.0
    data: Callable[[Shape, int, np.random.Generator], Data]

    @property
    def input_format(self) -> WordFormat:
        """Of the input words."""
        return WordFormat(width_bits=self.bits, encoding="twos_complement" if self.signed_inputs else "unsigned")

    @property
    def products(self) -> int:
        """Multiplications of one inference."""
        return sum(a * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Input words with labels, samples first.

    Attributes:
        origin: For people.
    """

    train: Words
    train_labels: np.ndarray
    test: Words
    test_labels: np.ndarray
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One dense layer: weight words [inputs, outputs], bias words [outputs], and how far its sums are shifted down."""

    weight: Words
    bias: Words
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network with its evaluation set.

    Attributes:
        inputs: Words, [samples, features].
        origin: For people.
    """

    name: str
    shape: Shape
    layers: tuple[Layer, ...]
    graph: IntegerGraph
    inputs: Words
    labels: np.ndarray
    origin: str


def random_subject(shape: Shape, samples: int, seed: int) -> Subject:
    """Random words; shifts by which activations spread, biases by which all classes occur; arbitrary labels."""
    rng = np.random.default_rng(seed)
    word_format = shape.input_format
    inputs = rng.integers(word_format.minimum, word_format.maximum, (samples, shape.widths[0]), endpoint=True)
    inputs[rng.random(inputs.shape) < shape.zero_share] = 0
    limit, layers, words = 2 ** (shape.bits - 1) - 1, [], inputs
    for position, (rows, columns) in enumerate(zip(shape.widths[:-1], shape.widths[1:], strict=True), start=1):
        weight = rng.integers(-limit, limit, (rows, columns), endpoint=True)
        sums = words @ weight
        spread = max(1, int(np.quantile(np.abs(sums), 0.5)))
        last = position == len(shape.widths) - 1
        bias = rng.integers(-spread, spread, columns, endpoint=True)
        if last:  # else activations, none of them negative, would decide for the same class whatever the sample
            bias = bias // 8 - np.rint(sums.mean(axis=0)).astype(np.int64)
        shift = 0 if last else max(0, round(np.log2(np.quantile((sums + bias).clip(0), 0.98) / (2**shape.bits - 1))))
        layers.append(Layer(weight=weight, bias=bias, shift=shift))
        words = activations(sums + bias, shift, shape.bits)
    labels = rng.integers(0, shape.widths[-1], samples)
    zeros = f", {shape.zero_share:.0%} zero inputs" if shape.zero_share else ""
    return subject(shape, tuple(layers), inputs, labels, f"random words{zeros}")


def subject(shape: Shape, layers: tuple[Layer, ...], inputs: Words, labels: np.ndarray, origin: str) -> Subject:
    """Layers and samples as a network; its outputs are scaled to the spread of logits."""
    return Subject(
        name=shape.name,
        shape=shape,
        layers=layers,
        graph=integer_perceptron(layers, shape.input_format, shape.bits, _logit_scale(layers, inputs, shape.bits)),
        inputs=inputs.astype(np.int64),
        labels=labels,
        origin=origin,
    )


def integer_perceptron(
    layers: Sequence[Layer], input_format: WordFormat, bits: int, output_scale: float
) -> IntegerGraph:
    """Dense layers with ReLUs between them, as an integer network.

    Args:
        layers: In data order.
        input_format: Of the input words; a real input is its word.
        bits: Width of the weight words, signed, and of the words between layers, unsigned.
        output_scale: Real value of one unit of the output.
    """
    one, zero = np.asarray(1.0), np.asarray(0, np.int64)
    features = len(layers[0].weight)
    nodes: list[Node] = [
        Quantize(
            name="q", input="x", output="q", format=input_format, scale=1.0, rounding="half_even",
            low=input_format.minimum, high=input_format.maximum, view=(features,), axes=(0,),
        )
    ]  # fmt: skip
    values = {
        "x": Value(shape=(features,), format=None, scale=one),
        "q": Value(shape=(features,), format=input_format, scale=one),
    }
    tensors: dict[str, StoredTensor] = {}
    hidden = WordFormat(width_bits=bits, encoding="unsigned")
    last, last_format = "q", input_format
    for position, layer in enumerate(layers, start=1):
        name = f"fc{position}"
        stored = {
            "weight": (layer.weight, WordFormat(width_bits=bits, encoding="twos_complement")),
            "bias": (
                layer.bias,
                WordFormat(width_bits=_width(int(np.abs(layer.bias).max())), encoding="twos_complement"),
            ),
        }
        for kind, (words, word_format) in stored.items():
            tensors[f"{name}.{kind}"] = StoredTensor(
                name=f"{name}.{kind}", words=words.astype(np.int64), format=word_format, scale=one, widen=zero,
                zero_point=zero, channel_axis=-1,
            )  # fmt: skip
        interval = accumulator_interval(tensors[f"{name}.weight"], tensors[f"{name}.bias"], last_format)
        accumulator = smallest_signed(interval.minimum, interval.maximum)
        nodes.append(
            MatMul(
                name=name,
                input=last,
                output=name,
                weight=f"{name}.weight",
                bias=f"{name}.bias",
                accumulator=accumulator,
            )
        )
        final = position == len(layers)
        scale = np.asarray(output_scale) if final else one
        values[name] = Value(shape=(layer.weight.shape[1],), format=accumulator, scale=scale)
        last = name
        if not final:
            last, last_format = f"act{position}", hidden
            nodes.append(
                Shift(
                    name=last, input=name, output=last, format=hidden, shift=layer.shift, rounding="half_even",
                    low=0, high=hidden.maximum,
                )
            )  # fmt: skip
            values[last] = Value(shape=(layer.weight.shape[1],), format=hidden, scale=one)
    return IntegerGraph(nodes=tuple(nodes), tensors=tensors, values=values, input="x", output=last)


def activations(sums: Words, shift: int, bits: int) -> Words:
    """ReLU and requantization, ties to even; words in NumPy's own arithmetic, apart from the engine's."""
    return np.rint(np.ldexp(sums.astype(np.float64), -shift)).clip(0, 2**bits - 1).astype(np.int64)


def _logit_scale(layers: Sequence[Layer], inputs: Words, bits: int) -> float:
    """A power of two that brings the spread of the output to about 4."""
    words = inputs[:500].astype(np.int64)
    for layer in layers[:-1]:
        words = activations(words @ layer.weight + layer.bias, layer.shift, bits)
    spread = float((words @ layers[-1].weight + layers[-1].bias).std())
    return float(2.0 ** round(np.log2(4 / max(spread, 1.0))))


def _width(magnitude: int) -> int:
    """Bits of the narrowest two's complement that holds plus and minus this."""
    return max(2, magnitude.bit_length() + 1)
