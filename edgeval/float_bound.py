"""Is a float32 execution what the integer network predicts, word by word, up to what float32 can know?

The witness's own words are fed to each integer node, so that every quantizer is judged by itself: a word that the
float execution gives otherwise is *explained* when the real value in front of that quantizer, plus or minus the bound
of its float32 error, reaches the other word. Anything else is unexplained: a wrong lowering. A float32 sum of n
products is off by at most (n + 3) · 2**-23 · Σ|terms|; where all scales are powers of two and no sum can reach 2**24
units it is not off at all, so nothing there needs or gets an explanation. Source: Higham, Accuracy and Stability of
Numerical Algorithms (2002), section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import msgspec
import numpy as np
from jaxtyping import Float, Float64

from edgeval.error_histogram import Tally, tally
from edgeval.witness import block_samples, execute_tensors
from hls.engine import arithmetic_of, evaluate
from hls.errors import ToolError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat, Words
from hls.graph import IntegerGraph, StoredTensor
from hls.lowering import Lowered
from hls.lowering.boundaries import Quantizer
from hls.lowering.chain import FLOAT32_ROUNDOFF, HostOnly, floats
from hls.lowering.chain import evaluate as evaluate_chain
from hls.lowering.symbols import QuantizerTrace
from hls.nodes import Add, Conv, MatMul, Node, Quantize, SumPool, inputs_of

_SCALE_SLACK = 2.0**-21
"""Relative slack for scales: Brevitas rounds products of scales to float32, and qonnx divides by them in float32."""
_FINEST = 2.0**-16
"""Part of a word in whose multiples errors are carried through a layer."""
_BLIND = 0.25
"""Error bound, in words, from which on a typical word could be explained whatever it is."""
_WIDE = WordFormat(width_bits=MAXIMUM_WIDTH_BITS, encoding="twos_complement", overflow="wrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessReport:
    """A float32 execution against the integer network.

    Attributes:
        outputs: What the float execution gave, float64, shape (samples, outputs).
        words: Words of quantized tensors that were compared; of those layers where float32 can tell words apart.
        explained: Of these, differing within the float error bound.
        unexplained: Differing beyond it, or output values beyond their bound.
        first: The first unexplained one, in words for people; ``None`` for none.
        skipped: Why a layer (or all) was not compared: its float32 error spans whole words; ``None`` where all were.
        errors: By quantized value, the execution's words minus the network's own, which have no share in its errors:
            what float32 makes of everything up to there, explained or not.
    """

    outputs: Float64[np.ndarray, "samples outputs"]
    words: int
    explained: int
    unexplained: int
    first: str | None = None
    skipped: str | None = None
    errors: Mapping[str, Tally] = field(default_factory=dict)


def explain(lowered: Lowered, inputs: np.ndarray) -> WitnessReport:
    """Execute the QONNX model in float32 and compare every quantized word with the integer network.

    Args:
        lowered: The network, with the model and the traces of its lowering.
        inputs: Real inputs, samples first.

    Raises:
        ToolError: qonnx cannot execute the graph.
    """
    block = block_samples(lowered.model, inputs)
    parts = [_Block(lowered, inputs[i : i + block], i).report() for i in range(0, len(inputs), block)]
    return WitnessReport(
        outputs=np.concatenate([part.outputs for part in parts]),
        words=sum(part.words for part in parts),
        explained=sum(part.explained for part in parts),
        unexplained=sum(part.unexplained for part in parts),
        first=next((part.first for part in parts if part.first), None),
        skipped=next((part.skipped for part in parts if part.skipped), None),
        errors={value: reduce(Tally.plus, [part.errors[value] for part in parts]) for value in parts[0].errors},
    )


class _Block:
    """One block of samples; mutable while it is worked on."""

    def __init__(self, lowered: Lowered, inputs: np.ndarray, start: int) -> None:
        self.graph = lowered.graph
        self.lowered = lowered
        self.inputs = inputs
        self.start = start
        self.traces = {trace.node: trace for trace in lowered.traces}
        self.words: dict[str, Words] = {}
        self.own: dict[str, Words] = {}  # what the network makes of the inputs; the same arrays until words differ
        self.errors: dict[str, Tally] = {}
        self.compared = self.explained = self.unexplained = 0
        self.first: str | None = None
        self.skipped: str | None = None

    def report(self) -> WitnessReport:
        tensors = execute_tensors(self.lowered.model, self.inputs)
        for node in self.graph.nodes:
            self._node(node, tensors)
        outputs = np.asarray(tensors[self.lowered.model.graph.output[0].name], np.float64)
        self._outputs(outputs)
        return WitnessReport(
            outputs=outputs.reshape(len(self.inputs), -1),
            words=self.compared,
            explained=self.explained,
            unexplained=self.unexplained,
            first=self.first,
            skipped=self.skipped,
            errors=self.errors,
        )

    def _node(self, node: Node, tensors: Mapping[str, np.ndarray]) -> None:
        if isinstance(node, Quantize):
            expected = self.graph.quantize_inputs(self.inputs)
        else:
            expected = evaluate(self.graph, node, tuple(self.words[name] for name in inputs_of(node)))
        self.own[node.output] = own = self._own(node, expected)
        trace = self.traces.get(node.name)
        if trace is None:
            self.words[node.output] = expected
            return
        observed = self._observed(trace, tensors[trace.tensor])
        self.words[node.output] = own if np.array_equal(observed, own) else observed
        self.errors[node.output] = tally(observed - own)
        value, error = self._in_front(node, trace)
        if self._is_blind(node, trace.quantizer, value, error):
            return
        self.compared += expected.size
        differs = expected != observed
        if differs.any():
            quantizer, value, error = trace.quantizer, value[differs], error[differs]
            low, high = quantizer.words_of(value - error), quantizer.words_of(value + error)
            reached = (low <= observed[differs]) & (observed[differs] <= high)
            self.explained += int(reached.sum())
            if not reached.all():
                index = tuple(int(i) for i in np.argwhere(differs)[np.flatnonzero(~reached)[0]])
                place = [index[0] + self.start, *index[1:]]
                words = f"float32 gives word {observed[index]}, the network {expected[index]}"
                self._unexplained(int((~reached).sum()), f"{node.output}{place}: {words}")

    def _own(self, node: Node, expected: Words) -> Words:
        """The network's own words, where the float execution's had no share in what came in."""
        if isinstance(node, Quantize) or all(self.words[name] is self.own[name] for name in inputs_of(node)):
            return expected
        return evaluate(self.graph, node, tuple(self.own[name] for name in inputs_of(node)))

    def _observed(self, trace: QuantizerTrace, tensor: np.ndarray) -> Words:
        """The witness's words of a quantized tensor, laid out as the network's value."""
        axes = [trace.order.index(axis) + 1 for axis in range(len(trace.order))]
        quotient = np.asarray(tensor, np.float64).transpose(0, *axes) / floats(trace.unit)
        words = np.rint(quotient)
        if np.abs(quotient - words).max(initial=0.0) > _BLIND:
            raise ToolError(
                found=f"values of {trace.tensor} that are no multiples of the scale",
                allowed="whole multiples of the quantizer's scale",
                where="QONNX witness",
                remedy="please report this graph with its inputs",
            )
        return np.asarray(words, np.int64)

    def _in_front(self, node: Node, trace: QuantizerTrace) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Real value in front of a quantizer, and how far float32 may be from it."""
        if isinstance(node, Quantize):
            real = np.asarray(self.inputs, np.float64).reshape(len(self.inputs), *node.view)
            real = real.transpose(0, *(axis + 1 for axis in node.axes))
            value = real * node.factor + node.offset
            plain = node.factor == 1 and node.offset == 0
            error = 0.0 if plain else FLOAT32_ROUNDOFF * (np.abs(real * node.factor) + abs(node.offset))
        else:
            name = inputs_of(node)[0]
            real = self.words[name] * floats(trace.scale)
            value, error = evaluate_chain(trace.chain, real, self._bound(name), FLOAT32_ROUNDOFF)
        exact_division = _power_of_two(float(trace.quantizer.scale))
        slack = 0.0 if exact_division else _SCALE_SLACK * np.abs(value)
        return value, np.broadcast_to(error + slack, value.shape)

    def _is_blind(
        self, node: Node, quantizer: Quantizer, value: Float[np.ndarray, "..."], error: Float[np.ndarray, "..."]
    ) -> bool:
        """Whether the witness's own error spans whole words here, so that it could explain anything."""
        if quantizer.bipolar:
            return False
        quotient = value / float(quantizer.scale)
        inside = (quotient > quantizer.low - 1) & (quotient < quantizer.high + 1)
        if inside.any() and float(np.median(error[inside])) / float(quantizer.scale) > _BLIND:
            reason = (
                f"float32 is off by more than {_BLIND} words in front of {node.name}: the sums are too large for it"
            )
            self.skipped = self.skipped or reason
            return True
        return False

    def _bound(self, name: str) -> Float[np.ndarray, "..."]:
        """Bound of the float32 error of a value, in real units, before any pending arithmetic."""
        node = self.graph.producer_of(name)
        scale = np.abs(self.graph.values[name].scale)
        words = self.words[name]
        slack = 0.0 if _powers_of_two(self.graph, name) else _SCALE_SLACK
        if self._is_quantized(name):
            return np.asarray(np.abs(words) * scale * slack)
        if isinstance(node, MatMul | Conv):
            exact = _powers_of_two(self.graph, name) and _powers_of_two(self.graph, node.input)
            inherited = self._bound(node.input)
            allowance = float(self.lowered.allowances.get(name, 0))
            if exact and arithmetic_of(self.graph, node) == "float32" and not np.any(inherited):
                return np.full(words.shape, allowance)
            magnitude, terms = _magnitude(self.graph, node, np.abs(self.words[node.input]))
            own = magnitude * scale * ((terms + 3) * FLOAT32_ROUNDOFF + _SCALE_SLACK) + allowance
            if self._is_quantized(node.input) or not np.any(inherited):
                return np.asarray(own)  # the input's own error is that of its scale
            # A sum that no quantizer has rounded comes with the error of its terms, however small it is itself.
            finest = float(np.min(np.abs(self.graph.values[node.input].scale))) * _FINEST
            steps = np.ceil(np.broadcast_to(inherited, self.words[node.input].shape) / finest)
            carried, _ = _magnitude(self.graph, node, steps.astype(np.int64), bias=False)
            return np.asarray(own + carried * scale * _FINEST * (1 + _FINEST))
        before = [float(np.max(self._bound(item), initial=0.0)) for item in inputs_of(node)]
        if isinstance(node, Add):
            magnitude = sum(
                np.abs(self.words[item]).max(initial=0) * abs(m)
                for item, m in zip(node.inputs, node.multipliers, strict=True)
            )
            rounding = 0.0 if slack == 0.0 and magnitude < 1 << 24 else _SCALE_SLACK
            return np.asarray(np.full(words.shape, sum(before)) + np.abs(words) * scale * rounding)
        if isinstance(node, SumPool):
            count = float(np.prod(node.kernel))
            # An average: the sum's own rounding, and that of the division by the count.
            spread = np.abs(self.words[node.input]).max(initial=0) * float(np.max(scale)) * count
            exact = slack == 0.0 and spread / float(np.max(scale)) < 1 << 24
            return np.full(words.shape, max(before) + (0.0 if exact else spread * (count + 3) * FLOAT32_ROUNDOFF))
        allowance = float(self.lowered.allowances.get(name, 0))
        return np.asarray(np.full(words.shape, max(before) + allowance) + np.abs(words) * scale * slack)

    def _is_quantized(self, name: str) -> bool:
        node = self.graph.producer_of(name)
        return node.name in self.traces or isinstance(node, Quantize)

    def _outputs(self, observed: np.ndarray) -> None:
        """The final values against their own float32 bound."""
        name = self.graph.output
        real = self.words[name] * floats(self.lowered.output.scale)
        chain = self.lowered.output.chain
        last = next((i for i, step in enumerate(chain) if isinstance(step, HostOnly)), len(chain))
        _, error = evaluate_chain(chain[:last], real, self._bound(name), FLOAT32_ROUNDOFF)
        expected = self.graph.output_values(self.words[name])
        error = np.broadcast_to(error, real.shape)
        if self.graph.output_axes:
            error = error.transpose(0, *(axis + 1 for axis in self.graph.output_axes))
        if last < len(chain):  # a softmax: a relative error of twice the logits', and what exp and sums add
            error = np.abs(expected) * np.expm1(2 * error.max(axis=-1, keepdims=True)) + 2.0**-18
        # The result itself is a float32.
        beyond = np.abs(expected - observed.reshape(expected.shape)) > error + FLOAT32_ROUNDOFF * np.abs(expected)
        if beyond.any():
            index = tuple(int(i) for i in np.argwhere(beyond)[0])
            place = [index[0] + self.start, *index[1:]]
            values = f"{observed.reshape(expected.shape)[index]:.9g}, the network {expected[index]:.9g}"
            self._unexplained(int(beyond.sum()), f"output{place}: float32 gives {values}")

    def _unexplained(self, count: int, text: str) -> None:
        self.unexplained += count
        self.first = self.first or text


def _magnitude(
    graph: IntegerGraph, node: MatMul | Conv, inputs: Words, *, bias: bool = True
) -> tuple[Float[np.ndarray, "..."], int]:
    """Σ input × |weight| + |bias| of a layer, and the number of terms of a sum."""
    weight = _absolute(graph.tensors[node.weight])
    tensors = {weight.name: weight}
    if not bias:
        node = msgspec.structs.replace(node, bias=None)
    if node.bias is not None:
        tensors[node.bias] = _absolute(graph.tensors[node.bias])
    plain = msgspec.structs.replace(node, accumulator=_WIDE)
    absolute = replace(graph, nodes=(graph.nodes[0], plain), tensors=tensors)
    outputs = weight.words.shape[weight.channel_axis]
    sums = evaluate(absolute, plain, (inputs,))
    return sums.astype(np.float64), weight.words.size // outputs + 1


def _absolute(tensor: StoredTensor) -> StoredTensor:
    words = np.abs(tensor.executor_words())
    width = max(int(words.max(initial=1)).bit_length(), 1)
    return replace(
        tensor, words=words, format=WordFormat(width_bits=width, encoding="unsigned"), widen=np.asarray(0),
        zero_point=np.asarray(0),
    )  # fmt: skip


def _powers_of_two(graph: IntegerGraph, value: str) -> bool:
    """Whether float32 holds every scale of a value, and every product with it, exactly."""
    mantissas, _ = np.frexp(graph.values[value].scale)
    return bool(np.all(mantissas == 0.5))


def _power_of_two(scale: float) -> bool:
    return bool(np.frexp(scale)[0] == 0.5)
