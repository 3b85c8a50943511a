"""Nodes that move words and compute nothing: reshapes, transpositions, slices, paddings, repetitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hls.kernels import Carried, Kernel
from hls.nodes import Concat, Node, Pad, Reshape, Resize, Slice, Transpose


def move(node: Node, shape: tuple[int, ...], dtype: np.dtype) -> Kernel:
    """The kernel of a node that moves words.

    Args:
        node: The node.
        shape: Of its output, samples not counted.
        dtype: An arithmetic that holds the words of every input.
    """
    match node:
        case Reshape():
            return lambda inputs: inputs[0].reshape(len(inputs[0]), *shape)
        case Transpose():
            axes = (0, *(axis + 1 for axis in node.axes))
            return lambda inputs: np.ascontiguousarray(inputs[0].transpose(axes))
        case Concat():
            axis = node.axis + 1
            return lambda inputs: np.concatenate([words.astype(dtype, copy=False) for words in inputs], axis=axis)
        case Slice():
            part = (*(slice(None) for _ in range(node.axis + 1)), slice(node.start, node.stop, node.step))
            return lambda inputs: np.ascontiguousarray(inputs[0][part])
        case Pad():
            rank = len(node.pads) // 2
            widths = ((0, 0), *zip(node.pads[:rank], node.pads[rank:], strict=True))
            return lambda inputs: np.pad(inputs[0], widths)
        case Resize():
            return _resize(node)
    raise TypeError(f"{type(node).__name__} does not move words")


def _resize(node: Resize) -> Kernel:
    def run(inputs: Sequence[Carried]) -> Carried:
        (words,) = inputs
        for axis, factor in enumerate(node.factors, 1):
            words = words if factor == 1 else np.repeat(words, factor, axis=axis)
        return words

    return run
