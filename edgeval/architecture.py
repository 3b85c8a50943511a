"""The shape of a network as a small value: an input shape and a list of layers, checked when it is made.

It says nothing about bits, seeds or training; ``edgeval/quantize.py`` builds the float and the quantized model from it,
and ``run.json`` holds it, so that a run can be loaded without its target's data.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from hls.errors import UsageError

Shape = tuple[int, ...]
"""One sample: (features,) or (channels, height, width)."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """Base of all layers: frozen, by keyword, nothing unknown; ``kind`` is the class name in lower case."""


class Dense(_Part, frozen=True):
    """Every output is a weighted sum of all inputs. It has a bias unless a ``BatchNorm`` follows directly."""

    width: int


class Conv(_Part, frozen=True):
    """Two-dimensional convolution with a square kernel. It has a bias unless a ``BatchNorm`` follows directly.

    Attributes:
        channels: Output channels.
        kernel: Height and width of the kernel, in pixels.
        stride: Pixels from one window to the next, in both directions.
        padding: Zeros around the image, on each of its four sides.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


class BatchNorm(_Part, frozen=True):
    """Batch normalisation of the layer directly in front, one scale and shift a channel; kept, never folded away."""


class Relu(_Part, frozen=True):
    """Rectifier; in the quantized model the place where activation words are made."""


class MaxPool(_Part, frozen=True):
    """Largest value of each square window; windows do not overlap, and rows that fill none are dropped.

    Attributes:
        size: Height and width of a window, in pixels.
    """

    size: int


class Flatten(_Part, frozen=True):
    """(channels, height, width) to (features,), channels slowest."""


Layer = Dense | Conv | BatchNorm | Relu | MaxPool | Flatten


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A layer in its place.

    Attributes:
        name: In the models and in everything made from them: kind and number, ``fc1``, ``conv2``.
        layer: What it is.
        input_shape: One sample in front of it.
        output_shape: One sample behind it.
        bias: Whether it has one; always false for layers without weights.
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    bias: bool


class Architecture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feed-forward network.

    Attributes:
        input_shape: One sample: (features,) or (channels, height, width).
        layers: In data order. The last one is dense: its sums are the network's outputs. Between two layers with
            weights there is a ``Relu``, because weights multiply words.

    Raises:
        UsageError: layers that do not fit one another.

    Example:
        >>> Architecture(input_shape=(1, 6, 6), layers=(
        ...     Conv(channels=2, kernel=3), BatchNorm(), Relu(), MaxPool(size=2), Flatten(), Dense(width=3),
        ... )).text
        'image 1×6×6, conv 2@3×3, norm, pool 2, dense 3'
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Walk through all layers once; each refuses what it cannot follow."""
        if len(self.input_shape) not in (1, 3) or min(self.input_shape) < 1:
            raise _misfit("input", f"shape {list(self.input_shape)}", "(features) or (channels, height, width)")
        if not self.layers or not isinstance(self.layers[-1], Dense):
            raise _misfit("last layer", _kind(self.layers[-1]) if self.layers else "no layer", "a dense layer")
        _check_order(self.layers)
        list(self.steps())

    def steps(self) -> Iterator[Step]:
        """The layers with their names and shapes."""
        shape, counts = self.input_shape, dict.fromkeys(_NAMES, 0)
        for layer, following in itertools.zip_longest(self.layers, self.layers[1:]):
            counts[type(layer)] += 1
            name = "flatten" if isinstance(layer, Flatten) else f"{_NAMES[type(layer)]}{counts[type(layer)]}"
            output_shape = _output_shape(layer, shape, name)
            bias = isinstance(layer, Dense | Conv) and not isinstance(following, BatchNorm)
            yield Step(name=name, layer=layer, input_shape=shape, output_shape=output_shape, bias=bias)
            shape = output_shape

    @property
    def output_count(self) -> int:
        """Outputs of the network."""
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return last.width

    @property
    def perceptron_widths(self) -> tuple[int, ...] | None:
        """Neurons of each layer, inputs first, if it is dense layers with ReLUs between; ``None`` for all else."""
        widths = (*self.input_shape, *(layer.width for layer in self.layers if isinstance(layer, Dense)))
        plain = len(self.input_shape) == 1 and self == perceptron(widths)
        return widths if plain else None

    @property
    def text(self) -> str:
        """One line for people; ReLUs and the flattening go without saying."""
        if widths := self.perceptron_widths:
            return "-".join(map(str, widths))
        shown = [_text(layer) for layer in self.layers if not isinstance(layer, Relu | Flatten)]
        source = "image" if len(self.input_shape) == 3 else "inputs"
        return ", ".join([f"{source} {'×'.join(map(str, self.input_shape))}", *shown])


def perceptron(widths: Sequence[int]) -> Architecture:
    """Dense layers with ReLUs between.

    Args:
        widths: Neurons of each layer, inputs first, outputs last; at least two.

    Raises:
        UsageError: fewer than two layers, or a layer without a neuron.

    Example:
        >>> perceptron((64, 32, 10)).text
        '64-32-10'
    """
    if len(widths) < 2 or min(widths) < 1:
        raise UsageError(
            found=str(list(widths)),
            allowed="at least two layers of at least one neuron",
            where="network widths",
            remedy="give inputs, hidden layers and outputs",
        )
    layers: list[Layer] = []
    for width in widths[1:]:
        layers += [Dense(width=width), Relu()]
    return Architecture(input_shape=(widths[0],), layers=tuple(layers[:-1]))


_NAMES: dict[type[Layer], str] = {
    Dense: "fc",
    Conv: "conv",
    BatchNorm: "norm",
    Relu: "act",
    MaxPool: "pool",
    Flatten: "flatten",
}
"""How layers of a kind are called in the models; a number follows."""


def _check_order(layers: Sequence[Layer]) -> None:
    words = True  # the input quantizer makes words
    for number, layer in enumerate(layers):
        before = layers[number - 1] if number else None
        if isinstance(layer, BatchNorm) and not isinstance(before, Dense | Conv):
            raise _misfit(f"layer {number + 1}", "a batch norm behind no layer with weights", "dense or conv in front")
        if isinstance(layer, Dense | Conv):
            if not words:
                raise _misfit(f"layer {number + 1}", "weights that multiply sums", "a ReLU between layers with weights")
            words = False
        if isinstance(layer, Relu):
            if words:
                raise _misfit(f"layer {number + 1}", "a ReLU of words", "one ReLU behind a layer with weights")
            words = True


def _output_shape(layer: Layer, shape: Shape, where: str) -> Shape:
    match layer:
        case Dense(width=width):
            if len(shape) != 1 or width < 1:
                raise _misfit(where, f"width {width} for inputs of shape {list(shape)}", "1 or more, for flat inputs")
            return (width,)
        case Conv():
            return (layer.channels, *_windows(layer, shape, where))
        case MaxPool(size=size):
            if len(shape) != 3 or not 1 <= size <= min(shape[1:]):
                raise _misfit(where, f"windows of {size} for inputs of shape {list(shape)}", "windows inside the image")
            return (shape[0], shape[1] // size, shape[2] // size)
        case Flatten():
            return (math.prod(shape),)
        case BatchNorm() | Relu():
            return shape


def _windows(layer: Conv, shape: Shape, where: str) -> Shape:
    counts = tuple((side + 2 * layer.padding - layer.kernel) // max(1, layer.stride) + 1 for side in shape[1:])
    least = min(layer.channels, layer.kernel, layer.stride, layer.padding + 1)
    if len(shape) != 3 or least < 1 or min(counts) < 1:
        raise _misfit(where, f"{_text(layer)} for inputs of shape {list(shape)}", "a kernel inside the padded image")
    return counts


def _text(layer: Layer) -> str:
    match layer:
        case Dense(width=width):
            return f"dense {width}"
        case Conv():
            stride = f" stride {layer.stride}" if layer.stride != 1 else ""
            padding = f" padding {layer.padding}" if layer.padding else ""
            return f"conv {layer.channels}@{layer.kernel}×{layer.kernel}{stride}{padding}"
        case MaxPool(size=size):
            return f"pool {size}"
        case _:
            return _NAMES[type(layer)]


def _kind(layer: Layer) -> str:
    return type(layer).__name__.lower()


def _misfit(where: str, found: str, allowed: str) -> UsageError:
    return UsageError(
        found=found, allowed=allowed, where=f"network architecture, {where}", remedy="correct the list of layers"
    )
