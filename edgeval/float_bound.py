"""Is a float32 result what the integer network predicts, up to what float32 can know?

A float32 sum of n products is off by at most (n + 3) · 2**-24 · Σ|terms|; where all scales are powers of two and no sum
can reach 2**24 units it is not off at all, so nothing there needs or gets an explanation. A sample of the float witness
that departs from the exact engine by more than that bound is *explained* when some pre-activation of it lies within its
bound of a rounding boundary: there float32 may round the other way. Anything else is unexplained: a wrong lowering.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from hls.engine import ExactEngine, arithmetic_of
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.nodes import MatMul, Requantize, Shift

_UNIT_ROUNDOFF = 2.0**-24
_SCALE_SLACK = 2.0**-21
"""Relative slack for scales: Brevitas rounds products of scales to float32, and qonnx divides by them in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How many samples of a float witness depart from the exact engine.

    Attributes:
        explained: Beyond the bound, with a pre-activation at a rounding boundary.
        unexplained: Beyond the bound without one.
    """

    explained: int
    unexplained: int


def explain(graph: IntegerGraph, inputs: Words, witness: Float64[np.ndarray, "samples outputs"]) -> Explanation:
    """Compare a float32 execution with the exact engine, up to what float32 can know.

    Args:
        graph: The network.
        inputs: Input words, samples first.
        witness: Float outputs, shape (samples, outputs).
    """
    taps = [node.output for node in graph.compute_nodes]
    execution = ExactEngine(graph).run(inputs, taps)
    words = {graph.quantizer.output: inputs, **execution.taps}
    exact = graph.output_values(execution.output)
    bounds = _bounds(graph, words)
    beyond = (np.abs(exact - witness) > bounds[graph.output]).any(axis=1)
    near = np.zeros(len(inputs), bool)
    for node in graph.compute_nodes:
        if isinstance(node, Shift | Requantize):
            near |= _near_boundary(graph, node, words[node.input], bounds[node.input])
    return Explanation(explained=int((beyond & near).sum()), unexplained=int((beyond & ~near).sum()))


def _bounds(graph: IntegerGraph, words: dict[str, Words]) -> dict[str, np.ndarray]:
    """Float32 error bound of every value, in real units, shape of the value (or broadcastable)."""
    bounds: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        if isinstance(node, MatMul):
            bounds[node.output] = _sum_bound(graph, node, words[node.input])
        elif _powers_of_two(graph, node.output):
            bounds[node.output] = np.zeros(words[node.output].shape)
        else:
            # Quantized words are exact in float32 up to the rounding of their scale.
            bounds[node.output] = np.abs(words[node.output]) * graph.values[node.output].scale * _SCALE_SLACK
    return bounds


def _sum_bound(graph: IntegerGraph, node: MatMul, inputs: Words) -> np.ndarray:
    weight = graph.tensors[node.weight].executor_words()
    exact_scales = _powers_of_two(graph, node.input) and _powers_of_two(graph, node.output)
    if exact_scales and arithmetic_of(graph, node) == "float32":
        return np.zeros((len(inputs), weight.shape[1]))
    magnitude = np.abs(inputs).astype(np.float64) @ np.abs(weight).astype(np.float64)
    if node.bias is not None:
        magnitude += np.abs(graph.tensors[node.bias].executor_words())
    relative = (weight.shape[0] + 3) * _UNIT_ROUNDOFF + _SCALE_SLACK
    return np.asarray(magnitude * relative * graph.values[node.output].scale)


def _powers_of_two(graph: IntegerGraph, value: str) -> bool:
    """Whether float32 holds every scale of a value, and every product with it, exactly."""
    mantissas, _ = np.frexp(graph.values[value].scale)
    return bool(np.all(mantissas == 0.5))


def _near_boundary(
    graph: IntegerGraph, node: Shift | Requantize, inputs: Words, bound: np.ndarray
) -> Bool[np.ndarray, " samples"]:
    """Samples with a pre-activation within its bound of a place where the output word changes."""
    scale = float(graph.values[node.output].scale)
    position = inputs * graph.values[node.input].scale / scale
    offset = 0.0 if isinstance(node, Shift) and node.rounding == "floor" else 0.5
    distance = np.abs(position - offset - np.rint(position - offset))
    reach = bound / scale
    inside = (position > node.low - 1 - reach) & (position < node.high + 1 + reach)
    # Without any float error (reach 0) a tie is a tie for both, and both round it to even.
    return np.asarray((inside & (reach > 0) & (distance <= reach)).reshape(len(inputs), -1).any(axis=1))
