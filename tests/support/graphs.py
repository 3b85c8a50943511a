"""Integer networks written by hand: one call a node, formats and scales filled in, no lowering involved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from hls.formats import WordFormat, smallest_signed
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.intervals import accumulator_interval, add_interval, pool_interval
from hls.nodes import (
    Add,
    Concat,
    Conv,
    Lookup,
    MatMul,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Requantize,
    Reshape,
    Resize,
    Shift,
    Slice,
    SumPool,
    Threshold,
    Transpose,
)

ONE = np.asarray(1.0)


def signed(width_bits: int) -> WordFormat:
    return WordFormat(width_bits=width_bits, encoding="twos_complement")


def unsigned(width_bits: int) -> WordFormat:
    return WordFormat(width_bits=width_bits, encoding="unsigned")


BIPOLAR = WordFormat(width_bits=1, encoding="bipolar")


def random_words(rng: np.random.Generator, word_format: WordFormat, shape: tuple[int, ...]) -> np.ndarray:
    """Any legal words, the extreme ones often."""
    if word_format.encoding == "bipolar":
        return rng.choice(np.array([-1, 1]), shape)
    words = rng.integers(word_format.minimum, word_format.maximum, shape, endpoint=True)
    edges = rng.choice(np.array([word_format.minimum, word_format.maximum]), shape)
    return np.where(rng.random(shape) < 0.1, edges, words)


def stored(
    words: np.ndarray,
    word_format: WordFormat,
    *,
    name: str = "t",
    widen: object = 0,
    zero_point: object = 0,
    channel_axis: int = -1,
) -> StoredTensor:
    return StoredTensor(
        name=name, words=np.array(words, np.int64), format=word_format, scale=ONE, widen=np.asarray(widen, np.int64),
        zero_point=np.asarray(zero_point, np.int64), channel_axis=channel_axis,
    )  # fmt: skip


@dataclass
class Net:
    """Grows an ``IntegerGraph`` node by node; every method returns the name of the value it makes."""

    shape: tuple[int, ...]
    format: WordFormat = field(default_factory=lambda: unsigned(4))
    seed: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        low, high = self.format.minimum, self.format.maximum
        axes = tuple(range(len(self.shape)))
        quantizer = Quantize(
            name="q", input="x", output="q", format=self.format, scale=1.0, rounding="half_even", low=low, high=high,
            view=self.shape, axes=axes,
        )  # fmt: skip
        self.nodes: list[Node] = [quantizer]
        self.tensors: dict[str, StoredTensor] = {}
        self.values = {
            "x": Value(shape=self.shape, format=None, scale=ONE),
            "q": Value(shape=self.shape, format=self.format, scale=ONE),
        }

    def graph(self, **more: object) -> IntegerGraph:
        return IntegerGraph(
            nodes=tuple(self.nodes), tensors=self.tensors, values=self.values, input="x",
            output=self.nodes[-1].output, **more,
        )  # fmt: skip

    def words(self, samples: int) -> np.ndarray:
        return random_words(np.random.default_rng(self.seed + 1), self.format, (samples, *self.shape))

    def matmul(
        self, source: str, outputs: int, weights: WordFormat | None = None, bias: WordFormat | None = None,
        accumulator: WordFormat | None = None, **more: object,
    ) -> str:  # fmt: skip
        name, value = self._name("fc"), self.values[source]
        shape = (value.shape[-1], outputs)
        weight = self._tensor(f"{name}.weight", shape, weights or signed(4), more.get("words"), **_channels(more))
        offset = None if bias is None else self._tensor(f"{name}.bias", (outputs,), bias)
        accumulator = accumulator or self._accumulator(weight, offset, source)
        self.nodes.append(
            MatMul(
                name=name, input=source, output=name, weight=weight.name, bias=offset and offset.name,
                accumulator=accumulator,
            )
        )  # fmt: skip
        return self._value(name, (*value.shape[:-1], outputs), accumulator)

    def conv(
        self, source: str, outputs: int, kernel: tuple[int, ...], weights: WordFormat | None = None,
        bias: WordFormat | None = None, accumulator: WordFormat | None = None, strides: tuple[int, ...] = (),
        dilations: tuple[int, ...] = (), pads: tuple[int, ...] = (), groups: int = 1, **more: object,
    ) -> str:  # fmt: skip
        name, value = self._name("conv"), self.values[source]
        ones = (1,) * len(kernel)
        strides, dilations, pads = strides or ones, dilations or ones, pads or (0,) * (2 * len(kernel))
        shape = (outputs, value.shape[-1] // groups, *kernel)
        weight = self._tensor(
            f"{name}.weight", shape, weights or signed(4), more.get("words"), channel_axis=0, **_channels(more)
        )
        offset = None if bias is None else self._tensor(f"{name}.bias", (outputs,), bias)
        accumulator = accumulator or self._accumulator(weight, offset, source)
        self.nodes.append(
            Conv(
                name=name, input=source, output=name, weight=weight.name, bias=offset and offset.name,
                accumulator=accumulator, strides=strides, dilations=dilations, pads=pads, groups=groups,
            )
        )  # fmt: skip
        spatial = window_shape(value.shape[:-1], kernel, strides, dilations, pads)
        return self._value(name, (*spatial, outputs), accumulator)

    def max_pool(
        self, source: str, kernel: tuple[int, ...], strides: tuple[int, ...] = (), dilations: tuple[int, ...] = (),
        pads: tuple[int, ...] = (),
    ) -> str:  # fmt: skip
        name, value = self._name("max"), self.values[source]
        strides, dilations = strides or kernel, dilations or (1,) * len(kernel)
        pads = pads or (0,) * (2 * len(kernel))
        self.nodes.append(
            MaxPool(
                name=name, input=source, output=name, kernel=kernel, strides=strides, dilations=dilations, pads=pads
            )
        )
        return self._value(
            name, (*window_shape(value.shape[:-1], kernel, strides, dilations, pads), value.shape[-1]), value.format
        )

    def sum_pool(
        self, source: str, kernel: tuple[int, ...], strides: tuple[int, ...] = (), pads: tuple[int, ...] = (),
        accumulator: WordFormat | None = None,
    ) -> str:  # fmt: skip
        name, value = self._name("sum"), self.values[source]
        strides, pads = strides or kernel, pads or (0,) * (2 * len(kernel))
        interval = pool_interval(value.format, prod(kernel))
        accumulator = accumulator or smallest_signed(interval.minimum, interval.maximum)
        self.nodes.append(
            SumPool(
                name=name, input=source, output=name, kernel=kernel, strides=strides, pads=pads,
                accumulator=accumulator,
            )
        )  # fmt: skip
        spatial = window_shape(value.shape[:-1], kernel, strides, (1,) * len(kernel), pads)
        return self._value(name, (*spatial, value.shape[-1]), accumulator)

    def add(
        self, sources: Sequence[str], multipliers: Sequence[int] = (), accumulator: WordFormat | None = None
    ) -> str:
        name, values = self._name("add"), [self.values[source] for source in sources]
        multipliers = tuple(multipliers) or (1,) * len(values)
        interval = add_interval([value.format for value in values], multipliers)
        accumulator = accumulator or smallest_signed(interval.minimum, interval.maximum)
        self.nodes.append(
            Add(name=name, inputs=tuple(sources), output=name, multipliers=multipliers, accumulator=accumulator)
        )
        return self._value(name, np.broadcast_shapes(*(value.shape for value in values)), accumulator)

    def shift(
        self, source: str, shift: int, word_format: WordFormat | None = None, rounding: str = "half_even",
        low: int | None = None, high: int | None = None,
    ) -> str:  # fmt: skip
        name, word_format = self._name("act"), word_format or unsigned(4)
        low, high = _range(word_format, low, high)
        self.nodes.append(
            Shift(
                name=name, input=source, output=name, format=word_format, shift=shift, rounding=rounding, low=low,
                high=high,
            )
        )  # fmt: skip
        return self._value(name, self.values[source].shape, word_format)

    def requantize(
        self, source: str, multipliers: Sequence[int], offsets: Sequence[int], shifts: Sequence[int],
        word_format: WordFormat | None = None,
    ) -> str:  # fmt: skip
        name, word_format = self._name("act"), word_format or signed(5)
        low, high = _range(word_format, None, None)
        self.nodes.append(
            Requantize(
                name=name, input=source, output=name, format=word_format, multipliers=tuple(multipliers),
                offsets=tuple(offsets), shifts=tuple(shifts), low=low, high=high,
            )
        )  # fmt: skip
        return self._value(name, self.values[source].shape, word_format)

    def threshold(
        self, source: str, thresholds: np.ndarray, tensor_format: WordFormat, offsets: Sequence[int],
        directions: Sequence[int], word_format: WordFormat, stride: int = 1,
    ) -> str:  # fmt: skip
        name = self._name("act")
        tensor = self._tensor(f"{name}.thresholds", thresholds.shape, tensor_format, thresholds, channel_axis=0)
        self.nodes.append(
            Threshold(
                name=name, input=source, output=name, format=word_format, thresholds=tensor.name,
                offsets=tuple(offsets), directions=tuple(directions), stride=stride,
            )
        )  # fmt: skip
        return self._value(name, self.values[source].shape, word_format)

    def lookup(self, source: str, word_format: WordFormat, rows: int = 1) -> str:
        """A table of random words over the whole input format."""
        name, inputs = self._name("act"), self.values[source].format
        shape = (rows, inputs.maximum - inputs.minimum + 1)
        tensor = self._tensor(f"{name}.table", shape, word_format, channel_axis=0)
        self.nodes.append(
            Lookup(name=name, input=source, output=name, format=word_format, table=tensor.name, first=inputs.minimum)
        )
        return self._value(name, self.values[source].shape, word_format)

    def concat(self, sources: Sequence[str], axis: int, word_format: WordFormat | None = None) -> str:
        name, values = self._name("cat"), [self.values[source] for source in sources]
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        self.nodes.append(Concat(name=name, inputs=tuple(sources), output=name, axis=axis))
        return self._value(name, tuple(shape), word_format or values[0].format)

    def slice(self, source: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        name, value = self._name("slice"), self.values[source]
        shape = list(value.shape)
        shape[axis] = len(range(start, stop, step))
        self.nodes.append(Slice(name=name, input=source, output=name, axis=axis, start=start, stop=stop, step=step))
        return self._value(name, tuple(shape), value.format)

    def pad(self, source: str, pads: tuple[int, ...]) -> str:
        name, value = self._name("pad"), self.values[source]
        rank = len(value.shape)
        self.nodes.append(Pad(name=name, input=source, output=name, pads=pads))
        shape = tuple(size + pads[i] + pads[i + rank] for i, size in enumerate(value.shape))
        return self._value(name, shape, value.format)

    def resize(self, source: str, factors: tuple[int, ...]) -> str:
        name, value = self._name("up"), self.values[source]
        self.nodes.append(Resize(name=name, input=source, output=name, factors=factors))
        shape = tuple(size * factor for size, factor in zip(value.shape, factors, strict=True))
        return self._value(name, shape, value.format)

    def reshape(self, source: str, shape: tuple[int, ...]) -> str:
        name = self._name("view")
        self.nodes.append(Reshape(name=name, input=source, output=name))
        return self._value(name, shape, self.values[source].format)

    def transpose(self, source: str, axes: tuple[int, ...]) -> str:
        name, value = self._name("perm"), self.values[source]
        self.nodes.append(Transpose(name=name, input=source, output=name, axes=axes))
        return self._value(name, tuple(value.shape[axis] for axis in axes), value.format)

    def _name(self, prefix: str) -> str:
        return f"{prefix}{len(self.nodes)}"

    def _value(self, name: str, shape: tuple[int, ...], word_format: WordFormat | None) -> str:
        self.values[name] = Value(shape=shape, format=word_format, scale=ONE)
        return name

    def _tensor(
        self, name: str, shape: tuple[int, ...], word_format: WordFormat, words: object = None, **more: object
    ) -> StoredTensor:
        if words is None:
            words = random_words(self.rng, word_format, shape)
        self.tensors[name] = stored(np.broadcast_to(words, shape), word_format, name=name, **more)
        return self.tensors[name]

    def _accumulator(self, weight: StoredTensor, bias: StoredTensor | None, source: str) -> WordFormat:
        interval = accumulator_interval(weight, bias, self.values[source].format)
        return smallest_signed(interval.minimum, interval.maximum)


def window_shape(
    shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int]
) -> tuple[int, ...]:
    """How many windows there are along each spatial axis."""
    axes = len(kernel)
    return tuple(
        (shape[i] + pads[i] + pads[i + axes] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i in range(axes)
    )


def _channels(more: dict[str, object]) -> dict[str, object]:
    return {key: more[key] for key in ("widen", "zero_point") if key in more}


def _range(word_format: WordFormat, low: int | None, high: int | None) -> tuple[int, int]:
    return (
        word_format.quantizer_minimum if low is None else low,
        word_format.maximum if high is None else high,
    )
