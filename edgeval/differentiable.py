"""The integer network as a differentiable function of its stored words.

The same nodes, in float64 torch: every word comes out as in the exact engine, and the stored words of weights and
biases are the variables. So a derivative *is* one in stored-word units: transposed weights, channels-last rows, widened
channels, batch norms that became multipliers and biases at an accumulator's scale need no map. Rounding and clipping
are differentiated straight through, as Brevitas trains: see ``docs/ranking.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from hls.errors import UsageError
from hls.graph import IntegerGraph, StoredTensor
from hls.host import HostAffine, HostApply, HostClip, HostStep
from hls.intervals import largest_intermediate, sum_interval
from hls.nodes import (
    Add,
    Concat,
    Conv,
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
    Transpose,
    accumulator_of,
    inputs_of,
)

Parameters = Mapping[str, Tensor]
"""Stored words by tensor name, float64, in the shape of the stored tensor."""

_EXACT = 1 << 53
"""Integers below this are exact in float64."""

_Step = Callable[[Sequence[Tensor], Parameters], Tensor]


class WordNetwork:
    """A network as a function (stored words, input words) → real outputs, differentiable in the stored words.

    Args:
        graph: The network.

    Raises:
        UsageError: it has a node without a derivative (threshold, table), an accumulator that wraps, words beyond what
            float64 holds, or a host function other than softmax behind it.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        for node in graph.compute_nodes:
            _require_differentiable(graph, node)
        self.graph = graph
        self._steps: list[tuple[tuple[str, ...], str, _Step]] = [
            (inputs_of(node), node.output, _BUILDERS[type(node)](graph, node)) for node in graph.compute_nodes
        ]
        self._tail = [_tail_step(step) for step in graph.tail]
        self._scale = torch.from_numpy(graph.output_scale.astype("float64"))

    def parameters(self) -> dict[str, Tensor]:
        """The stored words themselves, as variables; data order."""
        return {name: torch.from_numpy(tensor.words.astype("float64")) for name, tensor in self.graph.tensors.items()}

    def words(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Output words, shape (samples, *output).

        Args:
            parameters: Stored words; reals between two words are allowed.
            inputs: Input words, float64, samples first, channels last.
        """
        values = {self.graph.quantizer.output: inputs}
        for sources, target, step in self._steps:
            values[target] = step([values[name] for name in sources], parameters)
        return values[self.graph.output]

    def outputs(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Real outputs as ``IntegerGraph.output_values`` gives them, those of one sample in a row."""
        values = self.words(parameters, inputs) * self._scale
        for step in self._tail:
            values = step(values)
        if self.graph.output_axes:
            values = values.permute(0, *(axis + 1 for axis in self.graph.output_axes))
        return values.reshape(len(values), -1)


class _StraightThrough(torch.autograd.Function):
    """The word in the forward direction, the identity inside the clips in the backward direction."""

    generate_vmap_rule = True

    @staticmethod
    def forward(real: Tensor, word: Tensor, inside: Tensor) -> Tensor:
        return word.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def _clipped(real: Tensor, node: Shift | Requantize, *, floor: bool) -> Tensor:
    """Round, clip, and pass derivatives where neither clip acts; at 0 a ReLU is closed, as in torch and Brevitas."""
    rounded = torch.floor(real) if floor else torch.round(real)  # torch.round takes ties to even
    above = real > 0 if node.low == 0 else rounded >= node.low
    inside = (above & (rounded <= node.high)).to(real.dtype)
    clipped = rounded.clamp(node.low, node.high)
    word: Tensor = _StraightThrough.apply(real, clipped.detach(), inside.detach())  # type: ignore[no-untyped-call]
    return word


def _matmul(graph: IntegerGraph, node: MatMul) -> _Step:
    weight, bias = graph.tensors[node.weight], None if node.bias is None else graph.tensors[node.bias]

    def run(x: Sequence[Tensor], parameters: Parameters) -> Tensor:
        sums = x[0] @ _executor_words(weight, parameters)
        return sums if bias is None else sums + _executor_words(bias, parameters)

    return run


def _conv(graph: IntegerGraph, node: Conv) -> _Step:
    weight, bias = graph.tensors[node.weight], None if node.bias is None else graph.tensors[node.bias]
    convolve: Any = functional.conv1d if len(node.strides) == 1 else functional.conv2d
    pads = _pads((*node.pads[: len(node.strides)], 0, *node.pads[len(node.strides) :], 0))

    def run(x: Sequence[Tensor], parameters: Parameters) -> Tensor:
        planes = functional.pad(x[0], pads).movedim(-1, 1)
        kernel = _executor_words(weight, parameters)
        sums: Tensor = convolve(planes, kernel, None, node.strides, 0, node.dilations, node.groups).movedim(1, -1)
        return sums if bias is None else sums + _executor_words(bias, parameters)

    return run


def _executor_words(tensor: StoredTensor, parameters: Parameters) -> Tensor:
    """What the multipliers see of stored words: without zero point, at the common scale."""
    axis = tensor.channel_axis % max(1, tensor.words.ndim)
    behind = (1,) * (tensor.words.ndim - 1 - axis)

    def along(values: Any) -> Tensor:
        array = torch.from_numpy(values.astype("float64"))
        return array.reshape(-1, *behind) if array.ndim else array

    return (parameters[tensor.name] - along(tensor.zero_point)) * 2.0 ** along(tensor.widen)


def _requantize(graph: IntegerGraph, node: Requantize) -> _Step:
    del graph
    multipliers, offsets, shifts = (
        torch.tensor(numbers, dtype=torch.float64) for numbers in (node.multipliers, node.offsets, node.shifts)
    )
    return lambda x, _: _clipped((x[0] * multipliers + offsets) * 2.0**-shifts, node, floor=False)


def _pool(graph: IntegerGraph, node: MaxPool | SumPool) -> _Step:
    """A window's largest word or sum; the derivative of a maximum goes to the first of equal words."""
    del graph
    axes = len(node.kernel)
    pads = _pads((*node.pads[:axes], 0, *node.pads[axes:], 0))
    nothing = -float(_EXACT) if isinstance(node, MaxPool) else 0.0
    pool: Any = functional.max_pool1d if axes == 1 else functional.max_pool2d
    convolve: Any = functional.conv1d if axes == 1 else functional.conv2d

    def run(x: Sequence[Tensor], _: Parameters) -> Tensor:
        planes = functional.pad(x[0], pads, value=nothing).movedim(-1, 1)
        if isinstance(node, MaxPool):
            largest: Tensor = pool(planes, node.kernel, node.strides, 0, node.dilations)
            return largest.movedim(1, -1)
        taps = torch.ones((planes.shape[1], 1, *node.kernel), dtype=planes.dtype)
        sums: Tensor = convolve(planes, taps, None, node.strides, 0, 1, planes.shape[1])
        return sums.movedim(1, -1)

    return run


def _pads(pads: Sequence[int]) -> list[int]:
    """Our pads (in front of each axis, then behind each) as torch counts them, last axis first; samples have none."""
    axes = len(pads) // 2
    return [number for axis in reversed(range(axes)) for number in (pads[axis], pads[axes + axis])]


def _shift(graph: IntegerGraph, node: Shift) -> _Step:
    del graph
    return lambda x, _: _clipped(x[0] * 2.0**-node.shift, node, floor=node.rounding == "floor")


def _add(graph: IntegerGraph, node: Add) -> _Step:
    rank = len(graph.values[node.output].shape)

    def aligned(words: Tensor) -> Tensor:
        return words.reshape(len(words), *(1 for _ in range(rank + 1 - words.ndim)), *words.shape[1:])

    def run(x: Sequence[Tensor], _: Parameters) -> Tensor:
        parts = [aligned(words) * multiplier for words, multiplier in zip(x, node.multipliers, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    return run


def _concat(graph: IntegerGraph, node: Concat) -> _Step:
    del graph
    return lambda x, _: torch.cat(list(x), dim=node.axis + 1)


def _slice(graph: IntegerGraph, node: Slice) -> _Step:
    del graph
    part = (*(slice(None) for _ in range(node.axis + 1)), slice(node.start, node.stop, node.step))
    return lambda x, _: x[0][part]


def _reshape(graph: IntegerGraph, node: Reshape) -> _Step:
    shape = graph.values[node.output].shape
    return lambda x, _: x[0].reshape(len(x[0]), *shape)


def _transpose(graph: IntegerGraph, node: Transpose) -> _Step:
    del graph
    return lambda x, _: x[0].permute(0, *(axis + 1 for axis in node.axes))


def _pad(graph: IntegerGraph, node: Pad) -> _Step:
    del graph
    return lambda x, _: functional.pad(x[0], _pads(node.pads))


def _resize(graph: IntegerGraph, node: Resize) -> _Step:
    del graph

    def run(x: Sequence[Tensor], _: Parameters) -> Tensor:
        words = x[0]
        for axis, factor in enumerate(node.factors, 1):
            words = words if factor == 1 else words.repeat_interleave(factor, dim=axis)
        return words

    return run


_BUILDERS: dict[type, Callable[[IntegerGraph, Any], _Step]] = {
    MatMul: _matmul,
    Conv: _conv,
    Shift: _shift,
    Requantize: _requantize,
    Add: _add,
    Concat: _concat,
    Slice: _slice,
    Reshape: _reshape,
    Transpose: _transpose,
    Pad: _pad,
    Resize: _resize,
    MaxPool: _pool,
    SumPool: _pool,
}
"""Every node with a derivative."""


def _tail_step(step: HostStep) -> Callable[[Tensor], Tensor]:
    match step:
        case HostAffine():
            factors, offsets = (torch.tensor(n, dtype=torch.float64) for n in (step.factors, step.offsets))
            return lambda values: values * factors + offsets
        case HostClip():
            return lambda values: values.clamp(step.low, step.high)
        case HostApply(function="softmax"):
            return lambda values: torch.softmax(values, dim=-1)
        case HostApply(function="log_softmax"):
            return lambda values: torch.log_softmax(values, dim=-1)
    raise _no_derivative(f"the host function {step.function} behind the network")


def _require_differentiable(graph: IntegerGraph, node: Node) -> None:
    if type(node) not in _BUILDERS:
        raise _no_derivative(f"{node.name}, a {type(node).__name__.lower()}: its words are steps, not factors")
    accumulator = accumulator_of(node)
    if accumulator is not None and not sum_interval(graph, node).within(accumulator):
        raise _no_derivative(f"{node.name}, whose accumulator was narrowed and wraps")
    if largest_intermediate(graph, node) >= _EXACT:
        raise _no_derivative(f"{node.name}, whose words go beyond what float64 holds")


def _no_derivative(found: str) -> UsageError:
    return UsageError(
        found=found,
        allowed="sums of products, convolutions, pools, additions, shifts and requantizers",
        where="ranking by derivatives",
        remedy="use --method finite-difference, delta, msb-first or random",
    )
