"""Sums of products and windows on blocks of words: matrix products, convolutions, pools.

Words come in arrays of any of the three arithmetics (float32, float64, int64), samples first and channels last; the
caller has proved that the one asked for is exact. A one-dimensional window runs as a two-dimensional one of height 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Shaped

from hls.formats import Words
from hls.nodes import Conv, MaxPool, SumPool

Carried = Shaped[np.ndarray, "..."]
"""Words in any arithmetic that holds them exactly."""

Kernel = Callable[[Sequence[Carried]], Carried]
"""What one node does with a block of its inputs. Inputs are never written to; the output may be a view of them."""

COLUMN_WORDS = 1 << 20
"""Words of the patches that a convolution gathers at once: about what caches hold."""

_ALONE = 1 << 18
"""Products up to which OpenBLAS does not share a matrix product among threads."""

_FEWEST_ROWS = 16
"""Rows of a batch below which calls cost more than threads."""

_CONTIGUOUS_WORDS = 12
"""Shortest run of neighbouring words that is worth copying patch by patch instead of plane by plane."""


def matmul(weight: Words, bias: Words | None, dtype: np.dtype) -> Kernel:
    """Σ_i input[..., i] × weight[i, o] + bias[o]."""
    matrix = weight.astype(dtype)
    offset = None if bias is None else bias.astype(dtype)

    def run(inputs: Sequence[Carried]) -> Carried:
        (words,) = inputs
        rows = words.astype(dtype, copy=False).reshape(-1, len(matrix))
        return _plus(_rows_times(rows, matrix).reshape(*words.shape[:-1], matrix.shape[1]), offset)

    return run


def conv(node: Conv, weight: Words, bias: Words | None, dtype: np.dtype) -> Kernel:
    """Correlation as ``Conv`` defines it; weights as stored, [outputs, inputs / groups, kernel...]."""
    kernels = weight if weight.ndim == 4 else weight[:, :, None]
    taps = kernels.transpose(2, 3, 1, 0).astype(dtype, order="C")  # [height, width, inputs / groups, outputs]
    offset = None if bias is None else bias.astype(dtype)
    strides, dilations = _pair(node.strides), _pair(node.dilations)
    depthwise = taps.shape[2] == 1 and node.groups > 1

    def run(inputs: Sequence[Carried]) -> Carried:
        (words,) = inputs
        planes = _padded(words, node.pads, 0, dtype)
        window = _Window(planes if words.ndim == 4 else planes[:, None], taps.shape[:2], strides, dilations)
        sums = _depthwise(window, taps, node.groups) if depthwise else _grouped(window, taps, node.groups)
        return _plus(sums if words.ndim == 4 else sums[:, 0], offset)

    return run


def sum_pool(node: SumPool, dtype: np.dtype) -> Kernel:
    """Sum of each window, zeros beyond the edge."""
    ones = tuple(1 for _ in node.kernel)
    return lambda inputs: _reduced(_padded(inputs[0], node.pads, 0, dtype), (node.kernel, node.strides, ones), np.add)


def max_pool(node: MaxPool) -> Kernel:
    """Largest word of each window, nothing beyond the edge."""

    def run(inputs: Sequence[Carried]) -> Carried:
        (words,) = inputs
        nothing = -np.inf if words.dtype.kind == "f" else np.iinfo(words.dtype).min
        padded = _padded(words, node.pads, nothing, words.dtype)
        return _reduced(padded, (node.kernel, node.strides, node.dilations), np.maximum)

    return run


def add(multipliers: Sequence[int], rank: int, dtype: np.dtype) -> Kernel:
    """Σ_k inputs[k] × multipliers[k], broadcast to ``rank`` axes besides the samples."""
    multiplied = np.array(multipliers, dtype)

    def aligned(words: Carried) -> Carried:
        words = words.astype(dtype, copy=False)
        return words.reshape(len(words), *(1 for _ in range(rank + 1 - words.ndim)), *words.shape[1:])

    def run(inputs: Sequence[Carried]) -> Carried:
        total = np.asarray(aligned(inputs[0]) * multiplied[0])
        for words, multiplier in zip(inputs[1:], multiplied[1:], strict=True):
            part = aligned(words)
            total = total + (part if multiplier == 1 else part * multiplier)
        return total

    return run


def along_channels(values: np.ndarray, words: Carried) -> np.ndarray:
    """Values of one a channel, laid out so that NumPy's inner loop is longer than the channels are many."""
    return np.ascontiguousarray(np.broadcast_to(values, words.shape[-2:])) if words.ndim > 2 else values


class _Window:
    """Views of the patches of planes [samples, height, width, channels] that are padded already."""

    def __init__(
        self, planes: Carried, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
    ) -> None:
        self.planes, self.kernel, self.strides, self.dilations = planes, kernel, strides, dilations
        self.size = tuple(
            (length - dilation * (taps - 1) - 1) // stride + 1
            for length, taps, stride, dilation in zip(planes.shape[1:3], kernel, strides, dilations, strict=True)
        )

    def tap(self, row: int, column: int, channels: slice = slice(None)) -> Carried:
        """The words that one weight meets: [samples, rows, columns, channels]."""
        starts = (row * self.dilations[0], column * self.dilations[1])
        rows, columns = (
            slice(start, start + (size - 1) * stride + 1, stride)
            for start, size, stride in zip(starts, self.size, self.strides, strict=True)
        )
        return self.planes[:, rows, columns, channels]

    def patches(self, channels: slice) -> Carried:
        """All patches: [samples, rows, columns, kernel height, kernel width, channels]."""
        planes = self.planes[..., channels]
        steps = planes.strides
        return np.lib.stride_tricks.as_strided(
            planes,
            (len(planes), *self.size, *self.kernel, planes.shape[-1]),
            (
                steps[0], steps[1] * self.strides[0], steps[2] * self.strides[1],
                steps[1] * self.dilations[0], steps[2] * self.dilations[1], steps[3],
            ),
            writeable=False,
        )  # fmt: skip

    def blocks(self, words_a_position: int) -> Iterator[tuple[slice, slice]]:
        """Samples and output rows whose gathered patches stay within ``COLUMN_WORDS``, if a single row does."""
        height, width = self.size
        rows = min(height, max(1, COLUMN_WORDS // max(1, width * words_a_position)))
        samples = max(1, COLUMN_WORDS // max(1, rows * width * words_a_position))
        for sample in range(0, len(self.planes), samples):
            for row in range(0, height, rows):
                yield slice(sample, sample + samples), slice(row, row + rows)


def _grouped(window: _Window, taps: Carried, groups: int) -> Carried:
    inputs, outputs = taps.shape[2], taps.shape[3] // groups
    if groups == 1 and window.kernel == (1, 1):
        words = window.tap(0, 0)
        return _rows_times(words.reshape(-1, inputs), taps[0, 0]).reshape(*words.shape[:-1], outputs)
    sums = np.empty((len(window.planes), *window.size, taps.shape[3]), taps.dtype)
    for group in range(groups):
        results = slice(group * outputs, (group + 1) * outputs)
        patches = window.patches(slice(group * inputs, (group + 1) * inputs))
        matrix = np.ascontiguousarray(taps[..., results]).reshape(-1, outputs)
        for block in window.blocks(len(matrix)):
            _product(patches[block], matrix, sums[(*block, slice(None), results)])
    return sums


def _product(patches: Carried, matrix: Carried, sums: Carried) -> None:
    """Gather patches as one matrix and multiply."""
    if patches.shape[4] * patches.shape[5] < _CONTIGUOUS_WORDS:  # one shifted plane a weight: image rows are copied
        gathered = np.ascontiguousarray(patches.transpose(3, 4, 5, 0, 1, 2)).reshape(len(matrix), -1).T
    else:  # one patch after the other: runs of neighbouring words are copied
        gathered = np.ascontiguousarray(patches).reshape(-1, len(matrix))
    sums[...] = _rows_times(gathered, matrix).reshape(sums.shape)


def _rows_times(rows: Carried, matrix: Carried) -> Carried:
    """[rows, inputs] × [inputs, outputs], in batches that BLAS runs on the thread that asks.

    Waking other threads for a small product costs more than it saves, and many times more on a busy machine.
    """
    total, batch = len(rows), _ALONE // max(1, matrix.size)
    if batch < _FEWEST_ROWS or batch >= total or rows.dtype.kind != "f":
        return np.asarray(rows @ matrix)
    sums = np.empty((total, matrix.shape[1]), matrix.dtype)
    whole = total // batch * batch
    down, across = rows.strides
    batches = np.lib.stride_tricks.as_strided(
        rows, (total // batch, batch, rows.shape[1]), (batch * down, down, across), writeable=False
    )
    np.matmul(batches, matrix, out=sums[:whole].reshape(-1, batch, matrix.shape[1]))
    np.matmul(rows[whole:], matrix, out=sums[whole:])
    return sums


def _depthwise(window: _Window, taps: Carried, groups: int) -> Carried:
    """Tap after tap: every channel has weights of its own, so there is no matrix to make."""
    multiple = taps.shape[3] // groups
    sums = np.zeros((len(window.planes), *window.size, groups, multiple), taps.dtype)
    product = np.empty_like(sums)
    for row, column in np.ndindex(*taps.shape[:2]):
        weights = taps[row, column, 0].reshape(groups, multiple)
        words = window.tap(row, column)
        if multiple == 1:
            np.multiply(words, along_channels(weights[:, 0], words), out=product[..., 0])
        else:
            np.multiply(words[..., None], weights, out=product)
        sums += product
    return sums.reshape(len(sums), *window.size, taps.shape[3])


def _reduced(words: Carried, window: tuple[tuple[int, ...], ...], reduce: np.ufunc) -> Carried:
    """A window's reduction, axis after axis."""
    for axis, (kernel, stride, dilation) in enumerate(zip(*window, strict=True), 1):
        size = (words.shape[axis] - dilation * (kernel - 1) - 1) // stride + 1
        parts = [
            words[(*(slice(None) for _ in range(axis)), slice(start, start + (size - 1) * stride + 1, stride))]
            for start in range(0, kernel * dilation, dilation)
        ]
        result = parts[0].copy()
        for part in parts[1:]:
            reduce(result, part, out=result)
        words = result
    return words


def _padded(words: Carried, pads: tuple[int, ...], beyond: int | float, dtype: np.dtype) -> Carried:
    """Words with ``beyond`` around their spatial axes, in the arithmetic asked for."""
    if not any(pads):
        return words.astype(dtype, copy=False)
    axes = len(pads) // 2
    front, behind = pads[:axes], pads[axes:]
    spatial = [f + length + b for f, length, b in zip(front, words.shape[1:-1], behind, strict=True)]
    padded = np.full((len(words), *spatial, words.shape[-1]), beyond, dtype)
    inner = tuple(slice(f, f + length) for f, length in zip(front, words.shape[1:-1], strict=True))
    padded[(slice(None), *inner)] = words
    return padded


def _plus(sums: Carried, bias: Carried | None) -> Carried:
    if bias is not None:
        sums += along_channels(bias, sums)
    return sums


def _pair(values: tuple[int, ...]) -> tuple[int, ...]:
    return values if len(values) == 2 else (1, *values)
