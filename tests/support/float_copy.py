"""A network in NumPy float64 whose stored words may be any reals, with rounding frozen as it was at the real words.

Where neither clip acts, an activation moves as its argument does; elsewhere it stays. That is the function whose
derivatives straight-through estimation takes, so finite differences of it are what those derivatives have to be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fault_injection.flips import along_channels
from fault_injection.golden import golden_run
from hls.engine import kernel_of
from hls.graph import IntegerGraph
from hls.kernels import add, sum_pool
from hls.nodes import Add, Concat, Conv, MatMul, Node, Requantize, Shift, SumPool, inputs_of

FLOAT = np.dtype(np.float64)


class FloatCopy:
    """Outputs for stored words that are no integers."""

    def __init__(self, graph: IntegerGraph, inputs: np.ndarray) -> None:
        self.graph, self.inputs = graph, inputs.astype(np.float64)
        self.golden = golden_run(graph, inputs).words

    def outputs(self, words: Mapping[str, np.ndarray]) -> np.ndarray:
        """Real outputs, those of one sample in a row."""
        values = {self.graph.quantizer.output: self.inputs}
        for node in self.graph.compute_nodes:
            values[node.output] = self._node(node, [values[name] for name in inputs_of(node)], words)
        return (values[self.graph.output] * self.graph.output_scale).reshape(len(self.inputs), -1)

    def _node(self, node: Node, inputs: list[np.ndarray], words: Mapping[str, np.ndarray]) -> np.ndarray:
        match node:
            case MatMul() | Conv():
                weight = self._executor(node.weight, words)
                bias = 0.0 if node.bias is None else self._executor(node.bias, words)
                product = inputs[0] @ weight if isinstance(node, MatMul) else correlated(inputs[0], weight, node)
                return np.asarray(product + bias)
            case Shift() | Requantize():
                before = real(node, self.golden[node.input].astype(np.float64))
                rounded = np.floor(before) if isinstance(node, Shift) and node.rounding == "floor" else np.rint(before)
                above = before > 0 if node.low == 0 else rounded >= node.low
                return self.golden[node.output] + (real(node, inputs[0]) - before) * (above & (rounded <= node.high))
            case Add():
                return add(node.multipliers, len(self.graph.values[node.output].shape), FLOAT)(inputs)
            case SumPool():
                return sum_pool(node, FLOAT)(inputs)
            case Concat():
                return np.concatenate(inputs, axis=node.axis + 1)
            case _:
                return kernel_of(self.graph, node)(inputs).astype(np.float64)

    def _executor(self, name: str, words: Mapping[str, np.ndarray]) -> np.ndarray:
        tensor = self.graph.tensors[name]
        zero_point, widen = (along_channels(tensor, np.asarray(a)) for a in (tensor.zero_point, tensor.widen))
        return (words[name] - zero_point) * 2.0**widen


def real(node: Shift | Requantize, words: np.ndarray) -> np.ndarray:
    """What a node rounds."""
    if isinstance(node, Shift):
        return words * 2.0**-node.shift
    multipliers, offsets, shifts = (np.asarray(n, np.float64) for n in (node.multipliers, node.offsets, node.shifts))
    return (words * multipliers + offsets) * 2.0**-shifts


def correlated(planes: np.ndarray, weight: np.ndarray, node: Conv) -> np.ndarray:
    """A two-dimensional convolution, tap by tap and group by group."""
    top, left, bottom, right = node.pads
    padded = np.pad(planes, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = (
        (padded.shape[axis + 1] - node.dilations[axis] * (weight.shape[axis + 2] - 1) - 1) // node.strides[axis] + 1
        for axis in range(2)
    )
    sums = np.zeros((len(planes), rows, columns, len(weight)))
    inputs, outputs = weight.shape[1], len(weight) // node.groups
    for row, column in np.ndindex(*weight.shape[2:]):
        down, across = row * node.dilations[0], column * node.dilations[1]
        seen = padded[:, down :: node.strides[0], across :: node.strides[1]][:, :rows, :columns]
        for group in range(node.groups):
            of_group = slice(group * outputs, (group + 1) * outputs)
            words = seen[..., group * inputs : (group + 1) * inputs]
            sums[..., of_group] += words @ weight[of_group, :, row, column].T
    return sums


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean -log softmax of the label's output, written down anew."""
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return float(-np.log(shares[np.arange(len(labels)), labels]).mean())
