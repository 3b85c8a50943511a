"""Steps that take one word at a time: shifts, requantizers, thresholds, tables.

Words come in arrays of any arithmetic (``hls/kernels.py``). In float32 and float64 a product with a power of two and a
rounding to the even neighbour are exact as well, so words that come out of BLAS need not become int64 first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hls.formats import Words
from hls.kernels import Carried, Kernel, along_channels
from hls.nodes import Requantize, Shift, Threshold
from hls.rounding import shift_right

_TABLE_ENTRIES = 1 << 20
"""Most entries of a table that is made of thresholds."""

_FEW_STEPS = 32
"""Thresholds up to which comparing with each one is faster than searching among them."""

_CARRIED = 1 << 62
"""Products from here on are computed in Python integers; every word's format ends below."""

_FLOAT_SHIFT = 100
"""Largest shift made in float arithmetic: 2**-100 is far from where float32 loses bits."""


def shifted(node: Shift, words: Carried, dtype: np.dtype) -> Carried:
    """round(word / 2**shift), before it is clipped; a new array."""
    if dtype.kind != "f" or abs(node.shift) > _FLOAT_SHIFT:
        return shift_right(words.astype(np.int64, copy=False), node.shift, node.rounding)
    result = words.astype(dtype, copy=False) * dtype.type(2.0**-node.shift)
    return np.asarray((np.rint if node.rounding == "half_even" else np.floor)(result, out=result))


def scaled(node: Requantize, words: Carried, dtype: np.dtype) -> Carried:
    """round((word × multiplier + offset) / 2**shift), before it is clipped; a new array."""
    if dtype.kind != "f" or max(node.shifts) > _FLOAT_SHIFT:
        return _scaled_int64(node, words.astype(np.int64, copy=False))
    result = words.astype(dtype, copy=False) * _parameter(node.multipliers, words, dtype)
    if any(node.offsets):
        result += _parameter(node.offsets, words, dtype)
    result *= _parameter([2.0**-shift for shift in node.shifts], words, dtype)
    return np.asarray(np.rint(result, out=result))


def clipped(words: Carried, low: int, high: int) -> Carried:
    """Words moved into a range, in place."""
    return np.asarray(np.clip(words, low, high, out=words))


def threshold(node: Threshold, thresholds: Words, inputs: tuple[int, int], arithmetics: Sequence[np.dtype]) -> Kernel:
    """Word = offset + stride × direction × count(thresholds ≤ word); the order of thresholds is free.

    Args:
        node: The step function.
        thresholds: Executor words, [1 or channels, steps].
        inputs: Smallest and largest input word.
        arithmetics: That holds every input word, and that holds every output word.
    """
    ordered = np.sort(thresholds, axis=-1)
    carried_in, carried_out = arithmetics
    offsets = np.asarray(node.offsets, np.int64)
    steps = node.stride * np.asarray(node.directions, np.int64)
    entries = inputs[1] - inputs[0] + 1
    rows = max(len(ordered), len(offsets))
    if entries * rows <= _TABLE_ENTRIES:
        table = offsets[:, None] + steps[:, None] * _counts(ordered, inputs[0], entries)
        return lookup(table, inputs[0], carried_out)

    def run(values: Sequence[Carried]) -> Carried:
        (words,) = values
        words = words.astype(carried_in, copy=False)
        count = _compared(words, ordered) if ordered.shape[1] <= _FEW_STEPS else _searched(words, ordered)
        result = count.astype(carried_out) * _parameter(steps.tolist(), words, carried_out)
        result += _parameter(offsets.tolist(), words, carried_out)
        return np.asarray(result)

    return run


def lookup(table: Words, first: int, dtype: np.dtype) -> Kernel:
    """Word = table[c, word - first], of shape [1 or channels, entries]."""
    flat = table.astype(dtype).reshape(-1)
    rows, entries = table.shape

    def run(inputs: Sequence[Carried]) -> Carried:
        (words,) = inputs
        index = words.astype(np.intp)
        index += -first if rows == 1 else along_channels(np.arange(rows) * entries - first, words)
        return flat.take(index)

    return run


def _counts(ordered: Words, first: int, entries: int) -> Words:
    """count(thresholds ≤ word) for every word from ``first`` on, [rows, entries]."""
    rows = len(ordered)
    starts = np.clip(ordered - first, 0, entries) + np.arange(rows)[:, None] * (entries + 1)
    begun = np.bincount(starts.reshape(-1), minlength=rows * (entries + 1)).reshape(rows, entries + 1)
    return np.asarray(begun.cumsum(axis=1)[:, :entries])


def _compared(words: Carried, ordered: Words) -> np.ndarray:
    count = np.zeros(words.shape, np.uint8)
    for step in range(ordered.shape[1]):
        # A threshold beyond what a float holds exactly is rounded to one that is still beyond every word.
        reached = words >= along_channels(ordered[:, step].astype(words.dtype), words)
        count += reached.view(np.uint8)
    return count


def _searched(words: Carried, ordered: Words) -> np.ndarray:
    rows = ordered.astype(words.dtype)
    if len(rows) == 1:
        return np.asarray(np.searchsorted(rows[0], words, side="right"))
    count = np.empty(words.shape, np.int64)
    for channel, thresholds in enumerate(rows):
        count[..., channel] = np.searchsorted(thresholds, words[..., channel], side="right")
    return count


def _parameter(values: Sequence[int] | Sequence[float], words: Carried, dtype: np.dtype) -> np.ndarray:
    array = np.asarray(values).astype(dtype)
    return np.asarray(array[0]) if len(array) == 1 else along_channels(array, words)


def _scaled_int64(node: Requantize, words: Words) -> Words:
    largest = max(abs(int(words.max(initial=0))), abs(int(words.min(initial=0))))
    if largest * max(map(abs, node.multipliers)) + max(map(abs, node.offsets)) >= _CARRIED:
        return _scaled_python(node, words)
    products = words * np.asarray(node.multipliers, np.int64) + np.asarray(node.offsets, np.int64)
    shifts = sorted(set(node.shifts))
    if len(shifts) == 1:
        return shift_right(products, shifts[0], "half_even")
    result = np.empty_like(products)
    for shift in shifts:
        channels = np.asarray(node.shifts) == shift
        result[..., channels] = shift_right(products[..., channels], shift, "half_even")
    return result


def _scaled_python(node: Requantize, words: Words) -> Words:
    """In Python integers, which a faulty multiplier of a wide network needs; clipped to what int64 holds with room."""
    shifts = np.array(node.shifts, object)
    products = words.astype(object) * np.array(node.multipliers, object) + np.array(node.offsets, object)
    floor = products >> shifts
    twice = (products - (floor << shifts)) * 2
    unit = np.array([1 << shift for shift in node.shifts], object)
    up = (twice > unit) | ((twice == unit) & (floor % 2 == 1))
    return np.asarray(np.clip(floor + up, -_CARRIED, _CARRIED).astype(np.int64))
