"""Whether an integer network that came out of a file is one: names, order, shapes, formats and ranges agree.

Executors, compiled kernels and generated C++ rely on all of it. A network that ``hls/lowering`` makes is held to the
same rules, so that no graph, however odd, gets past them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite, prod

import numpy as np

from hls.errors import InputError
from hls.formats import MAXIMUM_WIDTH_BITS, WordFormat
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.host import HostAffine, run_tail
from hls.nodes import (
    Concat,
    Lookup,
    MaxPool,
    Node,
    Pad,
    Quantize,
    Requantize,
    Reshape,
    Resize,
    Shift,
    Slice,
    Threshold,
    Transpose,
    accumulator_of,
    inputs_of,
    tensors_of,
)
from hls.shapes import output_shape, refusal
from hls.sizes import LONGEST_NAME, MOST_INPUT_WORDS, require_shape

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""What a name of a node, a value or one part of a tensor's name is: it may stand in C++, in a path, on a page."""

_LONGEST_NUMBER_BITS = 256
"""Of a multiplier, an offset or a shift: float32 scales need fewer."""
_LONGEST_SHIFT = 512


def require_sound(graph: IntegerGraph) -> None:
    """Refuse a network whose parts contradict each other.

    Raises:
        InputError: naming the part.
    """
    _require_names(graph)
    for name, tensor in graph.tensors.items():
        _require_tensor(name, tensor)
    require_shape(graph.values[graph.input].shape, "network input", MOST_INPUT_WORDS)
    _require_quantizer(graph, graph.nodes[0])
    for node in graph.nodes:
        _require_value(node, graph.values[node.output])
    for node in graph.nodes[1:]:
        inputs = [graph.values[name] for name in inputs_of(node)]
        shape = output_shape(node, [value.shape for value in inputs], graph.values[node.output].shape, graph.tensors)
        if shape != graph.values[node.output].shape:
            raise refusal(node, f"an output of shape {graph.values[node.output].shape}", f"shape {shape}")
        _require_format(graph, node, [_format(value) for value in inputs])
    _require_end(graph)


def is_name(text: str, parts: int = 1) -> bool:
    """Whether a text is a name: identifiers of ASCII letters, digits and underscores, joined by dots.

    Example:
        >>> is_name("fc1"), is_name("fc1.weight", parts=2), is_name('fc1"; #include'), is_name("é")
        (True, True, False, False)
    """
    pieces = text.split(".")
    return len(pieces) <= parts and len(text) <= LONGEST_NAME and all(IDENTIFIER.fullmatch(piece) for piece in pieces)


def _problem(found: str, allowed: str, where: str) -> InputError:
    return InputError(
        found=found[:300],
        allowed=allowed,
        where=where[:120],
        remedy="export the network again; edgeval writes no such file",
    )


def _require_names(graph: IntegerGraph) -> None:
    allowed = f"letters, digits and underscores, {LONGEST_NAME} characters at most"
    for name in (graph.input, *(text for node in graph.nodes for text in (node.name, node.output))):
        if not is_name(name):
            raise _problem(f"name {name!r}", allowed, "names of the network")
    for name in graph.tensors:
        if not is_name(name, parts=2):
            raise _problem(f"name {name!r}", f"{allowed}, and one dot", "stored tensors")
    _require_distinct([node.name for node in graph.nodes], "layers")
    _require_distinct([graph.input, *(node.output for node in graph.nodes)], "values")
    _require_order(graph)


def _require_distinct(names: list[str], what: str) -> None:
    if not names or len(set(names)) != len(names):
        raise _problem(f"{len(names)} names, {len(set(names))} distinct", "every name once", f"{what} of the network")


def _require_order(graph: IntegerGraph) -> None:
    known = {graph.input}
    for node in graph.nodes:
        reads = inputs_of(node)
        if not reads or not known.issuperset(reads) or (graph.input in reads) != (node is graph.nodes[0]):
            raise refusal(node, f"reads {', '.join(reads)}", "values of nodes in front of it, the input for the first")
        known.add(node.output)
    if set(graph.values) != known or graph.output not in known - {graph.input}:
        found = f"values {', '.join(sorted(set(graph.values) ^ known)) or graph.output}"
        raise _problem(found, "exactly the input and what the nodes make, one of these the output", "values")
    used = {name for node in graph.nodes for name in tensors_of(node)}
    if used != set(graph.tensors):
        found = f"stored tensors {', '.join(sorted(used ^ set(graph.tensors)))}"
        raise _problem(found, "exactly the stored tensors that the nodes name", "stored tensors")


def _require_tensor(name: str, tensor: StoredTensor) -> None:
    rank = tensor.words.ndim
    axis_fits = -rank <= tensor.channel_axis < rank
    channels = tensor.words.shape[tensor.channel_axis] if axis_fits else 0
    arrays = (tensor.scale, tensor.widen, tensor.zero_point)
    if not axis_fits or tensor.words.size == 0 or any(a.shape not in ((), (channels,)) for a in arrays):
        shapes = f"words {tensor.words.shape}, {', '.join(str(a.shape) for a in arrays)} a channel"
        raise _problem(shapes, "words, and one scale, widening and zero point, or one a channel", name)
    _require_scale(tensor.scale, name)
    reach = max(abs(tensor.format.minimum), tensor.format.maximum) + max(map(abs, tensor.zero_point.ravel().tolist()))
    bits = reach.bit_length() + int(tensor.widen.max())
    if tensor.widen.min() < 0 or bits > MAXIMUM_WIDTH_BITS:
        found = f"words widened by {tensor.widen.min()} to {tensor.widen.max()} bits"
        raise _problem(found, f"0 bits or more, {MAXIMUM_WIDTH_BITS} in all", name)


def _require_scale(scale: np.ndarray, where: str) -> None:
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise _problem(f"scale {np.ravel(scale)[:3].tolist()}", "finite scales above 0", where)


def _require_value(node: Node, value: Value) -> None:
    require_shape(value.shape, f"layer {node.name}")
    _require_scale(value.scale, f"layer {node.name}")
    if value.format is None or value.scale.shape not in ((), (value.shape[-1],)):
        raise refusal(node, f"scales of shape {value.scale.shape}", "a word format, and one scale, or one a channel")


def _format(value: Value) -> WordFormat:
    assert value.format is not None, "checked with the node that makes the value"
    return value.format


def _require_quantizer(graph: IntegerGraph, node: Node) -> None:
    if not isinstance(node, Quantize):
        raise refusal(node, "no quantizer", "a Quantize as the first node")
    shape, made = graph.values[graph.input].shape, graph.values[node.output]
    if prod(node.view) != prod(shape) or sorted(node.axes) != list(range(len(node.view))):
        raise refusal(node, f"view {node.view}, axes {node.axes} of {shape}", "all words, every axis once")
    require_shape(node.view, f"layer {node.name}")
    if made.shape != tuple(node.view[axis] for axis in node.axes) or made.format != node.format:
        raise refusal(node, f"words {made.shape}", "the view's axes permuted, in the quantizer's own format")
    if not (node.scale > 0 and node.factor and all(map(isfinite, (node.scale, node.factor, node.offset)))):
        found = f"scale {node.scale}, factor {node.factor}, offset {node.offset}"
        raise refusal(node, found, "finite numbers, a scale above 0, a factor other than 0")
    _require_range(node, node.low, node.high, node.format)
    _require_numbers(node, (node.zero_point,))


def _require_range(node: Node, low: int, high: int, word_format: WordFormat) -> None:
    if not word_format.minimum <= low <= high <= word_format.maximum:
        raise refusal(node, f"words from {low} to {high}", f"{word_format.minimum} to {word_format.maximum}")


def _require_numbers(node: Node, numbers: Iterable[int]) -> None:
    if any(abs(number).bit_length() > _LONGEST_NUMBER_BITS for number in numbers):
        raise refusal(node, "a number of more bits", f"numbers of at most {_LONGEST_NUMBER_BITS} bits")


def _require_format(graph: IntegerGraph, node: Node, inputs: list[WordFormat]) -> None:
    made = _format(graph.values[node.output])
    accumulator = accumulator_of(node)
    match node:
        case Shift() | Requantize() | Threshold() | Lookup():
            same = made == node.format
        case _ if accumulator is not None:
            same = made == accumulator
        case Reshape() | Transpose() | Slice() | MaxPool() | Resize() | Pad() | Concat():
            zero = 0 if isinstance(node, Pad) else made.minimum
            same = made.minimum <= zero and all(
                made.minimum <= word.minimum and word.maximum <= made.maximum for word in inputs
            )
        case _:
            same = False
    if not same:
        raise refusal(node, f"a result of {made.width_bits} bits, {made.encoding}", "the format that the node makes")
    _require_parameters(graph, node, inputs)


def _require_parameters(graph: IntegerGraph, node: Node, inputs: list[WordFormat]) -> None:
    match node:
        case Shift():
            _require_range(node, node.low, node.high, node.format)
            if abs(node.shift) > _LONGEST_SHIFT:
                raise refusal(node, f"a shift by {node.shift}", f"shifts of at most {_LONGEST_SHIFT} bits")
        case Requantize():
            _require_range(node, node.low, node.high, node.format)
            _require_numbers(node, (*node.multipliers, *node.offsets))
            if not all(0 <= shift <= _LONGEST_SHIFT for shift in node.shifts):
                raise refusal(
                    node, f"shifts by {min(node.shifts)} to {max(node.shifts)}", f"0 to {_LONGEST_SHIFT} bits"
                )
        case Threshold():
            reach = node.stride * graph.tensors[node.thresholds].words.shape[1]
            directions = node.directions if len(node.directions) == len(node.offsets) else (1,)
            ends = [(o, o + reach * d) for o, d in zip(node.offsets, directions, strict=True)]
            _require_range(node, min(map(min, ends)), max(map(max, ends)), node.format)
        case Lookup():
            entries = graph.tensors[node.table].words.shape[1]
            if not node.first <= inputs[0].minimum <= inputs[0].maximum < node.first + entries:
                raise refusal(node, f"a table of {entries} words from {node.first}", "one entry for every input word")
        case _:
            multipliers: tuple[int, ...] = getattr(node, "multipliers", ())
            _require_numbers(node, multipliers)


def _require_end(graph: IntegerGraph) -> None:
    shape = graph.values[graph.output].shape
    if graph.output_axes and sorted(graph.output_axes) != list(range(len(shape))):
        raise _problem(f"axes {graph.output_axes}", "every axis of the output once", "output of the network")
    for step in graph.tail:
        if isinstance(step, HostAffine):
            counts = {len(step.factors), len(step.offsets)}
            if not counts <= {1, shape[-1]}:
                raise _problem(f"{sorted(counts)} parameters", "one of each, or one a channel", "host's tail")
    try:
        with np.errstate(all="ignore"):
            values = run_tail(graph.tail, np.zeros((1, *shape)))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise _problem(f"{type(error).__name__}: {error}", "functions and parameters of hls/host.py", "tail") from error
    if values.shape != (1, *shape):
        raise _problem(f"shape {values.shape[1:]} behind it", f"shape {shape}", "host's tail")
