"""The nodes of the integer network: what each does to words, as data.

A node names its input and output values and its stored tensors; the executors give it meaning
(``hls/engine.py``, hls4ml's C++). Values lie channels-last: [features], [length, channels] or [height, width,
channels], and "channel" is always the last axis. The table in ``docs/integer-network.md`` is read by a test and
compared with ``NODE_KINDS`` below.
"""

from __future__ import annotations

import msgspec

from hls.formats import QuantizerRounding, Rounding, WordFormat


class Quantize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = clip(round((value × factor + offset) / scale), low, high), once, on the host, in float64.

    Bipolar words are +1 where value × factor + offset ≥ 0, else -1.

    Attributes:
        format: Of the words produced.
        scale: Real value of one unit, > 0.
        rounding: Named rounding of the quotient.
        factor, offset: An affine step in front of the quantizer, e.g. 2 × value - 1.
        view: Shape of one sample that the real input is first read as, C order.
        axes: Permutation of the axes of ``view`` that lays the words out channels-last.
        low, high: Smallest and largest word produced.
        zero_point: Added before rounding and taken off after it; it moves ties only.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    scale: float
    rounding: QuantizerRounding
    low: int
    high: int
    factor: float = 1.0
    offset: float = 0.0
    view: tuple[int, ...]
    axes: tuple[int, ...]
    zero_point: int = 0


class Reshape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """The same words in C order under another shape, that of the output value."""

    name: str
    input: str
    output: str


class Transpose(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Axes permuted: axis i of the output is axis ``axes[i]`` of the input (samples not counted)."""

    name: str
    input: str
    output: str
    axes: tuple[int, ...]


class MatMul(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """accumulator[..., o] = Σ_i input[..., i] × weight[i, o] + bias[o].

    Attributes:
        weight: Name of the stored tensor, words of shape [inputs, outputs].
        bias: Name of the stored tensor, words of shape [outputs], at the accumulator's scale; ``None`` for no bias.
        accumulator: Format of the sum. As wide as the formats can make it, or narrower on purpose; then it wraps.
    """

    name: str
    input: str
    output: str
    weight: str
    bias: str | None
    accumulator: WordFormat


class Conv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Correlation over one or two spatial axes, zero words beyond the edge.

    accumulator[p, o] = Σ_{k, i} input[p × stride + k × dilation - pad, i] × weight[o, i, k] + bias[o], where i runs
    over the inputs of the group of o.

    Attributes:
        weight: Name of the stored tensor, words of shape [outputs, inputs / groups, kernel...].
        bias: As in ``MatMul``.
        accumulator: As in ``MatMul``.
        strides, dilations: One a spatial axis.
        pads: Zero words in front of each spatial axis, then behind each (ONNX order).
        groups: Groups of channels; as many as inputs for a depthwise convolution.
    """

    name: str
    input: str
    output: str
    weight: str
    bias: str | None
    accumulator: WordFormat
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int


class Shift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = clip(round(word / 2**shift), low, high): ReLU and power-of-two requantization at once.

    Attributes:
        shift: Power of two to divide by; negative multiplies.
        low: Smallest word produced, e.g. 0 for a ReLU in front of a signed quantizer.
        high: Largest word produced.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    shift: int
    rounding: Rounding
    low: int
    high: int


class Requantize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = clip(round((word × multiplier[c] + offset[c]) / 2**shift[c]), low, high), ties to even.

    Attributes:
        multipliers: One, or one a channel (last axis); of either sign.
        offsets: As many as ``multipliers``.
        shifts: As many as ``multipliers``; at least 0.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    multipliers: tuple[int, ...]
    offsets: tuple[int, ...]
    shifts: tuple[int, ...]
    low: int
    high: int


class Threshold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = offset[c] + stride × direction[c] × count(thresholds[c] ≤ word): any monotone step function.

    Attributes:
        thresholds: Name of the stored tensor, words of shape [1 or channels, steps].
        offsets: Word below the first threshold; one, or one a channel.
        directions: +1 where words rise, -1 where they fall; as many as ``offsets``.
        stride: Distance of two neighbouring output words: 2 for bipolar words, else 1.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    thresholds: str
    offsets: tuple[int, ...]
    directions: tuple[int, ...]
    stride: int = 1


class Lookup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """word = table[c, word - first]: any function of a word, monotone or not.

    Attributes:
        table: Name of the stored tensor, words of shape [1 or channels, entries].
        first: Input word of entry 0; the input format has no word outside the table.
    """

    name: str
    input: str
    output: str
    format: WordFormat
    table: str
    first: int


class Add(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """accumulator = Σ_k inputs[k] × multipliers[k]: branches brought to one scale and added.

    Attributes:
        inputs: Two or more values of one shape, or of one that broadcasts to it.
        multipliers: One an input, of either sign; -1 subtracts.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    multipliers: tuple[int, ...]
    accumulator: WordFormat


class Concat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Words side by side along one axis (samples not counted)."""

    name: str
    inputs: tuple[str, ...]
    output: str
    axis: int


class Slice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Every ``step``-th word from ``start`` up to ``stop`` of one axis (samples not counted); step ≥ 1."""

    name: str
    input: str
    output: str
    axis: int
    start: int
    stop: int
    step: int


class MaxPool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Largest word of each window; windows may stick out by ``pads``, where there is nothing.

    Attributes:
        kernel, strides, dilations: One a spatial axis.
        pads: In front of each spatial axis, then behind each.
    """

    name: str
    input: str
    output: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]


class SumPool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Sum of the words of each window, zero words beyond the edge: average pooling whose division is in the scale.

    Attributes:
        kernel, strides: One a spatial axis.
        pads: In front of each spatial axis, then behind each.
    """

    name: str
    input: str
    output: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    accumulator: WordFormat


class Pad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Zero words around: ``pads`` in front of each axis, then behind each (samples not counted)."""

    name: str
    input: str
    output: str
    pads: tuple[int, ...]


class Resize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Every word repeated ``factors[i]`` times along axis i (samples not counted): nearest-neighbour upsampling."""

    name: str
    input: str
    output: str
    factors: tuple[int, ...]


Node = (
    Quantize | Reshape | Transpose | MatMul | Conv | Shift | Requantize | Threshold | Lookup | Add | Concat | Slice
    | MaxPool | SumPool | Pad | Resize
)  # fmt: skip

Layer = MatMul | Conv
"""Nodes with stored weights and an accumulator."""

Activation = Shift | Requantize | Threshold | Lookup
"""Nodes that work word by word and end in a format of their own."""

NODE_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Quantize, Reshape, Transpose, MatMul, Conv, Shift, Requantize, Threshold, Lookup, Add, Concat, Slice, MaxPool,
        SumPool, Pad, Resize,
    )
}  # fmt: skip
"""Every kind of node, by the name it has in ``network.npz`` and in the documentation."""


def inputs_of(node: Node) -> tuple[str, ...]:
    """Values a node reads."""
    return node.inputs if isinstance(node, Add | Concat) else (node.input,)


def tensors_of(node: Node) -> tuple[str, ...]:
    """Stored tensors a node uses."""
    match node:
        case MatMul() | Conv():
            return (node.weight,) if node.bias is None else (node.weight, node.bias)
        case Threshold():
            return (node.thresholds,)
        case Lookup():
            return (node.table,)
        case _:
            return ()


def accumulator_of(node: Node) -> WordFormat | None:
    """Format of a node's sum, ``None`` for nodes without one."""
    return node.accumulator if isinstance(node, MatMul | Conv | Add | SumPool) else None
