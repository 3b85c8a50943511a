"""Static audit of a native project: do its weight files hold the network's weights? Nothing is compiled or run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeval.diagnosis.stages import layer_node, real_weights
from edgeval.native import NativeCase
from edgeval.native_alignment import NativeAlignment
from hls.nodes import MatMul


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignWeights:
    """A weight array of a project that is not the network's.

    Attributes:
        file: In the project.
        wrong, size: Weights that differ, of how many.
        index: Position of the first in the array.
    """

    alignment: NativeAlignment
    value: str
    file: str
    wrong: int
    size: int
    index: int
    found: float
    expected: float

    def __str__(self) -> str:
        return (
            f"{self.wrong:,} of {self.size:,} weights in {self.file} (layer {self.value}) differ from the network's, "
            f"first number {self.index}: {self.found:g} instead of {self.expected:g}"
        )


def foreign_weights(case: NativeCase) -> Iterator[ForeignWeights]:
    """Weight arrays that are the network's in no form hls4ml writes.

    Real values or words, in either order of a matrix; one-bit weights as 0 and 1.
    """
    for item in case.aligned:
        found = layer_node(case, item) if item.layer.arrays else None
        if found is None:
            continue
        node, layer = found
        array = item.layer.arrays[0]
        written = case.project.weights(array)
        kind = case.project.types.get(case.project.arrays.get(array, ("", 0))[0])
        if kind is not None and kind.width_bits == 1:
            written = 2 * written - 1
        tensor = case.lowered.graph.tensors[layer.weight]
        real = real_weights(case, node, layer)
        forms = [
            form
            for values in (real, tensor.executor_words().astype(np.float64), tensor.words.astype(np.float64))
            for form in _orders(values, matrix=isinstance(layer, MatMul))
        ]
        if written.size != real.size or any(np.array_equal(written, form) for form in forms):
            continue
        typed = [kind.assigned(form) for form in forms] if kind is not None and kind.width_bits > 1 else []
        if any(np.array_equal(written, form) for form in typed):
            continue  # rounded to a type: that is another cause, which has to be shown to matter
        best = min(forms, key=lambda form: int((form != written).sum()))
        wrong = np.flatnonzero(best != written)
        yield ForeignWeights(
            alignment=item, value=case.name_of(layer.output), file=f"firmware/weights/{array}.txt",
            wrong=int(wrong.size), size=int(written.size), index=int(wrong[0]), found=float(written[wrong[0]]),
            expected=float(best[wrong[0]]),
        )  # fmt: skip


def _orders(values: np.ndarray, *, matrix: bool) -> list[np.ndarray]:
    """Flat arrays in the orders in which hls4ml stores weights."""
    if matrix:  # [in, out]
        return [values.ravel(), values.T.ravel()]
    kernel = tuple(range(2, values.ndim))  # [out, in, kernel...]
    orders = ((*kernel, 1, 0), (0, *kernel, 1), (*kernel, 0, 1))
    return [values.transpose(order).ravel() for order in orders]
