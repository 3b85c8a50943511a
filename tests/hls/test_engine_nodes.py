"""Every kind of node on hand-built networks, against naive integer arithmetic."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import BIPOLAR, Net, random_words, signed, unsigned
from support.reference import naive_words

import hls.engine
import hls.kernels
from hls.engine import ExactEngine, arithmetic_of, evaluate, sum_interval, sums
from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.nodes import NODE_KINDS, accumulator_of, inputs_of

FORMATS = st.sampled_from([unsigned(4), signed(3), signed(9), unsigned(1), BIPOLAR])
WIDE = WordFormat(width_bits=16, encoding="twos_complement", overflow="wrap")


def require_naive(net: Net, samples: int = 3) -> IntegerGraph:
    """Every value of a network is what naive arithmetic gives, whatever the block of samples."""
    graph, words = net.graph(), net.words(samples)
    taps = [node.output for node in graph.compute_nodes]
    execution, expected = ExactEngine(graph).run(words, taps), naive_words(graph, words)
    for tap in taps:
        assert execution.taps[tap].shape == (samples, *graph.values[tap].shape)
        assert np.array_equal(execution.taps[tap], expected[tap]), tap
    assert np.array_equal(execution.output, expected[graph.output])
    return graph


@st.composite
def windows(draw: st.DrawFn, axes: int) -> dict[str, tuple[int, ...]]:
    """Kernel, strides, dilations and pads, and an image that holds a window."""

    def each(low: int, high: int, count: int = axes) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(count))

    kernel, strides, dilations = each(1, 3), each(1, 3), each(1, 2)
    pads = tuple(draw(st.integers(0, kernel[axis % axes] - 1)) for axis in range(2 * axes))
    shape = tuple(
        dilation * (taps - 1) + 1 + extra for taps, dilation, extra in zip(kernel, dilations, each(0, 4), strict=True)
    )
    return {"kernel": kernel, "strides": strides, "dilations": dilations, "pads": pads, "shape": shape}


AXES = st.sampled_from([1, 2])
GROUPS = st.sampled_from([(1, 1), (1, 3), (2, 1), (3, 2), (5, 1)])  # groups, inputs a group


@given(st.data(), AXES.flatmap(windows), GROUPS, FORMATS, FORMATS)
@settings(deadline=None, max_examples=60)
def test_a_convolution_of_any_window(
    data: st.DataObject, window: dict[str, tuple[int, ...]], groups: tuple[int, int], inputs: object, weights: object
) -> None:
    count, width = groups
    outputs = count * data.draw(st.integers(1, 3))
    bias = data.draw(st.sampled_from([None, signed(10)]))
    net = Net((*window.pop("shape"), count * width), inputs, seed=data.draw(st.integers(0, 99)))
    more = {}
    if weights is not BIPOLAR and data.draw(st.booleans()):
        more["widen"] = [data.draw(st.integers(0, 3)) for _ in range(outputs)]
        more["zero_point"] = [data.draw(st.integers(-3, 3)) for _ in range(outputs)]
    net.conv("q", outputs, window.pop("kernel"), weights, bias, groups=count, **window, **more)
    require_naive(net)


@pytest.mark.parametrize("words", [1, 40, 10**6])
@pytest.mark.parametrize(("inputs", "groups"), [(1, 1), (4, 1), (6, 2)])
def test_a_convolution_gathered_in_pieces_of_any_size(
    monkeypatch: pytest.MonkeyPatch, words: int, inputs: int, groups: int
) -> None:
    monkeypatch.setattr(hls.kernels, "COLUMN_WORDS", words)
    net = Net((7, 6, inputs), signed(4))
    net.conv("q", 4, (3, 3), pads=(1, 1, 1, 1), strides=(2, 1), groups=groups)
    require_naive(net, samples=5)


@pytest.mark.parametrize("products", [1, 64, 500])
def test_a_product_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch, products: int) -> None:
    monkeypatch.setattr(hls.kernels, "_ALONE", products)
    monkeypatch.setattr(hls.kernels, "_FEWEST_ROWS", 2)
    net = Net((5, 5, 2), signed(4))
    value = net.conv("q", 3, (2, 2))
    net.matmul(net.shift(value, 3), 2)
    require_naive(net, samples=7)


@given(st.data(), FORMATS, FORMATS, st.integers(0, 2))
@settings(deadline=None, max_examples=40)
def test_a_matrix_product_over_the_last_axis(data: st.DataObject, inputs: object, weights: object, axes: int) -> None:
    outputs = data.draw(st.integers(1, 4))
    net = Net((*(2, 3)[:axes], data.draw(st.integers(1, 5))), inputs, seed=data.draw(st.integers(0, 99)))
    more = {}
    if weights is not BIPOLAR and data.draw(st.booleans()):
        more = {"widen": data.draw(st.integers(0, 3)), "zero_point": data.draw(st.integers(-3, 3))}
    net.matmul("q", outputs, weights, data.draw(st.sampled_from([None, signed(8)])), **more)
    require_naive(net)


@given(st.integers(2, 9), st.sampled_from(["wrap", "saturate"]), st.sampled_from(["twos_complement", "unsigned"]))
@settings(deadline=None, max_examples=30)
def test_narrow_accumulators_wrap_or_saturate(width_bits: int, overflow: str, encoding: str) -> None:
    narrow = WordFormat(width_bits=width_bits, encoding=encoding, overflow=overflow)
    net = Net((4, 4, 2), signed(4))
    convolved = net.conv("q", 2, (2, 2), bias=signed(6), accumulator=narrow)
    pooled = net.sum_pool("q", (2, 2), strides=(1, 1), accumulator=narrow)
    added = net.add([convolved, pooled], [3, -2], accumulator=narrow)
    net.matmul(added, 2, accumulator=narrow)
    graph = require_naive(net)
    assert not sum_interval(graph, graph.nodes[-1]).within(narrow)


def test_sums_are_those_before_the_accumulator() -> None:
    narrow = WordFormat(width_bits=3, encoding="twos_complement", overflow="saturate")
    net = Net((2,), unsigned(4))
    net.add(["q", "q"], [1, -4], accumulator=narrow)
    graph, words = net.graph(), np.array([[1, 15]])
    (node,) = graph.compute_nodes
    assert sums(graph, node, (words, words)).tolist() == [[-3, -45]]
    assert evaluate(graph, node, (words, words)).tolist() == [[-3, -4]]


@given(AXES.flatmap(windows), FORMATS, st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_pools_of_any_window(window: dict[str, tuple[int, ...]], word_format: object, channels: int) -> None:
    shape = (*window.pop("shape"), channels)
    net = Net(shape, word_format)
    kernel = window.pop("kernel")
    net.max_pool("q", kernel, **window)
    window.pop("dilations")
    net.sum_pool("q", kernel, **window)
    require_naive(net)


def test_a_maximum_of_negative_words_is_not_zero_at_the_edge() -> None:
    net = Net((2, 2, 1), signed(4))
    net.max_pool("q", (2, 2), pads=(1, 1, 1, 1))
    words = np.full((1, 2, 2, 1), -3)
    assert (ExactEngine(net.graph()).run(words).output == -3).all()


@given(st.integers(-3, 9), st.sampled_from(["half_even", "floor"]), FORMATS)
@settings(deadline=None, max_examples=40)
def test_shifts(shift: int, rounding: str, word_format: object) -> None:
    net = Net((50,), word_format)
    net.shift("q", shift, signed(4), rounding, low=-5, high=6)
    require_naive(net)


@pytest.mark.parametrize("rounding", ["half_even", "floor"])
@pytest.mark.parametrize("shift", [20, 63, 64, 130])
@pytest.mark.parametrize("width_bits", [8, 40, 60])
def test_long_shifts(width_bits: int, shift: int, rounding: str) -> None:
    net = Net((40,), signed(width_bits))
    net.shift("q", shift, signed(50), rounding)
    require_naive(net)


@given(st.data(), st.sampled_from([4, 14, 30]), st.sampled_from([3, 18, 25]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_requantizers_of_either_sign(data: st.DataObject, width: int, bits: int, per_channel: bool) -> None:
    count = 3 if per_channel else 1
    limit = 2**bits

    def each(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(count)]

    net = Net((4, 3), signed(width), seed=data.draw(st.integers(0, 99)))
    net.requantize("q", each(-limit, limit), each(-limit, limit), each(0, bits + width), signed(8))
    require_naive(net)


@given(st.data(), st.sampled_from([4, 12, 20, 30]), st.integers(1, 40), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_thresholds_in_any_order(data: st.DataObject, width: int, steps: int, rows: bool, channels: bool) -> None:
    inputs, rng = signed(width), np.random.default_rng(data.draw(st.integers(0, 99)))
    net = Net((5, 3), inputs)
    count = 3 if channels else 1
    thresholds = random_words(rng, inputs, (3 if rows else 1, steps))
    offsets = [data.draw(st.integers(-5, 5)) for _ in range(count)]
    directions = [data.draw(st.sampled_from([-1, 1])) for _ in range(count)]
    net.threshold("q", thresholds, inputs, offsets, directions, signed(8), stride=data.draw(st.sampled_from([1, 2])))
    require_naive(net, samples=5)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_threshold_is_reached_by_the_word_itself(rows: int) -> None:
    for inputs in (signed(6), signed(40)):
        net = Net((3,), inputs)
        net.threshold("q", np.full((rows, 1), 5), inputs, [-1], [1], BIPOLAR, stride=2)
        assert ExactEngine(net.graph()).run(np.array([[4, 5, 6]])).output.tolist() == [[-1, 1, 1]]


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("inputs", [signed(5), unsigned(4), BIPOLAR], ids=str)
def test_tables(inputs: object, rows: int) -> None:
    net = Net((4, 2), inputs)
    value = net.lookup("q", signed(30), rows)
    net.lookup(net.shift(value, 26), BIPOLAR, rows)
    require_naive(net, samples=10)


@pytest.mark.parametrize(
    "shapes",
    [[(2, 3, 2)] * 2, [(2, 3, 2), (1, 1, 2)], [(2, 3, 2), (2,)], [(1, 3, 1), (2, 1, 2)], [(3, 2), (2, 3, 2), (1,)]],
    ids=str,
)
def test_branches_are_added_where_their_shapes_meet(shapes: list[tuple[int, ...]]) -> None:
    net = Net((12,), signed(5))
    parts = [net.reshape(net.slice("q", 0, 0, int(np.prod(shape))), shape) for shape in shapes]
    net.add(parts, [(3, -2, 1)[i] for i in range(len(parts))])
    require_naive(net)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_words_of_several_widths_side_by_side(axis: int) -> None:
    net = Net((2, 3, 2), signed(5))
    wide = net.requantize("q", [2**40], [1], [0], signed(60))
    middle = net.requantize("q", [2**20 + 1], [1], [0], signed(40))
    net.concat(["q", wide, middle, "q"], axis, signed(60))
    require_naive(net)


def test_words_that_are_only_moved() -> None:
    net = Net((3, 4, 2), signed(6))
    value = net.pad("q", (1, 0, 0, 0, 2, 1))
    value = net.resize(value, (2, 1, 3))
    value = net.transpose(value, (2, 0, 1))
    value = net.slice(value, 1, 1, 7, 2)
    net.reshape(value, (9, 18))
    require_naive(net)


def test_a_value_that_several_nodes_read() -> None:
    net = Net((6, 6, 2), unsigned(4))
    first = net.shift(net.conv("q", 4, (3, 3), pads=(1, 1, 1, 1), bias=signed(6)), 5)
    down = net.shift(net.conv(first, 4, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)), 6)
    up = net.resize(down, (2, 2, 1))
    joined = net.concat([first, up], 2)
    again = net.shift(net.conv(joined, 4, (1, 1)), 5)
    added = net.add([again, first, again], [1, 2, -1])
    net.matmul(net.reshape(net.shift(added, 1, signed(4)), (144,)), 3)
    require_naive(net)


def test_the_vocabulary_is_all_covered() -> None:
    """Each kind but the host's has a builder, which is how the tests above reach it."""
    builders = {name.replace("_", "") for name in vars(Net) if not name.startswith("_")}
    assert {kind.lower() for kind in NODE_KINDS} - {"quantize"} <= builders


def everything() -> Net:
    net = Net((4, 4, 2), unsigned(4))
    value = net.shift(net.conv("q", 4, (2, 2), bias=signed(6), pads=(0, 0, 1, 1)), 4)
    value = net.add([net.lookup(value, signed(4)), net.requantize(value, [3, -3, 1, 2], [1, 2, 3, 4], [1, 2, 0, 2])])
    value = net.threshold(value, np.arange(-3, 4)[None], signed(6), [0], [1], unsigned(3))
    value = net.concat([net.max_pool(value, (2, 2)), net.sum_pool(value, (2, 2))], 2, signed(8))
    net.matmul(net.reshape(net.transpose(net.pad(value, (0,) * 3 + (1, 0, 0)), (1, 0, 2)), (48,)), 3)
    return net


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "int64"])
def test_all_arithmetics_agree_below_the_guard(monkeypatch: pytest.MonkeyPatch, arithmetic: str) -> None:
    net = everything()
    graph, words = net.graph(), net.words(5)
    assert all(arithmetic_of(graph, node) == "float32" for node in graph.compute_nodes)
    monkeypatch.setattr(hls.engine, "arithmetic_of", lambda graph, node: arithmetic)
    assert np.array_equal(ExactEngine(graph).run(words).output, naive_words(graph, words)[graph.output])


@pytest.mark.parametrize(("words", "samples"), [(1, 100), (100, 100), (10**9, 2)])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, words: int, samples: int) -> None:
    monkeypatch.setattr(hls.engine, "BLOCK_WORDS", words)
    monkeypatch.setattr(hls.engine, "BLOCK_SAMPLES", samples)
    require_naive(everything(), samples=5)


def test_values_are_freed_once_no_later_node_reads_them() -> None:
    net = Net((4,), unsigned(4))
    value = "q"
    for _ in range(6):
        value = net.shift(value, 0)
    ((_, words),) = ExactEngine(net.graph()).blocks(net.words(2), ["act3", value])
    assert set(words) == {"act3", value}


def test_inputs_are_never_written_to() -> None:
    net = everything()
    graph, words = net.graph(), net.words(3)
    values = naive_words(graph, words)
    for value in values.values():
        value.setflags(write=False)
    for node in graph.compute_nodes:
        inputs = [values[name] for name in inputs_of(node)]
        assert np.array_equal(evaluate(graph, node, inputs), values[node.output])


GUARDED = {
    "conv": lambda net: net.conv("q", 1, (3, 3), signed(14), words=2**13 - 1),
    "depthwise": lambda net: net.conv("q", 2, (3, 3), signed(14), groups=2, words=2**13 - 1),
    "sum": lambda net: net.sum_pool(net.requantize("q", [2**10], [1], [0], signed(24)), (3, 3)),
    "add": lambda net: net.add(["q", "q"], [2**13 + 1, 1]),
    "requantize": lambda net: net.requantize("q", [2**14 + 3], [1], [0], signed(40)),
    "matmul": lambda net: net.matmul("q", 1, signed(14), words=2**13 - 1),
}


@pytest.mark.parametrize("kind", list(GUARDED))
def test_the_guard_is_needed(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Beyond the bound float32 gives other words: a guard that let it through would be seen here."""
    net = Net((3, 3, 2), unsigned(13))
    GUARDED[kind](net)
    graph = net.graph()
    words = np.full((1, 3, 3, 2), 2**13 - 1)
    right = naive_words(graph, words)[graph.output]
    assert arithmetic_of(graph, graph.nodes[-1]) == "float64"
    assert np.array_equal(ExactEngine(graph).run(words).output, right)
    monkeypatch.setattr(hls.engine, "arithmetic_of", lambda graph, node: "float32")
    assert not np.array_equal(ExactEngine(graph).run(words).output, right)


@pytest.mark.parametrize(
    ("weight_bits", "input_bits", "arithmetic"),
    # Bound: 9 × 2**(weight_bits − 1) × (2**input_bits − 1), below 2**24 and 2**53 or not.
    [(9, 12, "float32"), (10, 11, "float32"), (10, 12, "float64"), (26, 24, "float64"), (27, 24, "int64")],
)
def test_the_arithmetic_of_a_convolution_follows_from_the_bound(
    weight_bits: int, input_bits: int, arithmetic: str
) -> None:
    net = Net((3, 3, 2), unsigned(input_bits))
    net.conv("q", 2, (3, 3), signed(weight_bits), groups=2)
    graph = require_naive(net, samples=1)
    assert arithmetic_of(graph, graph.nodes[-1]) == arithmetic


def test_faulty_words_stay_within_the_chosen_arithmetic() -> None:
    """Zero weights would fit any arithmetic; the extreme words of their format do not."""
    net = Net((3, 3, 1), unsigned(13))
    net.conv("q", 1, (3, 3), signed(14), words=0)
    graph = net.graph()
    assert arithmetic_of(graph, graph.nodes[-1]) == "float64"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[:4])
def test_transpositions_of_every_order(order: tuple[int, ...]) -> None:
    net = Net((2, 3, 4), signed(5))
    net.transpose("q", order)
    require_naive(net)


def test_the_accumulators_hold_every_sum() -> None:
    graph = everything().graph()
    for node in graph.compute_nodes:
        accumulator = accumulator_of(node)
        assert accumulator is None or sum_interval(graph, node).within(accumulator)
